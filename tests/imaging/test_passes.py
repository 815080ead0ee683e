"""Passes that share a series are never mixed; slices of one pass are never torn apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.data.discovery.sniff_scans import sniff_scan
from mmfusion.errors import ScanError
from mmfusion.imaging import list_series, read, read_crop
from mmfusion.imaging.dicom.archive import Member
from mmfusion.imaging.dicom.header import Header
from mmfusion.imaging.dicom.passes import check_one_pass, split_rule
from tests.imaging.dicoms import phantom_hu, write_series

HU = phantom_hu()
FAR = {"origin": (-30.0, -40.0, 101.25)}


def two(folder, first, second, *, apart=True, hu=HU):
    """Two passes in one series, 1.25 mm apart or at the same places, with other UIDs."""

    def change(values, start):
        def each(ds, k):
            ds.SOPInstanceUID = f"1.2.{start}.{k}"
            ds.InstanceNumber = start + k
            for tag, value in values.items():
                setattr(ds, tag, value(k) if callable(value) else value)

        return each

    write_series(folder / "a", hu, change=change(first, 1))
    write_series(folder / "b", hu + 3, change=change(second, 101), **(FAR if apart else {}))
    return folder


DIFFERENT = {
    "AcquisitionNumber": (1, 2),
    "TemporalPositionIdentifier": (1, 2),
    "KVP": (80, 140),
    "EchoNumbers": (1, 2),
    "ConvolutionKernel": ("B30f", "B70f"),
    "ImageType": (["DERIVED", "PRIMARY", "AXIAL", "E1"], ["DERIVED", "PRIMARY", "AXIAL", "E2"]),
    "FrameOfReferenceUID": ("1.2.3", "1.2.4"),
    "AcquisitionTime": ("120000", "120500"),
    "NominalPercentageOfCardiacPhase": (0.0, 50.0),
}
AT_ONE_PLACE = {"TriggerTime": (0, 300), "SliceThickness": (1, 5), "FrameReferenceTime": (0, 60000)}


@pytest.mark.parametrize("apart", [True, False], ids=["between", "at one place"])
@pytest.mark.parametrize("tag", DIFFERENT)
def test_two_passes_are_refused_and_one_is_chosen(tmp_path, tag, apart):
    first, second = DIFFERENT[tag]
    folder = two(tmp_path, {tag: first}, {tag: second}, apart=apart)
    with pytest.raises(ScanError, match=rf"column {tag}: several passes in one series: .*6 slices") as error:
        read(folder)
    assert str(folder) in str(error.value)
    assert "choose one" in str(error.value)
    assert "several passes" in list_series(folder).problem.item()
    value = "\\".join(second) if isinstance(second, list) else second
    volume = read(folder, f"{tag}={value}")
    np.testing.assert_array_equal(volume.array, HU + 3)
    assert (volume.source.given, volume.source.used, volume.source.n_lost) == (12, 6, 0)


@pytest.mark.parametrize("tag", AT_ONE_PLACE)
def test_passes_at_one_place(tmp_path, tag):
    first, second = AT_ONE_PLACE[tag]
    folder = two(tmp_path, {tag: first}, {tag: second}, apart=False)
    with pytest.raises(ScanError, match=rf"column {tag}: several passes"):
        read(folder)
    np.testing.assert_array_equal(read(folder, f"{tag}={first}").array, HU)


def test_a_number_for_each_slice_of_two_passes(tmp_path):
    folder = two(tmp_path, {"AcquisitionNumber": lambda k: k + 1}, {"AcquisitionNumber": lambda k: k + 17})
    with pytest.raises(ScanError, match="column AcquisitionNumber: several passes"):
        read(folder)
    np.testing.assert_array_equal(read(folder, "acquisition=17-22").array, HU + 3)
    assert read(folder, "acquisition=*").shape == (12, 16, 20)


def test_a_time_for_each_slice_of_two_passes(tmp_path):
    first, second = (lambda k, m=m: f"12{m:02d}{k:02d}.5" for m in (0, 5))
    folder = two(tmp_path, {"AcquisitionTime": first}, {"AcquisitionTime": second})
    with pytest.raises(
        ScanError, match=r"AcquisitionTime: several passes .*120000.5 \(6 slices.*120500.5 \(6"
    ):
        read(folder)
    np.testing.assert_array_equal(read(folder, "time=120500-120600").array, HU + 3)


def test_rules_of_pass_and_series(tmp_path):
    two(tmp_path, {"AcquisitionNumber": 1}, {"AcquisitionNumber": 2})
    write_series(tmp_path / "c", HU + 9, series="other", description="LUNG")
    with pytest.raises(ScanError, match="2 series"):
        read(tmp_path, "*")
    np.testing.assert_array_equal(read(tmp_path, "acquisition=2").array, HU + 3)
    np.testing.assert_array_equal(read(tmp_path, "LUNG").array, HU + 9)
    uid = list_series(tmp_path).query("description == ''").uid.item()
    np.testing.assert_array_equal(read(tmp_path, f"{uid} acquisition=1").array, HU)
    np.testing.assert_array_equal(read(tmp_path, (uid, "acquisition=1")).array, HU)
    assert read_crop(tmp_path, (-25, -35, 105), 3.0, series=f"{uid}, acquisition=1").series_uid == uid
    with pytest.raises(
        ScanError, match=r"(?s)no such series.*got AcquisitionNumber=7.*have AcquisitionNumber 1, 2"
    ):
        read(tmp_path, "acquisition=7")


def test_init_asks_which_pass(tmp_path):
    two(tmp_path, {"AcquisitionNumber": 1}, {"AcquisitionNumber": 2})
    for path in (tmp_path / "b").iterdir():
        path.rename(tmp_path / "a" / f"b{path.name}")
    (use,) = sniff_scan(tmp_path / "a").uses
    assert "several passes in one series" in use.question
    assert "acquisition=" in use.question


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("LUNG", ("LUNG", None)),
        ("phase = 40", ("", ("NominalPercentageOfRespiratoryPhase", "40"))),
        ("1.2.3; kernel=B30f", ("1.2.3", ("ConvolutionKernel", "B30f"))),
        ("kVp=80 x", ("", ("KVP", "80 x"))),
        ("colour=red", ("colour=red", None)),
    ],
)
def test_rules(rule, expected):
    assert split_rule(rule) == expected


ONE_PASS = {
    "none": {},
    "one": {"AcquisitionNumber": lambda k: 4, "AcquisitionTime": lambda k: "120000"},
    "each slice": {"AcquisitionNumber": lambda k: k + 1, "AcquisitionTime": lambda k: f"1200{k:02d}"},
    "couch stops": {
        "AcquisitionNumber": lambda k: 1 + k // 2,
        "AcquisitionTime": lambda k: f"12{k // 2:02d}00",
    },
    "backwards": {"AcquisitionNumber": lambda k: 9 - k, "AcquisitionTime": lambda k: f"1200{30 - k:02d}.25"},
    "upper part first": {
        "AcquisitionNumber": lambda k: 1 + (k < 3),
        "AcquisitionTime": lambda k: f"12{k < 3:02d}00",
    },
    "jitter": {"AcquisitionTime": lambda k: f"120000.{[12, 10, 14, 11, 15, 13][k]}"},
    "over midnight": {"AcquisitionTime": lambda k: f"{(235958, 235959, 0, 1, 2, 3)[k]:06d}"},
    "numbers as text": {"KVP": lambda k: ("120", "120.0")[k % 2]},
    "content times in any order": {"ContentTime": lambda k: f"12{(k * 7) % 6:02d}00"},
    "trigger for each slice": {"TriggerTime": lambda k: (k * 311) % 700},
}


@pytest.mark.parametrize("values", ONE_PASS.values(), ids=ONE_PASS)
def test_one_pass_is_read(tmp_path, values):
    def change(ds, k):
        ds.AcquisitionDate = "20200229"
        for tag, value in values.items():
            setattr(ds, tag, value(k))

    np.testing.assert_array_equal(read(write_series(tmp_path, HU, change=change)).array, HU)


def header(z, **values):
    place = {"ImagePositionPatient": [0, 0, z], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    return Header(Member("a", 0, None, None), place | values, "", None, None)


@settings(max_examples=300, deadline=None)
@given(
    blocks=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    tag=st.sampled_from(["AcquisitionNumber", "TemporalPositionIdentifier", "KVP", "ConvolutionKernel"]),
    seed=st.integers(0, 10**6),
)
def test_blocks_side_by_side_are_one_pass(blocks, tag, seed):
    rng = np.random.default_rng(seed)
    names = rng.permutation(100)[: len(blocks)]
    if tag == "AcquisitionNumber":  # counts up or down
        names = np.sort(names)[:: rng.choice([-1, 1])]
    values = np.repeat(names, blocks)
    slices = [header(2.5 * k, **{tag: str(v)}) for k, v in enumerate(values)]
    check_one_pass([slices[k] for k in rng.permutation(len(slices))], "scan")


@settings(max_examples=300, deadline=None)
@given(
    n=st.integers(3, 40),
    passes=st.integers(2, 5),
    shift=st.sampled_from([0.0, 0.5, 1.25]),
    numbering=st.sampled_from(["pass", "slice"]),
    seed=st.integers(0, 10**6),
)
def test_passes_over_the_same_part_are_refused(n, passes, shift, numbering, seed):
    rng = np.random.default_rng(seed)
    slices = [
        header(
            2.5 * passes * k + shift * p,
            AcquisitionNumber=str(1 + p if numbering == "pass" else 1 + p * n + k),
        )
        for p in range(passes)
        for k in range(n)
    ]
    with pytest.raises(ScanError, match="AcquisitionNumber: several passes"):
        check_one_pass([slices[k] for k in rng.permutation(len(slices))], "scan")
