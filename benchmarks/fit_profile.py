"""Where the seconds of one fit of the stage model go.

    python benchmarks/fit_profile.py tcga_luad --data DATA --settings former default

The training set is that of `fitting.py`. Seconds are those of the processor, with cProfile, which makes a fit
a few per cent slower. A short fit before it loads all packages.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
import warnings
from pathlib import Path

from fitting import SETTINGS, options_of, training_set
from real_cohorts import FOLDERS

import mmfusion as mf

# part -> file and functions whose total seconds it is; a part inside another is taken from it below
PARTS = {
    "checks of inputs that determine the label": ("leakage/probe.py", "assert_no_leak"),
    "preprocessing": ("preprocessing/cohort.py", "fit", "transform"),
    "forward": ("nn/net.py", "forward"),
    "gene encoder": ("encoders/gene_gat.py", "forward"),
    "graph attention": ("layers/gatv2.py", "forward"),
    "backward": ("_tensor.py", "backward"),
    "step of the optimiser": ("optim/optimizer.py", "wrapper"),
}


def seconds_of(stats: pstats.Stats) -> dict[str, float]:
    """Return the seconds of each part, without those of the parts inside it."""
    found = dict.fromkeys(PARTS, 0.0)
    for (file, _, function), (*_, total, _) in stats.stats.items():
        for part, (end, *names) in PARTS.items():
            if file.endswith(end) and function in names:
                found[part] += total
    found["forward: all other parts"] = found.pop("forward") - found["gene encoder"]
    found["forward: rest of the gene encoder"] = found.pop("gene encoder") - found["graph attention"]
    found["forward: graph attention"] = found.pop("graph attention")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cohort", choices=[*FOLDERS, "phantom", "phantom_ct"])
    parser.add_argument("--data", type=Path, help="folder with the official files")
    parser.add_argument("--settings", nargs="*", default=["former", "default"], choices=list(SETTINGS))
    parser.add_argument("--seed", type=int, default=100)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # words of health records that few patients have
    cohort = training_set(args.cohort, args.data, args.seed)
    mf.StageClassifier(max_epochs=1, n_members=2).fit(cohort.X, cohort.y)
    columns = {}
    for setting in args.settings:
        model = mf.StageClassifier(random_state=args.seed, **options_of(setting, args.data))
        profile = cProfile.Profile(time.process_time)
        profile.runcall(model.fit, cohort.X, cohort.y)
        stats = pstats.Stats(profile)
        parts = seconds_of(stats)
        columns[setting] = {**parts, "rest": stats.total_tt - sum(parts.values()), "all": stats.total_tt}
    print(f"| {args.cohort}, {len(cohort.X)} patients: s | {' | '.join(columns)} |")
    print("|---" * (1 + len(columns)) + "|")
    for part in columns[args.settings[0]]:
        print(f"| {part} | {' | '.join(f'{found[part]:.1f}' for found in columns.values())} |")


if __name__ == "__main__":
    main()
