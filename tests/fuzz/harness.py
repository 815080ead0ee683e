"""Run many changed inputs through a child process that may die, hang or take too much memory."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from tests.fuzz import registry, worker

OUTCOMES = ("our error", "equal", "warning", "cannot tell", "silent damage", "other exception", "death",
            "hang", "memory")  # fmt: skip
BAD = OUTCOMES[4:]
SECONDS = 20  # a reader that takes longer hangs
MEMORY = 2 * 2**30  # bytes that one input may take
TURN = 10  # inputs of a format, before it is the next one's turn


@dataclass
class Tally:
    """How the inputs ended.

    Parameters
    ----------
    counts : dict
        Format -> outcome -> number of inputs.
    bad : list
        (format, seed, number, outcome, detail) of each input that must not end like this.
    """

    counts: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    bad: list[tuple[str, int, int, str, str]] = field(default_factory=list)

    def add(self, name: str, seed: int, number: int, result: worker.Result) -> None:
        self.counts[name][result[0]] += 1
        if result[0] in BAD:
            self.bad.append((name, seed, number, *result))

    @property
    def total(self) -> int:
        return sum(sum(counts.values()) for counts in self.counts.values())

    def table(self) -> str:
        """Return a Markdown table: one line per format, and the sum."""
        whole = sum(self.counts.values(), Counter())
        rows = [*sorted(self.counts.items()), ("all", whole)]
        lines = [f"| format | inputs | {' | '.join(OUTCOMES)} |", "|---" * (len(OUTCOMES) + 2) + "|"]
        lines += [
            f"| {name} | {sum(counts.values())} | {' | '.join(str(counts[o]) for o in OUTCOMES)} |"
            for name, counts in rows
        ]
        return "\n".join(lines)


class Child:
    """A worker process, started when it is needed and replaced when it has died or hangs."""

    def __init__(self, modules: tuple[str, ...], seconds: float, memory: int) -> None:
        self.modules, self.seconds, self.memory = modules, seconds, memory
        self.process, self.connection = None, None
        self.folder = tempfile.mkdtemp(prefix="fuzz-")

    def ask(self, name: str, seed: int, number: int) -> worker.Result:
        """Return how one input ends."""
        if self.process is None:
            self.start()
        try:
            self.connection.send((name, seed, number))
            if not self.connection.poll(self.seconds):
                self.stop()
                return "hang", f"more than {self.seconds} s"
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join(5)
            code = self.process.exitcode
            self.stop()
            return "death", f"exit code {code}"

    def start(self) -> None:
        """Start the process and wait until it has imported what it needs."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, self.modules, self.folder, self.memory)
        self.process = context.Process(target=worker.serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        if not self.connection.poll(300) or self.connection.recv() != "ready":
            raise RuntimeError("the worker did not start")

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.connection.close()
            self.process.kill()
            self.process.join()
            self.process = None

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def run(
    names: Sequence[str] = (),
    *,
    seeds: Sequence[int] = (0,),
    inputs: int = 100,
    budget: float = float("inf"),
    modules: tuple[str, ...] = (),
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Tally:
    """Run changed inputs and count how they end.

    Parameters
    ----------
    names : sequence of str
        Formats; default, all.
    seeds : sequence of int
        Each seed gives other sound inputs and other changes.
    inputs : int
        Number of inputs of each format and seed.
    budget : float
        Seconds after which no further input is run, counted from when the process is ready. The formats take
        turns.
    modules : tuple of str
        Modules that register the formats; default, all of `tests.fuzz.formats`.
    seconds, memory : float, int
        Limits of one input.
    """
    names = list(names) or sorted(registry.load(modules))
    tally = Tally()
    with Child(modules, seconds, memory) as child:
        child.start()
        start = time.monotonic()
        for seed, first, name in product(seeds, range(0, inputs, TURN), names):
            for number in range(first, min(first + TURN, inputs)):
                if time.monotonic() - start > budget:
                    return tally
                tally.add(name, seed, number, child.ask(name, seed, number))
    return tally


def keep(name: str, seed: int, number: int, folder: Path, modules: tuple[str, ...] = ()) -> Path:
    """Write the changed input of a result into a folder, to look at it."""
    chosen = registry.load(modules)[name]
    path = worker.make(chosen, seed, number // worker.PER_BASE, folder / "whole")
    return worker.rebuild(chosen, seed, number, path, folder / "changed")[0]
