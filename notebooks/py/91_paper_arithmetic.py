# %% [markdown]
# # Do the numbers of the papers agree with each other?
#
# A published table can be checked without the data. The metrics of a table depend on the same few counts, so
# that two of them limit a third. A share of 109 patients is a whole number divided by 109. This report checks
# numbers of three papers. All published numbers are the papers' own, and all others are computed here.
#
# A number that is impossible for one test set may be a mean over folds or over patients. Where that would
# explain it, the table says so.

# %% tags=["parameters"]
out_dir: str = ""  # filled in by the runner

# %%
import pandas as pd

from mmfusion import figures, reports
from mmfusion.evaluation.report import arithmetic
from mmfusion.reports import provenance

# %% [markdown]
# ## Summary

# %%
reports.bullets(arithmetic.verdict(), strong_first=True)

# %% [markdown]
# The papers:

# %%
reports.bullets(f"{name}: {title}" for name, title in arithmetic.PAPERS.items())

# %% [markdown]
# ## Dice and IoU
#
# Dice and IoU of one mask measure the same overlap: Dice = 2 IoU / (1 + IoU). A mean Dice over patients may
# be lower than the curve, if the masks of some patients are good and of others bad, and never higher.

# %%
reports.save_figure(figures.dice_against_iou(arithmetic.SEGMENTERS), out_dir, "dice_iou")

# %%
reports.full_table(arithmetic.overlaps())

# %% [markdown]
# ## F1 and Dice
#
# For one mask, the F1 of the pixels and the Dice are the same number with two names. Two values for one model
# mean that one of them was averaged in another way, which the text should say.

# %%
reports.full_table(arithmetic.f1_and_dice())

# %% [markdown]
# ## How much of the picture is tumour
#
# Precision, recall and false-positive rate together tell the share of tumour pixels in the test set. The
# ranges contain all values that are rounded to the published ones. The test set of all models is the same, so
# that the ranges should overlap, and they do. But at least a fifth of the pixels would be tumour. In a whole
# CT slice it is about one in a hundred or fewer. The pictures were therefore crops around the tumour, in
# which a high Dice is easier.

# %%
figure = figures.ranges(arithmetic.tumour_shares(), title="share of tumour pixels", references={"1 %": 0.01})
reports.save_figure(figure, out_dir, "tumour_share")

# %% [markdown]
# ## On how many patients a published model was fitted
#
# A saved LDA or QDA contains the shares of the classes among the patients it was fitted on. In the files that
# are published with arXiv 2211.06620 they are 88 of 109 for the LDA, and 72 of 88 for the QDA after it. 88
# patients are the training part of five folds of 109. The LDA was fitted on all 109, before the folds, and so
# it saw the test patients. Report `90_leakage` shows the effect.

# %%
reports.full_table(pd.DataFrame(arithmetic.PRIORS, index=["wild type", "mutant"]).round(4))

# %% [markdown]
# ## Accuracy and the largest class
#
# The 95 % interval of each accuracy of the stage paper (Wilson), and the accuracy of a model that always
# names the largest class.

# %%
figure = figures.ranges(arithmetic.accuracies(), title="accuracy", references=arithmetic.largest_classes())
reports.save_figure(figure, out_dir, "accuracy")

# %%
reports.full_table(pd.DataFrame(arithmetic.STAGES).fillna(0).astype(int))

# %% [markdown]
# ## All statements

# %%
reports.full_table(arithmetic.findings())

# %% [markdown]
# ## Limitations

# %%
reports.bullets(arithmetic.LIMITATIONS)

# %% [markdown]
# ## Versions

# %%
made = {"commit": provenance.git_commit(), **provenance.versions()}
reports.full_table(pd.Series(made, name="").to_frame())

# %%
found = {
    "cohort": "published tables",
    "target": "none",
    "n": len(arithmetic.findings()),
    "headline": arithmetic.verdict()[0],
    "findings": arithmetic.findings().to_dict("records"),
}
reports.write_metrics(found, out_dir)
