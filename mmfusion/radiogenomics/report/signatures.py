"""Content of the report on signatures: its patients, gene sets, tests over the stages, and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.gene_scores import SHARE
from mmfusion.data.gene_sets import gene_sets, signature_sources
from mmfusion.data.tables.notes import listed
from mmfusion.data.targets.signatures import ZSCORED
from mmfusion.errors import DataError
from mmfusion.features import random_set_table, signature_coverage, signatures
from mmfusion.metrics import ordered_table
from mmfusion.metrics.ordered import LEAST_CORRELATION, detectable_correlation
from mmfusion.metrics.written import p_text, unbroken, value_text

_SHOWN = 9  # panels of boxes


@dataclass(frozen=True, eq=False)
class SignatureStudy:
    """The scores of the patients with RNA and a stage, one row per person.

    Attributes
    ----------
    cohort : Cohort
        Cohort with a stage target.
    sets : dict of str to list of str
        Gene sets.
    min_share : float
        Share of the genes of a set that must be measured.
    coverage : DataFrame, index signature
        Genes of each set that are measured.
    scores : DataFrame, shape (n, n_estimable)
        Scores of the signatures that are estimable.
    stage : Series, shape (n,)
        Ordered categorical.
    left_out : str
        A sentence about other patients; "" if there are none.
    """

    cohort: Cohort
    sets: dict[str, list[str]]
    min_share: float
    coverage: pd.DataFrame
    scores: pd.DataFrame
    stage: pd.Series
    left_out: str

    @property
    def zscored(self) -> bool:
        """True if the expression is z-scored per gene, over the patients of the table."""
        return self.cohort.units.get("rna") == "zscore"

    @property
    def rna(self) -> pd.DataFrame:
        """Expression of the same patients, shape (n, G)."""
        return self.cohort.table["rna"].loc[self.scores.index]


def signature_study(cohort: Cohort, sets: str = "", *, min_share: float = SHARE) -> SignatureStudy:
    """Return the scores of a cohort and the stages of its patients.

    Parameters
    ----------
    cohort : Cohort
        A cohort with RNA; its target is an ordered stage.
    sets : str
        A file, or names of signatures of the package (`mmfusion.data.gene_sets.gene_sets`). Empty: the sets
        that a synthetic cohort was made with, or else all signatures of the package.
    min_share : float
        Share of the genes of a set that must be measured, 0 to 1.

    Raises
    ------
    DataError
        If the target is no ordered stage, there is no RNA, or no set is estimable.
    """
    if cohort.target_spec.kind not in ("ordinal", "binary"):
        got = f"{cohort.target}, {cohort.target_spec.kind}"
        raise DataError("not a stage", parameter="target", expected="a target with ordered classes", got=got)
    chosen = gene_sets(sets or cohort.provenance.get("gene_sets") or None)
    found = signature_coverage(cohort, chosen, min_share=min_share)
    scores = signatures(cohort, chosen, min_share=min_share).dropna(axis=1, how="all")
    if scores.empty:
        most = found["share"].max()
        hint = "give other sets, or a smaller min_share"
        expected, got = f"{min_share:.0%} of the genes", f"at most {most:.0%}"
        raise DataError("no signature is estimable", file=cohort.name, expected=expected, got=got, hint=hint)
    stage = cohort.y
    labelled = scores.index.intersection(stage.index, sort=False)
    person = cohort.groups.loc[labelled, "patient"].astype(str)
    kept = labelled[~person.duplicated().to_numpy()]
    parts = {
        "without a stage of this target": len(scores) - len(labelled),
        "further rows of the same person": len(labelled) - len(kept),
        "without RNA": len(stage) - len(labelled),
    }
    said = "; ".join(f"{n} {what}" for what, n in parts.items() if n)
    ordered = stage.loc[kept].cat.as_ordered()
    return SignatureStudy(cohort, chosen, min_share, found, scores.loc[kept], ordered,
                          f"Left out: {said}." if said else "")  # fmt: skip


def stage_tests(study: SignatureStudy, *, n_random: int = 500, random_state: int = 0) -> pd.DataFrame:
    """Return the trend of each signature over the stages, with tests, and that of random gene sets.

    Returns
    -------
    DataFrame, index signature
        Columns of `mmfusion.metrics.ordered_table`, random_95 and p_random.
    """
    tests = ordered_table(study.scores, study.stage, random_state=random_state)
    control = random_set_table(study.rna, study.sets, study.stage, n_random=n_random,
                               min_share=study.min_share, random_state=random_state)  # fmt: skip
    return tests.join(control[["random_95", "p_random"]])


def shown_first(tests: pd.DataFrame) -> list[str]:
    """Return the signatures to show as boxes: those with the strongest trends, at most nine."""
    strongest = tests["rho"].abs().sort_values(ascending=False, kind="stable").index[:_SHOWN]
    return [name for name in tests.index if name in strongest]


def box_titles(tests: pd.DataFrame) -> dict[str, str]:
    """Return the second line of the title of each panel.

    Examples
    --------
    >>> box_titles(pd.DataFrame({"rho": [0.2], "p_trend_holm": [0.03]}, ["hypoxia"]))
    {'hypoxia': 'rho +0.20, Holm p 0.030'}
    """
    return {
        str(name): f"rho {row.rho:+.2f}, Holm p {p_text(row.p_trend_holm)}"
        if row.rho == row.rho
        else "not estimable"
        for name, row in tests.iterrows()
    }


def tests_for_page(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the tests as a table for the page, the strongest trend first."""
    order = tests.reindex(tests["rho"].abs().sort_values(ascending=False, kind="stable").index)
    trend = [unbroken(value_text(row.rename({"rho": "mean"}), 2)) for _, row in order.iterrows()]
    cells = {
        "n": order["n"].astype(int),
        "Spearman with the stage": ["not estimable" if one == "not\u00a0known" else one for one in trend],
        "Holm p, trend": order["p_trend_holm"].map(p_text),
        "Holm p, any difference": order["p_any_holm"].map(p_text),
        "p among random sets": order["p_random"].map(p_text),
    }
    return pd.DataFrame(cells, order.index)


def verdict(study: SignatureStudy, tests: pd.DataFrame) -> list[str]:
    """Return the sentences about the stage at the top of the report; the first is the answer."""
    tested = tests.dropna(subset=["rho"])
    n, k = len(study.scores), len(tested)
    if tested.empty:
        return [f"No trend of a signature over the stages is estimable (n = {n})."]
    found = tested.index[tested["p_trend_holm"] < 0.05]
    top = tested["rho"].abs().idxmax()
    names = listed([f"{name} ({tested.loc[name, 'rho']:+.2f})" for name in found], 8)
    lines = [
        f"Signatures with a trend over the stages, with Holm's adjustment: {len(found)} of {k} (n = {n})"
        + (f": {names}." if len(found) else "."),
        f"The strongest is {top}: Spearman {value_text(tested.loc[top].rename({'rho': 'mean'}), 2)}.",
        _random_sentence(tested),
    ]
    differ = tested.index[(tested["p_any_holm"] < 0.05) & ~(tested["p_trend_holm"] < 0.05)]
    if len(differ):
        lines.append(f"A difference between stages without a trend: {listed(differ, 8)}.")
    return lines


def _random_sentence(tested: pd.DataFrame) -> str:
    beyond = tested.index[tested["p_random"] <= 0.05]
    what = "Signatures with a larger trend than 95 % of random gene sets of their size"
    names = f" ({listed(beyond, 8)})" if len(beyond) else ""
    return f"{what}: {len(beyond)} of {len(tested)}{names}. By chance: about {0.05 * len(tested):.1f}."


def protocol(study: SignatureStudy) -> list[str]:
    """Return sentences that tell who was scored, and how."""
    counts = ", ".join(f"{n} {name}" for name, n in study.stage.value_counts(sort=False).items())
    lacking = study.coverage.index[~study.coverage["estimable"]]
    lines = [
        f"{len(study.scores)} persons with RNA and a stage: {counts}.",
        study.left_out,
        "The score of a patient is the scaled mean rank of the genes of a set among all genes of the table, "
        "-0.5 to 0.5 (singscore, Foroutan et al. 2018).",
        "A score depends on the other patients, because the expression is z-scored per gene over patients."
        if study.zscored
        else "A score does not depend on other patients.",
        f"A set is scored if at least 5 of its genes and {study.min_share:.0%} of them are measured "
        "(all of them, if it has fewer than 5).",
    ]
    if len(lacking):
        lines.append(f"Not estimable: {listed(lacking, 8)}.")
    sources = signature_sources()
    published = gene_sets()
    lines += [f"{name}: {sources[name]}." for name in study.sets if published.get(name) == study.sets[name]]
    return [line for line in lines if line]


def coverage_for_page(study: SignatureStudy) -> pd.DataFrame:
    """Return how many genes of each set are measured, as a table for the page."""
    table = study.coverage
    return pd.DataFrame(
        {
            "genes of the set": table["genes"],
            "measured": [f"{row.found} ({row.share:.0%})" for row in table.itertuples()],
            "needed": table["least"],
            "scored": table["estimable"].map({True: "yes", False: "no, not estimable"}),
        }
    )


def caveats(study: SignatureStudy, said: Sequence[str] = ()) -> list[str]:
    """Return limits of the cohort and of the scores; `said` are further sentences."""
    notes: list[str] = [str(note) for note in study.cohort.notes]
    if study.zscored:
        notes.append(ZSCORED)
    n_genes = study.cohort.table["rna"].shape[1]
    notes.append(
        f"the ranks are among the {n_genes} genes of the table; with other genes every score differs"
    )
    if (n := len(study.scores)) >= LEAST_CORRELATION:
        notes.append(
            f"with {n} patients, a single test (two-sided, 5 %) detects a correlation of "
            f"{detectable_correlation(n):.2f} in 80 % of such studies; a weaker one is often missed"
        )
    notes += [
        "a sample is a mixture of tumour, stroma and immune cells, so a score also depends on their shares",
        "the shares of these cells, the histology and the site are not adjusted for",
        "a trend over the stages does not say that a signature predicts the stage of a patient",
        *said,
    ]
    return list(dict.fromkeys(note[:1].upper() + note[1:].rstrip(".") + "." for note in notes))


def as_metrics(tests: pd.DataFrame) -> dict[str, Mapping[str, float]]:
    """Return the tests by signature, with None where a number is not estimable."""
    return tests.astype(object).where(tests.notna(), None).to_dict("index")
