"""The command line, `mmfusion COMMAND`.

Commands: demo, init, validate, features, segment, report, notebooks, predict, compare, doctor.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from mmfusion.cli.parser import build_parser
from mmfusion.errors import MMFusionError

FAILED, INPUT, INTERRUPTED, TERMINATED = 1, 2, 130, 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Words of the command line after `mmfusion`; default, those of this process.

    Returns
    -------
    int
        0: success. 1: some of the runs or patients, or a check, failed. 2: input that cannot be used. 130:
        interrupted. 143: terminated.
    """
    arguments = build_parser().parse_args(_joined(list(sys.argv[1:] if argv is None else argv)))
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.ERROR,
        format="%(name)s: %(message)s",
        stream=sys.stderr,
    )
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        module, _, function = arguments.run.partition(":")
        return getattr(import_module(f"mmfusion.cli.{module}"), function)(arguments)
    except MMFusionError as error:
        sys.stderr.write(f"error: {error}\n")
        return INPUT
    except KeyboardInterrupt:
        # the interrupt may have ended a notebook too, and asyncio would log this with a traceback
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:  # `mmfusion ... | head`
        sys.stderr.close()
        return 0
    except (OSError, MemoryError, RecursionError) as error:
        sys.stderr.write(f"error: {_of_the_system(error)}\n")
        return INPUT
    finally:
        signal.signal(signal.SIGTERM, before)


def _of_the_system(error: OSError | MemoryError | RecursionError) -> MMFusionError:
    """Return one clear error for an error of the operating system that has no explanation yet."""
    if isinstance(error, MemoryError):
        hint = "close other programs, use fewer workers, or give a smaller input"
        return MMFusionError("not enough memory", got=str(error) or None, hint=hint)
    if isinstance(error, RecursionError):
        hint = "an input is nested too deeply: check the JSON or DICOM files that were given"
        return MMFusionError("an input cannot be read", got=error, hint=hint)
    hint = "check that the file is there, and that you may read it or write there"
    return MMFusionError(
        "could not be read or written", file=error.filename, got=error.strerror or error, hint=hint
    )


def _joined(argv: list[str]) -> list[str]:
    """Turn `--seed -12,30,-200` into `--seed=-12,30,-200`, as argparse reads a leading minus as an option."""
    for option in ("--seed", "--pet-seed", "--box", "--line"):
        while option in argv[:-1]:
            i = argv.index(option)
            argv[i : i + 2] = [f"{option}={argv[i + 1]}"]
    return argv


def _terminate(_signal: int, _frame: object) -> None:
    """Exit at SIGTERM in such a way that unfinished files are removed."""
    raise SystemExit(TERMINATED)
