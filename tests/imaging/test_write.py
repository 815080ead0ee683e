import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

import mmfusion as mf
from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import Volume, read, read_mask, write_nifti, write_rtstruct, write_seg
from tests.imaging import structure_sets as structures
from tests.imaging.dicoms import zipped


def rotation(degrees):
    a = np.deg2rad(degrees)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return about_z @ np.array(
        [[1, 0, 0], [0, np.cos(a / 2), -np.sin(a / 2)], [0, np.sin(a / 2), np.cos(a / 2)]]
    )


def scan(dtype=np.int16, degrees=0.0, turn=(1, 1, 1), unit="HU"):
    rng = np.random.default_rng(0)
    array = rng.integers(-900, 900, (5, 6, 7)) if unit == "HU" else rng.integers(0, 2, (5, 6, 7))
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) * turn * (0.7, 0.8, 2.5)
    affine[:3, 3] = -30.25, -40.5, 100.125
    return Volume(array.astype(dtype), affine, unit=unit)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("degrees", [0, 25])
def test_four_readers_agree(tmp_path, suffix, degrees):
    volume = scan(degrees=degrees)
    path = mf.imaging.write_nifti(volume, tmp_path / f"v{suffix}")
    ours = read(path)
    np.testing.assert_array_equal(ours.array, volume.array)
    np.testing.assert_allclose(ours.affine, volume.affine, atol=1e-4)
    image = nib.load(path)
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.array.transpose(2, 1, 0))
    assert image.get_data_dtype() == np.int16
    for affine in (image.get_sform(), image.get_qform()):
        np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ affine, volume.affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"
    itk = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(itk), volume.array)
    np.testing.assert_allclose(
        itk.TransformIndexToPhysicalPoint((3, 2, 1)), volume.voxel_to_mm((3, 2, 1)), atol=1e-4
    )
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([np.float32, np.int16, np.uint8]),
    st.floats(-80, 80),
    st.tuples(*[st.sampled_from([1, -1])] * 3),
)
def test_dtypes_flips_and_obliques(tmp_path_factory, dtype, degrees, turn):
    volume = scan(dtype, degrees, turn, unit="HU" if dtype != np.uint8 else "mask")
    path = write_nifti(volume, tmp_path_factory.mktemp("n") / "v.nii.gz")
    again = (read_mask if volume.unit == "mask" else read)(path)
    expected = volume.to_lps()
    np.testing.assert_array_equal(again.array, expected.array)
    np.testing.assert_allclose(again.affine, expected.affine, atol=1e-4)
    assert nib.load(path).get_data_dtype() == dtype


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    first, second = (write_nifti(scan(), tmp_path / f"{k}.nii.gz") for k in (1, 2))
    assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress(first.read_bytes())[:4] == b"\x5c\x01\x00\x00"


def test_labels_are_chosen_by_value(tmp_path):
    labels = np.zeros((5, 6, 7), np.int16)
    labels[1], labels[2, :3], labels[4] = 2, 3, 7
    affine = np.diag([1.0, 2, 3, 1])
    path = write_nifti(Volume(labels, affine), tmp_path / "l.nii.gz")
    with pytest.raises(ScanError, match=r"l.nii.gz: 3 regions \(expected one; got 2, 3, 7\).*roi="):
        read_mask(path)
    assert read_mask(path, roi=3).array.sum() == 21
    assert read_mask(path, roi=[3, 7]).array.sum() == 21 + 42
    assert read_mask(path, roi="*").array.sum() == 42 + 21 + 42
    with pytest.raises(ScanError, match=r"no such region .*expected one of 2, 3, 7; got 1"):
        read_mask(path, roi=1)
    coarse = Volume(labels, affine).resample(2)
    with pytest.warns(ScanWarning, match="another grid"):
        there = read_mask(path, coarse, 7)
    assert there.shape == coarse.shape
    assert there.volume_ml() == pytest.approx(42 * 6 / 1000, abs=0.1)
    with pytest.raises(ScanError, match=r"not a mask .*whole numbers.*got -1000 to 900"):
        read_mask(write_nifti(Volume(np.linspace(-1000, 900, 210, dtype=np.float32).reshape(5, 6, 7), affine),
                              tmp_path / "ct.nii"))  # fmt: skip


def test_a_name_that_is_no_nifti(tmp_path):
    with pytest.raises(ScanError, match=r"not a name of a NIfTI file .*\.nii\.gz; got \.nrrd"):
        write_nifti(scan(), tmp_path / "v.nrrd")
    assert not list(tmp_path.iterdir())


def test_a_mask_beside_the_scan(tmp_path):
    volume = scan()
    mask = Volume((volume.array > 0).astype(np.uint8), np.diag([-1, -1, 1, 1]) @ volume.affine, unit="mask")
    path = write_nifti(mask, tmp_path / "m.nii")
    with pytest.raises(ScanError, match=r"m.nii: the region lies outside the scan .*RAS"):
        read_mask(path, reference=volume)


@pytest.mark.parametrize("write", [write_seg, write_rtstruct])
def test_what_a_mask_is_made_from_is_not_replaced(tmp_path, write):
    folder, ct = structures.scan(tmp_path / "ct")
    packed = zipped(folder, tmp_path / "ct.zip")
    mask, before = structures.ball(ct, 8), {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for source, path in ((folder, sorted(folder.iterdir())[2]), (packed, packed)):
        with pytest.raises(ScanError, match=rf"{path.name}: the new file would overwrite a file"):
            write(mask, source, path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    "write", [write_seg, write_rtstruct, lambda mask, source, path: write_nifti(mask, path)]
)
def test_a_place_that_cannot_be_written(tmp_path, write):
    folder, ct = structures.scan(tmp_path / "ct")
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.nii").mkdir()
    before = sorted(tmp_path.rglob("*"))
    hints = {"file/m.nii": "is a file", "folder.nii": "a folder has", f"{'x' * 300}.nii": "a shorter name"}
    for name, hint in hints.items():
        with pytest.raises(ScanError, match=rf"{name}: could not be written .*{hint}"):
            write(structures.ball(ct, 8), folder, tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "x"
