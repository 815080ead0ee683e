"""Decode compressed frames in a process of its own; this file is what that process runs.

The decoders are C and C++ libraries. A damaged frame can end or hang their process, so they never run in the
process of the user. `mmfusion.imaging.dicom.decoding` starts this one, sends frames and receives pixels.

A message is one line of JSON, which names the number of bytes that follow, and these bytes.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from typing import BinaryIO

# raised on a damaged frame; another exception ends this process, which the parent reports as well
_BROKEN = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    OSError,
)
PREFERRED = (
    "pydicom",
    "pylibjpeg",
    "pyjpegls",
    "pillow",
    "gdcm",
)  # gdcm ends its process on many damaged frames


def send(stream: BinaryIO, message: dict[str, object], data: bytes = b"") -> None:
    """Write a message.

    Examples
    --------
    >>> import io
    >>> stream = io.BytesIO()
    >>> send(stream, {"rows": 2}, b"ab")
    >>> _ = stream.seek(0)
    >>> receive(stream)
    ({'rows': 2, 'bytes': 2}, b'ab')
    """
    stream.write(json.dumps(message | {"bytes": len(data)}).encode() + b"\n")
    stream.write(data)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, object], bytes] | None:
    """Read a message; None if the stream has ended before the message does."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message = json.loads(line)
    data = stream.read(message["bytes"])
    return (message, data) if len(data) == message["bytes"] else None


def decode(frame: bytes, syntax: str, options: dict[str, object]) -> tuple[dict[str, object], bytes]:
    """Decode one frame with the preferred decoder; return a message and the pixels.

    The message has either `shape` and `dtype`, or `error`; `missing` is True if no decoder is installed.
    """
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    decoder = get_decoder(syntax)
    plugins = [name for name in PREFERRED if name in decoder.available_plugins]
    if not plugins:
        return {"error": f"no decoder for {decoder.UID.name}", "missing": True}, b""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            source = encapsulate([frame], has_bot=False)
            array, _ = decoder.as_array(source, index=0, decoding_plugin=plugins[0], **options)
        except _BROKEN as problem:
            said = str(problem).strip().splitlines()
            return {"error": f"{type(problem).__name__}: {said[-1].strip() if said else ''}"}, b""
    if caught:  # on data that do not fill the image, for example
        return {"error": str(caught[0].message)}, b""
    return {"shape": array.shape, "dtype": array.dtype.str}, array.tobytes()


def limit_memory(n_bytes: int) -> None:
    """Limit the memory of this process, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


def main() -> None:
    """Answer messages until the stream of messages ends."""
    import pydicom.pixels  # noqa: F401 the parent waits for this before it counts the time

    limit_memory(int(sys.argv[1]))
    out = sys.stdout.buffer
    send(out, {"ready": True})
    while (received := receive(sys.stdin.buffer)) is not None:
        message, frame = received
        send(out, *decode(frame, message["syntax"], message["options"]))


if __name__ == "__main__":
    main()
