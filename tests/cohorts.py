"""A small tabular cohort for tests of what stands above preprocessing: seconds, not minutes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort


def tiny_cohort(
    n: int = 60, seed: int = 0, *, missing: float = 0.2, signal: float = 1.5, genes: int = 24
) -> Cohort:
    """EHR, RNA (log) and CT features; stage I, II or III by a score seen in one column of each."""
    rng = np.random.default_rng(seed)
    ids = pd.Index([f"P{1000 * seed + i:03d}" for i in range(n)], name="patient_id")
    score = rng.normal(size=n)
    stage = np.array(["I", "II", "III"])[np.digitize(score, [-0.3, 0.5])]
    outcomes = pd.DataFrame({"stage": stage}, index=ids)
    rna = rng.normal(6, 1, size=(n, genes))
    rna[:, :3] += signal * score[:, None] / 2
    columns = {("rna", f"GENE{j}"): rna[:, j] for j in range(genes)}
    columns |= {
        ("ehr", "age"): 65 + 8 * rng.normal(size=n) + signal * 3 * score,
        ("ehr", "sex"): rng.choice(["female", "male"], n),
        ("ehr", "pack_years"): np.where(rng.random(n) < 0.1, np.nan, rng.gamma(2, 15, n)),
        ("ct", "sphericity"): 0.7 - 0.1 * signal * score + 0.1 * rng.normal(size=n),
        ("ct", "margin"): rng.choice(["smooth", "lobulated", "spiculated"], n),
        ("meta", "site"): rng.choice(["A", "B"], n),
    }
    table = pd.DataFrame(columns, index=ids)
    for modality in ("rna", "ct"):
        absent = rng.random(n) < missing
        table.loc[absent, modality] = np.nan
    return Cohort(
        "tiny", table, outcomes, "stage3_ajcc7", units={"rna": "log"}, groups=table["meta"][["site"]]
    )
