# %% [markdown]
# # Internal gross tumour volume in PET/CT
#
# The internal gross tumour volume (IGTV) is the union of the tumour over all respiratory phases. At its upper
# and lower end, the tumour is faint in PET. Does a network segment it better if it reads neighbouring slices,
# or if it starts from weights that were learned on single slices?

# %% tags=["parameters"]
cohort: str = "lesion_phantom"  # a known cohort with masks, such as sts_petct, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the phantom, or for a manifest beside its files
modalities: str = ""  # scans that all networks read, comma-separated; empty for all of the cohort
pretrain_cohort: str = "lesion_phantom"  # cohort on which the 2D network is pretrained; other patients
pretrain_root: str = ""  # folder of its files
n_patients: int = 24  # patients of the phantom, or the first patients of another cohort; 0 for all
n_pretrain: int = 32  # patients of the pretraining; as n_patients
small: bool = True  # use networks that are smaller than those of the preset, for a demonstration in minutes
preset: str = "demo"  # size of the networks: demo, full
outer: int = 2  # outer folds
max_epochs: int = 8  # largest number of epochs; 0 for the preset's
pretrain_epochs: int = 12  # largest number of epochs of the pretraining; 0 for the preset's
frozen_epochs: int = 2  # epochs in which the encoder of a pretrained network is not changed
seed: int = 0  # seed of the phantoms, splits and fits
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
from mmfusion import figures, metrics, reports
from mmfusion.lesions.report import igtv, patients, slices, study, verdict
from mmfusion.reports import provenance

work = Path(work_dir or tempfile.mkdtemp())
data, left_out = study.load_study(
    cohort, data_root, reports.words(modalities), n_patients=n_patients, seed=seed,
    phantom=igtv.PHANTOM | {"igtv": True},
)  # fmt: skip
scans = study.scans_of(data)
before, _ = study.load_study(
    pretrain_cohort, pretrain_root, scans, n_patients=n_pretrain, seed=seed + 1, phantom=igtv.PHANTOM
)
options = igtv.SMALL if small else {}
patch = igtv.PATCH if small else {}
flat = study.make_segmenter(
    "cipa", preset, scans, options=options, max_epochs=pretrain_epochs, random_state=seed, **patch
)
with reports.collected() as given:
    start = igtv.pretrain(flat, before, data, work / "pretrained")

models = igtv.grid(start, options, frozen_epochs=frozen_epochs)
main = study.make_segmenter(preset=preset, modalities=scans, max_epochs=max_epochs, random_state=seed,
                            **patch, **models[igtv.MAIN])  # fmt: skip
others = {name: changes for name, changes in models.items() if name != igtv.MAIN}
result = mf.nested_cv(
    main, data, name=igtv.MAIN, settings=others, outer=outer, random_state=seed, where=where, n_jobs=n_jobs,
    out=work, progress=False,
)  # fmt: skip
found_gains = slices.gains(result)

# %% [markdown]
# ## Result

# %%
reports.bullets(slices.verdict(result, found_gains), strong_first=True)

# %%
reports.paragraph(slices.of_the_paper())

# %%
text = f"The pretrained networks start from a 2D network that was trained on {len(before)} other patients "
reports.bullets([*study.protocol(data, result, left_out), f"{text}({before.name})."])

# %% [markdown]
# ## 2D and 2.5D are the same before training
#
# A 2.5D network reads a slice and its neighbours, and starts from the weights of the 2D network. At first,
# the neighbours add nothing, so both networks predict the same masks before training.

# %%
interactions = ("concat", "slice")
differences = {name: igtv.difference_before_training(start, name, data.X) for name in interactions}
reports.bullets(igtv.equality(differences))

# %% [markdown]
# ## All models, on the same patients and folds
#
# "2D" reads one slice. "2.5D concat" joins the channels of three slices by a convolution. "2.5D slice" has
# the slice interaction of the paper. "Scratch" starts from random weights, and "pretrained" from the weights
# of a 2D network that was trained on other patients.

# %%
reports.save_figure(
    figures.model_comparison(result.scores, metric="dice", main=result.main), out_dir, "models"
)

# %%
reports.full_table(verdict.with_intervals(result.scores))

# %% [markdown]
# ## Dice by position of the slice
#
# The end slices are the first and the last slice of a lesion. Dice is the mean over patients.

# %%
networks = result.of(list(models))
positions = metrics.positions_of_scores(networks)
reports.save_figure(figures.slice_positions(positions), out_dir, "positions")

# %% [markdown]
# Differences between models on the same patients, with 95 % intervals over patients and Wilcoxon's test. The
# tests are not adjusted for their number.

# %%
reports.full_table(slices.gain_table(found_gains))

# %% [markdown]
# ## Results by uptake

# %%
by_uptake = slices.uptake_groups(result, data)
if by_uptake is None:
    display(reports.paragraph("The cohort does not record the uptake of the lesions."))
else:
    few = by_uptake[by_uptake["model"].isin([igtv.MAIN, igtv.FLAT, igtv.FIRST])]
    display(reports.save_figure(figures.lesion_scores(few, "uptake"), out_dir, "uptake"))

# %% [markdown]
# ## The best, the median and the worst patient

# %%
reports.save_figure(figures.lesion_overlays(patients.overlay_cases(result, data)), out_dir, "overlays")

# %% [markdown]
# ## Limitations

# %%
reports.bullets(verdict.caveats(data, result, preset))

# %% [markdown]
# Warnings, each listed once for all models and folds:

# %%
reports.bullets(reports.warnings_given(result, also=given), otherwise="There were no warnings.")

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
    "primary": {"metric": "dice", "model": result.main, "reference": igtv.FIRST},
    "headline": slices.headline(result),
    "verdict": slices.verdict(result, found_gains),
    "dice_by_patient": verdict.dice_by_patient(result.predictions),
    "dice_by_position": positions.to_dict("records"),
    "gains": found_gains.to_dict("records"),
    "difference_before_training": differences,
    "pretraining": {"cohort": before.name, "n": len(before), "epochs": flat.settings.plan.max_epochs},
    "paper": {"note": slices.of_the_paper(), "dice": 0.609, "baseline_dice": 0.385},
    "plan": {"outer": outer, "max_epochs": main.settings.plan.max_epochs},
}
reports.write_metrics(found, out_dir)
reports.write_predictions(result.predictions, out_dir)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("igtv")
