"""Ablations of CSPAT: its parts, its tasks, and the balance of its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmfusion.errors import DataError
from mmfusion.nn.segmenters.cspat import TASKS
from mmfusion.nn.training import BALANCES

_FPN = {"neck": "fpn"}
# row of the ablation -> options of the network; the last is the network of the paper
CSPAT_PARTS: dict[str, dict[str, object]] = {
    "U-shaped decoder, no neck": {"neck": "none"},
    "FPN (top-down), no gates, adjacent scales": {**_FPN, "gate": False, "cross_scale": False},
    "FPN, gates, adjacent scales": {**_FPN, "cross_scale": False},
    "FPN, gates, all scales": _FPN,
    "PAN (both ways), no gates, adjacent scales": {"gate": False, "cross_scale": False},
    "PAN, no gates, all scales": {"gate": False},
    "PAN, gates, adjacent scales": {"cross_scale": False},
    "PAN, gates, all scales: CSPAT": {},
}
MAIN = "CSPAT, both tasks"  # PAN, gates, all scales, balance by uncertainty
EXPRESSION, MASK = "expression alone", "mask alone"
POOLED = "also pooled inside the predicted mask"
GROUPS = ("parts", "combinations", "tasks", "balance")
_TITLES = {"fixed": "fixed weights", "dwa": "DWA", "pcgrad": "PCGrad", "uncertainty": "uncertainty"}


def joint_grid(
    options: Mapping[str, object] | None = None,
    groups: Sequence[str] = GROUPS,
    balance: str = "uncertainty",
) -> dict[str, dict[str, object]]:
    """Return the changed parameters of the models beside the main one, by name.

    They do not record the cosine between gradients, which takes time.

    Parameters
    ----------
    options : mapping, optional
        Options of the network, the same for all.
    groups : sequence of {"parts", "combinations", "tasks", "balance"}
        "parts": another neck, no gates, adjacent scales only, or pooling inside the predicted mask; one
        change each. "combinations": several of these changes at once. "tasks": expression alone; masks alone
        are another kind of target, and need a cross-validation of their own. "balance": the other ways to
        balance the tasks.
    balance : str
        Balance of the main model.

    Returns
    -------
    dict
        Name -> changed parameters of `ExpressionSegmenter`.

    Raises
    ------
    DataError
        If there is no such group.

    Examples
    --------
    >>> list(joint_grid(groups=("tasks", "balance")))
    ['expression alone', 'balance: fixed weights', 'balance: DWA', 'balance: PCGrad']
    """
    if unknown := [one for one in groups if one not in GROUPS]:
        raise DataError("no such ablation", parameter="ablations", expected=", ".join(GROUPS), got=unknown[0])
    same, found = dict(options or {}), {}
    rows = {row: own for row, own in CSPAT_PARTS.items() if own and group_of(row) in groups}
    found |= {row: {"options": same | own} for row, own in rows.items()}
    if "parts" in groups:
        found[POOLED] = {"options": same | {"tasks": TASKS, "mask_pool": True}}
    if "tasks" in groups:
        found[EXPRESSION] = {"options": same | {"tasks": (TASKS[1],)}}
    if "balance" in groups:
        found |= {f"balance: {_TITLES[name]}": {"balance": name} for name in BALANCES if name != balance}
    return {name: changes | {"log_cosine": False} for name, changes in found.items()}


def group_of(model: str) -> str:
    """Return the group of a row of the ablation, for tables; "" for the main model and for other models.

    Examples
    --------
    >>> [group_of(one) for one in ("balance: DWA", "PAN, no gates, all scales", "mask alone", MAIN)]
    ['balance', 'parts', 'tasks', '']
    """
    if model in CSPAT_PARTS or model == POOLED:
        return "combinations" if len(CSPAT_PARTS.get(model, ())) > 1 else "parts"
    if model in (EXPRESSION, MASK):
        return "tasks"
    return "balance" if model.startswith("balance: ") else ""
