"""Reports of a cohort whose ids, columns, categories, names and paths are full of markup."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import mmfusion as mf
from mmfusion.data.export import write_cohort
from mmfusion.reports import build_index, compare_runs, read_predictions, recompute, run_report
from mmfusion.reports.clean import clean_html
from mmfusion.reports.html import notebook_html

MARKS = [
    '<meta http-equiv="refresh" content="0;url=evil">', "<form action=evil><input>",
    "<img src=evil onerror=e()>",
    "[x](javascript:evil())", "*evil*", "`evil`", "$\\href{evil}{x}$", "=HYPERLINK(evil)", "-1+evil", "@evil",
    "<script>evil()<", "a|evil", "http:evil", "<a href='javascript:evil()'>", "#evil", "\\(evil\\)",
]  # fmt: skip
TAGS = {
    "html", "head", "meta", "title", "style", "body", "div", "header", "main", "p", "details", "summary",
    "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "span", "h1", "h2", "h3", "ul", "ol", "li",
    "strong", "em", "small", "br", "wbr", "img", "a", "b", "i", "section", "hr",
}  # fmt: skip


class Page(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag


def assert_dead(text: str) -> None:
    """No element loads, sends or runs something, and no attribute holds a text of the data."""
    metas = 0
    for tag, attributes in Page(text).elements:
        assert tag in TAGS, tag
        metas += tag == "meta"
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "action", "style", "srcset", "content"):
                assert "evil" not in value, (tag, name, value[:80])
            if name == "src":
                assert value.startswith("data:image/"), value[:80]
            if name == "href":
                assert not value.lower().startswith("javascript"), value
    assert metas == 3  # charset, security policy, viewport


def hostile_cohort(root: Path, n: int = 40) -> Path:
    """A phantom under hostile names, written as files; return its manifest."""
    cohort, _ = mf.phantom(n, 3, missing=0.0, n_genes=40, root=root / "made")
    ids = pd.Index([f"{MARKS[i % len(MARKS)]}{i}" for i in range(n)], name="patient_id")
    table = cohort.table.set_axis(ids).rename(columns={"GENE": "G"}, level=1)
    ehr = list(table["ehr"].columns)
    names = dict(zip(ehr, [f"{mark} {k}" for k, mark in enumerate(MARKS)]))
    table = table.rename(columns=names, level=1)
    marked = np.array([f"{MARKS[i % 3]} kind" for i in range(n)])
    table["ehr", "smoking <b>evil"] = marked
    table["meta", "site"] = [MARKS[i % 2] for i in range(n)]
    outcomes = cohort.outcomes.set_axis(ids)
    groups = pd.DataFrame({"site": table["meta", "site"], "patient": ids}, index=ids)
    provenance = {"notes": [f"note {mark}" for mark in MARKS], "license": MARKS[0]}
    made = replace(
        cohort, name=MARKS[2], table=table, outcomes=outcomes, groups=groups, provenance=provenance
    )
    folder = root / "data <img src=evil onerror=e()>"
    return write_cohort(made, folder)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return hostile_cohort(tmp_path_factory.mktemp("hostile"))


def test_the_cohort_is_read_again_as_it_was(manifest):
    cohort = mf.load_cohort(manifest)
    assert len(cohort.table) == 40 and {mark + str(i) for i, mark in enumerate(MARKS)} <= set(
        cohort.table.index
    )
    assert cohort.complete().table.shape[0] == 40  # the ids of all tables and scans meet
    assert set(cohort.table["ehr", "smoking <b>evil"]) == {f"{mark} kind" for mark in MARKS[:3]}
    tables = [pd.read_csv(f, dtype=str, keep_default_na=False) for f in manifest.parent.glob("*.csv")]
    cells = [c for t in tables for c in (*t.columns, *t.to_numpy().ravel())]
    assert not [c for c in cells if c[:1] in set("=+-@") and "evil" in c]


@pytest.mark.slow
def test_reports_hold_nothing_live(manifest, tmp_path):
    given = {"cohort": str(manifest), "n_patients": 0}
    few = {"cohort": str(manifest), "n_scans": 6, "n_shown": 2, "restorers": "nlm", "n_compared": 12}
    scans = run_report("scans", few, tmp_path / "reports" / "scans", progress=False)
    small = {"target": "stage2", "modalities": "rna,ehr", "fusions": "none", "outer": 2, "inner": 2}
    small |= {"trials": 1, "max_epochs": 1, "learning_curve": "none", "n_explained": 1, "where": "serial"}
    fusion = run_report("stage_fusion", given | small, tmp_path / "reports" / "fusion", progress=False)
    cohort = run_report(
        "cohort", {"cohort": str(manifest), "n_scans": 1}, tmp_path / "reports" / "c", progress=False
    )
    for folder in (scans, fusion, cohort):
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert_dead(page)
        assert "evil" in page  # the names are there, as text
    assert_dead(build_index(tmp_path / "reports").read_text(encoding="utf-8"))
    assert_dead(compare_runs(fusion, scans).to_html())
    found = recompute(fusion)
    assert len(found) > 20 and found["difference"].abs().max() < 1e-12
    raw = pd.read_csv(fusion / "predictions.csv", dtype=str)["patient_id"]
    assert not raw.str.match(r"[=+\-@]").any()
    assert set(read_predictions(fusion / "predictions.csv")["patient_id"]) <= set(
        mf.load_cohort(manifest).X.index
    )


@pytest.mark.slow
def test_a_failed_report_holds_nothing_live(manifest, tmp_path):
    with pytest.raises(mf.MMFusionError):
        run_report("cohort", {"cohort": str(manifest), "target": MARKS[2]}, tmp_path / "r", progress=False)
    page = (tmp_path / "r.failed" / "FAILED.html").read_text(encoding="utf-8")
    assert_dead(page)
    assert "evil" in page


def executed(*outputs) -> str:
    cell = new_code_cell("1", outputs=list(outputs))
    markdown = [new_markdown_cell(f"# title {mark}\n\n{mark}") for mark in MARKS]
    return notebook_html(
        new_notebook(cells=[cell, *markdown]), title=MARKS[2], facts=MARKS,
        parameters=[{"name": m, "value": m, "help": m, "changed": True} for m in MARKS], failed=MARKS[0],
    )  # fmt: skip


@pytest.mark.parametrize("mark", MARKS)
def test_outputs_of_every_kind_are_dead(mark):
    kinds = ["text/html", "text/markdown", "text/plain", "text/latex", "image/svg+xml", "application/json"]
    kinds += ["application/javascript", "application/vnd.jupyter.widget-view+json", "text/vnd.mermaid"]
    outputs = [new_output("display_data", data={kind: mark}, metadata={"isolated": True}) for kind in kinds]
    outputs += [new_output("display_data", data={"text/html": f"<div>{mark}</div>", "text/plain": mark})]
    picture = {"image/png": "AAAA", "text/plain": mark}
    outputs += [
        new_output("display_data", data=picture, metadata={"image/png": {"width": f"1 {mark}", "alt": mark}})
    ]
    outputs += [new_output("stream", name=name, text=mark) for name in ("stdout", "stderr")]
    outputs += [new_output("error", ename=mark, evalue=mark, traceback=[mark])]
    nbformat.validate(new_notebook(cells=[new_code_cell("1", outputs=outputs)]))
    assert_dead(executed(*outputs))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<b>a</b>", "<b>a</b>"),
        ("<svg onload=evil()><script>evil()</script></svg>a", "a"),
        ("<style>p {}</style>a", "a"),
        ('<a href="JaVa&#10;script:evil()">a</a>', "<a>a</a>"),
        ('<a href="https://a.org">a</a>', '<a href="https://a.org">a</a>'),
        ('<img src="data:image/svg+xml;base64,AAAA">', "<img>"),
        ('<img src="data:image/png;base64,AAAA">', '<img src="data:image/png;base64,AAAA">'),
        ('<td style="color:red;position:fixed;background:url(evil)">a</td>', "a"),
        ('<b style="color:red;position:fixed">a</b>', '<b style="color:red;">a</b>'),
        ("<iframe srcdoc=evil></iframe>a", "a"),
        ("<b>a", "<b>a</b>"),
    ],
)
def test_what_is_kept_of_html(given, kept):
    assert clean_html(given).strip() == kept


def test_metrics_with_markup_are_escaped_in_the_index(tmp_path):
    folder = tmp_path / "reports" / "r"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("")
    record = {"name": "n", "title": MARKS[2], "parameters": {MARKS[0]: MARKS[1]}, "seconds": 1.0}
    record |= {"inputs": {}, "versions": {}, "git": None, "notebook": {}, "started": "2026-01-01T00:00:00"}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "metrics.json").write_text(
        json.dumps({"headline": MARKS[2], "cohort": MARKS[0], "target": MARKS[1]})
    )
    assert_dead(build_index(tmp_path / "reports").read_text(encoding="utf-8"))
    assert_dead(compare_runs(folder, folder).to_html())


def test_a_progress_bar_is_left_out_and_another_widget_is_named():
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "a"}}
    bar = new_output("display_data", data=widget | {"text/plain": "loss by epoch:   0%|          | 0/2"})
    slider = new_output("display_data", data=widget | {"text/plain": "IntSlider(value=0)"})
    page = executed(bar, slider)
    assert "loss by epoch" not in page and "IntSlider(value=0)" in page
