"""Numbers of patients that two modalities share, and of columns that two tables of one modality share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mmfusion.data.tables.gene_columns import naming
from mmfusion.errors import DataError

FEW = 0.5  # share of the smaller side, below which the user is warned


@dataclass(frozen=True)
class Overlap:
    """Result of a comparison.

    Parameters
    ----------
    note : str
        The numbers, in one line; "" if there was nothing to compare.
    warnings : tuple of str
        Pairs that share little, with examples from both sides.
    errors : tuple of DataError
        Pairs that share nothing.

    Examples
    --------
    >>> Overlap("shared patients: ehr and rna 24").errors
    ()
    """

    note: str = ""
    warnings: tuple[str, ...] = ()
    errors: tuple[DataError, ...] = ()


def shared_patients(has: Mapping[str, Collection[str]]) -> Overlap:
    """Compare the patients of modalities and labels, pair by pair.

    A pair that shares less than half of the smaller side is a warning. A pair that shares nobody is an error;
    it is a warning if both sides share at least half of their patients with a third one, because then their
    ids are spelled alike.

    Parameters
    ----------
    has : mapping
        "labels" or name of a modality -> ids of the patients who have it.

    Returns
    -------
    Overlap

    Examples
    --------
    >>> found = shared_patients({"ehr": ["P1", "P2"], "rna": ["A1", "A2"], "labels": ["P1", "P2"]})
    >>> found.note
    'shared patients: ehr and labels 2 of 2, ehr and rna 0 of 2, labels and rna 0 of 2'
    >>> print(found.errors[0])
    rna shares no patient with ehr and labels (expected P1, P2, as in ehr; got A1, A2) -> make the ids equal
    """
    sides = {name: set(ids) for name, ids in sorted(has.items()) if len(ids)}
    shared = {(a, b): len(sides[a] & sides[b]) for a, b in combinations(sides, 2)}
    if not shared:
        return Overlap()
    smaller = {pair: min(len(sides[side]) for side in pair) for pair in shared}
    counts = [f"{a} and {b} {n} of {smaller[a, b]}" for (a, b), n in shared.items()]
    note = "shared patients: " + ", ".join(counts)
    few = {pair: n for pair, n in shared.items() if n < FEW * smaller[pair]}
    none = [pair for pair, n in few.items() if not n and not _linked(pair, shared, few)]
    errors = [_no_patient(odd, others, sides) for odd, others in _by_odd_one(none)]
    rest = [pair for pair in few if pair not in none]
    warnings = [_few_patients(odd, others, sides) for odd, others in _by_odd_one(rest)]
    return Overlap(note, tuple(warnings), tuple(errors))


def _linked(pair: tuple[str, str], shared: Mapping, few: Mapping) -> bool:
    """Return True if both sides of a pair share many patients with one third side."""
    close = [set(other) for other in shared if other not in few]
    third = {side for other in close for side in other} - set(pair)
    return any({pair[0], side} in close and {pair[1], side} in close for side in third)


def _by_odd_one(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Group pairs by the side that is in most of them, so that each cause is named once."""
    rest, groups = list(pairs), []
    while rest:
        count = Counter(side for pair in rest for side in pair)
        odd = min(count, key=lambda side: (-count[side], side == "labels", side == "ehr", side))
        groups.append((odd, [b if a == odd else a for a, b in rest if odd in (a, b)]))
        rest = [pair for pair in rest if odd not in pair]
    return groups


def _no_patient(odd: str, others: list[str], sides: Mapping[str, set[str]]) -> DataError:
    return DataError(
        f"{odd} shares no patient with {_listed(others)}",
        expected=f"{_examples(sides[others[0]])}, as in {others[0]}",
        got=_examples(sides[odd]),
        hint="make the ids equal",
    )


def _few_patients(odd: str, others: list[str], sides: Mapping[str, set[str]]) -> str:
    counts = [
        f"{len(sides[odd] & sides[other])} of {min(len(sides[odd]), len(sides[other]))} patients with {other}"
        for other in others
    ]
    only, missed = sides[odd] - sides[others[0]], sides[others[0]] - sides[odd]
    return (
        f"{odd} shares only {_listed(counts)}; only in {odd}: {_examples(only)}; only in {others[0]}: "
        f"{_examples(missed)}: if these are the same patients, make the ids equal"
    )


def shared_columns(modality: str, tables: Mapping[str, Sequence[str]]) -> Overlap:
    """Compare the columns of several tables of one modality, which hold different patients.

    Columns that only one table has are missing for the patients of the others, so that a model can tell from
    them which hospital a patient is from.

    Parameters
    ----------
    modality : str
        Name of the modality.
    tables : mapping
        File -> names of its columns.

    Returns
    -------
    Overlap
        Empty if there is one table.

    Examples
    --------
    >>> found = shared_columns("rna", {"a.csv": ["TP53"], "b.csv": ["ENSG00000141510"]})
    >>> print(found.errors[0])
    file b.csv: shares no column of rna with a.csv (expected gene symbols, as TP53; got Ensembl ids, ...
    """
    kinds: dict[frozenset[str], str] = {}
    for file, columns in sorted(tables.items()):
        kinds.setdefault(frozenset(map(str, columns)), file)
    sizes = sorted(kinds, key=lambda columns: (-len(columns), kinds[columns]))
    if len(tables) < 2:
        return Overlap()
    if len(sizes) == 1:
        return Overlap(f"columns of {modality}: {len(tables)} tables with the same {len(sizes[0])} columns")
    largest = sizes[0]
    parts, warnings, errors = [], [], []
    for columns in sizes[1:]:
        n, few = len(columns & largest), len(columns & largest) < FEW * len(columns)
        parts.append(f"{kinds[columns]} has {len(columns)}, {n} of them shared")
        if not n:
            errors.append(_no_column(modality, largest, columns, kinds))
        elif few:
            warnings.append(_few_columns(modality, largest, columns, kinds))
    note = f"columns of {modality}: {kinds[largest]} has {len(largest)}, {_some(parts)}"
    return Overlap(note, tuple(warnings), tuple(errors))


def _no_column(modality: str, expected: frozenset, got: frozenset, files: Mapping) -> DataError:
    genes = modality == "rna"
    hint = "name the genes alike in both tables" if genes and naming(expected) != naming(got) else None
    return DataError(
        f"shares no column of {modality} with {files[expected]}",
        file=files[got],
        expected=(f"{naming(expected)}, as " if genes else "") + _examples(expected),
        got=(f"{naming(got)}, as " if genes else "") + _examples(got),
        hint=hint or "name the columns alike in both tables",
    )


def _few_columns(modality: str, largest: frozenset, columns: frozenset, files: Mapping) -> str:
    a, b, n = files[columns], files[largest], len(columns & largest)
    names = (naming(columns), naming(largest))
    genes = f" ({a} has {names[0]}, {b} {names[1]})" if modality == "rna" and names[0] != names[1] else ""
    return (
        f"{a} and {b} share only {n} of {len(columns)} columns of {modality}{genes}; only in {a}: "
        f"{_examples(columns - largest)}; only in {b}: {_examples(largest - columns)}: a column that "
        "one table lacks is missing for all its patients, so a model can tell which table they are from"
    )


def _examples(names: Collection[str], most: int = 2) -> str:
    return ", ".join(sorted(map(str, names))[:most]) or "none"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _some(parts: Sequence[str], most: int = 5) -> str:
    return "; ".join(parts[:most]) + (f"; and {len(parts) - most} more tables" if len(parts) > most else "")
