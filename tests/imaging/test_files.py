import re

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import mmfusion as mf
from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import read, read_crop, read_mask
from tests.imaging.dicoms import phantom_hu, write_series

SPACING, ORIGIN = (2.5, 0.8, 0.7), (-30.0, -40.0, 100.0)


def written(path, array=None, turn=(1, 1, 1)):
    array = phantom_hu() if array is None else array
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin(ORIGIN)
    image.SetDirection(np.diag(turn).ravel().astype(float))
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_every_format_gives_the_same_volume(tmp_path, suffix):
    dicom = mf.imaging.read(write_series(tmp_path / "d", phantom_hu(), SPACING, ORIGIN))
    volume = read(written(tmp_path / f"v{suffix}"))
    np.testing.assert_array_equal(volume.array, dicom.array)
    np.testing.assert_allclose(volume.affine, dicom.affine, atol=1e-5)
    assert volume.array.dtype == np.int16


def test_flipped_axes_come_out_as_lps(tmp_path):
    volume = read(written(tmp_path / "v.nii", turn=(-1, -1, 1)))
    np.testing.assert_array_equal(volume.array, phantom_hu()[:, ::-1, ::-1])
    np.testing.assert_allclose(volume.voxel_to_mm((19, 15, 0)), ORIGIN, atol=1e-4)


def test_nibabel_sees_the_same_place(tmp_path):
    volume = read(written(tmp_path / "v.nii"))
    ras = nib.load(tmp_path / "v.nii")
    x, y, z = ras.affine @ [3, 4, 5, 1] @ np.eye(4)[:, :3]
    np.testing.assert_allclose(volume.voxel_to_mm((3, 4, 5)), [-x, -y, z], atol=1e-4)
    assert volume.array[5, 4, 3] == np.asarray(ras.dataobj)[3, 4, 5]


def test_dtypes_and_padding(tmp_path):
    hu = phantom_hu().astype(np.int32)
    hu[0, 0, 0] = -3024
    assert read(written(tmp_path / "a.nrrd", hu)).array.dtype == np.int16
    assert read(written(tmp_path / "a.nrrd", hu)).array.min() == -1024
    hu[0, 0, 0] = 100_000
    assert read(written(tmp_path / "b.nrrd", hu)).array.dtype == np.float32
    assert read(written(tmp_path / "c.nrrd", hu / 2)).array.dtype == np.float32


def test_real_volumes(shared_data):
    nrrd = read(shared_data / "volumes" / "lung1_image.nrrd")
    assert nrrd.shape == (48, 512, 512)
    assert nrrd.spacing == pytest.approx((5, 0.5703125, 0.5703125))
    mask = read_mask(shared_data / "volumes" / "lung1_label.nrrd")
    assert mask.volume_ml() == pytest.approx(1.36, abs=0.005)
    np.testing.assert_allclose(mask.affine, nrrd.affine)
    box = mask.bounding_box()
    assert nrrd.array[box][mask.array[box] > 0].mean() > -300  # a tumour lies there, not lung
    nifti = read(shared_data / "volumes" / "example_ct.nii.gz")
    image = sitk.DICOMOrient(sitk.ReadImage(str(shared_data / "volumes" / "example_ct.nii.gz")), "LPS")
    np.testing.assert_array_equal(nifti.array, np.maximum(sitk.GetArrayFromImage(image), -1024))
    np.testing.assert_allclose(nifti.affine[:3, 3], image.GetOrigin())
    assert nifti.array.min() == -1024  # -1207 in the file


def test_unit_of_a_file_that_does_not_say(tmp_path):
    suv = np.abs(phantom_hu()).astype(np.float32) / 200
    path = written(tmp_path / "pet.nii.gz", suv)
    volume = read(path, unit="SUVbw")
    assert (volume.modality, volume.unit, volume.array.dtype) == ("PT", "SUVbw", np.float32)
    np.testing.assert_array_equal(volume.array, suv)
    crop = read_crop(path, volume.center_mm, 4.0, unit="SUVbw")
    np.testing.assert_array_equal(crop.array, volume.crop(volume.center_mm, 4.0).array)
    with pytest.raises(ScanError, match=r"values that cannot be HU .*got 0 to 7.*unit='SUVbw'"):
        read(path)
    with pytest.raises(ScanError, match="unknown unit"):
        read(path, unit="Bq")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ((phantom_hu() > 0).astype(np.uint8), "values that cannot be HU .*a mask"),
        (((phantom_hu() + 1000) // 10).astype(np.uint8), "values that cannot be HU .*without a window"),
        ((phantom_hu() + 1024), "values that cannot be HU .*rescale"),
        (np.zeros((6, 16, 20), np.int16), "every voxel has one value"),
        (np.full((6, 16, 20), 1e300), "values that are not numbers"),
    ],
    ids=["mask", "window", "raw", "empty", "overflow"],
)
def test_values_that_cannot_be_hu(tmp_path, array, message):
    with pytest.raises(ScanError, match=message):
        read(written(tmp_path / "v.nii.gz", array))


def test_crop_of_a_file(tmp_path):
    path = written(tmp_path / "v.nrrd", turn=(-1, -1, 1))
    volume = read(path)
    np.testing.assert_array_equal(read_crop(path, volume.center_mm, 5, 1.5).array,
                                  volume.crop(volume.center_mm, 5, 1.5).array)  # fmt: skip


@pytest.mark.filterwarnings("default::mmfusion.errors.ScanWarning")  # what the change removed is named
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_changed_files(tmp_path, suffix):
    path = written(tmp_path / f"v{suffix}")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(min(len(data), 400))] = rng.integers(256)
        path.write_bytes(bytes(data) if rng.random() < 0.7 else whole[: rng.integers(len(whole))])
        try:
            volume = read(path)
        except ScanError as error:
            assert path.name in str(error)
        else:
            assert np.isfinite(volume.array).all()
            assert np.isfinite(volume.affine).all()


def test_a_mask_is_what_is_not_zero(tmp_path):
    labels = np.zeros((6, 16, 20), np.uint8)
    labels[2:4, 3:5, 6:9] = 3
    assert read_mask(written(tmp_path / "m.nii.gz", labels)).array.sum() == 12


def test_dicom_without_a_suffix(tmp_path):
    folder = write_series(tmp_path / "d", phantom_hu())
    for k, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"IM{k}")
    assert read(folder).shape == (6, 16, 20)
    assert read(folder / "IM0").shape == (1, 16, 20)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(ScanError, match="no such scan"):
        read(tmp_path / "none.nii")
    (tmp_path / "x.csv").write_text("a,b")
    with pytest.raises(ScanError, match=r"unknown scan format .*ZIP of DICOM"):
        read(tmp_path / "x.csv")
    with pytest.raises(ScanError, match="unknown mask format"):
        read_mask(tmp_path / "x.csv")
    (tmp_path / "x.nii.gz").write_bytes(b"not gzip")
    with pytest.raises(ScanError, match=r"x.nii.gz: the scan cannot be read"):
        read(tmp_path / "x.nii.gz")
    with pytest.raises(ScanError, match=r"values that are not numbers .*got 1 voxels"):
        hu = phantom_hu().astype(np.float32)
        hu[1, 1, 1] = np.nan
        read(written(tmp_path / "nan.nrrd", hu))
    with pytest.raises(ScanError, match="not a volume"):
        nib.Nifti1Image(np.zeros((4, 4, 4, 2), np.int16), np.eye(4)).to_filename(tmp_path / "4d.nii")
        read(tmp_path / "4d.nii")
    with pytest.raises(ScanError, match="series is for DICOM"):
        read(written(tmp_path / "v.nii"), series="1")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_nifti_that_breaks_off(tmp_path, suffix, share):
    path = written(tmp_path / f"v{suffix}")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ScanError, match=r"v.nii.*: the scan cannot be read .*download it again"):
        read(path)


def test_a_nifti_with_a_wrong_checksum(tmp_path):
    path = written(tmp_path / "v.nii.gz")
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    with pytest.raises(ScanError, match=r"v.nii.gz: the scan cannot be read"):
        read(path)


def test_a_nan_in_a_nifti(tmp_path):
    hu = phantom_hu().astype(np.float32)
    hu[1, 1, 1] = np.nan
    with pytest.raises(ScanError, match=r"v.nii: values that are not numbers .*got 1 voxels"):
        read(written(tmp_path / "v.nii", hu))


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", "<>")
def test_kinds_of_nifti(tmp_path, kind, order):
    """Both versions, both orders of bytes, rescaled, and with a fourth axis of one."""
    affine = np.diag([-0.7, -0.8, 2.5, 1])
    stored = (phantom_hu().T[..., None] + 1024).astype(f"{order}u2")
    image = kind(stored, affine, header=kind.header_class(endianness=order))
    image.header.set_slope_inter(1, -1024)
    data = bytearray(image.to_bytes())
    at, width = (112, 4) if kind is nib.Nifti1Image else (176, 8)
    data[at : at + 2 * width] = np.array([1, -1024], f"{order}f{width}").tobytes()
    (tmp_path / "v.nii").write_bytes(data)
    volume = read(tmp_path / "v.nii")
    np.testing.assert_array_equal(volume.array, phantom_hu())
    np.testing.assert_allclose(volume.affine, np.diag([0.7, 0.8, 2.5, 1]), atol=1e-6)


def test_sform_and_qform(tmp_path):
    path, place = tmp_path / "v.nii.gz", np.diag([-0.7, -0.8, 2.5, 1])
    turned = place[[1, 0, 2, 3]]
    for sform, qform in (
        (turned, None),
        (None, turned),
        (turned, turned),
    ):  # pixdim alone says (0.7, 0.8, 2.5)
        image = nib.Nifti1Image(phantom_hu().T, place)
        image.set_qform(qform, code=0 if qform is None else 1)
        image.set_sform(sform, code=0 if sform is None else 2)
        image.to_filename(path)
        np.testing.assert_array_equal(read(path).array, phantom_hu().transpose(0, 2, 1))
    moved = turned.copy()
    moved[0, 3] = 20
    image.set_sform(moved, code=2)
    image.to_filename(path)
    with pytest.raises(ScanError, match=r"v.nii.gz: sform and qform state two positions .*got 20.0"):
        read(path)


def test_a_sheared_sform(tmp_path):
    sheared = np.diag([-0.7, -0.8, 2.5, 1])
    sheared[0, 2] = 0.5
    image = nib.Nifti1Image(phantom_hu().T, sheared)
    image.set_qform(None)
    image.to_filename(tmp_path / "v.nii")
    with pytest.raises(ScanError, match=r"v.nii: axes are not at right angles"):
        read(tmp_path / "v.nii")


def test_a_nifti_without_a_place(tmp_path):
    image = nib.Nifti1Image(phantom_hu().T, None)
    image.header.set_zooms((0.7, 0.8, 2.5))
    image.to_filename(tmp_path / "v.nii")
    with pytest.warns(ScanWarning, match=r"v.nii: the position is not stated"):
        volume = read(tmp_path / "v.nii")
    np.testing.assert_array_equal(volume.array, phantom_hu())
    np.testing.assert_allclose(volume.spacing, SPACING, atol=1e-6)


@pytest.mark.parametrize("name", ["v.nrrd", "v.mha", "v.mhd"])
def test_a_file_that_does_not_state_its_spacing(tmp_path, name):
    path = written(tmp_path / name)
    stated = re.compile(rb"^(space directions|ElementSpacing|ElementSize).*\n", re.MULTILINE)
    path.write_bytes(stated.sub(b"", path.read_bytes()))
    with pytest.warns(ScanWarning, match=rf"{name}: the voxel size is not stated"):
        assert read(path).spacing == (1, 1, 1)


def test_voxels_of_another_unit(tmp_path):
    image = nib.Nifti1Image(phantom_hu().T, np.diag([-700, -800, 2500, 1]))
    for unit in ("micron", "mm"):
        image.header.set_xyzt_units(unit)
        image.to_filename(tmp_path / "v.nii")
        if unit == "micron":
            np.testing.assert_allclose(read(tmp_path / "v.nii").spacing, SPACING, atol=1e-6)
    with pytest.raises(ScanError, match=r"v.nii: implausible voxel size .*2500 x 800 x 700"):
        read(tmp_path / "v.nii")


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii.gz"])
def test_a_damaged_mask(tmp_path, suffix):
    labels = np.random.default_rng(0).integers(0, 2, (6, 16, 20)).astype(np.uint8)
    path = tmp_path / f"m{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(path), True)
    assert read_mask(path).array.sum() == labels.sum()
    data = bytearray(path.read_bytes())
    data[-30] ^= 4
    for changed in (data, data[:-40], bytes(data) + b"x"):
        path.write_bytes(changed)
        with pytest.raises(ScanError, match=f"m{suffix}"):
            read_mask(path)


def test_a_file_that_is_one_half_of_a_scan(tmp_path):
    for name, hint in (("v.raw", "give the header"), ("v.hdr", "convert it to .nii.gz")):
        (tmp_path / name).write_bytes(bytes(200))
        with pytest.raises(ScanError, match=rf"unknown scan format .*{hint}"):
            read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".nii", ".mha", ".nrrd"])
def test_a_file_that_must_not_be_read(tmp_path, suffix, monkeypatch):
    path = written(tmp_path / f"v{suffix}")

    def refuse(self, *args):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(ScanError, match=f"v{suffix}: the scan cannot be read .*Permission denied"):
        read(path)
