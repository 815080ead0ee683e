# %% [markdown]
# # Stage from fused modalities
#
# Does the fusion of modalities improve staging? This report compares a fusion model with simple models, by
# nested cross-validation on the same patients.

# %% tags=["parameters"]
cohort: str = "demo"  # demo, radiogenomics, lung1, tcga_luad, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # named target, such as stage3_ajcc7, stage2, late_vs_early; empty for the cohort's own
modalities: str = ""  # read only these, comma-separated; empty for all
preset: str = "demo"  # settings of the model: demo, full, paper_multimodal
fusion: str = "daft"  # fusion of the main model, whose parameters are searched; preset: the preset's
fusions: str = "all"  # other fusions, with the same parameters, comma-separated; or all, or none
n_patients: int = 120  # largest number of patients in a synthetic cohort; 0 for all
outer: int = 0  # outer folds; 0: 3 on a synthetic cohort, 5 on a real one
inner: int = 0  # inner folds; 0: 2 or 3
trials: int = 0  # trials of the search in each outer fold; 0: 3 or 6
n_genes: int = 200  # genes kept in each fold; 0 for the preset's number
max_epochs: int = 15  # largest number of epochs; 0 for the preset's
learning_curve: str = "0.5"  # shares of the training patients for the curve, comma-separated; or none
external: str = ""  # cohort or manifest for external validation; demo: made with the next seed
external_root: str = ""  # folder of the external cohort's files
n_explained: int = 8  # held-out patients per fold whose genes are explained
n_null: int = 0  # models fitted to permuted labels, to compare genes with: 0, or 20 or more; one fit each
save_model: str = ""  # folder for a model fitted on all patients, with typical parameters; empty: none
seed: int = 0  # seed of splits, fits and searches
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
from mmfusion import evaluation, figures, metrics, reports
from mmfusion.reports import provenance
from mmfusion.staging.report import certainty, explained, study, watched
from mmfusion.staging.report.verdict import (
    caveats,
    headline,
    verdict,
    with_intervals,
    worse_than_chance,
)

work = Path(work_dir or tempfile.mkdtemp())
data, everybody, left_out = study.load_study(
    cohort, data_root, target, reports.words(modalities), n_patients=n_patients, seed=seed
)
plan = study.make_plan(data, outer, inner, trials)
possible = study.optimum(data)
model = study.make_model(preset, fusion, n_genes=n_genes, max_epochs=max_epochs, random_state=seed)
others = study.other_fusions(model, reports.words_or_none(fusions))
fractions = [float(part) for part in reports.words_or_none(learning_curve)]
options = dict(
    search=study.SEARCH,
    outer=plan.outer,
    inner=plan.inner,
    random_state=seed,
    where=where,
    n_jobs=n_jobs,
    progress=False,
)

result = mf.nested_cv(
    model,
    data,
    n_trials=plan.trials,
    fusions=others,
    singles=True,
    learning_curve=fractions,
    out=work / "headline",
    **options,
)
best_possible = possible.get("observed")
references = {"chance": 0.5} | ({"optimum": best_possible} if best_possible else {})
counts = data.y.value_counts(sort=False)

# %% [markdown]
# ## Result
#
# Macro-AUC is the area under the ROC curve (AUC) of each class against all others, averaged over the classes:
# 0.5 is chance, 1 is best.

# %%
reports.bullets(verdict(result, best_possible), strong_first=True)

# %%
who = "patients with at least one of" if study.is_synthetic(data) else "patients who have all of"
shares = ", ".join(f"{name} {n}" for name, n in counts.items())
text = f"""{data.name}, target {data.target}: n = {len(data)} ({shares}), {who} {", ".join(data.modalities)}.
Outer folds: {plan.outer}; in each of them, inner folds: {plan.inner}, trials: {plan.trials}."""
text += "" if everybody is None else " All patients, also those who lack a modality, are in a section below."
reports.paragraph(f"{text} {left_out}")

# %%
curve = result.learning_curve()
if len(curve):
    text = (
        "The same models trained on fewer patients. A curve that still rises suggests that more patients "
        "would help."
    )
    figure = figures.learning_curve(curve, references=references)
    display(reports.paragraph(text), reports.save_figure(figure, out_dir, "learning_curve"))

# %% [markdown]
# ## All models, on the same patients and folds
#
# The figure shows the macro-AUC of each model, as the mean over the outer folds. "Ridge" is a logistic
# regression on all inputs. "Clinical ridge" is the same on the health records alone. "... only" is the fusion
# model with one modality. For a patient who lacks this modality, such a model predicts the class frequencies
# of its training patients.

# %%
reports.save_figure(
    figures.model_comparison(result.scores, main=result.main, references=references), out_dir, "models"
)

# %%
reports.full_table(with_intervals(result.scores))

# %% [markdown]
# The difference between each model and the ridge. The thick line is a 95 % interval over test patients. It is
# widened, because the folds share most of their training patients. The thin line is the interval of a t-test
# over folds with the same correction; with few folds it is much wider. p belongs to the thick line. Shaded
# differences are too small to be detected with this number of patients.

# %%
detectable = result.detectable_difference("ridge")
reports.save_figure(
    figures.paired_differences(result.paired("ridge"), main=result.main, detectable=detectable),
    out_dir,
    "differences",
)

# %% [markdown]
# ## Hyperparameters
#
# The inner folds of each outer fold chose these values, without the test patients of the outer fold. If the
# folds disagree, the values matter little, or the inner folds are too small to decide.

# %%
reports.save_figure(figures.hyperparameters(result.params()), out_dir, "hyperparameters")

# %% [markdown]
# Loss by epoch of one network per fold, with the values that the fold chose. The validation loss is measured
# on a fifth of the fold's training patients; this network is not trained on them. If the validation loss
# rises while the training loss falls, the network overfits.

# %%
losses = watched.watched_histories(result, model, data, where=where)
reports.save_figure(figures.learning_curves(losses), out_dir, "loss")

# %% [markdown]
# ## Which classes are confused
#
# The predicted class is the class that the model decided on. It can differ from the most probable class.

# %%
reports.save_figure(figures.confusions(result.predictions, result.classes, result.main), out_dir, "confusion")

# %%
reports.save_figure(
    figures.roc(result.predictions, result.classes, result.main, random_state=seed), out_dir, "roc"
)

# %% [markdown]
# Calibration: the figure shows the share of correct predictions against the predicted probability. Below the
# diagonal, the model is too confident. The expected calibration error (ECE) is the mean distance between the
# two. It is never 0 on a finite number of patients. Its band is the range that a perfectly calibrated model
# would have.

# %%
bands = certainty.calibration_bands(result, [result.main, "ridge"], random_state=seed)
figure = figures.reliability(result.predictions, result.classes, [result.main, "ridge"])
display(reports.save_figure(figure, out_dir, "reliability"))
reports.bullets([f"{name}: {band}." for name, band in bands.items()])

# %% [markdown]
# ## Does the model know when it is uncertain?
#
# The figure shows the share of wrong decisions, and macro-F1, if only patients with a large probability get a
# prediction. If the model knows when it is uncertain, it makes fewer errors than if patients are left out at
# random (dashed line). For the dotted line, the wrong predictions are left out first, which is the best
# possible. Coverage is the share of patients who get a prediction. AURC (area under the risk-coverage curve)
# is the mean share of wrong predictions over all coverages; smaller is better. The bands are 95 % intervals
# over patients.

# %%
selective = {
    name: metrics.selective_prediction(result.predictions, result.classes, name, random_state=seed)
    for name in (result.main, "ridge")
}
figure = figures.selective_prediction(selective)
display(reports.save_figure(figure, out_dir, "selective"))
reports.bullets(certainty.certainty_lines(selective))

# %% [markdown]
# ## What each modality adds
#
# The model is fitted on one modality at a time, and on all of them. Diamonds show the best possible result
# for patients who have these modalities (synthetic cohorts only).

# %%
singles = [f"{m} only" for m in data.modalities]
table = result.scores["macro_auc"].loc[[result.main, *singles]]
known = {f"{m} only": possible[m] for m in possible if f"{m} only" in singles} | {result.main: best_possible}
figure = figures.modality_ablation(table, optimum={k: v for k, v in known.items() if v})
reports.save_figure(figure, out_dir, "modalities")

# %% [markdown]
# Each fold's model predicts its held-out patients with every subset of their modalities. No model is fitted
# again. The predictions give exact Shapley values: how much each modality moves the probability, averaged
# over all orders in which the modalities can be added. A modality can move the prediction (`mean_abs`)
# without helping. `gain` says how much it raises the probability of the true class, and `drop` how much
# macro-AUC is lost without it.

# %%
attribution = explained.fold_modalities(result, data)
if attribution is not None:
    display(reports.save_figure(figures.modality_contributions(attribution[0]), out_dir, "shapley"))
    display(reports.full_table(attribution[1].round(3)))

# %% [markdown]
# ## All patients with a class, including those who lack a modality

# %%
judged, on = result, data if everybody is None else everybody
if everybody is None:
    display(reports.paragraph(f"These are the same patients as above. {left_out}"))
else:
    simple = evaluation.standard_baselines(everybody.modalities, inner=plan.inner, random_state=seed)
    simple = {
        name: simple[name] for name in ("ridge", "clinical ridge", "forest", "majority") if name in simple
    }
    judged = mf.nested_cv(
        model, everybody, n_trials=min(2, plan.trials), baselines=simple, out=work / "all", **options
    )
    text = f"n = {judged.n}; {len(data)} of them are in the results above. {left_out}"
    display(reports.bullets([text, *verdict(judged)]))
    figure = figures.model_comparison(judged.scores, main=judged.main)
    display(reports.save_figure(figure, out_dir, "models_all_patients"))

# %% [markdown]
# Results by the modalities that patients have. The folds of a repeat are pooled. A group has no number if it
# has one to four patients of a class, because its interval would be much too narrow.

# %%
groups = evaluation.presence_groups(on)
if groups.nunique() > 1:
    table = metrics.scores_by_group(judged.of([judged.main, "ridge"]), judged.classes, groups)
    display(reports.save_figure(figures.by_presence(table), out_dir, "by_presence"))
    few = table[table["said"] != ""].drop_duplicates("group")
    said = [f"{row.group}: {row.said}." for row in few.itertuples()]
    display(reports.bullets(said, otherwise="Each group has ten or more patients of each class."))
else:
    display(reports.paragraph("All patients have all modalities."))

# %% [markdown]
# ## External cohort
#
# The models of the folds predict another cohort without any change. Only the first time counts as external
# validation. In the figure, each point is the model of one fold. A point on the diagonal has the same result
# in cross-validation and in the external cohort.

# %%
if external:
    other = study.load_external(external, external_root, data, n_patients=n_patients)
    outside = explained.fold_external(result, other)
    display(reports.save_figure(figures.cv_vs_external(outside.table), out_dir, "external"))
    auc = outside.scores.loc["external", "macro_auc"]
    interval = f"{auc['mean']:.3f} [{auc['lo']:.3f}, {auc['hi']:.3f}]"
    text = f"{other.name}, n = {len(other)}: macro-AUC of the folds' models together {interval}."
    display(reports.bullets([text, *worse_than_chance(outside.scores["macro_auc"]), *outside.notes]))
else:
    display(reports.paragraph("No external cohort was given."))

# %% [markdown]
# ## Genes with the largest influence on the predictions
#
# A SHAP value says how much a gene moves one patient's probability of a class. It is computed by expected
# gradients, for the model of each fold and its held-out patients. The other modalities stay as observed. The
# figure shows the mean size over patients and folds. These are candidate associations, not biomarkers.

# %%
genes = explained.fold_genes(result, data, n_patients=n_explained, random_state=seed)
planted = set(data.provenance.get("planted_genes", ()))
if genes is None:
    display(reports.paragraph("The model reads no genes."))
else:
    display(reports.save_figure(figures.gene_bars(genes.sizes, highlight=planted), out_dir, "genes"))
    top = list(genes.sizes.index[:20])
    text = f"{genes.n_patients} patients explained."
    text += (
        f" {len(planted & set(top))} of the first 20 are among the {len(planted)} planted genes (red)."
        if planted
        else ""
    )
    many = len(genes.stability) > 0  # enough genes, and several folds
    text += (
        " Agreement of the first k genes between folds (Kuncheva index: 0 is chance, 1 is the same genes):"
        if many
        else ""
    )
    display(reports.paragraph(text))
    if many:
        display(reports.full_table(genes.stability.round(3)))

# %%
if genes is not None and n_null:
    null = explained.genes_against_null(
        result, data, n_refits=n_null, n_patients=n_explained, random_state=seed
    )
    text = f"The model of the first fold, compared with {n_null} models fitted to permuted labels:"
    display(reports.paragraph(text))
    display(reports.save_figure(figures.gene_null(null), out_dir, "genes_null"))

# %% [markdown]
# ## The saved model
#
# The model is fitted on all patients, with the values that the folds chose most often (the median for
# fractions). This model was not tested: the results above are those of models that were fitted in the same
# way on fewer patients.

# %%
given = []
if save_model:
    with reports.collected() as given:
        clone(model).set_params(**result.typical_params()).fit(on.X, on.y).save(save_model)
    text = f"{save_model}, fitted on {len(on)} patients. To use it: mmfusion predict --model {save_model} ..."
    display(reports.paragraph(text))
else:
    display(reports.paragraph("No model was saved: save_model is empty."))

# %% [markdown]
# ## Inputs of the models
#
# Two checks were made. No column has a name that is known for T, N, M, the stage, or a finding made
# during or after surgery. No column determines the label by its content. A column with an unknown name, or
# one that gives only a hint of the label, can pass both: please read the list.

# %%
reports.bullets(study.inputs_read(data))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(caveats(data, result))

# %% [markdown]
# Warnings about the data, each listed once for all models and folds:

# %%
judgements = [result] if everybody is None else [result, judged]
reports.bullets(reports.warnings_given(*judgements, also=given))

# %% [markdown]
# ## Seed, versions and files
#
# The file `predictions.csv` beside this page has the out-of-fold predictions of every model.
# `mmfusion.reports.recompute(folder)` computes the metrics of the report again from it.

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
made |= {
    f"sha256 {name}": digest
    for name, digest in (data.provenance.get("files") or {}).items()
    if isinstance(digest, str)
}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
found = result.to_metrics() | {
    "primary": {"metric": "macro_auc", "model": result.main, "reference": "ridge"},
    "headline": headline(result),
    "verdict": verdict(result, best_possible),
    "classes": counts.to_dict(),
    "plan": {"outer": plan.outer, "inner": plan.inner, "trials": plan.trials},
    "detectable_difference": detectable,
    "optimum": possible or None,
    "params": result.params().to_dict("index"),
    "learning_curve": curve.to_dict("records"),
    "selective": {name: one.to_metrics() for name, one in selective.items()},
    "calibration_band": {
        name: {"ece": band.ece, "band": [band.lo, band.hi], "inside": band.inside}
        for name, band in bands.items()
    },
    "all_patients": judged.to_metrics() if everybody is not None else None,
}
if external:
    found["external"] = {
        "cohort": other.name,
        "n": len(other),
        "macro_auc": {"mean": auc["mean"], "ci": [auc["lo"], auc["hi"]]},
    }
    reports.write_predictions(outside.predictions, out_dir, "external")
if genes is not None:
    found["genes"] = {
        "top": top,
        "stability": genes.stability.to_dict("index"),
        "planted_in_top_20": len(planted & set(top)) if planted else None,
    }
reports.write_metrics(found, out_dir)
reports.write_predictions(result.predictions, out_dir)
if everybody is not None:
    reports.write_predictions(judged.predictions, out_dir, "all_patients")

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("stage_fusion")
