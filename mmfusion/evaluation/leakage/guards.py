"""Inputs that are forbidden for a target, refused by their names."""

from __future__ import annotations

from collections.abc import Iterable

from mmfusion.data.tables.files import header_key
from mmfusion.data.targets.base import Target, find_target, get_target
from mmfusion.data.targets.stage import StageTarget
from mmfusion.errors import LeakageError

HINT = "leave them out; allow_leaky=True accepts them, to demonstrate the leak, and stamps the model"


def check_forbidden(columns: Iterable[object], target: str | Target | None = None) -> None:
    """Refuse columns that are forbidden as inputs for a target.

    For a stage: T, N, M, overall stage, pleural and lymphovascular invasion, grade, and for every target adjuvant
    treatment, chemotherapy, radiation, recurrence, survival, dates, days to surgery: by header, official or canonical,
    in any case. What else is forbidden, the target says (`Target.forbids`), and its own name is forbidden too.

    Parameters
    ----------
    columns : iterable of str or (modality, feature)
        What would be read; a plain name is one of a health record.
    target : str or Target, optional
        What is predicted; a name that is not that of a target, and None, count as a stage.

    Raises
    ------
    LeakageError
        Naming the columns, and the way out.

    Examples
    --------
    >>> check_forbidden(["age", ("rna", "EGFR"), ("ehr", "egfr")], "stage3_ajcc8")
    >>> check_forbidden([("rna", "EGFR"), ("ehr", "kras")], "egfr")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    mmfusion.errors.LeakageError: column kras: tells egfr, or is known only after the diagnosis ...
    """
    pairs = [c if isinstance(c, tuple) else ("ehr", c) for c in columns]
    spec = target if isinstance(target, Target) else find_target(target)
    own = header_key(target) if spec is None and target else None
    spec = spec or get_target("stage2")
    bad = [f for m, f in pairs if spec.forbids(m, f) or (m not in ("rna", "meta") and header_key(f) == own)]
    if bad:
        stage = isinstance(spec, StageTarget)
        problem = "known only with or after the stage"
        raise LeakageError(
            problem if stage else f"tells {spec.name}, or is known only after the diagnosis",
            column=", ".join(map(str, bad)),
            hint=HINT,
        )
