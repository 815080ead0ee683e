"""Time and memory of a block of code."""

import numpy as np

from mmfusion.evaluation.cost import measured


def test_memory_of_a_block_is_seen():
    with measured() as before:
        pass
    with measured() as cost:
        large = np.ones((64, 2**20 // 8 * 4))  # 256 MiB
        for _ in range(20):  # long enough for a sample
            large += 1
    assert cost.peak_mib - before.peak_mib > 200
    assert cost.seconds > 0 < cost.cpu_seconds


def test_values_are_there_after_an_error():
    try:
        with measured() as cost:
            raise KeyError("x")
    except KeyError:
        assert cost.peak_mib > 1
