"""Results of finished folds on disk: written whole or not at all, so that a killed run resumes.

Those of other data, settings or code are never taken for these: each setting has a folder of its own.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import joblib
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.manifest import hash_path
from mmfusion.data.splits import Splits
from mmfusion.evaluation.folds import Candidate
from mmfusion.modalities import IMAGING
from mmfusion.storage.atomic import saved
from mmfusion.storage.fingerprint import fingerprint
from mmfusion.storage.source import code_hash

log = logging.getLogger(__name__)


class FoldStore:
    """One JSON file per (candidate, repeat, fold).

    Parameters
    ----------
    folder : path or None
        Where the files are; None keeps nothing.
    setting : str
        `setting_hash`; the folder below `folder` that holds its files.
    """

    def __init__(self, folder: str | Path | None, setting: str) -> None:
        self.folder = Path(folder) / setting[:16] if folder is not None else None

    def path(self, label: str, repeat: int, fold: int) -> Path | None:
        """Stem of the files of one fold of a candidate; None where nothing is kept."""
        if self.folder is None:
            return None
        return self.folder / f"{re.sub(r'[^A-Za-z0-9.@-]+', '_', label)}-r{repeat}-f{fold}"

    def get(self, label: str, repeat: int, fold: int) -> dict | None:
        """A finished fold's result, or None."""
        stem = self.path(label, repeat, fold)
        if stem is None or not (file := stem.with_name(stem.name + ".json")).is_file():
            return None
        try:
            result = json.loads(file.read_text())
        except ValueError:
            log.warning("%s is damaged: its fold is computed again", file)
            return None
        return result if result.get("label") == label else None

    def put(self, result: dict) -> None:
        """Keep a finished fold's result.

        Raises
        ------
        DataError
            If the folder cannot be written.
        """
        stem = self.path(result["label"], result["repeat"], result["fold"])
        if stem is None:
            return
        write_json(stem.with_name(stem.name + ".json"), result)


def setting_hash(cohort: Cohort, candidates: Sequence[Candidate], splits: Splits, seed: int) -> str:
    """Hash of all that a fold's result depends on: values, scans, units, people, splits, models, seed, code."""
    X, y = cohort.X, cohort.y
    scans = [str(p) for m in IMAGING if (m, "volume") in X for p in X[m, "volume"].dropna()]
    models = [
        (
            c.label,
            type(c.estimator).__name__,
            _content(c.estimator.get_params()),
            repr(c.search),
            c.n_trials,
            c.inner,
        )
        for c in candidates
    ]
    return joblib.hash((
        code_hash(), pd.util.hash_pandas_object(X.astype(str), index=True).to_numpy(), list(map(str, X.columns)),
        list(y.astype(str)), list(cohort.groups.loc[X.index, "patient"].astype(str)), sorted(cohort.units.items()),
        [fingerprint(p) for p in scans], models, splits.hash, seed,
    ))  # fmt: skip


def _content(params: Mapping[str, object]) -> list[tuple[str, object]]:
    """Parameters as what they hold: a table by its values, a file by its bytes, a model by its own parameters."""
    out = []
    for name, value in sorted(params.items()):
        if hasattr(value, "get_params"):
            out.append((name, type(value).__name__))  # its parameters are listed as name__parameter
        elif isinstance(value, str | Path) and name.endswith("graph_edges"):
            out.append((name, hash_path(Path(value))))
        elif isinstance(value, pd.DataFrame):
            out.append((name, joblib.hash(value)))
        else:
            out.append((name, repr(value)))
    return out


def write_json(file: Path, value: object) -> None:
    """Write JSON to `file` atomically.

    Raises
    ------
    DataError
        If the disk is full or the folder cannot be written.
    """
    with saved(file) as draft:
        draft.write_text(json.dumps(value))
