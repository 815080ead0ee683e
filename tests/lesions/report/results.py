"""Results of cross-validations of masks with chosen scores, for tests of what reports say."""

import numpy as np
import pandas as pd

from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.tasks import SegmentationTask
from mmfusion.metrics.segmentation import MASK_SCORES

N = 24


def noise(rng: np.random.Generator, size: float) -> np.ndarray:
    """Random numbers with a mean of 0 in each fold."""
    values = rng.normal(0, size, (N // 3, 3))
    return (values - values.mean(axis=0)).ravel()


def result(dice: dict[str, float], main: str | None = None, **more: dict[str, float]) -> NestedResult:
    """A result with this mean Dice per model, around which patients vary; `more` sets other scores."""
    rng = np.random.default_rng(0)
    patients = [f"P{k:02d}" for k in range(N)]
    common, rows = noise(rng, 0.05), []
    for model, mean in dice.items():
        own = mean + common + noise(rng, 0.01)
        scores = dict.fromkeys(MASK_SCORES, 1.0) | {"dice": own, "dice_end": own, "true_mm3": 5e3}
        scores |= {name: values[model] for name, values in more.items() if model in values}
        keys = {"model": model, "repeat": 0, "fold": np.arange(N) % 3, "patient_id": patients}
        rows.append(pd.DataFrame(keys | {"person": patients} | scores))
    return NestedResult(
        cohort="made",
        target="lesion",
        task=SegmentationTask(),
        predictions=pd.concat(rows, ignore_index=True),
        folds=[],
        main=main or next(iter(dice)),
        present=pd.DataFrame({"ct": True}, index=pd.Index(patients, name="patient_id")),
        settings={"outer": 3, "repeats": 1},
    )
