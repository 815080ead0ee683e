# %% [markdown]
# # EGFR and expression from scans
#
# Do features of scans predict the EGFR status of a lung tumour, and the expression of genes? This report
# evaluates the models of a paper (arXiv 2211.06620) by nested cross-validation. Each result is compared with
# that of the health records alone, and with that of the same model on permuted labels. The report also shows
# a leak of the paper.

# %% tags=["parameters"]
cohort: str = "radiomics_phantom"  # radiomics_phantom, r01_egfr, radiogenomics, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the phantom, or for a manifest beside its files
target: str = "egfr"  # a target with two classes: egfr, kras
modalities: str = "ct"  # modalities with the features, comma-separated
features: str = "radiomics"  # radiomics: table of the cohort; deep: of a segmenter, from scans; both
level: str = "mid"  # level of the deep features: high, mid, multi
segmenter: str = "demo"  # size of the segmenter (RA-Seg): demo, full
segmenter_epochs: int = 0  # epochs of its training; 0 for its own number
cross_fit: bool = False  # train the segmenter in the inner folds too, which takes `inner` times as long
reducers: str = "none, pca, lda"  # some of none, pca, lda, select
classifiers: str = "qda, dt, rf, svc"  # some of qda, dt, rf, svc
preset: str = "demo"  # number of settings that inner folds try: demo, full
n_patients: int = 0  # patients of the phantom; 0 for its default
outer: int = 5  # outer folds
repeats: int = 1  # repeats of the outer folds; each repeat shuffles the patients again
inner: int = 3  # inner folds
n_permuted: int = 5  # runs on permuted labels
genes: str = ""  # genes whose expression is predicted, comma-separated; empty for the panel of the cohort
n_null: int = 200  # permutations of the expression
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

import mmfusion as mf
from mmfusion import figures, metrics, radiogenomics, reports
from mmfusion.evaluation.leakage import lda_demo
from mmfusion.radiogenomics.report import expression_study, reading, study, verdict
from mmfusion.reports import provenance

work = Path(work_dir or tempfile.mkdtemp())
data = study.load_study(
    cohort, data_root, target, reports.words(modalities), n_patients=n_patients, seed=seed, features=features
)
extractor = reading.deep_extractor(
    features, data.modalities, level=level, preset=segmenter, max_epochs=segmenter_epochs, random_state=seed,
    memory=work / "segmenters",
)  # fmt: skip
model, single = study.genotype_models(
    reports.words(reducers), reports.words(classifiers), data.modalities, preset=preset, inner=inner,
    extractor=extractor, cross_fit=cross_fit,
)  # fmt: skip
clinical, absent = study.clinical_models(data.cohort, random_state=seed)
folds = {"outer": outer, "repeats": repeats, "random_state": seed, "where": where, "n_jobs": n_jobs}

result = mf.nested_cv(
    model, data.cohort, name=study.MAIN, baselines=single | clinical, out=work / "genotype", progress=False,
    **folds,
)  # fmt: skip
permuted = radiogenomics.permuted_runs(model, data.cohort, n_permuted, **folds)
leak = None
if data.tables is not None:
    leak = lda_demo(seed, 3, cohort=data.tables, modalities=data.modalities, folds=outer)
best = study.optimum(data.cohort)
reference = verdict.reference_of(result)
data.cohort

# %% [markdown]
# ## Result

# %%
reports.bullets(verdict.verdict(result, permuted, leak, best.get("auc")), strong_first=True)

# %%
reports.bullets([*verdict.protocol(data, result), *absent])

# %% [markdown]
# ## All models, on the same patients and folds

# %%
references = {"chance": 0.5} | ({"optimum": best["auc"]} if "auc" in best else {})
figure = figures.model_comparison(result.scores, main=result.main, references=references)
reports.save_figure(figure, out_dir, "models")

# %%
reports.full_table(verdict.with_intervals(result.scores))

# %% [markdown]
# Inputs of the clinical models:

# %%
reports.full_table(study.clinical_inputs())

# %%
if reference is not None:
    text = f"Difference in AUC between each model and {reference}, on the same patients:"
    figure = figures.paired_differences(result.paired(reference), reference=reference, main=result.main)
    display(reports.paragraph(text), reports.save_figure(figure, out_dir, "differences"))
else:
    display(reports.paragraph("There are no health records to compare with."))

# %% [markdown]
# ## The choice of the inner folds
#
# In each outer fold, inner folds chose one reducer and one classifier with their settings:

# %%
reports.full_table(result.params().astype(str))

# %% [markdown]
# ## Nothing to find: permuted labels, and a leak
#
# The figure shows the area under the ROC curve (AUC) of the main model on permuted labels, with the 95 %
# interval of each run. Without information the AUC is 0.5 on average. In single runs it varies as much as
# here.

# %%
reports.full_table(permuted.set_index("seed"))

# %% [markdown]
# LDA (linear discriminant analysis) is fitted on all patients before the cross-validation, as in the paper
# ("leaky"), or inside the folds ("honest"). LDA separates the patients it was fitted on, even if the labels
# are random.

# %%
if leak is not None:
    display(reports.save_figure(figures.leak_gaps(leak, metric="auc", chance=0.5), out_dir, "leak"))
else:
    display(reports.paragraph("It is shown for tables of features only."))

# %% [markdown]
# ## Within subgroups
#
# All mutants may have the same histology, and hospitals differ in their patients and in their scanners. A
# model that recognises the histology or the hospital then seems to predict the genotype. Within a subgroup
# this does not help, so the AUC there is not affected. It needs five patients of each class. With fewer than
# ten, it is uncertain.

# %%
groups = study.subgroups(data.cohort)
shown = [name for name in (result.main, reference) if name]
for name, group in groups.items():
    display(reports.paragraph(f"By {name}:"))
    display(reports.full_table(verdict.within_table(study.within(result, group, shown))))
if not groups:
    display(reports.paragraph("The cohort records no histology and no site."))

# %% [markdown]
# ## Health records of all patients

# %%
records = None
if data.everybody is not None and clinical:
    others = dict(clinical)
    first = next(iter(others))
    records = mf.nested_cv(
        others.pop(first), data.everybody, name=first, baselines=others, out=work / "records", progress=False,
        **folds,
    )  # fmt: skip
    display(reports.paragraph(f"{records.n} patients, of whom some have no features of scans:"))
    display(reports.full_table(verdict.with_intervals(records.scores)))
    largest = verdict.reference_of(records)
    by_chance = radiogenomics.permuted_runs(clinical[largest], data.everybody, n_permuted, **folds)
    said = verdict.permuted_sentence(by_chance, float(records.scores.loc[largest, ("macro_auc", "mean")]))
    display(reports.paragraph(f"{largest}: {said} Within subgroups:"))
    for group in study.subgroups(data.everybody).values():
        display(reports.full_table(verdict.within_table(study.within(records, group, records.models))))
else:
    display(reports.paragraph("All patients with a label have features; their health records are above."))

# %% [markdown]
# ## Expression
#
# Ridge regression on the same features predicts the expression of each gene. The permutations show chance:
# the expression is exchanged between patients, and the ridge is fitted again on the same folds.

# %%
panel, reason = expression_study.expression_study(data, reports.words(genes))
expressed = found = None
if panel is None:
    display(reports.paragraph(reason))
else:
    regressor, others = expression_study.expression_models(data, panel, extractor)
    expressed = mf.nested_cv(
        regressor, panel, name="features", baselines=others, out=work / "expression", progress=False, **folds
    )
    null = radiogenomics.expression_null(
        regressor, panel, expressed, n_permutations=n_null, random_state=seed
    )
    found = null.table()
    lines = verdict.expression_verdict(expressed, found, best.get("expression_r"))
    display(reports.bullets(lines, strong_first=True))
    display(reports.full_table(verdict.with_intervals(expressed.scores, verdict.CORRELATIONS)))

# %%
if panel is not None:
    by_gene = metrics.target_table(expressed.of(["features"]), expressed.task.names).loc["features"]
    possible = (panel.provenance.get("optimum") or {}).get("expression_r")
    figure = figures.correlation_null(by_gene["pearson"], found, best=possible)
    display(reports.save_figure(figure, out_dir, "expression"))
    display(reports.full_table(verdict.with_intervals(by_gene, verdict.CORRELATIONS).join(found["p"])))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(verdict.caveats(data, result))

# %% [markdown]
# Warnings, each listed once for all models and folds:

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
    "primary": {"metric": "macro_auc", "model": result.main, "reference": reference},
    "headline": verdict.verdict(result)[0],
    "verdict": verdict.verdict(result, permuted, leak, best.get("auc")),
    "clinical_inputs": study.clinical_inputs()["inputs"].to_dict(),
    "permuted": permuted.to_dict("records"),
    "leak": None if leak is None else leak.to_dict("records"),
    "optimum": best or None,
    "all_patients": None if records is None else records.to_metrics(),
    "expression": None if expressed is None else expressed.to_metrics() | {"null": found.to_dict("index")},
    "plan": {"outer": outer, "repeats": repeats, "inner": inner, "preset": preset, "features": features},
}
if reference is not None:
    told["paired"] = {"reference": reference, **result.paired(reference).to_dict("index")}
reports.write_metrics(told, out_dir)
reports.write_predictions(result.predictions, out_dir)
for part, judged in (("all_patients", records), ("expression", expressed)):
    if judged is not None:
        reports.write_predictions(judged.predictions, out_dir, part)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("egfr")
