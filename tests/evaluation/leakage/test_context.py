import pandas as pd
import pytest

from mmfusion.compute import run
from mmfusion.errors import LeakageError
from mmfusion.evaluation.leakage import is_probed, probed
from mmfusion.evaluation.leakage.probe import assert_no_leak


def test_what_was_probed_is_not_probed_again():
    y = pd.Series(["I", "II"] * 20)
    X = pd.DataFrame({"copy": y, "noise": range(40), "halves": [0] * 20 + [1] * 20})
    with probed():
        assert_no_leak(X, y)
        with probed():
            pass
        assert is_probed()
    with pytest.raises(LeakageError):
        assert_no_leak(X, y)


def test_the_context_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), probed():
        raise ZeroDivisionError
    assert not is_probed()


def test_a_worker_process_starts_outside():
    with probed():
        assert list(run(is_probed, [()], where="loky", n_jobs=2)) == [False]
