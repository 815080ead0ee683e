"""Recognise files that mmfusion wrote itself, so that they are not taken for scans or health records."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from mmfusion.data.discovery.guess import Guess, Use
from mmfusion.modalities import IMAGING

_CLICKS = {"mask", "volume_ml", "method", "margin"}  # columns of `lesions.csv`
_MASK_FOLDER = re.compile(r"(masks?|seg(mentation)?s?|labels?(t[rs])?|contours?)")


def own_features(path: Path, ids: tuple[str, ...]) -> Guess | None:
    """Return the use of a table that `mmfusion features` wrote; None for others.

    The JSON file beside such a table says what the features are, and of which modality.

    Parameters
    ----------
    path : Path
        The table.
    ids : tuple of str
        Patient ids in it.
    """
    facts = _facts(path.with_name(f"{path.name}.json"))
    if facts.get("modality") not in IMAGING or "mmfusion" not in facts:
        return None
    use = Use(facts["modality"], "features")
    return Guess((use,), f"{facts.get('model', 'features')}, written by mmfusion features", ids)


def _facts(path: Path) -> dict[str, object]:
    """Return the content of a JSON file; empty if there is none, or it is not an object."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def own_clicks(table: pd.DataFrame) -> str:
    """Return why a table is not used if it is `lesions.csv` of `mmfusion segment`; "" for others.

    Examples
    --------
    >>> own_clicks(pd.DataFrame(columns=["mask", "volume_ml", "method", "margin"]))[:27]
    'written by mmfusion segment'
    >>> own_clicks(pd.DataFrame(columns=["age"]))
    ''
    """
    if not set(table.columns) >= _CLICKS:
        return ""
    return "written by mmfusion segment: for a stage model, use the table of mmfusion features --measures"


def in_mask_folder(path: Path) -> bool:
    """Return True if a file lies directly in a folder of masks, such as `masks` or `labelsTr`.

    Examples
    --------
    >>> in_mask_folder(Path("lesions/masks/P1.nii.gz")), in_mask_folder(Path("lesions/P1.nii.gz"))
    (True, False)
    """
    return bool(_MASK_FOLDER.fullmatch(path.parent.name.lower()))
