"""Headers of what is known only at or after the stage: never among the inputs."""

from __future__ import annotations

import re

from mmfusion.data.tables.files import header_key

_NODES = r"(lymph )?nod(e|es|al)"
_INVOLVED = (
    r"status|positiv|involve|disease|spread|count|ratio|examined|removed|resected|sampled|dissected|[+]"
)
# T, N, M, nodes, pathology of the resected tumour, treatment, outcome; or a date
_LEAKS = re.compile(
    r"stage|staging|\bajcc|\buicc|\bgrade|invasion|recurren|relapse|progressi|surviv|death|\bdead(status)?\b|\bdied\b|\bdeceased"
    r"|mortality|vital|\balive|outcome|follow|\bfu\b|\blast (contact|seen|visit|known)|treatment|therap|chemo|radiation"
    r"|adjuvant|surg|residual|margin status|metasta|\bmets\b|tumou?r status|new tumou?r|neoplasm"
    r"|^(os|dss|dfi|dfs|efs|pfi|rfs|pfs)( |$)|\bdates?\b|days (to|between)|cause of|censor|\bevent\b"
    # T, N and M by themselves, or called so; T3 and T4 are hormones, pT3 is not
    r"|^([cp]|yp)?[tnm]$|^([cp]|yp)[tnm]\d|\b([cp]|yp)?tnm\d?\b|^(path|pathologic(al)?|clin|clinical|final) [tnm]\b"
    r"|^[cp]?n ?[+]|^[tnm] (path|clin)"
    r"|\b[cp]?[tnm](/[cp]?[tnm])* (descriptor|category|categories|factor|status|class|classification)\b"
    rf"|^{_NODES}$|\blymph nodes?\b|\b{_NODES} ({_INVOLVED})|\b(positive|involved|affected|metastatic) {_NODES}\b"
)


def gives_stage_away(column: object) -> bool:
    """Whether a column's header says that it tells the stage, follows it, or is a date."""
    return bool(_LEAKS.search(header_key(column)))
