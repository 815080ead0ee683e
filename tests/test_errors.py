import pickle

import pytest

from mmfusion.data import load_cohort
from mmfusion.data.targets import get_target
from mmfusion.errors import DataError, MMFusionError, did_you_mean
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS
from mmfusion.reports.notebooks import find_notebook
from mmfusion.staging import StageClassifier


def test_says_where_what_and_what_to_do():
    error = DataError(
        "not a number", patient="P1", file="ehr.csv", column="age", expected="years", got="'x'", hint="fix it"
    )
    assert (
        str(error) == "patient P1, file ehr.csv, column age: not a number (expected years; got 'x') -> fix it"
    )


def test_a_parameter_is_not_called_a_column():
    error = DataError("unusable setting", parameter="box_mode", expected="none", got="lines")
    assert str(error) == "parameter box_mode: unusable setting (expected none; got lines)"
    assert (error.parameter, error.column) == ("box_mode", None)
    error = DataError("odd", patient="P1", file="a.csv", column="ct", parameter="window")
    assert str(error) == "patient P1, file a.csv, column ct, parameter window: odd"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"patient": "P1", "hint": "do"}, "patient P1: bad -> do"),
        ({"column": "ct", "parameter": "lr", "got": -1}, "column ct, parameter lr: bad (got -1)"),
    ],
)
def test_survives_a_process_boundary(given, text):
    error = pickle.loads(pickle.dumps(DataError("bad", **given)))
    assert isinstance(error, DataError) and str(error) == text
    assert (error.column, error.parameter) == (given.get("column"), given.get("parameter"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("stage_3", "did you mean stage3?"),
        ("EGFR", "did you mean egfr?"),  # letters of another case
        ("histology", None),  # nothing is like it
        ("", None),
        (None, None),
        (3, None),
    ],
)
def test_the_name_that_is_most_alike(name, hint):
    assert did_you_mean(name, ["stage2", "stage3", "egfr"]) == hint


@pytest.mark.parametrize(
    ("call", "problem", "nearest"),
    [
        (lambda: SEGMENTERS.get("u-net"), "no segmentation network called 'u-net'", "unet"),
        (lambda: get_target("stage3_ajc8"), "no target called 'stage3_ajc8'", "stage3_ajcc8"),
        (lambda: load_cohort("lidc_irdi"), "no such cohort", "lidc_idri"),
        (lambda: StageClassifier.from_preset("paper-baseline"), "no preset called", "paper_baseline"),
        (lambda: find_notebook("stage_fusio"), "no notebook is called 'stage_fusio'", "stage_fusion"),
        (lambda: TrainingPlan.from_dict({"max_epoch": 5}), "parameter max_epoch: not a par", "max_epochs"),
    ],
)
def test_an_unknown_name_gets_the_nearest(call, problem, nearest):
    with pytest.raises(MMFusionError, match=rf"^{problem}.* \(expected .*\) -> did you mean {nearest}\?$"):
        call()


def test_no_nearest_name():
    for name in ("zzz", 3):
        with pytest.raises(MMFusionError, match=f"no segmentation network called {name!r}") as raised:
            SEGMENTERS.get(name)
        assert raised.value.hint is None
