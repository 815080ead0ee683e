"""The items of TRIPOD+AI and CLAIM: complete, and each section that is named is a heading of its notebook."""

from __future__ import annotations

import re

import pytest

from mmfusion.errors import ReportError
from mmfusion.reports import find_notebook, list_notebooks, standards_card, standards_table
from mmfusion.reports.clean import clean_html
from mmfusion.reports.notebooks import read_notebook, short_name
from mmfusion.reports.standards import reports_with_sections
from mmfusion.reports.standards.table import _read

CARD = re.compile(r'reports\.standards_card\("(\w+)"\)')
HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)
MUST = {
    "baseline",
    "stage_fusion",
    "external",
    "explain",
    "predict_patient",
    "lesions",
    "egfr",
    "joint_expression",
    "igtv",
    "one_click",
}
SHOWN = [path for path in list_notebooks() if CARD.search(path.read_text().replace('\\"', '"'))]


def headings(name: str) -> set[str]:
    cells = read_notebook(find_notebook(name)).cells
    return {h.strip() for c in cells if c.cell_type == "markdown" for h in HEADING.findall(c.source)}


def test_the_items_are_those_of_the_standards():
    items = _read("items.csv")
    tripod = items[items["standard"] == "TRIPOD+AI"]["item"]
    assert sorted({int(re.match(r"\d+", item)[0]) for item in tripod}) == list(range(1, 28))
    assert len(tripod) == 52 and tripod.is_unique
    assert list(items[items["standard"] == "CLAIM"]["item"]) == [str(i) for i in range(1, 45)]
    assert set(items["level"]) == {"yes", "partly", "no"}
    # what a report cannot answer, or answers in part, says what the authors have to do
    assert (items.loc[items["level"] != "yes", "authors"] != "").all()
    assert ((items["answered_by"] == "") == (items["level"] == "no")).all()


def test_roles_are_those_that_items_ask_for():
    asked = {role for roles in _read("items.csv")["answered_by"] for role in roles.split(";")}
    assert set(_read("sections.csv")["role"]) <= asked


@pytest.mark.parametrize("report", reports_with_sections())
def test_each_section_named_is_a_heading_of_the_notebook(report: str):
    rows = _read("sections.csv")
    assert set(rows.loc[rows["report"] == report, "section"]) <= headings(report)


def test_stage_and_lesion_reports_have_the_items():
    assert {short_name(path) for path in SHOWN} >= MUST


@pytest.mark.parametrize("notebook", SHOWN, ids=[path.stem for path in SHOWN])
def test_a_report_ends_with_its_own_items(notebook):
    cells = read_notebook(notebook).cells
    assert CARD.findall(cells[-1].source) == [short_name(notebook)]
    assert "Reporting standards" in cells[-2].source


def test_an_item_without_a_section_is_left_to_the_authors():
    lesions = standards_table("lesions").set_index(["standard", "item"])
    external = lesions.loc[("CLAIM", "33")]
    assert external["answered"] == "no" and external["authors"]
    # a section of a companion report is named as one
    assert lesions.loc[("CLAIM", "36"), "where"].startswith("report cohort: ")
    assert lesions.loc[("CLAIM", "36"), "answered"] == "no"


def test_a_section_that_says_less_answers_a_part():
    table = standards_table("one_click").set_index(["standard", "item"])
    assert table.loc[("CLAIM", "37"), ["answered", "authors"]].tolist() == ["partly", "what this page lacks"]


def test_the_card_is_folded_and_passes_the_filter_of_pages():
    card = standards_card("stage_fusion")
    html = clean_html(card._repr_html_())
    assert html.count("<details>") == 2 and " open" not in html
    assert "Which classes are confused" in html and "the funding" in html
    assert "<details" not in repr(card) and "CLAIM" in repr(card)


def test_an_unknown_report_is_one_error():
    with pytest.raises(ReportError, match=r"sections of this report are not listed.*did you mean lesions"):
        standards_table("lesion")
