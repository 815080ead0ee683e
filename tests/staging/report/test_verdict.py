import numpy as np
import pandas as pd
import pytest

from mmfusion.data.cohort import presence
from mmfusion.evaluation.fold_result import FoldResult, Predictions
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.tasks import ClassificationTask
from mmfusion.staging.report import verdict as v
from tests.cohorts import tiny_cohort

CLASSES = ("I", "II", "III")


def a_result(strength: dict[str, float], n: int = 240) -> NestedResult:
    """Predictions whose logits carry the class with the given strength, over 4 folds."""
    rng = np.random.default_rng(0)
    cohort = tiny_cohort(n)
    codes = cohort.y.cat.codes.to_numpy()
    fold = rng.permutation(n) % 4
    parts, folds = [], []
    for name, s in strength.items():
        logits = rng.normal(size=(n, 3)) + s * np.eye(3)[codes]
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        rows = {
            "model": name,
            "repeat": 0,
            "fold": fold,
            "patient_id": cohort.X.index,
            "y_true": cohort.y.astype(str),
        }
        parts.append(pd.DataFrame(rows | {f"p_{c}": p[:, k] for k, c in enumerate(CLASSES)}))
        inputs = ["ehr"] if name == "clinical ridge" else ["ct", "rna", "ehr"]
        nothing = Predictions("probabilities", CLASSES, [])
        folds += [FoldResult(name, name, 0, f, (), (), nothing, inputs=tuple(inputs)) for f in range(4)]
    predictions = pd.concat(parts, ignore_index=True)
    return NestedResult(
        "tiny",
        "stage3_ajcc7",
        ClassificationTask(CLASSES),
        predictions,
        folds,
        next(iter(strength)),
        presence(cohort.X),
        {"repeats": 1},
    )


@pytest.mark.parametrize(
    ("fusion", "ridge", "says"),
    [
        (2.5, 0.5, "beats the ridge"),
        (0.2, 2.0, "is worse than the ridge"),
        (1.0, 1.0, "does not beat the ridge"),
    ],
)
def test_says_plainly_who_wins(fusion, ridge, says):
    result = a_result({"gmu": fusion, "ridge": ridge, "clinical ridge": 0.1, "forest": 0.5})
    first, second, *rest = v.verdict(result, best_possible=0.95)
    assert first == f"gmu {says}." and "n = 240" in second
    assert says in v.headline(result)
    text = " ".join(rest)
    assert (
        f"{result.detectable_difference('ridge'):.3f}" in text
        and "clinical ridge" in text
        and "0.950" in text
    )


def test_chance_is_called_chance():
    lines = v.verdict(a_result({"gmu": 0.0, "ridge": 0.0}))
    assert any("not shown to be better than chance" in line for line in lines)


def test_an_interval_below_one_half_is_remarked_on():
    result = a_result({"gmu": -2.0, "ridge": 1.0, "forest": -1.5})
    lines = v.verdict(result)
    (said,) = [line for line in lines if line.startswith("Worse than chance")]
    assert "gmu 0." in said and "forest 0." in said and "ridge" not in said
    assert "exchanged labels" in said and "small sample" in said
    assert not any("includes 0.5" in line for line in lines)
    assert v.headline(result).endswith("worse than chance")
    assert not any("Worse than chance" in line for line in v.verdict(a_result({"gmu": 1.0, "ridge": 1.0})))


def test_each_caveat_once_and_small_classes_named():
    cohort = tiny_cohort(40)
    object.__setattr__(cohort, "provenance", {"notes": ["same", "same"], "left_out": {"T stage": "leaks"}})
    notes = v.caveats(cohort)
    assert notes.count("Same.") == 1 and any("T stage" in n for n in notes)
    small = cohort.y.value_counts()
    assert sum("patients: results for it" in n for n in notes) == (small < 20).sum() > 0


def test_scores_as_text_best_first():
    table = v.with_intervals(a_result({"gmu": 0.2, "ridge": 2.0}).scores)
    assert list(table.index) == ["ridge", "gmu"] and "[" in table.loc["gmu", "macro-AUC"]
