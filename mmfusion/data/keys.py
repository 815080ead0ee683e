"""Make the patient ids of several tables equal, where they differ only in their spelling.

Ids are compared by six rules, the strictest first. Each rule ignores what the rules before it ignore. Ids are
made equal only if they are in different tables and one id of one table fits one id of the other; no two rows
of a table, and no two tables of one kind, are ever joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mmfusion.data.id_rules import PRIMARY, RULES, SAMPLES, sample_type, tcga_patient, without_word
from mmfusion.data.tables.notes import listed
from mmfusion.errors import DataError


class IdTable(NamedTuple):
    """Patient ids of one table, or of the scans of a manifest.

    Parameters
    ----------
    what : str
        Kind of the content: "labels", "rna", "ct seeds". Two tables of one kind are of different patients.
    file : str
        Name of the table in messages.
    ids : tuple of str
        Patient ids as the table spells them.

    Examples
    --------
    >>> IdTable("rna", "rna.csv", ("X100", "X101")).what
    'rna'
    """

    what: str
    file: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Spelling:
    """The spelling that is used for each id, with an account.

    Parameters
    ----------
    names : mapping
        Id as a table spells it -> id that is used instead. Unchanged ids are not listed.
    dropped : frozenset of str
        Ids of samples that are left out: normal tissue, or a further tumour of a patient.
    notes : tuple of str
        One line per table and rule, with the number of ids and an example.
    problems : tuple of str
        Ids that are probably of one patient, but fit more than one.
    conflicts : tuple of DataError
        Tables with several samples of one patient, of which none can be chosen.

    Examples
    --------
    >>> Spelling({"X100": "100"}).of("X100"), Spelling({"X100": "100"}).of("P7")
    ('100', 'P7')
    """

    names: Mapping[str, str]
    dropped: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    conflicts: tuple[DataError, ...] = ()

    def of(self, name: str) -> str:
        """Return the id that is used for an id of a table."""
        return self.names.get(name, name)


def unify(tables: Iterable[IdTable]) -> Spelling:
    """Find ids of different tables that are one patient in two spellings, and choose one spelling.

    The spelling of the labels is preferred, then the one in most tables, then the shortest. The result does
    not depend on the order of the tables or of their rows.

    Of several samples of one patient in a TCGA table, the primary tumour (01) is used, and normal samples
    (10 to 19) are left out. This is done only if the patient is in another table too.

    Parameters
    ----------
    tables : iterable of IdTable
        All tables of a cohort, and its scans.

    Returns
    -------
    Spelling

    Examples
    --------
    >>> clinical = IdTable("labels", "clinical.csv", ("100", "101"))
    >>> spelling = unify([clinical, IdTable("rna", "rna.csv", ("X100", "X101", "X999"))])
    >>> dict(spelling.names)
    {'X100': '100', 'X101': '101'}
    >>> print(spelling.notes[0].partition(": ")[2])
    2 ids were matched ignoring the X and the dots of R's names (X100 is 100)
    """
    return _Matcher(list(tables)).result()


class _Matcher:
    """The ids of all tables while they are matched, rule by rule."""

    def __init__(self, tables: list[IdTable]) -> None:
        self.tables = tables
        self.kinds: dict[str, set[str]] = {}  # kind of table -> ids as they are now
        self.files: dict[str, set[str]] = {}  # id as it is now -> files
        for table in tables:
            self.kinds.setdefault(table.what, set()).update(table.ids)
            for name in table.ids:
                self.files.setdefault(name, set()).add(table.file)
        self.meant = {name: {name} for name in self.files}  # id as it is now -> ids in the tables
        self.rule: dict[str, str] = {}  # id in a table -> rule by which it was changed
        self.dropped: set[str] = set()
        # (kind, files) -> samples of each patient of whom none can be chosen
        self.conflicts: dict[tuple[str, tuple[str, ...]], list[list[str]]] = {}

    def result(self) -> Spelling:
        for rule, key in RULES.items():
            for group in self._groups(key):
                self._join(self._choose_samples(group) if rule == SAMPLES else group, rule)
            if rule == SAMPLES:
                self._drop_lone_normals()
        names = {old: new for new, olds in self.meant.items() for old in olds if old != new}
        dropped = frozenset(self.dropped)
        return Spelling(names, dropped, self._notes(names), self._ambiguous(), tuple(self._errors()))

    def _groups(self, key: Callable[[str], str]) -> list[set[str]]:
        """Return the sets of ids, in order, that are equal by a rule and are not yet one id."""
        alike: dict[str, set[str]] = {}
        for name in self.files:
            alike.setdefault(key(name), set()).add(name)
        return [alike[k] for k in sorted(alike) if len(alike[k]) > 1]

    def _join(self, group: set[str], rule: str) -> None:
        """Make the ids of a group equal, if no kind of table has two of them."""
        if len(group) < 2 or any(len(names & group) > 1 for names in self.kinds.values()):
            return
        chosen = min(group, key=self._preference)
        for name in group - {chosen}:
            self.rule |= dict.fromkeys(self.meant[name], rule)
            self.meant[chosen] |= self.meant.pop(name)
            self.files[chosen] |= self.files.pop(name)
            for names in self.kinds.values():
                if name in names:
                    names.remove(name)
                    names.add(chosen)

    def _preference(self, name: str) -> tuple:
        kinds = [kind for kind, names in self.kinds.items() if name in names]
        return ("labels" not in kinds, -len(kinds), len(name), name)

    def _choose_samples(self, group: set[str]) -> set[str]:
        """Return a group of ids of one patient with one sample per kind of table; leave out the others."""
        here = {kind: names & group for kind, names in self.kinds.items() if names & group}
        if len(here) < 2 or all(names == group for names in here.values()):
            return group
        # an id that is in several kinds of tables meets already, and is left alone
        lone = {name for name in group if sum(name in names for names in here.values()) == 1}
        others: set[str] = set()
        clear = True
        for kind, names in here.items():
            samples = {name for name in names if sample_type(name)}
            tumours = {name for name in samples if sample_type(name) < "10"}
            first = {name for name in tumours if sample_type(name) in PRIMARY} or tumours
            if first & lone and (len(first) > 1 or names - samples):
                self._conflict(kind, names)
                clear = False
            elif group - samples:  # else all that is known of the patient is in this table
                others |= (samples - first) & lone
        if not clear:
            return set()
        self._drop(others)
        return group - others

    def _conflict(self, kind: str, names: set[str]) -> None:
        files = sorted({table.file for table in self.tables if table.what == kind and names & set(table.ids)})
        self.conflicts.setdefault((kind, tuple(files)), []).append(sorted(names))

    def _errors(self) -> Iterator[DataError]:
        for (kind, files), found in sorted(self.conflicts.items()):
            found = sorted(found)
            yield DataError(
                f"several {kind} samples of one patient",
                patient=listed(tcga_patient(names[0]).upper() for names in found),
                file=listed(files, 3),
                expected="one tumour sample",
                got=listed(found[0]),
                hint="keep one of them in the table",
            )

    def _drop(self, samples: set[str]) -> None:
        for name in samples:
            self.dropped |= self.meant.pop(name)
            del self.files[name]
            for names in self.kinds.values():
                names.discard(name)

    def _drop_lone_normals(self) -> None:
        """Leave out the normal samples of patients who are in no other table, if the file was matched."""
        changed = {name for name, rule in self.rule.items() if rule == SAMPLES}
        matched = {table.file for table in self.tables if changed & set(table.ids)}
        here = [name for names in self.kinds.values() for name in names]
        lone = {name for name in set(here) if sample_type(name) >= "10" and here.count(name) == 1}
        self._drop({name for name in lone if self.files[name] <= matched})

    def _notes(self, names: Mapping[str, str]) -> tuple[str, ...]:
        found: dict[tuple[str, str], list[str]] = {}
        for table in self.tables:
            for name in table.ids:
                if name in names:
                    found.setdefault((table.file, f"matched {self.rule[name]}"), []).append(name)
                elif name in self.dropped:
                    normal = sample_type(name) >= "10"
                    why = "normal tissue" if normal else "a further tumour of the patient"
                    found.setdefault((table.file, f"left out as {why}"), []).append(name)
        lines = []
        for (file, what), old in sorted(found.items()):
            example, count = min(old), len(set(old))
            now = f" is {names[example]}" if example in names else ""
            lines.append(f"{file}: {count} id{'s were' if count > 1 else ' was'} {what} ({example}{now})")
        return tuple(lines)

    def _ambiguous(self) -> tuple[str, ...]:
        """Describe ids that are probably one patient in two spellings, but could not be matched."""
        pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
        conflicting = {tcga_patient(names[0]) for found in self.conflicts.values() for names in found}
        for group in self._groups(without_word):
            if pair := () if conflicting & set(map(tcga_patient, group)) else _apart(group, self.files):
                pairs.setdefault((min(self.files[pair[0]]), min(self.files[pair[1]])), []).append(pair)
        return tuple(
            f"{len(ids)} patient{'s' * (len(ids) > 1)}: {a} writes {ids[0][0]}, {b} {ids[0][1]}: make "
            "the ids equal if they are one patient; if they are not, make them differ more"
            for (a, b), ids in sorted(pairs.items())
        )


def _apart(group: set[str], files: Mapping[str, set[str]]) -> tuple[str, str] | tuple[()]:
    """Return two ids of a group that are in different files, one of them in a single file; () if none are."""
    for name in sorted(group):
        others = [other for other in sorted(group) if not files[other] & files[name]]
        if others and len(files[name]) == 1:
            return tuple(sorted((name, others[0]), key=lambda n: (min(files[n]), n)))
    return ()
