import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold

from mmfusion.errors import DataError, TableWarning
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.preprocessing.tables import MissingColumnsWarning
from tests.cohorts import tiny_cohort

NAMES = ["ct_table", "rna", "ehr"]


@pytest.fixture(scope="module")
def X():
    return tiny_cohort().X


@pytest.fixture(scope="module")
def fitted(X):
    return CohortTransformer(n_genes=12, graph_k=3).fit(X)


def block(X, modality, change):
    """X with one block changed."""
    out = X.copy()
    out[[modality]] = change(out[[modality]])
    return out


def test_streams(X, fitted):
    specs = {spec.name: spec for spec in fitted.specs_}
    assert list(specs) == NAMES
    assert [(s.modality, s.shape) for s in specs.values()] == [
        ("ct", (2, 6)),
        ("rna", (12,)),
        ("ehr", (2, 6)),
    ]
    assert (
        specs["rna"].edge_index.shape == (2, 36)
        and specs["rna"].feature_names == fitted.transformers_["rna"].genes_
    )
    assert specs["ehr"].feature_names[:2] == ("age", "sex=female") and specs["ehr"].edge_index is None
    inputs = fitted.transform(X)
    assert list(inputs.arrays) == NAMES and inputs.present.shape == (len(X), 3) and len(inputs) == len(X)
    assert [a.shape[1:] for a in inputs.arrays.values()] == [(2, 6), (12,), (2, 6)]
    assert {a.dtype for a in inputs.arrays.values()} == {np.dtype(np.float32)} and inputs.index == list(
        X.index
    )


def test_presence_is_what_x_says(X, fitted):
    inputs = fitted.transform(X)
    for column, modality in enumerate(["ct", "rna", "ehr"]):
        np.testing.assert_array_equal(inputs.present[:, column], X[modality].notna().any(axis=1))
    for array, has in zip(inputs.arrays.values(), inputs.present.T):
        assert not array[~has].any()


def test_a_patient_does_not_depend_on_company(X, fitted):
    together = fitted.transform(X)
    for i in (0, 7, 31):
        alone = fitted.transform(X.iloc[[i]])
        np.testing.assert_array_equal(alone.present[0], together.present[i])
        for name in NAMES:
            np.testing.assert_array_equal(alone.arrays[name][0], together.arrays[name][i])


def test_order_of_modalities_does_not_matter(X, fitted):
    turned = X[[*X[["rna"]].columns, *X[["meta"]].columns, *X[["ehr"]].columns, *X[["ct"]].columns]]
    turned.attrs = dict(X.attrs)
    other = clone(fitted).fit(turned)
    assert [s.name for s in other.specs_] == NAMES
    for name in NAMES:
        np.testing.assert_array_equal(other.transform(X).arrays[name], fitted.transform(turned).arrays[name])


def test_an_absent_block_is_absent_for_everybody(X, fitted):
    inputs = fitted.transform(X[["ehr", "ct"]])
    assert not inputs.present[:, 1].any() and inputs.arrays["rna"].shape == (len(X), 12)
    assert not inputs.arrays["rna"].any()
    empty = fitted.transform(X.iloc[:0])
    assert [a.shape[0] for a in empty.arrays.values()] == [0, 0, 0]


def test_meta_is_never_read(X, fitted):
    other = block(X, "meta", lambda b: b.assign(**{}).where(b.isna(), "elsewhere"))
    for name, array in fitted.transform(other).arrays.items():
        np.testing.assert_array_equal(array, fitted.transform(X).arrays[name])


def test_reading_fewer_modalities(X):
    fitted = CohortTransformer(modalities=["ehr"]).fit(X)
    assert [s.name for s in fitted.specs_] == ["ehr"]
    np.testing.assert_array_equal(
        fitted.transform(X).arrays["ehr"], fitted.transform(X[["ehr"]]).arrays["ehr"]
    )


def test_a_stream_that_nobody_has_in_fit_is_no_stream(X):
    lost = X.copy()
    lost.loc[:, lost.columns.get_level_values(0) == "ct"] = np.nan
    with pytest.warns(TableWarning, match="none of the 60 patients has ct: nothing is learned from it"):
        fitted = CohortTransformer(n_genes=5, graph_k=2).fit(lost)
    assert [s.name for s in fitted.specs_] == ["rna", "ehr"]
    assert fitted.transform(X).present.shape == (len(X), 2)  # CT is then not looked at


def test_a_modality_that_was_asked_for_and_nobody_has_is_said(X):
    lost = X.copy()
    lost.loc[:, lost.columns.get_level_values(0) == "rna"] = np.nan
    with pytest.warns(TableWarning, match="none of the 60 patients has rna"):
        CohortTransformer(modalities=["rna", "ehr"]).fit(lost)
    CohortTransformer(modalities=["ehr"]).fit(lost)  # it was not asked for


def test_kinds_of_graph(X, tmp_path):
    file = tmp_path / "edges.csv"
    file.write_text("GENE0,GENE1\nGENE1,GENE2\n")
    graph = {
        kind: CohortTransformer(n_genes=12, graph=kind, graph_k=3, graph_edges=file).fit(X).specs_[1]
        for kind in ("coexpression", "random", "prior", "none")
    }
    assert [g.edge_index.shape[1] for g in graph.values()] == [36, 36, 4, 0]


def test_scikit_learn_protocol(X, fitted):
    with pytest.raises(NotFittedError):
        CohortTransformer().transform(X)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params() and not hasattr(copy, "transformers_")
    for train, test in KFold(3).split(X):
        assert len(clone(fitted).fit(X.iloc[train]).transform(X.iloc[test])) == len(test)


def test_units(X, fitted):
    assert fitted.units_ == {"rna": "log"}
    tpm = X.copy()
    tpm.attrs["units"] = {"rna": "tpm"}
    with pytest.raises(DataError, match=r"column rna: another unit.*expected log; got tpm"):
        fitted.transform(tpm)
    lost = X.copy()
    lost.attrs = {}
    np.testing.assert_array_equal(fitted.transform(lost).arrays["rna"], fitted.transform(X).arrays["rna"])
    with pytest.warns(UserWarning, match="taken as log"):
        CohortTransformer(n_genes=5, graph="none").fit(lost)


def renamed(X, old, new):
    return X.rename(columns={old: new}, level=0)


def with_text(X, row, text):
    X = X.astype({("ehr", "age"): object})
    X.loc[X.index[row], ("ehr", "age")] = text
    return X


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X: X["ehr"], "not a cohort's frame"),
        (lambda X: X.to_numpy(), "not a cohort's frame.*got ndarray"),
        (lambda X: renamed(X, "rna", "proteome"), "column proteome: unknown modality"),
        (lambda X: renamed(X, "rna", "pet"), "a modality that was not there in fit.*got pet"),
        (lambda X: X.rename(index={X.index[1]: X.index[0]}), "duplicate patient id"),
        (lambda X: X.rename(index={X.index[1]: None}), "no patient id"),
        (lambda X: X[["rna", "ct"]], "patient P0.*has none of the model's modalities"),
        (lambda X: X[["meta"]], "has none of the model's modalities"),
        (
            lambda X: X.rename(columns={"age": "alter", "sex": "g", "pack_years": "py"}, level=1),
            "column ehr: none of the columns that the model was fitted on.*got alter",
        ),
        (lambda X: with_text(X, row=2, text="61 y"), r"patient P\d+, column ehr: age: not a number.*'61 y'"),
        (
            lambda X: X.rename(columns=lambda c: c.replace("GENE", "ENSG"), level=1),
            "column rna: none of the columns",
        ),
    ],
)
def test_bad_input_at_prediction(X, fitted, change, match):
    with pytest.raises(DataError, match=match):
        fitted.transform(change(X))


@pytest.mark.parametrize(
    ("params", "change", "match"),
    [
        ({}, lambda X: renamed(X, "rna", "proteome"), "unknown modality"),
        ({"modalities": ["pet"]}, lambda X: X, "no such modality in X.*got pet"),
        ({}, lambda X: X[["meta"]], "no patient has any"),
        ({}, lambda X: X.iloc[:0], "no patient has any"),
        ({"graph": "knn"}, lambda X: X, "column rna: no such gene graph"),
        ({"n_genes": 0}, lambda X: X, "column rna: too few genes"),
    ],
)
def test_bad_input_in_fit(X, params, change, match):
    with pytest.raises(DataError, match=match):
        CohortTransformer(**params).fit(change(X))


def test_a_missing_column_is_said_by_name(X, fitted):
    with pytest.warns(MissingColumnsWarning, match="pack_years"):
        fitted.transform(X.drop(columns=[("ehr", "pack_years")]))


def test_scans_and_their_features_are_two_streams(scans, no_cache):
    fitted = CohortTransformer(crop_side=8, crop_spacing=6.0).fit(scans)
    assert [(s.name, s.modality, s.shape) for s in fitted.specs_] == [
        ("ct", "ct", (1, 8, 8, 8)),
        ("ct_table", "ct", (2, 1)),
        ("ehr", "ehr", (2, 1)),
    ]
    inputs = fitted.transform(scans)
    np.testing.assert_array_equal(inputs.present, [[True] * 3] * 4 + [[False, True, True]])
    assert inputs.arrays["ct"].shape == (5, 1, 8, 8, 8) and not inputs.arrays["ct"][4].any()
    assert inputs.arrays["ct"][3].mean() > inputs.arrays["ct"][0].mean() > 0.05
    without = fitted.transform(scans.drop(columns=[("ct", "volume")]))
    assert not without.present[:, 0].any() and without.arrays["ct"].shape == (5, 1, 8, 8, 8)
    seeds_only = fitted.transform(scans.drop(columns=[("ct", "volume"), ("ct", "size")]))
    np.testing.assert_array_equal(seeds_only.present, [[False, False, True]] * 5)
    again = CohortTransformer.from_state(fitted.state())
    np.testing.assert_array_equal(again.transform(scans).arrays["ct"], inputs.arrays["ct"])
