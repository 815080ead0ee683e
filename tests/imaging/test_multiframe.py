"""Enhanced and Legacy Converted CT and PET are read as the single slices that they were made from."""

import warnings

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import list_series, read, read_crop
from mmfusion.imaging.dicom import archive
from tests.imaging.dicoms import AXIAL, phantom_hu, write_series, zipped
from tests.imaging.multiframes import enhanced, legacy_converted, slices_of

CORONAL = (1, 0, 0, 0, 0, -1)


def made(folder, modality="CT", orientation=AXIAL, shape=(7, 16, 20), change=None):
    values = phantom_hu(shape)
    values = np.abs(values) if modality == "PT" else values
    write_series(folder / "single", values, orientation=orientation, modality=modality, change=change)
    return read(folder / "single"), slices_of(folder / "single")


def assert_same(volume, expected):
    np.testing.assert_array_equal(volume.array, expected.array)
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-9)
    assert volume.array.dtype == expected.array.dtype
    assert (volume.modality, volume.unit) == (expected.modality, expected.unit)


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL], ids=["axial", "coronal"])
@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_frames_in_any_order_are_the_slices(tmp_path, modality, orientation):
    def own_slope(ds, k):
        ds.RescaleSlope = 1 + k if modality == "PT" else 1

    expected, slices = made(tmp_path, modality, orientation, change=own_slope)
    order = np.random.default_rng(0).permutation(len(slices))
    path = enhanced(slices, tmp_path / "e" / "e.dcm", order)
    if modality == "PT":
        np.testing.assert_allclose(read(path).array, expected.array, rtol=1e-6)
        assert read(path).unit == "SUVbw"
    else:
        for at in (path, path.parent, zipped(path.parent, tmp_path / "e.zip")):
            assert_same(read(at), expected)
    assert read(path).source.given == read(path).source.used == 1
    row = list_series(path).iloc[0]
    assert (row.n_slices, row.n_files, row.problem) == (len(slices), 1, "")


@pytest.mark.parametrize("modality", ["CT", "PT"])
@pytest.mark.filterwarnings("ignore:.*:UserWarning:highdicom")
def test_legacy_converted(tmp_path, modality):
    expected, slices = made(tmp_path, modality)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = legacy_converted(slices, tmp_path / "e.dcm")
    assert_same(read(path), expected)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda s: s.name)
def test_compressed_frames(tmp_path, syntax):
    expected, slices = made(tmp_path, shape=(5, 40, 48))
    path = enhanced(slices, tmp_path / "e.dcm", [3, 0, 4, 1, 2], lambda ds: ds.compress(syntax))
    assert_same(read(path), expected)
    crop = read_crop(path, (-25, -35, 105), 4.0, 0.9)
    np.testing.assert_array_equal(crop.array, expected.crop((-25, -35, 105), 4.0, 0.9).array)


def test_a_crop_reads_only_its_frames(tmp_path):
    expected, slices = made(tmp_path, shape=(40, 16, 20))
    path = enhanced(slices, tmp_path / "e.dcm", range(39, -1, -1))
    crop = read_crop(path, (-25, -35, 150), 5.0, 1.0)
    np.testing.assert_array_equal(crop.array, expected.crop((-25, -35, 150), 5.0, 1.0).array)


def test_position_in_shared_groups_and_thickness_of_one_frame(tmp_path):
    _, slices = made(tmp_path)

    def change(ds):
        shared, frame = ds.SharedFunctionalGroupsSequence[0], ds.PerFrameFunctionalGroupsSequence[0]
        shared.update(frame)
        ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], [Dataset()]

    volume = read(enhanced(slices[:1], tmp_path / "e.dcm", change=change))
    assert volume.shape == (1, 16, 20)
    assert volume.spacing == pytest.approx((2.5, 0.8, 0.7))


def test_parts_of_a_concatenation_are_one_volume(tmp_path):
    expected, slices = made(tmp_path)

    def part(number, total=3):
        def change(ds):
            ds.ConcatenationUID, ds.InConcatenationNumber, ds.InConcatenationTotalNumber = (
                "1.2.9",
                number,
                total,
            )

        return change

    for number, some in enumerate((slices[:3], slices[3:5], slices[5:]), start=1):
        enhanced(some, tmp_path / "e" / f"{number}.dcm", change=part(number))
    assert_same(read(tmp_path / "e"), expected)
    (tmp_path / "e" / "3.dcm").unlink()
    with pytest.warns(ScanWarning, match="part 3 of the files of a concatenation is missing"):
        assert read(tmp_path / "e").shape[0] == 5
    enhanced(slices[5:], tmp_path / "e" / "3.dcm", change=part(3))
    (tmp_path / "e" / "2.dcm").unlink()
    with pytest.raises(ScanError, match="2 slices are missing"):
        read(tmp_path / "e")


@pytest.mark.parametrize("tag", ["StackID", "TemporalPositionIndex", "FrameAcquisitionNumber"])
def test_one_stack_or_phase_is_chosen(tmp_path, tag):
    expected, slices = made(tmp_path)
    later, _ = made(tmp_path / "later", change=lambda ds, k: setattr(ds, "RescaleIntercept", -1000))
    rule = {"StackID": "stack", "TemporalPositionIndex": "TemporalPositionIdentifier"}.get(tag, "acquisition")

    def change(ds):
        for k, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
            value = 1 + k // len(slices)
            setattr(frame.FrameContentSequence[0], tag, str(value) if tag == "StackID" else value)

    both = [*slices, *slices_of(tmp_path / "later" / "single")]
    path = enhanced(both, tmp_path / "e.dcm", change=change)
    with pytest.raises(ScanError, match=rf"several passes .*1 \(7 slices.*2 \(7 slices.*{rule}=") as error:
        read(path)
    assert str(path) in str(error.value)
    assert_same(read(path, f"{rule}=1"), expected)
    assert_same(read(path, f"{rule}=2"), later)


def test_frames_that_are_not_there_are_named(tmp_path):
    _, slices = made(tmp_path)
    path = enhanced(
        slices, tmp_path / "e.dcm", change=lambda ds: setattr(ds, "PixelData", ds.PixelData[:-700])
    )
    with pytest.raises(ScanError, match=r"e.dcm, frame 6: truncated or damaged .*580 of 640 bytes"):
        read(path)
    whole = enhanced(slices, tmp_path / "f.dcm").read_bytes()
    (tmp_path / "f.dcm").write_bytes(whole[:-100])
    with pytest.raises(ScanError, match=r"f.dcm.* truncated or damaged"):
        read(tmp_path / "f.dcm")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: delattr(ds, "PerFrameFunctionalGroupsSequence"), "frames that are not described .*none"),
        (lambda ds: ds.PerFrameFunctionalGroupsSequence.pop(), "7 frames; got a description of 6"),
        (lambda ds: setattr(ds, "NumberOfFrames", 8), "8 frames; got a description of 7"),
        (
            lambda ds: delattr(ds.PerFrameFunctionalGroupsSequence[2], "PlanePositionSequence"),
            r"frame 3: not a usable slice .*ImagePositionPatient",
        ),
        (
            lambda ds: delattr(ds.SharedFunctionalGroupsSequence[0], "PixelMeasuresSequence"),
            "not a usable slice .*PixelSpacing",
        ),
        (
            lambda ds: delattr(ds.PerFrameFunctionalGroupsSequence[2], "PixelValueTransformationSequence"),
            r"frame 3: not a usable slice .*RescaleSlope",
        ),
        (
            lambda ds: setattr(
                ds.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0],
                "ImagePositionPatient",
                [-30, -40, 99],
            ),
            "missing between|uneven spacing",
        ),
    ],
    ids=["none", "fewer", "more", "no position", "no spacing", "no rescale", "elsewhere"],
)
def test_what_cannot_be_read(tmp_path, change, message):
    _, slices = made(tmp_path)
    with pytest.raises(ScanError, match=message) as error:
        read(enhanced(slices, tmp_path / "e.dcm", change=change))
    assert "e.dcm" in str(error.value)


def test_surplus_pixels_are_noticed(tmp_path):
    expected, slices = made(tmp_path)
    path = enhanced(
        slices, tmp_path / "e.dcm", change=lambda ds: setattr(ds, "PixelData", ds.PixelData + bytes(640))
    )
    with pytest.warns(ScanWarning, match="1280 bytes of pixels, the image needs 640"):
        assert_same(read(path), expected)


PET = [
    ({}, None),
    ({"DecayCorrected": "NO"}, "without a known decay correction .*got NONE"),
    ({"DecayCorrectionDateTime": None}, "without a known decay correction"),
    ({"AttenuationCorrected": "NO"}, "without attenuation correction"),
    ({"PatientWeight": None}, "PatientWeight: SUV cannot be computed"),
]


@pytest.mark.parametrize(
    ("changes", "message"), PET, ids=lambda c: "-".join(c) if isinstance(c, dict) else None
)
def test_what_an_enhanced_pet_needs(tmp_path, changes, message):
    expected, slices = made(tmp_path, "PT")

    def change(ds):
        for tag, value in changes.items():
            delattr(ds, tag) if value is None else setattr(ds, tag, value)

    path = enhanced(slices, tmp_path / "e.dcm", change=change)
    if message is None:
        np.testing.assert_allclose(read(path).array, expected.array, rtol=1e-6)
        return
    with pytest.raises(ScanError, match=message):
        read(path)


def test_pet_mapped_to_suv_and_pet_without_units(tmp_path):
    _, slices = made(tmp_path, "PT")

    def to_suv(ds):
        for frame in ds.PerFrameFunctionalGroupsSequence:
            mapping = frame.RealWorldValueMappingSequence[0]
            mapping.MeasurementUnitsCodeSequence[0].CodeValue = "g/ml{SUVbw}"
            mapping.RealWorldValueSlope = 0.01

    volume = read(enhanced(slices, tmp_path / "e.dcm", change=to_suv))
    np.testing.assert_allclose(volume.array, np.abs(phantom_hu((7, 16, 20))) * np.float32(0.01), rtol=1e-6)

    def no_units(ds):
        for frame in ds.PerFrameFunctionalGroupsSequence:
            del frame.RealWorldValueMappingSequence

    with pytest.raises(ScanError, match="PET units that do not give an SUV"):
        read(enhanced(slices, tmp_path / "f.dcm", change=no_units))


def test_a_packed_file_of_many_frames_is_unpacked_once(tmp_path, monkeypatch):
    expected, slices = made(tmp_path, shape=(30, 16, 20))
    enhanced(slices, tmp_path / "e" / "e.dcm")
    path = zipped(tmp_path / "e", tmp_path / "e.zip")
    unpacked, counted = archive._inflated, []
    monkeypatch.setattr(archive, "_inflated", lambda *a: counted.append(a[2:]) or unpacked(*a))
    assert_same(read(path), expected)
    assert len(counted) <= 4
