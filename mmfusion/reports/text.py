"""Text for notebook cells: lists in parameters, and lists on the page."""

from __future__ import annotations

from collections.abc import Iterable


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


def markdown_list(lines: Iterable[str]) -> str:
    r"""Return lines as a Markdown list.

    >>> markdown_list(["first", "second"])
    '- first\n- second'
    """
    return "\n".join(f"- {line}" for line in lines)
