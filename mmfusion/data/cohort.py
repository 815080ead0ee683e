"""The cohort: the patients of a study, their data as pandas tables, and the target to predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from mmfusion.data.blocks import feature_names, presence
from mmfusion.data.checks import check_outcomes, check_table
from mmfusion.data.targets.base import Target, get_target, is_labelled, label_counts, registered_targets
from mmfusion.display import html_card, html_table
from mmfusion.errors import DataError
from mmfusion.modalities import META

RNA_UNITS = ("counts", "tpm", "fpkm", "log", "zscore")


@dataclass(frozen=True, repr=False)
class Cohort:
    """The patients of one study, with a block of columns per modality.

    If a patient lacks a modality, all cells of that block are missing in the patient's row.

    Parameters
    ----------
    name : str
        Short name, used in reports.
    table : DataFrame, shape (n_patients, n_columns)
        One row per patient, with or without a label. Index `patient_id`; column levels `(modality, feature)`.
    outcomes : DataFrame, shape (n_patients, n_outcomes)
        The recorded values from which targets are read; missing where unknown. They are never inputs. `stage`
        is the AJCC stage group ("0", "IA", "IB", ..., "IV", or coarse "I", "II", "III"). `t`, `n` and `m` are
        the TNM categories. `egfr` and `kras` are mutation statuses. `expression_<gene>` is the expression of
        a gene. Each column is optional.
    target : str
        Name of a target (`mmfusion.list_targets()`). The target turns outcomes into labels.
    units : mapping
        Modality -> unit; `units["rna"]` is one of counts, tpm, fpkm, log, zscore.
    groups : DataFrame, shape (n_patients, n_columns), optional
        Columns `site`, and `patient`: the id of the person, which is the same in all rows of one person. By
        default, each row is another person.
    provenance : mapping
        Files, hashes, licences, notes and warnings; `ajcc_edition` is the AJCC edition of stage, T, N and M.

    Raises
    ------
    DataError
        If patient ids are duplicate or missing, the column index is wrong, the target or a unit is unknown,
        or the cohort has no outcome for the target. In the last case the message lists its targets.

    Examples
    --------
    >>> ids = pd.Index(["p1", "p2", "p3"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0, 55.0]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB", None], "egfr": ["mutant", None, "WT"]}, index=ids)
    >>> cohort = Cohort("example", table, outcomes, "stage2")
    >>> cohort.y.tolist(), cohort.with_target("egfr").y.tolist()
    (['I', 'II-IV'], ['mutant', 'wildtype'])
    """

    name: str
    table: pd.DataFrame
    outcomes: pd.DataFrame
    target: str
    units: Mapping[str, str] = field(default_factory=dict)
    groups: pd.DataFrame | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_table(self.table)
        check_outcomes(self.outcomes)
        for modality, unit in self.units.items():
            if unit not in RNA_UNITS:
                known, name = ", ".join(RNA_UNITS), f"units {modality}"
                raise DataError("unknown unit", parameter=name, expected=known, got=unit)
        table = self.table.sort_index(axis=1, level=0, sort_remaining=False)
        table.attrs = {"units": dict(self.units)}
        groups = self.groups if self.groups is not None else pd.DataFrame(index=table.index)
        groups = groups.reindex(table.index)
        if "patient" not in groups:
            groups = groups.assign(patient=table.index)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "outcomes", self.outcomes.reindex(table.index))
        object.__setattr__(self, "groups", groups)
        spec = self.target_spec
        if reason := spec.lacks(self):
            of_labels = "for a manifest, give the AJCC edition of its labels: load_cohort(..., edition=)"
            raise DataError(
                f"the cohort cannot have the target {self.target!r}",
                file=self.name,
                expected=", ".join(self.targets) or "outcomes",
                got=reason,
                hint=of_labels if "AJCC" in reason else None,
            )
        withheld = tuple((m, f) for m, f in table.columns if m != META and spec.withholds(m, f))
        object.__setattr__(self, "_withheld", withheld)  # computed once, as an RNA table has 20,000 columns
        _, facts = spec.collect(self)
        object.__setattr__(self, "outcomes", spec.outcomes(self))
        object.__setattr__(self, "provenance", {**self.provenance, **facts})

    @property
    def X(self) -> pd.DataFrame:
        """Inputs: the rows of `table` with a known label, without withheld columns, shape (n, n_columns)."""
        known = is_labelled(self._labels())
        withheld = self.withheld
        if not withheld:
            return self.table.loc[known]
        X = self.table.loc[known, ~self.table.columns.isin(withheld)]
        X.attrs = {"units": {m: u for m, u in self.units.items() if m in X.columns.unique(0)}}
        return X

    @property
    def y(self) -> pd.Series | pd.DataFrame:
        """Labels of the rows of `X`.

        For classes: a categorical Series, shape (n,), ordered if the target is ordinal. For a vector: a
        DataFrame of float64, shape (n, n_values), in which single values may be missing. For a mask: a Series
        of paths, shape (n,).
        """
        labels = self._labels()
        labels = labels[is_labelled(labels)]
        return labels if isinstance(labels, pd.DataFrame) else labels.rename(self.target)

    @property
    def target_spec(self) -> Target:
        """The `Target` object of the cohort's target."""
        return get_target(self.target)

    @property
    def targets(self) -> list[str]:
        """Names of the targets for which at least one patient has a label."""
        return [name for name, target in registered_targets().items() if _has_labels(self, target)]

    @property
    def modalities(self) -> list[str]:
        """Modalities with at least one column that is not withheld; `meta` is left out."""
        columns = self.table.columns
        return [m for m in columns[~columns.isin(self.withheld)].unique(0) if m != META]

    @property
    def withheld(self) -> list[tuple[str, str]]:
        """Columns of `table` left out of `X`: they are the label, or were measured together with it."""
        return list(self._withheld)

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines that a report must print: warnings, notes about the files, and how the labels were made."""
        told = [text for kind in ("warnings", "not_used", "notes") for text in self.provenance.get(kind, ())]
        return (*told, *self.target_spec.notes(self))

    def with_target(self, name: str) -> Cohort:
        """Return the same cohort under another target.

        Raises
        ------
        DataError
            If there is no such target, or the cohort has no outcome for it. The message lists its targets.
        """
        return replace(self, target=name)

    def select(
        self, patients: pd.Index | list[str] | None = None, modalities: list[str] | None = None
    ) -> Cohort:
        """Return the same cohort with these patients and modalities only; `meta` is kept.

        Raises
        ------
        DataError
            If a patient or modality is unknown.
        """
        table = self.table
        if modalities is not None:
            unknown = sorted(set(modalities) - set(self.modalities))
            if unknown:
                raise DataError(
                    "unknown modality", got=", ".join(unknown), expected=", ".join(self.modalities)
                )
            table = table.loc[:, table.columns.get_level_values(0).isin([*modalities, META])]
        if patients is not None:
            unknown = pd.Index(patients).difference(table.index)
            if len(unknown):
                raise DataError("unknown patient", patient=", ".join(map(str, unknown[:5])), file=self.name)
            table = table.loc[list(patients)]
        return replace(
            self, table=table, units={m: u for m, u in self.units.items() if m in table.columns.unique(0)}
        )

    def with_features(self, modality: str, features: pd.DataFrame, *, only: bool = False) -> Cohort:
        """Return the same cohort with more columns in one block, such as features that a network computed.

        Parameters
        ----------
        modality : str
            One of `mmfusion.modalities.MODALITIES`, or "meta".
        features : DataFrame, shape (n, n_features)
            Index patient_id. A patient of the cohort without a row here gets missing values. Rows of other
            patients are left out.
        only : bool
            If True, these columns replace the whole block, scans included.

        Raises
        ------
        DataError
            If none of the patients is in the cohort, a patient occurs twice, or a column exists already.
        """
        if features.index.has_duplicates:
            twice = features.index[features.index.duplicated()].unique()
            raise DataError(
                "duplicate patient id", patient=", ".join(map(str, twice[:5])), hint="keep one row each"
            )
        if not features.index.isin(self.table.index).any():
            got = ", ".join(map(str, features.index[:3]))
            expected = ", ".join(map(str, self.table.index[:3]))
            raise DataError(
                "none of these patients is in the cohort", file=self.name, expected=expected, got=got
            )
        block = pd.concat(
            {modality: features.reindex(self.table.index)}, axis=1, names=self.table.columns.names
        )
        others = self.table.columns.get_level_values(0) != modality if only else slice(None)
        return replace(self, table=pd.concat([self.table.loc[:, others], block], axis=1))

    def complete(self, modalities: list[str] | None = None) -> Cohort:
        """Return the cohort of the patients who have all of these modalities; default: all modalities."""
        has = presence(self.table)[modalities or self.modalities]
        return self.select(patients=list(self.table.index[has.all(axis=1)]))

    def summary(self) -> pd.DataFrame:
        """Return a table with one row per modality.

        Columns: features and scans (counts), patients who have the modality (count and share), the share of
        missing cells among these patients, and the unit.
        """
        has = presence(self.X)
        rows = []
        for modality in self.modalities:
            block = self.X[modality].loc[has[modality]]
            features = feature_names(block, modality)
            rows.append(
                {
                    "modality": modality,
                    "features": len(features),
                    "scans": int(block["volume"].notna().sum()) if "volume" in block else 0,
                    "patients": int(has[modality].sum()),
                    "share": float(has[modality].mean()) if len(has) else 0.0,
                    "missing_cells": float(block[features].isna().to_numpy().mean())
                    if features and len(block)
                    else 0.0,
                    "unit": self.units.get(modality, ""),
                }
            )
        return pd.DataFrame(rows).set_index("modality")

    def _labels(self) -> pd.Series | pd.DataFrame:
        return self.target_spec.labels(self)

    def __len__(self) -> int:
        return int(is_labelled(self._labels()).sum())

    def __repr__(self) -> str:
        counts = ", ".join(f"{k} {v}" for k, v in label_counts(self.y).items())
        lines = [
            f"Cohort {self.name!r}: {len(self.table)} patients, "
            f"{len(self)} with a label ({self.target}: {counts})"
        ]
        for modality, row in self.summary().iterrows():
            unit = f" [{row.unit}]" if row.unit else ""
            scans = f", {row.scans} scans" if row.scans else ""
            lines.append(
                f"  {modality}{unit}: {row.features} features{scans}, {row.patients} patients "
                f"({row.share:.0%}), {row.missing_cells:.1%} of their cells missing"
            )
        if withheld := self.withheld:
            named = ", ".join(f"{m} {f}" for m, f in withheld[:5]) + (", ..." if len(withheld) > 5 else "")
            lines.append(f"  not among the inputs of {self.target}: {len(withheld)} columns ({named})")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        table = self.summary()
        for column, style in (("share", "{:.0%}"), ("missing_cells", "{:.1%}")):
            table[column] = table[column].map(style.format)
        head, *_ = repr(self).splitlines()
        withheld = ", ".join(f"{m} {f}" for m, f in self.withheld[:40])
        more = f", and {len(self.withheld) - 40} more" if len(self.withheld) > 40 else ""
        notes = [f"Not among the inputs of {self.target}: {withheld}{more}."] if withheld else []
        return html_card(head, html_table(table), notes=notes)


def _has_labels(cohort: Cohort, target: Target) -> bool:
    try:
        return not target.lacks(cohort) and bool(is_labelled(target.labels(cohort)).any())
    except DataError:  # an outcome cannot be read
        return False
