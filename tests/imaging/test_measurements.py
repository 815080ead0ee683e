"""Structured reports: what is written is read back by highdicom."""

import highdicom as hd
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging import write_measurements, write_seg
from mmfusion.imaging.structures.sr_writer import MEASURES
from tests.imaging.structure_sets import ball, scan

VALUES = dict(zip(MEASURES, (4.2, 21.0, 18.5, 0.9, 32.0, 11.0)))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder, ct = scan(tmp_path_factory.mktemp("ct"))
    seg = tmp_path_factory.mktemp("seg") / "seg.dcm"
    masks = {"Lesion 1": ball(ct, 9), "Lesion 2": ball(ct, 5)}
    return folder, write_seg(masks, folder, seg, algorithm="test")


def test_values_units_and_segments(drawn, tmp_path):
    folder, seg = drawn
    other = VALUES | {"volume_ml": 0.5}
    path = write_measurements([VALUES, other], seg, folder, tmp_path / "sr.dcm", algorithm="test")
    report = hd.sr.srread(path)
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 2
    for number, (group, values) in enumerate(zip(groups, (VALUES, other)), 1):
        found = [(one.name.value, one.unit.value, one.value) for one in group.get_measurements()]
        assert found == [(MEASURES[n][0].value, MEASURES[n][1].value, v) for n, v in values.items()]
        assert group.tracking_identifier == f"Lesion {number}"
        of = group.referenced_segment[0].ReferencedSOPSequence[0]
        assert of.ReferencedSegmentNumber == number
        assert of.ReferencedSOPInstanceUID == hd.seg.segread(seg).SOPInstanceUID
    assert report.PatientID == hd.seg.segread(seg).PatientID


def test_as_many_values_as_segments(drawn, tmp_path):
    folder, seg = drawn
    with pytest.raises(ScanError, match=r"for each segment \(expected 2; got 1\)"):
        write_measurements([VALUES], seg, folder, tmp_path / "sr.dcm", algorithm="test")
    assert not list(tmp_path.iterdir())


def test_an_unknown_name(drawn, tmp_path):
    folder, seg = drawn
    with pytest.raises(ScanError, match=r"unknown measurement \(expected volume_ml, .*; got weight"):
        write_measurements([{"weight": 1.0}] * 2, seg, folder, tmp_path / "sr.dcm", algorithm="test")


def test_not_a_segmentation(drawn, tmp_path):
    folder, _ = drawn
    (tmp_path / "seg.dcm").write_bytes(b"no DICOM")
    with pytest.raises(ScanError, match=r"file .*seg\.dcm: the DICOM-SEG could not be understood"):
        write_measurements([VALUES], tmp_path / "seg.dcm", folder, tmp_path / "sr.dcm", algorithm="test")
