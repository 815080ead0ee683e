# %% [markdown]
# # Do the numbers of the papers agree with each other?
#
# A published table can be checked without the data. The metrics of a table depend on the same few counts, so
# two metrics limit the values that a third can have. For example, a share of 109 patients is a whole number
# divided by 109. This report checks numbers of three papers. Published numbers are those of the papers, and
# all other numbers are computed here.
#
# A number that is impossible for one test set may be a mean over folds or over patients. If this would
# explain the number, the table says so.

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
# Dice and IoU (intersection over union) of one mask measure the same overlap: Dice = 2 IoU / (1 + IoU), the
# curve in the figure. A mean Dice over patients can lie below the curve, if some masks are good and others
# bad. It can never lie above the curve.

# %%
reports.save_figure(figures.dice_against_iou(arithmetic.SEGMENTERS), out_dir, "dice_iou")

# %%
reports.full_table(arithmetic.overlaps())

# %% [markdown]
# ## F1 and Dice
#
# For one mask, the F1 of the pixels and the Dice are the same number with two names. If a model has two
# values, they were averaged in two ways, and the text of the paper should say how.

# %%
reports.full_table(arithmetic.f1_and_dice())

# %% [markdown]
# ## How much of the picture is tumour
#
# Precision, recall and false-positive rate together determine the share of tumour pixels in the test set. The
# published values are rounded, so the figure shows a range for each model. All models have the same test set.
# Their ranges should therefore overlap, and they do. By these ranges, at least a fifth of the pixels are
# tumour. In a whole CT slice, it is about one pixel in a hundred or fewer. This means that the pictures were
# crops around the tumour, in which a high Dice is easier.

# %%
figure = figures.ranges(arithmetic.tumour_shares(), title="share of tumour pixels", references={"1 %": 0.01})
reports.save_figure(figure, out_dir, "tumour_share")

# %% [markdown]
# ## On how many patients a published model was fitted
#
# A saved LDA or QDA (linear or quadratic discriminant analysis) contains the shares of the classes among the
# patients it was fitted on. arXiv 2211.06620 publishes such files. The share of the wild type is 88 of 109 in
# the LDA, and 72 of 88 in the QDA after it. If 109 patients are divided into five folds, a training set has
# 87 or 88. The QDA was therefore fitted on a training set. The LDA was fitted on all 109 patients before the
# folds, so it saw the test patients. Report `90_leakage` shows the effect.

# %%
reports.full_table(pd.DataFrame(arithmetic.PRIORS, index=["wild type", "mutant"]).round(4))

# %% [markdown]
# ## Accuracy and the largest class
#
# The figure shows each accuracy of the stage paper with its 95 % interval (Wilson). The vertical lines are
# the accuracies of a model that always names the largest class. The table has the number of patients in each
# stage.

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
