"""Stage targets: classes of stage groups, by AJCC edition."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from mmfusion.data.targets.ajcc import EDITIONS, possible_groups
from mmfusion.data.targets.base import Target, find_target, register_target, registered_targets
from mmfusion.data.targets.forbidden import gives_stage_away
from mmfusion.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from mmfusion.data.cohort import Cohort

# all stage groups of the 7th to 9th editions, the coarse groups that registries record, and occult carcinoma
# (TX N0 M0)
_EARLY = ("occult", "0", "I", "IA", "IA1", "IA2", "IA3", "IB", "II", "IIA", "IIB")
STAGE_GROUPS = (*_EARLY, "III", "IIIA", "IIIB", "IIIC", "IV", "IVA", "IVB")
TNM = ("t", "n", "m")
# words before a stage group, and its parts: numeral, letter, number
_BEFORE = re.compile(
    r"((AJCC|UICC|TNM|CLINICAL|PATHOLOGIC(AL)?|OVERALL|TUMOU?R)\s+)*"
    r"([PC]?(STAGE|STAGING|STADIUM|STADE|STADIO)(\s+GROUP)?[\s:._-]*)?[PC]?\s*"
)
_GROUP = re.compile(r"(0|I{1,3}|IV|[1-4])[\s._-]*([ABC])?[\s._-]*([123])?\.?")


@dataclass(frozen=True, kw_only=True)
class StageTarget(Target):
    """The stage of lung cancer as ordered classes.

    The label is read from the cohort's outcome `stage`. If the target has an AJCC edition and the stage was
    assigned under another edition, the label is derived from the outcomes `t`, `n` and `m` instead. A patient
    has no label if T, N and M fit more than one class (`mmfusion.data.targets.ajcc.possible_groups`).

    Parameters
    ----------
    mapping : mapping
        Stage group -> class. Patients with a group that is not a key have no label.
    edition : {7, 8, 9}, optional
        AJCC edition of the target. None: the stage of any edition is taken.

    Examples
    --------
    >>> from mmfusion.data.targets import get_target
    >>> get_target("stage3_ajcc8").mapping["IIIA"], get_target("stage2").mapping["IIIA"]
    ('III', 'II-IV')
    """

    kind: str = "ordinal"
    mapping: Mapping[str, str] = field(hash=False)
    edition: int | None = None

    def labels(self, cohort: Cohort) -> pd.Series:
        """Return the class of each patient; missing if the stage is unknown, unclear, or has no class."""
        if not self._from_tnm(cohort):
            return target_labels(cohort.outcomes["stage"], self.name)
        [assigned] = stated_editions(cohort)
        classes = cohort.outcomes[list(TNM)].apply(lambda tnm: self._class_of(tnm, assigned), axis=1)
        return pd.Series(pd.Categorical(classes, dtype=self.dtype), index=classes.index, name=self.name)

    def lacks(self, cohort: Cohort) -> str:
        """Return the reason why the cohort has no stage of the target's AJCC edition, or ""."""
        if self._from_tnm(cohort):
            if not set(TNM) <= set(cohort.outcomes):
                of = " and ".join(map(str, stated_editions(cohort))) or "unknown edition"
                missing = f"it has no T, N and M from which the stage of AJCC {self.edition} can be derived"
                return f"its stage is of AJCC {of}, and {missing}"
            if len(stated_editions(cohort)) != 1:
                return "the AJCC edition of its T, N and M is not stated"
            return ""
        return "" if "stage" in cohort.outcomes else "no column stage among its outcomes"

    def notes(self, cohort: Cohort) -> tuple[str, ...]:
        """Return a note if labels are derived; it names patients with more than one possible class."""
        if not self._from_tnm(cohort):
            return ()
        [assigned] = stated_editions(cohort)
        known = cohort.outcomes[list(TNM)].dropna()
        counts = {str(p): len(self._classes_of(tnm, assigned)) for p, tnm in known.iterrows()}
        text = f"the stage of AJCC {self.edition} is derived from T, N and M of AJCC {assigned}"
        for what, patients in (
            ("fit more than one class", [p for p, n in counts.items() if n > 1]),
            ("have no stage group", [p for p, n in counts.items() if n == 0]),
        ):
            if patients:
                named = ", ".join(patients[:5]) + (", ..." if len(patients) > 5 else "")
                text += f"; T, N and M of {len(patients)} of {len(known)} patients {what}"
                text += f", and these have no label: {named}"
        return (text,)

    def forbids(self, modality: str, feature: object) -> bool:
        """Return True if a column reveals T, N, M, stage, grade or invasion, or follows the diagnosis."""
        if modality in ("rna", "meta"):
            return False
        return gives_stage_away(feature) or super().forbids(modality, feature)

    @property
    def dtype(self) -> pd.CategoricalDtype:
        """Categorical dtype of the labels, with the classes in order."""
        return pd.CategoricalDtype(self.classes, ordered=True)

    def _from_tnm(self, cohort: Cohort) -> bool:
        """Return True if labels must be derived from T, N and M, as the stage is of another edition.

        A stage without a stated edition counts as 7th edition, because the known cohorts without a stated
        edition were staged in the years of the 7th edition.
        """
        return self.edition is not None and self.edition not in (stated_editions(cohort) or (7,))

    def _class_of(self, tnm: pd.Series, assigned: int) -> str | None:
        if tnm.isna().any():
            return None
        found = self._classes_of(tnm, assigned)
        return found.pop() if len(found) == 1 else None

    def _classes_of(self, tnm: pd.Series, assigned: int) -> set[str | None]:
        try:
            groups = possible_groups(*map(str, tnm), assigned, self.edition)
        except DataError as error:
            error.patient = tnm.name
            raise
        return {self.mapping.get(group) for group in groups}


def stated_editions(cohort: Cohort) -> tuple[int, ...]:
    """Return the AJCC editions of a cohort's stage, from its provenance; empty if none is stated.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> stated_editions(SimpleNamespace(provenance={"ajcc_edition": "7"}))
    (7,)
    """
    return tuple(map(int, re.findall(r"\d+", str(cohort.provenance.get("ajcc_edition") or ""))))


def _within(prefix: str) -> list[str]:
    """Return the stage groups with a prefix: "I" gives I, IA, IA1, ... but not II."""
    return [g for g in STAGE_GROUPS if re.fullmatch(rf"{prefix}(?:[A-C]?[123]?)", g)]


def _register(name: str, description: str, classes: Mapping[str, str], edition: int | None = None) -> None:
    """Register a target; `classes` maps each class to prefixes of stage groups, separated by spaces."""
    mapping = {g: label for label, prefixes in classes.items() for p in prefixes.split() for g in _within(p)}
    register_target(
        StageTarget(
            name=name,
            description=description,
            classes=tuple(classes),
            mapping=mapping,
            edition=edition,
        )
    )


_THREE = {"I": "I", "II": "II", "III": "III"}
_register(
    "stage4_lung1",
    "I < II < IIIA < IIIB, as LUNG1 records it",
    {"I": "I", "II": "II", "IIIA": "IIIA", "IIIB": "IIIB"},
)
for _edition in EDITIONS:
    _by = "" if _edition == 7 else f", by AJCC {_edition}"
    _register(
        f"stage4_ajcc{_edition}",
        f"I < II < III < IV; in situ dropped{_by}",
        {**_THREE, "IV": "IV"},
        _edition,
    )
    _register(f"stage3_ajcc{_edition}", f"I < II < III; in situ and IV dropped{_by}", _THREE, _edition)
_register("stage2", "I < II-IV; in situ dropped", {"I": "I", "II-IV": "II III IV"})
_register("late_vs_early", "I-II < III-IV; in situ dropped", {"I-II": "I II", "III-IV": "III IV"})


def normalise_stage(text: object) -> str | None:
    """Return the stage group in the spelling of `STAGE_GROUPS`, or None if the text is not a stage group.

    Read are Roman numerals, also as one character (Ⅲ), and 1 to 4, in upper or lower case, with spaces,
    points or hyphens before the letter, and after "Stage", "AJCC", "clinical", "p" or "c". A number such as
    2.0 is read like 2. Two stages (I-II) are not a stage group.

    Examples
    --------
    >>> normalise_stage("Stage III a"), normalise_stage("3A"), normalise_stage("2.0"), normalise_stage("Ⅳ")
    ('IIIA', 'IIIA', 'II', 'IV')
    >>> normalise_stage("T2") is None and normalise_stage("I-II") is None
    True
    """
    plain = unicodedata.normalize("NFKC", str(text)).strip().upper()
    word = plain[_BEFORE.match(plain).end() :]
    if word in {"TIS", "IS"}:
        return "0"
    if word in {"OCCULT CARCINOMA", "OCCULT"}:
        return "occult"
    word = re.sub(r"^([0-4])\.0+$", r"\1", word)
    found = _GROUP.fullmatch(word)
    if found is None:
        return None
    numeral = {"1": "I", "2": "II", "3": "III", "4": "IV"}.get(found[1], found[1])
    group = numeral + (found[2] or "") + (found[3] or "")
    return group if group in STAGE_GROUPS else None


def target_labels(stage: pd.Series, target: str) -> pd.Series:
    """Return the classes of a stage target from stage groups of any AJCC edition.

    Parameters
    ----------
    stage : Series of str, shape (n,)
        Stage group of each patient ("IA", "Stage IIIb", coarse "III"); missing where unknown.
    target : str
        Name of a stage target.

    Returns
    -------
    Series, shape (n,)
        Ordered categorical with the target's classes. A label is missing if the stage is unknown, has no
        class in the target (in situ), or is too coarse for the target (III for I/II/IIIA/IIIB).

    Raises
    ------
    DataError
        If there is no such stage target, or a value is not a stage group.

    Examples
    --------
    >>> target_labels(pd.Series(["IA", "Stage IIIb", None], index=["p1", "p2", "p3"]), "stage2").tolist()
    ['I', 'II-IV', nan]
    """
    spec = find_target(target)
    if not isinstance(spec, StageTarget):
        known = [n for n, t in registered_targets().items() if isinstance(t, StageTarget)]
        hint = did_you_mean(target, known)
        raise DataError(f"no stage target called {target!r}", expected=", ".join(known), hint=hint)
    groups = {text: normalise_stage(text) for text in stage.dropna().unique()}
    for text, group in groups.items():
        if group is None:
            patient = stage.index[(stage == text).to_numpy()][0]
            hint = "leave the cell empty where the stage is unknown"
            raise DataError(
                "not a stage group",
                patient=patient,
                column="stage",
                expected=", ".join(STAGE_GROUPS),
                got=repr(text),
                hint=hint,
            )
    labels = [None if pd.isna(text) else spec.mapping.get(groups[text]) for text in stage]
    return pd.Series(pd.Categorical(labels, dtype=spec.dtype), index=stage.index, name=target)
