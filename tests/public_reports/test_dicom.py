"""Public reports about DICOM scans: one small input each, with the right value."""

import warnings

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless, RLELossless

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import read, read_crop
from tests.imaging.dicoms import SUV_PER_BQML, phantom_hu, write_series
from tests.imaging.multiframes import enhanced, legacy_converted, slices_of

HU = phantom_hu()


def resaved(folder, change):
    for path in sorted(folder.iterdir()):
        ds = pydicom.dcmread(path)
        change(ds, path)
    return folder


def test_files_without_preamble_and_suffix(tmp_path):
    """pydicom issue 150, rt-utils issue 31: files without the first 132 bytes were left out of the stack."""

    def bare(ds, path):
        if ds.InstanceNumber > 3:
            path.with_suffix("").write_bytes(path.read_bytes()[132:])
            path.unlink()

    volume = read(resaved(write_series(tmp_path, HU), bare))
    np.testing.assert_array_equal(volume.array, HU)
    assert volume.source.used == volume.source.given == 6


def test_two_passes_in_one_series(tmp_path):
    """vtk-dicom issue 220: slices of two acquisitions were sorted into one volume."""

    def number(value):
        def change(ds, k):
            ds.AcquisitionNumber, ds.SOPInstanceUID = value, f"1.2.{value}.{k}"

        return change

    write_series(tmp_path / "a", HU, change=number(1))
    write_series(tmp_path / "b", HU + 3, origin=(-30.0, -40.0, 101.25), change=number(2))
    with pytest.raises(ScanError, match=r"AcquisitionNumber: several passes .*1 \(6 slices.*2 \(6 slices"):
        read(tmp_path)
    np.testing.assert_array_equal(read(tmp_path, "acquisition=2").array, HU + 3)


def test_a_tracer_that_lives_for_days(tmp_path):
    """Slicer-PETDICOMExtension issue 28: a time of day does not say when 89Zr was injected."""

    def change(ds, k):
        ds.RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife = 282240

    with pytest.raises(ScanError, match="the day of injection is not known"):
        read(write_series(tmp_path, np.abs(HU), modality="PT", change=change))


def test_injection_before_midnight(tmp_path):
    """z-rad pull request 282: the day changes between injection and scan."""

    def change(ds, k):
        ds.SeriesTime, ds.AcquisitionTime = "003000", "003100"
        ds.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = "233000"

    volume = read(write_series(tmp_path, np.abs(HU), modality="PT", change=change))
    np.testing.assert_allclose(volume.array, np.abs(HU) * np.float32(SUV_PER_BQML), rtol=1e-5)


def test_decay_that_was_corrected_to_the_injection(tmp_path):
    """Horos issue 653: with DecayCorrection ADMIN, the dose must not be decayed again."""

    def change(ds, k):
        ds.DecayCorrection = "ADMIN"

    volume = read(write_series(tmp_path, np.abs(HU), modality="PT", change=change))
    np.testing.assert_allclose(volume.array, np.abs(HU) * np.float32(70_000 / 350e6), rtol=1e-5)


def test_legacy_converted_enhanced_ct(tmp_path):
    """Horos issue 542: Legacy Converted Enhanced CT did not load at all."""
    slices = slices_of(write_series(tmp_path / "s", HU))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom's
        path = legacy_converted(slices, tmp_path / "e.dcm")
    np.testing.assert_array_equal(read(path).array, HU)


def test_signed_values_of_fewer_bits(tmp_path):
    """dicom2nifti issue 13: the sign of 12 bits in 16 is bit 11."""

    def change(ds, k):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation, ds.RescaleIntercept = 12, 11, 1, 0
        ds.PixelData = (HU[k].astype(np.int32) & 0xFFF).astype("<u2").tobytes()

    np.testing.assert_array_equal(read(write_series(tmp_path, HU, change=change)).array, HU)


def test_frames_that_are_not_in_the_order_of_positions(tmp_path):
    """Horos issue 543: frames of an Enhanced CT in random order were not sorted by their positions."""
    slices = slices_of(write_series(tmp_path / "s", HU))
    expected = read(tmp_path / "s")
    volume = read(enhanced(slices, tmp_path / "e.dcm", [4, 0, 5, 2, 1, 3]))
    np.testing.assert_array_equal(volume.array, HU)
    np.testing.assert_allclose(volume.affine, expected.affine)


def test_slope_of_each_slice(tmp_path):
    """dicom-numpy issue 1, dcm2niix issue 978: each slice of a PET has its own RescaleSlope."""

    def change(ds, k):
        ds.RescaleSlope = 0.5 + k

    volume = read(write_series(tmp_path, np.abs(HU), modality="PT", change=change))
    expected = np.abs(HU) * (0.5 + np.arange(6))[:, None, None] * SUV_PER_BQML
    np.testing.assert_allclose(volume.array, expected, rtol=1e-5)


def test_a_missing_slice_is_not_filled(tmp_path):
    """rse-panimg issue 7: a missing slice was not noticed, and the slices behind it moved."""
    folder = write_series(tmp_path, HU)
    (folder / "1_014.dcm").unlink()
    with pytest.raises(ScanError, match=r"1 slice is missing between 102.50 and 107.50 mm"):
        read(folder)


def test_every_second_slice_is_missing(tmp_path):
    """rse-panimg issue 7 again: the spacing is even and twice too large; the numbers of the slices tell."""
    folder = write_series(tmp_path, HU)
    for k in (1, 3, 5):
        (folder / f"1_{k * 7:03d}.dcm").unlink()
    with pytest.warns(ScanWarning, match="InstanceNumber goes in steps of 2"):
        assert read(folder).spacing[0] == pytest.approx(5.0)


def test_unused_high_bits(tmp_path):
    """vtk-dicom issue 134, pydicom issue 2026: bits above BitsStored are no part of the value."""

    def change(ds, k):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 0
        stored = (HU[k].astype(np.int32) + 1024) & 0xFFF
        ds.PixelData = (stored | 0x8000).astype("<u2").tobytes()

    np.testing.assert_array_equal(read(write_series(tmp_path, HU, change=change)).array, HU)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless], ids=lambda s: s.name)
def test_a_damaged_compressed_frame(tmp_path, syntax):
    """fo-dicom.Codecs issues 78 and 87: damaged compressed frames ended the process of the user."""
    folder = write_series(tmp_path, phantom_hu((3, 40, 48)), change=lambda ds, k: ds.compress(syntax))
    ds = pydicom.dcmread(folder / "1_007.dcm")
    frame = next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))
    ds.PixelData = pydicom.encaps.encapsulate([frame[: len(frame) // 2]])
    ds.save_as(folder / "1_007.dcm")
    for way in (read, lambda path: read_crop(path, (-20, -30, 102), 5.0)):
        with pytest.raises(ScanError, match=r"1_007.dcm: truncated or damaged"):
            way(folder)
