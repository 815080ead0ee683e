"""Text from data is shown as it is, and acts nowhere."""

from __future__ import annotations

import html as stdlib_html
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbconvert.filters import markdown2html

from mmfusion.display import FullTable, html_card, html_facts, html_table
from mmfusion.escaping import guarded_cells, html_text, markdown_text, unguarded_cells, write_csv

HOSTILE = [
    "*a*", "__b__", "`c`", "[x](javascript:alert(1))", "![i](http://evil/x.png)", "<b>d</b>",
    '<meta http-equiv="refresh" content="0;url=http://evil">', "<img src=x onerror=alert(1)>",
    "<form action=http://evil><input></form>", "$\\href{http://evil}{x}$", "$$x$$", "\\(x\\)", "a | b",
    "# heading", "- item", "1. one", "1) one", "> quote", "---", "***", "~~x~~", "http://evil.org",
    "www.evil.org", "me@evil.org", "<http://evil.org>", "&lt;b&gt;", "&copy;", "| a |\n|---|\n| b |",
    "    code", "[x]: http://evil", "[^1]", "```\ncode\n```", "<!-- c -->",
    "</span><script>x</script>", "==m==", "\\*a\\*",
]  # fmt: skip


class Live(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.text += data


def read(page: str) -> Live:
    found = Live()
    found.feed(page)
    found.close()
    return found


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("around", ["{}", "- {}\n- other", "## {}", "**{}**", "before {} after"])
def test_markdown_is_not_interpreted(text, around):
    page = read(markdown2html(around.format(markdown_text(text))))
    plain = read(markdown2html(around.format("word")))
    assert [e for e in page.elements if e[0] != "span"] == plain.elements or around == "## {}"
    assert not {tag for tag, _ in page.elements} - {"span", "p", "ul", "li", "h2", "strong", "a"}
    assert all(dict(attrs).get("class") == "anchor-link" for tag, attrs in page.elements if tag == "a")
    assert " ".join(text.split()) in " ".join(page.text.split())


@pytest.mark.parametrize("text", HOSTILE)
def test_jupyterlab_finds_no_formula(text):
    """It looks for dollars and backslashes in the source, and in each text node of the page."""
    source = markdown_text(text)
    assert "$" not in source and "\\" not in source
    nodes = markdown2html(source).split("<")
    assert all(node.count("$") + node.count("&#36;") + node.count("\\") <= 1 for node in nodes)


@given(st.text())
def test_any_text_is_shown(text):
    shown = read(markdown2html("- " + markdown_text(text))).text.strip()
    assert shown.split() == stdlib_html.unescape(html_text(text)).split()


@pytest.mark.parametrize("text", HOSTILE)
def test_html_is_not_interpreted(text):
    frame = pd.DataFrame({text: [text, None], "n": [1.5, np.nan]}, index=pd.Index([text, "x"], name=text))
    pages = {
        "table": html_table(frame),
        "full": FullTable(frame)._repr_html_(),
        "card": html_card(text, html_facts({text: text}), notes=[text]),
    }
    plain = pd.DataFrame({"a": ["b", None], "n": [1.5, np.nan]}, index=pd.Index(["c", "x"], name="d"))
    expected = html_table(plain) + html_card("a", html_facts({"a": "b"}), notes=["c"])
    kept = {"wbr", "span"}
    names = [[tag for tag, _ in read(page).elements if tag not in kept] for page in pages.values()]
    assert names[0] + names[2] == [tag for tag, _ in read(expected).elements] and names[0] == names[1]
    assert all(text.split()[-1] in read(page).text for page in pages.values())


CELLS = [
    "=1+1",
    "+1+1",
    "-x",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1",
    "'=1",
    "''-a",
    "-1-1|x",
    "+cmd",
]
HARMLESS = ["-5", "+3.2e-4", "-.5", "--", "-", "'--", "a=b", "", "P-1", "'a", "1-2", None]


@pytest.mark.parametrize("cell", CELLS)
def test_formulas_are_guarded_in_every_place(cell, tmp_path):
    frame = pd.DataFrame({cell: [cell, "x"], "n": [-1.5, 2]}, index=pd.Index([cell, "y"], name=cell))
    write_csv(frame, tmp_path / "t.csv")
    text = pd.read_csv(tmp_path / "t.csv", header=None, dtype=str, keep_default_na=False)
    assert [c for c in text.to_numpy().ravel() if c[:1] in "=+-@＝\t\r\n " and c and c != "-1.5"] == []
    again = pd.read_csv(tmp_path / "t.csv", index_col=0)
    assert unguarded_cells(again).loc[cell, "n"] == -1.5
    pd.testing.assert_frame_equal(unguarded_cells(guarded_cells(frame)), frame, check_dtype=False)


@pytest.mark.parametrize("cell", HARMLESS)
def test_other_cells_stay_as_they_are(cell):
    frame = pd.DataFrame({"a": [cell, "x"]})
    pd.testing.assert_frame_equal(guarded_cells(frame), frame)
    pd.testing.assert_frame_equal(unguarded_cells(frame), frame)


@given(st.lists(st.text(alphabet="'=+-@ \ta1.", max_size=6), min_size=1, max_size=4))
def test_guarded_tables_can_be_read_again(cells):
    frame = pd.DataFrame({"a": cells}, dtype=object)
    again = unguarded_cells(guarded_cells(frame))
    assert again["a"].tolist() == cells


def test_nothing_of_a_table_is_left_out():
    frame = pd.DataFrame({f"column_{i}": ["word " * 60] * 100 for i in range(40)})
    page = html_table(frame)
    assert page.count("<td") == 4000 and page.count("word " * 60) == 4000
    assert "..." not in page and "…" not in page


def test_heads_of_several_levels():
    frame = pd.DataFrame({("auc", "mean"): [0.7], ("auc", "lo"): [0.6]}, index=pd.Index(["m"], name="model"))
    text = read(html_table(frame)).text
    assert text == "aucmodelmeanlom0.70.6"
