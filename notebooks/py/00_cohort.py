# %% [markdown]
# # The cohort
#
# Who is in it, what is known of each, what is missing, and what a reader of later reports should be wary of.

# %% tags=["parameters"]
cohort: str = "demo"  # a manifest, or the name of a known cohort
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # named target, such as stage3_ajcc7, stage2; empty for the cohort's own
n_scans: int = 2  # scans to show, of each modality
out_dir: str = ""  # filled in by the runner

# %%
import pandas as pd
from IPython.display import Markdown, display

import mmfusion as mf
from mmfusion import figures, imaging, reports
from mmfusion.data.cohort import META, presence
from mmfusion.data.scans import open_scan
from mmfusion.errors import ScanError
from mmfusion.modalities import IMAGING, MODALITIES
from mmfusion.staging.report.verdict import caveats, markdown_list

data = mf.load_cohort(cohort, root=data_root or None, target=target or None)
data

# %% [markdown]
# ## Stages, modalities, missing cells

# %%
reports.save_figure(figures.cohort_overview(data), out_dir, "overview")

# %% [markdown]
# Stage groups as recorded or derived, and the class that each has under the target; without a class, a patient is
# left out.

# %%
labels = pd.DataFrame({"stage": data.stage, "class": data.y.astype("str").reindex(data.table.index)})
labels.fillna("-").value_counts().rename("patients").reset_index().sort_values("stage").set_index("stage")

# %% [markdown]
# ## Sites
#
# If a class is found mostly at one site, a model can learn the scanner in place of the tumour.

# %%
site = data.table[META].get("site") if META in data.table else None
table = pd.DataFrame() if site is None else pd.crosstab(site.loc[data.X.index].fillna("unknown"), data.y)
display(table if len(table) else Markdown("No sites are recorded."))

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
            display(Markdown(f"Not shown: {error}"))
            continue
        figure = imaging.montage(scan.volume, point=scan.seed, n=6, columns=3, title=f"{patient}, {kind}")
        display(reports.save_figure(figure, out_dir, f"{modality}_{patient}"))
    if len(has_scan) or modality == "ct":
        every = f"`mmfusion report scans -p n_scans=0 -p modality={modality}` looks at every one."
        display(Markdown(f"{len(has_scan)} of {len(data)} patients have a {kind} scan. {every}"))

# %% [markdown]
# ## What to be wary of

# %%
display(Markdown(markdown_list(caveats(data)) or "Nothing was noted when the files were read."))

# %%
optimum = data.provenance.get("optimum")
best = "" if not optimum else f"; best possible macro-AUC {optimum['observed']:.3f}"
display(Markdown(f"Licence: {data.provenance.get('license') or 'not recorded'}{best}"))

# %%
counts = data.y.value_counts(sort=False)
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
