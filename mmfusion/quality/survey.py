"""Check every scan of a cohort: the series that was read, geometry, grey values and failures."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from mmfusion.data.cohort import Cohort
from mmfusion.data.scans import PatientScan, open_scan
from mmfusion.display import html_card, html_table
from mmfusion.errors import MMFusionError, gathered
from mmfusion.imaging import list_series, lung_mask
from mmfusion.modalities import META
from mmfusion.preprocessing.crop_features import crop_features
from mmfusion.preprocessing.scans import ScanTransformer
from mmfusion.quality.separability import SiteSeparability, site_separability

_COARSE_MM = 3.0
_FOLDS = 5
_DETAILS = ("file", "expected", "got", "hint")  # fields of an error
_MEASURED = (
    "series",
    "slices",
    "z_mm",
    "y_mm",
    "x_mm",
    "height_mm",
    "width_mm",
    "p1",
    "p50",
    "p99",
    "lungs_ml",
    "lesion_ml",
    "files_given",
    "files_used",
    "files_lost",
    "warnings",
)


@dataclass(frozen=True, eq=False, repr=False)
class ScanSurvey:
    """Findings of a survey of scans.

    Parameters
    ----------
    table : DataFrame, index patient_id
        A row per scan that was read: `series` (UID), `slices`, `z_mm`, `y_mm`, `x_mm` (spacing), `height_mm`
        and `width_mm` (field of view along and across the head-foot axis), `p1`, `p50`, `p99` (percentiles of
        the values, HU or SUVbw), `lungs_ml`, `lesion_ml`, `files_given`, `files_used`, `files_lost` (numbers
        of DICOM files at the path, of those in the scan, and of those that may be slices but are not used),
        `warnings`.
    failures : DataFrame, index patient_id
        A row per scan or mask that could not be read: `problem`, `file`, `expected`, `got`, `hint`. A patient
        with a readable scan and a bad mask is in both tables.
    """

    table: pd.DataFrame
    failures: pd.DataFrame

    def headline(self) -> str:
        """Return one line with the numbers of scans that were read and that failed."""
        bad = len(self.failures.index.intersection(self.table.index))
        failed = f"; {len(self.failures) - bad} failed" if len(self.failures) > bad else ""
        return f"{len(self.table)} of {self._n_opened} scans read{failed}" + (
            f"; {bad} bad masks" if bad else ""
        )

    def __repr__(self) -> str:
        return f"ScanSurvey({self.headline()})"

    def _repr_html_(self) -> str:
        failed = [html_table(self.failures)] if len(self.failures) else []
        return html_card(self.headline(), html_table(self.table), *failed)

    @property
    def _n_opened(self) -> int:
        return len(self.table.index.union(self.failures.index))

    def account(self, total: int) -> str:
        """Return one sentence with the numbers of scans that failed and that were not opened.

        `total` is the number of scans of the cohort.
        """
        skipped = total - self._n_opened
        rest = f"; {skipped} others were not opened (n_scans=0 opens all)" if skipped > 0 else ""
        return f"{len(self.failures) or 'None'} of the {self._n_opened} scans that were opened failed{rest}."

    def verdict(self, total: int) -> list[str]:
        """Return the main findings as sentences; `total` is the number of scans of the cohort."""
        table = self.table
        text = [self.headline() + (f"; the cohort has {total}." if total > self._n_opened else ".")]
        if not len(table):
            return text
        z = table["z_mm"]
        pixels = f"pixels {table['x_mm'].min():.2g} to {table['x_mm'].max():.2g} mm"
        text.append(f"Slices are {z.min():.2g} to {z.max():.2g} mm apart, {pixels}.")
        if (coarse := int((z > _COARSE_MM).sum())) > 0:
            text.append(
                f"{coarse} with slices more than {_COARSE_MM:g} mm apart: small lesions are blurred along z."
            )
        if (lost := int((table["lungs_ml"] == 0).sum())) > 0:
            text.append(f"No lung was found in {lost}: is it a crop, or another part of the body?")
        if (noted := int((table["warnings"] != "").sum())) > 0:
            text.append(f"{noted} gave a warning; see the table.")
        if (lost := int((table["files_lost"] > 0).sum())) > 0:
            text.append(f"{lost} may not be complete: some of their files cannot be understood as DICOM.")
        return text


def survey_scans(
    cohort: Cohort, patients: Sequence[str] | None = None, *, modality: str = "ct", progress: bool = False
) -> ScanSurvey:
    """Read scans one after the other and describe them; a scan that cannot be read is listed as a failure.

    Parameters
    ----------
    cohort : Cohort
        Cohort with the column `volume` in the modality's block.
    patients : sequence of str, optional
        Ids of the patients. Default: all patients with a scan.
    modality : {"ct", "pet"}
        Modality of the scans.
    progress : bool
        Show a progress bar.
    """
    known = cohort.table.get((modality, "volume"), pd.Series(dtype=str)).dropna().index
    chosen = known if patients is None else [p for p in patients if p in known]
    rows, failures = {}, {}
    for patient in tqdm(chosen, desc="scans", unit="scan", disable=not progress, leave=False):
        with gathered() as caught:
            for marked in (True, False):  # if the mask is bad, the scan is described without it
                try:
                    rows[patient] = _describe(open_scan(cohort, patient, modality, marked=marked))
                    break
                except MMFusionError as error:
                    failures[patient] = {"problem": error.problem} | {k: getattr(error, k) for k in _DETAILS}
        if patient in rows:
            rows[patient]["warnings"] = "; ".join(dict.fromkeys(map(str, caught)))
    return ScanSurvey(_frame(rows, _MEASURED), _frame(failures, ("problem", *_DETAILS)))


def _frame(rows: dict[str, dict[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("patient_id")


def _describe(scan: PatientScan) -> dict[str, object]:
    volume = scan.volume
    extent = np.array(volume.shape) * volume.spacing
    p1, p50, p99 = np.percentile(volume.array[:: max(volume.shape[0] // 32, 1), ::4, ::4], [1, 50, 99])
    lungs = lung_mask(volume, required=False).volume_ml() if volume.unit == "HU" else np.nan
    lesion = np.nan if scan.lesion is None else scan.lesion.volume_ml()
    values = (
        volume.series_uid or "",
        volume.shape[0],
        *volume.spacing,
        extent[0],
        extent[2],
        p1,
        p50,
        p99,
        lungs,
        lesion,
        *((np.nan,) * 3 if (source := volume.source) is None else (source.given, source.used, source.n_lost)),
    )
    return dict(zip(_MEASURED, values))


def series_choices(paths: pd.Series, chosen: pd.Series) -> pd.DataFrame:
    """List all DICOM series at these paths and mark the series that was read.

    Parameters
    ----------
    paths : Series of str, index patient_id
        Paths of the scans.
    chosen : Series of str, index patient_id
        SeriesInstanceUID of the series that was read; "" for a scan that is not DICOM. Scans that could not
        be read have no entry.

    Returns
    -------
    DataFrame, index patient_id
        Columns read, modality, description, n_slices, z_mm, x_mm, problem, account (which files are not used,
        and why), uid. Empty if no path has DICOM.
    """
    parts = {}
    for patient, path in paths.items():
        if chosen.get(patient) != "":
            with contextlib.suppress(MMFusionError):  # the survey lists it as a failure
                parts[patient] = list_series(path)
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, names=["patient_id"]).droplevel(1)
    read = [
        uid == chosen.get(p) and not bad
        for p, uid, bad in zip(table.index, table["uid"], table["problem"], strict=True)
    ]
    columns = ["modality", "description", "n_slices", "z_mm", "x_mm", "problem", "account", "uid"]
    return table[columns].assign(read=read)[["read", *columns]]


def site_effect(cohort: Cohort, patients: Sequence[str], *, modality: str = "ct") -> SiteSeparability | None:
    """Compute the separability of sites in simple features of the patients' crops.

    Patients with a scan that cannot be read are left out. The result is None if fewer than two sites have at
    least five patients.

    Parameters
    ----------
    cohort : Cohort
        Cohort with scans of the modality.
    patients : sequence of str
        Ids of the patients.
    modality : {"ct", "pet"}
        Modality of the scans.
    """
    site = cohort.table.get((META, "site"), pd.Series(dtype=str)).reindex(patients).dropna()
    reader, crops = ScanTransformer(modality=modality), {}
    for patient in site.index:
        with gathered(), contextlib.suppress(MMFusionError):  # the survey lists failures and warnings
            crops[patient] = reader.fit_transform(cohort.table.loc[[patient], modality])[0]
    site = site[list(crops)]
    counts = site.value_counts()
    site = site[site.isin(counts.index[counts >= _FOLDS])]
    if site.nunique() < 2:
        return None
    chosen = np.stack([crops[patient] for patient in site.index])
    features = crop_features(chosen, spacing=reader.spacing, modality=modality, index=site.index)
    return site_separability(features, site, folds=_FOLDS)
