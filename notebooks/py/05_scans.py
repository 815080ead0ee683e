# %% [markdown]
# # The scans
#
# This report describes each scan: the series that was read, its geometry and its masks. It also shows the
# effect of restoration, and lists failures.

# %% tags=["parameters"]
cohort: str = "demo"  # a manifest, or the name of a known cohort
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
modality: str = "ct"  # ct or pet
n_scans: int = 24  # scans to read; 0 for all
n_shown: int = 3  # scans to show as images
n_compared: int = 120  # scans whose crops are compared by site
restorers: str = "nlm, bilateral, wavelet"  # compared on one scan; or none; cellpose needs its weights
model: str = ""  # a saved model, to show the effect of restoration on its prediction
save_restored: bool = False  # write the restored crops as NIfTI beside the figures
out_dir: str = ""  # filled in by the runner

# %%
from pathlib import Path

import pandas as pd
from IPython.display import display

import mmfusion as mf
from mmfusion import figures, imaging, reports
from mmfusion.data.scans import open_scan
from mmfusion.quality import compare_restorers
from mmfusion.quality.survey import series_choices, site_effect, survey_scans

data = mf.load_cohort(cohort, root=data_root or None)
paths = data.table.get((modality, "volume"), pd.Series(dtype="str")).dropna()
chosen = list(paths.index[: n_scans or None])
survey = survey_scans(data, chosen, modality=modality)
table, failures = survey.table, survey.failures
shown = list(table.index[:n_shown])

# %% [markdown]
# ## Summary

# %%
reports.bullets(survey.verdict(len(paths)), strong_first=True)

# %% [markdown]
# ## What failed, and why
#
# A scan that cannot be read does not stop the report. It is listed here.

# %%
display(reports.paragraph(survey.account(len(paths))))
if len(failures):
    display(reports.full_table(failures))

# %% [markdown]
# ## Which series was read
#
# A folder or ZIP may hold several series. Series are never mixed. Each scan with more than one series is
# listed.

# %%
series = series_choices(paths.loc[chosen], table["series"])
several = series[series.index.duplicated(keep=False)]
n_single = series.index.nunique() - several.index.nunique()
text = (
    f"{n_single} scans hold a single series."
    if len(series)
    else "These scans are single volumes, not DICOM series."
)
display(reports.paragraph(text))
if len(several):
    display(reports.full_table(several))

# %% [markdown]
# ## Geometry and grey values
#
# The table has spacing and field of view in mm, percentiles of the grey values in HU or SUV, and volumes in
# mL.

# %%
reports.full_table(table.drop(columns=["series", "y_mm", "warnings"]).round(2))

# %%
reports.bullets(f"{p}: {w}" for p, w in table["warnings"].items() if w)

# %%
if len(table):
    display(reports.save_figure(figures.scan_survey(table), out_dir, "survey"))

# %% [markdown]
# ## Images
#
# The left of the patient is on the right of the picture. All slices have the same scale. Lines show the lung
# mask (by thresholds) and the lesion, if it is known. In JupyterLab the slider moves through the slices.

# %%
for patient in shown:
    scan = open_scan(data, patient, modality)
    lungs = imaging.lung_mask(scan.volume, required=False) if modality == "ct" else None
    outlines = {"lungs": lungs} if lungs is not None and lungs.array.any() else {}
    outlines |= {} if scan.lesion is None else {"lesion": scan.lesion}
    figure = imaging.montage(scan.volume, outlines, scan.seed, n=8, columns=4, title=str(patient))
    display(reports.save_figure(figure, out_dir, f"scan_{patient}"))

# %%
if shown:  # a scan with a known tumour, if there is one
    known = table.loc[shown, "lesion_ml"].notna()
    looked_at = known.idxmax()
    scan = open_scan(data, looked_at, modality)
    near = scan.around(120.0)
    lesion = None if scan.lesion is None else scan.lesion.like(near)
    display(imaging.slider(near, lesion, scan.seed, title=f"{looked_at}, 120 mm around {scan.focus}"))

# %% [markdown]
# ## Restoration
#
# The figure shows one scan before and after each restorer, and the difference. The similarity to the input
# shows how much a restorer changes the scan, not how good it is: an unchanged scan would score best. A model
# uses restoration only if it was fitted on restored scans.

# %%
compared = None
if shown and modality == "ct" and reports.words_or_none(restorers):
    crop = scan.around(128.0)
    classifier = mf.load(model) if model else None
    compared = compare_restorers(
        crop,
        reports.words_or_none(restorers),
        mask=None if scan.lesion is None else scan.lesion.like(crop),
        point=scan.seed,
        predict=classifier and (lambda v: classifier.predict_patient(ct=v, seed=scan.seed).probabilities),
    )
    figure = figures.restoration_panel(compared, zoom_mm=90.0)
    display(reports.save_figure(figure, out_dir, "restoration"), reports.full_table(compared.table.round(3)))
    if save_restored and out_dir:
        for name in reports.words_or_none(restorers):
            imaging.write_nifti(
                imaging.restore(crop, name),
                Path(out_dir, reports.file_name(f"{looked_at}_{name}") + ".nii.gz"),
            )

# %% [markdown]
# ## Sites
#
# Can the hospital be predicted from simple features of the crops that a model reads? The area under the ROC
# curve (AUC) is given before and after ComBat: 0.5 is chance, 1 is a perfect prediction. ComBat makes the
# mean and the spread of the features equal between sites. It is fitted on the training folds.

# %%
effect = site_effect(data, paths.index[:n_compared], modality=modality)
if effect is None:
    display(reports.paragraph("There are not enough scans from two or more sites."))
else:
    display(reports.save_figure(figures.site_effects(effect), out_dir, "sites"))
    display(reports.full_table(effect.table.round(3)))

# %%
found = {
    "cohort": data.name,
    "target": data.target,
    "n": len(chosen),
    "headline": survey.headline(),
    "read": len(table),
    "failures": failures.reset_index().to_dict("records"),
    "spacing_mm": table[["z_mm", "y_mm", "x_mm"]].median().to_dict() if len(table) else None,
    "restoration": None if compared is None else compared.table.to_dict("index"),
    "sites": None if effect is None else effect.table.to_dict("index"),
}
reports.write_metrics(found, out_dir)
