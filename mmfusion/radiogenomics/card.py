"""The model card of a saved model of genotype or expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.tree._tree import Tree

import mmfusion
from mmfusion.escaping import readable_markdown
from mmfusion.radiogenomics.packed import parts_of

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.pipeline import Pipeline

_LEAKY = "**LEAKY: fitted with inputs that give the label away. For demonstration only.**"
_ROWS = (
    "**This folder holds data of patients: the support vectors of the SVC are rows of features of training "
    "patients, without their ids. Treat the folder like the data.**"
)
_NO_ROWS = (
    "The folder holds no patient's row. It holds the ids of training patients only as hashes, if at all."
)
_TREES = (
    "The trees compare features with values that lie in the middle between those of two training patients."
)


def model_card(
    model: BaseEstimator, pipeline: Pipeline, extractor: BaseEstimator, *, patient_rows: bool
) -> str:
    """Return the model card in Markdown: inputs, outputs, parameters, and limits of use.

    Parameters
    ----------
    model : estimator
        The fitted model.
    pipeline : Pipeline
        Its fitted pipeline.
    extractor : transformer
        Its fitted extractor of features.
    patient_rows : bool
        True if the folder holds rows of patients.

    Examples
    --------
    >>> from sklearn.pipeline import Pipeline
    >>> from mmfusion.radiogenomics import ExpressionRegressor
    >>> model = ExpressionRegressor()
    >>> model.genes_ = ["EGFR"]  # a fit sets it
    >>> model_card(model, Pipeline([("scale", "passthrough")]), None, patient_rows=False).splitlines()[2]
    'The model predicts the expression of EGFR.'
    """
    warnings = [
        text for text, told in ((_LEAKY, getattr(model, "allow_leaky", False)), (_ROWS, patient_rows)) if told
    ]
    params = "\n".join(
        f"- {name}: `{readable_markdown(str(value))}`"
        for name, value in sorted(model.get_params(deep=False).items())
    )
    steps = ", ".join(type(step).__name__ for _, step in pipeline.steps)
    paragraphs = [
        f"# {type(model).__name__}",
        f"The model predicts {_predicts(model)}.\nIt is research software, not a medical device. "
        "Do not use it for decisions about patients.",
        *warnings,
        f"Its features come from {type(extractor).__name__}. Its steps are {steps}.",
        "" if patient_rows else _NO_ROWS,
        _TREES if any(isinstance(part, Tree) for part in parts_of(pipeline)) else "",
        "This folder does not show how well the model predicts. See the report of its cross-validation.",
        f"Made with mmfusion {mmfusion.__version__}. Parameters:",
        params,
    ]
    return "\n\n".join(part for part in paragraphs if part) + "\n"


def _predicts(model: BaseEstimator) -> str:
    """Return what a model predicts, in words."""
    if hasattr(model, "genes_"):
        return "the expression of " + readable_markdown(", ".join(model.genes_))
    return "one of the classes " + readable_markdown(", ".join(map(str, model.classes_)))
