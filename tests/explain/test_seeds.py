"""A seed or a number of processes that cannot be used is one error in every function that explains."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.explain import enrichment, gene_shap
from mmfusion.explain.permutation import gene_permutation
from mmfusion.explain.permuted_labels import null_attribution
from mmfusion.explain.scans import randomisation_check
from tests.explain.models import CLASSES, fusion_model, linear_model, rows

X = rows(6, scan=False)
Y = pd.Series(CLASSES[[0, 1, 2, 0, 1, 2]], [f"P{i}" for i in range(6)])
TABLE = pd.DataFrame({"mean_abs_shap": np.arange(20.0, 0.0, -1.0), "q": 0.9}, [f"G{i}" for i in range(20)])


def null(**options):
    return null_attribution(None, [0, 1], pd.Series({"G0": 1.0}), n_permutations=2, **options)


CALLS = {
    "genes": lambda **options: mf.explain.genes(linear_model(), X, **options),
    "gene_shap": lambda **options: gene_shap(linear_model(), X, **options),
    "gene_permutation": lambda **options: gene_permutation(linear_model(), X, Y, **options),
    "cross_check": lambda **options: mf.explain.cross_check(linear_model(), X, Y, **options),
    "null_attribution": null,
    "enrichment": lambda **options: enrichment(TABLE, {"set": TABLE.index[:5]}, n_top=5, **options),
    "randomisation_check": lambda **options: randomisation_check(fusion_model("concat"), rows(2), **options),
}


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, None])
@pytest.mark.parametrize("name", CALLS)
def test_a_seed_that_cannot_be_used(name, seed):
    with pytest.raises(DataError, match=r"parameter random_state: out of range \(expected a whole number, 0"):
        CALLS[name](random_state=seed)


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5])
@pytest.mark.parametrize("name", ["genes", "null_attribution"])
def test_a_number_of_processes_that_cannot_be_used(name, n_jobs):
    with pytest.raises(DataError, match="parameter n_jobs: out of range"):
        CALLS[name](n_jobs=n_jobs)
