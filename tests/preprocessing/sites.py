"""Features that differ between sites."""

import numpy as np
import pandas as pd


def ids(n):
    return pd.Index([f"p{k:02d}" for k in range(n)], name="patient_id")


def shifted(n=150, d=20, seed=0, sizes=(0.5, 0.3, 0.2)):
    """Features that differ between sites A, B, C in location and scale, and a signal that does not."""
    rng = np.random.default_rng(seed)
    site = rng.choice(["A", "B", "C"], n, p=sizes)
    code = np.searchsorted(["A", "B", "C"], site)
    signal = rng.normal(size=n)
    values = rng.normal(size=(n, d)) + signal[:, None] * (np.arange(d) < 5)
    values = values * np.array([1, 2, 0.6])[code][:, None] + np.array([0, 3, -2])[code][:, None] * rng.normal(
        1, 0.3, d
    )
    return pd.DataFrame(values, columns=[f"f{k}" for k in range(d)], index=ids(n)).assign(site=site), signal
