import pickle

from mmfusion.errors import DataError


def test_says_where_what_and_what_to_do():
    error = DataError(
        "not a number", patient="P1", file="ehr.csv", column="age", expected="years", got="'x'", hint="fix it"
    )
    assert (
        str(error) == "patient P1, file ehr.csv, column age: not a number (expected years; got 'x') -> fix it"
    )


def test_survives_a_process_boundary():
    error = pickle.loads(pickle.dumps(DataError("bad", patient="P1", hint="do")))
    assert isinstance(error, DataError) and str(error) == "patient P1: bad -> do"
