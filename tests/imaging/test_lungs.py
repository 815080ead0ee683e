import logging
import warnings

import numpy as np
import pytest
from scipy import ndimage

from mmfusion.errors import ScanError, WeightsUnavailable
from mmfusion.imaging import Volume, lung_field, lung_mask, lungs, read
from mmfusion.imaging.airways import airways


def chest(shape=(40, 60, 80), spacing=(4.0, 4.0, 4.0), lung_hu=-850):
    """An elliptic trunk with two lungs, a nodule in one, bowel gas, and a hollow table below."""
    z, y, x = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing)], indexing="ij")
    hu = np.full(shape, -1000, np.int16)
    hu[(x / 140) ** 2 + ((y + 10) / 85) ** 2 < 1] = 40
    lungs = np.zeros(shape, dtype=bool)
    for side in (-60, 60):
        lungs |= ((x - side) / 42) ** 2 + ((y + 10) / 60) ** 2 + (z / 90) ** 2 < 1
    hu[lungs] = lung_hu
    hu[(x - 60) ** 2 + (y + 10) ** 2 + z**2 < 15**2] = 30  # inside the lung
    hu[x**2 + (y + 40) ** 2 + (z + 60) ** 2 < 15**2] = -1000
    table = (np.abs(x) < 150) & (y > 92) & (y < 114)
    hu[table] = -600
    hu[table & ((y < 97) | (y > 109) | (np.abs(x) > 143))] = 100
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = np.array([100, 50, -300]) - np.diag(affine)[:3] * (np.array(shape[::-1]) - 1) / 2
    return Volume(hu, affine), lungs


def test_lungs_with_their_nodule_and_nothing_else():
    volume, truth = chest()
    mask = lung_mask(volume)
    assert (mask.unit, mask.shape) == ("mask", volume.shape)
    np.testing.assert_array_equal(mask.affine, volume.affine)
    overlap = 2 * (mask.array.astype(bool) & truth).sum() / (mask.array.sum() + truth.sum())
    assert overlap > 0.95
    field = lung_field(volume)
    assert field.found
    np.testing.assert_allclose(field.center_mm, [100, 40, -300], atol=4)
    np.testing.assert_allclose(field.size_mm, [160, 120, 204], atol=13)  # cut by the scan's ends in z
    np.testing.assert_allclose(lung_field(volume, 10).size_mm, field.size_mm + 20)


def test_orientation_does_not_matter():
    volume, _ = chest()
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (volume.shape[2] - 1)
    affine[:3, 0] *= -1
    flipped = Volume(np.ascontiguousarray(volume.array[:, :, ::-1]), affine)
    np.testing.assert_array_equal(lung_mask(flipped).array[:, :, ::-1], lung_mask(volume).array)


@pytest.mark.parametrize("hu", [-1000, 40, -985], ids=["air", "tissue", "gas"])
def test_no_lung_gives_the_scan_centre(hu):
    volume, _ = chest(lung_hu=hu)
    if hu != -985:
        volume = Volume(np.full(volume.shape, hu, np.int16), volume.affine)
    field = lung_field(volume, 10)
    assert not field.found
    np.testing.assert_allclose(field.center_mm, [100, 50, -300])
    np.testing.assert_allclose(field.size_mm, np.array(volume.shape) * volume.spacing)
    assert not lung_mask(volume, required=False).array.any()
    with pytest.raises(ScanError, match=r"no lung found.*required=False"):
        lung_mask(volume)


def with_airway(width=7.0):
    """A trachea from the neck to a carina, and two bronchi that open into the lungs."""
    volume, lungs = chest()
    z, y, x = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(volume.shape, volume.spacing)], indexing="ij"
    )
    pipe = (x**2 + (y + 10) ** 2 < width**2) & (z > 10)
    pipe |= (
        ((np.abs(x) - (10 - z) * 0.8) ** 2 + (y + 10) ** 2 < 6**2) & (z <= 10) & (z > -20) & (np.abs(x) < 30)
    )
    hu = np.where(pipe & ~lungs, np.int16(-1000), volume.array)
    return Volume(hu, volume.affine), lungs, pipe & ~lungs


def test_the_airway_is_no_lung():
    volume, lungs, pipe = with_airway()
    mask = lung_mask(volume).array > 0
    assert (mask & pipe).sum() < 0.2 * pipe.sum()
    assert 2 * (mask & lungs).sum() / (mask.sum() + lungs.sum()) > 0.95
    columns = mask[35, :, 38:42]  # at the neck
    assert not columns.any()


def test_airways_are_followed_down_and_not_into_lungs():
    volume, lungs, pipe = with_airway(9.0)
    body = ndimage.binary_fill_holes(volume.array[20] > -400)
    found = airways(volume.array, (volume.array < -400) & body, volume.spacing)
    assert (found & pipe).sum() > 0.8 * pipe.sum()
    assert (found & lungs).sum() < 0.02 * lungs.sum()
    plain, _ = chest()
    assert not (airways(plain.array, (plain.array < -400) & body, plain.spacing) & lungs).any()
    assert not airways(
        np.full((30, 40, 40), -1000), np.zeros((30, 40, 40), dtype=bool), (4.0, 4.0, 4.0)
    ).any()


# mL looked at slice by slice; trachea and main bronchi (7 to 16 mL) are left out, bowel gas and the table too
@pytest.mark.parametrize(
    ("path", "ml", "median"),
    [
        ("nsclc_radiogenomics/ct/R01-001.zip", 1079, -849),  # 89 mm of it
        ("pet_ct/AMC-001_ct.zip", 2896, -747),  # the consolidated lower lobe is left out
        ("rtstruct/4D-Lung-113_ct.zip", 1946, -744),
        ("volumes/lung1_image.nrrd", 2865, -863),
        ("volumes/example_ct.nii.gz", 116, -789),  # an abdomen: the bases of the lungs
    ],
)
def test_real_volumes(shared_data, path, ml, median):
    volume = read(shared_data / path)
    mask = lung_mask(volume)
    assert mask.volume_ml() == pytest.approx(ml, rel=0.03)
    inside = volume.array[mask.array > 0]
    assert np.median(inside) == pytest.approx(median, abs=5)
    assert (inside > -400).mean() < 0.08  # vessels, nodules


def test_the_neck_is_not_in_the_lung_field(shared_data):
    volume = read(shared_data / "volumes" / "lung1_image.nrrd")
    field = lung_field(volume)
    top = field.center_mm[2] + field.size_mm[0] / 2
    apex = volume.voxel_to_mm([0, 0, 41])[2]
    assert abs(top - apex) < 8  # with the larynx it was 20 mm more


def test_real_lungs(shared_data):
    volume = read(shared_data / "volumes" / "lung1_image.nrrd")
    mask = lung_mask(volume)
    assert 2500 < mask.volume_ml() < 3300
    inside = volume.array[mask.array > 0]
    assert -880 < np.median(inside) < -780
    columns = np.flatnonzero(mask.array.any(axis=(0, 1)))
    assert columns[0] < 200 < 312 < columns[-1]  # both sides


def test_a_table_is_no_lung(shared_data):
    volume = read(shared_data / "pet_ct" / "AMC-001_ct.zip")
    field = lung_field(volume)
    assert field.found
    assert field.size_mm[2] < 300  # mm across: the table is 396


def test_only_ct_has_lungs():
    volume, _ = chest()
    pet = Volume(volume.array.astype(np.float32), volume.affine, modality="PT", unit="SUVbw")
    for call in (lung_mask, lung_field):
        with pytest.raises(ScanError, match="not a CT"):
            call(pet)
        with pytest.raises(ScanError, match=r"unknown way to find lungs.*classical, r231, auto"):
            call(volume, method="magic")


# --- R231
# ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def r231(tmp_path_factory):
    """R231's network with weights that call dark voxels lung; the published weights would be 119 MB."""
    torch, lungmask = pytest.importorskip("torch"), None
    from mmfusion.imaging.isolation import undisturbed

    with undisturbed("lungmask"):
        lungmask = pytest.importorskip("lungmask")
        net = lungmask.resunet.UNet(n_classes=3, padding=True, depth=5, up_mode="upsample", batch_norm=True)
    for value in net.state_dict().values():
        value.zero_()
    state = net.state_dict()
    centre = (slice(None), slice(None), 1, 1)
    for block in ("down_path.0.block", "up_path.3.conv_block.block"):
        for k in (0, 3):
            weight = state[f"{block}.{k}.weight"]
            weight[centre][0, 64 if "up" in block and k == 0 else 0] = (
                1  # hand on the image, through the skip
            )
        for k in (2, 5):
            state[f"{block}.{k}.weight"][0] = 1
            state[f"{block}.{k}.running_var"][0] = 1
    for name, value in state.items():
        if name.endswith("running_var"):
            value.fill_(1)
    state["last.weight"][0, 0], state["last.bias"][1] = 1, 0.38  # background where (HU + 1024) / 1624 > 0.38
    path = tmp_path_factory.mktemp("weights") / "unet_r231.pth"
    torch.save(state, path)
    return path


def test_r231_through_lungmask(r231, capfd):
    """Dark within the body is lung for this network; the largest piece of it is what lungmask keeps."""
    volume, truth = chest((2, 60, 80))
    filters, level = warnings.filters[:], logging.getLogger("lungmask").level
    mask = lung_mask(volume, "r231", weights=r231)
    assert (mask.unit, mask.shape) == ("mask", volume.shape)
    inside = mask.array > 0
    assert inside[truth].mean() > 0.4 and inside.any()
    assert lung_field(volume, method="r231", weights=r231).found
    assert capfd.readouterr() == ("", "") and warnings.filters == filters
    assert logging.getLogger("lungmask").level in (level, logging.INFO)


@pytest.mark.slow
def test_r231_keeps_the_orientation(r231):
    volume, _ = chest((3, 60, 80))
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (volume.shape[2] - 1)
    affine[:3, 0] *= -1
    flipped = Volume(np.ascontiguousarray(volume.array[:, :, ::-1]), affine)
    a, b = (lung_mask(v, "r231", weights=r231).array for v in (volume, flipped))
    np.testing.assert_array_equal(a, b[:, :, ::-1])


def test_r231_without_its_weights(tmp_path, monkeypatch):
    volume, _ = chest()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MMFUSION_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("MMFUSION_OFFLINE", "1")
    with pytest.raises(WeightsUnavailable, match=r"unet_r231-d5d2fc3d\.pth.*github\.com/JoHof/lungmask"):
        lung_mask(volume, "r231")
    np.testing.assert_array_equal(lung_mask(volume, "auto").array, lung_mask(volume).array)


def test_r231_by_default_is_not_asked(r231, monkeypatch):
    """The default does not depend on what lies on the machine."""
    volume, _ = chest()
    monkeypatch.setattr(lungs, "find", lambda *args, **kwargs: r231)
    asked = []
    monkeypatch.setattr(
        "mmfusion.imaging.r231.segment", lambda v, w: asked.append(w) or lungs._coarse_mask(v)
    )
    lung_mask(volume)
    assert not asked
    lung_mask(volume, "auto")
    assert asked == [r231]


def test_weights_of_something_else(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("lungmask")
    volume, _ = chest((3, 60, 80))
    text, other = tmp_path / "text.pth", tmp_path / "other.pth"
    text.write_text("no weights")
    torch.save({"a": torch.zeros(3)}, other)
    for path in (text, other):
        with pytest.raises(WeightsUnavailable, match="not the weights of R231"):
            lung_mask(volume, "r231", weights=path)
