# %% [markdown]
# # Benchmark of stage models
#
# Which model should be used? This report judges every fusion and a range of simple models by nested
# cross-validation on the same patients and folds, and says which differences are larger than chance.

# %% tags=["parameters"]
cohorts: str = "demo"  # demo, lung1, radiogenomics, tcga_luad, or manifests; comma-separated
data_roots: str = ""  # folder of each cohort's files, comma-separated; empty for the demo
only: str = ""  # these models only, comma-separated; empty for all; ridge is always judged
preset: str = "demo"  # settings of the fusion models: demo, full; or default, those of StageClassifier()
n_patients: int = 80  # largest number of patients in a synthetic cohort; 0 for all
outer: int = 3  # outer folds
repeats: int = 1  # repeats of the outer folds; each repeat shuffles the patients again; use 4 or more
trials: int = 2  # trials of the search, for the first fusion only; 0: no search
inner: int = 2  # inner folds of the search
max_epochs: int = 10  # largest number of epochs; 0 for the preset's
seed: int = 0  # seed of folds, fits and searches
where: str = "auto"  # serial, loky, auto, dask, tcp://host:port, slurm:QUEUE
n_jobs: int = 2  # processes
out_dir: str = ""  # filled in by the runner
work_dir: str = ""  # filled in by the runner; kept until the report is complete, so that a run can be resumed

# %%
import tempfile
from pathlib import Path

import pandas as pd
from IPython.display import display

from mmfusion import figures, reports
from mmfusion.reports import provenance
from mmfusion.staging import StageClassifier
from mmfusion.staging.report import benchmark, benchmark_table, study

work = Path(work_dir or tempfile.mkdtemp())
names, roots = reports.words(cohorts), reports.words(data_roots)
roots = dict(zip(names, roots or [None] * len(names), strict=True))
results, patients = {}, {}
for name in names:
    data = benchmark.load(name, roots[name])
    data = study.subset(data, n_patients, seed) if study.is_synthetic(data) and n_patients else data
    model = StageClassifier() if preset == "default" else study.make_model(preset)
    model.set_params(**({"max_epochs": max_epochs} if max_epochs else {}))
    results[name] = benchmark.run(
        data, model=model, only=reports.words(only), outer=outer, repeats=repeats, trials=trials, inner=inner,
        out=work / Path(name).stem, seed=seed, where=where, n_jobs=n_jobs,
    )  # fmt: skip
    patients[name] = data
tables = {name: benchmark_table.table(result) for name, result in results.items()}
best = {name: study.optimum(data).get("observed") for name, data in patients.items()}

# %% [markdown]
# ## Result
#
# Macro-AUC is the area under the ROC curve (AUC) of each class against all others, averaged over the classes:
# 0.5 is chance, 1 is best.

# %%
reports.bullets([benchmark_table.sentence(results[name], tables[name]) for name in names], strong_first=True)

# %% [markdown]
# The figure and the table of each cohort have means over the outer folds, with a 95 % interval over patients.
# Macro-F1 is the mean over the classes of F1, which combines precision and recall (1 is best).
#
# - "ridge" is a logistic regression on all inputs, and "clinical ridge" the same on the health records alone;
# - "... only" is the fusion model with one modality;
# - "mean of three" is the mean probability of the fusion model, ridge and the forest, and "stack" learns
#   their weights.
#
# Seconds (of the processor) and memory are those of one fit. The memory includes the loaded libraries.

# %%
for name in names:
    result = results[name]
    classes = patients[name].y.value_counts(sort=False)
    text = ", ".join(f"{label} {n}" for label, n in classes.items())
    display(reports.paragraph(f"{name}, {result.target}", heading=2))
    display(reports.paragraph(f"n = {result.n} ({text}), {outer} outer folds, {repeats} times."))
    references = {"chance": 0.5} | ({"optimum": best[name]} if best[name] else {})
    figure = figures.model_comparison(result.scores, main=result.main, references=references)
    display(reports.save_figure(figure, out_dir, f"models_{Path(name).stem}"))
    display(reports.full_table(benchmark_table.shown_scores(tables[name])))

# %% [markdown]
# ## Which differences to ridge are larger than chance?
#
# The figure shows the difference in macro-AUC between each model and ridge, on the same folds. The thick line
# is a 95 % interval over test patients, widened because the folds share most of their training patients. The
# thin line is the interval of a t-test over folds with the same correction (Nadeau and Bengio 2003). Shaded
# differences are too small to be detected with this number of patients. The table has the interval of the
# thin line. Its p is adjusted for the number of models (Holm 1979).

# %%
for name in names:
    result = results[name]
    figure = figures.paired_differences(
        result.paired("ridge"), main=result.main, detectable=result.detectable_difference("ridge")
    )
    display(reports.paragraph(name, heading=2))
    display(reports.save_figure(figure, out_dir, f"differences_{Path(name).stem}"))
    display(reports.full_table(benchmark_table.shown_differences(tables[name])))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(
    [
        "The first model is not shown to be the best if its lead is smaller than its interval.",
        "The settings are searched for the first fusion only. The other fusions use the same settings. This "
        "can favour the first fusion.",
        "Simple models name the most probable class. The fusions use a rule that aims at a large macro-F1. "
        "Macro-F1 therefore depends on this rule too; macro-AUC depends on the probabilities only.",
    ]
)

# %% [markdown]
# Warnings about the data, each listed once for all models and folds:

# %%
reports.bullets(reports.warnings_given(*results.values()))

# %% [markdown]
# ## Seed, versions and files

# %%
reports.full_table(
    pd.Series({"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}, name="").to_frame()
)

# %%
first = names[0]
reports.write_metrics(
    results[first].to_metrics()
    | {
        "primary": {"metric": "macro_auc", "model": results[first].main, "reference": "ridge"},
        "headline": benchmark_table.sentence(results[first], tables[first]),
        "cohorts": benchmark_table.to_metrics(tables),
        "plan": {"outer": outer, "repeats": repeats, "inner": inner, "trials": trials},
        "optimum": best,
    },
    out_dir,
)
for name, result in results.items():
    reports.write_predictions(result.predictions, out_dir, "" if name == first else Path(name).stem)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("benchmark")
