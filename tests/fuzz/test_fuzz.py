"""Changed inputs of every format end in our error, in the same content, or in a warning."""

import multiprocessing
import sys

import numpy as np
import pytest

from tests.fuzz import bad_readers, harness, worker
from tests.fuzz.digest import digest
from tests.fuzz.mutate import Change, mutate, settled
from tests.fuzz.registry import Format, load

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
TEXT = Format.text


def assert_clean(tally):
    lines = [f"{name} seed {seed} input {k}: {end}: {detail}" for name, seed, k, end, detail in tally.bad[:5]]
    assert not tally.bad, "\n".join([tally.table(), *lines])


def test_a_few_inputs_of_every_format():
    tally = harness.run(seeds=[20], inputs=5)
    assert_clean(tally)
    assert tally.total == 5 * len(load())


@pytest.mark.slow
def test_many_inputs_of_every_format():
    """As many inputs as fit into 150 s, the formats in turn."""
    tally = harness.run(seeds=[21], inputs=1000, budget=150)
    assert_clean(tally)
    assert set(tally.counts) <= set(load())


@pytest.mark.slow
def test_every_end_is_counted():
    """Readers that die, hang, take memory, raise or return other content are seen, and the next one runs."""
    before = set(multiprocessing.active_children())  # workers of other tests may still live
    modules = ("tests.fuzz.bad_readers",)
    names = list(bad_readers.READERS)
    tally = harness.Tally()
    with harness.Child(modules, seconds=8, memory=2**27) as child:
        for name in names:
            number = next(k for k in range(20) if changes_something(name, k))
            tally.add(name, 0, number, child.ask(name, 0, number))
    ends = {name: next(iter(tally.counts[name])) for name in names}
    assert ends == {name: "other exception" if name == "foreign warning" else name for name in names}
    assert {name for name, *_ in tally.bad} == {*harness.BAD, "foreign warning"}
    assert "| death | 1 |" in tally.table()
    assert set(multiprocessing.active_children()) <= before


def changes_something(name, number):
    files = {"input.txt": b"12 " * 30}
    return mutate(files, TEXT, np.random.default_rng([0, number, 1]))[0] != files


def test_the_same_seed_gives_the_same_inputs(tmp_path):
    chosen = load()["mhd.z"]
    first = [harness.keep(chosen.name, 3, k, tmp_path / f"{k}").parent for k in range(5)]
    again = [harness.keep(chosen.name, 3, k, tmp_path / f"again{k}").parent for k in range(5)]
    for a, b in zip(first, again):
        assert {p.name: p.read_bytes() for p in a.iterdir()} == {p.name: p.read_bytes() for p in b.iterdir()}
    assert worker.rebuild(chosen, 3, 0, tmp_path / "0" / "whole" / "scan.mhd", tmp_path / "x")[1]


@pytest.mark.slow
def test_a_budget_ends_the_run():
    assert 0 < harness.run(["nii"], inputs=10**6, budget=1).total < 10**6


def test_a_digest_sees_every_difference():
    contents = [
        1,
        1.0,
        "1",
        None,
        [1],
        {"a": 1},
        {"a": [1]},
        np.zeros(2),
        np.zeros((1, 2)),
        np.zeros(2, "f4"),
    ]
    assert len({digest(content) for content in contents}) == len(contents)
    assert digest({"a": 1, "b": np.ones(3)}) == digest({"b": np.ones(3), "a": 1})


def test_changes_that_cancel_each_other():
    """A length tells nothing if as many bytes are inserted as were cut off."""
    changes = [Change("truncate", "a", resized=True), Change("insert", "a", resized=True)]
    assert not any(change.resized for change in settled({"a": b"12345"}, {"a": b"12x34"}, changes))
    assert all(change.resized for change in settled({"a": b"12345"}, {"a": b"12x3"}, changes))
    assert all(change.resized for change in settled({"a": b"12345"}, {}, changes))
    assert not settled({"a": b"12345"}, {"a": b"1"}, [Change("zero", "a")])[0].resized
