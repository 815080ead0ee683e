"""The process that reads changed inputs, one after the other, and says how each ended."""

from __future__ import annotations

import resource
import shutil
import traceback
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from mmfusion.errors import MMFusionError
from tests.fuzz.digest import digest
from tests.fuzz.mutate import Change, mutate
from tests.fuzz.registry import Format, load

PER_BASE = 50  # changed inputs that are made from one sound input
GUARD = 6 * 2**30  # bytes of address space above the start, so that the machine is not killed
Result = tuple[str, str]  # outcome, detail


def serve(connection: Connection, modules: tuple[str, ...], folder: str, limit: int) -> None:
    """Answer (format, seed, number) with an outcome until the connection closes."""
    formats = load(modules)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + GUARD,) * 2)
    connection.send("ready")
    while (task := _received(connection)) is not None:
        name, seed, number = task
        connection.send(outcome(formats[name], seed, number, Path(folder), limit))


def _received(connection: Connection) -> tuple[str, int, int] | None:
    try:
        return connection.recv()
    except EOFError:
        return None


def outcome(chosen: Format, seed: int, number: int, folder: Path, limit: int) -> Result:
    """Return how the reader ends on a changed input."""
    path, whole = _base(chosen, seed, number // PER_BASE, folder / "base")
    changed, changes = rebuild(chosen, seed, number, path, folder / "changed")
    before = _peak(reset=True)
    try:
        content, warned = _read(chosen, changed)
    except MMFusionError as error:
        result = ("our error", str(error)[:300])
    except MemoryError:
        result = ("memory", "MemoryError")
    except Exception:  # noqa: BLE001 - to count it is the purpose
        result = ("other exception", traceback.format_exc()[-1500:])
    else:
        result = _compared(content, whole, warned, chosen, changes)
    taken = _peak() - before
    return ("memory", f"{taken / 2**30:.1f} GiB") if taken > limit else result


def _compared(content: str, whole: str, warned: list[str], chosen: Format, changes: list[Change]) -> Result:
    foreign = [text for text in warned if text.startswith("RuntimeWarning")]
    if foreign:
        return "other exception", foreign[0]
    if content == whole:
        return "equal", ""
    if warned:
        return "warning", warned[0]
    told = bool(changes) and all(map(chosen.tells, changes))
    return ("silent damage" if told else "cannot tell"), repr(changes)


def _read(chosen: Format, path: Path) -> tuple[str, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        content = digest(chosen.read(path))
    return content, [f"{w.category.__name__}: {w.message}" for w in caught]


_known: dict[str, tuple[int, int, Path, str]] = {}


def _base(chosen: Format, seed: int, base: int, folder: Path) -> tuple[Path, str]:
    """Return the path and the content of a sound input; the last one of each format is kept."""
    known = _known.get(chosen.name)
    if known is None or known[:2] != (seed, base):
        path = make(chosen, seed, base, folder / chosen.name)
        known = _known[chosen.name] = seed, base, path, _read(chosen, path)[0]
    return known[2:]


def make(chosen: Format, seed: int, base: int, folder: Path) -> Path:
    """Write a sound input."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return chosen.make(np.random.default_rng([seed, base]), folder)


def rebuild(chosen: Format, seed: int, number: int, path: Path, to: Path) -> tuple[Path, list[Change]]:
    """Write the changed input of a number; `path` is the sound input that it is made from."""
    root = path if path.is_dir() else path.parent
    files = {name: chosen.unpack(data) for name, data in _files(root)}
    changed, changes = mutate(files, chosen.text, np.random.default_rng([seed, number, 1]))
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name, data in changed.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(chosen.pack(data))
    return (to if path.is_dir() else to / path.relative_to(root)), changes


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(root.rglob("*")):
        if file.is_file():
            yield file.relative_to(root).as_posix(), file.read_bytes()


def _peak(*, reset: bool = False) -> int:
    """Return the largest resident memory of this process, in bytes; with `reset`, forget the past."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])
