# %% [markdown]
# # Stage from fused modalities
#
# Nested cross-validation of a fusion model beside simple ones, on the same patients: does fusing pay?

# %% tags=["parameters"]
cohort: str = "demo"  # demo, radiogenomics, lung1, tcga_luad, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # named target, such as stage3_ajcc7, stage2, late_vs_early; empty for the cohort's own
modalities: str = ""  # read only these, comma-separated; empty for all
preset: str = "demo"  # settings of the model: demo, full, paper_multimodal
fusion: str = "crossmodal"  # the fusion that is searched, and judged first; preset for the preset's own
fusions: str = "all"  # others to judge at its setting, comma-separated; or all, or none
n_patients: int = 120  # size limit of a synthetic cohort; 0 for all of it
outer: int = 0  # outer folds; 0: 3 on a synthetic cohort, 5 on a real one
inner: int = 0  # inner folds; 0: 2 or 3
trials: int = 0  # trials of the search in each outer fold; 0: 3 or 6
n_genes: int = 200  # genes kept in the fold; 0 for the preset's
max_epochs: int = 15  # at most; 0 for the preset's
learning_curve: str = "0.5"  # shares of the training patients to learn from as well, comma-separated; or none
external: str = (
    ""  # another cohort or manifest to judge the frozen models on, once; demo: the generator's next seed
)
external_root: str = ""  # folder of its files
n_explained: int = 8  # held-out patients a fold whose genes are explained
n_null: int = (
    0  # models fitted to permuted labels that genes are held against, 20 or more; 0: none, as each is a fit
)
save_model: str = (
    ""  # folder to save a model to, fitted on all patients at the folds' typical setting; empty: none
)
seed: int = 0  # of splits, fits and searches
where: str = "auto"  # serial, loky, auto, dask, tcp://host:port, slurm:QUEUE
n_jobs: int = 2  # processes
out_dir: str = ""  # filled in by the runner
work_dir: str = ""  # filled in by the runner; kept until the report is complete, so that a killed run resumes

# %%
import tempfile
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display
from sklearn.base import clone

import mmfusion as mf
from mmfusion import evaluation, figures, metrics, reports
from mmfusion.reports import provenance
from mmfusion.staging.report import explained, study, watched
from mmfusion.staging.report.verdict import caveats, headline, markdown_list, verdict, with_intervals
from mmfusion.staging.report.warned import collected, warnings_given

pd.set_option("display.max_colwidth", None)
work = Path(work_dir or tempfile.mkdtemp())
data, everybody, left_out = study.load_study(
    cohort, data_root, target, modalities, n_patients=n_patients, seed=seed
)
plan = study.make_plan(data, outer, inner, trials)
possible = study.optimum(data)
model = study.make_model(preset, fusion, n_genes=n_genes, max_epochs=max_epochs, random_state=seed)
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
    model, data, n_trials=plan.trials, fusions=study.other_fusions(model, fusions), singles=True, out=work / "headline",
    learning_curve=[float(f) for f in study.words_or_none(learning_curve)], **options,
)  # fmt: skip
best_possible = possible.get("observed")
references = {"chance": 0.5} | ({"optimum": best_possible} if best_possible else {})
counts = data.y.value_counts(sort=False)

# %% [markdown]
# ## Verdict

# %%
display(Markdown(markdown_list(verdict(result, best_possible))))

# %%
who = "patients with whatever they have of" if study.is_synthetic(data) else "patients who have all of"
shares = ", ".join(f"{name} {n}" for name, n in counts.items())
text = f"""{data.name}, target {data.target}: n = {len(data)} ({shares}), {who} {", ".join(data.modalities)}.
Outer folds: {plan.outer}; in each of them, inner folds: {plan.inner}, trials: {plan.trials}."""
text += "" if everybody is None else " Everybody, with whatever they have, stands further down."
display(Markdown(f"{text} {left_out}"))

# %%
curve = result.learning_curve()
if len(curve):
    text = (
        "The same models, learnt from fewer patients: where the curves still rise, more patients would help."
    )
    figure = figures.learning_curve(curve, references=references)
    display(Markdown(text), reports.save_figure(figure, out_dir, "learning_curve"))

# %% [markdown]
# ## All models, on the same patients and folds
#
# Mean over outer folds of the macro-averaged one-vs-rest AUC. "Ridge" is a logistic regression on all inputs, "clinical
# ridge" on the health records alone; "... only" is the fusion model given one modality. Where a patient lacks what a
# single-modality model reads, it answers with the shares of the classes.

# %%
reports.save_figure(
    figures.model_comparison(result.scores, main=result.main, references=references), out_dir, "models"
)

# %%
with_intervals(result.scores)

# %% [markdown]
# Every model minus the ridge, patient by patient. Thick: the fitted models, other patients. Thin: allowing as well for
# other training patients, of which folds share most. Shaded: differences too small for this n to show.

# %%
detectable = result.detectable_difference("ridge")
reports.save_figure(
    figures.paired_differences(result.paired("ridge"), main=result.main, detectable=detectable),
    out_dir,
    "differences",
)

# %% [markdown]
# ## The search
#
# What the inner folds of each outer fold chose; the test patients of a fold had no say. Where folds disagree, the
# setting hardly matters, or the inner folds are too small to tell.

# %%
reports.save_figure(figures.hyperparameters(result.params()), out_dir, "hyperparameters")

# %% [markdown]
# Loss by epoch at each fold's setting: one network, watched on a fifth of the fold's training patients that it does not
# learn from. Where the validation loss turns up again while the training loss falls, the network learns by heart.

# %%
losses = watched.watched_histories(result, model, data, where=where)
reports.save_figure(figures.learning_curves(losses), out_dir, "loss")

# %% [markdown]
# ## Which classes are told apart

# %%
reports.save_figure(figures.confusions(result.predictions, result.classes, result.main), out_dir, "confusion")

# %%
reports.save_figure(
    figures.roc(result.predictions, result.classes, result.main, random_state=seed), out_dir, "roc"
)

# %% [markdown]
# Can the probabilities be taken at their word? Below the diagonal, the model is surer than it is right.

# %%
reports.save_figure(
    figures.reliability(result.predictions, result.classes, [result.main, "ridge"]), out_dir, "reliability"
)

# %% [markdown]
# ## What each modality adds
#
# The model fitted anew on one modality at a time, next to all of them. Diamonds, on a synthetic cohort: the best
# possible for patients who have what is named.

# %%
singles = [f"{m} only" for m in data.modalities]
table = result.scores["macro_auc"].loc[[result.main, *singles]]
known = {f"{m} only": possible[m] for m in possible if f"{m} only" in singles} | {result.main: best_possible}
figure = figures.modality_ablation(table, optimum={k: v for k, v in known.items() if v})
reports.save_figure(figure, out_dir, "modalities")

# %% [markdown]
# Each fold's model, asked about its own held-out patients with every subset of what they have: exact Shapley values,
# and the macro-AUC that is lost when one modality is hidden. Nothing is refitted here.

# %%
attribution = explained.fold_modalities(result, data)
if attribution is not None:
    display(reports.save_figure(figures.modality_contributions(attribution[0]), out_dir, "shapley"))
    display(attribution[1].round(3))

# %% [markdown]
# ## All patients with a class, with whatever they have

# %%
judged, on = result, data if everybody is None else everybody
if everybody is None:
    display(Markdown(f"These are the patients above. {left_out}"))
else:
    simple = evaluation.standard_baselines(everybody.modalities, inner=plan.inner, random_state=seed)
    simple = {
        name: simple[name] for name in ("ridge", "clinical ridge", "forest", "majority") if name in simple
    }
    judged = mf.nested_cv(
        model, everybody, n_trials=min(2, plan.trials), baselines=simple, out=work / "all", **options
    )
    text = f"n = {judged.n}; {len(data)} of them are judged above. {left_out}"
    display(Markdown(markdown_list([text, *verdict(judged)])))
    figure = figures.model_comparison(judged.scores, main=judged.main)
    display(reports.save_figure(figure, out_dir, "models_all_patients"))

# %% [markdown]
# By what they have, the folds of a repeat pooled:

# %%
groups = study.presence_groups(on)
if groups.nunique() > 1:
    table = metrics.scores_by_group(judged.of([judged.main, "ridge"]), judged.classes, groups)
    display(reports.save_figure(figures.by_presence(table), out_dir, "by_presence"))
else:
    display(Markdown("Everybody has everything."))

# %% [markdown]
# ## External cohort
#
# The frozen models of the folds meet another cohort, once if it is to count. On the diagonal, cross-validation foretold
# what they do.

# %%
if external:
    other = study.load_external(external, external_root, data, n_patients=n_patients)
    outside, outside_scores, outside_warnings = explained.fold_external(result, other)
    display(reports.save_figure(figures.cv_vs_external(outside), out_dir, "external"))
    auc = outside_scores.loc["external", "macro_auc"]
    interval = f"{auc['mean']:.3f} [{auc['lo']:.3f}, {auc['hi']:.3f}]"
    text = f"{other.name}, n = {len(other)}: macro-AUC of the folds' models together {interval}."
    display(Markdown(markdown_list([text, *outside_warnings])))
else:
    display(Markdown("None was given."))

# %% [markdown]
# ## Genes that the predictions lean on
#
# Expected gradients (SHAP), each fold's model on its own held-out patients, other modalities as observed; the mean over
# folds. Candidate associations of the model, not biomarkers.

# %%
genes = explained.fold_genes(result, data, n_patients=n_explained, random_state=seed)
planted = set(data.provenance.get("planted_genes", ()))
if genes is None:
    display(Markdown("The model reads no genes."))
else:
    display(reports.save_figure(figures.gene_bars(genes.sizes, highlight=planted), out_dir, "genes"))
    top = list(genes.sizes.index[:20])
    text = f"{genes.n_patients} patients explained."
    text += (
        f" {len(planted & set(top))} of the leading 20 are among the {len(planted)} planted genes (red)."
        if planted
        else ""
    )
    many = len(genes.stability) > 0  # genes enough, and folds
    text += (
        " How far the leading k genes of the folds agree (Kuncheva: 0 by chance, 1 the same):" if many else ""
    )
    display(Markdown(text))
    if many:
        display(genes.stability.round(3))

# %%
if genes is not None and n_null:
    null = explained.genes_against_null(
        result, data, n_refits=n_null, n_patients=n_explained, random_state=seed
    )
    display(Markdown(f"The first fold's model against {n_null} that were fitted to permuted labels:"))
    display(reports.save_figure(figures.gene_null(null), out_dir, "genes_null"))

# %% [markdown]
# ## A model to take away
#
# Fitted on all patients, at the setting that the folds chose most often (of fractions, the median). The numbers above
# are those of models made in the same way from fewer patients; it has none of its own.

# %%
given = []
if save_model:
    with collected() as given:
        clone(model).set_params(**result.typical_params()).fit(on.X, on.y).save(save_model)
    display(
        Markdown(f"`{save_model}`, fitted on {len(on)} patients: `mmfusion predict --model {save_model} ...`")
    )
else:
    display(Markdown("None was asked for."))

# %% [markdown]
# ## What the models read
#
# Two things were checked: no column bears a name that is known to stand for T, N, M, the stage itself, or something
# learnt at or after the operation; and none determines the label by its content. A name that nobody foresaw passes the
# first, and a column that only hints at the label the second: look through the list yourself.

# %%
display(Markdown(markdown_list(study.inputs_read(data))))

# %% [markdown]
# ## What to be wary of

# %%
display(Markdown(markdown_list(caveats(data, result))))

# %% [markdown]
# Warnings about the data, each once over all models and folds:

# %%
judgements = [result] if everybody is None else [result, judged]
display(Markdown(markdown_list(warnings_given(*judgements, also=given))))

# %% [markdown]
# ## How it was made

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
made |= {
    f"sha256 {name}": digest
    for name, digest in (data.provenance.get("files") or {}).items()
    if isinstance(digest, str)
}
pd.Series(made, name="").to_frame()

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
    "all_patients": judged.to_metrics() if everybody is not None else None,
}
if external:
    found["external"] = {
        "cohort": other.name,
        "n": len(other),
        "macro_auc": {"mean": auc["mean"], "ci": [auc["lo"], auc["hi"]]},
    }
if genes is not None:
    found["genes"] = {
        "top": top,
        "stability": genes.stability.to_dict("index"),
        "planted_in_top_20": len(planted & set(top)) if planted else None,
    }
reports.write_metrics(found, out_dir)
