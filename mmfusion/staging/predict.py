"""Staging of one patient from files, any subset of modalities."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.cohort import presence
from mmfusion.data.tables.readers import read_ehr, read_features, read_rna
from mmfusion.errors import DataError, MMFusionError, ScanError
from mmfusion.imaging import Volume
from mmfusion.modalities import META, MODALITIES
from mmfusion.staging.prediction import StagePrediction
from mmfusion.streams import GENES

_TABLES = (".csv", ".tsv", ".txt")
_NOBODY = "patient"  # the id that the readers give to a table without ids


class PredictMixin:
    """`predict_patient` and `predict_each` of a fitted StageClassifier."""

    def predict_patient(
        self,
        ct: str | Path | Volume | None = None,
        rna: str | Path | pd.DataFrame | None = None,
        ehr: str | Path | pd.DataFrame | None = None,
        *,
        pet: str | Path | Volume | None = None,
        patient: str | None = None,
        seed: Sequence[float] | None = None,
        series: str | None = None,
        pet_seed: Sequence[float] | None = None,
        pet_series: str | None = None,
        rna_unit: str | None = None,
        site: str | None = None,
        top_genes: int = 10,
    ) -> StagePrediction:
        """Stage one patient from any subset of modalities.

        Parameters
        ----------
        ct : path or Volume, optional
            Folder or ZIP of DICOM, NIfTI, NRRD; what `mmfusion.imaging.read` gave; or a CSV of CT features.
        rna : path or DataFrame, optional
            Gene expression; one patient's, or a table in which `patient` is found.
        ehr : path or DataFrame, optional
            Health records, likewise; the official tables of known cohorts are recognised.
        pet : path or Volume, optional
            As `ct`, in SUVbw; a folder or ZIP that holds CT and PET may be given as both.
        patient : str, optional
            The patient's id in tables of several.
        seed : (x, y, z), optional
            A point in the tumour of `ct`, LPS mm. Without it the lung field is used, with a warning.
        series : str, optional
            Which series of `ct`, where there are several: a UID or a rule, as of `mmfusion.imaging.read`.
        pet_seed : (x, y, z), optional
            A point in the tumour of `pet`, LPS mm: `seed` is not used for it. Without it the middle of the
            PET is
            read, with a warning.
        pet_series : str, optional
            As `series`, of `pet`.
        rna_unit : str, optional
            Unit of `rna`; default the unit that the model was fitted on.
        site : str, optional
            Where the patient was examined, for a model that harmonises by site.
        top_genes : int
            Genes to name.

        Raises
        ------
        DataError
            If nothing is given, a modality is one that the model does not read, or a table is malformed.
        ScanError
            If a scan cannot be read or trusted, or is of the other modality.
        """
        check_is_fitted(self, "module_")
        _check_kinds(ct=ct, pet=pet, rna=rna, ehr=ehr)
        blocks: dict[str, pd.DataFrame] = {}
        if rna is not None:
            genes = [g for s in self.transformer_.specs_ if s.fits(GENES) for g in s.feature_names]
            unit = rna_unit or self.transformer_.units_.get("rna")
            blocks["rna"] = _one(read_rna(rna, patient, genes=genes, unit=unit), rna)
        if ehr is not None:
            blocks["ehr"] = _one(read_ehr(ehr, patient), ehr)
        if ct is not None:
            blocks["ct"] = _scan("ct", ct, seed, series, patient)
        if pet is not None:
            blocks["pet"] = _scan("pet", pet, pet_seed, pet_series, patient)
        if not blocks:
            raise DataError("nothing to read", patient=patient, expected="at least one of ct, pet, rna, ehr")
        name = _whose(blocks, patient)
        X = pd.concat({m: b.set_axis([name]) for m, b in blocks.items()}, axis=1).rename_axis("patient_id")
        if site is not None:
            X[(META, "site")] = site
        X.attrs["units"] = {"rna": rna_unit} if rna_unit else {}
        return self.predict_row(X, top_genes=top_genes)

    def predict_row(self, X: pd.DataFrame, *, top_genes: int = 10) -> StagePrediction:
        """Stage the patient in the single row of `X`, a row of `Cohort.table`.

        Raises
        ------
        DataError
            If the row has no modality that the model reads, or a malformed one.
        """
        if len(X) != 1:
            raise DataError("one row at a time", expected="one patient", got=f"{len(X)} rows")
        known = list(dict.fromkeys(spec.modality for spec in self.transformer_.specs_))
        has = presence(X).iloc[0]
        alien = [m for m in has.index[has] if m not in known]  # an empty block is nothing to speak of
        if alien and not any(m in known for m in has.index[has]):
            raise DataError(
                "the model does not read this",
                patient=X.index[0],
                got=", ".join(alien),
                expected=", ".join(known),
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            inputs = self.transformer_.transform(X.loc[:, X.columns.get_level_values(0).isin([*known, META])])
            proba = self._proba(inputs)[0]
            stage = self.classes_[proba.argmax()]
            genes = self._top_genes(inputs, stage, top_genes)
        notes = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
        notes += [f"{m} was given, but the model does not read it" for m in alien]
        notes += (
            ["the model was fitted with inputs that give the label away (LEAKY)"] if self.allow_leaky else []
        )
        present = dict(zip([s.modality for s in self.transformer_.specs_], inputs.present[0], strict=True))
        used = tuple(
            m
            for m in known
            if any(inputs.present[0][i] for i, s in enumerate(self.transformer_.specs_) if s.modality == m)
        )
        return StagePrediction(
            patient=str(X.index[0]),
            stage=str(stage),
            probabilities={str(c): float(p) for c, p in zip(self.classes_, proba, strict=True)},
            used=used,
            missing=tuple(m for m in present if m not in used),
            top_genes=genes,
            warnings=tuple(dict.fromkeys(notes)),
            target=self.target_,
        )

    def predict_each(self, X: pd.DataFrame, *, top_genes: int = 10) -> list[StagePrediction | MMFusionError]:
        """Stage every row of `X` separately; a patient who cannot be staged gets an error that names them."""
        out: list[StagePrediction | MMFusionError] = []
        for patient in X.index:
            try:
                out.append(self.predict_row(X.loc[[patient]], top_genes=top_genes))
            except MMFusionError as error:
                error.patient = error.patient or patient
                out.append(error)
        return out

    def _top_genes(self, inputs: object, stage: str, n: int) -> tuple[tuple[str, float], ...]:
        genes = [i for i, s in enumerate(self.transformer_.specs_) if s.fits(GENES)]
        if not n or not genes or not inputs.present[0][genes[0]]:
            return ()
        from mmfusion.explain.gene_attribution import gene_shap  # shap takes seconds to import

        values = (
            gene_shap(self, inputs, classes=[str(stage)], n_samples=400, random_state=0)
            .values_of(str(stage))
            .iloc[0]
        )
        top = values.reindex(values.abs().sort_values(ascending=False).index)[:n]
        return tuple((str(g), float(v)) for g, v in top.items())


def _check_kinds(**sources: object) -> None:
    for modality, source in sources.items():
        kind = Volume if MODALITIES[modality].is_scan else pd.DataFrame
        loaded = isinstance(source, kind)
        if (
            source is not None
            and not loaded
            and (not isinstance(source, str | Path) or not str(source).strip())
        ):
            expected = f"a path or a {kind.__name__}"
            raise DataError(
                "not something to read", column=modality, expected=expected, got=repr(source)[:60]
            )


def _whose(blocks: dict[str, pd.DataFrame], patient: str | None) -> str:
    """The patient's id; two tables about different patients are refused."""
    names = {m: str(b.index[0]) for m, b in blocks.items() if str(b.index[0]) != _NOBODY}
    if len(set(names.values())) > 1:
        got = ", ".join(f"{m} of {name}" for m, name in names.items())
        raise DataError("the tables are about different patients", got=got, hint="give one patient's tables")
    return patient or next(iter(names.values()), _NOBODY)


def _one(table: pd.DataFrame, source: object) -> pd.DataFrame:
    if len(table) != 1:
        raise DataError(
            "the table has several patients" if len(table) else "the table has no patient",
            file=source if isinstance(source, str | Path) else None,
            got=f"{len(table)}: {', '.join(map(str, table.index[:3]))}..." if len(table) else None,
            hint="say which one: patient=... (--patient)" if len(table) else None,
        )
    return table


def _scan(
    modality: str,
    scan: str | Path | Volume,
    seed: Sequence[float] | None,
    series: str | None,
    patient: str | None,
) -> pd.DataFrame:
    if not isinstance(scan, Volume):
        if Path(scan).suffix.lower() in _TABLES:
            return _one(read_features(scan, patient), scan)
        if not Path(scan).exists():
            raise DataError("no such scan", patient=patient, file=scan)
        scan = str(scan)
    elif not np.isfinite(scan.array).all():
        raise ScanError(
            "values that are not numbers",
            patient=patient,
            column=modality,
            hint="export or convert the scan again",
        )
    row: dict[str, object] = {"volume": scan} | ({} if series is None else {"volume_part": series})
    if seed is not None:
        if len(seed) != 3:
            raise DataError("a seed is a point", patient=patient, expected="x,y,z in LPS mm", got=seed)
        row |= {f"seed_{axis}": float(v) for axis, v in zip("xyz", seed, strict=True)}
    return pd.DataFrame([row], index=[patient or _NOBODY])
