"""The model card of a saved StageClassifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mmfusion
from mmfusion.escaping import readable_markdown
from mmfusion.staging.settings import NESTED, nested_params

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier


def model_card(model: StageClassifier) -> str:
    """Return the model card in Markdown: inputs, classes, parameters, and limits of use.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from mmfusion.staging import StageClassifier
    >>> from mmfusion.staging.decision import Decision
    >>> from mmfusion.streams import StreamSpec
    >>> model = StageClassifier()  # a fit sets the next attributes
    >>> model.transformer_ = SimpleNamespace(specs_=[StreamSpec("ehr", "ehr", (2, 1), ("age",))])
    >>> model.classes_, model.prior_ = ["I", "II"], [0.75, 0.25]
    >>> model.decision_ = Decision("argmax", np.eye(2))
    >>> print(model_card(model).splitlines()[0])
    # Stage classifier (daft)
    """
    rows = [
        f"| {spec.name} | {' x '.join(map(str, spec.shape))} "
        f"| {readable_markdown(', '.join(spec.feature_names[:8]))}"
        f"{' ...' if len(spec.feature_names) > 8 else ''} |"
        for spec in model.transformer_.specs_
    ]
    prior = ", ".join(
        f"{readable_markdown(c)} {p:.0%}" for c, p in zip(model.classes_, model.prior_, strict=True)
    )
    params = model.get_params(deep=False)
    listed = {k: v for k, v in params.items() if k not in NESTED} | nested_params(model)
    params = "\n".join(f"- {k}: `{v}`" for k, v in sorted(listed.items()) if not k.endswith("graph_edges"))
    leaky = (
        "\n**LEAKY: fitted with inputs that give the label away. For demonstration only.**\n"
        if model.allow_leaky
        else ""
    )
    return f"""# Stage classifier ({model.fusion})
{leaky}
The model predicts the stage of non-small cell lung cancer from any subset of the inputs below. It is research
software, not a medical device. Do not use it for decisions about patients.

Classes, with their share in training: {prior}.
The probabilities follow these shares. {model.decision_.describe(model.classes_)}

| input | shape | features |
|---|---|---|
{chr(10).join(rows)}

This folder does not show how well the model predicts. See the report of its nested cross-validation.
The background for explanations consists of quantiles per class, each over at least ten patients. The folder
holds no patient's row, and no category that only one patient has. It holds the ids of the training patients
only as hashes.

Made with mmfusion {mmfusion.__version__}. Parameters:

{params}
"""
