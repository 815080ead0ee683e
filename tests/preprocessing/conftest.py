import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Five patients with a CT, of whom one lacks it, features of it, and an age."""
    nib = pytest.importorskip("nibabel")
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)
    rows = {}
    for i in range(5):
        hu = np.full((24, 24, 24), -850, dtype=np.int16) + rng.integers(-50, 50, (24, 24, 24), dtype=np.int16)
        hu[12 - i : 12 + i + 1, 10:14, 10:14] = 40
        path = folder / f"s{i}.nii.gz"
        nib.save(nib.Nifti1Image(hu, np.diag([-4.0, -4.0, 4.0, 1.0])), path)
        row = {
            ("ct", "volume"): str(path),
            **{("ct", f"seed_{a}"): 48.0 for a in "xyz"},
            ("ct", "size"): i + 0.5,
        }
        rows[f"s{i}"] = row | {("ehr", "age"): 60.0 + i}
    X = pd.DataFrame.from_dict(rows, orient="index").rename_axis("patient_id")
    X.columns = pd.MultiIndex.from_tuples(X.columns)
    X.loc["s4", [("ct", "volume"), ("ct", "seed_x"), ("ct", "seed_y"), ("ct", "seed_z")]] = np.nan
    return X


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
