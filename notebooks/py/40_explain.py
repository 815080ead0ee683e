# %% [markdown]
# # Which genes, scans and modalities a model uses
#
# Which genes does a staging model use, and would it use them if there were nothing to find? The model is
# explained on patients that it was not fitted on. Its genes are compared with those of models fitted to
# permuted labels. Every gene that is named is a candidate association, not a biomarker.

# %% tags=["parameters"]
cohort: str = "demo"  # demo, radiogenomics, lung1, tcga_luad, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # named target; empty for the cohort's own
modalities: str = ""  # read only these, comma-separated; empty for all
model: str = ""  # a saved model, fitted on other patients; empty: fit one on part of the cohort
preset: str = "demo"  # settings of the model, if one is fitted
fusion: str = "crossmodal"  # its fusion; only crossmodal has attention over modalities. preset: the preset's
n_patients: int = 150  # largest number of patients in a synthetic cohort; 0 for all
n_explained: int = 24  # patients to explain; the others are for training
n_genes: int = 200  # genes kept; 0 for the preset's number
max_epochs: int = 12  # largest number of epochs; 0 for the preset's
n_null: int = 20  # models fitted to permuted labels, to compare genes with; 20 or more, 0: none
n_samples: int = 20  # gradients per patient and class
folds: int = 3  # folds for the stability of genes and the macro-AUC; 0: none
gmt: str = ""  # gene sets: a GMT file, or a CSV with a column per set; empty: those of a synthetic cohort
n_scans: int = 3  # scans to show
seed: int = 0  # seed of the split, the fits and the explanations
n_jobs: int = 2  # processes
out_dir: str = ""  # filled in by the runner
work_dir: str = ""  # filled in by the runner; kept until the report is complete

# %%
import tempfile
from pathlib import Path

import pandas as pd
from IPython.display import display
from sklearn.base import clone

import mmfusion as mf
from mmfusion import explain, figures, reports
from mmfusion.data.gene_sets import gene_sets
from mmfusion.escaping import write_csv
from mmfusion.reports import provenance
from mmfusion.staging.report import explained, genes_found, study

work = Path(work_dir or tempfile.mkdtemp())
if gmt:
    gene_sets(gmt)  # a wrong file is found before the fits
data, _, left_out = study.load_study(
    cohort, data_root, target, reports.words(modalities), n_patients=n_patients, seed=seed
)
known, others = genes_found.split(data, n_explained, mf.load(model) if model else None, seed=seed)
with reports.collected() as given:
    if model:
        classifier = mf.load(model)
    else:
        classifier = study.make_model(
            preset, fusion, n_genes=n_genes, max_epochs=max_epochs, random_state=seed
        )
        classifier.fit(known.X, known.y)
    inputs = classifier.transformer_.transform(others.X)
planted = set(data.provenance.get("planted_genes", ()))
streams = {spec.name: spec for spec in classifier.transformer_.specs_}
severe = str(classifier.classes_[-1])

# %% [markdown]
# ## Which genes does the model use?
#
# A SHAP value says how much a gene moves one patient's probability of a class. It is computed by expected
# gradients, and the other modalities of the patient stay as they are. Among all genes with the same q or a
# smaller one, q is the expected share of chance findings (false discovery rate).

# %%
judged = None
if folds:
    judged = mf.nested_cv(
        clone(classifier),
        data,
        outer=folds,
        baselines=False,
        random_state=seed,
        n_jobs=n_jobs,
        out=work / "folds",
        progress=False,
    )
auc = None if judged is None else float(judged.scores.loc[judged.main, ("macro_auc", "mean")])
table = None
if "rna" in streams and inputs.present[:, list(streams).index("rna")].any():
    null = (known.X, known.y) if known is not None else None
    with reports.collected() as more:
        table = explain.genes(
            classifier,
            others.X,
            null=null,
            n_null=n_null if null else 0,
            n_samples=n_samples,
            n_jobs=n_jobs,
            random_state=seed,
        ).set_index("gene")
    display(reports.bullets(genes_found.findings(table, planted=planted, auc=auc), strong_first=True))
else:
    display(reports.paragraph("The model reads no genes, or no patient to explain has them."))

# %%
if table is not None:
    figure = figures.gene_intervals(table, highlight=planted)
    display(reports.save_figure(figure, out_dir, "genes"))
    display(reports.full_table(table.head(20).round(4)))
    if out_dir:
        write_csv(table, Path(out_dir) / "genes.csv")

# %% [markdown]
# In the first figure, each dot is one patient. Its position is the contribution of the gene to the
# probability of the most severe class, and its colour is the expression of the gene. The bars of the second
# figure show the mean size of the contributions to each class. Genes that carry the signal of a synthetic
# cohort ("planted") are orange.

# %%
if table is not None:
    shap = explain.gene_shap(classifier, inputs, n_samples=n_samples, random_state=seed)
    figure = figures.gene_beeswarm(shap, severe, highlight=planted)
    display(reports.save_figure(figure, out_dir, "beeswarm"))
    figure = figures.gene_bars(shap.table()["mean_abs"], highlight=planted)
    display(reports.save_figure(figure, out_dir, "bars"))

# %% [markdown]
# ## Do other methods find the same genes?
#
# The first table compares how four methods rank the genes. It has the rank correlation (1: the same order).
#
# - `shap_observed`: SHAP, with the patient's own other modalities;
# - `shap_mean`: SHAP, with mean vectors in the place of the other modalities;
# - `integrated_gradients`;
# - `permutation`: the rise of the log-loss if the values of the gene are shuffled between patients.
#
# The second table has the leading genes. For one gene, `rho_mean` and `rho_gradients` are rank correlations
# over patients. They compare its contributions by `shap_mean` and by `integrated_gradients` with those by
# `shap_observed`.

# %%
agreement = None
if table is not None:
    check = explain.cross_check(
        classifier,
        inputs,
        others.y.astype(str),
        n_samples=n_samples,
        n_steps=20,
        n_repeats=2,
        random_state=seed,
    )
    agreement = check[list(explain.METHODS)].corr("spearman")
    display(reports.full_table(agreement.round(2)))
    display(reports.full_table(check.head(15).round(4)))

# %% [markdown]
# ## Are the genes stable?
#
# The models of the folds are explained on their held-out patients. The first table shows how well their first
# k genes agree (Kuncheva index: 0 is chance, 1 is the same genes). The second table is for one model, and 20
# bootstrap samples of the patients to explain. It shows what a choice of other patients alone would change.

# %%
stability = pd.DataFrame()
if table is not None and judged is not None:
    found = explained.fold_genes(judged, data, n_patients=n_explained // 2, random_state=seed)
    stability = found.stability
if len(stability):
    display(reports.full_table(stability.round(3)))
else:
    display(reports.paragraph("Not estimable: it needs genes, and several folds."))
resampled = pd.DataFrame()
if table is not None:
    resampled = explain.top_k_stability(explain.over_resamples(shap, random_state=seed))
    display(reports.full_table(resampled.round(3)))

# %% [markdown]
# ## Which gene sets are found more often than by chance?
#
# The table shows how many of the leading genes are in each set. The hypergeometric test compares this number
# with random draws from all genes that the model tested, not from the whole genome.

# %%
sets = gmt or data.provenance.get("gene_sets")
enriched = None
if table is None or not sets:
    display(reports.paragraph("No gene sets were given."))
else:
    enriched, text = genes_found.enriched(table, sets)
    display(reports.paragraph(text))
    if enriched is not None:
        small = {column: enriched[column].map("{:.2g}".format) for column in ("p", "q")}
        display(reports.full_table(enriched.assign(**small).head(20).round(2)))

# %% [markdown]
# ## Attention weights of the network
#
# An attention weight is the share with which a network mixes in a gene or a modality. It does not say how
# much the prediction depends on it (Jain and Wallace 2019). Compare it with the SHAP and Shapley values. A
# `ratio` of 1 means that all neighbours of a gene have the same weight.

# %%
edges, text = genes_found.estimable(explain.gene_edges, classifier, inputs, n=15)
display(reports.paragraph(text) if edges is None else reports.full_table(edges.set_index("source").round(3)))

# %%
attention, text = genes_found.estimable(explain.modality_attention, classifier, inputs)
if attention is None:
    display(reports.paragraph(text))
else:
    mean = pd.DataFrame({"mean over patients": attention.mean(), "even": attention.attrs["even"]})
    display(reports.full_table(mean.round(3)))

# %% [markdown]
# ## Which modalities does the model use?
#
# A Shapley value says how much a modality moves a patient's probability of a class, averaged over all orders
# in which the modalities can be added. A modality can move the probability without helping. In the table,
# `gain` says how much a modality raises the probability of the true class on average, with a 95 % interval.
# `drop` says how much macro-AUC is lost without the modality.

# %%
shapley = explain.modality_shapley(classifier, inputs)
display(reports.save_figure(figures.modality_contributions(shapley), out_dir, "modalities"))
truth = others.y.astype(str)
gain = shapley.gain(truth.loc[list(shapley.patients)])
without = explain.leave_one_modality_out(classifier, inputs, truth).drop(columns="n")
display(reports.full_table(gain.join(without).round(3)))

# %%
if out_dir:
    write_csv(shapley.values_of(severe), Path(out_dir) / "modalities.csv")

# %% [markdown]
# ## Which parts of the scans does the model use?
#
# Two methods are compared. HiResCAM, a variant of Grad-CAM, uses gradients to mark the parts of the crop that
# raise the predicted severity. Occlusion hides one cube of the crop after the other. It marks a cube if the
# severity falls without it. The outline is the mask of the tumour.
#
# The brightness is relative to the strongest place of each patient. It does not say how strong the effect is.
#
# In the table, `energy` is the share of the map that lies inside the tumour, and `volume` is the share of the
# crop that the tumour fills. Their ratio is 1 for a map that does not depend on the tumour.

# %%
energy = None
if "ct" in streams and inputs.present[:, list(streams).index("ct")].any():
    maps = explain.scan_gradcam(classifier, inputs, stream="ct")
    masks = None
    if ("ct", "mask") in others.table.columns:
        masks = explain.tumour_masks(classifier, others, maps.patients, stream="ct")
    shown = inputs.rows([i for i, one in enumerate(inputs.index) if str(one) in maps.patients[:n_scans]])
    both = {"HiResCAM": explain.scan_gradcam(classifier, shown, stream="ct")}
    both["occlusion"] = explain.scan_occlusion(classifier, shown, stream="ct")
    some = None if masks is None else masks[: len(shown.index)]
    spacing = explain.crop_spacing(classifier, others.X.loc[list(shown.index)], stream="ct")
    figure = figures.scan_maps(both, masks=some, patients=maps.patients[:n_scans], spacing=spacing)
    display(reports.save_figure(figure, out_dir, "scans"))
    alike = explain.randomisation_check(classifier, inputs, stream="ct").mean()
    text = f"Rank correlation between these HiResCAM maps and those of shuffled weights: {alike:.2f}."
    text += " Near 1, the maps do not show what the model learned."
    display(reports.paragraph(text))
    if masks is not None and masks.any():
        energy = explain.energy_in_tumour(maps.maps, masks).set_axis(list(maps.patients)).dropna()
        means = {f"HiResCAM, {len(energy)} patients": energy.mean()}
        hidden = explain.energy_in_tumour(both["occlusion"].maps, some).dropna()
        means[f"occlusion, {len(hidden)} patients"] = hidden.mean()
        display(reports.full_table(pd.DataFrame(means).T.round(3)))
else:
    display(reports.paragraph("The model reads no CT scans, or no patient to explain has one."))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(genes_found.LIMITATIONS)

# %% [markdown]
# Warnings about the data:

# %%
reports.bullets(reports.warnings_given(*([judged] if judged else []), also=given), otherwise="None.")

# %% [markdown]
# ## Seed, versions and files
#
# The file `genes.csv` beside this page has all ranked genes, and `modalities.csv` the Shapley values of each
# patient.

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
found = {
    "cohort": data.name,
    "target": data.target,
    "n": len(others),
    "headline": "The model reads no genes." if table is None else genes_found.findings(table)[0],
    "macro_auc": auc,
    "genes": None if table is None else genes_found.summary(table, planted),
    "agreement": None if agreement is None else agreement.to_dict(),
    "stability": stability.to_dict("index"),
    "stability_resampled": resampled.to_dict("index"),
    "gene_sets": None if enriched is None else enriched.head(20)[["found", "p", "q"]].to_dict("index"),
    "modality_shapley": shapley.mean_abs().mean(axis=1).to_dict(),
    "modality_gain": gain["gain"].to_dict(),
    "gradcam_energy": None if energy is None else energy.mean().to_dict(),
}
reports.write_metrics(found, out_dir)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("explain")
