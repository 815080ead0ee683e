"""Decode compressed frames in child processes, so that a damaged frame cannot end or hang this one."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
from pydicom.uid import UID

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom import decoder
from mmfusion.imaging.dicom.codestream import check_codestream
from mmfusion.imaging.dicom.header import Header, not_understood, unreadable
from mmfusion.limits import check_memory, memory_limit

_SECONDS, _PIXELS_PER_SECOND = 8.0, 1e6  # a slice of 512 x 512 takes 0.05 s
_OWN_GIB = 1.5  # what Python and the libraries reserve themselves
_PACKAGES = "pyjpegls pylibjpeg pylibjpeg-openjpeg python-gdcm"
_OPTIONS = {
    "rows": "Rows",
    "columns": "Columns",
    "bits_allocated": "BitsAllocated",
    "bits_stored": "BitsStored",
}


def decoded(header: Header) -> np.ndarray:
    """Decode a compressed slice, or a compressed frame of a file.

    Returns
    -------
    ndarray, shape (rows, columns)
        Stored values.

    Raises
    ------
    ScanError
        If the compressed data are truncated or damaged, or no decoder is installed.
    """
    shape = int(header.number("Rows")), int(header.number("Columns"))
    check_memory(16 * shape[0] * shape[1], "the slice", file=header.name, error=ScanError)
    frame = header.encoded.stream(header.frame or 0)
    options = {
        name: int(header.number(tag) or header.number("BitsAllocated")) for name, tag in _OPTIONS.items()
    }
    options |= {"pixel_representation": int(header.number("PixelRepresentation"))}
    options |= {"photometric_interpretation": "MONOCHROME2", "samples_per_pixel": 1, "number_of_frames": 1}
    check_codestream(frame, header, shape, options["bits_allocated"])
    message, data = _answer(
        header, {"syntax": header.syntax, "options": options | {"pixel_keyword": "PixelData"}}, frame
    )
    if message.get("missing"):
        hint = f"pip install {_PACKAGES}, or export the scan uncompressed"
        got = UID(header.syntax).name
        raise ScanError("no decoder for this compression", file=header.name, got=got, hint=hint)
    if "error" in message:
        raise unreadable(header.name, message["error"])
    if tuple(message["shape"]) != shape:
        got = f"pixels of shape {tuple(message['shape'])} where the header says {shape}"
        raise unreadable(header.name, got)
    return np.frombuffer(data, message["dtype"]).reshape(shape)


def _answer(header: Header, question: dict[str, object], frame: bytes) -> tuple[dict[str, object], bytes]:
    seconds = _SECONDS + header.number("Rows") * header.number("Columns") / _PIXELS_PER_SECOND
    with _SLOTS:
        worker = _borrowed()
        answer = worker.ask(question, frame, seconds)
        if answer is not None:
            with _LOCK:
                _IDLE.append(worker)
            return answer
        worker.close()
    if worker.late:
        raise not_understood(header.name, f"the decoder did not end within {seconds:.0f} s")
    raise unreadable(header.name, "the decoder failed on its compressed data")


def _no_process(error: Exception | None = None) -> ScanError:
    hint = "free some memory, or export the scan uncompressed"
    return ScanError("the process that decodes compressed pixels does not start", got=error, hint=hint)


class _Worker:
    """One child process."""

    def __init__(self) -> None:
        memory = memory_limit() + int(_OWN_GIB * 2**30)
        command = [sys.executable, "-P", str(Path(decoder.__file__)), str(memory)]
        self.pid, self.late = os.getpid(), False
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        except (OSError, TypeError) as error:  # TypeError: the program that runs Python is not known
            raise _no_process(error) from error
        if self._within(60.0, lambda: decoder.receive(self.process.stdout)) is None:
            self.close()
            raise _no_process()

    def ask(self, question: dict[str, object], frame: bytes, seconds: float) -> tuple[dict, bytes] | None:
        """Return the answer; None if the process has died, or was ended because it took too long."""

        def talk() -> tuple[dict, bytes] | None:
            decoder.send(self.process.stdin, question, frame)
            return decoder.receive(self.process.stdout)

        return self._within(seconds, talk)

    def _within(self, seconds: float, step):
        def end() -> None:
            self.late = True
            self.process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            return step()
        except (OSError, ValueError):  # the pipe or the answer is broken
            return None
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the process."""
        if self.pid != os.getpid():  # of the process that this one was forked from
            return
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                pipe.close()


_MOST = min(4, os.cpu_count() or 1)  # processes at one time
_IDLE: list[_Worker] = []  # they wait for the next frame; they end with this process
_LOCK, _SLOTS = threading.Lock(), threading.BoundedSemaphore(_MOST)


def _after_fork() -> None:
    """Forget the processes of the parent; they are its own."""
    global _LOCK, _SLOTS
    _LOCK, _SLOTS = threading.Lock(), threading.BoundedSemaphore(_MOST)
    _IDLE.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def _borrowed() -> _Worker:
    with _LOCK:
        while _IDLE:
            worker = _IDLE.pop()
            if worker.pid == os.getpid() and worker.process.poll() is None:
                return worker
    return _Worker()


@atexit.register
def _close_all() -> None:
    with _LOCK:
        while _IDLE:
            _IDLE.pop().close()
