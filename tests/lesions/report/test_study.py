"""The study of a lesion report: who is judged, by which models, and what the report says about it."""

from types import SimpleNamespace

import pytest

import mmfusion as mf
from mmfusion.data.lesion_cohort import lesion_cohort
from mmfusion.errors import DataError, MMFusionError
from mmfusion.lesions.report import study
from tests.lesions.report.results import result


@pytest.fixture
def cohort(monkeypatch):
    """Three patients with PET, one without, one without a mask; given under the name "made"."""
    rows = {}
    for k in range(5):
        rows[f"P{k}"] = {("ct", "volume"): f"{k}.nii.gz", ("ct", "mask"): f"{k}_mask.nii.gz"}
        rows[f"P{k}"] |= {("pet", "volume"): f"{k}_pet.nii.gz", ("ct", "seed_x"): 1.0}
    rows["P3"]["pet", "volume"] = None
    rows["P4"]["ct", "mask"] = None
    made = lesion_cohort("made", rows, {})
    monkeypatch.setattr(study, "load_cohort", lambda name, root=None: made)
    return made


def test_patients_without_a_scan_or_a_mask_are_left_out_and_counted(cohort):
    data, left_out = study.load_study("made")
    assert list(data.X.index) == ["P0", "P1", "P2"]
    assert left_out == "Patients left out: 1 without a mask; 1 without a scan of CT and PET."
    data, left_out = study.load_study("made", modalities=["ct"], n_patients=2)
    assert list(data.X.index) == ["P0", "P1"] and study.scans_of(data) == ("ct",)
    assert left_out == "Patients left out: 1 without a mask."


def test_all_networks_that_can_read_the_scans():
    model = study.make_segmenter("unet", "demo", ["ct"], "auto")
    found, unfit = study.other_networks(model, ["all"])
    assert {"raseg", "cspat", "resenc_unet", "cipa"} <= set(found) and "unet" not in found
    assert unfit == "Networks left out, because they cannot read ct at the preset demo: petct_unet."
    assert len(found) + 2 == len(mf.list_segmenters())
    with pytest.raises(MMFusionError, match="in_channels=2"):
        study.other_networks(model, ["petct_unet"])


def test_boxes_by_default_are_those_of_the_detector():
    model = study.make_segmenter("raseg", "demo", ["ct"], "auto", max_epochs=0)
    assert model.box_mode == "detector" and model.max_epochs is None
    assert study.oracle_beside(model, wanted=True) == ["oracle"]
    assert study.oracle_beside(model, wanted=False) == []
    assert study.oracle_beside(study.make_segmenter("unet", "demo", ["ct"], "auto"), wanted=True) == []


def test_the_protocol_names_folds_of_persons_rules_and_true_masks(cohort):
    def said(*models):
        return " ".join(study.protocol(cohort, result(dict.fromkeys(models, 0.5)), "Left out."))

    plain = said("unet")
    assert "3 folds of persons" in plain and "Left out." in plain and "CT and PET" in plain
    assert "oracle" not in plain and "point" not in plain
    assert "read the box of the true mask" in said("unet", "raseg (oracle boxes)")
    assert "within 20 mm of a given point" in said("unet", "SUV >= 2.5")
    assert not study.rules_in(SimpleNamespace(models=["unet"]))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"modalities": ["ct", "mr"]}, r"no such modality .*'mr'"),  # it would be left out
        ({"modalities": ["ct", "rna"]}, "not a modality of scans"),
        ({"n_patients": -1}, "parameter n_patients"),  # the last patient would be left out
    ],
)
def test_parameters_of_a_study_that_cannot_be_used(options, match):
    with pytest.raises(DataError, match=match):
        study.load_study("lesion_phantom", **options)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("nonsense", "demo", ["ct"]), "no segmentation network called"),
        (("unet", "huge", ["ct"]), "no preset"),
        (("unet", "demo", ["ct"], "oracle"), "does not read boxes"),
    ],
)
def test_settings_are_checked_before_scans_are_read(arguments, match):
    with pytest.raises(MMFusionError, match=match):
        study.make_segmenter(*arguments)
