"""`mmfusion segment`."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mmfusion.errors import DataError
from mmfusion.storage.atomic import check_writable

if TYPE_CHECKING:
    from mmfusion.lesions import LesionMask

_ONE = ("seed", "box", "line", "series", "report", "form")


def segment(arguments: Namespace) -> int:
    """Segment lesions of one scan, or one lesion of each patient of a manifest."""
    if arguments.manifest is not None:
        return _cohort(arguments)
    if arguments.scan is None:
        raise DataError("nothing to segment", expected="a scan, or --manifest")
    points = arguments.seed or []
    if len(points) + (arguments.box is not None) + (arguments.line is not None) == 0:
        raise DataError("no lesion is pointed at", expected="--seed, --box or --line, in LPS mm")
    if len(points) > 1 and (arguments.box or arguments.line):
        raise DataError("several seeds do not go with a box or a line", hint="give the seeds alone")
    _check_out(arguments)
    from mmfusion.lesions import segment_lesion, segment_lesions, write_lesions

    options = {name: getattr(arguments, name) for name in ("method", "margin", "series", "weights", "check")}
    if len(points) > 1:
        found = segment_lesions(arguments.scan, points, **options)
    else:
        seed = points[0] if points else None
        found = [segment_lesion(arguments.scan, seed, box=arguments.box, line=arguments.line, **options)]
    files = []
    if arguments.out is not None:
        how = {"form": arguments.form, "report": arguments.report, "series": arguments.series}
        files = write_lesions(found, arguments.out, arguments.scan, **how)
    _show(found, files, as_json=arguments.json)
    return 0


def _check_out(arguments: Namespace) -> None:
    """Find a wrong name before the scan is read."""
    if arguments.out is None:
        if arguments.form or arguments.report:
            raise DataError("no file for the mask", expected="-o mask.nii.gz or -o mask.dcm")
        return
    for path in (arguments.out, arguments.report):
        if path is not None:
            check_writable(path)
    from mmfusion.imaging.saving import check_not_source
    from mmfusion.lesions.click.files import check_report, form_of

    check_not_source(arguments.out, [arguments.scan])
    check_report(form_of(arguments.out, arguments.form), arguments.report)


def _show(found: list[LesionMask], files: list[Path], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {**one.measures, "method": one.method, "margin": one.margin, "warnings": list(one.warnings)}
            for one in found
        ]
        text = json.dumps({"lesions": rows, "files": [str(path) for path in files]}, indent=1)
        sys.stdout.write(f"{text}\n")
        return
    for number, one in enumerate(found, 1):
        name = f"lesion {number}: " if len(found) > 1 else ""
        sys.stdout.write(
            f"{name}{one.volume_ml:.2f} mL, {one.longest_mm:.1f} x {one.perpendicular_mm:.1f} mm "
            f"({one.method}, {one.margin})\n"
        )
        for text in one.warnings:
            sys.stderr.write(f"warning: {name}{text}\n")
    sys.stdout.write("".join(f"written: {path}\n" for path in files))


def _cohort(arguments: Namespace) -> int:
    given = [f"--{name}" for name in _ONE if getattr(arguments, name)]
    if given or arguments.scan is not None:
        got = ", ".join([*given, *(["a scan"] if arguments.scan is not None else [])])
        raise DataError("--manifest does not go with other inputs", got=got, hint="leave these out")
    if arguments.out is None:
        raise DataError("no folder for the masks", expected="-o FOLDER")
    from mmfusion.lesions import segment_cohort

    result = segment_cohort(
        arguments.manifest,
        arguments.out,
        root=arguments.root,
        method=arguments.method,
        margin=arguments.margin,
        weights=arguments.weights,
        check=arguments.check,
        n_jobs=arguments.n_jobs,
    )
    for patient, row in result.failures.iterrows():
        hint = f" -> {row['hint']}" if row["hint"] else ""
        sys.stderr.write(f"not segmented: patient {patient}: {row['error']}{hint}\n")
    for patient, text in result.table["warnings"].items() if len(result.table) else ():
        if text:
            sys.stderr.write(f"warning: patient {patient}: {text}\n")
    done, total = len(result.table), len(result.table) + len(result.failures)
    if arguments.json:
        sys.stdout.write(result.table.to_json(orient="index", indent=1) + "\n")
    sys.stdout.write(f"{done} of {total} lesions segmented: {result.folder}\n")
    return 1 if len(result.failures) else 0
