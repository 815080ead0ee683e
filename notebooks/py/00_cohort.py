# %% [markdown]
# # The cohort
#
# The patients of a cohort, the data of each modality, what is missing, and the limits of what can be learned
# from it.

# %% tags=["parameters"]
cohort: str = "demo"  # a manifest, or the name of a known cohort
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # named target, such as stage3_ajcc7, stage2; empty for the cohort's own
n_scans: int = 2  # scans to show
out_dir: str = ""  # filled in by the runner

# %%
import pandas as pd
from IPython.display import Markdown, display

import mmfusion as mf
from mmfusion import figures, imaging, reports
from mmfusion.data.cohort import META, presence
from mmfusion.data.scans import open_scan
from mmfusion.errors import ScanError
from mmfusion.staging.report.verdict import caveats, markdown_list

data = mf.load_cohort(cohort, root=data_root or None, target=target or None)
data

# %% [markdown]
# ## Stages, modalities, missing cells

# %%
reports.save_figure(figures.cohort_overview(data), out_dir, "overview")

# %% [markdown]
# The stage of each patient, as recorded or derived, and its class under the target. A patient without a class
# is left out of training and evaluation.

# %%
labels = pd.DataFrame({"stage": data.stage, "class": data.y.astype("str").reindex(data.table.index)})
labels.fillna("-").value_counts().rename("patients").reset_index().sort_values("stage").set_index("stage")

# %% [markdown]
# ## Sites
#
# If most patients of a class come from one site, a model can learn to recognise the scanner instead of the
# tumour.

# %%
site = data.table[META].get("site") if META in data.table else None
table = pd.DataFrame()
if site is not None:
    table = pd.crosstab(site.loc[data.X.index].fillna("unknown"), data.y).rename_axis(columns=None)
display(table if len(table) else Markdown("No sites are recorded."))

# %% [markdown]
# ## Scans

# %%
has_scan = data.X["ct", "volume"].dropna() if ("ct", "volume") in data.X else pd.Series(dtype="str")
for patient in has_scan.index[:n_scans]:
    try:
        scan = open_scan(data, patient, marked=False)
    except ScanError as error:
        display(Markdown(f"Not shown: {error}"))
        continue
    figure = imaging.montage(scan.volume, point=scan.seed, n=6, columns=3, title=str(patient))
    display(reports.save_figure(figure, out_dir, f"scan_{patient}"))
every = "`mmfusion report scans -p n_scans=0` checks every scan."
display(Markdown(f"{len(has_scan)} of {len(data)} patients have a scan. {every}"))

# %% [markdown]
# ## Limitations

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
