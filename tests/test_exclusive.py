"""Several threads use state that belongs to the whole process."""

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from mmfusion.compute import one_thread
from mmfusion.errors import ScanWarning, gathered, warn
from mmfusion.exclusive import exclusive, is_exclusive, own_filters, silenced


def test_warnings_are_gathered_by_the_thread_that_gives_them():
    ready = threading.Barrier(8)

    def one(k):
        ready.wait()
        with gathered() as found:
            for _ in range(50):
                warn(f"patient {k}: odd", ScanWarning)
                time.sleep(0)
        return [str(given) for given in found]

    with ThreadPoolExecutor(8) as pool:
        for k, texts in enumerate(pool.map(one, range(8))):
            assert texts == [f"patient {k}: odd"] * 50


def test_a_warning_that_nobody_gathers_is_shown_at_the_line_that_gives_it():
    with pytest.warns(ScanWarning, match="odd spacing") as caught:
        warn("odd spacing", ScanWarning)
    assert caught[0].filename == __file__


def test_only_one_thread_at_a_time_is_in_an_exclusive_block():
    inside, most = 0, 0

    def one(_):
        nonlocal inside, most
        with exclusive(), exclusive():
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1
        return is_exclusive()

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(one, range(40)))
    assert most == 1


def test_silenced_blocks_of_many_threads_leave_the_filters_as_they_were():
    before = list(warnings.filters)

    def one(k):
        with silenced("pydicom" if k % 2 else "monai"):
            time.sleep(0.001 * (k % 3))
            warnings.warn_explicit(
                "formally wrong", UserWarning, "x.py", 1, module="pydicom.values" if k % 2 else "monai"
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(200)))
    assert warnings.filters == before


def test_silenced_hides_only_the_named_packages():
    with own_filters("always") as caught, silenced("pydicom"):
        for module in ("pydicom", "pydicom.valuerep", "pydicom_other", "numpy"):
            warnings.warn_explicit(module, UserWarning, "x.py", 1, module=module)
    assert [str(w.message) for w in caught] == ["pydicom_other", "numpy"]


def test_thread_counts_are_put_back_whatever_the_order_of_the_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        rng = np.random.default_rng(0)
        waits = rng.uniform(0, 0.004, (60, 2))

        def one(pair):
            time.sleep(pair[0])
            with one_thread():
                inside = torch.get_num_threads()
                time.sleep(pair[1])
                with one_thread():
                    pass
                still = torch.get_num_threads()
            return inside, still, torch.get_num_threads()

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(one, waits)) == {(1, 1, 3)}
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:  # a thread that starts later
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)
