"""Turn an executed notebook into one HTML file that needs no network; the code is hidden at first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy

import nbformat
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from mmfusion.imaging.views.slider import STILL
from mmfusion.reports.clean import clean_html
from mmfusion.reports.pages import TEMPLATES, render
from mmfusion.reports.tables import tidy_tables

_WIDGET = "application/vnd.jupyter.widget-view+json"
_PROGRESS = re.compile(r"\d+%\|")  # a progress bar as text
_HEADING = re.compile(r"^#\s+(.+)$", re.MULTILINE)
_ANY_HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)
_PICTURES = {"image/png", "image/jpeg"}
_SHOWN = {"text/html", "text/markdown", "text/plain", *_PICTURES}  # a widget has a picture beside it


def title_of(notebook: nbformat.NotebookNode, default: str) -> str:
    """Return the first top-level heading of a notebook; `default` if it has none."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := _HEADING.search(cell.source)):
            return found[1].strip()
    return default


def notebook_html(
    notebook: nbformat.NotebookNode,
    *,
    title: str,
    facts: Sequence[str] = (),
    parameters: Sequence[dict[str, object]] = (),
    failed: str | None = None,
) -> str:
    """Return the page of an executed notebook; nothing in its outputs can act (`clean_html`).

    Parameters
    ----------
    notebook : NotebookNode
        Executed notebook.
    title : str
        Title of the page.
    facts : sequence of str
        Facts in one line at the top: date, duration, version.
    parameters : sequence of dict
        `name`, `value`, `help`, and `changed` if the value is not the default.
    failed : str, optional
        Reason why the run stopped. The top of the page then says that it is not a report.
    """
    exporter = HTMLExporter(
        template_name="notebook",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_anchor_links=True,
        embed_images=True,
    )
    exporter.register_filter("clean", clean_html)
    body, _ = exporter.from_notebook_node(_prepared(notebook))
    return render(
        "report.html.j2",
        title=title,
        style=HtmlFormatter(style="friendly").get_style_defs(".highlight"),
        facts=facts,
        parameters=parameters,
        failed=failed,
        body=body,
    )


def _prepared(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy with tidy tables, and with figures whose alternative text names their section."""
    notebook, section = deepcopy(notebook), "report"
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := _ANY_HEADING.findall(cell.source)):
            section = found[-1].strip()
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if not _is_left_out(o)]
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if data and not _SHOWN & set(data):
                data["text/plain"] = f"Not shown: {', '.join(sorted(data))}"
            for mime in set(data) - _SHOWN:  # such as scripts
                del data[mime]
            output["metadata"] = {}  # options of pictures: a page has its own
            for mime in _PICTURES & set(data):
                output.metadata.setdefault(mime, {}).setdefault("alt", f"Figure: {section}")
            if "text/html" in data:
                data["text/html"] = tidy_tables(data["text/html"])
    return notebook


def _is_left_out(output: nbformat.NotebookNode) -> bool:
    """Return True for a progress bar, and for an output that repeats the picture of the one above it."""
    data = output.get("data", {})
    progress = _WIDGET in data and _PROGRESS.search(str(data.get("text/plain", ""))) is not None
    return progress or bool(output.get("metadata", {}).get(STILL))
