"""The cohort: patients, what is known of each, and the label, round plain pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from mmfusion.data.targets.stage import TARGETS, target_labels
from mmfusion.errors import DataError
from mmfusion.modalities import IMAGING

RNA_UNITS = ("counts", "tpm", "fpkm", "log", "zscore")
SEED = ("seed_x", "seed_y", "seed_z")  # columns of a point in the tumour, LPS mm
# of an imaging block, never features: files, which series and region of them, a point
RESERVED = ("volume", "volume_part", "mask", "mask_part", *SEED)
META = "meta"  # a whole block that is never read as features


@dataclass(frozen=True, repr=False)
class Cohort:
    """Patients of one study, by modality; a modality that a patient lacks is a block of missing values.

    Parameters
    ----------
    name : str
        Short name, used in reports.
    table : DataFrame, shape (n_patients, n_columns)
        Every patient, labelled or not. Index `patient_id`; column levels `(modality, feature)`.
    stage : Series of str, shape (n_patients,)
        AJCC stage group as recorded or derived ("0", "IA", "IB", ..., "IV", or coarse "I", "II", "III");
        missing where unknown.
    target : str
        Named target (`mmfusion.data.targets.stage.TARGETS`) that turns stage groups into classes.
    units : mapping
        Unit of a modality, `units["rna"]` one of counts, tpm, fpkm, log, zscore.
    groups : DataFrame, optional
        Per patient: `site`, and `patient` where several rows belong to one person. Defaults to the index.
    provenance : mapping
        Where it came from: files, hashes, licences, AJCC edition, notes that a report must print.

    Raises
    ------
    DataError
        On duplicate or missing patient ids, a wrong column index, an unknown target or unit.
    """

    name: str
    table: pd.DataFrame
    stage: pd.Series
    target: str
    units: Mapping[str, str] = field(default_factory=dict)
    groups: pd.DataFrame | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_table(self.table)
        if self.target not in TARGETS:
            raise DataError(f"no target called {self.target!r}", expected=", ".join(TARGETS))
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
        object.__setattr__(self, "stage", self.stage.reindex(table.index))
        object.__setattr__(self, "groups", groups)

    @property
    def X(self) -> pd.DataFrame:
        """Rows of `table` whose stage has a class under the target, shape (n, n_columns)."""
        return self.table.loc[self._labels().notna()]

    @property
    def y(self) -> pd.Series:
        """Ordered categorical label of each row of `X`, shape (n,)."""
        labels = self._labels()
        return labels[labels.notna()].rename(self.target)

    @property
    def modalities(self) -> list[str]:
        """Modalities with at least one column, `meta` left out."""
        return [m for m in self.table.columns.unique(0) if m != META]

    def with_target(self, name: str) -> Cohort:
        """The same cohort under another named target."""
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

    def _labels(self) -> pd.Series:
        return target_labels(self.stage, self.target)

    def __len__(self) -> int:
        return int(self._labels().notna().sum())

    def __repr__(self) -> str:
        counts = ", ".join(f"{k} {v}" for k, v in self.y.value_counts(sort=False).items())
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


def _check_table(table: pd.DataFrame) -> None:
    if not isinstance(table.columns, pd.MultiIndex) or table.columns.nlevels != 2:
        raise DataError(
            "a cohort's columns have two levels", expected="(modality, feature)", got=repr(table.columns[:3])
        )
    ids = table.index
    if ids.isna().any() or (ids.astype(str).str.strip() == "").any():
        raise DataError("a row has no patient id", expected="a patient_id in every row")
    if ids.has_duplicates:
        twice = ids[ids.duplicated()].unique()
        raise DataError(
            "duplicate patient id",
            patient=", ".join(map(str, twice[:5])),
            hint="keep one row per patient before loading",
        )
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()].unique()
        raise DataError(
            "duplicate column", column=", ".join(map(str, twice[:5])), hint="keep one column per feature"
        )
