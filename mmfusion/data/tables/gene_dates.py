"""Names of genes that a spreadsheet turned into dates: SEPT2 became 2-Sep, and MARCH1 became 1-Mar.

Sources: Zeeberg et al. 2004, BMC Bioinformatics 5:80; Ziemann et al. 2016, Genome Biology 17:177. The genes
were renamed for this reason: SEPTIN2, MARCHF1, MTARC1 (once MARC1), DELEC1 (once DEC1).
"""

from __future__ import annotations

import datetime
import re
from collections import Counter

from mmfusion.data.tables.notes import TableNotes, listed, note

# names of months in the languages in which spreadsheets are often used; the place is the number
_MONTHS = (
    "jan(uar|uary|vier)?|ene(ro)?|gen(naio)?",
    "feb(ruar|ruary|rero|braio)?|f[eé]v(rier)?",
    "mar(ch|s|zo)?|märz?|mrz",
    "apr(il|ile)?|avr(il)?|abr(il)?",
    "may|mai|mayo|mag(gio)?",
    "jun[ei]?|juin|junio|giu(gno)?",
    "jul[iy]?|juil(let)?|julio|lug(lio)?",
    "aug(ust)?|août|ago(sto)?",
    "sept?(ember|embre|iembre)?|set(tembre)?",
    "oct(ober|obre|ubre)?|okt(ober)?|ott(obre)?",
    "nov(ember|embre|iembre)?",
    "dec(ember)?|d[eé]c(embre)?|dez(ember)?|dic(iembre|embre)?",
)
_WORD, _DAY = "|".join(f"(?P<m{k}>{words})" for k, words in enumerate(_MONTHS, start=1)), r"\d{1,2}"
_NAMED_MONTH = re.compile(rf"(?:({_DAY})[-./ ]+)?(?:{_WORD})\.?(?:[-./ ]+({_DAY}|\d{{4}}))?")
_DIGITS = re.compile(
    r"\d{4}-(\d{1,2})-(\d{1,2})(?:[t ][\d:.]+)?|(\d{1,2})([./-])(\d{1,2})\4(?:\d{4}|\d{2})(?: [\d:.]+)?"
)
_SERIALS = range(36526, 49000)  # days of a spreadsheet from 2000 on
_DAY_ZERO = datetime.date(1899, 12, 30)


def undo_dates(
    names: list[str], *, serials: bool = True, file: object = None, notes: TableNotes | None = None
) -> None:
    """Replace names that are dates, in place: by the gene if it can be only one, else by "".

    Both are noted. A gene that another name of the table has is not given a second time.

    Parameters
    ----------
    names : list of str
        Names of genes.
    serials : bool
        Whether a number of five digits may be a date: the days since 1900, as a spreadsheet stores it.
    file : path, optional
        Named in warnings.
    notes : TableNotes, optional
        Account of the table.

    Examples
    --------
    >>> names, notes = ["EGFR", "2-Sep", "1-Mar"], TableNotes()
    >>> undo_dates(names, notes=notes)
    >>> names
    ['EGFR', 'SEPTIN2', '']
    >>> notes.texts[0]
    'a spreadsheet turned names of genes into dates, which are read as: 2-Sep as SEPTIN2'
    """
    dates = {name: found for name in names if (found := date_genes(name, serials=serials)) is not None}
    if not dates:
        return
    times = Counter(found for name in names if (found := dates.get(name)))
    taken = {name.upper().replace("MARCH", "MARCHF").replace("MARCHFF", "MARCHF") for name in names}
    taken |= {re.sub(r"^SEPT(?=\d)", "SEPTIN", name.upper()) for name in names}
    sure = {
        name: found[0]
        for name, found in dates.items()
        if len(found) == 1 and times[found] == 1 and found[0] not in taken
    }
    unsure = [
        f"{name} ({' or '.join(f) or 'no known gene'})" for name, f in dates.items() if name not in sure
    ]
    text = "a spreadsheet turned names of genes into dates, which"
    if sure:
        note(notes, f"{text} are read as: {listed((f'{a} as {b}' for a, b in sure.items()), 10)}", file)
    if unsure:
        note(notes, f"{text} were not read: {listed(unsure, 10)}", file)
    names[:] = [sure.get(name, "") if name in dates else name for name in names]


def date_genes(name: str, *, serials: bool = True) -> tuple[str, ...] | None:
    """Return the genes that a spreadsheet may have turned into this date, or None if the name is no date.

    Parameters
    ----------
    name : str
        Name in the place of a gene, such as "2-Sep", "Sep-02", "2023-09-02", "02/09/2023" or "45171".
    serials : bool
        Whether a number of five digits may be a date.

    Examples
    --------
    >>> date_genes("2-Sep"), date_genes("2023-03-01"), date_genes("44441"), date_genes("EGFR")
    (('SEPTIN2',), ('MARCHF1', 'MTARC1'), ('SEPTIN2',), None)
    """
    text = name.strip().lower()
    if serials and re.fullmatch(r"\d{5}(\.0+)?", text) and int(text[:5]) in _SERIALS:
        when = _DAY_ZERO + datetime.timedelta(days=int(text[:5]))
        return _genes(when.month, when.day)
    if (found := _NAMED_MONTH.fullmatch(text)) and (day := found[1] or found[found.re.groups]):
        return _genes(next(k for k in range(1, 13) if found[f"m{k}"]), int(day))
    if not (found := _DIGITS.fullmatch(text)):
        return None
    if found[1]:  # year, month, day
        return _genes(int(found[1]), int(found[2]))
    first, second = int(found[3]), int(found[5])
    return tuple(dict.fromkeys((*_genes(second, first), *_genes(first, second))))


def _genes(month: int, day: int) -> tuple[str, ...]:
    if month == 3 and 1 <= day <= 11:
        return (f"MARCHF{day}", f"MTARC{day}") if day < 3 else (f"MARCHF{day}",)
    if month == 9 and 1 <= day <= 14:
        return (f"SEPTIN{day}",)
    return ("DELEC1",) if (month, day) == (12, 1) else ()
