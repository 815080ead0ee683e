# %% [markdown]
# # The cohort
#
# This report shows the patients of a cohort, the data of each modality, the missing data, and the limits of
# what can be learned from the cohort.

# %% tags=["parameters"]
cohort: str = "demo"  # a manifest, or the name of a known cohort
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # label to predict, such as stage3_ajcc8, stage2, egfr; empty for the cohort's own
n_scans: int = 2  # scans to show of each modality
out_dir: str = ""  # filled in by the runner

# %%
import pandas as pd
from IPython.display import display

import mmfusion as mf
from mmfusion import figures, imaging, reports
from mmfusion.data.cohort import presence
from mmfusion.data.scans import open_scan
from mmfusion.data.targets.base import label_counts
from mmfusion.errors import ScanError
from mmfusion.modalities import IMAGING, META, MODALITIES
from mmfusion.staging.report.verdict import caveats

data = mf.load_cohort(cohort, root=data_root or None, target=target or None)
data

# %% [markdown]
# ## Labels, modalities, missing cells

# %%
reports.save_figure(figures.cohort_overview(data), out_dir, "overview")

# %% [markdown]
# The table counts patients by their outcome, as recorded or derived, and by their label under the target. A
# patient without a label is left out of training and evaluation.

# %%
recorded = "stage" if data.target_spec.kind == "ordinal" else data.target
if recorded in data.outcomes:
    label = data.y.astype("str").reindex(data.table.index)
    labels = pd.DataFrame({recorded: data.outcomes[recorded], "class": label}).fillna("-").value_counts()
    labels = labels.rename("patients").reset_index().sort_values(recorded).set_index(recorded)
else:
    labels = label_counts(data.y).to_frame("patients")
reports.full_table(labels)

# %% [markdown]
# ## Sites
#
# If most patients of a class come from one site, a model can learn to recognise the scanner instead of the
# tumour.

# %%
site = data.table[META].get("site") if META in data.table else None
if site is None:
    table = pd.DataFrame()
elif data.target_spec.stratified:
    table = pd.crosstab(site.loc[data.X.index].fillna("unknown"), data.y)
else:
    table = site.loc[data.X.index].fillna("unknown").value_counts().to_frame("patients")
display(reports.full_table(table) if len(table) else reports.paragraph("No sites are recorded."))

# %% [markdown]
# ## Scans

# %%
for modality in IMAGING:
    kind = MODALITIES[modality].title
    block = data.X[modality] if modality in data.X else pd.DataFrame()
    has_scan = block["volume"].dropna() if "volume" in block else pd.Series(dtype="str")
    for patient in has_scan.index[:n_scans]:
        try:
            scan = open_scan(data, patient, modality, marked=False)
        except ScanError as error:
            display(reports.paragraph(f"Not shown: {error}"))
            continue
        figure = imaging.montage(scan.volume, point=scan.seed, n=6, columns=3, title=f"{patient}, {kind}")
        display(reports.save_figure(figure, out_dir, f"{modality}_{patient}"))
    if len(has_scan) or modality == "ct":
        every = f"To check every scan: mmfusion report scans -p n_scans=0 -p modality={modality}"
        display(reports.paragraph(f"{len(has_scan)} of {len(data)} patients have a {kind} scan. {every}"))

# %% [markdown]
# ## Limitations

# %%
reports.bullets(caveats(data), otherwise="Nothing was noted when the files were read.")

# %%
optimum = data.provenance.get("optimum")
best = "" if not optimum else f"; best possible macro-AUC {optimum['observed']:.3f}"
reports.paragraph(f"Licence: {data.provenance.get('license') or 'not recorded'}{best}")

# %%
counts = label_counts(data.y)
metrics = {
    "cohort": data.name,
    "target": data.target,
    "n": len(data),
    "classes": counts.to_dict(),
    "modalities": presence(data.X).sum().to_dict(),
    "headline": ", ".join(f"{name}: {n}" for name, n in counts.items()) + best,
    "optimum": optimum,
}
reports.write_metrics(metrics, out_dir)
