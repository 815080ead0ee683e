"""Manifests with their tables, and saved models: as they lie there, and with checksums made again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

import mmfusion as mf
from mmfusion.data.manifest import write_manifest
from mmfusion.nn.ensemble import Ensemble
from mmfusion.storage.hashing import hash_file
from tests.fuzz.mutate import Change
from tests.fuzz.registry import Format

MODEL = Path(__file__).parents[2] / "staging" / "format1" / "model"
SUMMED = ("config.json", "weights.safetensors", "arrays.npz", "README.md")
assert Ensemble  # torch is imported before the memory of the process is limited


def make_manifest(rng: np.random.Generator, folder: Path) -> Path:
    ids = pd.Index([f"P{k:02d}" for k in range(8)], name="patient_id")
    ehr = pd.DataFrame({"age": rng.integers(40, 80, 8), "sex": rng.choice(["f", "m"], 8)}, index=ids)
    rna = pd.DataFrame(rng.gamma(2, 30, (8, 5)).round(3), ids, ["TP53", "EGFR", "KRAS", "ALK", "MET"])
    labels = pd.DataFrame({"stage": ["IA", "IB", "IIA", "IIB", "IIIA", "IIIB", "IA", "IIA"]}, index=ids)
    ehr.to_csv(folder / "ehr.csv")
    rna.to_csv(folder / "rna.csv")
    labels.to_csv(folder / "labels.csv")
    rows = [
        {"modality": "ehr", "role": "features", "path": "ehr.csv"},
        {"modality": "rna", "role": "features", "path": "rna.csv", "unit": "tpm"},
        {"modality": "", "role": "labels", "path": "labels.csv", "parameters": '{"ajcc_edition": [8]}'},
    ]
    frame = pd.DataFrame([{"dataset": "d", "patient_id": "", "site": "", **row} for row in rows])
    write_manifest(frame, folder / "data_manifest.csv", hashes=True)
    return folder


def read_manifest(folder: Path) -> object:
    cohort = mf.load_cohort(folder / "data_manifest.csv")
    return cohort.table.astype(object), cohort.outcomes.astype(object), cohort.target


def make_model(rng: np.random.Generator, folder: Path) -> Path:
    shutil.copytree(MODEL, folder, dirs_exist_ok=True)
    return folder


def read_model(folder: Path) -> object:
    model = mf.load(folder)
    return model.probabilities(model.background_), list(map(str, model.classes_))


def read_sealed(folder: Path) -> object:
    """Read a model after making its checksums again, as somebody would who edits it on purpose."""
    sums = {name: hash_file(folder / name) for name in SUMMED if (folder / name).is_file()}
    (folder / "checksums.json").write_text(json.dumps(sums))
    return read_model(folder)


def in_tables(change: Change) -> bool:
    """Return True if a change is in a file whose hash is in the manifest."""
    return change.file != "data_manifest.csv" or change.kind == "file gone"


def as_text(name: str, data: bytes) -> int:
    return len(data) if name.endswith((".csv", ".json", ".md")) else 0


FORMATS = [
    Format("manifest", make_manifest, read_manifest, in_tables, as_text),
    Format("model", make_model, read_model, lambda change: True, as_text),
    Format("model sealed again", make_model, read_sealed, lambda change: change.kind == "file gone", as_text),
]
