"""Count how changed inputs of each format end: our error, equal, a warning, or something that must not be.

    python benchmarks/fuzz.py --seeds 1 2 3 --inputs 500

The number of inputs is that of each format and seed. The script prints one table and one line per bad input,
and with --keep writes the bad inputs into a folder. It ends with an error if there is a bad one.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fuzz import harness, registry


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--inputs", type=int, default=100)
    parser.add_argument("--formats", nargs="+", default=[], choices=sorted(registry.load()), metavar="FORMAT")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds")
    parser.add_argument("--keep", type=Path, help="folder for the bad inputs")
    arguments = parser.parse_args()
    start = time.monotonic()
    tally = harness.run(
        arguments.formats, seeds=arguments.seeds, inputs=arguments.inputs, budget=arguments.budget
    )
    print(tally.table())
    print(f"{tally.total} inputs in {time.monotonic() - start:.0f} s")
    for name, seed, number, end, detail in tally.bad:
        print(f"{name} seed {seed} input {number}: {end}: {detail}")
        if arguments.keep is not None:
            harness.keep(name, seed, number, arguments.keep / f"{name}-{seed}-{number}".replace(" ", "_"))
    return bool(tally.bad)


if __name__ == "__main__":
    raise SystemExit(main())
