import shutil
import warnings

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

import mmfusion as mf
from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import Volume, list_rois, read, read_mask, write_seg
from tests.imaging.dicoms import write_series, zipped
from tests.imaging.structure_sets import FRAME, OBLIQUE, SAGITTAL, ball, dice, scan

SAMPLES = ["binary", "binary_fractional", "binary_overlap", "binary_single_frame", "true_fractional"]


def by_highdicom(path, segment):
    """highdicom's reading of one segment, in LPS orientation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        volume = hd.seg.segread(path).get_volume(segment_numbers=[segment], allow_missing_positions=True)
    array, affine = volume.array[..., 0], volume.affine
    turn = np.eye(4)[[2, 1, 0, 3]]  # its affine maps (slice, row, column)
    return Volume((array >= 0.5).astype(np.uint8), affine @ turn, unit="mask").to_lps()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_equal_highdicoms_reading(shared_data, name):
    path = shared_data / "dicom_seg" / f"seg_image_ct_{name}.dcm"
    for segment in list_rois(path).number:
        ours, theirs = read_mask(path, roi=segment), by_highdicom(path, segment)
        assert ours.shape[1:] == theirs.shape[1:]
        theirs = theirs.like(ours)
        np.testing.assert_array_equal(ours.array, theirs.array)
        assert ours.array.any()
        np.testing.assert_allclose(ours.spacing, theirs.spacing, atol=1e-4)


def test_overlapping_segments_are_joined_only_if_asked_for(shared_data):
    path = shared_data / "dicom_seg" / "seg_image_ct_binary_overlap.dcm"
    rois = list_rois(path)
    assert rois.values.tolist() == [
        [1, "first segment", 4, "DICOM-SEG", "1.3.6.1.4.1.5962.1.1.0.0.0.1196530851.28319.0.2"],
        [2, "second segment", 4, "DICOM-SEG", "1.3.6.1.4.1.5962.1.1.0.0.0.1196530851.28319.0.2"],
    ]
    with pytest.raises(ScanError, match=r"2 regions .*1 'first segment', 2 'second segment'.*roi="):
        read_mask(path)
    first, second, both = (read_mask(path, roi=roi) for roi in ("first segment", 2, "*"))
    joined = first.array | second.like(first).array
    np.testing.assert_array_equal(both.array, joined)
    np.testing.assert_array_equal(read_mask(path, roi=[1, "sec*"]).array, joined)
    for roi in (3, 1.5, "First Segment"):
        with pytest.raises(ScanError, match="no such region"):
            read_mask(path, roi=roi)


def test_on_its_ct(shared_data):
    folder = shared_data / "dicom_seg"
    ct = read(folder / "ct_image.dcm")
    mask = read_mask(folder / "seg_image_ct_binary_single_frame.dcm", reference=ct)
    assert mask.shape == ct.shape == (1, 128, 128)
    assert mask.array.sum() == 1832
    with pytest.raises(ScanError, match="another frame of reference"):
        read_mask(folder / "seg_image_ct_binary.dcm", reference=ct)


@pytest.mark.parametrize("orientation", [None, SAGITTAL, OBLIQUE])
def test_what_is_written_is_read(tmp_path, orientation):
    folder, ct = scan(tmp_path / "ct", (24, 70, 80), (3, 0.8, 0.7), *([orientation] if orientation else []))
    mask, core = ball(ct, 20, hole=8), ball(ct, 12)
    path = write_seg({"Shell": mask, "Core": core}, zipped(folder, tmp_path / "ct.zip"), tmp_path / "s.dcm")
    for name, expected in (("Shell", mask), ("Core", core)):
        np.testing.assert_array_equal(read_mask(path, reference=ct, roi=name).array, expected.array)
        own = read_mask(path, roi=name)
        np.testing.assert_array_equal(own.like(ct).array, expected.array)
        assert own.frame_of_reference == FRAME
        assert own.series_uid == ct.series_uid


def test_highdicom_reads_it_voxel_for_voxel_on_the_right_slices(tmp_path):
    folder, ct = scan(tmp_path / "ct", (12, 40, 44), (3, 0.8, 0.9))
    mask = ball(ct, 12, off=(3, -5, 6))
    path = write_seg(
        mask, source=folder, path=tmp_path / "s.dcm", label="GTV", kind="Nodule", algorithm="a model"
    )
    headers = sorted((pydicom.dcmread(p) for p in folder.iterdir()), key=lambda h: h.ImagePositionPatient[2])
    seg = hd.seg.segread(path)
    uids = [h.SOPInstanceUID for h in headers]
    pixels = seg.get_pixels_by_source_instance(
        uids, segment_numbers=[1], assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(pixels[..., 0], mask.array)
    described = seg.SegmentSequence[0]
    assert (described.SegmentLabel, described.SegmentAlgorithmType) == ("GTV", "AUTOMATIC")
    kind = described.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("27925004", "SCT")
    assert (seg.PatientID, seg.FrameOfReferenceUID) == ("P1", FRAME)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["s.dcm"]


def test_a_pet_may_take_the_segments_of_its_ct_but_not_another_ct(tmp_path):
    folder, ct = scan(tmp_path / "ct")
    path = write_seg(ball(ct, 8), folder, tmp_path / "s.dcm")
    other = {"frame_of_reference": FRAME, "series_uid": "1.2.3"}
    pet = Volume(np.zeros((12, 20, 20), np.float32), ct.resize((12, 20, 20)).affine, "PT", "SUVbw", **other)
    assert read_mask(path, pet).volume_ml() == pytest.approx(ball(ct, 8).volume_ml(), rel=0.02)
    with pytest.raises(ScanError, match=r"another series .*expected 1.2.3"):
        read_mask(path, Volume(ct.array, ct.affine, **other))


def test_a_mask_of_another_grid_is_brought_to_the_slices(tmp_path):
    folder, ct = scan(tmp_path / "ct", (30, 64, 64), (2, 1, 1), SAGITTAL)
    crop = ball(ct, 14).crop(ct.center_mm, 40, 1.3)
    path = write_seg(crop, folder, tmp_path / "s.dcm")
    again = read_mask(path, ct)
    assert dice(again, ball(ct, 14)) > 0.95
    assert again.volume_ml() == pytest.approx(crop.volume_ml(), rel=0.01)


def test_a_real_series(shared_data, tmp_path):
    source = shared_data / "nsclc_radiogenomics" / "ct" / "R01-001.zip"
    ct = read(source)
    seed = (-95.69, -144.98, -66.12)
    around = ct.crop(seed, 30, 1)
    solid = (around.array > -300) & (np.linalg.norm(np.indices(around.shape) - 14.5, axis=0) < 11)
    tumour = Volume(solid, around.affine, unit="mask", frame_of_reference=ct.frame_of_reference)
    path = mf.imaging.write_seg(tumour, source=source, path=tmp_path / "s.dcm")
    mask = mf.imaging.read_mask(path, reference=ct)
    np.testing.assert_array_equal(mask.array, tumour.like(ct).array)
    assert mask.volume_ml() == pytest.approx(tumour.volume_ml(), rel=0.01)


def test_without_frame_of_reference_it_still_refers_to_slices(tmp_path):
    folder, ct = scan(tmp_path / "ct", frame=None)
    mask = ball(ct, 10)
    assert mask.frame_of_reference is None
    path = write_seg(mask, folder, tmp_path / "s.dcm")
    np.testing.assert_array_equal(read_mask(path, ct).array, mask.array)


def _set_frame(ds: Dataset, k: int) -> None:
    ds.FrameOfReferenceUID = FRAME


def test_what_cannot_be_written(tmp_path):
    folder, ct = scan(tmp_path / "ct")
    mask = ball(ct, 8)
    two = tmp_path / "two"
    for series in ("1", "2"):
        write_series(two, ct.array, (3.0, 0.8, 0.9), series=series, change=_set_frame)
    cases = {
        "unknown kind of segment": {"kind": "Tumor"},
        r"(?s)2 series .*series=": {"source": two},
        "no such series": {"series": "1.2"},
        "nothing to write": {"mask": ball(ct, 0)},
        "no mask to write": {"mask": {}},
        "no such file": {"source": tmp_path / "none"},
        "another frame of reference": {
            "mask": Volume(mask.array, mask.affine, unit="mask", frame_of_reference="1.2.3")
        },
    }
    for message, options in cases.items():
        with pytest.raises(ScanError, match=message):
            write_seg(**{"mask": mask, "source": folder, "path": tmp_path / "s.dcm", **options})
    assert not (tmp_path / "s.dcm").exists()
    uid = read(folder).series_uid
    assert write_seg(mask, [*two.iterdir()], tmp_path / "s.dcm", series=uid).exists()


def by_hand(folder, values, kind, path):
    """A segmentation of a kind that `write_seg` does not write."""
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    from mmfusion.imaging.structures.seg_writer import completed

    headers = sorted((pydicom.dcmread(p) for p in folder.iterdir()), key=lambda h: h.ImagePositionPatient[2])
    names = ["one", "two"] if kind == "LABELMAP" else ["one"]
    described = [
        SegmentDescription(k, name, codes.SCT.Tissue, codes.SCT.Organ, "MANUAL")
        for k, name in enumerate(names, 1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Segmentation(
            [completed(h) for h in headers],
            values,
            kind,
            described,
            generate_uid(),
            1,
            generate_uid(),
            1,
            "m",
            "m",
            "1",
            "1",
            max_fractional_value=200,
        ).save_as(path)
    return path


def test_label_maps_and_true_fractions(tmp_path):
    folder, ct = scan(tmp_path / "ct", (6, 20, 22), (3, 0.8, 0.9))
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, ct.shape).astype(np.uint8)
    path = by_hand(folder, labels, "LABELMAP", tmp_path / "l.dcm")
    for number, name in ((1, "one"), (2, "two")):
        np.testing.assert_array_equal(read_mask(path, ct, name).array, labels == number)
    np.testing.assert_array_equal(read_mask(path, ct, "*").array, labels > 0)
    assert list_rois(path).number.tolist() == [1, 2]
    share = rng.random(ct.shape)
    path = by_hand(folder, share, "FRACTIONAL", tmp_path / "f.dcm")
    np.testing.assert_array_equal(read_mask(path, ct).array, np.round(share * 200) >= 100)


@pytest.mark.parametrize("thickness", [1.0, 3.0, 6.0])
@pytest.mark.parametrize("slices", [[3], [2, 3, 4], [1, 3, 5], [2, 5]])
def test_planes_lie_as_far_apart_as_the_scans_slices(tmp_path, thickness, slices):
    """A file that does not say how far: thickness is less where slices have gaps, more where they overlap."""
    folder, ct = scan(tmp_path / "ct")
    array = np.zeros(ct.shape, np.uint8)
    array[slices, 10:20, 12:22] = 1
    path = write_seg(Volume(array, ct.affine, unit="mask"), folder, tmp_path / "s.dcm")
    ds = pydicom.dcmread(path)
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SliceThickness = thickness
    del measures.SpacingBetweenSlices
    ds.save_as(path)
    np.testing.assert_array_equal(read_mask(path, ct).array, array)


def test_copies(tmp_path):
    folder, ct = scan(tmp_path / "ct")
    for file in sorted(folder.iterdir()):
        shutil.copy(file, folder / f"copy of {file.name}")
    mask = ball(ct, 8)
    with pytest.warns(ScanWarning, match="7 more: passed over"):
        path = write_seg(mask, folder, tmp_path / "both" / "s.dcm")
    shutil.copy(path, path.with_name("t.dcm"))
    with pytest.warns(ScanWarning, match="t.dcm: passed over"):
        np.testing.assert_array_equal(read_mask(path.parent, ct).array, mask.array)


def test_two_sets_of_regions_in_a_zip(tmp_path):
    folder, ct = scan(tmp_path / "ct")
    for radius in (6, 8):
        write_seg(ball(ct, radius), folder, folder / f"{radius}.dcm")
    with pytest.raises(ScanError, match=r"2 sets of regions .*-> unpack it and give"):
        read_mask(zipped(folder, tmp_path / "s.zip"), ct)


def test_a_region_by_the_digits_of_its_number(tmp_path):
    """As a manifest's column part gives it."""
    folder, ct = scan(tmp_path / "ct")
    path = write_seg({"a": ball(ct, 6), "3": ball(ct, 9)}, folder, tmp_path / "s.dcm")
    np.testing.assert_array_equal(read_mask(path, ct, "1").array, ball(ct, 6).array)
    np.testing.assert_array_equal(read_mask(path, ct, "3").array, ball(ct, 9).array)  # a name comes first
