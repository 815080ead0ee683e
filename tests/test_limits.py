"""Tests of the memory limit."""

import io

import numpy as np
import pytest

from mmfusion.errors import DataError, ScanError
from mmfusion.limits import VARIABLE, check_memory, memory_limit, read_at_most


def test_the_limit_can_be_raised(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ScanError, match=f"ct.nii: the scan is too large .*{VARIABLE}"):
        check_memory(3 * 2**30, "the scan", file="ct.nii", error=ScanError)
    monkeypatch.setenv(VARIABLE, "4")
    assert memory_limit() == 4 * 2**30
    check_memory(3 * 2**30, "the scan")


@pytest.mark.parametrize("size", [float("nan"), float("inf"), 1e300, 10**400, np.int64(2**60)])
def test_sizes_that_are_no_sizes_are_refused(size):
    with pytest.raises(DataError, match="too large"):
        check_memory(size, "the scan")


@pytest.mark.parametrize("text", ["lots", "-1", "0", "nan", "inf"])
def test_a_limit_that_is_no_size_is_an_error(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(DataError, match=VARIABLE):
        memory_limit()


def test_a_stream_is_read_to_its_end_but_no_further():
    assert read_at_most(io.BytesIO(b"abc"), 3, "the table") == b"abc"
    with pytest.raises(DataError, match="the table is too large"):
        read_at_most(io.BytesIO(b"abcd"), 3, "the table", file="a.csv.gz")
