"""Headers of columns that reveal the stage, or are known only after the diagnosis."""

from __future__ import annotations

import re

from mmfusion.data.tables.files import header_key

_NODES = r"(lymph )?nod(e|es|al)"
_INVOLVED = (
    r"status|positiv|involve|disease|spread|count|ratio|examined|removed|resected|sampled|dissected|[+]"
)
# treatment, recurrence, survival; or a date
_AFTER = re.compile(
    r"recurren|relapse|progressi|surviv|death|\bdead(status)?\b|\bdied\b|\bdeceased"
    r"|mortality|vital|\balive|outcome|follow|\bfu\b|\blast (contact|seen|visit|known)"
    r"|treatment|therap|chemo|radiation"
    r"|adjuvant|surg|residual|margin status|tumou?r status|new tumou?r|neoplasm"
    r"|^(os|dss|dfi|dfs|efs|pfi|rfs|pfs)( |$)|\bdates?\b|days (to|between)|cause of|censor|\bevent\b"
)
# T, N, M, nodes, pathology of the resected tumour
_STAGE = re.compile(
    r"stage|staging|\bajcc|\buicc|\bgrade|invasion|metasta|\bmets\b"
    # T, N and M alone or with a prefix; T3 and T4 are hormones, but pT3 is a category
    r"|^([cp]|yp)?[tnm]$|^([cp]|yp)[tnm]\d|\b([cp]|yp)?tnm\d?\b"
    r"|^(path|pathologic(al)?|clin|clinical|final) [tnm]\b"
    r"|^[cp]?n ?[+]|^[tnm] (path|clin)"
    r"|\b[cp]?[tnm](/[cp]?[tnm])* (descriptor|category|categories|factor|status|class|classification)\b"
    rf"|^{_NODES}$|\blymph nodes?\b|\b{_NODES} ({_INVOLVED})"
    rf"|\b(positive|involved|affected|metastatic) {_NODES}\b"
)


def follows_diagnosis(column: object) -> bool:
    """Return True if a column's header names a treatment, an outcome or a date.

    Such a column is forbidden as an input for every target.

    Examples
    --------
    >>> follows_diagnosis("Adjuvant Treatment"), follows_diagnosis("Histopathological Grade")
    (True, False)
    """
    return bool(_AFTER.search(header_key(column)))


def gives_stage_away(column: object) -> bool:
    """Return True if a column's header shows that it reveals the stage or follows the diagnosis.

    Columns that follow the diagnosis are those of `follows_diagnosis`: treatments, outcomes and dates.

    Examples
    --------
    >>> gives_stage_away("Pathological N stage"), gives_stage_away("Recurrence"), gives_stage_away("Age")
    (True, True, False)
    """
    return bool(_STAGE.search(header_key(column))) or follows_diagnosis(column)
