# %% [markdown]
# # One click on each lesion
#
# Each patient has a CT and a point in the lesion. This report segments the lesions, measures them, and shows
# every mask over the scan. To click on a lesion yourself, run `mf.click_lesion("scan.zip")` in JupyterLab.

# %% tags=["parameters"]
cohort: str = "lesion_phantom"  # a manifest with seeds, or a known cohort with scans and seeds
data_root: str = ""  # folder of the cohort's files; empty for the phantom, or for a manifest beside its files
method: str = "auto"  # auto (GrowCut), growcut or network
margin: str = "tight"  # tight: the visible border; gtv: 1.5 mm more, as for radiotherapy
n_patients: int = 12  # patients of the phantom, or the first patients of another cohort; 0 for all
radiomics: bool = True  # also compute IBSI features of the masks, if mirp is installed
seed: int = 0  # seed of the phantom
n_jobs: int = 2  # processes
out_dir: str = ""  # filled in by the runner

# %%
import importlib.util
import tempfile
from pathlib import Path

import pandas as pd
from IPython.display import display

import mmfusion as mf
from mmfusion import features, figures, reports
from mmfusion.lesions.report import clicks
from mmfusion.reports import provenance

options = {"n": n_patients or 12, "seed": seed} if cohort == "lesion_phantom" else {}
everybody = mf.load_cohort(cohort, root=data_root or None, **options)
data, left_out = clicks.patients_with_seeds(everybody, n_patients)
folder = Path(out_dir or tempfile.mkdtemp()) / "lesions"
found = mf.segment_cohort(data, folder, method=method, margin=margin, n_jobs=n_jobs, progress=False)
table = clicks.with_truth(data, found)

# %% [markdown]
# ## Summary

# %%
reports.bullets(clicks.verdict(table, found.failures), strong_first=True)

# %%
reports.bullets([line for line in [left_out] if line])

# %% [markdown]
# ## What failed, and why

# %%
if len(found.failures):
    display(reports.full_table(found.failures))
else:
    display(reports.paragraph("Every lesion was segmented."))

# %% [markdown]
# ## Measures
#
# The longest diameter in an axial plane is the size by RECIST 1.1. Its product with the perpendicular
# diameter is the size by WHO. The sphericity is 1 for a ball, and lower for other shapes. Mean and standard
# deviation (SD) are those of the CT in the mask. The Dice compares the mask with the true mask, if the cohort
# has one: 1 is perfect, 0 is no overlap.

# %%
reports.full_table(clicks.shown(table))

# %% [markdown]
# ## Warnings
#
# A warning is a reason not to trust a mask. A mask without a warning can be wrong too, so every mask is shown
# below.

# %%
reports.bullets(
    (f"{patient}: {text}" for patient, text in table["warnings"].items() if text),
    otherwise="No mask has a warning.",
)

# %% [markdown]
# ## Measured and true size

# %%
if table["dice"].notna().any():
    figure = figures.measured_sizes(table)
    display(reports.save_figure(figure, out_dir, "sizes"))
else:
    display(reports.paragraph("The cohort has no true masks."))

# %% [markdown]
# ## Every mask
#
# The slices go through the largest area of the masks. Orange is the mask from the click, blue the true mask.

# %%
for number, group in enumerate(clicks.pages(list(table.index)), 1):
    cases = {str(patient): clicks.open_lesion(data, found, patient) for patient in group}
    display(reports.save_figure(figures.lesion_overlays(cases), out_dir, f"masks_{number}"))

# %% [markdown]
# ## Radiomics
#
# The table has features of the masks as the Image Biomarker Standardisation Initiative (IBSI) defines them.
# They are those of `mmfusion features --radiomics`. The file `radiomics.csv` beside the masks has all
# features, and `radiomics.csv.json` has the settings.

# %%
extracted = None
if radiomics and len(table) and importlib.util.find_spec("mirp"):
    extractor = features.RadiomicsExtractor("ct")
    extracted = features.extract(clicks.with_masks(data, found), extractor, n_jobs=n_jobs, progress=False)
    extracted.write(folder / "radiomics.csv")
    few = ["morph_volume", "morph_sphericity", "stat_mean", "stat_cov"]
    display(reports.full_table(extracted.features[few].round(3)))
else:
    display(reports.paragraph("Not computed: it was not asked for, or mirp is not installed."))

# %% [markdown]
# ## Files and versions
#
# The folder `lesions` beside this page has the masks as NIfTI and the table `lesions.csv`.

# %%
made = {"method": method, "margin": margin, "commit": provenance.git_commit(), **provenance.versions()}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
result = {
    "cohort": data.name,
    "target": data.target,
    "n": len(table),
    "headline": clicks.verdict(table, found.failures)[0],
    "verdict": clicks.verdict(table, found.failures),
    "lesions": table.drop(columns="mask").to_dict("index"),
    "failures": found.failures.reset_index().to_dict("records"),
    "radiomics": None if extracted is None else list(extracted.features.columns),
}
reports.write_metrics(result, out_dir)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("one_click")
