"""Hidden drafts of files and folders, which name the process that writes them.

A process that is killed leaves its draft behind. The name of a draft says which process wrote it, so the next
process that writes beside it removes the draft if that process has ended, and keeps it if it still runs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import socket
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from mmfusion.storage.hashing import hash_text

_OWNED = re.compile(
    r"\.(?P<label>.+)\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>[0-9a-f]+)-[0-9a-f]{8}\.(?P<kind>draft|old)"
    r"(\.[^.]*)?"
)
_LONGEST = 150  # bytes of a file's name that its draft repeats; most systems allow names of 255 bytes
_FOREIGN_S = 7 * 86400  # age at which the draft of a process on another machine counts as left behind
_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux
_NOT_OFFERED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


def draft_path(path: str | Path, kind: str = "draft") -> Path:
    """Return a hidden, unique path beside `path`, with the same suffix, after removing drafts left behind.

    The folder of `path` is made if it is absent.

    Parameters
    ----------
    path : path
        File or folder that is to be written.
    kind : {"draft", "old"}
        "old" is for a complete folder that is moved aside; if it is left behind, it is put back.

    Raises
    ------
    OSError
        If the folder cannot be made.

    Examples
    --------
    >>> draft_path("notes.txt").name.startswith(".notes.txt.")
    True
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    owner = f"{_host()}-{os.getpid()}-{_start(os.getpid())}-{secrets.token_hex(4)}"
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= 20 else ""
    return path.with_name(f".{_label(path.name)}.{owner}.{kind}{suffix}")


def sweep(folder: str | Path) -> None:
    """Remove the drafts in a folder whose processes have ended; put back folders that they moved aside.

    What cannot be read or removed is left as it is.

    Examples
    --------
    >>> sweep("a folder that does not exist")
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for found in [match for entry in entries if (match := _OWNED.fullmatch(entry.name))]:
            left = Path(folder, found[0])
            if _has_ended(found, left):
                with suppress(OSError):
                    _clear(found, left)


def _clear(found: re.Match, left: Path) -> None:
    target = left.with_name(found["label"])
    if found["kind"] == "old" and not target.exists():
        left.rename(target)
    elif left.is_dir() and not left.is_symlink():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink()


def exchange(one: Path, other: Path) -> bool:
    """Exchange two files or folders of one file system in one step.

    Returns
    -------
    bool
        False if the system or the file system does not offer this; nothing is changed then.

    Raises
    ------
    OSError
        If one of them does not exist or cannot be moved.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, other = Path(folder, "new"), Path(folder, "old")
    ...     _ = one.write_text("new"), other.write_text("old")
    ...     done = exchange(one, other)
    ...     (other.read_text() == "new") == done
    True
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    if not rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        return True
    number = ctypes.get_errno()
    if number in _NOT_OFFERED:
        return False
    raise OSError(number, os.strerror(number), str(one))


def _label(name: str) -> str:
    return name if len(os.fsencode(name)) <= _LONGEST else hash_text(name)[:16]


def _has_ended(found: re.Match, left: Path) -> bool:
    """Return True if the process that a draft names has ended, as far as this machine can see."""
    if found["host"] == _host():
        return _start(int(found["pid"])) != found["start"]
    try:
        return time.time() - left.lstat().st_mtime > _FOREIGN_S
    except OSError:
        return False


@lru_cache(maxsize=1)
def _host() -> str:
    """Return a short hash of the machine and of its space of process numbers (a container has its own)."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - not a path
    except OSError:
        space = ""
    return hash_text(f"{socket.gethostname()} {space}")[:8]


def _start(pid: int) -> str:
    """Return hexadecimal digits for the time at which a process started; "" if it has ended.

    A process number is used again some day, the pair of number and time is not.
    """
    try:
        text = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return _start_elsewhere(pid)
    fields = text.rpartition(")")[2].split()
    ended = fields[0] in "ZX"  # its parent has not asked for its exit status yet
    return "" if ended else f"{int(fields[19]):x}{_boot()}"


def _start_elsewhere(pid: int) -> str:
    """Return "0" for a running process of a system without /proc."""
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:  # it belongs to another user
        return "0"
    return "0"


@lru_cache(maxsize=1)
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")[:6]
    except OSError:
        return "0"
