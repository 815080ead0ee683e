"""Export of a StageClassifier's networks to ONNX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sklearn.utils.validation import check_is_fitted

from mmfusion.nn.export import write_onnx

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier


def to_onnx(model: StageClassifier, path: str | Path) -> Path:
    """Write the fitted networks as one ONNX file, which gives the same probabilities to 1e-5.

    The inputs of the file are the streams that `transformer_` makes. Preprocessing is not part of the file.
    Its output has the classes in the order of `classes_`. Its metadata has `classes`, `training_shares`, and
    `decision`: the rule, and `gains` (true x named class). The rule names the class k with the largest sum
    over j of p_j gains[j][k]. Needs the extra `onnx`.

    Raises
    ------
    MMFusionError
        If the packages are absent, or the file cannot be written.
    """
    check_is_fitted(model, "module_")
    classes = [str(name) for name in model.classes_]
    rule = {"rule": model.decision_.rule, "gains": model.decision_.gains.tolist()}
    facts = {"decision": json.dumps(rule), "training_shares": json.dumps(list(map(float, model.prior_)))}
    return write_onnx(model.module_, model.transformer_.specs_, path, classes=classes, metadata=facts)
