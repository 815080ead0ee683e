"""Inputs that are known only with the stage or after it, refused by their names."""

from __future__ import annotations

from collections.abc import Iterable

from mmfusion.data.tables.files import header_key
from mmfusion.data.targets.forbidden import gives_stage_away
from mmfusion.errors import LeakageError

HINT = "leave them out; allow_leaky=True accepts them, to demonstrate the leak, and stamps the model"


def check_forbidden(columns: Iterable[object], target: str | None = None) -> None:
    """Refuse columns that are known only with the stage or after it.

    T, N, M, overall stage, pleural and lymphovascular invasion, grade, adjuvant treatment, chemotherapy, radiation,
    recurrence, survival, dates, days to surgery: by header, official or canonical, in any case (the rule that the
    readers use, `mmfusion.data.targets.forbidden`).
    Every named target is a stage, so that one rule serves them all; the
    target's own name is refused too. Genes are not looked at: symbols such as OS9 or T mean something else.

    Parameters
    ----------
    columns : iterable of str or (modality, feature)
        What would be read.
    target : str, optional
        What is predicted.

    Raises
    ------
    LeakageError
        Naming the columns, and the way out.
    """
    pairs = [c if isinstance(c, tuple) else ("ehr", c) for c in columns]
    own = header_key(target) if target else None
    bad = [f for m, f in pairs if m not in ("rna", "meta") and (gives_stage_away(f) or header_key(f) == own)]
    if bad:
        raise LeakageError(
            "known only with or after the stage",
            column=", ".join(map(str, bad)),
            hint=HINT,
        )
