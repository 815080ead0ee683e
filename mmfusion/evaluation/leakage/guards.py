"""Check that no input is forbidden for a target; inputs are recognised by their names."""

from __future__ import annotations

from collections.abc import Iterable

from mmfusion.data.tables.files import header_key
from mmfusion.data.targets.base import Target, find_target, get_target
from mmfusion.data.targets.stage import StageTarget
from mmfusion.errors import LeakageError

HINT = "leave them out; allow_leaky=True accepts them, to demonstrate the leak, and marks the model"


def check_forbidden(columns: Iterable[object], target: str | Target | None = None) -> None:
    """Raise a `LeakageError` if a column is forbidden as an input for a target.

    For every target these are forbidden: adjuvant treatment, chemotherapy, radiation, recurrence, survival,
    dates and days to surgery. For a stage T, N, M, overall stage, pleural and lymphovascular invasion and
    grade are forbidden too. They are recognised by their official or canonical header, in upper or lower
    case. A target can forbid more columns (`Target.forbids`); a column with the name of the target is always
    forbidden.

    Parameters
    ----------
    columns : iterable of str or (modality, feature)
        Columns that would be read. A plain name is a column of the health records.
    target : str or Target, optional
        Target that is predicted. The rules of a stage apply if it is None or not the name of a target.

    Raises
    ------
    LeakageError
        If a column is forbidden. The error names the columns.

    Examples
    --------
    >>> check_forbidden(["age", ("rna", "EGFR"), ("ehr", "egfr")], "stage3_ajcc8")
    >>> check_forbidden([("rna", "EGFR"), ("ehr", "kras")], "egfr")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    mmfusion.errors.LeakageError: column kras: determines egfr, or is known only after the diagnosis ...
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
            problem if stage else f"determines {spec.name}, or is known only after the diagnosis",
            column=", ".join(map(str, bad)),
            hint=HINT,
        )
