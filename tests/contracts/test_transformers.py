"""What every fold-fitted transformer promises; a new one is tested the day it is written."""

import importlib
import json
import pkgutil

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import mmfusion.preprocessing
from mmfusion.bundle import read_bundle, write_bundle
from mmfusion.errors import DataError
from mmfusion.preprocessing.base import FoldFitted, Stateful
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.preprocessing.gene_graph import GeneGraph
from mmfusion.preprocessing.genes import GeneTransformer
from mmfusion.preprocessing.harmonisation import ComBat
from mmfusion.preprocessing.histograms import HistogramMatching
from mmfusion.preprocessing.scans import ScanTransformer
from mmfusion.preprocessing.tables import TableTransformer
from mmfusion.streams import StreamInputs
from tests.cohorts import tiny_cohort

for found in pkgutil.iter_modules(mmfusion.preprocessing.__path__):
    importlib.import_module(f"mmfusion.preprocessing.{found.name}")


def package_classes(base):
    out = [c for c in base.__subclasses__() if c.__module__.startswith("mmfusion.")]
    return sorted({d for c in out for d in [c, *package_classes(c)]}, key=lambda c: c.__name__)


def table_frame(rng, n):
    frame = pd.DataFrame(
        {
            "age": rng.normal(65, 9, n),
            "sex": rng.choice(["female", "male"], n),
            "smoker": rng.choice([True, False], n),
            "packs": rng.gamma(2, 10, n),
        }
    )
    return frame.astype({"smoker": object}).mask(rng.random(frame.shape) < 0.1)


def gene_frame(unit):
    def make(rng, n):
        values = rng.normal(size=(n, 60)) + 2 * rng.normal(size=(n, 1)) * (np.arange(60) < 20)
        values = values if unit == "zscore" else np.exp(values + 3)
        frame = pd.DataFrame(values, columns=[f"G{j}" for j in range(60)])
        frame = frame.mask(rng.random(frame.shape) < 0.02)
        frame.attrs["units"] = {"rna": unit}
        return frame

    return make


def site_frame(rng, n):
    site = rng.choice(["A", "B", "C"], n)
    values = rng.normal(size=(n, 12)) * (1 + (site == "B"))[:, None] + 2 * (site == "C")[:, None]
    return pd.DataFrame(values, columns=[f"f{j}" for j in range(12)]).assign(
        site=site, age=rng.normal(65, 9, n)
    )


EXAMPLES = {
    "table": (TableTransformer(), table_frame),
    **{
        f"genes-{u}": (GeneTransformer(n_genes=25), gene_frame(u))
        for u in ("counts", "tpm", "fpkm", "log", "zscore")
    },
    "scans": (ScanTransformer(side=6, spacing=8.0), None),
    "scans-matched": (ScanTransformer(side=8, spacing=8.0, restore="nlm", harmonise="histogram"), None),
    "combat": (ComBat(covariates=["age"]), site_frame),
}


@pytest.fixture(scope="module")
def scan_frame(tmp_path_factory):
    nib = pytest.importorskip("nibabel")
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)

    def make(_, n):
        paths = [str(folder / f"{i}.nii.gz") for i in range(n)]
        for path in paths:
            hu = rng.integers(-900, 100, (12, 12, 12), dtype=np.int16)
            nib.save(nib.Nifti1Image(hu, np.diag([-8.0, -8.0, 8.0, 1.0])), path)
        return pd.DataFrame({"volume": paths, "seed_x": 48.0, "seed_y": 48.0, "seed_z": 48.0})

    return make


@pytest.fixture(params=EXAMPLES)
def example(request, tmp_path, monkeypatch):
    """A transformer and a frame of 30 patients, of whom three lack the modality."""
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
    transformer, make = EXAMPLES[request.param]
    make = make or request.getfixturevalue("scan_frame")
    n = 8 if request.param.startswith("scans") else 30
    frame = (
        make(np.random.default_rng(1), n).set_axis([f"p{i:02d}" for i in range(n)]).rename_axis("patient_id")
    )
    frame.iloc[[1, 4, 6]] = np.nan
    return clone(transformer), frame


def as_bytes(state, arrays=None):
    """A state to the byte: JSON, with arrays as dtype, shape and bytes."""

    def plain(value):
        if isinstance(value, np.ndarray):
            return [str(value.dtype), value.shape, value.tobytes().hex()]
        raise TypeError(type(value).__name__)

    return json.dumps(state, default=plain).encode()


def test_every_transformer_has_an_example():
    assert {type(t) for t, _ in EXAMPLES.values()} == set(package_classes(FoldFitted))
    assert set(package_classes(Stateful)) - set(package_classes(FoldFitted)) == {
        CohortTransformer, FlatTransformer, FoldFitted, GeneGraph, HistogramMatching,
    }  # fmt: skip


def test_shape_dtype_and_absent_rows(example):
    transformer, frame = example
    out = transformer.fit(frame).transform(frame)
    assert out.dtype == np.float32 and len(out) == len(frame) and np.isfinite(out).all()
    present = transformer.present(frame)
    assert list(np.flatnonzero(~present)) == [1, 4, 6] and not out[~present].any()
    assert transformer.n_fitted_ == len(frame) - 3
    np.testing.assert_array_equal(clone(transformer).fit_transform(frame), out)
    assert transformer.transform(frame.iloc[:0]).shape == (0, *out.shape[1:])
    assert not transformer.transform(frame.iloc[[1, 4]]).any()


def test_held_out_rows_cannot_change_what_is_fitted(example):
    transformer, frame = example
    train, poisoned = frame.index[: len(frame) * 2 // 3], frame.copy()
    numbers = frame.select_dtypes("number").columns
    poisoned.loc[~poisoned.index.isin(train), numbers] = 1e6
    honest = as_bytes(clone(transformer).fit(frame.loc[train]).state())
    assert as_bytes(clone(transformer).fit(poisoned.loc[train]).state()) == honest
    if getattr(transformer, "harmonise", "tables") is None:
        return  # learns nothing
    assert (
        as_bytes(clone(transformer).fit(frame.assign(**{numbers[0]: 9.0})).state()) != honest
    )  # it would show


def test_absent_rows_do_not_change_what_is_fitted(example):
    transformer, frame = example
    with_them, without = (
        clone(transformer).fit(f).state() for f in (frame, frame.drop(index=["p01", "p04", "p06"]))
    )
    assert as_bytes(with_them) == as_bytes(without)


def test_order_of_rows_does_not_matter(example):
    transformer, frame = example
    turned = frame.iloc[::-1]
    one, two = clone(transformer).fit(frame), clone(transformer).fit(turned)
    assert as_bytes(one.state()) == as_bytes(two.state())
    np.testing.assert_array_equal(one.transform(turned), one.transform(frame)[::-1])


def test_a_row_does_not_depend_on_the_others(example):
    transformer, frame = example
    together = transformer.fit(frame).transform(frame)
    for i in (0, 1, 5):
        np.testing.assert_array_equal(transformer.transform(frame.iloc[[i]])[0], together[i])


def test_inputs_are_not_changed(example):
    transformer, frame = example
    before, attrs = frame.copy(deep=True), dict(frame.attrs)
    transformer.fit(frame).transform(frame)
    pd.testing.assert_frame_equal(frame, before, check_exact=True)
    assert frame.attrs == attrs


def test_state_goes_round_through_a_bundle(example, tmp_path):
    transformer, frame = example
    state = transformer.fit(frame).state()
    write_bundle(tmp_path / "b", estimator="StageClassifier", config={"t": state}, tensors={}, card="")
    again = type(transformer).from_state(read_bundle(tmp_path / "b")[1]["t"])
    assert as_bytes(again.state()) == as_bytes(state) and vars(again).keys() == vars(transformer).keys()
    assert list(again.feature_names_in_) == list(frame.columns) and again.feature_names_in_.dtype == object
    for name, value in vars(transformer).items():
        assert type(vars(again)[name]) is type(value), name
    np.testing.assert_array_equal(again.transform(frame), transformer.transform(frame))


def test_scikit_learn_protocol(example):
    transformer, frame = example
    for call in (transformer.transform, transformer.present):
        with pytest.raises(NotFittedError):
            call(frame)
    assert transformer.fit(frame) is transformer and transformer.fit(frame, y=[0] * len(frame)) is transformer
    assert clone(transformer).get_params() == transformer.get_params()
    given = set(transformer.get_params())
    assert all(k.endswith("_") for k in set(vars(transformer)) - given)


@pytest.mark.parametrize("change", [lambda f: f.to_numpy(), lambda f: f.iloc[[0, 0]], lambda f: f[[]]])
def test_bad_frames(example, change):
    transformer, frame = example
    for call in (clone(transformer).fit, transformer.fit(frame).transform):
        with pytest.raises(DataError):
            call(change(frame))


# --- the whole cohort
# ---------------------------------------------------------------------------------------------


def tables(out):
    return out.arrays.values() if isinstance(out, StreamInputs) else [out.to_numpy()]


@pytest.fixture(params=["streams", "random graph", "flat", "combat", "flat combat"])
def whole(request):
    return {
        "streams": CohortTransformer(n_genes=10, graph_k=3),
        "random graph": CohortTransformer(n_genes=10, graph="random", graph_k=3),
        "flat": FlatTransformer(n_genes=10),
        "combat": CohortTransformer(n_genes=10, graph_k=3, harmonise="combat"),
        "flat combat": FlatTransformer(n_genes=10, harmonise="combat"),
    }[request.param]


def test_cohort_held_out_rows_cannot_change_what_is_fitted(whole):
    X = tiny_cohort().X
    poisoned = X.copy()
    poisoned.loc[X.index[40:], [("ehr", "age"), *X[["rna"]].columns]] = 1e6
    poisoned.loc[X.index[40:], [("ehr", "sex"), ("ct", "margin")]] = "poison"
    honest = as_bytes(clone(whole).fit(X.iloc[:40]).state())
    assert as_bytes(clone(whole).fit(poisoned.iloc[:40]).state()) == honest
    assert as_bytes(clone(whole).fit(poisoned).state()) != honest


def test_cohort_order_of_rows_and_round_trip(whole, tmp_path):
    X = tiny_cohort().X
    before = X.copy(deep=True)
    one, two = clone(whole).fit(X), clone(whole).fit(X.iloc[::-1])
    assert as_bytes(one.state()) == as_bytes(two.state())
    write_bundle(tmp_path / "b", estimator="StageClassifier", config={"t": one.state()}, tensors={}, card="")
    again = type(whole).from_state(read_bundle(tmp_path / "b")[1]["t"])
    assert as_bytes(again.state()) == as_bytes(one.state())
    for a, b in zip(tables(one.transform(X)), tables(again.transform(X))):
        np.testing.assert_array_equal(a, b)
    pd.testing.assert_frame_equal(X, before, check_exact=True)
