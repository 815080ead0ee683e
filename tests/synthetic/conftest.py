"""One small phantom for the tests that need files."""

import pytest

from mmfusion.synthetic import phantom


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """60 patients with scans: (cohort, optimum)."""
    return phantom(
        60, seed=3, missing=0.2, n_genes=60, n_planted=6, root=tmp_path_factory.mktemp("phantom") / "files"
    )
