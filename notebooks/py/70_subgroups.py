# %% [markdown]
# # Subgroups of patients
#
# Does the model work equally well for women and men, for young and old, at each site, and for patients who
# lack a modality? The report also gives the training rows of small groups more weight, or repeats them, and
# shows if the model gets better for these groups.

# %% tags=["parameters"]
cohort: str = "demo"  # demo, radiogenomics, lung1, tcga_luad, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # named target, such as stage3_ajcc7, stage2, late_vs_early; empty for the cohort's own
modalities: str = ""  # read only these, comma-separated; empty for all
groupings: str = ""  # sex, age, ethnicity, smoking, site, modalities, or ehr.histology; empty: all known
smallest: int = 20  # smallest number of patients of a group that is judged
balance_by: str = ""  # groups that get equal weights: class, a column, or none; empty: meta.site or class
preset: str = "demo"  # settings of the model: demo, full, paper_multimodal
fusion: str = "daft"  # fusion of the model; preset: the preset's
n_patients: int = 120  # largest number of patients in a synthetic cohort; 0 for all
outer: int = 0  # outer folds; 0: 3 on a synthetic cohort, 5 on a real one
repeats: int = 1  # repeats of the outer folds; each repeat shuffles the patients again
n_genes: int = 200  # genes kept in each fold; 0 for the preset's number
max_epochs: int = 15  # largest number of epochs; 0 for the preset's
seed: int = 0  # seed of splits and fits
where: str = "auto"  # serial, loky, auto, dask, tcp://host:port, slurm:QUEUE
n_jobs: int = 2  # processes
out_dir: str = ""  # filled in by the runner
work_dir: str = ""  # filled in by the runner; kept until the report is complete, so that a run can be resumed

# %%
import pandas as pd
from IPython.display import display

import mmfusion as mf
from mmfusion import evaluation, figures, reports
from mmfusion.errors import check_installed
from mmfusion.reports import provenance
from mmfusion.staging.report import fairness, study
from mmfusion.staging.report.verdict import caveats, with_intervals

check_installed("fairlearn", "fairness")  # before the fits
complete, everybody, left_out = study.load_study(
    cohort, data_root, target, reports.words(modalities), n_patients=n_patients, seed=seed
)
data = complete if everybody is None else everybody  # also patients who lack a modality
groups = evaluation.patient_groups(data, reports.words(groupings) or None)
plan = study.make_plan(data, outer, 0, 0)
model = study.make_model(preset, fusion, n_genes=n_genes, max_epochs=max_epochs, random_state=seed)
balance_by = balance_by or fairness.default_balance(data)
balanced = {} if balance_by == "none" else fairness.balanced_models(model, balance_by)
ridge = evaluation.ridge(data.modalities, inner=plan.inner, random_state=seed)
result = mf.nested_cv(
    model, data, name=fairness.MAIN, baselines={"ridge": ridge, **balanced}, outer=plan.outer,
    inner=plan.inner, repeats=repeats, random_state=seed, where=where, n_jobs=n_jobs, out=work_dir or None,
    progress=False,
)  # fmt: skip
found = evaluation.subgroups(result, data, groups, models=result.models, smallest=smallest, random_state=seed)
overall = result.scores["macro_auc_pooled", "mean"].to_dict()

# %% [markdown]
# ## Result
#
# Macro-AUC is the area under the ROC curve (AUC) of each class against all others, averaged over the classes:
# 0.5 is chance, 1 is best.

# %%
said = fairness.verdict(found, result.main)
reports.bullets(said, strong_first=True)

# %%
counts = ", ".join(f"{name} {n}" for name, n in data.y.value_counts(sort=False).items())
text = f"{data.name}, target {data.target}: n = {len(data)} ({counts}). Outer folds: {plan.outer}."
reports.paragraph(f"{text} {left_out}")

# %% [markdown]
# ## Groups that are not judged, and classes that groups lack
#
# A group that is too small, or that has patients of one class only, has no number here and no point in the
# figures. Macro-AUC and balanced accuracy also need five patients of each class that the group has, because
# their intervals would be much too narrow. With five to nine patients of a class, they are uncertain.

# %%
reports.bullets(found.notes, otherwise="Every group is judged.")

# %% [markdown]
# ## How well does the model work in each group?
#
# The figure shows the macro-AUC of each group, with its 95 % interval over patients. The predictions of all
# folds are pooled. The dotted lines are the values for all patients.

# %%
rows = found.table[found.table["model"].isin([result.main, "ridge"])]
if rows["value"].notna().any():
    figure = figures.subgroup_forest(rows, overall=overall)
    display(reports.save_figure(figure, out_dir, "groups"))
else:
    display(reports.paragraph(f"No group has {smallest} patients, and five of each of its classes."))

# %%
compared = [result.main, "ridge"]
reports.full_table(fairness.shown_table(found, compared))

# %% [markdown]
# The share of patients with the right class, averaged over the classes (balanced accuracy):

# %%
reports.full_table(fairness.shown_table(found, compared, "balanced_accuracy"))

# %% [markdown]
# ## Do groups differ by more than chance?
#
# The table has the difference between the highest and the lowest group, and the ratio of the lowest to the
# highest. Even if the model works equally well for all groups, their values differ by chance. Therefore the
# patients of each class are divided into random groups, which have as many patients of each class as the real
# groups. p is the share of these divisions in which the groups differ at least as much. p (Holm) is adjusted
# for the number of groupings.

# %%
reports.full_table(fairness.shown_gaps(found, compared))

# %% [markdown]
# ## Does the model get better if its training groups are balanced?
#
# The same model is trained on the same folds, but all groups have the same influence. "Reweighted" uses
# weights in the loss. "Oversampled" repeats the rows of small groups, so an epoch has more steps. Test
# patients are never repeated.

# %%
if balanced:
    models = [result.main, *balanced]
    display(reports.bullets([f"Groups: {balance_by}.", *fairness.effect(result)]))
    display(reports.full_table(with_intervals(result.scores)))
    display(reports.full_table(fairness.shown_table(found, models)))
    display(reports.full_table(fairness.shown_gaps(found, balanced, ["macro_auc"])))
    rows = found.table[found.table["model"].isin(models)]
    if rows["value"].notna().any():
        display(reports.save_figure(figures.subgroup_forest(rows, overall=overall), out_dir, "balance"))
else:
    display(reports.paragraph("No balance was asked for: balance_by is none."))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(caveats(data, result))

# %% [markdown]
# Warnings about the data, each listed once for all models and folds:

# %%
reports.bullets(reports.warnings_given(result), otherwise="There were no warnings.")

# %% [markdown]
# ## Seed, versions and files
#
# The file `predictions.csv` beside this page has the out-of-fold predictions of every model.
# `mmfusion.reports.recompute(folder)` computes the metrics of the report again from it.

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
told = result.to_metrics() | {
    "primary": {"metric": "macro_auc", "model": result.main, "reference": "ridge"},
    "headline": said[0],
    "verdict": said,
    "groups": found.table.to_dict("records"),
    "gaps": found.gaps.to_dict("records"),
    "balance": {"by": balance_by, "effect": fairness.effect(result)},
    "plan": {"outer": plan.outer, "repeats": repeats, "smallest": smallest},
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
reports.standards_card("subgroups")
