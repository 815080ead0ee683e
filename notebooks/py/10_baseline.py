# %% [markdown]
# # Simple models
#
# This report judges models without a fusion network: ridge on all modalities, ridge on one modality, a random
# forest, and the paper's baseline.

# %% tags=["parameters"]
cohort: str = "demo"  # demo, radiogenomics, lung1, tcga_luad, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # named target, such as stage3_ajcc7, stage2, late_vs_early; empty for the cohort's own
modalities: str = ""  # read only these, comma-separated; empty for all
n_patients: int = 0  # largest number of patients in a synthetic cohort; 0 for all
outer: int = 5  # outer folds
inner: int = 3  # inner folds, which choose the penalty
repeats: int = 1  # repeats of the outer folds; each repeat shuffles the patients again
seed: int = 0  # seed of splits and fits
where: str = "auto"  # serial, loky, auto, dask, tcp://host:port, slurm:QUEUE
n_jobs: int = 2  # processes
out_dir: str = ""  # filled in by the runner
work_dir: str = ""  # filled in by the runner; kept until the report is complete, so that a run can be resumed

# %%
import mmfusion as mf
from mmfusion import evaluation, figures, reports
from mmfusion.staging.report import study
from mmfusion.staging.report.verdict import caveats, with_intervals, worse_than_chance

data, everybody, left_out = study.load_study(
    cohort, data_root, target, reports.words(modalities), n_patients=n_patients, seed=seed
)
models = evaluation.standard_baselines(data.modalities, inner=inner, random_state=seed)
if paper := study.paper_baseline(data, random_state=seed):
    models["paper's MLP"] = paper
result = mf.nested_cv(
    models.pop("ridge"), data, name="ridge", baselines=models, outer=outer, inner=inner, repeats=repeats,
    random_state=seed, where=where, n_jobs=n_jobs, out=work_dir or None, progress=False,
)  # fmt: skip
data

# %%
text = (
    ""
    if everybody is None
    else f"These patients have all modalities; {len(everybody) - len(data)} others lack at least one. "
)
text += (
    ""
    if paper
    else "The paper's baseline is left out: it reads CT features and health records, and no scans."
)
reports.paragraph(f"{text} {left_out}")

# %% [markdown]
# ## All models, on the same patients and folds

# %%
possible = study.optimum(data).get("observed")
references = {"chance": 0.5} | ({"optimum": possible} if possible else {})
reports.save_figure(
    figures.model_comparison(result.scores, main="ridge", references=references), out_dir, "models"
)

# %%
reports.full_table(with_intervals(result.scores))

# %%
reports.bullets(worse_than_chance(result.scores["macro_auc"], result.predictions))

# %% [markdown]
# The figure shows the difference between each model and the ridge (a logistic regression on all inputs), with
# its 95 % interval over the same patients.

# %%
reports.save_figure(figures.paired_differences(result.paired("ridge")), out_dir, "differences")

# %% [markdown]
# ## Which classes are confused
#
# The predicted class is the class that the model decided on. It can differ from the most probable class.

# %%
best = result.scores["macro_auc", "mean"].idxmax()
reports.save_figure(figures.confusions(result.predictions, result.classes, best), out_dir, "confusion")

# %% [markdown]
# ## Are the probabilities calibrated?

# %%
reports.save_figure(
    figures.reliability(result.predictions, result.classes, ["ridge", "forest"]), out_dir, "reliability"
)

# %% [markdown]
# ## Limitations

# %%
reports.bullets(caveats(data, result))

# %%
auc = result.scores["macro_auc"].loc[best]
found = result.to_metrics() | {
    "primary": {"metric": "macro_auc", "model": "ridge"},
    "headline": f"best simple model: {best}, macro-AUC {auc['mean']:.3f} [{auc['lo']:.3f}, {auc['hi']:.3f}]",
    "classes": data.y.value_counts(sort=False).to_dict(),
    "optimum": study.optimum(data) or None,
}
reports.write_metrics(found, out_dir)
reports.write_predictions(result.predictions, out_dir)

# %% [markdown]
# The file `predictions.csv` beside this page has the out-of-fold predictions of every model.
# `mmfusion.reports.recompute(folder)` computes the metrics of the report again from it.

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("baseline")
