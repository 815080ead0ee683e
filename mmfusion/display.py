"""Tables of results as HTML for notebooks and reports: complete, and readable on light and dark pages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from mmfusion.escaping import html_text

# styles are part of the elements, as JupyterLab removes style sheets from notebooks that it does not trust
_TEXT = "text-align:left;white-space:normal;overflow-wrap:break-word;max-width:42em;vertical-align:top"
_LONG = "text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:14em;vertical-align:top"
_SHORT = "text-align:left;white-space:nowrap;vertical-align:top"
_FEW, _MANY = 20, 40  # characters of a short text, in one line, and of a long text, broken anywhere
_NUMBER = "text-align:right;vertical-align:top"
_MISSING = "–"
_WIDTH = 120  # characters of a line of a printed table; more columns follow below
_CLASS = "mmfusion mathjax_ignore tex2jax_ignore"  # JupyterLab reads no formulas in it


class FullTable(pd.DataFrame):
    """Table that is shown with all its rows, columns and words; otherwise a plain DataFrame.

    Examples
    --------
    >>> table = FullTable({"summary": ["long " * 40]}, index=["a"])
    >>> "long long" in table._repr_html_() and "..." not in table._repr_html_()
    True
    >>> "..." in repr(table)
    False
    """

    def _repr_html_(self) -> str:
        return html_table(self)

    def __repr__(self) -> str:
        return self.to_string(line_width=_WIDTH)


def html_table(frame: pd.DataFrame) -> str:
    """Return a table as HTML; nothing is left out, and all text is escaped.

    Parameters
    ----------
    frame : DataFrame
        Any table. Floats are shown with four digits, and missing values as a dash.

    Examples
    --------
    >>> text = html_table(pd.DataFrame({"site": ["<b>"], "auc": [0.71239]}, index=["P1"]))
    >>> "&lt;b&gt;" in text and ">0.7124<" in text
    True
    """
    numeric = [d.kind in "iufc" for d in frame.dtypes]
    head = "".join(f"<tr>{cells}</tr>" for cells in _head(frame, numeric))
    rows = []
    for key, *values in frame.itertuples(name=None):
        names = key if isinstance(key, tuple) else (key,)
        cells = [_cell("th", _shown(n), numeric=False) for n in names]
        cells += [_cell("td", _shown(v), numeric=n) for v, n in zip(values, numeric, strict=True)]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div style="overflow-x:auto"><table class="{_CLASS}">'
        f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def html_card(title: str, *parts: str, notes: Iterable[str] = ()) -> str:
    """Return a title, parts that are HTML, and notes as one block of HTML.

    Parameters
    ----------
    title : str
        Text above the parts.
    *parts : str
        HTML, such as from `html_table`. It is not escaped.
    notes : iterable of str
        Texts below the parts.

    Examples
    --------
    >>> "<p><small>a &lt; b</small></p>" in html_card("3 patients", notes=["a < b"])
    True
    """
    below = "".join(f"<p><small>{_literal(note)}</small></p>" for note in notes)
    return f'<div class="{_CLASS}"><p><b>{_literal(title)}</b></p>{"".join(parts)}{below}</div>'


def html_facts(facts: Mapping[str, object]) -> str:
    """Return names and values as a table of two columns.

    >>> "<td" in html_facts({"unit": "HU"})
    True
    """
    rows = [
        f"<tr>{_cell('th', name, numeric=False)}{_cell('td', _shown(value), numeric=False)}</tr>"
        for name, value in facts.items()
    ]
    return f'<table class="{_CLASS}"><tbody>{"".join(rows)}</tbody></table>'


def short_number(value: float) -> str:
    """Return a float with four digits, and whole numbers without a point.

    >>> short_number(0.71239), short_number(4000.0), short_number(float("nan"))
    ('0.7124', '4000', '–')
    """
    if math.isnan(value):
        return _MISSING
    if abs(value) >= 1e15:  # also infinite
        return f"{value:.4g}"
    return f"{value:.0f}" if value == int(value) or abs(value) >= 1e4 else f"{value:.4g}"


def _head(frame: pd.DataFrame, numeric: Sequence[bool]) -> Iterable[str]:
    """Yield the cells of each row of the head; the names of the index are in its last row."""
    columns, index = frame.columns, frame.index
    for level in range(columns.nlevels):
        last = level == columns.nlevels - 1
        names = [_broken(n) if last and n is not None else "" for n in index.names]
        labels = columns.get_level_values(level)
        repeated = [not last and i > 0 and labels[i] == labels[i - 1] for i in range(len(labels))]
        cells = [_cell("th", name, numeric=False, escaped=True) for name in names]
        cells += [
            _cell("th", "" if again else _broken(label), numeric=n, escaped=True)
            for label, again, n in zip(labels, repeated, numeric, strict=True)
        ]
        yield "".join(cells)


def _broken(name: object) -> str:
    """Return a name as HTML that can be broken at an underscore."""
    return _literal(name).replace("_", "_<wbr>")


def _literal(value: object) -> str:
    """Return text for HTML in which JupyterLab finds no formula, also where it ignores the class."""
    return re.sub(r"[$\\]", r"<span>\g<0></span>", html_text(value))


def _cell(tag: str, text: object, *, numeric: bool, escaped: bool = False) -> str:
    length = len(str(text))
    style = _LONG if length > _MANY else _SHORT if length <= _FEW and not escaped else _TEXT
    style = _NUMBER if numeric else style
    return f'<{tag} style="{style}">{text if escaped else _literal(text)}</{tag}>'


def _shown(value: object) -> object:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return short_number(float(value))
    return _MISSING if value is None or value is pd.NaT or value is pd.NA else value
