"""Make the tables of pandas, as notebooks show them, easier to read on a page."""

from __future__ import annotations

import re

_TABLE = re.compile(r'<table[^>]*class="dataframe".*?</table>', re.DOTALL)
_HEAD = re.compile(r"(<thead>\s*<tr[^>]*>)(.*?)</tr>\s*<tr>(.*?)</tr>\s*</thead>", re.DOTALL)
_CELL = re.compile(r"<th[^>]*>(.*?)</th>", re.DOTALL)
_NAME = re.compile(r"<th>[^<]*_[^<]*</th>")
_MISSING = re.compile(r"<td>(?:NaN|None|NaT|&lt;NA&gt;)</td>")


def tidy_tables(html: str) -> str:
    """Return HTML with tidy pandas tables; the rest is unchanged.

    The names of the index are in the row of the column names. Long column names can be broken at an
    underscore. A missing value is shown as a dash.

    >>> tidy_tables('<table class="dataframe"><tbody><tr><td>NaN</td></tr></tbody></table>')
    '<table class="dataframe"><tbody><tr><td>–</td></tr></tbody></table>'
    """
    return _TABLE.sub(lambda found: _tidied(found[0]), html)


def _tidied(table: str) -> str:
    table = _MISSING.sub("<td>–</td>", _HEAD.sub(_one_row, table))
    head, end, body = table.rpartition("</thead>")
    return _NAME.sub(lambda found: found[0].replace("_", "_<wbr>"), head) + end + body


def _one_row(found: re.Match) -> str:
    """Join two rows of a head, if each cell has a text in one of them at most."""
    columns, index = _CELL.findall(found[2]), _CELL.findall(found[3])
    if len(columns) != len(index) or "colspan" in found[0]:
        return found[0]
    if any(column and name for column, name in zip(columns, index, strict=True)):
        return found[0]
    cells = "".join(
        f'<th class="index">{name}</th>' if name else f"<th>{column}</th>"
        for column, name in zip(columns, index, strict=True)
    )
    return f"{found[1]}{cells}</tr></thead>"
