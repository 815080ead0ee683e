import hashlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mmfusion.errors import ScanWarning, gathered, warn
from mmfusion.exclusive import exclusive
from mmfusion.storage import cache
from mmfusion.storage.atomic import CacheWarning
from mmfusion.storage.cache import cache_folder, cached, lookup, prune


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
    np.testing.assert_array_equal(np.load(entry, mmap_mode="r"), first)


@pytest.mark.parametrize(
    "array",
    [
        np.float64(3.5),
        np.zeros((0, 4), np.int16),
        np.asfortranarray(np.arange(12).reshape(3, 4)),
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, ::-1, ::2],
        np.array([[True, False]]),
        np.array(["a", "bc"]),
    ],
    ids=["scalar", "empty", "fortran", "strided", "bool", "text"],
)
def test_any_plain_array_comes_back_as_it_was(array):
    for _ in range(2):  # made, then read
        got = cached("kind", {}, lambda: array)
        np.testing.assert_array_equal(got, array)
        assert (got.dtype, got.shape, got.flags.writeable) == (array.dtype, np.shape(array), False)


@pytest.mark.parametrize("limit", [0, 10, 4096, 5000])
def test_written_in_parts(monkeypatch, folder, limit):
    """A system call may write less than it was given."""
    monkeypatch.setattr(os, "writev", lambda fd, parts: os.write(fd, b"".join(parts)[:limit]))
    array = np.arange(1000.0)
    cached("kind", {}, lambda: array)
    np.testing.assert_array_equal(cached("kind", {}, list), array)
    np.testing.assert_array_equal(np.load(entries(folder)[0]), array)


def test_the_maker_keeps_its_array():
    mine = np.zeros(3)
    given = cached("kind", {}, lambda: mine)
    assert mine.flags.writeable
    assert not given.flags.writeable


@pytest.mark.parametrize("array", [np.array([{}]), np.zeros(2, [("a", float)])], ids=["objects", "fields"])
def test_only_plain_arrays(folder, array):
    with pytest.raises(TypeError, match="only plain arrays"):
        cached("kind", {}, lambda: array)
    assert not entries(folder)


def test_another_key_another_entry(folder):
    assert cached("kind", {"side": 32}, counting(1)[0]).mean() == 1
    assert cached("kind", {"side": 48}, counting(2)[0]).mean() == 2
    assert len(entries(folder)) == 2


def flipped(at):
    return lambda b: b[:at] + bytes([b[at] ^ 1]) + b[at + 1 :]


@pytest.mark.parametrize("seen", [False, True], ids=["new", "checked before"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[:50],
        lambda b: b"",
        lambda b: b[:-1],
        lambda b: b + b"\0",
        flipped(20),
        flipped(4100),
        flipped(-20),
    ],
    ids=["half", "empty", "short", "long", "header", "value", "last value"],
)
def test_a_damaged_entry_is_made_again(folder, damage, seen, caplog):
    make, calls = counting()
    cached("kind", {}, make)
    (entry,) = entries(folder)
    if seen:
        time.sleep(0.05)  # what is younger is checked each time
        cached("kind", {}, make)
        assert str(entry) in cache._seen
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
    assert not entries(folder)
    assert cached("kind", {}, counting()[0]).mean() == 1  # and locks nothing


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "file"))
    with pytest.warns(CacheWarning, match="cannot be written") as caught:
        for _ in range(3):
            assert cached("kind", {}, counting()[0]).mean() == 1
    assert len(caught) == 1


def test_an_entry_gives_its_warnings_each_time(folder):
    def make():
        warn("patient P1: odd spacing", ScanWarning)
        warn("something else")
        return np.ones(3)

    for _ in range(3):
        with gathered() as given:
            assert cached("kind", {}, make).sum() == 3
        assert [(g.category, g.text) for g in given] == [
            (ScanWarning, "patient P1: odd spacing"),
            (UserWarning, "something else"),
        ]
    with gathered() as given:
        assert lookup("kind", {}).sum() == 3
    assert len(given) == 2
    assert np.load(entries(folder)[0]).sum() == 3  # numpy reads the file too


def test_threads_share_an_entry(folder):
    made = []

    def make():
        made.append(1)
        time.sleep(0.05)
        warn("odd", ScanWarning)
        return np.ones(3)

    def one(_):
        with gathered() as given:
            return cached("kind", {}, make).sum(), [g.text for g in given]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(24))) == [(3.0, ["odd"])] * 24
    assert len(made) == 1


def test_a_thread_in_an_exclusive_block_does_not_wait_for_one_that_needs_such_a_block(folder):
    begun, results = threading.Event(), []

    def make():
        begun.set()
        time.sleep(0.2)
        with exclusive():
            return np.ones(3)

    other = threading.Thread(target=lambda: results.append(cached("kind", {}, make).sum()))
    other.start()
    with exclusive():
        begun.wait()
        assert cached("kind", {}, lambda: np.ones(3)).sum() == 3
    other.join(20)
    assert results == [3.0]


def test_the_lock_of_a_process_that_was_killed_is_removed(folder):
    cached("kind", {}, counting()[0])
    entry = entries(folder)[0]
    lock = entry.with_name(f"{entry.name}.lock")
    lock.touch()
    os.utime(entry, (1e9, 1e9))
    cached("kind", {}, counting()[0])
    prune(10**9)
    assert entry.exists() and not lock.exists()


def _fill(arguments):
    folder, log = arguments
    os.environ["MMFUSION_CACHE"] = folder

    def make(k):
        with Path(log).open("a") as file:
            file.write(f"{k}\n")
        time.sleep(0.02)
        return np.full((50, 50), float(k))

    return sum(cached("kind", {"k": k}, lambda k=k: make(k)).mean() for k in range(20))


def test_two_processes_at_once(folder, tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_fill, [(str(folder), str(tmp_path / "log"))] * 2, chunksize=1) == [190.0, 190.0]
    assert len(entries(folder)) == 20  # neither drafts nor locks are left
    assert sorted(map(int, (tmp_path / "log").read_text().split())) == list(range(20))  # each was made once


def _killed_while_writing(folder):
    os.environ["MMFUSION_CACHE"] = folder

    def die(fd, parts):
        os.write(fd, b"".join(parts)[:-10])
        os.kill(os.getpid(), signal.SIGKILL)

    os.writev = die
    cached("kind", {}, counting(5)[0])


def test_killed_in_the_middle(folder):
    process = multiprocessing.get_context("spawn").Process(target=_killed_while_writing, args=(str(folder),))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert cached("kind", {}, counting(1)[0]).mean() == 1  # no half entry, and no lock, stands in the way
    assert [p.name[0] for p in entries(folder) if p.suffix == ".npy"].count(".") <= 1


def test_many_arrays_hold_few_files_open():
    arrays = [cached("kind", {"k": k}, lambda k=k: np.full(10, k)) for k in range(400)]
    arrays = [cached("kind", {"k": k}, list) for k in range(400)]
    assert len(cache._maps) <= cache._MAX_MAPS
    assert [a[0] for a in arrays] == list(range(400))
    assert not any(a.flags.writeable for a in arrays)
    del arrays
    assert len(cache._maps) == 0


def test_prune_deletes_what_was_used_longest_ago(folder):
    for k in range(4):
        cached("kind", {"k": k}, counting(k)[0])
    by_value = {int(np.load(path)[0, 0]): path for path in entries(folder)}
    size = by_value[0].stat().st_size
    for k, path in by_value.items():
        os.utime(path, (1e9 + (k if k != 1 else 100), 1e9 + k))  # 1 was read last
    draft = by_value[0].with_name(".draft.npy")
    draft.write_bytes(b"x")
    os.utime(draft, (1e9, 1e9))
    (folder / "weights").mkdir()
    (folder / "weights" / "model.pt").write_bytes(b"x" * size * 9)
    assert prune(2 * size) == 2 * size
    assert {k for k, path in by_value.items() if path.exists()} == {1, 3}
    assert not draft.exists()
    assert (folder / "weights" / "model.pt").exists()  # only what `cached` wrote
    assert prune(2 * size) == 0


def test_default_folder(monkeypatch):
    monkeypatch.delenv("MMFUSION_CACHE")
    assert cache_folder().parts[-2:] == (".cache", "mmfusion")


def test_the_entry_is_named_by_its_key(folder):
    cached("kind", {"b": 1, "a": 2}, counting()[0])
    name = hashlib.sha256(b'{"a": 2, "b": 1}').hexdigest()
    assert entries(folder) == [folder / "kind" / name[:2] / f"{name}.npy"]
