"""Text for notebook cells: lists in parameters; paragraphs, lists and tables on the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mmfusion.display import FullTable
from mmfusion.escaping import markdown_text

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import Markdown


def words(text: str) -> list[str]:
    """Return the words of a text separated by commas.

    >>> words("ct, rna,")
    ['ct', 'rna']
    """
    return [word.strip() for word in text.split(",") if word.strip()]


def words_or_none(text: str) -> list[str]:
    """Return the words of a text separated by commas; "none" gives an empty list.

    In a table of runs, an empty cell means the notebook's default. The word "none" is therefore needed for an
    empty list.

    >>> words_or_none("0.25, 0.5")
    ['0.25', '0.5']
    >>> words_or_none("none")
    []
    """
    return [] if text.strip().lower() == "none" else words(text)


def paragraph(text: object, *, heading: int = 0) -> Markdown:
    """Return a text as a paragraph, or as a heading of a level; it is shown as it is, without markup.

    >>> paragraph("*P1*", heading=2).data
    '## &#42;P1&#42;'
    """
    from IPython.display import Markdown

    return Markdown(f"{'#' * heading} {markdown_text(text)}".lstrip())


def bullets(lines: Iterable[object], *, strong_first: bool = False, otherwise: str = "") -> Markdown:
    """Return texts as a list; each is shown as it is, without markup.

    Parameters
    ----------
    lines : iterable of str
        The texts.
    strong_first : bool
        True prints the first text in bold.
    otherwise : str
        Text that is shown if there are no lines.

    Examples
    --------
    >>> print(bullets(["first", "<b>second"], strong_first=True).data)
    - **first**
    - &#60;b&#62;second
    """
    from IPython.display import Markdown

    texts = [markdown_text(line) for line in lines]
    if strong_first and texts:
        texts[0] = f"**{texts[0]}**"
    return Markdown("\n".join(f"- {text}" for text in texts) or markdown_text(otherwise))


def full_table(frame: pd.DataFrame) -> FullTable:
    """Return a table that is shown with all its rows, columns and words.

    >>> import pandas as pd
    >>> type(full_table(pd.DataFrame({"a": [1]}))).__name__
    'FullTable'
    """
    return FullTable(frame)
