# %% [markdown]
# # The tumour microenvironment
#
# Hypoxia, T-cell exhaustion and other signatures (sets of genes) are scored for each patient from RNA. Do the
# scores change with the stage? Can they be predicted from CT?

# %% tags=["parameters"]
cohort: str = "demo"  # a known cohort with RNA and a stage, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # a stage, such as stage3_ajcc7, stage4_ajcc7, late_vs_early; empty for the cohort's own
sets: str = ""  # a GMT file, a table with a column per set, or names of signatures; empty for a default
min_share: float = 0.3  # share of the genes of a set that must be measured
n_random: int = 500  # random gene sets of each size
n_null: int = 200  # permutations of the scores, for the prediction from CT; raised to 40 per signature
n_patients: int = 0  # largest number of patients in a synthetic cohort; 0 for all
outer: int = 5  # outer folds
seed: int = 0  # seed of splits, permutations and random sets
where: str = "auto"  # serial, loky, auto, dask, tcp://host:port, slurm:QUEUE
n_jobs: int = 2  # processes
out_dir: str = ""  # filled in by the runner
work_dir: str = ""  # filled in by the runner; kept until the report is complete, so that a run can be resumed

# %%
import pandas as pd
from IPython.display import display

import mmfusion as mf
from mmfusion import figures, metrics, radiogenomics, reports
from mmfusion.radiogenomics.report import signature_scans as scans
from mmfusion.radiogenomics.report import signatures as stages
from mmfusion.radiogenomics.report import verdict
from mmfusion.reports import provenance
from mmfusion.staging.report import study as staging

with reports.collected() as given:
    data = mf.load_cohort(cohort, root=data_root or None, target=target or None)
    if staging.is_synthetic(data):
        data = staging.subset(data, n_patients, seed)
    study = stages.signature_study(data, sets, min_share=min_share)
    tests = stages.stage_tests(study, n_random=n_random, random_state=seed)
    of_scans, why_not = scans.scan_study(study, n_jobs=n_jobs)

result = null = None
n_permutations = 0
if of_scans:
    n_permutations = scans.enough_permutations(n_null, of_scans.cohort.y.shape[1])
    result = mf.nested_cv(
        of_scans.model, of_scans.cohort, name=scans.MAIN, baselines=of_scans.others, outer=outer,
        random_state=seed, where=where, n_jobs=n_jobs, out=work_dir or None, progress=False,
    )  # fmt: skip
    with reports.collected():  # the same as those of the cross-validation
        null = radiogenomics.expression_null(
            of_scans.model, of_scans.cohort, result, n_permutations=n_permutations, random_state=seed
        ).table()
said = stages.verdict(study, tests)
said += scans.scan_verdict(result, null, of_scans.best, n_permutations) if of_scans else [why_not]
data

# %% [markdown]
# ## Result

# %%
reports.bullets(said, strong_first=True)

# %%
reports.bullets(stages.protocol(study))

# %% [markdown]
# ## How many genes of each set are measured?

# %%
reports.full_table(stages.coverage_for_page(study))

# %% [markdown]
# ## Do the scores change with the stage?
#
# The figure shows the scores in each stage, with one point per patient. The box has the median and the
# quartiles. "rho" is Spearman's correlation of the score with the order of the stages. "Holm p" is its
# p-value, adjusted for the number of signatures. At most nine signatures are shown, those with the strongest
# trends.

# %%
shown = study.scores[stages.shown_first(tests)]
figure = figures.boxes_by_class(shown, study.stage, titles=stages.box_titles(tests), random_state=seed)
reports.save_figure(figure, out_dir, "by_stage")

# %% [markdown]
# The figure shows the trend (rho) of every signature, with its 95 % interval over patients. The grey bar
# contains the trends of 95 % of random gene sets of the same size. A signature inside its grey bar changes no
# more with the stage than random genes do.

# %%
if tests["rho"].notna().any():
    display(reports.save_figure(figures.trends(tests), out_dir, "trends"))
reports.full_table(stages.tests_for_page(tests))

# %% [markdown]
# Median and quartiles of the scores in each stage:

# %%
reports.full_table(metrics.class_table(shown, study.stage).round(3))

# %% [markdown]
# ## Can the scores be predicted from CT?
#
# The figure shows Pearson's correlation of the predicted with the true score, for patients that the model was
# not trained on. The grey bars show chance: the scores were exchanged at random between the patients, and the
# model (a ridge regression) was fitted again. There are at least 40 permutations for each signature (4000 for
# 100 signatures or more), so that a p-value can also be small after Holm's adjustment.

# %%
by_signature = None
if of_scans:
    names = result.task.names
    by_signature = metrics.target_table(result.of([result.main]), names).loc[result.main]
    figure = figures.correlation_null(
        by_signature["pearson"], null, best=of_scans.best or None, permuted="scores"
    )
    display(reports.paragraph(of_scans.said))
    display(reports.save_figure(figure, out_dir, "from_ct"))
    table = verdict.with_intervals(by_signature, verdict.CORRELATIONS)
    display(reports.full_table(scans.with_holm(table, null)))
else:
    display(reports.paragraph(why_not))

# %% [markdown]
# The mean over the signatures, for the ridge on CT features and for simpler models:

# %%
if of_scans:
    display(reports.full_table(verdict.with_intervals(result.scores, verdict.CORRELATIONS)))
else:
    display(reports.paragraph("There is nothing to compare."))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(stages.caveats(study, of_scans.cohort.notes if of_scans else ()))

# %% [markdown]
# Warnings, each listed once:

# %%
results = [result] if result else []
reports.bullets(reports.warnings_given(*results, also=given), otherwise="There were no warnings.")

# %% [markdown]
# ## Seed, versions and files

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
found = {"cohort": study.cohort.name, "target": study.cohort.target, "n": len(study.scores)}
if result:
    primary = {"metric": "pearson", "model": result.main, "reference": None}
    found = result.to_metrics() | {"primary": primary}
found |= {
    "headline": said[0],
    "verdict": said,
    "coverage": study.coverage.to_dict("index"),
    "stage": study.cohort.target,
    "n_by_stage": study.stage.value_counts(sort=False).to_dict(),
    "stages": stages.as_metrics(tests),
    "from_ct": None if null is None else null.to_dict("index"),
    "n_permutations": n_permutations,
    "optimum": of_scans.best if of_scans else None,
}
reports.write_metrics(found, out_dir)
if result:
    reports.write_predictions(result.predictions, out_dir)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("microenvironment")
