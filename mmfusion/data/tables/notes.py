"""Account of one table: what was changed while it was read, and which columns were not used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mmfusion.errors import TableWarning, warn


@dataclass
class TableNotes:
    """Account that the readers of tables fill; give one to a reader, and look at it afterwards.

    A reader without an account warns of each text instead (`TableWarning`), so that nothing is lost without
    a word.

    Parameters
    ----------
    texts : list of str
        One sentence for each change: rows that are no patients, words read as missing, doubtful values.
    unused : dict of str
        Header of each column that this reader does not use -> the reason. Another reader of the same file
        may use the column: a table of stages and health records has both.
    edition : int, optional
        AJCC edition that the headers of the stage name.

    Examples
    --------
    >>> notes = TableNotes()
    >>> note(notes, "line 1 was not read")
    >>> leave_out(notes, ["pStage"], "reveals the stage")
    >>> notes.texts, notes.unused
    (['line 1 was not read'], {'pStage': 'reveals the stage'})
    """

    texts: list[str] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)
    edition: int | None = None


def note(notes: TableNotes | None, text: str, file: object = None) -> None:
    """Add a sentence to the account of a table; without an account, warn.

    Parameters
    ----------
    notes : TableNotes, optional
        Account of the table.
    text : str
        One sentence.
    file : path, optional
        File that a warning names.

    Examples
    --------
    >>> notes = TableNotes()
    >>> note(notes, "2 empty rows were not read")
    >>> notes.texts
    ['2 empty rows were not read']
    """
    if notes is None:
        warn(text if file is None else f"{file}: {text}", TableWarning, stacklevel=3)
    elif text not in notes.texts:
        notes.texts.append(text)


def leave_out(notes: TableNotes | None, columns: Iterable[object], why: str) -> None:
    """Record columns that a reader does not use by its task; without an account, nothing is recorded.

    Examples
    --------
    >>> notes = TableNotes()
    >>> leave_out(notes, ["seed_x"], "a seed point")
    >>> notes.unused
    {'seed_x': 'a seed point'}
    """
    if notes is not None:
        notes.unused.update({str(column): why for column in columns})


def listed(names: Iterable[object], most: int = 5) -> str:
    """Return the first names as text, and the number of the others.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    names = list(map(str, names))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
