"""Certainty of the models in a staging report: calibration, and results without uncertain patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmfusion.evaluation.result import NestedResult
from mmfusion.metrics import CalibrationBand, Selective, ece_band


def calibration_bands(
    result: NestedResult, models: Sequence[str], *, random_state: int = 0
) -> dict[str, CalibrationBand]:
    """Return the ECE of each model with its band, from the pooled folds of the first repeat."""
    columns = [f"p_{c}" for c in result.classes]
    rows = result.predictions[result.predictions["repeat"] == 0]
    own = {name: rows[rows["model"] == name] for name in models}
    return {
        name: ece_band(one["y_true"], one[columns], result.classes, random_state=random_state)
        for name, one in own.items()
    }


def certainty_lines(curves: Mapping[str, Selective]) -> list[str]:
    """Return a sentence for each model that says if it knows when it is uncertain.

    Parameters
    ----------
    curves : mapping of str to Selective
        Model -> result of `metrics.selective_prediction`.
    """
    lines = []
    for name, found in curves.items():
        says = "knows" if found.by_certainty else "is not shown to know"
        lines.append(
            f"{name} {says} when it is uncertain: AURC {found.aurc:.3f} [{found.lo:.3f}, {found.hi:.3f}], at "
            f"random {found.aurc_random:.3f}, best possible {found.aurc_oracle:.3f} (n = {found.n})."
        )
    return lines
