"""How much better a result looks with a leak: all ten demonstrations, or three of them at another size.

python benchmarks/leakage.py all --data DATA            # D1 to D10, also on the real tables in DATA
python benchmarks/leakage.py slices lda --reps 5
python benchmarks/leakage.py boxes --reps 2 --out OUT   # also writes the rows and a figure
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch

from mmfusion.evaluation.leakage import demo_gaps, lda_demo, run_demos, slice_split_demo
from mmfusion.figures.leakage import leak_gaps
from mmfusion.lesions.box_demo import oracle_box_demo

_SHOWN = {"slices": ("auc_patients", 0.5), "lda": ("auc", 0.5), "boxes": ("dice", None)}


def rows_of(demo: str, args: argparse.Namespace) -> pd.DataFrame:
    if demo == "all":
        return run_demos(seed=args.seed, data_root=args.data)
    if demo == "slices":
        return slice_split_demo(args.seed, args.reps)
    if demo == "lda":
        return lda_demo(args.seed, args.reps)
    return oracle_box_demo(args.seed, args.reps, n_train=args.train, n_test=args.test, max_epochs=args.epochs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("demos", nargs="+", choices=["all", *_SHOWN])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of the networks; default: those of the preset")
    parser.add_argument("--train", type=int, default=32, help="patients that the networks learn from")
    parser.add_argument("--test", type=int, default=16, help="patients that the networks are scored on")
    parser.add_argument("--data", type=Path, help="folder with the official files; for all")
    parser.add_argument("--out", type=Path, help="folder for the rows and the figures")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for demo in args.demos:
        rows = rows_of(demo, args)
        print(demo_gaps(rows).round(3).to_string(), flush=True)
        if args.out is not None:
            args.out.mkdir(parents=True, exist_ok=True)
            rows.to_csv(args.out / f"{demo}.csv", index=False)
            for metric, chance in [_SHOWN[demo]] if demo in _SHOWN else []:
                leak_gaps(rows, metric=metric, chance=chance).savefig(args.out / f"{demo}.png", dpi=120)


if __name__ == "__main__":
    main()
