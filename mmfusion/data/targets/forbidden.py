"""Headers of columns that are known only with the stage, or only after the diagnosis."""

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
    r"|mortality|vital|\balive|outcome|follow|\bfu\b|\blast (contact|seen|visit|known)|treatment|therap|chemo|radiation"
    r"|adjuvant|surg|residual|margin status|tumou?r status|new tumou?r|neoplasm"
    r"|^(os|dss|dfi|dfs|efs|pfi|rfs|pfs)( |$)|\bdates?\b|days (to|between)|cause of|censor|\bevent\b"
)
# T, N, M, nodes, pathology of the resected tumour
_STAGE = re.compile(
    r"stage|staging|\bajcc|\buicc|\bgrade|invasion|metasta|\bmets\b"
    # T, N and M by themselves, or called so; T3 and T4 are hormones, pT3 is not
    r"|^([cp]|yp)?[tnm]$|^([cp]|yp)[tnm]\d|\b([cp]|yp)?tnm\d?\b|^(path|pathologic(al)?|clin|clinical|final) [tnm]\b"
    r"|^[cp]?n ?[+]|^[tnm] (path|clin)"
    r"|\b[cp]?[tnm](/[cp]?[tnm])* (descriptor|category|categories|factor|status|class|classification)\b"
    rf"|^{_NODES}$|\blymph nodes?\b|\b{_NODES} ({_INVOLVED})|\b(positive|involved|affected|metastatic) {_NODES}\b"
)


def follows_diagnosis(column: object) -> bool:
    """Return whether a column's header names a treatment, an outcome or a date.

    Such a column is forbidden as an input whatever is predicted.

    Examples
    --------
    >>> follows_diagnosis("Adjuvant Treatment"), follows_diagnosis("Histopathological Grade")
    (True, False)
    """
    return bool(_AFTER.search(header_key(column)))


def gives_stage_away(column: object) -> bool:
    """Return whether a column's header says that it tells the stage, follows the diagnosis, or is a date.

    Examples
    --------
    >>> gives_stage_away("Pathological N stage"), gives_stage_away("Recurrence"), gives_stage_away("Age")
    (True, True, False)
    """
    return bool(_STAGE.search(header_key(column))) or follows_diagnosis(column)
