"""Write the page that lists the reports of a folder, each with its headline."""

from __future__ import annotations

from pathlib import Path

from mmfusion.errors import ReportError
from mmfusion.reports.pages import render
from mmfusion.reports.primary import headline
from mmfusion.reports.record import FAILED_PAGE, PAGE, RUN, read_run
from mmfusion.storage.atomic import saved


def build_index(root: str | Path = "reports") -> Path:
    """Write `index.html` in `root`: one row per complete report in its subfolders, and a list of failed runs.

    Raises
    ------
    ReportError
        If there is no such folder, or the file cannot be written.
    """
    root = Path(root)
    if not root.is_dir():
        raise ReportError("no such folder", file=root)
    rows, broken = [], []
    for record in sorted(root.rglob(RUN)):
        folder = record.parent
        if not any(part.startswith(".") for part in folder.relative_to(root).parts):
            try:
                rows.append(_row(folder, root))
            except (ReportError, KeyError) as error:
                broken.append({"run": folder.relative_to(root).as_posix(), "why": str(error), "link": None})
    for page in sorted(root.rglob(FAILED_PAGE)):
        name = page.parent.relative_to(root).as_posix()
        broken.append(
            {"run": name.removesuffix(".failed"), "why": "", "link": page.relative_to(root).as_posix()}
        )
    page = render("index.html.j2", title="Reports", rows=rows, broken=broken)
    with saved(root / "index.html", ReportError) as draft:
        draft.write_text(page, encoding="utf-8")
    return root / "index.html"


def index_root(out: Path) -> Path:
    """Return the folder whose index lists the report in `out`: the nearest called "reports", else the parent.

    >>> index_root("/data/reports/demo/r1").as_posix()
    '/data/reports'
    """
    out = Path(out).absolute()
    return next((p for p in out.parents if p.name == "reports"), out.parent)


def _row(folder: Path, root: Path) -> dict[str, object]:
    run = read_run(folder)
    metrics, parameters = run["metrics"], run["parameters"]
    return {
        "run": folder.relative_to(root).as_posix(),
        "link": (folder / PAGE).relative_to(root).as_posix(),
        "title": run["title"],
        "headline": headline(metrics),
        "cohort": metrics.get("cohort", parameters.get("cohort", "")),
        "target": metrics.get("target", parameters.get("target", "")),
        "n": metrics.get("n", ""),
        "started": run["started"],
        "seconds": run["seconds"],
    }
