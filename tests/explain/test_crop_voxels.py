"""The voxel size of the crops that a model read, so that the anatomy is not stretched in figures."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mmfusion import figures
from mmfusion.errors import DataError
from mmfusion.explain import ScanAttribution, crop_spacing
from mmfusion.imaging import Volume, write_nifti
from mmfusion.preprocessing.scans import ScanTransformer
from mmfusion.staging.report.patients import scan_figure
from mmfusion.streams import StreamInputs, StreamSpec
from tests.explain.models import CLASSES, Look, looking
from tests.imaging.test_lungs import chest

S = 24


def model_of(reader: ScanTransformer) -> SimpleNamespace:
    name = reader.modality
    transformer = SimpleNamespace(
        specs_=[StreamSpec(name, name, (1, S, S, S))], transformers_={name: reader}, transform=lambda X: X
    )
    return SimpleNamespace(module_=None, transformer_=transformer, classes_=CLASSES)


def rows(*volumes: object, modality: str = "ct") -> pd.DataFrame:
    ids = [f"P{i}" for i in range(len(volumes))]
    return pd.DataFrame({(modality, "volume"): pd.Series(volumes, ids, dtype=object)})


def test_a_crop_around_the_tumour_has_the_same_voxels_for_every_patient_and_no_scan_is_read():
    X = rows("absent.nii.gz", "absent too.nii.gz")
    assert crop_spacing(model_of(ScanTransformer(S, 2.5)), X).tolist() == [[2.5, 2.5, 2.5]] * 2
    pet = crop_spacing(
        model_of(ScanTransformer(S, 4.0, modality="pet")), rows("a", modality="pet"), stream="pet"
    )
    assert pet.tolist() == [[4.0, 4.0, 4.0]]


def test_a_crop_of_the_lungs_has_the_size_of_the_lungs_of_each_patient(tmp_path):
    whole, _ = chest()
    long = Volume(whole.array, whole.affine @ np.diag([1.0, 1.0, 1.2, 1.0]))  # the same, 1.2 times as long
    write_nifti(long, tmp_path / "long.nii.gz")
    reader, X = ScanTransformer(S, mode="lung"), rows(whole, str(tmp_path / "long.nii.gz"))
    found = crop_spacing(model_of(reader), X)
    # in the scan, the lungs are 160 mm high, 120 mm deep and 204 mm wide; the margin is 10 mm on each side
    assert found[0] * S == pytest.approx([180, 140, 224], abs=8)
    np.testing.assert_allclose(found[1] / found[0], [1.18, 1, 1], atol=0.02)
    # the lungs have their true size in mm on the crop that the network reads
    lung = reader.fit_transform(X["ct"])[0, 0, S // 2] < 0.42  # halfway between lung and tissue
    right = round((S - 1) / 2 - 60 / found[0, 2])  # through the middle of the right lung
    for line, step, mm in ((lung[:, right], found[0, 1], 120), (lung[S // 2], found[0, 2], 204)):
        assert (np.ptp(np.flatnonzero(line)) + 1) * step == pytest.approx(mm, abs=1.5 * step)


def test_figures_draw_each_crop_with_its_own_voxels():
    maps = np.ones((2, S, S, S), np.float32)
    one = ScanAttribution(maps, maps, ("P0", "P1"), ("II", "II"))
    axes = figures.scan_maps({"map": one}, spacing=np.array([[8.0, 6.0, 9.0], [8.0, 5.0, 10.0]])).axes
    assert [ax.get_aspect() for ax in axes] == pytest.approx([6 / 9, 6 / 9, 0.5, 0.5])


def test_the_page_of_a_patient_draws_the_lungs_in_their_true_shape():
    reader, X = ScanTransformer(S, mode="lung"), rows(chest()[0])
    model = looking(50.0, Look(None))
    crops = reader.fit_transform(X["ct"])
    inputs = StreamInputs({"ct": crops}, np.ones((1, 1), bool), list(X.index))
    model.transformer_ = model_of(reader).transformer_
    model.transformer_.transform = lambda X: inputs
    z, y, x = crop_spacing(model, X)[0]
    figure = scan_figure(model, X)
    assert [ax.get_aspect() for ax in figure.axes] == pytest.approx([y / x, z / x, z / y])
    assert y / x < 0.7  # a chest is wider than deep


def test_what_has_no_crop_is_named():
    model = model_of(ScanTransformer(S, mode="lung"))
    with pytest.raises(DataError, match="patient P0, column volume: no scan"):
        crop_spacing(model, rows(None))
    with pytest.raises(DataError, match="not a cohort's frame"):
        crop_spacing(model, ["P0"])
    with pytest.raises(DataError, match="the model reads no scan called 'pet'"):
        crop_spacing(model, rows("a"), stream="pet")
