"""Text from data, made safe to show: in HTML, in Markdown, and in spreadsheets."""

from __future__ import annotations

import csv
import html
import re
import string
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

# control characters, halves of characters, and marks that reverse the direction of writing
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_MARKUP = {ord(c): f"&#{ord(c)};" for c in string.punctuation if c not in ",;%?'"}
# an element of its own, because programs that typeset formulas look for these two in the finished page
_MARKUP |= {ord(c): f"<span>&#{ord(c)};</span>" for c in "$\\"}
_ACTIVE = re.compile(r"[\\`*\[\]<>|$&]|(?<!\w)_|_(?!\w)")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_BEGIN = r"(?!\s*-*\s*\Z)(\s*[=+\-@＝＋－＠]|[\t\r\n])"  # dashes alone, such as "--", are no formula
_FORMULA, _GUARDED = re.compile(f"'*{_BEGIN}"), re.compile(f"'+{_BEGIN}")


def visible_text(value: object) -> str:
    r"""Return a value as text in which each character that cannot be shown is replaced by "\ufffd".

    >>> visible_text("P1\x00\u202e") == "P1\ufffd\ufffd"
    True
    """
    return _UNSEEN.sub("\ufffd", str(value))


def html_text(value: object) -> str:
    """Return a value as text for HTML; it shows as it is, in an element and in an attribute.

    >>> html_text('<meta http-equiv="refresh">')
    '&lt;meta http-equiv=&quot;refresh&quot;&gt;'
    """
    return html.escape(visible_text(value))


def markdown_text(value: object) -> str:
    """Return a value as text for Markdown, in one line; it shows as it is.

    Nothing in the text becomes a link, an element, a formula, a list or a heading.

    >>> markdown_text("*a* <b>")
    '&#42;a&#42; &#60;b&#62;'
    """
    return " ".join(visible_text(value).split()).translate(_MARKUP)


def readable_text(value: object) -> str:
    r"""Return text from data for a terminal; only line breaks before an item of a list are kept.

    >>> readable_text("two\nseries:\n  - a\x1b")
    'two series:\n  - a\ufffd'
    """
    return re.sub(r"\s*\n(?!  - )\s*", " ", visible_text(value))


def readable_markdown(value: object) -> str:
    r"""Return a value as text for a Markdown file that is also read as it is.

    Only characters that could begin an element, a link, a formula or emphasis get a backslash in front.

    >>> print(readable_markdown("<b> [x](y) p_1"))
    \<b\> \[x\](y) p_1
    """
    return _ACTIVE.sub(r"\\\g<0>", readable_text(value))


def guarded_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text is a formula for a spreadsheet program.

    Texts, column names and row names that begin with =, +, -, @, a tab or a line break get an apostrophe in
    front, which spreadsheet programs read as "this is text". Numbers stay numbers. `unguarded_cells` gives
    the table back.

    Parameters
    ----------
    frame : DataFrame
        It is not changed.

    Examples
    --------
    >>> import pandas as pd
    >>> guarded_cells(pd.DataFrame({"id": ["=1+1", "P2"], "delta": [-1.5, 2.0]})).to_dict("list")
    {'id': ["'=1+1", 'P2'], 'delta': [-1.5, 2.0]}
    """
    return _each_text(frame, lambda text: f"'{text}" if _is_formula(text) else text)


def unguarded_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table that was given to `guarded_cells`.

    >>> import pandas as pd
    >>> unguarded_cells(pd.DataFrame({"id": ["'=1+1", "'P2"]})).to_dict("list")
    {'id': ['=1+1', "'P2"]}
    """
    return _each_text(frame, lambda text: text[1:] if _GUARDED.match(text) else text)


def write_csv(frame: pd.DataFrame, file: str | Path, *, index: bool = True, **options: object) -> None:
    """Write a table as CSV without formulas (`guarded_cells`), with all digits of its numbers.

    Parameters
    ----------
    frame : DataFrame
        The table.
    file : path
        File to write.
    index : bool
        False leaves the row names out.
    **options
        Passed to `DataFrame.to_csv`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_csv(pd.DataFrame({"id": ["@a"], "n": [-1]}), Path(folder) / "t.csv", index=False)
    ...     print((Path(folder) / "t.csv").read_text())
    id,n
    '@a,-1
    <BLANKLINE>
    """
    broken: list[str] = []  # texts with a carriage return, which must be quoted
    _each_text(frame, lambda text: broken.append(text) or text if "\r" in text else text)
    quoting = csv.QUOTE_NONNUMERIC if broken else csv.QUOTE_MINIMAL
    guarded_cells(frame).to_csv(file, index=index, lineterminator="\n", quoting=quoting, **options)


def _is_formula(text: str) -> bool:
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None


def _each_text(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """Return the table with `change` applied to each text: cells, column names, row names."""

    def one(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(map(one, value))
        return change(value) if isinstance(value, str) else value

    out = frame.copy()
    for i, dtype in enumerate(frame.dtypes):
        if dtype.kind not in "biufcmM":
            before = frame.iloc[:, i].astype(object)
            after = before.map(one, na_action="ignore")
            if not after.equals(before):
                out.isetitem(i, after)
    names = [map(one, axis.names) for axis in (out.columns, out.index)]
    out.columns, out.index = out.columns.map(one), out.index.map(one)
    out.columns.names, out.index.names = map(list, names)
    return out
