from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ttest_1samp

from mmfusion.errors import DataError
from mmfusion.explain.modalities import leave_one_modality_out, modality_shapley
from mmfusion.metrics import macro_auc
from mmfusion.registry import list_fusions
from tests.explain.models import CLASSES, D, G, fusion_model, linear_model, rows


@pytest.mark.parametrize("fusion", list_fusions().index)
def test_contributions_sum_to_the_prediction(fusion):
    model, X = fusion_model(fusion, members=2), rows(6, missing=0.4)
    found = modality_shapley(model, X)
    arrays = {k: torch.as_tensor(v) for k, v in X.arrays.items()}
    with torch.no_grad():
        expected = model.module_(torch.as_tensor(X.present), **arrays).softmax(-1).numpy()
    np.testing.assert_allclose(found.output, expected, atol=1e-6)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), found.output, atol=1e-9)
    assert (found.values[~found.present] == 0).all()
    assert found.modalities == ("ct", "rna", "ehr")


def test_two_modalities_by_hand():
    model, X = linear_model(), rows(5, scan=False)
    found = modality_shapley(model, X)

    def p(*have):
        present = np.array([["rna" in have, "ehr" in have]] * 5)
        arrays = {k: torch.as_tensor(v) for k, v in X.arrays.items()}
        with torch.no_grad():
            return model.module_(torch.as_tensor(present), **arrays).softmax(-1).numpy()

    rna = (p("rna") - model.prior_ + p("rna", "ehr") - p("ehr")) / 2
    np.testing.assert_allclose(found.values[:, 0], rna, atol=1e-6)
    assert found.mean_abs().loc["rna", "III"] == pytest.approx(np.abs(rna[:, 2]).mean(), abs=1e-6)
    np.testing.assert_allclose(found.values_of("III")["rna"], rna[:, 2], atol=1e-6)
    with pytest.raises(DataError, match="to class 'IV'"):
        found.values_of("IV")


def test_a_modality_that_says_nothing_contributes_nothing():
    model = linear_model()
    torch.nn.init.zeros_(model.module_.table)
    model.prior_ = np.full(3, 1 / 3)  # what the network says of a patient without genes
    found = modality_shapley(model, rows(5, scan=False))
    np.testing.assert_allclose(found.values[:, 1], 0, atol=1e-7)
    assert np.abs(found.values[:, 0]).max() > 0.05


def test_without_a_prior_the_background_is_the_base():
    model = linear_model()
    model.prior_ = None
    base = modality_shapley(model, rows(3, scan=False)).base
    assert base.sum() == pytest.approx(1) and np.abs(base - 1 / 3).max() > 1e-3


def test_leave_one_out():
    model, X = linear_model(2.0), rows(60, scan=False, seed=2)
    arrays = {k: torch.as_tensor(v) for k, v in X.arrays.items()}
    with torch.no_grad():
        full = model.module_(torch.as_tensor(X.present), **arrays).softmax(-1).numpy()
    y = CLASSES[full.argmax(axis=1)]
    X.present[0] = [False, True]
    out = leave_one_modality_out(model, X, y)
    assert out.loc["rna", "n"] == 59 and out.loc["ehr", "n"] == 59
    assert out.loc["rna", "macro_auc"] == pytest.approx(macro_auc(y[1:], full[1:], CLASSES))
    assert out.loc["rna", "drop"] > 0.05 and out.loc["rna", "changed"] > 0.2
    only = X.rows([0])
    assert leave_one_modality_out(model, only, y[:1])["macro_auc"].isna().all()


def test_inputs_are_not_changed():
    X = rows(4, missing=0.3)
    before = X.present.copy(), {k: v.copy() for k, v in X.arrays.items()}
    modality_shapley(fusion_model("concat"), X)
    np.testing.assert_array_equal(X.present, before[0])
    assert all((X.arrays[k] == v).all() for k, v in before[1].items())
    assert X.arrays["rna"].shape[1] == G and X.arrays["ehr"].shape[2] == D


def test_the_gain_is_the_mean_contribution_to_the_true_class():
    X = rows(40, missing=0.3, seed=5)
    found = modality_shapley(fusion_model("concat"), X)
    y = np.random.default_rng(0).choice(CLASSES, 40)
    out = found.gain(y)
    own = np.stack([found.values_of(c).loc[p] for p, c in zip(found.patients, y, strict=True)])
    for j, modality in enumerate(found.modalities):
        some = own[found.present[:, j], j]
        expected = ttest_1samp(some, 0).confidence_interval()
        assert out.loc[modality, "n"] == len(some)
        assert out.loc[modality, "gain"] == pytest.approx(some.mean())
        assert out.loc[modality, ["lower", "upper"]].tolist() == pytest.approx([*expected])
    np.testing.assert_allclose(out["mean_abs"], found.mean_abs().mean(axis=1))


def test_rows_of_one_patient_are_one_value_of_the_gain():
    found = modality_shapley(fusion_model("concat"), rows(40, missing=0.3, seed=5))
    y = np.random.default_rng(0).choice(CLASSES, 40)
    four = replace(
        found,
        values=np.tile(found.values, (4, 1, 1)),
        present=np.tile(found.present, (4, 1)),
        output=np.tile(found.output, (4, 1)),
        patients=found.patients * 4,
    )
    pd.testing.assert_frame_equal(four.gain(np.tile(y, 4)), found.gain(y))


def test_labels_that_do_not_fit_have_no_gain():
    found = modality_shapley(linear_model(), rows(3, scan=False))
    with pytest.raises(DataError, match=r"not one label for each explained patient .*expected 3; got 2"):
        found.gain(["I", "II"])
    with pytest.raises(DataError, match=r"not a class of the model .expected I, II, III; got IV"):
        found.gain(["I", "II", "IV"])
    assert found.gain(["I", "II", "III"])["lower"].notna().all()


def test_labels_in_another_order_are_refused():
    model = fusion_model()
    X = rows(4)
    y = pd.Series(["I", "II", "III", "I"], ["P0", "P1", "P2", "P3"])
    found = modality_shapley(model, X)
    assert found.gain(y).equals(found.gain(y.tolist()))
    for wrong in (y[::-1], y.rename(index={"P0": "P9"})):
        with pytest.raises(DataError, match="X and y are not about the same patients"):
            found.gain(wrong)
        with pytest.raises(DataError, match="X and y are not about the same patients"):
            leave_one_modality_out(model, X, wrong)
    with pytest.raises(DataError, match=r"not one label for each explained patient .*expected 4; got 3"):
        leave_one_modality_out(model, X, y[:3])
    with pytest.raises(DataError, match=r"not one label for each explained patient .*got shape \(\)"):
        found.gain("I")


def test_no_patient_is_an_error():
    model, none = fusion_model(), rows(4).rows([])
    with pytest.raises(DataError, match="no patient to explain"):
        modality_shapley(model, none)
    with pytest.raises(DataError, match="no patient to explain"):
        leave_one_modality_out(model, none, [])
