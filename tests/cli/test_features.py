"""`mmfusion features --radiomics` and `--segmenter`: tables, failures, stability, sites, and bad options."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from mmfusion.cli import main
from mmfusion.data.manifest import write_manifest
from mmfusion.imaging import Volume
from mmfusion.storage.hashing import hash_each_id
from tests.features.lesions import lesion, needs_mirp, write_cohort
from tests.features.segmenters import segmenter

FAST = ("-p", "families=statistics", "-p", "spacing=none", "--n-jobs", "1")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MMFUSION_OFFLINE", "1")


def cases(n: int, **options) -> dict:
    return {f"P{k}": lesion(k, shape=(12, 24, 24), radius=4.0, **options) for k in range(n)}


@needs_mirp
def test_radiomics_are_written_and_failures_are_listed(tmp_path, capsys):
    manifest = write_cohort(tmp_path, cases(2) | {"P2": (lesion(2)[0], None)})
    out = tmp_path / "radiomics.csv"
    assert main(["features", str(manifest), "--radiomics", *FAST, "-p", "bins=16", "-o", str(out)]) == 1
    text = capsys.readouterr()
    assert "not computed: patient P2, file" in text.err and "no mask" in text.err
    assert text.out.startswith("2 of 3 scans computed: ")
    assert text.out.endswith("lesions,,ct,features,radiomics.csv,,,,,,,,\n")
    table = pd.read_csv(out, index_col=0)
    assert table.shape == (2, 18) and table.columns[0] == "stat_mean"
    facts = json.loads((tmp_path / "radiomics.csv.json").read_text())
    assert facts["settings"]["families"] == ["statistics"] and facts["settings"]["spacing"] is None
    assert facts["settings"]["bins"] == 16 and facts["mirp"]
    assert facts["failures"][0]["patient_id"] == "P2"


@needs_mirp
def test_the_manifest_is_not_replaced_by_its_features(tmp_path, capsys):
    manifest = write_cohort(tmp_path, cases(1))
    before = manifest.read_bytes()
    assert main(["features", str(manifest), "--measures", "-o", str(manifest)]) == 2
    assert "would overwrite a file that it is made from" in capsys.readouterr().err
    assert manifest.read_bytes() == before


def test_what_is_not_estimable_is_listed(tmp_path, capsys):
    manifest = write_cohort(tmp_path, cases(1) | {"P1": _one_voxel()})
    options = [*FAST[2:], "-p", "families=glcm,statistics", "-o", str(tmp_path / "t.csv")]
    assert main(["features", str(manifest), "--radiomics", *options]) == 0
    error = capsys.readouterr().err
    assert "not estimable: patient P1: 25 features (cm_joint_max" in error and ", ...)" in error


def _one_voxel():
    scan, mask = lesion(1, shape=(12, 24, 24))
    array = mask.array * 0
    array[6, 12, 12] = 1
    return scan, Volume(array, mask.affine, unit="mask")


@needs_mirp
def test_stability_and_sites_are_written_beside_the_table(tmp_path, capsys):
    manifest = write_cohort(tmp_path, cases(12))
    pd.DataFrame(
        {"patient_id": [f"P{k}" for k in range(12)], "age": 60, "site": ["north", "south"] * 6}
    ).to_csv(tmp_path / "ehr.csv", index=False)
    rows = pd.read_csv(manifest, dtype=str, keep_default_na=False).drop(columns="sha256", errors="ignore")
    ehr = {"dataset": "lesions", "modality": "ehr", "role": "features", "path": "ehr.csv", "patient_id": ""}
    rows = pd.concat([rows, pd.DataFrame([ehr])]).fillna("")
    manifest = write_manifest(rows, tmp_path / "sites.csv")
    out = tmp_path / "radiomics.csv"
    command = ["features", str(manifest), "--radiomics", *FAST, "-o", str(out), "--stability", "--by-site"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "of 18 features are robust (ICC, lower bound 0.9 or above, 9 masks of each lesion)" in text
    assert "site predicted from these features: AUC 0." in text and "after ComBat, fitted in the fold" in text
    stability = pd.read_csv(tmp_path / "radiomics.csv.stability.csv", index_col="feature")
    assert (
        list(stability.columns) == ["icc", "low", "high", "patients"] and (stability["patients"] == 12).all()
    )
    sites = pd.read_csv(tmp_path / "radiomics.csv.sites.csv", index_col="feature")
    assert {"eta2_before", "eta2_after"} <= set(sites.columns) and len(sites) == 18


def test_deep_features_of_a_saved_segmenter(tmp_path, capsys):
    manifest = write_cohort(tmp_path, cases(2))
    model = segmenter()
    model.patients_ = hash_each_id(["P1"])
    model.save(tmp_path / "raseg")
    out = tmp_path / "mid.csv"
    command = ["features", str(manifest), "--segmenter", str(tmp_path / "raseg"), "--n-jobs", "1"]
    assert main([*command, "--level", "mid", "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert "trained on 1 of these patients" in text and "2 of 2 scans computed" in text
    assert list(pd.read_csv(out, index_col=0).columns) == [f"raseg_mid_{k}" for k in range(24)]
    assert json.loads((tmp_path / "mid.csv.json").read_text())["level"] == "mid"
    assert main([*command, "--level", "low", "-o", str(out)]) == 2
    assert "unknown level of features (expected high, mid, multi; got low)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--radiomics", "--random-weights", "0"], "two kinds of features"),
        (["--radiomics", "--segmenter", "m"], "two kinds of features"),
        (["-p", "spacing=1"], "--parameter needs --radiomics"),
        (["--modality", "pet"], "--modality needs --radiomics"),
        (["--stability"], "--stability needs --radiomics"),
        (["--level", "mid"], "--level needs --segmenter"),
        (["--radiomics", "-p", "spacing"], "a parameter has no value"),
        (["--radiomics", "-p", "spacing=1", "-p", "spacing=2"], "parameter spacing: given twice"),
        (["--radiomics", "-p", "size=1"], "no such setting"),
        (["--segmenter", "absent"], "absent"),
    ],
)
def test_bad_options(tmp_path, capsys, options, message):
    if "--radiomics" in options:
        pytest.importorskip("mirp")
    manifest = write_cohort(tmp_path, cases(1))
    assert main(["features", str(manifest), *options, "-o", str(tmp_path / "t.csv")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "t.csv").exists()


@needs_mirp
def test_a_cohort_without_what_is_asked(tmp_path, capsys):
    manifest = write_cohort(tmp_path, cases(2))
    command = ["features", str(manifest), "--radiomics", *FAST, "-o", str(tmp_path / "t.csv")]
    assert main([*command, "--modality", "pet"]) == 2
    assert "no scans in this cohort (expected a column (pet, volume))" in capsys.readouterr().err
    assert main([*command, "--by-site"]) == 2
    assert "no sites in this cohort" in capsys.readouterr().err
