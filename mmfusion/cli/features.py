"""`mmfusion features`."""

from __future__ import annotations

import csv
import io
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mmfusion.cli.pairs import pairs
from mmfusion.errors import DataError, ManifestError
from mmfusion.escaping import write_csv
from mmfusion.modalities import META
from mmfusion.storage.atomic import check_writable, saved

if TYPE_CHECKING:
    import pandas as pd

    from mmfusion.features import Extraction, Extractor, RadiomicsExtractor

_SHOWN = 5  # names of features that are not estimable, per patient
# option -> the option that it belongs to
_NEEDS = {
    "modality": "radiomics",
    "parameter": "radiomics",
    "stability": "radiomics",
    "level": "segmenter",
}


def features(arguments: Namespace) -> int:
    """Compute features of each scan of a cohort and write them; list each scan that fails."""
    if not arguments.out.name.lower().endswith((".csv", ".csv.gz", ".parquet")):
        raise DataError("unknown kind of table", file=arguments.out, expected=".csv, .csv.gz or .parquet")
    _check_options(arguments)
    check_writable(arguments.out)
    from mmfusion.features import extract
    from mmfusion.imaging.saving import check_not_source

    check_not_source(arguments.out, [arguments.source])
    extractor = _extractor(arguments)
    how = {"root": arguments.root, "n_jobs": arguments.n_jobs}
    result = extract(arguments.source, extractor, **how)
    word = "computed" if arguments.measures or arguments.radiomics or arguments.segmenter else "encoded"
    _list_failures(result.failures, word)
    _list_missing(result)
    for patient, text in result.remarks.items():
        sys.stderr.write(f"note: patient {patient}: {text}\n")
    if 0 < (clicks := len(result.remarks)) < len(result.features):
        sys.stderr.write(
            f"note: {clicks} lesions are from a click and {len(result.features) - clicks} from a mask; masks "
            "of both kinds differ, and --lesion click or --lesion mask takes one kind only\n"
        )
    out = result.write(arguments.out)
    done, total = len(result.features), len(result.features) + len(result.failures)
    if arguments.random_weights is not None:
        sys.stdout.write(
            f"RANDOM WEIGHTS, seed {arguments.random_weights}: a control, not foundation features\n"
        )
    if arguments.segmenter is not None and (seen := extractor.saw(result.features.index)):
        sys.stdout.write(
            f"the segmenter was trained on {len(seen)} of these patients; their features can look "
            "better than those of new patients\n"
        )
    sys.stdout.write(f"{done} of {total} scans {word}: {out}\n")
    sys.stdout.write(_next_step(arguments.source, out, extractor.modality))
    failed = len(result.failures)
    if arguments.stability:
        failed += _stability(arguments, extractor, how)
    if arguments.by_site:
        _by_site(arguments, result)
    return 1 if failed else 0


def _next_step(source: str | Path, out: Path, modality: str) -> str:
    """Return how the table becomes part of the cohort: the line for the manifest, if there is one."""
    from mmfusion.data.manifest import read_manifest

    text = f"next: list it in the manifest with role features and modality {modality}\n"
    manifest = Path(source)
    if not manifest.is_file():
        return text
    try:
        rows = read_manifest(manifest)
    except ManifestError:  # a table of fmcib
        return text
    folder, place = manifest.resolve().parent, out.resolve()
    inside = place.is_relative_to(folder)
    path = place.relative_to(folder).as_posix() if inside else out.name
    cells = {"dataset": rows["dataset"].iloc[0], "modality": modality, "role": "features", "path": path}
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        header = next(csv.reader(file))
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells.get(name.strip(), "") for name in header)
    first = "" if inside else f"copy it to {folder}, and "
    return f"next: {first}add this line to {manifest}:\n{line.getvalue()}"


def _check_options(arguments: Namespace) -> None:
    """Raise a DataError if options contradict each other."""
    kinds = [k for k in ("measures", "radiomics", "segmenter", "weights") if getattr(arguments, k)]
    kinds += ["random-weights"] if arguments.random_weights is not None else []
    if len(kinds) > 1 and kinds != ["weights", "random-weights"]:  # the encoder says more about the latter
        got = " and ".join(f"--{kind}" for kind in kinds)
        raise DataError("two kinds of features", expected="one of them", got=got)
    for option, needed in _NEEDS.items():
        if getattr(arguments, option) and not getattr(arguments, needed):
            raise DataError(f"--{option} needs --{needed}", hint="see mmfusion features --help")
    if arguments.lesion and not (arguments.measures or arguments.radiomics):
        raise DataError("--lesion needs --measures or --radiomics", hint="see mmfusion features --help")


def _extractor(arguments: Namespace) -> Extractor:
    from mmfusion.features import DeepFeatures, FoundationEncoder, LesionMeasures, RadiomicsExtractor

    lesion = arguments.lesion or "any"
    if arguments.measures:
        return LesionMeasures(lesion=lesion)
    if arguments.radiomics:
        return RadiomicsExtractor(
            arguments.modality or "ct", pairs(arguments.parameter, DataError), lesion=lesion
        )
    if arguments.segmenter is not None:
        return DeepFeatures(arguments.segmenter, arguments.level or "high", device=arguments.device)
    return FoundationEncoder(
        arguments.weights, random_weights=arguments.random_weights, device=arguments.device
    )


def _list_failures(failures: pd.DataFrame, word: str) -> None:
    for patient, row in failures.iterrows():
        hint = f" -> {row['hint']}" if row["hint"] else ""
        sys.stderr.write(f"not {word}: patient {patient}, file {row['file']}: {row['error']}{hint}\n")


def _list_missing(result: Extraction) -> None:
    for patient, names in result.not_estimable.items():
        more = ", ..." if len(names) > _SHOWN else ""
        shown = ", ".join(names[:_SHOWN])
        sys.stderr.write(f"not estimable: patient {patient}: {len(names)} features ({shown}{more})\n")


def _stability(arguments: Namespace, extractor: RadiomicsExtractor, how: dict[str, object]) -> int:
    """Write the stability of the features, and return the number of failures."""
    from mmfusion.features import feature_stability

    found = feature_stability(arguments.source, extractor, **how)
    _list_failures(found.failures, "computed with changed masks")
    out = _write_beside(found.table, arguments.out, "stability")
    masks = len(found.provenance["growth"]) * max(found.provenance["contours"], 1)
    sys.stdout.write(
        f"{len(found.robust)} of {len(found.table)} features are robust (ICC, lower bound 0.9 or above, "
        f"{masks} masks of each lesion): {out}\n"
    )
    return len(found.failures)


def _by_site(arguments: Namespace, result: Extraction) -> None:
    """Write how well the features predict the site, before and after ComBat."""
    from mmfusion.data.load import load_cohort
    from mmfusion.quality import site_separability

    cohort = load_cohort(arguments.source, root=arguments.root)
    if (META, "site") not in cohort.table:
        raise DataError("no sites in this cohort", file=cohort.name, expected="sites of the patients")
    site = cohort.table[META, "site"].reindex(result.features.index)
    known = site.notna()
    values = result.features.loc[known].dropna(axis=1, how="all")
    found = site_separability(values, site[known])
    out = _write_beside(found.features.rename_axis("feature"), arguments.out, "sites")
    before, after = found.table["auc"]
    sys.stdout.write(
        f"site predicted from these features: AUC {before:.3f}, and {after:.3f} after ComBat, fitted in the "
        f"fold: {out}\n"
    )


def _write_beside(table: pd.DataFrame, out: Path, name: str) -> Path:
    path = out.with_name(f"{out.name}.{name}.csv")
    with saved(path) as draft:
        write_csv(table, draft)
    return path
