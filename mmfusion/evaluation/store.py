"""Results of finished folds on disk, from which an interrupted run resumes.

A file is written completely or not at all, with a hash of its content. If a file was edited or cut off, it is
not used, and its fold is computed again with a warning. The folds of each candidate have a folder. Its name
is the hash of everything that the results depend on:

- the data, the splits and the seed;
- the candidate with all its parameters;
- the versions of libraries, and the code that the estimator and the task can reach.

A result for other data, another setting or other code is therefore never used. Folds stay valid when a
comment, a docstring or code that cannot be reached is edited (`mmfusion.storage.source`).
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import joblib
import pandas as pd

from mmfusion.bundle import SUMS, is_whole
from mmfusion.data.cohort import Cohort
from mmfusion.data.splits import Splits
from mmfusion.errors import warn
from mmfusion.evaluation.content import content
from mmfusion.evaluation.fold_result import FoldResult
from mmfusion.evaluation.folds import Candidate, evaluate_fold
from mmfusion.evaluation.tasks.base import Task
from mmfusion.imaging import Volume
from mmfusion.storage.atomic import saved
from mmfusion.storage.fingerprint import fingerprint
from mmfusion.storage.hashing import hash_json
from mmfusion.storage.source import defining_modules, source_hash
from mmfusion.storage.strict_json import parse_json

log = logging.getLogger(__name__)


class FoldStore:
    """Folder with one JSON file per candidate, repeat and fold.

    Parameters
    ----------
    folder : path or None
        Folder of the files; None stores nothing.
    task : Task
        Task of the folds.
    setting : callable
        Function without arguments that returns the hash of everything that all candidates depend on
        (`setting_hash`). It is not called if `folder` is None.

    Examples
    --------
    >>> from mmfusion.evaluation.tasks import ClassificationTask
    >>> store = FoldStore(None, ClassificationTask(("I", "II")), lambda: "")
    >>> store.path(Candidate("ridge", None), 0, 0) is None  # without a folder nothing is stored
    True
    """

    def __init__(self, folder: str | Path | None, task: Task, setting: Callable[[], str]) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.task = task
        self.setting = setting() if folder is not None else ""
        self._code: dict[frozenset[str], str] = {}

    def path(self, candidate: Candidate, repeat: int, fold: int) -> Path | None:
        """Return the path of a candidate's fold without a suffix; None if nothing is stored."""
        if self.folder is None:
            return None
        name = re.sub(r"[^A-Za-z0-9.@-]+", "_", candidate.label)
        return self.folder / self.hash(candidate)[:16] / f"{name}-r{repeat}-f{fold}"

    def hash(self, candidate: Candidate) -> str:
        """Return the hash of everything that the folds of a candidate depend on."""
        roots = [candidate.estimator, dict(candidate.search or {}), self.task, evaluate_fold]
        modules = frozenset(defining_modules(roots))
        if modules not in self._code:
            self._code[modules] = source_hash(roots)
        return joblib.hash(repr((self.setting, self._code[modules], content(self.task), content(candidate))))

    def get(self, stem: Path | None, label: str) -> FoldResult | None:
        """Return the result of a finished fold; None if there is none.

        Also None, with a warning, if the file or the fold's saved model was edited or damaged.
        """
        if stem is None or not (file := stem.with_name(stem.name + ".json")).is_file():
            return None
        try:
            result = FoldResult.from_json(_unsealed(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
            return self._refused(file, str(error))
        if result.bundle is not None and not _is_kept(Path(result.bundle)):
            return self._refused(Path(result.bundle), "the saved model of the fold is absent or was changed")
        return result if result.label == label else None

    @staticmethod
    def _refused(file: Path, reason: str) -> None:
        warn(f"{file}: edited or damaged ({reason}); the fold is computed again", UserWarning, stacklevel=3)

    def put(self, stem: Path | None, result: FoldResult) -> None:
        """Store the result of a finished fold.

        Raises
        ------
        DataError
            If the folder cannot be written.
        """
        if stem is not None:
            content = result.to_json()
            write_json(stem.with_name(stem.name + ".json"), {"sha256": _seal(content), "result": content})


def setting_hash(cohort: Cohort, splits: Splits, seed: int) -> str:
    """Return the hash of everything that all candidates depend on.

    Parameters
    ----------
    cohort : Cohort
        Its values, scans, masks, units and persons count.
    splits : Splits
        Outer folds.
    seed : int
        Seed of the fits.

    Examples
    --------
    >>> ids = pd.Index(["p1", "p2", "p3", "p4"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0, 55.0, 80.0]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB", "IA", "IIIB"]}, index=ids)
    >>> cohort = Cohort("example", table, outcomes, "stage2")
    >>> splits = Splits.make(cohort.y, n_splits=2, n_repeats=1, random_state=0)
    >>> setting_hash(cohort, splits, seed=0) == setting_hash(cohort, splits, seed=1)
    False
    """
    X, y = cohort.X, pd.DataFrame(cohort.y)
    scans = [v for column in X.columns if column[1] in ("volume", "mask") for v in X[column].dropna()]
    drawn = [v for v in y.to_numpy(dtype=object).ravel() if _is_file(v)]
    tables = [pd.util.hash_pandas_object(t.astype(str), index=True).to_numpy() for t in (X, y)]
    names = [list(map(str, table.columns)) for table in (X, y)]
    person_ids = list(cohort.groups.loc[X.index, "patient"].astype(str))
    return joblib.hash((
        tables, names, person_ids, sorted(cohort.units.items()), str(cohort.target),
        repr([fingerprint(v) if isinstance(v, str | Path) else content(v) for v in [*scans, *drawn]]),
        splits.hash, seed,
    ))  # fmt: skip


def _is_file(label: object) -> bool:
    """Return True if a label is a mask: the path of a file, or a Volume."""
    return isinstance(label, Path | Volume) or (isinstance(label, str) and os.sep in label)


def _is_kept(bundle: Path) -> bool:
    """Return True if the saved model of a fold is there, and its files are those that were saved."""
    return is_whole(bundle) if (bundle / SUMS).is_file() else bundle.exists()


def _seal(content: object) -> str:
    """Return the hash of a result as it is after writing and reading it."""
    return hash_json(json.loads(json.dumps(content)))


def _unsealed(text: str) -> dict[str, object]:
    """Return the result in a file; raise `ValueError` if it is not as it was written."""
    value = parse_json(text, nan=True)
    if not isinstance(value, dict) or set(value) != {"sha256", "result"}:
        raise ValueError("not a result of a fold")
    if value["sha256"] != hash_json(value["result"]):
        raise ValueError("the hash differs")
    return value["result"]


def write_json(file: Path, value: object) -> None:
    """Write JSON to `file` atomically.

    Raises
    ------
    DataError
        If the disk is full or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder) / "scores.json", {"dice": 0.8})
    ...     json.loads((Path(folder) / "scores.json").read_text())
    {'dice': 0.8}
    """
    with saved(file) as draft:
        draft.write_text(json.dumps(value))
