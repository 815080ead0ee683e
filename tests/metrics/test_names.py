"""Names of metrics: the examples."""

from __future__ import annotations

import doctest

from mmfusion.metrics import names


def test_examples_give_what_they_show():
    assert doctest.testmod(names).attempted and not doctest.testmod(names).failed
