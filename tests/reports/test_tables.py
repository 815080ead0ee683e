"""Tables of pandas on a page."""

from __future__ import annotations

import re

import pandas as pd

from mmfusion.reports.tables import tidy_tables

FRAME = pd.DataFrame({"n_slices": [44, 2], "lungs_ml": [1.5, float("nan")]}, index=["A", "B"])


def head(html: str) -> list[list[str]]:
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html.partition("</thead>")[0], re.DOTALL)
    return [re.findall(r"<th[^>]*>(.*?)</th>", row, re.DOTALL) for row in rows]


def test_the_name_of_the_index_stands_beside_those_of_the_columns():
    html = FRAME.rename_axis("patient_id")._repr_html_()
    assert head(html) == [["", "n_slices", "lungs_ml"], ["patient_id", "", ""]]
    tidy = tidy_tables(html)
    assert head(tidy) == [["patient_id", "n_<wbr>slices", "lungs_<wbr>ml"]]
    assert '<th class="index">patient_id</th>' in tidy
    assert "NaN" not in tidy and tidy.partition("<tbody>")[2] == html.partition("<tbody>")[2].replace(
        "NaN", "–"
    )


def test_heads_that_say_more_stay_as_they_are():
    named = FRAME.rename_axis("patient_id").rename_axis("measure", axis=1)
    deep = pd.concat({"ct": FRAME}, axis=1).rename_axis("patient_id")
    for frame in (named, deep, FRAME, FRAME.iloc[:0]):
        html = frame._repr_html_()
        assert tidy_tables(html).replace("<wbr>", "").replace("–", "NaN") == html


def test_several_tables_and_what_is_no_table_of_pandas():
    other = "<table><tr><th>a_b</th></tr><tr><td>NaN</td></tr></table>"
    html = FRAME.rename_axis("id")._repr_html_()
    both = tidy_tables(html + other + html)
    assert both == tidy_tables(html) + other + tidy_tables(html)
