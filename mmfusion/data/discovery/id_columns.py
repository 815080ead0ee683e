"""Find the column of patient ids in a table by its values."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from mmfusion.data.id_rules import without_word

ENOUGH = 0.5  # share of the rows whose id must be known


def shared_ids(ids: Collection[str], known: Collection[str]) -> float:
    """Return the share of ids that are known in any spelling.

    >>> shared_ids(["X100", "X101", "X900"], ["100", "101"]).__round__(2)
    0.67
    """
    keys = {without_word(name) for name in known}
    return sum(without_word(str(name)) in keys for name in ids) / max(len(ids), 1)


def column_of_known_ids(table: pd.DataFrame, known: Collection[str]) -> str | None:
    """Return the header of the column whose values are ids of patients in other tables.

    Parameters
    ----------
    table : DataFrame of str, shape (n_rows, n_columns)
        Cells as in the file.
    known : collection of str
        Ids in other tables, in any spelling.

    Returns
    -------
    str or None
        The column in which most values are known ids, if these are at least half of its values. None if no
        column or several columns fit.

    Examples
    --------
    >>> table = pd.DataFrame({"No": ["1", "2"], "Barcode": ["TCGA-05-4000", "TCGA-05-4001"]})
    >>> column_of_known_ids(table, ["TCGA-05-4000-01A", "TCGA-05-4001-01A"])
    'Barcode'
    """
    shares = {column: shared_ids(_values(table[column]), known) for column in table.columns}
    best = max(shares.values(), default=0.0)
    fits = [column for column, share in shares.items() if share == best]
    return fits[0] if best >= ENOUGH and len(fits) == 1 else None


def _values(cells: pd.Series) -> list[str]:
    values = [text for text in cells.astype("str").str.strip() if text and text != "nan"]
    return values if len(set(values)) > 1 or len(cells) == 1 else []
