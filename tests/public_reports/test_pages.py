"""Public bug reports about pages, figures and tables that show data; each with a small input of its own."""

from __future__ import annotations

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from mmfusion.display import html_table
from mmfusion.escaping import write_csv
from mmfusion.figures import patient_probabilities
from mmfusion.reports import bullets
from mmfusion.reports.html import notebook_html


def page_of(data, metadata=None):
    output = new_output("display_data", data=data, metadata=metadata or {})
    return notebook_html(new_notebook(cells=[new_code_cell("1", outputs=[output])]), title="t")


@pytest.mark.parametrize("name", ["$$", 'Yelle - "Ba$$in"', "$\\floor{x}$", "$8^{\\mathrm h}$ $"])
def test_dollars_stop_no_figure(name):
    """matplotlib issues 20266, 659 and 499; nine-or-null issue 14."""
    figure = patient_probabilities({name: 0.7, "II": 0.3}, title=name)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure.axes[0].get_title(loc="left") == name


def test_dollars_in_a_table_are_no_formula():
    """pandas issue 19824, JupyterLab issue 17935: "$200 million to $700" was typeset as a formula."""
    page = html_table(pd.DataFrame({"a": ["From $200 million to $700 million"]}))
    assert all(text.count("$") <= 1 for text in page.split("<"))
    assert "From <span>$</span>200 million" in page


def test_markdown_of_an_output_is_sanitised():
    """IPython issue 7488: Markdown was sanitised in the live notebook, and not by nbconvert."""
    page = page_of({"text/markdown": "<img src=x onerror=alert(1)> [a](javascript:alert(1)) *b*"})
    assert "onerror" not in page and "javascript" not in page and "<em>b</em>" in page


def test_mermaid_is_no_way_in():
    """nbconvert pull request 2294 (CVE-2026-6658): text/vnd.mermaid was written as it was."""
    page = page_of({"text/vnd.mermaid": "<img src=x onerror=alert(1)>", "text/plain": "graph"})
    assert "onerror" not in page and "graph" in page


def test_the_size_of_a_picture_is_no_way_in():
    """nbconvert advisory GHSA-9jmq-rx5f-8jwq: metadata of outputs were written as attributes."""
    size = {"image/png": {"width": "1 onload=alert(1)", "height": "1", "unconfined": "x"}}
    page = page_of({"image/png": "AAAA"}, size)
    assert "onload" not in page and "data:image/png;base64,AAAA" in page


def test_angle_brackets_of_a_text_are_shown():
    """notebookjs pull request 50: a text with angle brackets was run, later it was lost."""
    page = page_of({"text/plain": "<img src onerror=\"alert('XSS')\">"})
    assert "&lt;img src onerror" in page and "<img" not in page


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "@SUM(1+1)*cmd", "-2+3+cmd", "+1+cmd"])
def test_formulas_of_a_cell_are_guarded_and_negative_numbers_are_not(cell, tmp_path):
    """tableExport issue 230, and the complaint there about a quote before negative values."""
    write_csv(pd.DataFrame({"id": [cell], "change": [-2.5]}), tmp_path / "t.csv", index=False)
    assert (tmp_path / "t.csv").read_text() == f"id,change\n'{cell},-2.5\n"


def test_a_dollar_in_a_list_is_kept():
    """Jupyter notebook issue 1183: prices in Markdown became formulas."""
    text = bullets(["from $100 to $1000"]).data
    assert "$" not in text and text.count("&#36;") == 2
