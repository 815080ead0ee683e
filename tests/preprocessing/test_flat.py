import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from mmfusion.errors import DataError
from mmfusion.preprocessing.flat import FlatTransformer
from tests.cohorts import tiny_cohort


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort(90, signal=3.0)


def test_columns_are_the_streams_of_the_networks(cohort):
    flat = FlatTransformer().fit(cohort.X)
    table = flat.transform(cohort.X)
    inputs = flat.streams_.transform(cohort.X)
    assert table.shape == (90, 6 + 24 + 6 + 2) and not table.isna().any(axis=None)
    assert list(table.index) == list(cohort.X.index)
    np.testing.assert_array_equal(table["ehr: age"], inputs.arrays["ehr"][:, 0, 0])
    np.testing.assert_array_equal(
        table["rna: GENE0"], inputs.arrays["rna"][:, flat.streams_.specs_[1].feature_names.index("GENE0")]
    )
    for stream, modality in (("ct_table", "ct"), ("rna", "rna")):
        np.testing.assert_array_equal(table[f"{stream}: present"], cohort.X[modality].notna().any(axis=1))
    absent = table.loc[table["rna: present"] == 0].filter(like="rna: GENE")
    assert len(absent) and not absent.to_numpy().any()
    assert "ehr: present" not in table  # everybody has it


def test_columns_do_not_depend_on_the_predicted_patients(cohort):
    flat = FlatTransformer().fit(cohort.X)
    complete = cohort.complete().X
    assert list(flat.transform(complete).columns) == list(flat.transform(cohort.X).columns)
    assert flat.transform(cohort.X[["ehr"]])["rna: present"].eq(0).all()


def test_fit_transform_is_fit_then_transform(cohort):
    one, two = FlatTransformer().fit_transform(cohort.X), FlatTransformer().fit(cohort.X).transform(cohort.X)
    assert one.equals(two)


def test_in_a_pipeline(cohort):
    model = make_pipeline(FlatTransformer(), LogisticRegression(C=0.1, max_iter=500))
    assert cross_val_score(model, cohort.X, cohort.y.astype(str), cv=3, error_score="raise").mean() > 0.55
    assert clone(model).get_params()["flattransformer__n_genes"] == 200


def test_scans_become_descriptors(scans, no_cache):
    flat = FlatTransformer(crop_side=16, crop_spacing=6.0)
    table = flat.fit_transform(scans)
    assert "ct: piece_ml" in table and list(table["ct: present"]) == [1, 1, 1, 1, 0]
    assert table["ct: piece_ml"].nunique() > 2 and table["ct: piece_ml"].iloc[4] == 0
    assert np.abs(table.filter(like="ct: piece").iloc[:4].mean()).max() < 1e-5
    assert table.equals(FlatTransformer.from_state(flat.state()).transform(scans))


def test_bad_input(cohort):
    with pytest.raises(DataError, match="no such modality"):
        FlatTransformer(modalities=["pet"]).fit(cohort.X)
