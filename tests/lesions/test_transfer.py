"""A training that starts from the weights of a saved segmenter."""

import pytest
import torch

import mmfusion as mf
from mmfusion.errors import DataError, LeakageError, MMFusionError
from mmfusion.lesions.report.igtv import difference_before_training, grid, pretrain
from mmfusion.lesions.transfer import read_start
from tests.cohorts import tiny_cohort
from tests.lesions.conftest import patient, table

SMALL = {"width": 4, "depths": (1, 1), "decoder_depth": 1}
SETTINGS = {
    "modalities": ("ct", "pet"),
    "options": SMALL,
    "size": (16, 16),
    "spacing": 4.0,
    "max_epochs": 1,
    "threshold": 0.5,
}


class Patients:
    """What `pretrain` reads of a cohort."""

    name = "made"

    def __init__(self, first, n):
        self.X = table({f"P{k}": patient(k, pet=True) for k in range(first, first + n)})
        self.y = self.X["ct", "mask"]
        self.groups = self.X.index.to_frame(name="patient")


@pytest.fixture(scope="module")
def judged():
    return Patients(0, 2)


@pytest.fixture(scope="module")
def start(judged, tmp_path_factory):
    model = mf.LesionSegmenter("cipa", **SETTINGS)
    return pretrain(model, Patients(2, 2), judged, tmp_path_factory.mktemp("start") / "flat")


def test_a_slab_network_starts_as_the_flat_one(start, judged):
    assert difference_before_training(start, "slice", judged.X) == 0
    assert difference_before_training(start, "concat", judged.X) == 0


def test_training_starts_from_the_weights(start, judged):
    changes = grid(start, SMALL, frozen_epochs=1)["2.5D slice, pretrained"]
    model = mf.LesionSegmenter(**(SETTINGS | changes))
    flat = mf.load(start)
    before = read_start(start, model.settings).build(model.settings).state_dict()
    for name, tensor in flat.module_.state_dict().items():
        assert torch.equal(before[f"plane.{name}"], tensor)
    model.fit(judged.X, judged.y)
    frozen = "plane.encoder."
    after = model.module_.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith(frozen))
    assert any(not torch.equal(after[name], before[name]) for name in before if not name.startswith(frozen))
    assert set(flat.patients_) < set(model.patients_) and set(flat.scans_) < set(model.scans_)
    assert model.saw(Patients(2, 2).X) == ["P2", "P3"]


def test_what_does_not_fit_is_refused(start, judged, tmp_path):
    other = SETTINGS | {"options": SMALL | {"width": 8}}
    with pytest.raises(MMFusionError, match="weights"):
        mf.LesionSegmenter("cipa", start=start, **other).fit(judged.X, judged.y)
    with pytest.raises(DataError, match="reads other scans"):
        mf.LesionSegmenter("cipa", start=start, **(SETTINGS | {"modalities": ("ct",)})).fit(
            judged.X, judged.y
        )
    fitted = mf.load(start)
    before = vars(fitted).copy()
    wrong = fitted.set_params(start=start, options=SMALL | {"width": 8})
    with pytest.raises(MMFusionError, match="weights"):
        wrong.fit(judged.X, judged.y)
    assert all(vars(fitted)[name] is value for name, value in before.items() if name.endswith("_"))


def test_patients_of_the_study_are_found_by_id_before_and_by_voxels_after_pretraining(judged, tmp_path):
    with pytest.raises(LeakageError, match="patient P0"):
        pretrain(None, judged, judged, tmp_path / "flat")
    renamed = Patients(0, 2)
    renamed.X.index = renamed.y.index = renamed.groups.index = ["Q0", "Q1"]
    with pytest.raises(LeakageError, match="patient P0"):
        pretrain(mf.LesionSegmenter("cipa", **SETTINGS), renamed, judged, tmp_path / "flat")


def test_another_kind_of_model_is_refused(tmp_path):
    cohort = tiny_cohort(30).select(modalities=["ehr"])
    mf.StageClassifier(max_epochs=1, n_members=1).fit(cohort.X, cohort.y).save(tmp_path / "stage")
    with pytest.raises(DataError, match="not a saved segmenter"):
        read_start(tmp_path / "stage", mf.LesionSegmenter("unet").settings)
