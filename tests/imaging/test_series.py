import numpy as np
import pytest
from pydicom.uid import generate_uid

from mmfusion.errors import ScanError
from mmfusion.imaging import list_series, read, read_crop
from tests.imaging.dicoms import phantom_hu, write_series, zipped

HU = phantom_hu()


def uid(name):
    return str(generate_uid(entropy_srcs=["series", name]))


def localizer(ds, k):
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


@pytest.fixture
def study(tmp_path):
    """Two CT, a PET and a scout."""
    folder = tmp_path / "study"
    write_series(folder / "1" / "x", HU, series="a", description="THORAX 5.0 B31f")
    write_series(folder / "1" / "y", HU[:4] + 7, (1.0, 0.8, 0.7), series="b", description="Lung 1.0 B70f")
    write_series(folder / "2", np.abs(HU), series="p", modality="PT", description="WB MAC")
    write_series(folder, HU[:1], series="scout", change=localizer, description="Topogram")
    return folder


def test_what_is_not_ct_is_passed_over_beside_one_series(tmp_path):
    write_series(tmp_path, HU, series="ct")
    write_series(tmp_path, HU, series="mr", modality="MR")
    write_series(tmp_path, np.abs(HU), series="pt", modality="PT")
    write_series(tmp_path, HU[:1], series="scout", change=localizer)
    write_series(
        tmp_path / "x", HU[:2], series="ct", change=localizer
    )  # some scanners give it the scan's UID
    np.testing.assert_array_equal(read(tmp_path).array, HU)
    for choice in ({"series": "PT"}, {"unit": "SUVbw"}):
        volume = read(tmp_path, **choice)
        assert (volume.modality, volume.unit) == ("PT", "SUVbw")


def test_a_pet_alone_is_read(tmp_path):
    assert read(write_series(tmp_path, np.abs(HU), modality="PT")).unit == "SUVbw"
    with pytest.raises(ScanError, match=r"not a CT .*modality CT"):
        read(tmp_path, unit="HU")


def test_several_are_refused_and_listed(study):
    with pytest.raises(ScanError, match="2 series") as error:
        read(study)
    text = str(error.value)
    assert f"{uid('a')}  CT  'THORAX 5.0 B31f'  6 slices, 2.5 x 0.8 x 0.7 mm" in text
    assert f"{uid('b')}  CT  'Lung 1.0 B70f'  4 slices, 1 x 0.8 x 0.7 mm" in text
    assert uid("p") not in text
    assert "series=" in text


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (uid("b"), "b"),
        (uid("b")[-9:], "b"),
        ("lung", "b"),
        ("*thorax*b31?", "a"),
        ("largest", "a"),
        ("thinnest", "b"),
        ("first", "a"),
        (("CT", "thinnest"), "b"),
        ("PT", "p"),
        ("wb mac", "p"),
        (("1.0", "largest"), "b"),
    ],
)
def test_rules(study, rules, expected):
    for path in (study, zipped(study, study.with_suffix(".zip"))):
        assert read(path, rules).series_uid == uid(expected)
    assert read_crop(study, (-25, -35, 101), 3.0, series=rules).series_uid == uid(expected)


def test_rules_that_leave_none_or_two(study):
    with pytest.raises(ScanError, match=r"(?s)no such series .*THORAX.*Lung.*WB MAC.*got 1\.2\.3\.4"):
        read(study, "1.2.3.4")
    with pytest.raises(ScanError, match=r"(?s)no such series .*got lung and PT"):
        read(study, ("lung", "PT"))
    with pytest.raises(ScanError, match="2 series"):
        read(study, "1.2.826")
    with pytest.raises(ScanError, match="unknown unit"):
        read(study, unit="Bq")


def test_largest_of_equals_is_not_guessed(tmp_path):
    write_series(tmp_path, HU, series="a")
    write_series(tmp_path, HU, series="b")
    with pytest.raises(ScanError, match="2 series"):
        read(tmp_path, "largest")


def test_no_ct(tmp_path):
    write_series(tmp_path / "mr", HU, modality="MR")
    with pytest.raises(ScanError, match=r"no CT or PET series .*got 6 of MR"):
        read(tmp_path / "mr")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("nothing")
    with pytest.raises(ScanError, match="no DICOM image at all"):
        read(tmp_path / "empty")

    def enhanced(ds, k):
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"

    with pytest.raises(ScanError, match="frames that are not described"):
        read(write_series(tmp_path / "e", HU, change=enhanced))


def test_list_series(study):
    (study / "1" / "x" / "a_021.dcm").unlink()
    table = list_series(study).set_index("uid")
    assert len(table) == 4
    b, p = table.loc[uid("b")], table.loc[uid("p")]
    assert (b.modality, b.description, b.n_slices, b["shape"], b.problem) == (
        "CT",
        "Lung 1.0 B70f",
        4,
        (4, 16, 20),
        "",
    )
    np.testing.assert_allclose([b.z_mm, b.y_mm, b.x_mm], [1.0, 0.8, 0.7])
    assert (p.modality, p.problem) == ("PT", "")
    assert "1 slice is missing" in table.loc[uid("a")].problem
    assert table.loc[uid("scout")].problem == "localizer"
    assert list_series(study / "2").problem.item() == ""

    def no_weight(ds, k):
        del ds.PatientWeight

    write_series(study / "2", np.abs(HU), series="p", modality="PT", change=no_weight)
    assert "PatientWeight: SUV cannot be computed" in list_series(study / "2").problem.item()
    assert list_series(zipped(study, study.with_suffix(".zip"))).uid.tolist() == table.index.tolist()
    with pytest.raises(ScanError, match="no such scan"):
        list_series(study / "none")


def test_a_folder_of_zips(study, tmp_path):
    (tmp_path / "zips").mkdir()
    zipped(study / "1" / "x", tmp_path / "zips" / "a.zip")
    zipped(study / "2", tmp_path / "zips" / "p.zip")
    np.testing.assert_array_equal(read(tmp_path / "zips").array, HU)
    assert read(tmp_path / "zips", "PT").unit == "SUVbw"


def test_slices_of_two_patients_are_not_one_scan(tmp_path):
    def mixed(ds, k):
        ds.PatientID = "A" if k < 3 else "B"

    folder = write_series(tmp_path / "mixed", phantom_hu(), change=mixed)
    with pytest.raises(ScanError, match=r"several patients in one series .*got A, B") as caught:
        read(folder)
    assert caught.value.column == "PatientID"
    assert "several patients" in list_series(folder).problem[0]

    def partly(ds, k):
        ds.PatientID = "A " if k < 3 else ""

    assert read(write_series(tmp_path / "partly", phantom_hu(), change=partly)).shape == (6, 16, 20)
