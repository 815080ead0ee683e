"""`mmfusion segment`: files, output, warnings and errors."""

import json

import highdicom as hd
import pandas as pd
import pytest

from mmfusion.cli import main
from mmfusion.imaging import read_mask, write_nifti
from mmfusion.imaging.dicom.writer import write_dicom_zip
from tests.lesions.click.scans import chest, dice

SEED, OTHER = "15,0,-464", "-10,-10,-464"


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    ct, masks = chest([((15.0, 0.0, -464.0), 9.0), ((-10.0, -10.0, -464.0), 6.0)])
    write_nifti(ct, folder / "ct.nii.gz")
    write_dicom_zip(ct, folder / "ct.zip", "P1")
    return folder, masks


def test_one_click(scans, tmp_path, capsys):
    folder, (true, _) = scans
    assert main(["segment", str(folder / "ct.nii.gz"), "--seed", SEED, "-o", str(tmp_path / "m.nii.gz")]) == 0
    out = capsys.readouterr()
    assert "mL, " in out.out and f"written: {tmp_path / 'm.nii.gz'}" in out.out and not out.err
    assert dice(read_mask(tmp_path / "m.nii.gz"), true) > 0.9


def test_several_clicks_as_dicom_with_a_report(scans, tmp_path, capsys):
    folder, masks = scans
    scan, seg, report = (str(p) for p in (folder / "ct.zip", tmp_path / "m.dcm", tmp_path / "sr.dcm"))
    assert (
        main(["segment", scan, "--seed", SEED, "--seed", OTHER, "-o", seg, "--report", report, "--json"]) == 0
    )
    shown = json.loads(capsys.readouterr().out)
    assert shown["files"] == [seg, report] and len(shown["lesions"]) == 2
    for number, true in enumerate(masks, 1):
        assert dice(read_mask(seg, roi=number).like(true), true) > 0.85
    groups = hd.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    volumes = [group.get_measurements()[0].value for group in groups]
    assert volumes == pytest.approx([one["volume_ml"] for one in shown["lesions"]])


def test_several_clicks_as_nifti(scans, tmp_path):
    folder, _ = scans
    out = str(tmp_path / "P1.2.nii.gz")
    assert main(["segment", str(folder / "ct.zip"), "--seed", SEED, "--seed", OTHER, "-o", out]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"P1.2_1.nii.gz", "P1.2_2.nii.gz"}


@pytest.mark.parametrize("form", ["seg", "rtstruct"])
def test_forms(scans, tmp_path, form):
    folder, (true, _) = scans
    out = tmp_path / "m.dcm"
    line = "6,0,-464,24,0,-464"
    assert main(["segment", str(folder / "ct.zip"), "--line", line, "--form", form, "-o", str(out)]) == 0
    assert dice(read_mask(out, true), true) > 0.85


def test_a_manifest(scans, tmp_path, capsys):
    folder, _ = scans
    rows = [{"dataset": "d", "patient_id": p, "modality": "ct", "role": "volume", "path": "ct.nii.gz"}
            for p in ("P1",)]  # fmt: skip
    rows += [{"dataset": "d", "patient_id": "", "modality": "ct", "role": "seeds", "path": "seeds.csv"}]
    rows += [{"dataset": "d", "patient_id": "", "modality": "ehr", "role": "labels", "path": "labels.csv"}]
    pd.DataFrame([{"patient_id": "P1", "seed_x": 15, "seed_y": 0, "seed_z": -464}]).to_csv(
        folder / "seeds.csv", index=False
    )
    pd.DataFrame([{"patient_id": "P1", "egfr": "mutant"}]).to_csv(folder / "labels.csv", index=False)
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    out = tmp_path / "lesions"
    assert main(["segment", "--manifest", str(folder / "manifest.csv"), "-o", str(out), "--n-jobs", "1"]) == 0
    assert "1 of 1 lesions segmented" in capsys.readouterr().out
    table = pd.read_csv(out / "lesions.csv", index_col="patient_id")
    assert 16 < table.loc["P1", "longest_mm"] < 20 and (out / table.loc["P1", "mask"]).is_file()


BAD = {
    "no scan": ([], "nothing to segment"),
    "no point": (["SCAN", "-o", "OUT/m.nii.gz"], "no lesion is pointed at"),
    "no file": (["SCAN", "--seed", SEED, "--form", "seg"], "no file for the mask"),
    "the scan itself": (["SCAN", "--seed", SEED, "-o", "SCAN"], "would overwrite a file that it"),
    "seeds and a box": (
        ["SCAN", "--seed", SEED, "--seed", OTHER, "--box", "0,0,0,1,1,1", "-o", "OUT/m.nii.gz"],
        "several seeds do not go with a box",
    ),
    "report without DICOM": (
        ["SCAN", "--seed", SEED, "-o", "OUT/m.nii.gz", "--report", "OUT/r.dcm"],
        "a structured report refers to a DICOM-SEG",
    ),
    "NIfTI named DICOM": (
        ["SCAN", "--seed", SEED, "--form", "nifti", "-o", "OUT/m.dcm"], "not a name of a NIfTI file"
    ),
    "DICOM named NIfTI": (
        ["SCAN", "--seed", SEED, "--form", "seg", "-o", "OUT/m.nii.gz"], "not a name of a DICOM file"
    ),
    "unknown suffix": (["SCAN", "--seed", SEED, "-o", "OUT/m.png"], "unknown format of masks"),
    "outside": (["SCAN", "--seed", "900,0,0", "-o", "OUT/m.nii.gz"], "a point outside the scan"),
    "manifest and seed": (
        ["--manifest", "m.csv", "--seed", SEED, "-o", "OUT"], "--manifest does not go with other inputs"
    ),
    "manifest without a folder": (["--manifest", "m.csv"], "no folder for the masks"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, scans, tmp_path, capsys):
    words, message = BAD[case]
    names = {"SCAN": str(scans[0] / "ct.nii.gz")}
    words = [names.get(word, word.replace("OUT", str(tmp_path))) for word in words]
    assert main(["segment", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_a_file_it_prints_only(scans, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["segment", str(scans[0] / "ct.nii.gz"), "--seed", SEED]) == 0
    assert "mL" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_a_point_is_three_numbers(capsys):
    with pytest.raises(SystemExit):
        main(["segment", "ct.zip", "--seed", "1,2"])
    assert "expected x,y,z in mm, got '1,2'" in capsys.readouterr().err
