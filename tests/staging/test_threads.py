"""One fitted model serves many threads: every result is that of the same call alone, warnings included."""

import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

import mmfusion as mf
from mmfusion.errors import gathered
from mmfusion.explain import gene_shap, scan_gradcam
from mmfusion.imaging import read, read_crop, write_nifti
from mmfusion.synthetic import phantom
from tests.staging.quick import QUICK

THREADS, CALLS = 8, 25


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return phantom(18, 3, missing=0.2, root=tmp_path_factory.mktemp("threads") / "phantom")[0]


@pytest.fixture(scope="module")
def model(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("threads") / "model"
    mf.StageClassifier(**QUICK, n_members=2).fit(cohort.X, cohort.y).save(folder)
    return mf.load(folder)


@pytest.fixture(scope="module")
def files(cohort, tmp_path_factory):
    """Two patients' files: scans with a warning each, a table with too few genes, one with a new category."""
    folder, out = tmp_path_factory.mktemp("files"), []
    for patient in cohort.complete().table.index[:2]:
        row = cohort.table.loc[[patient]]
        paths = {m: folder / f"{patient}-{m}.csv" for m in ("rna", "ehr")}
        row["rna"].iloc[:, ::2].to_csv(paths["rna"])
        row["ehr"].assign(histology=f"new for {patient}").to_csv(paths["ehr"])
        paths["ct"] = folder / f"{patient}.nii.gz"
        write_nifti(read(row["ct", "volume"].iloc[0]), paths["ct"])
        out.append((paths, [float(row["ct", f"seed_{axis}"].iloc[0]) for axis in "xyz"]))
    return out


def jobs(model, cohort, files):
    """Return functions without arguments, as many as one thread calls."""
    (one, seed), (other, _) = files
    subsets = [("ct",), ("rna",), ("ehr",), ("ct", "rna"), ("rna", "ehr"), ("ct", "rna", "ehr")]
    found = [
        lambda p=paths, s=subset: model.predict_patient(**{m: p[m] for m in s})
        for paths in (one, other)
        for subset in subsets
    ]
    found += [lambda: model.predict_patient(ct=one["ct"], seed=seed, rna=one["rna"])]
    found += [lambda k=k: model.predict_row(cohort.table.iloc[[k]]) for k in range(7)]
    with gathered():
        inputs = model.transformer_.transform(cohort.complete().table.iloc[:2])
    found += [lambda r=r: gene_shap(model, inputs, n_samples=20, random_state=r).values for r in range(2)]
    found += [lambda: scan_gradcam(model, inputs).maps]
    found += [lambda: read_crop(one["ct"], seed, 8, 3.0).array, lambda: read(other["ct"]).array.sum()]
    assert len(found) == CALLS
    return found


def shown(job):
    """Return the result of a call and the warnings that it gave outside of its result."""
    with gathered() as given:
        result = job()
    return (result.tobytes() if isinstance(result, np.ndarray) else result), [str(g) for g in given]


def state(model):
    return (
        list(warnings.filters),
        warnings.showwarning,
        torch.get_num_threads(),
        torch.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
        random.getstate(),
        [part.training for part in model.module_.modules()],
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize("calls", [4, pytest.param(CALLS, marks=pytest.mark.slow)])
def test_every_call_of_many_threads_gives_what_it_gives_alone(
    model, cohort, files, tmp_path, monkeypatch, calls
):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "alone"))
    work = jobs(model, cohort, files)
    alone = [shown(job) for job in work]
    assert any(getattr(result, "warnings", ()) for result, _ in alone)
    assert any(getattr(result, "top_genes", ()) for result, _ in alone)
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "together"))  # empty: scans are read in threads too
    before = state(model)

    def one(thread):
        order = np.random.default_rng(thread).permutation(CALLS)[:calls]
        return {k: shown(work[k]) for k in order}

    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(one, range(THREADS)):
            assert len(found) == calls
            for k, result in found.items():
                assert result == alone[k], k
    assert state(model) == before


def test_models_are_fitted_in_threads_as_alone(cohort):
    X = cohort.X.drop(columns="ct", level=0)

    def fitted(seed):
        with gathered():
            return mf.StageClassifier(**QUICK, random_state=seed).fit(X, cohort.y).predict_proba(X).tobytes()

    alone = [fitted(seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(fitted, range(3))) == alone


def test_warnings_of_reading_are_in_the_prediction(model, files):
    (paths, _), _ = files
    prediction = model.predict_patient(ct=paths["ct"], rna=paths["rna"])
    texts = " ".join(prediction.warnings)
    assert "genes absent" in texts and "seed" in texts
    assert isinstance(pd.Series(prediction.to_row()), pd.Series)
