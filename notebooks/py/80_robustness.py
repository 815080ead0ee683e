# %% [markdown]
# # Robustness
#
# How well does the model predict if scans are noisier, slices thicker, genes missing, or records incomplete?
# The models of a cross-validation predict their held-out patients again, with changed inputs. With two saved
# models, the report also compares an old with a new version on the same patients.

# %% tags=["parameters"]
cohort: str = "demo"  # demo, radiogenomics, lung1, tcga_luad, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # named target, such as stage3_ajcc7, stage2, late_vs_early; empty for the cohort's own
modalities: str = ""  # read only these, comma-separated; empty for all
perturbations: str = ""  # noise, contrast, low dose, thick slices, kernel, dropped genes, ...; empty: all
preset: str = "demo"  # settings of the model: demo, full, paper_multimodal
fusion: str = "daft"  # fusion of the model; preset: the preset's
n_patients: int = 120  # largest number of patients in a synthetic cohort; 0 for all
outer: int = 0  # outer folds; 0: 3 on a synthetic cohort, 5 on a real one
n_genes: int = 200  # genes kept in each fold; 0 for the preset's number
max_epochs: int = 15  # largest number of epochs; 0 for the preset's
old_model: str = ""  # folder of a saved model, for the re-validation; empty: none
new_model: str = ""  # folder of the saved model that may replace it
seed: int = 0  # seed of splits, fits and changes
where: str = "auto"  # serial, loky, auto, dask, tcp://host:port, slurm:QUEUE
n_jobs: int = 2  # processes
out_dir: str = ""  # filled in by the runner
work_dir: str = ""  # filled in by the runner; kept until the report is complete, so that a run can be resumed

# %%
import tempfile
from pathlib import Path

import pandas as pd
from IPython.display import display

import mmfusion as mf
from mmfusion import evaluation, figures, reports
from mmfusion.reports import provenance
from mmfusion.staging.report import robust, study
from mmfusion.staging.report.verdict import caveats

work = Path(work_dir or tempfile.mkdtemp())
complete, everybody, left_out = study.load_study(
    cohort, data_root, target, reports.words(modalities), n_patients=n_patients, seed=seed
)
data = complete if everybody is None else everybody
evaluation.check_perturbations(reports.words(perturbations))
for folder in (old_model, new_model):
    if folder:
        mf.load(folder)  # a damaged model is found before the fits
plan = study.make_plan(data, outer, 0, 0)
model = study.make_model(preset, fusion, n_genes=n_genes, max_epochs=max_epochs, random_state=seed)
result = mf.nested_cv(
    model, data, baselines=False, outer=plan.outer, inner=plan.inner, random_state=seed, where=where,
    n_jobs=n_jobs, out=work / "folds", progress=False,
)  # fmt: skip
with reports.collected() as given:
    found = evaluation.robustness(result, data, reports.words(perturbations) or None, random_state=seed)
said = robust.verdict(found)

# %% [markdown]
# ## Result
#
# Macro-AUC is the area under the ROC curve (AUC) of each class against all others, averaged over the classes:
# 0.5 is chance, 1 is best.

# %%
reports.bullets(said, strong_first=True)

# %%
counts = ", ".join(f"{name} {n}" for name, n in data.y.value_counts(sort=False).items())
text = f"{data.name}, target {data.target}: n = {len(data)} ({counts}). Outer folds: {plan.outer}."
reports.paragraph(f"{text} {left_out}")

# %% [markdown]
# ## How much does each change lower the performance?
#
# In each panel, one input is changed more and more (horizontal axis), and the vertical axis is the macro-AUC.
# The open circle and the dotted line show the result with the unchanged input. The band is the 95 % interval
# over patients. n is the number of patients who have the input; the macro-AUC also includes the other
# patients.

# %%
reports.save_figure(figures.robustness_curves(found), out_dir, "curves")

# %% [markdown]
# The table has, for each kind of change, the strength with the largest loss. "Other class" is the share of
# patients whose predicted class changes.

# %%
reports.full_table(robust.strongest(found))

# %% [markdown]
# ## Performance at every strength
#
# The first strength of each kind changes nothing. The balanced accuracy is in `metrics.json`.

# %%
reports.full_table(robust.shown_table(found))

# %% [markdown]
# ## Limits of the simulated changes

# %%
reports.bullets(robust.LIMITS)

# %% [markdown]
# Warnings about the inputs, and those that the models gave for changed inputs only:

# %%
about = reports.warnings_given(also=given) if given else []
reports.bullets([*about, *robust.warnings_of(found)], otherwise="There were no warnings.")

# %% [markdown]
# ## Does a new version of the model change the predictions?

# %%
again = None
if old_model and new_model:
    again = evaluation.revalidate(old_model, new_model, data, random_state=seed)
    display(reports.bullets(again.notes, strong_first=True))
    display(reports.full_table(again.scores.round(3)))
    display(reports.full_table(again.patients[again.patients["changed"]].round(3)))
else:
    display(reports.paragraph("Not compared: give the folders of two saved models (old_model, new_model)."))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(caveats(data, result))

# %% [markdown]
# ## Seed, versions and files
#
# The file `predictions.csv` beside this page has the out-of-fold predictions for the unchanged inputs.

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
told = result.to_metrics() | {
    "primary": {"metric": "macro_auc", "model": result.main},
    "headline": said[0],
    "verdict": said,
    "robustness": found.to_dict("records"),
    "revalidation": None if again is None else again.scores.to_dict("index"),
    "plan": {"outer": plan.outer},
}
reports.write_metrics(told, out_dir)
reports.write_predictions(result.predictions, out_dir)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("robustness")
