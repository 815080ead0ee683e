"""All models of the library on three public cohorts, on the same folds; it resumes where it was stopped.

    python benchmarks/real_cohorts.py run lung1 radiogenomics tcga_luad --data DATA --out OUT --seed 2027
    python benchmarks/real_cohorts.py table --out OUT            # what is finished so far
    python benchmarks/real_cohorts.py run lung1 --data DATA --out OUT --readme   # and writes README's table
    python benchmarks/real_cohorts.py table --out OUT --readme   # the same from finished runs

Choices were made with the fold seed 100. A seed of final figures is run once. Finished folds are kept in OUT.
The outer folds are those of `Splits.make` with the seed; their hash is in OUT/<cohort>-<seed>/benchmark.json.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pandas as pd

from mmfusion.staging.report import benchmark, benchmark_table

FOLDERS = {"lung1": "lung1", "radiogenomics": "nsclc_radiogenomics", "tcga_luad": "tcga"}
TITLES = {
    "lung1": "LUNG1: I, II, IIIA, IIIB",
    "radiogenomics": "Radiogenomics: I, II, III",
    "tcga_luad": "TCGA-LUAD: I-II, III-IV",
}
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"


def run(args: argparse.Namespace) -> None:
    for name in args.cohorts:
        cohort = benchmark.load(name, args.data / FOLDERS[name])
        out = args.out / f"{name}-{args.seed}"
        result = benchmark.run(
            cohort,
            only=args.only,
            outer=args.outer,
            repeats=args.repeats,
            trials=args.trials,
            inner=args.inner,
            out=out,
            seed=args.seed,
            where=args.where,
            n_jobs=args.n_jobs,
        )
        result.predictions.to_csv(out / "predictions.csv", index=False)
        found = benchmark_table.table(result)
        facts = {"cohort": name, "target": result.target, "n": result.n, "seed": args.seed}
        facts |= {"classes": cohort.y.value_counts(sort=False).to_dict(), "settings": dict(result.settings)}
        facts["models"] = benchmark_table.to_metrics({name: found})[name]
        (out / "benchmark.json").write_text(json.dumps(facts, indent=1) + "\n")
        print(f"\n{title(facts)}\n\n{markdown(facts)}", flush=True)
    if args.readme:
        write_readme(finished(args.out))


def finished(out: Path) -> list[dict[str, object]]:
    """Return the facts of the cohorts whose run is complete."""
    files = sorted(
        out.glob("*/benchmark.json"), key=lambda f: list(FOLDERS).index(f.parent.name.split("-")[0])
    )
    if not files:
        raise SystemExit(f"no finished run in {out}")
    return [json.loads(file.read_text()) for file in files]


def title(facts: dict[str, object]) -> str:
    sizes = ", ".join(map(str, facts["classes"].values()))
    settings = facts["settings"]
    return (
        f"{TITLES[facts['cohort']]} (n = {facts['n']}: {sizes}); {settings['outer']} folds, "
        f"{settings['repeats']} times, fold seed {facts['seed']}"
    )


def markdown(facts: dict[str, object]) -> str:
    """Return the table of one cohort."""
    lines = [
        "| model | macro-AUC | minus ridge | macro-F1 | minus ridge | accuracy | s | MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model, row in facts["models"].items():
        cells = [f"`{model}`" if model in facts["settings"].get("networks", ()) else model]
        for metric in benchmark_table.METRICS:
            cells += [
                f"{row[metric]:.3f} [{row[f'{metric}_lo']:.3f}, {row[f'{metric}_hi']:.3f}]",
                difference(row, metric),
            ]
        cells += [f"{row['accuracy']:.3f}", f"{row['seconds']:.1f}", f"{row['peak_mib']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def difference(row: dict[str, float | None], metric: str) -> str:
    if row[f"{metric}_diff"] is None:
        return ""
    low, high, p = (row[f"{metric}_{key}"] for key in ("diff_lo", "diff_hi", "p_holm"))
    star = "*" if p is not None and p < 0.05 else ""
    return f"{row[f'{metric}_diff']:+.3f} [{low:+.3f}, {high:+.3f}]{star}"


def short(facts: list[dict[str, object]]) -> str:
    """Return the table of the README: macro-AUC and macro-F1 of each model on all cohorts."""
    rows = pd.DataFrame(
        {
            TITLES[one["cohort"]].split(":")[0] + f", n = {one['n']}": {
                model: f"{row['macro_auc']:.2f} [{row['macro_auc_lo']:.2f}, {row['macro_auc_hi']:.2f}], "
                f"{row['macro_f1']:.2f}"
                for model, row in one["models"].items()
            }
            for one in facts
        }
    ).fillna("")
    first = pd.DataFrame(
        {one["cohort"]: {m: r["macro_auc"] for m, r in one["models"].items()} for one in facts}
    )
    order = pd.DataFrame({"absent": first.isna().sum(axis=1), "mean": -first.mean(axis=1)})
    rows = rows.loc[order.sort_values(["absent", "mean"], kind="stable").index]  # those of all cohorts first
    head = f"| model | {' | '.join(rows.columns)} |\n|{'---|' * (len(rows.columns) + 1)}\n"
    return head + "\n".join(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.T.items())


def table(args: argparse.Namespace) -> None:
    facts = finished(args.out)
    for one in facts:
        print(f"{title(one)}\n\n{markdown(one)}\n")
    if args.readme:
        write_readme(facts)


def write_readme(facts: list[dict[str, object]]) -> None:
    """Replace the table in README.md."""
    text = README.read_text()
    found = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{short(facts)}\n{END}", text, flags=re.DOTALL)
    README.write_text(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("run", help="fit and judge the models")
    one.add_argument("cohorts", nargs="+", choices=list(FOLDERS))
    one.add_argument("--data", type=Path, required=True, help="folder with the official files")
    one.add_argument("--out", type=Path, required=True, help="folder for finished folds and tables")
    one.add_argument("--seed", type=int, default=100, help="seed of the folds and fits")
    one.add_argument("--only", nargs="*", default=[], help="these models only; ridge is always judged")
    one.add_argument("--outer", type=int, default=5)
    one.add_argument("--repeats", type=int, default=4)
    one.add_argument("--trials", type=int, default=3, help="trials of the search; 0: no search")
    one.add_argument("--inner", type=int, default=2, help="inner folds of the search")
    one.add_argument("--where", default="loky", help="serial, or loky: folds in processes")
    one.add_argument("--n-jobs", type=int, default=2)
    one.add_argument("--readme", action="store_true", help="write the short table into README.md at the end")
    one.set_defaults(call=run)
    two = commands.add_parser("table", help="print the tables of finished runs")
    two.add_argument("--out", type=Path, required=True)
    two.add_argument("--readme", action="store_true", help="write the short table into README.md")
    two.set_defaults(call=table)
    args = parser.parse_args()
    args.call(args)


if __name__ == "__main__":
    main()
