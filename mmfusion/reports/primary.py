"""Read and check the primary metric of a report: the number shown in the index and in comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmfusion.errors import ReportError
from mmfusion.metrics import LOWER_IS_BETTER
from mmfusion.metrics.names import metric_title
from mmfusion.reports.record import METRICS

_KEYS = ("metric", "model", "reference", "direction")
_DIRECTIONS = ("higher", "lower")
_OLD_METRIC, _OLD_REFERENCE = "macro_auc", "ridge"  # used for reports that were made without `primary`


@dataclass(frozen=True)
class Primary:
    """The metric and the model that a report is about.

    Parameters
    ----------
    metric : str
        Name of the metric, as in the entry of each model in `metrics.json`.
    model : str
        The model that the report is about.
    reference : str, optional
        The model to compare it with.
    lower_is_better : bool
        True if a smaller value of the metric is better.
    """

    metric: str
    model: str
    reference: str | None = None
    lower_is_better: bool = False

    @property
    def title(self) -> str:
        """Return the usual name of the metric, with its direction if lower is better.

        >>> Primary("brier", "gmu", lower_is_better=True).title
        'Brier score, 0 to 2 (lower is better)'
        """
        return metric_title(self.metric) + (" (lower is better)" if self.lower_is_better else "")


def read_primary(metrics: Mapping[str, object]) -> Primary | None:
    """Return the primary metric of a report; None for a report without models.

    Parameters
    ----------
    metrics : mapping
        The content of `metrics.json`. A report that was made before `primary` was written there is about the
        macro-AUC of its `main` (or first) model, with the ridge as the reference.

    Examples
    --------
    >>> models = {"unet": {"dice": {"mean": 0.8, "ci": [0.7, 0.9]}}}
    >>> read_primary({"models": models, "primary": {"metric": "dice", "model": "unet"}})
    Primary(metric='dice', model='unet', reference=None, lower_is_better=False)
    """
    models = metrics.get("models")
    if not isinstance(models, Mapping) or not models:
        return None
    stated = metrics.get("primary")
    if not isinstance(stated, Mapping):
        main = metrics.get("main", next(iter(models)))
        reference = _OLD_REFERENCE if _OLD_REFERENCE in models and main != _OLD_REFERENCE else None
        return Primary(_OLD_METRIC, main, reference)
    metric, reference = stated["metric"], stated.get("reference")
    lower = stated["direction"] == "lower" if "direction" in stated else metric in LOWER_IS_BETTER
    return Primary(metric, stated["model"], None if reference == stated["model"] else reference, lower)


def check_primary(metrics: Mapping[str, object]) -> None:
    """Check that the metrics of a report have a primary metric of a model, or a headline.

    Raises
    ------
    ReportError
        If there are models and `primary` does not name a metric of one of them, or if there are neither
        models nor a `headline`.
    """
    models, stated = metrics.get("models"), metrics.get("primary")
    if not models:
        if not metrics.get("headline"):
            raise _error("neither models nor a headline", expected="`models` with `primary`, or a `headline`")
        if stated is not None:
            raise _error("a primary metric without models", got=stated)
        return
    if not isinstance(stated, Mapping):
        raise _error("no primary metric", expected='{"metric": ..., "model": ...}', got=stated)
    if unknown := [key for key in stated if key not in _KEYS]:
        raise _error("an unknown key", expected=", ".join(_KEYS), got=", ".join(map(str, unknown)))
    if stated.get("direction", "higher") not in _DIRECTIONS:
        raise _error("an unknown direction", expected=" or ".join(_DIRECTIONS), got=stated["direction"])
    _check_score(models, stated.get("model"), stated.get("metric"))
    if stated.get("reference") is not None:
        _check_score(models, stated["reference"], stated["metric"])


def _check_score(models: Mapping[str, Mapping[str, object]], model: object, metric: object) -> None:
    """Check that a model has a score under this metric; the score may be null."""
    if model not in models:
        raise _error("a model that is not in the report", expected=", ".join(models), got=repr(model))
    scores = models[model]
    if not isinstance(scores.get(metric), Mapping) or "mean" not in scores[metric]:
        known = [name for name, score in scores.items() if isinstance(score, Mapping) and "mean" in score]
        problem = f"a metric that {model} does not have"
        raise _error(problem, expected=", ".join(known) or '{"mean": ..., "ci": [...]}', got=repr(metric))


def _error(problem: str, **details: object) -> ReportError:
    return ReportError(problem, file=METRICS, column="primary", **details)


def headline(metrics: Mapping[str, object]) -> str:
    """Return the headline of a report in one line: its `headline`, or the primary metric of its model.

    >>> models = {"unet": {"dice": {"mean": 0.8, "ci": [0.7, 0.9]}}}
    >>> headline({"models": models, "primary": {"metric": "dice", "model": "unet"}})
    'Dice per patient: unet 0.800 [0.700, 0.900]'
    """
    if text := metrics.get("headline"):
        return str(text)
    primary = read_primary(metrics)
    if primary is None:
        return ""
    models = metrics["models"]
    names = [name for name in (primary.model, primary.reference) if name in models]
    parts = [f"{name} {_interval(models[name].get(primary.metric))}" for name in names]
    return f"{primary.title}: {', '.join(parts)}"


def _interval(score: object) -> str:
    if not isinstance(score, Mapping) or score.get("mean") is None:
        return "not estimable"
    low, high = score.get("ci") or (None, None)
    interval = f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
    return f"{score['mean']:.3f}{interval}"
