"""`mmfusion features` of the foundation model."""

from __future__ import annotations

import json

import pandas as pd

from mmfusion.cli import main
from tests.reports.conftest import METRICS, make_notebook  # noqa: F401 - a fixture


def test_features_are_written_and_failures_are_listed(demo, tmp_path, capsys, monkeypatch):
    import torch

    from mmfusion.features import encoder

    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    pool = torch.nn.Sequential(torch.nn.AdaptiveAvgPool3d(16), torch.nn.Flatten())
    monkeypatch.setattr(encoder, "_network", lambda *_: pool)
    manifest = pd.read_csv(demo / "manifest.csv", dtype=str, keep_default_na=False)
    scans = manifest[(manifest["role"] == "volume") & (manifest["modality"] == "ct")]
    table = scans[["patient_id", "path"]].rename(columns={"path": "image_path"})[:3]
    seeds = pd.read_csv(demo / manifest.loc[manifest["role"] == "seeds", "path"].iloc[0], index_col=0)
    table[["coordX", "coordY", "coordZ"]] = seeds.loc[table["patient_id"]].to_numpy()
    table.iloc[1, 1] = "absent.nii.gz"
    table.to_csv(tmp_path / "seeds.csv", index=False)
    out = tmp_path / "deep.csv"
    command = [
        "features",
        str(tmp_path / "seeds.csv"),
        "--root",
        str(demo),
        "-o",
        str(out),
        "--random-weights",
        "7",
    ]
    assert main([*command, "--n-jobs", "1"]) == 1
    text = capsys.readouterr()
    assert f"not encoded: patient {table['patient_id'].iloc[1]}, file" in text.err
    assert "RANDOM WEIGHTS, seed 7" in text.out
    assert "2 of 3 scans encoded" in text.out
    assert pd.read_csv(out, index_col=0).columns[0] == "random7_0"
    assert json.loads(out.with_name("deep.csv.json").read_text())["random_weights"] == 7
    assert main(["features", "demo", "-o", "deep.xlsx"]) == 2
    assert "unknown kind of table" in capsys.readouterr().err


def test_features_without_weights_give_a_hint(tmp_path, capsys, monkeypatch):
    for name in ("MMFUSION_CACHE", "MMFUSION_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("MMFUSION_OFFLINE", "1")
    assert main(["features", "demo", "-o", str(tmp_path / "deep.csv")]) == 2
    error = capsys.readouterr().err
    assert "model_weights.torch" in error
    assert "zenodo.org" in error
    assert str(tmp_path / "model_weights.torch") in error
