"""Write metrics and figures of a notebook; without `out_dir`, as in JupyterLab, nothing is written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmfusion.reports.primary import check_primary
from mmfusion.reports.record import METRICS
from mmfusion.storage.naming import file_name


def save_figure(figure: Figure, out_dir: str | Path, name: str) -> Figure:
    """Write `out_dir/figures/<file_name(name)>.png`, and return the figure, so that the cell shows it."""
    if out_dir:
        folder = Path(out_dir) / "figures"
        folder.mkdir(exist_ok=True)
        figure.savefig(folder / f"{file_name(name)}.png", dpi=200)
    return figure


def write_metrics(metrics: Mapping[str, object], out_dir: str | Path) -> None:
    """Write `out_dir/metrics.json`, strict JSON; values that could not be computed (NaN, infinite) are null.

    Parameters
    ----------
    metrics : mapping
        It has `cohort`, `target`, `n`, and either `models` and `primary`, or a one-line `headline`. Other
        keys are kept. `primary` is a mapping with `metric` and `model`. It can also have `reference` (the
        model to compare with) and `direction` ("higher" or "lower" is better; the default is in
        `mmfusion.metrics.LOWER_IS_BETTER`).
    out_dir : path
        Folder of the report. If it is "", the metrics are checked, and nothing is written.

    Raises
    ------
    ReportError
        If `primary` names a model or a metric that `models` does not have, or if the metrics have neither
        `models` nor a `headline`.
    """
    check_primary(metrics)
    if out_dir:
        text = json.dumps(_plain(metrics), indent=1, allow_nan=False)
        (Path(out_dir) / METRICS).write_text(text, encoding="utf-8")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
