"""Parts of the parser: one command with its examples, and points in mm."""

from __future__ import annotations

import argparse


def command(commands, name: str, run: str, help_: str, examples: str) -> argparse.ArgumentParser:
    """Add a command; `run` is a "module:function" in `mmfusion.cli`."""
    parser = commands.add_parser(
        name,
        help=help_,
        description=help_[0].upper() + help_[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print messages about the progress")
    parser.set_defaults(run=run)
    return parser


def point(text: str) -> tuple[float, ...]:
    """Return the three numbers of a point in mm."""
    return _numbers(text, 3, "x,y,z")


def two_points(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return two points in mm."""
    numbers = _numbers(text, 6, "x,y,z,x,y,z")
    return numbers[:3], numbers[3:]


def _numbers(text: str, n: int, names: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != n:
        raise argparse.ArgumentTypeError(f"expected {names} in mm, got {text!r}")
    return numbers
