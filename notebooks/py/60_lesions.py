# %% [markdown]
# # Lesions in scans
#
# How well do networks segment lesions? This report evaluates them by cross-validation on patients with true
# masks, and compares them with rules without training. It shows overlap, detection, and single patients.

# %% tags=["parameters"]
cohort: str = "lesion_phantom"  # a known cohort with masks, such as sts_petct or msd_lung, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the phantom, or for a manifest beside its files
modalities: str = ""  # scans that all networks read, comma-separated; empty for all of the cohort
network: str = "raseg"  # the main network
networks: str = "resenc_unet"  # other networks, comma-separated; or all, or none
preset: str = "demo"  # size of the networks: demo, full
box_mode: str = "auto"  # boxes of the main network: none, detector, jittered, oracle; auto: detector or none
oracle: bool = True  # also judge the main network with the boxes of the true masks, if it reads boxes
singles: bool = False  # also judge the main network on each of its scans alone
n_patients: int = 24  # patients of the phantom, or the first patients of another cohort; 0 for all
outer: int = 3  # outer folds
max_epochs: int = 12  # largest number of epochs; 0 for the preset's
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
from mmfusion import figures, reports
from mmfusion.lesions.report import patients, study, verdict
from mmfusion.reports import provenance

work = Path(work_dir or tempfile.mkdtemp())
data, left_out = study.load_study(
    cohort, data_root, reports.words(modalities), n_patients=n_patients, seed=seed, phantom=study.CROPS
)
scans = study.scans_of(data)
model = study.make_segmenter(network, preset, scans, box_mode, max_epochs=max_epochs, random_state=seed)
others, unfit = study.other_networks(model, reports.words_or_none(networks))

result = mf.nested_cv(
    model, data, networks=others, singles=singles, box_modes=study.oracle_beside(model, wanted=oracle),
    outer=outer, random_state=seed, where=where, n_jobs=n_jobs, out=work, progress=False,
)  # fmt: skip
reference = verdict.reference_of(result)

# %% [markdown]
# ## Result

# %%
reports.bullets(verdict.verdict(result), strong_first=True)

# %%
reports.bullets([line for line in [*study.protocol(data, result, left_out), unfit] if line])

# %% [markdown]
# ## All models, on the same patients and folds
#
# Dice of a patient: twice the common volume of the true and the predicted mask, divided by the sum of their
# volumes. 1 is perfect, 0 is no overlap. "Dice per patient" is the mean over patients.

# %%
reports.save_figure(
    figures.model_comparison(result.scores, metric="dice", main=result.main), out_dir, "models"
)

# %% [markdown]
# Overlap and detection. A lesion is found if at least one of its voxels is marked. A marked region without a
# voxel of a lesion is a false lesion. The false-negative (FN) volume is the volume of the lesions that were
# missed, and the false-positive (FP) volume is that of the false lesions.

# %%
reports.save_figure(figures.detection_table(result.scores), out_dir, "detection")

# %% [markdown]
# Further metrics, with 95 % intervals over patients. Precision is the share of the marked volume that is
# lesion. Recall is the share of the lesion volume that is marked.

# %%
reports.full_table(verdict.with_intervals(result.scores))

# %% [markdown]
# Surface distances and slices. Distances are means over the patients for whom neither mask is empty.

# %%
reports.full_table(verdict.with_intervals(result.scores, verdict.DISTANCE))

# %%
if reference is not None:
    text = f"Difference in Dice per patient between each model and {reference}, on the same patients:"
    figure = figures.paired_differences(
        result.paired(reference), reference=reference, main=result.main, metric="dice"
    )
    display(reports.paragraph(text), reports.save_figure(figure, out_dir, "differences"))
    display(reports.full_table(verdict.paired_table(result, reference)))

# %% [markdown]
# ## Training
#
# Loss of the main network by epoch, one panel per fold. If it still falls at the end, more epochs would help.

# %%
reports.save_figure(figures.learning_curves(result.histories()), out_dir, "loss")

# %% [markdown]
# ## The best, the median and the worst patient
#
# Each mask is the prediction of a model that was trained without this patient.

# %%
reports.save_figure(figures.lesion_overlays(patients.overlay_cases(result, data)), out_dir, "overlays")

# %% [markdown]
# ## Results by size and type of the lesion
#
# The size is the diameter of a sphere with the volume of the true mask. "Lesions found" is the share of the
# lesions that the first model found, and n is the number of patients.

# %%
grouped = patients.with_groups(result, data)
shown = patients.few_models(result)
reports.save_figure(figures.lesion_scores(grouped[grouped["model"].isin(shown)], "size"), out_dir, "by_size")

# %%
reports.full_table(patients.group_table(grouped, "size", shown))

# %%
if "type" in grouped:
    figure = figures.lesion_scores(grouped[grouped["model"] == result.main], "type")
    display(reports.save_figure(figure, out_dir, "by_type"))
    display(reports.full_table(patients.group_table(grouped, "type", shown)))
else:
    display(reports.paragraph("The cohort does not record types of lesions."))

# %% [markdown]
# ## Every patient

# %%
reports.full_table(patients.patient_table(grouped))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(verdict.caveats(data, result, preset))

# %% [markdown]
# Warnings, each listed once for all models and folds:

# %%
reports.bullets(reports.warnings_given(result), otherwise="There were no warnings.")

# %% [markdown]
# ## Seed, versions and files
#
# The file `predictions.csv` beside this page has the scores of every patient and model.
# `mmfusion.reports.recompute(folder)` computes the metrics of the report again from it.

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
found = result.to_metrics() | {
    "primary": {"metric": "dice", "model": result.main, "reference": reference},
    "headline": verdict.headline(result),
    "verdict": verdict.verdict(result),
    "box_mode": model.box_mode,
    "reads_true_masks": [name for name in result.models if study.reads_truth(name)],
    "dice_by_patient": verdict.dice_by_patient(result.predictions),
    "plan": {"outer": outer, "max_epochs": model.settings.plan.max_epochs},
}
if reference is not None:
    found["paired"] = {"reference": reference, **result.paired(reference).to_dict("index")}
reports.write_metrics(found, out_dir)
reports.write_predictions(result.predictions, out_dir)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("lesions")
