# %% [markdown]
# # What leaks do to a result
#
# A leak is a way in which a model learns something about its test patients before the test. The result is
# then too good, and does not hold for new patients. This report makes ten leaks on purpose. Each analysis is
# run twice on the same patients: with the leak, and without it.
#
# Most analyses use two cohorts of random numbers. In the cohort *null*, the labels were drawn by lot, so
# there is nothing to find. The area under the ROC curve (AUC) is then 0.5 on average without a leak, which is
# chance. In the cohort *planted* there is a signal, and the best possible AUC is known in most analyses.

# %% tags=["parameters"]
demos: str = "all"  # all, or some of D1 to D10, comma-separated
n_rep: int = 0  # repeats of each demonstration; 0 for its own number
data_root: str = ""  # folder with the files of LUNG1, NSCLC-Radiogenomics or r01_egfr; empty: none
seed: int = 0  # seed of the patients and of all random choices
out_dir: str = ""  # filled in by the runner

# %%
import pandas as pd
from IPython.display import display

from mmfusion import figures, reports
from mmfusion.evaluation.leakage import run_demos
from mmfusion.evaluation.report import leaks, stories
from mmfusion.reports import provenance

shown = leaks.chosen(reports.words(demos))
rows = run_demos([d.number for d in shown], seed, n_rep=n_rep or None, data_root=data_root or None)

# %% [markdown]
# ## Summary

# %%
reports.bullets(leaks.verdict(rows, shown), strong_first=True)

# %% [markdown]
# ## Where there is nothing to find
#
# Each point is one repeat with its own patients. The horizontal axis is the AUC, and the dashed line is
# chance. The analyses without the leak ("honest") scatter around the line. If the points with the leak
# ("leaky") lie further to the right, this is the effect of the leak.

# %%
null = leaks.null_rows(rows, shown)
if len(null):
    figure = figures.leak_gaps(null, metric="auc", chance=0.5)
    display(reports.save_figure(figure, out_dir, "null"))

# %% [markdown]
# ## Each leak
#
# Each leak has a short description, a figure, and a table of the means over the repeats.

# %%
for demo in shown:
    display(reports.paragraph(f"{demo.number}: {demo.title}", heading=3))
    said = [*stories.STORIES[demo.number], f"With the leak: {demo.leaky}", f"Without: {demo.honest}"]
    display(reports.bullets(said))
    figure = figures.leak_gaps(rows[rows["demo"] == demo.number], metric=demo.metric, chance=demo.chance)
    display(reports.save_figure(figure, out_dir, f"{demo.number}_{demo.name}"))
    display(reports.full_table(leaks.table_of(rows, demo)))

# %% [markdown]
# ## Guards
#
# The table shows how this library prevents these leaks. Its tests make each leak on purpose, and expect an
# error.

# %%
reports.full_table(leaks.guards())

# %% [markdown]
# ## Limitations

# %%
reports.bullets(leaks.LIMITATIONS)

# %% [markdown]
# ## Seed, versions and files

# %%
made = {"seed": seed, "commit": provenance.git_commit(), **provenance.versions()}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
found = {
    "cohort": "null and planted",
    "target": "classes without and with a signal",
    "n": len(shown),
    "headline": leaks.verdict(rows, shown)[0],
    "verdict": leaks.verdict(rows, shown),
    "demos": {demo.number: leaks.table_of(rows, demo).reset_index().to_dict("records") for demo in shown},
    "rows": rows.to_dict("records"),
}
reports.write_metrics(found, out_dir)
