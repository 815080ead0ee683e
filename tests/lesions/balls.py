"""Scans of balls whose density is linear in the expression of two genes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmfusion.imaging import Volume

MASK, SIDE = ("ct", "mask"), 18


def balls(n: int, first: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients with a ball each: UP rises with its density, DOWN falls."""
    rows, values = {}, []
    grid = np.stack(np.meshgrid(*[np.arange(SIDE)] * 3, indexing="ij"), -1)
    for k in range(first, first + n):
        rng = np.random.default_rng(k)
        lesion = np.linalg.norm(grid - rng.uniform(6, SIDE - 7, 3), axis=-1) < rng.uniform(3, 4.5)
        density = rng.uniform(-500, 200)
        array = np.where(lesion, density, -850) + rng.normal(0, 30, lesion.shape)
        affine = np.diag([3.0, 3.0, 3.0, 1.0])
        rows[f"P{k}"] = {
            ("ct", "volume"): Volume(array.astype(np.int16), affine),
            MASK: Volume(lesion.astype(np.uint8), affine, unit="mask"),
        }
        values.append([7 + density / 100, 2 - density / 1000])
    X = pd.DataFrame.from_dict(rows, orient="index").rename_axis("patient_id")
    X.columns = pd.MultiIndex.from_tuples(X.columns)
    return X, pd.DataFrame(values, index=X.index, columns=["UP", "DOWN"])
