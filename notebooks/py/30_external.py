# %% [markdown]
# # External validation
#
# Does a model that was fitted on one cohort also work on another cohort, or in another hospital? Three models
# are fitted on the training patients, and judged on the external patients without any change:
#
# - a fusion model;
# - the ridge, a logistic regression on all inputs;
# - the majority class, which predicts the shares of the classes for every patient.

# %% tags=["parameters"]
cohort: str = "demo"  # training patients: demo, radiogenomics, lung1, tcga_luad, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
external: str = ""  # external cohort: a name or a manifest; empty on the demo: made with the next seed
external_root: str = ""  # folder of the external cohort's files
split_by_site: str = ""  # instead of external: this site is the external cohort, all others are for training
target: str = ""  # named target, such as stage3_ajcc7, stage2, late_vs_early; empty for the cohort's own
modalities: str = ""  # read only these, comma-separated; empty for all that both cohorts have
preset: str = "demo"  # settings of the model: demo, full, paper_multimodal
fusion: str = "daft"  # fusion of the model; preset: the preset's
n_patients: int = 120  # largest number of patients in a synthetic cohort; 0 for all
outer: int = 0  # outer folds; 0: 3 on a synthetic cohort, 5 on a real one
inner: int = 0  # inner folds; 0: 2 or 3
trials: int = 0  # trials of the search in each outer fold; 0: 3 or 6
n_genes: int = 200  # genes kept in each fold; 0 for the preset's number
max_epochs: int = 15  # largest number of epochs; 0 for the preset's
save_model: str = ""  # folder for the model; empty: it is not kept
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
from mmfusion import evaluation, figures, reports
from mmfusion.reports import provenance
from mmfusion.staging.report import explained, external_page, study
from mmfusion.staging.report.pair import check_enough, load_pair

work = Path(work_dir or tempfile.mkdtemp())
pair = load_pair(
    cohort,
    data_root,
    target,
    reports.words(modalities),
    external=external,
    external_root=external_root,
    site=split_by_site,
    n_patients=n_patients,
    seed=seed,
)
train, other = pair.train, pair.external
plan = study.make_plan(train, outer, inner, trials)
check_enough(train, plan)
model = study.make_model(preset, fusion, n_genes=n_genes, max_epochs=max_epochs, random_state=seed)
simple = evaluation.standard_baselines(train.modalities, inner=plan.inner, random_state=seed)

result = mf.nested_cv(
    model,
    train,
    search=study.SEARCH,
    n_trials=plan.trials,
    outer=plan.outer,
    inner=plan.inner,
    baselines={name: simple[name] for name in evaluation.ALWAYS},
    random_state=seed,
    where=where,
    n_jobs=n_jobs,
    out=work / "cv",
    progress=False,
)

bundle = Path(save_model) if save_model else work / "model"
with reports.collected() as given:
    persons = train.groups.loc[train.X.index, "patient"]
    final = clone(model).set_params(**result.typical_params()).fit(train.X, train.y, groups=persons)
    final.save(bundle)
    transfer = evaluation.transfer_table(final.transformer_, other)
looks = external_page.earlier_looks(bundle, other)
found = evaluation.judge_outside(
    bundle,
    train,
    other,
    name=result.main,
    inner=plan.inner,
    random_state=seed,
    again=True,
    record=explained.record_of_looks(bundle, other),
    check_scans=not study.is_synthetic(train),
)

# %% [markdown]
# ## Result
#
# Macro-AUC is the area under the ROC curve (AUC) of each class against all others, averaged over the classes:
# 0.5 is chance, 1 is best.

# %%
reports.bullets(external_page.verdict(result, found), strong_first=True)

# %%
lines = [
    f"Training: {external_page.shares(train)}.",
    f"External: {external_page.shares(other)}.",
    *pair.notes,
]
lines += looks or ["These weights were never judged on these patients before."]
reports.bullets(lines)

# %% [markdown]
# ## How good are the models in the external cohort?
#
# "Cross-validation" is the mean over the outer folds of the training patients. "External" is the result of
# the model that was fitted on all training patients. The intervals are 95 % intervals over patients.
#
# - Macro-F1 is the mean over the classes of F1, which combines precision and recall (1 is best).
# - The Brier score is the squared error summed over all classes, from 0 (best) to 2. For two classes, many
#   packages give half of it.
# - The expected calibration error (ECE) is the mean distance between the predicted probability and the share
#   of correct predictions (0 is best).

# %%
reports.full_table(external_page.beside_cv(result, found))

# %% [markdown]
# Each point is the model of one fold. The horizontal axis is its result on its own held-out fold, and the
# vertical axis is its result in the external cohort. A point on the diagonal has the same result in both.
# Points far below the diagonal show that the cohorts differ in a way that matters to the model.

# %%
folds = explained.fold_external(result, other)
reports.save_figure(figures.cv_vs_external(folds.table), out_dir, "cv_vs_external")

# %% [markdown]
# The difference between each model and the ridge in the external cohort, with 95 % intervals over its
# patients. Each model was fitted once. The intervals therefore do not show how much the result would change
# with other training patients.

# %%
paired = found.paired("ridge")
reports.save_figure(figures.paired_differences(paired, main=found.main), out_dir, "differences")

# %% [markdown]
# ROC curves of the fusion in the external cohort. For each class, the curve shows the true positive rate and
# the false positive rate at every threshold of its probability.

# %%
figure = figures.roc(found.predictions, found.classes, found.main, random_state=seed)
reports.save_figure(figure, out_dir, "roc")

# %% [markdown]
# ## Which inputs does the external cohort lack?
#
# A gene that the external cohort lacks gets its mean of the training patients. A column that it lacks counts
# as missing, and a new category counts as unknown. Columns that the model does not know are not read.

# %%
reports.full_table(transfer)

# %% [markdown]
# ## Are the probabilities calibrated in the external cohort?
#
# The figure shows the share of correct predictions against the predicted probability, before and after a
# recalibration. Below the diagonal, a model is too confident. The recalibration is learned from out-of-fold
# predictions of the training patients only. It cannot correct differences between the cohorts.

# %%
before_after, said = external_page.recalibrated(result, found)
display(reports.bullets(said))
if len(before_after):
    names = list(before_after["model"].unique())
    figure = figures.reliability(before_after, found.classes, names, bins=6)
    display(reports.save_figure(figure, out_dir, "calibration"))
    calibration = external_page.calibration_table(before_after, found.classes, seed=seed)
    display(reports.full_table(calibration))

# %% [markdown]
# The last column is the range of the ECE that a perfectly calibrated model would have on the same number of
# patients.

# %% [markdown]
# ## Is the model useful for decisions?
#
# The decision curve shows the net benefit (vertical axis) of treating every patient whose predicted
# probability reaches a threshold (horizontal axis). Net benefit is the number of true positives per patient,
# minus the number of false positives per patient times the odds of the threshold (Vickers and Elkin 2006). A
# model is useful at a threshold if its curve is above both treating all and treating none. The band is the 95
# % interval of the fusion.

# %%
cuts, said = external_page.estimable_cuts(found.predictions, found.classes)
models = [found.main, *evaluation.ALWAYS]
if cuts:
    figure = figures.decision_curve(found.predictions, found.classes, models, cuts=cuts, random_state=seed)
    display(reports.save_figure(figure, out_dir, "decision_curve"))
display(reports.bullets(said))

# %% [markdown]
# ## The saved model

# %%
kept = f"saved in {save_model}" if save_model else "not kept, because save_model is empty"
text = (
    f"The model was fitted on {len(train)} patients, with the values that the folds chose most often. It is"
)
reports.paragraph(f"{text} {kept}.")

# %% [markdown]
# ## Limitations

# %%
reports.bullets(external_page.limits(result, train, other, found))

# %% [markdown]
# Warnings about the data, each listed once for all models and folds:

# %%
reports.bullets(reports.warnings_given(result, also=[*given, *found.warnings]))

# %% [markdown]
# ## Seed, versions and files
#
# The file `predictions.csv` beside this page has the predictions of every model for the external patients,
# and `predictions_cv.csv` the out-of-fold predictions of the training patients.

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
for one in (train, other):
    made |= {
        f"sha256 {name}": digest
        for name, digest in (one.provenance.get("files") or {}).items()
        if isinstance(digest, str)
    }
reports.full_table(pd.Series(made, name="").to_frame())

# %%
metrics = external_page.to_metrics(found) | {
    "cohort": train.name,
    "external": other.name,
    "target": train.target,
    "n": found.n,
    "n_train": len(train),
    "main": found.main,
    "primary": {"metric": "macro_auc", "model": found.main, "reference": "ridge"},
    "headline": external_page.headline(found),
    "verdict": external_page.verdict(result, found),
    "brier_definition": "squared error summed over all classes, 0 to 2",
    "earlier_looks": looks,
    "notes": [*pair.notes, *found.notes],
    "transfer": transfer.to_dict("index"),
    "cv": result.to_metrics(),
    "params": result.typical_params(),
}
reports.write_predictions(found.predictions, out_dir)
reports.write_predictions(result.predictions, out_dir, "cv")
reports.write_metrics(metrics, out_dir)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("external")
