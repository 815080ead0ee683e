# %% [markdown]
# # Expression and masks from CT by one network
#
# One network, CSPAT, predicts the mask of a lesion and the expression of genes from CT. How well does it
# predict the expression of patients that it was not trained on? Does learning both tasks together help, and
# which parts of the network matter?

# %% tags=["parameters"]
cohort: str = "lesion_phantom"  # a known cohort with CT, masks and expression, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the phantom, or for a manifest beside its files
genes: str = ""  # genes of the panel, comma-separated; empty for the panel of the cohort
n_patients: int = 40  # patients of the phantom, or the first patients of another cohort; 0 for all
small: bool = True  # use a small network of slices, for a demonstration in minutes
preset: str = "demo"  # size of the network if it is not small: demo, demo2d, full, full2d
ablations: str = "parts, tasks, balance"  # some of parts, combinations, tasks, balance; or none
balance: str = "uncertainty"  # balance of the two tasks: uncertainty, fixed, dwa, pcgrad
outer: int = 2  # outer folds
max_epochs: int = 8  # largest number of epochs; 0 for the preset's
n_null: int = 1000  # permutations of the true expression of the test patients
n_explained: int = 3  # patients with a Grad-CAM map; 0 for none
explained_gene: str = ""  # gene of these maps; empty for the one with the highest correlation
seed: int = 0  # seed of the phantom, splits and fits
where: str = "auto"  # serial, loky, auto, dask, tcp://host:port, slurm:QUEUE
n_jobs: int = 2  # processes
out_dir: str = ""  # filled in by the runner
work_dir: str = ""  # filled in by the runner; kept until the report is complete, so that a run can be resumed

# %%
import tempfile
from pathlib import Path

import pandas as pd
from IPython.display import display
from sklearn.base import clone

import mmfusion as mf
from mmfusion import explain, figures, metrics, radiogenomics, reports
from mmfusion.lesions.report import ablations as grid
from mmfusion.lesions.report import joint as study
from mmfusion.lesions.report import maps
from mmfusion.radiogenomics.report import joint, joint_study, verdict
from mmfusion.reports import provenance

work = Path(work_dir or tempfile.mkdtemp())
data, left_out = study.load_study(
    cohort, data_root, reports.words(genes), n_patients=n_patients, seed=seed, phantom=study.CROPS
)
model = study.joint_model(preset, small=small, balance=balance, max_epochs=max_epochs, random_state=seed)
others = grid.joint_grid(model.options, reports.words_or_none(ablations), balance)
splits = study.splits_of(data, outer, seed)
run = {"outer": splits, "random_state": seed, "where": where, "n_jobs": n_jobs, "progress": False}

with reports.collected() as given:
    featured, baselines, measured = joint_study.with_measures(data, n_jobs)
result = mf.nested_cv(
    model, featured, name=grid.MAIN, settings=others, baselines=baselines, keep=list(others),
    out=work / "expression", **run,
)  # fmt: skip
alone, masked = study.mask_model(model, data)
of_masks = mf.nested_cv(alone, masked, name=grid.MASK, baselines=False, out=work / "masks", **run)
null_data, null_said = joint_study.null_study(data, cohort, seed=seed, phantom=study.CROPS)
quick = clone(model).set_params(log_cosine=False)
of_null = mf.nested_cv(quick, null_data, name=grid.MAIN, baselines=False, out=work / "null", **run)

masks = study.with_mask_scores(result, of_masks, masked, [grid.MAIN, *others])
scores = metrics.segmentation_table(masks)
null = radiogenomics.prediction_null(
    result.of([result.main]), result.task.names, n_permutations=n_null, random_state=seed
).table()
best = joint_study.best_possible(data)
said = joint.verdict(result, null, scores.loc[grid.MAIN, "dice"], best, of_null)
data

# %% [markdown]
# ## Result

# %%
reports.bullets(said, strong_first=True)

# %%
reports.bullets(joint.protocol(data, result, [left_out, measured, null_said]))

# %% [markdown]
# ## Each gene
#
# The figure shows Pearson's correlation of the predicted with the true expression. The grey bars show chance:
# the true values were exchanged at random between the test patients.

# %%
by_gene = metrics.target_table(result.of([result.main]), result.task.names).loc[result.main]
figure = figures.correlation_null(by_gene["pearson"], null, best=best or None)
reports.save_figure(figure, out_dir, "genes")

# %%
reports.full_table(verdict.with_intervals(by_gene, verdict.CORRELATIONS).join(null["p"].round(3)))

# %% [markdown]
# ## Beside simple models, and where there is nothing to find

# %%
simple = result.scores.loc[[result.main, *baselines]]
reports.full_table(verdict.with_intervals(simple, verdict.CORRELATIONS))

# %% [markdown]
# The same network is trained and judged on the null panel, in which the expression does not depend on the
# scan. The intervals should include 0. They take the trained models as given and are a little too narrow: in
# simulations without signal, about 1 of 6 did not include 0.

# %%
reports.full_table(verdict.with_intervals(of_null.scores, verdict.CORRELATIONS))

# %% [markdown]
# ## Ablations, on the same patients and folds
#
# The main model has a neck in both directions (PAN), gates, links between all scales, and both tasks. The
# parameter `balance` says how their losses are balanced. The name of each other model says how it differs
# from the main model; "mask alone" and "expression alone" have one task. The differences are to the main
# model, with 95 % intervals over patients.

# %%
reports.full_table(joint.ablation_table(result, masks, scores))

# %%
reports.paragraph(joint.of_the_paper())

# %% [markdown]
# ## Do the two tasks disturb each other?
#
# In each training step, both tasks have a gradient for the part of the network that they share. If the cosine
# between the two is below 0, a step that helps one task harms the other.

# %%
cosines = study.cosine_table(result)
display(reports.save_figure(figures.gradient_cosines(cosines), out_dir, "cosines"))
display(reports.paragraph(joint.cosine_sentence(cosines)))

# %% [markdown]
# Training loss of the main model by epoch. If it still falls at the end, more epochs would help.

# %%
reports.save_figure(figures.learning_curves(result.histories()), out_dir, "loss")

# %% [markdown]
# ## Where the network finds the expression
#
# The figure shows Grad-CAM maps of one gene, for the patients with the highest prediction. Each map is made
# by a network that was trained without this patient. Colour shows where the scan raises the predicted
# expression. The brightness is relative to the strongest place of each patient. It does not say how strong
# the effect is. The line is the true outline of the lesion, which the network does not read. "Energy" is the
# share of the map inside the outline, and "volume" the share of the cube that the lesion fills. Their ratio
# is 1 for a map that does not depend on the lesion.

# %%
energy = None
if n_explained:
    gene = explained_gene or str(by_gene["pearson", "mean"].idxmax())
    shown, outlines = maps.explained(result, data, gene, n_explained)
    energy = explain.energy_in_tumour(shown.maps, outlines).set_axis(list(shown.patients))
    display(reports.save_figure(figures.gradcam_montage(shown, masks=outlines), out_dir, "gradcam"))
    display(reports.full_table(energy.round(3)))
else:
    display(reports.paragraph("No maps were asked for."))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(joint.caveats(data, result, small=small or preset.startswith("demo")))

# %% [markdown]
# Warnings, each listed once for all models and folds:

# %%
reports.bullets(
    reports.warnings_given(result, of_masks, of_null, also=given), otherwise="There were no warnings."
)

# %% [markdown]
# ## Seed, versions and files
#
# The file `predictions.csv` beside this page has the out-of-fold predictions of every model, and
# `predictions_masks.csv` the scores of all masks. `mmfusion.reports.recompute(folder)` computes the metrics
# of the report again from the first.

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
told = result.to_metrics() | {
    "primary": {"metric": "pearson", "model": result.main, "reference": None},
    "headline": joint.headline(result, scores.loc[grid.MAIN, "dice"]),
    "verdict": said,
    "optimum": best or None,
    "null": null.to_dict("index"),
    "null_panel": of_null.to_metrics(),
    "dice": {name: dict(row) for name, row in scores["dice"].iterrows()},
    "cosines": cosines.to_dict("records"),
    "gradcam_energy": None if energy is None else energy.to_dict("index"),
    "paper": joint.of_the_paper(),
    "plan": {"outer": outer, "max_epochs": model.settings.plan.max_epochs, "balance": balance},
}
reports.write_metrics(told, out_dir)
reports.write_predictions(result.predictions, out_dir)
reports.write_predictions(masks, out_dir, "masks")

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("joint_expression")
