"""Simulated, plausible contents of every figure."""

import numpy as np
import pandas as pd

from mmfusion.evaluation.leakage import demo_rows
from mmfusion.evaluation.perturbations import PERTURBATIONS
from mmfusion.explain.gene_attribution import GeneAttribution
from mmfusion.explain.modalities import ModalityAttribution
from mmfusion.explain.scans import ScanAttribution
from mmfusion.imaging import Volume
from mmfusion.metrics import (
    dice_by_position,
    ordered_table,
    size_groups,
    slice_table,
)
from mmfusion.metrics.segmentation import MASK_SCORES
from mmfusion.quality import compare_restorers
from mmfusion.quality.separability import site_separability
from tests.metrics.predictions import CLASSES, predictions

SIGNALS = {
    "crossmodal": 1.7,
    "ridge": 1.4,
    "forest": 1.2,
    "clinical ridge": 0.8,
    "rna only": 0.9,
    "majority": 0.0,
}


def out_of_fold(n=120):
    return pd.concat(
        [predictions(m, n=n, signal=s, seed=i) for i, (m, s) in enumerate(SIGNALS.items())], ignore_index=True
    )


def histories():
    rng, rows = np.random.default_rng(0), []
    for fold in range(5):
        for epoch in range(1, 21 - fold):
            train = 0.4 + 0.7 * np.exp(-epoch / 6)
            valid = 0.75 + 0.35 * np.exp(-epoch / 4) + 0.012 * max(0, epoch - 9) + 0.01 * rng.normal()
            rows.append(
                {
                    "repeat": 0,
                    "fold": fold,
                    "member": 0,
                    "epoch": epoch,
                    "train_loss": train,
                    "valid_loss": valid,
                }
            )
    return pd.DataFrame(rows)


def genes(n=60, g=40):
    rng = np.random.default_rng(1)
    x = np.clip(rng.normal(size=(n, g)), -3, 3)
    weight = rng.normal(size=(g, 3)) * np.exp(-np.arange(g) / 6)[:, None] * 0.03
    values = x[:, :, None] * weight
    names = tuple(["EGFR", "KRT5", "NKX2-1", *(f"GENE{i}" for i in range(3, g))])
    base = np.full((n, 3), 1 / 3)
    return GeneAttribution(
        values, x, base + values.sum(1), base, tuple(f"P{i}" for i in range(n)), names, CLASSES
    )


def ball(side=32):
    z, y, x = np.indices((side,) * 3) - (side - 1) / 2
    r = np.sqrt(z**2 + (y * 1.2) ** 2 + (x - 2) ** 2)
    rng = np.random.default_rng(2)
    crop = np.clip(0.15 + 0.7 / (1 + np.exp(r - 6)) + 0.04 * rng.normal(size=r.shape), 0, 1)
    heat = np.exp(-((z - 2) ** 2 + (y - 3) ** 2 + x**2) / 40)
    return crop.astype("float32"), heat.astype("float32"), r < 6


def measured() -> pd.DataFrame:
    """Measures of twelve lesions from clicks, beside the true ones."""
    rng = np.random.default_rng(0)
    true = np.exp(rng.uniform(0, 5, 12))
    longest = 12.4 * true ** (1 / 3)
    return pd.DataFrame(
        {
            "true_ml": true,
            "volume_ml": true * np.exp(rng.normal(0, 0.3, 12)),
            "true_longest_mm": longest,
            "longest_mm": longest + rng.normal(0, 3, 12),
            "dice": rng.uniform(0.3, 0.95, 12),
        }
    )


def segmented(names=("best: R01-001", "median: R01-002", "worst: R01-003")):
    """Scans with a lesion, its mask, and predictions that are shifted more and more."""
    crop, _, mask = ball()
    affine = np.diag([1.5, 1.5, 3.0, 1.0])
    cases = {}
    for k, name in enumerate(names):
        scan = Volume((crop * 1000 - 900).astype(np.int16), affine)
        true = Volume(mask.astype(np.uint8), affine, unit="mask")
        predicted = Volume(np.roll(mask, (k, 2 * k), axis=(0, 2)).astype(np.uint8), affine, unit="mask")
        cases[name] = (scan, true, predicted)
    return cases


def mask_table(models=("unet", "cspat", "SUV >= 2.5"), n=40):
    """Scores of the masks of several models; small lesions are harder."""
    rng = np.random.default_rng(5)
    volume = np.pi / 6 * rng.uniform(6, 90, n) ** 3
    rows = []
    for k, model in enumerate(models):
        hard = np.clip(0.9 - 0.1 * k - 2 / np.cbrt(volume) + 0.08 * rng.normal(size=n), 0, 1)
        keys = {
            "model": model,
            "repeat": 0,
            "fold": np.arange(n) % 4,
            "patient_id": [f"P{i}" for i in range(n)],
        }
        scores = dict.fromkeys(MASK_SCORES, 1.0) | {
            "dice": hard,
            "overlap_mm3": hard * volume,
            "true_mm3": volume,
            "predicted_mm3": volume,
            "lesions_found": (hard > 0.3) * 1.0,
            "false_lesions": rng.poisson(1 + k, n),
            "fp_ml": rng.gamma(1 + k, 1, n),
            "fn_ml": (hard <= 0.3) * volume / 1000,
        }
        rows.append(pd.DataFrame(keys | scores))
    table = pd.concat(rows, ignore_index=True)
    return table.assign(size=size_groups(table["true_mm3"]))


def leaks(names=("slices",)):
    """Rows of leak demonstrations."""
    runs = [
        demo_rows(name, protocol, cohort, rep, auc_patients=start - 0.02 * rep)
        for name in names
        for cohort in ("null", "planted")
        for protocol, start in (("leaky", 0.95), ("honest", 0.55))
        for rep in range(3)
    ]
    return pd.concat(runs)


def correlations(genes=("EGFR", "KRAS", "MET")):
    """Correlations of predicted expression, and the range of their permutations."""
    r = np.linspace(0.5, -0.05, len(genes))
    scores = pd.DataFrame({"mean": r, "lo": r - 0.15, "hi": r + 0.15}, list(genes))
    return scores, pd.DataFrame({"null_95": 0.16}, list(genes))


def cosines():
    """Cosines between the gradients of two tasks in two folds."""
    rows = [
        {"fold": fold, "epoch": epoch, "cosine": 0.3 - 0.1 * epoch + 0.05 * fold}
        for fold in range(2)
        for epoch in range(1, 6)
    ]
    return pd.DataFrame(rows)


def positions(models=("2D", "2.5D")):
    _, _, mask = ball()
    rows = [
        slice_table(mask, np.roll(mask, 2 - k, axis=0)).assign(patient_id="P1", model=model)
        for k, model in enumerate(models)
    ]
    return dice_by_position(pd.concat(rows), by=["model"])


def scans(n=2):
    crop, heat, _ = ball()
    names = tuple(f"R01-00{i}" for i in range(n))
    return ScanAttribution(np.stack([heat] * n), np.stack([crop] * n), names, ("III", "I")[:n])


def modalities(n=60):
    rng = np.random.default_rng(3)
    present = rng.random((n, 3)) > [0.2, 0.3, 0]
    values = rng.normal(size=(n, 3, 3)) * np.array([0.05, 0.09, 0.12])[:, None] * present[:, :, None]
    base = np.full(3, 1 / 3)
    patients = tuple(f"P{i}" for i in range(n))
    return ModalityAttribution(
        values, present, base + values.sum(1), base, patients, ("ct", "rna", "ehr"), CLASSES
    )


def scores_by_stage(names=("hypoxia", "exhaustion")):
    """Scores of 60 patients; the first signature rises with the stage."""
    rng = np.random.default_rng(5)
    stage = pd.Series(pd.Categorical.from_codes(np.repeat([0, 1, 2], 20), CLASSES, ordered=True))
    values = pd.DataFrame(rng.normal(0, 0.1, (60, len(names))), columns=list(names))
    values[names[0]] += 0.1 * stage.cat.codes
    return values, stage


def trend_table(names=("hypoxia", "exhaustion")):
    return ordered_table(*scores_by_stage(names), n_boot=50).assign(random_95=0.2)


def gene_null_table():
    rng = np.random.default_rng(4)
    observed = np.sort(rng.gamma(2, 0.004, 30) + np.r_[[0.03, 0.02, 0.02, 0.01], np.zeros(26)])[::-1]
    fdr = np.where(observed > 0.022, 0.01, 0.4)
    return pd.DataFrame(
        {"observed": observed, "null_mean": 0.008, "null_sd": 0.003, "q": fdr},
        index=[f"GENE{i}" for i in range(30)],
    )


def ranked_genes():
    table = gene_null_table()
    size = table["observed"].rename("mean_abs_shap")
    return pd.DataFrame({"mean_abs_shap": size, "lower": 0.8 * size, "upper": 1.3 * size, "q": table["q"]})


def restored():
    axes = np.meshgrid(*[np.arange(n) - n / 2 for n in (14, 48, 48)], indexing="ij", sparse=True)
    radius = np.sqrt(sum(a**2 for a in axes))
    hu = np.where(radius < 8, 40, -800) + 30 * np.random.default_rng(7).normal(size=radius.shape)
    scan = Volume(hu.astype(np.float32), np.eye(4))
    reference = Volume(np.where(radius < 8, 40, -800).astype(np.float32), np.eye(4))
    lesion = Volume(radius < 8, np.eye(4), unit="mask")
    return compare_restorers(
        scan, mask=lesion, reference=reference, predict=lambda v: {"I": float(v.array[7].mean())}
    )


def perturbed_rows():
    rows = []
    for one in PERTURBATIONS.values():
        for i, strength in enumerate((one.none, *one.strengths)):
            own = {"perturbation": one.name, "unit": one.unit, "n": 97, "metric": "macro_auc"}
            value = 0.7 - 0.03 * i
            rows.append(own | {"strength": strength, "value": value, "lo": value - 0.08, "hi": value + 0.07})
    return pd.DataFrame(rows)


def subgroup_rows():
    rng, rows = np.random.default_rng(9), []
    found = {
        "sex": {"female": 52, "male": 68},
        "age": {"< 60": 30, "60-70": 41, "> 70": 49},
        "site": {"A": 112, "B": 8},
    }
    for by, groups in found.items():
        for group, n in groups.items():
            for model in ("crossmodal", "ridge"):
                value = rng.normal(0.64, 0.05) if n >= 20 else np.nan
                own = {"by": by, "group": group, "n": n, "model": model, "metric": "macro_auc"}
                rows.append(own | {"value": value, "lo": value - 0.6 / n**0.5, "hi": value + 0.6 / n**0.5})
    return pd.DataFrame(rows)


def surveyed():
    rng = np.random.default_rng(3)
    n = 30
    table = pd.DataFrame({"z_mm": rng.choice([1.0, 1.25, 2.5, 5.0], n), "x_mm": rng.uniform(0.6, 0.95, n)})
    table["p1"], table["p50"] = -1000 + rng.uniform(0, 15, n), rng.normal(-830, 40, n)
    table["p99"] = rng.normal(350, 50, n)
    return table.assign(lungs_ml=rng.lognormal(8.2, 0.3, n), lesion_ml=rng.lognormal(2, 1.2, n))


def sites():
    rng = np.random.default_rng(8)
    site = pd.Series(
        rng.choice(["Stanford", "Palo Alto", "Hospital 3"], 120), index=[f"P{i}" for i in range(120)]
    )
    values = rng.normal(size=(120, 30)) + 2.0 * (site == "Stanford").to_numpy()[:, None] * rng.random(30)
    return site_separability(pd.DataFrame(values, index=site.index).add_prefix("f"), site, repeats=1)
