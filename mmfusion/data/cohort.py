"""The cohort: patients, what is known of each, and what is predicted, around plain pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from mmfusion.data.checks import check_outcomes, check_table
from mmfusion.data.targets.base import Target, get_target, is_labelled, label_counts, registered_targets
from mmfusion.errors import DataError
from mmfusion.modalities import IMAGING, META, RESERVED

RNA_UNITS = ("counts", "tpm", "fpkm", "log", "zscore")


@dataclass(frozen=True, repr=False)
class Cohort:
    """Patients of one study, by modality; a modality that a patient lacks is a block of missing values.

    Parameters
    ----------
    name : str
        Short name, used in reports.
    table : DataFrame, shape (n_patients, n_columns)
        Every patient, labelled or not. Index `patient_id`; column levels `(modality, feature)`.
    outcomes : DataFrame, shape (n_patients, n_outcomes)
        What targets are read from, as recorded, missing where unknown; never inputs. `stage` is the AJCC stage group
        ("0", "IA", "IB", ..., "IV", or coarse "I", "II", "III"); `t`, `n` and `m` its categories; `egfr` and `kras` a
        mutation status; `expression_<gene>` expression. Any may be absent.
    target : str
        Name of a target (`mmfusion.list_targets()`), which turns outcomes into labels.
    units : mapping
        Unit of a modality, `units["rna"]` one of counts, tpm, fpkm, log, zscore.
    groups : DataFrame, optional
        Per patient: `site`, and `patient` where several rows belong to one person. Defaults to the index.
    provenance : mapping
        Where it came from: files, hashes, licences, notes; `ajcc_edition`, the edition of stage, T, N and M.

    Raises
    ------
    DataError
        On duplicate or missing patient ids, a wrong column index, an unknown target or unit, or a target that the
        cohort has no outcome for; the message lists those it has.

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
                raise DataError("unknown unit", column=modality, expected=", ".join(RNA_UNITS), got=unit)
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
            of_labels = "of a manifest, load_cohort(..., edition=) says which AJCC edition its labels are of"
            raise DataError(
                f"the cohort cannot have the target {self.target!r}",
                file=self.name,
                expected=", ".join(self.targets) or "outcomes",
                got=reason,
                hint=of_labels if "AJCC" in reason else None,
            )
        withheld = tuple((m, f) for m, f in table.columns if m != META and spec.withholds(m, f))
        object.__setattr__(self, "_withheld", withheld)  # once: an RNA table has 20,000 columns
        _, facts = spec.collect(self)
        object.__setattr__(self, "outcomes", spec.outcomes(self))
        object.__setattr__(self, "provenance", {**self.provenance, **facts})

    @property
    def X(self) -> pd.DataFrame:
        """Rows of `table` whose label is known, without what the target withholds, shape (n, n_columns)."""
        known = is_labelled(self._labels())
        withheld = self.withheld
        if not withheld:
            return self.table.loc[known]
        X = self.table.loc[known, ~self.table.columns.isin(withheld)]
        X.attrs = {"units": {m: u for m, u in self.units.items() if m in X.columns.unique(0)}}
        return X

    @property
    def y(self) -> pd.Series | pd.DataFrame:
        """Label of each row of `X`.

        Of classes a categorical Series, shape (n,), ordered for an ordinal target; of a vector a DataFrame of float64,
        shape (n, n_values), in which single values may be missing; of a mask a Series of paths.
        """
        labels = self._labels()
        labels = labels[is_labelled(labels)]
        return labels if isinstance(labels, pd.DataFrame) else labels.rename(self.target)

    @property
    def target_spec(self) -> Target:
        """The target as an object."""
        return get_target(self.target)

    @property
    def targets(self) -> list[str]:
        """Names of the targets that at least one patient has a label for."""
        return [name for name, target in registered_targets().items() if _has_labels(self, target)]

    @property
    def modalities(self) -> list[str]:
        """Modalities with at least one column that the target does not withhold, `meta` left out."""
        columns = self.table.columns
        return [m for m in columns[~columns.isin(self.withheld)].unique(0) if m != META]

    @property
    def withheld(self) -> list[tuple[str, str]]:
        """Columns of `table` that are not in `X`, since they are the label or were found together with it."""
        return list(self._withheld)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report must say: notes of the files, and of how the labels were made."""
        return (*self.provenance.get("notes", ()), *self.target_spec.notes(self))

    def with_target(self, name: str) -> Cohort:
        """Return the same cohort under another target.

        Raises
        ------
        DataError
            If there is no such target, or the cohort has no outcome for it; the message lists those it has.
        """
        return replace(self, target=name)

    def select(
        self, patients: pd.Index | list[str] | None = None, modalities: list[str] | None = None
    ) -> Cohort:
        """The same cohort with these patients and modalities only (`meta` is kept).

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
        """The same cohort with more columns in one modality's block, such as features that a network read from scans.

        Parameters
        ----------
        modality : str
            One of `mmfusion.modalities.MODALITIES`, or "meta".
        features : DataFrame, shape (n, n_features)
            Index patient_id; patients of the cohort who are not in it lack them, others are left out.
        only : bool
            Put them in place of the block: what the modality had before, scans included, is gone.

        Raises
        ------
        DataError
            If none of the patients is in the cohort, one comes twice, or a column is there already.
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
        """Only the patients who have all of `modalities` (default: all of them)."""
        has = presence(self.table)[modalities or self.modalities]
        return self.select(patients=list(self.table.index[has.all(axis=1)]))

    def summary(self) -> pd.DataFrame:
        """A row per modality: features, patients with it, share with it, missing cells where present."""
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
            f"Cohort {self.name!r}: {len(self.table)} patients, {len(self)} with a label ({self.target}: {counts})"
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
        head = self.__repr__().splitlines()[0]
        style = {"share": "{:.0%}".format, "missing_cells": "{:.1%}".format}
        return f"<p><b>{head}</b></p>" + self.summary().to_html(formatters=style, border=0)


def presence(table: pd.DataFrame) -> pd.DataFrame:
    """Which patient has which modality: bool, shape (n, n_modalities); `meta` left out.

    A modality is present when any of its cells is filled, seeds alone not counting.
    """
    out = {}
    for modality in [m for m in table.columns.unique(0) if m != META]:
        block = table[modality]
        ignored = [c for c in block.columns if modality in IMAGING and c in RESERVED and c != "volume"]
        out[modality] = block.drop(columns=ignored).notna().any(axis=1)
    return pd.DataFrame(out, index=table.index)


def feature_names(block: pd.DataFrame, modality: str) -> list[str]:
    """Columns of one modality's block that may be read as features (reserved ones left out)."""
    return [c for c in block.columns if not (modality in IMAGING and c in RESERVED)]


def _has_labels(cohort: Cohort, target: Target) -> bool:
    try:
        return not target.lacks(cohort) and bool(is_labelled(target.labels(cohort)).any())
    except DataError:  # an outcome that cannot be read
        return False
