import logging
import multiprocessing
import os

import numpy as np
import pytest

from mmfusion.imaging.cache import cache_folder, cached, fingerprint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file())


def counting(value=1.0):
    calls = []

    def make():
        calls.append(1)
        return np.full((3, 4), value, dtype=np.float32)

    return make, calls


def test_made_once_and_read_back(folder):
    make, calls = counting()
    first, second = (cached("kind", {"a": 1, "b": [2.0, None]}, make) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (len(calls), second.dtype) == (1, np.float32)
    (entry,) = entries(folder)
    np.testing.assert_array_equal(np.load(entry), first)  # a plain .npy file


def test_another_key_another_entry(folder):
    assert cached("kind", {"side": 32}, counting(1)[0]).mean() == 1
    assert cached("kind", {"side": 48}, counting(2)[0]).mean() == 2
    assert len(entries(folder)) == 2


@pytest.mark.parametrize("damage", [lambda b: b[:50], lambda b: b"", lambda b: b[:150] + b"\xff" + b[151:]])
def test_a_damaged_entry_is_made_again(folder, damage, caplog):
    make, calls = counting()
    cached("kind", {}, make)
    (entry,) = entries(folder)
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(cached("kind", {}, make), 1)
    assert len(calls) == 2
    assert "damaged cache entry" in caplog.text
    assert entry.read_bytes() == whole


def test_a_failure_leaves_nothing(folder):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cached("kind", {}, fail)
    assert not folder.exists() or not entries(folder)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "file"))
    assert cached("kind", {}, counting()[0]).mean() == 1
    assert "cannot write the cache" in caplog.text


def _fill(folder):
    os.environ["MMFUSION_CACHE"] = folder
    return sum(cached("kind", {"k": k}, lambda k=k: np.full((50, 50), float(k))).mean() for k in range(20))


def test_two_processes_at_once(folder):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_fill, [str(folder)] * 2) == [190.0, 190.0]
    assert len(entries(folder)) == 20  # no drafts left


def test_fingerprint_changes_with_the_file(tmp_path):
    (tmp_path / "d").mkdir()
    path = tmp_path / "d" / "x"
    path.write_bytes(b"one")
    before = fingerprint(path), fingerprint(tmp_path / "d")
    path.write_bytes(b"three")
    assert (fingerprint(path), fingerprint(tmp_path / "d")) != before
    assert fingerprint(tmp_path / "d")[0][1] == 5
    (tmp_path / "d" / "y").write_bytes(b"")
    assert len(fingerprint(tmp_path / "d")) == 2


def test_default_folder(monkeypatch):
    monkeypatch.delenv("MMFUSION_CACHE")
    assert cache_folder().parts[-2:] == (".cache", "mmfusion")
