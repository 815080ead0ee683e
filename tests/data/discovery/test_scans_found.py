"""Scans in a folder: which series, whose, and which masks."""

import zipfile
from shutil import rmtree

import pytest
import SimpleITK as sitk

from mmfusion.cli import main
from mmfusion.data.discovery.account import page
from mmfusion.data.discovery.discover import discover
from mmfusion.data.load import load_cohort
from mmfusion.data.scans import open_scan
from mmfusion.errors import ManifestError
from mmfusion.imaging import list_series
from tests.data.discovery.folders import dicom, parts, row
from tests.imaging.dicoms import phantom_hu, write_series, zipped
from tests.imaging.structure_sets import rtstruct, scan, square


def test_two_scans_of_one_patient_are_not_guessed(study):
    dicom(study / "scans" / "P-001" / "other")
    found = discover(study)
    assert not row(found, "scans/P-001/series")["used"]
    assert not row(found, "scans/P-001/other")["used"]
    assert "2 candidates" in row(found, "scans/P-001/other")["why"]
    assert any("P-001 has 2 ct volumes" in text for text in found.to_do)
    assert "P-001" not in found.manifest["patient_id"].tolist()


def test_dicom_by_its_header(study):
    dicom(study / "pet" / "a", modality="PT", patient="P-002")
    dicom(study / "dose" / "a", n=1, modality="RTDOSE", patient="P-002")
    zipped(study / "scans" / "P-001" / "series", study / "zipped.zip")
    found = discover(study)
    assert row(found, "pet/a")["as"] == "pet volume"
    assert row(found, "pet/a")["patient"] == "P-002"
    assert row(found, "dose/a")["why"] == "DICOM RTDOSE, 1 file: not used"
    assert row(found, "scans/P-001/series")["why"].startswith("DICOM CT, 3 files; ")
    assert "no known patient" in row(found, "zipped.zip")["why"]


def test_whatever_can_be_read_is_found(tmp_path):
    image = sitk.GetImageFromArray(phantom_hu())
    for patient, name in (("p1", "ct.mhd"), ("p2", "ct.nhdr"), ("p3", "ct.mha"), ("p4", "CT.NII.GZ")):
        (tmp_path / patient).mkdir()
        sitk.WriteImage(image, tmp_path / patient / name.lower())
        (tmp_path / patient / name.lower()).rename(tmp_path / patient / name)
    names = ["p1/ct.mhd", "p2/ct.nhdr", "p3/ct.mha", "p4/CT.NII.GZ"]
    assert parts(discover(tmp_path)) == {(name, "ct volume"): "" for name in names}
    found = discover(tmp_path)
    assert open_scan(load_cohort(found.write()), "p1").volume.shape == (6, 16, 20)


def test_a_zip_that_begins_with_a_readme(tmp_path):
    folder = dicom(tmp_path / "P-001", patient="P-001")
    (folder / "0_README.txt").write_text("thank you for the download")
    archive = zipped(folder, tmp_path / "z.zip", prefix="a")
    for file in folder.iterdir():
        file.unlink()
    assert row(discover(tmp_path), "z.zip")[["as", "patient"]].tolist() == ["ct volume", "P-001"]
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("a.pdf", "1")
        empty.writestr("b.pdf", "2")
    assert row(discover(tmp_path), "z.zip")["why"] == "no DICOM image in it"


def test_one_ct_beside_a_pet_is_named(study):
    """Two rows of one ZIP, each with its series."""
    both = dicom(study / "both", patient="P-002", series="c", description="chest")
    dicom(both, patient="P-002", series="p", modality="PT")
    archive = zipped(both, study / "both.zip")
    for file in both.iterdir():
        file.unlink()
    (study / "scans" / "p2_ct.nii.gz").unlink()
    found = discover(study)
    uids = list_series(archive).set_index("modality")["uid"]
    got = {k: v for k, v in parts(found).items() if k[0] == "both.zip"}
    assert got == {("both.zip", "ct volume"): uids["CT"], ("both.zip", "pet volume"): uids["PT"]}
    assert row(found, "both.zip")["as"] == "ct volume, pet volume"
    cohort = load_cohort(found.write())
    assert open_scan(cohort, "P-002").volume.series_uid == uids["CT"]
    assert open_scan(cohort, "P-002", "pet").volume.series_uid == uids["PT"]


def test_two_cts_are_a_question(tmp_path, capsys):
    folder = tmp_path / "P-001" / "scan"
    dicom(folder, patient="P-001", series="a", description="LUNG 1.0")
    dicom(folder, n=4, patient="P-001", series="b", description="ABDOMEN 5.0")
    dicom(folder, patient="P-001", series="p", modality="PT")
    assert main(["init", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    found = discover(tmp_path)
    (text,) = [t for t in found.to_do if "series" in t]
    assert text.startswith(
        "P-001, ct volume in P-001/scan: 2 CT series: add a row to the manifest, with the UID of one"
    )
    uids = list_series(folder).set_index("description")["uid"]
    assert (
        uids["LUNG 1.0"] in text
        and uids["ABDOMEN 5.0"] in text
        and "'LUNG 1.0'  3 slices, 2.5 x 0.8 x 0.7" in text
    )
    assert f"\n- {text}" in page(found) and text in shown
    assert list(parts(found)) == [("P-001/scan", "pet volume")]
    assert "ct" not in found.patients and found.patients["pet"].sum() == 1
    assert "ct volume not taken" in row(found, "P-001/scan")["why"]
    assert main(["validate", str(tmp_path / "data_manifest.csv")]) == 1
    assert "1 problem\n" in (shown := capsys.readouterr().out) and "problem: no patient has a label" in shown


def test_two_cts_and_nothing_else_are_said_where_no_manifest_can_be_written(tmp_path):
    for series in "ab":
        dicom(tmp_path / "P-001", patient="P-001", series=series)
    with pytest.raises(ManifestError, match="2 CT series"):
        discover(tmp_path).write()


def test_a_ct_that_can_be_read_is_chosen_among_those_that_cannot(tmp_path):
    def two_planes(header, k):
        header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0] if k else [0, 1, 0, 0, 0, -1]

    folder = dicom(tmp_path / "P-001", series="a")
    write_series(folder, phantom_hu((2, 16, 20)), series="scout", change=two_planes)
    dicom(folder, n=2, series="report", modality="SR")
    (part,) = parts(discover(tmp_path)).values()
    assert part == list_series(folder).set_index("n_slices").loc[3, "uid"]


def test_a_uid_that_another_begins_with(tmp_path):
    def number(uid, *, same_place=False):
        def change(header, k):
            header.SeriesInstanceUID = uid
            if same_place:
                header.ImagePositionPatient = [0, 0, 0]

        return change

    folder = write_series(tmp_path / "scan", phantom_hu((3, 16, 20)), series="a", change=number("1.2.3.1"))
    write_series(folder, phantom_hu((4, 16, 20)), series="b", change=number("1.2.3.11", same_place=True))
    found = discover(tmp_path)
    assert found.manifest["part"].tolist() == ["1.2.3.1"]
    assert open_scan(load_cohort(found.write()), "P1").volume.shape == (3, 16, 20)


def test_folders_below_have_entries_of_their_own(study):
    """A CT with its segmentation in a folder below: one volume, one mask."""
    rmtree(study / "scans" / "P-001")
    folder, volume = scan(study / "scans" / "P-001")
    (folder / "rt").mkdir()
    rtstruct(
        folder / "rt" / "r.dcm",
        {"GTV": [square(-20, -30, 0, -15, z) for z in (103, 106)]},
        series=volume.series_uid,
    )
    found = discover(study)
    assert row(found, "scans/P-001")["as"] == "ct volume"
    assert row(found, "scans/P-001/rt")["as"] == "ct mask"
    assert open_scan(load_cohort(found.write()), "P-001").lesion.array.any()


@pytest.mark.parametrize(
    ("regions", "part"),
    [
        (["body"], ""),
        (["Lung-Left", "GTV-1", "Spinal-Cord"], "GTV-1"),
        (["GTV-1", "GTV-2"], None),
        (["lung", "heart"], None),
        (["nodule", "nodule", "empty nodule"], None),
        (["heart", "empty"], "heart"),
    ],
)
def test_the_region_of_a_mask(tmp_path, regions, part):
    folder, volume = scan(tmp_path / "P-001")
    box = [square(-20, -30, 0, -15, z) for z in (103, 106)]
    drawn = {name: [] if "empty" in name else box for name in regions}
    if len(drawn) < len(regions):

        def rename(ds):
            ds.StructureSetROISequence[-1].ROIName = regions[0]

        rtstruct(folder / "r.dcm", {**drawn, "other": box}, series=volume.series_uid, change=rename)
    else:
        rtstruct(folder / "r.dcm", drawn, series=volume.series_uid)
    found = discover(tmp_path)
    got = parts(found)
    assert got["P-001", "ct volume"] == ""
    assert got.get(("P-001", "ct mask")) == part
    if part is None:
        assert any("ct mask in P-001" in text and repr(regions[-1]) in text for text in found.to_do)
    else:
        assert open_scan(load_cohort(found.write()), "P1").lesion.array.any()


def test_two_sets_of_regions_do_not_lose_the_scan(tmp_path):
    folder, _ = scan(tmp_path / "P-001")
    for name in ("a.dcm", "b.dcm"):
        rtstruct(folder / name, {"GTV": [square(-20, -30, 0, -15, 103)]})
    found = discover(tmp_path)
    assert list(parts(found)) == [("P-001", "ct volume")]
    assert any("2 sets of regions" in text for text in found.to_do)


def test_files_of_two_patients_in_one_folder(tmp_path):
    dicom(tmp_path / "all", patient="P-001", series="a")
    dicom(tmp_path / "all", patient="P-002", series="b", modality="PT")
    found = discover(tmp_path)
    assert not row(found, "all")["used"]
    assert "of several patients: P-001, P-002" in row(found, "all")["why"]


def test_a_damaged_series_is_said_to_be(tmp_path):
    folder = dicom(tmp_path / "P-001")
    file = sorted(folder.iterdir())[0]
    file.write_bytes(file.read_bytes()[:300])
    assert "truncated or damaged" in row(discover(tmp_path), "P-001")["why"]


def test_dicom_beside_the_manifest(tmp_path):
    """The manifest does not change the hash of what it lists."""
    dicom(tmp_path / "all", patient="P-001")
    assert main(["init", str(tmp_path / "all")]) == 0
    cohort = load_cohort(tmp_path / "all" / "data_manifest.csv")
    assert open_scan(cohort, "P-001").volume.shape == (3, 16, 20)


def test_a_mask_without_its_scan_is_said(tmp_path):
    scan(tmp_path / "P-001")
    assert not any("without a scan" in text for text in discover(tmp_path).to_do)
    (tmp_path / "P-002").mkdir()
    rtstruct(tmp_path / "P-002" / "r.dcm", {"GTV": [square(-20, -30, 0, -15, 103)]})
    to_do = discover(tmp_path).to_do
    assert any(text.startswith("1 ct mask without a scan of the patient (") for text in to_do), to_do


def test_a_series_in_the_folder_itself_has_the_name_of_the_folder(tmp_path):
    dicom(tmp_path / "P-007")
    assert discover(tmp_path / "P-007").patients.index.tolist() == ["P-007"]
