"""One small cohort for each kind of target without classes."""

import pytest

from tests.evaluation.toys import ToyRegressor, ToySegmenter, mask_cohort, vector_cohort


@pytest.fixture(scope="module")
def vectors():
    return vector_cohort()


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    return mask_cohort(tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="module", params=["vectors", "masks"])
def toy(request):
    """(cohort, model, a search) of each kind of target that has no classes."""
    cohort = request.getfixturevalue(request.param)
    if request.param == "vectors":
        return cohort, ToyRegressor(), {"shrink": [0.1, 1.0]}
    return cohort, ToySegmenter(), {"shift": [-300.0, 0.0]}
