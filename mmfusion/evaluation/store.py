"""Results of finished folds on disk: written whole or not at all, so that a killed run resumes."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

from mmfusion.atomic import saved

log = logging.getLogger(__name__)


class FoldStore:
    """One JSON file per (candidate, repeat, fold).

    Parameters
    ----------
    folder : path or None
        Where the files are; None keeps nothing.
    fingerprint : str
        Hash of data, splits and settings; a file written under another one is computed anew.
    """

    def __init__(self, folder: str | Path | None, fingerprint: str) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.fingerprint = fingerprint

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
        same = (result.get("fingerprint"), result.get("label")) == (self.fingerprint, label)
        return result if same else None

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
        write_json(stem.with_name(stem.name + ".json"), {**result, "fingerprint": self.fingerprint})


def write_json(file: Path, value: object) -> None:
    """Write JSON to `file` atomically.

    Raises
    ------
    DataError
        If the disk is full or the folder cannot be written.
    """
    with saved(file) as draft:
        draft.write_text(json.dumps(value))
