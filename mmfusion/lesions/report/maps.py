"""Grad-CAM of predicted expression for patients of a cross-validation."""

from __future__ import annotations

import numpy as np

from mmfusion.bundle import load
from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.evaluation.result import NestedResult
from mmfusion.explain.scans import ScanAttribution
from mmfusion.lesions.expression_maps import expression_gradcam


def explained(
    result: NestedResult, cohort: Cohort, gene: str, n: int = 3
) -> tuple[ScanAttribution, np.ndarray]:
    """Return Grad-CAM maps of the patients with the highest predicted expression of a gene.

    Each map is by the model of the fold in which the patient was held out.

    Parameters
    ----------
    result : NestedResult
        Result of `nested_cv(..., out=folder)`, which keeps the models of the folds.
    cohort : Cohort
        The cohort that was judged.
    gene : str
        A gene of the panel.
    n : int
        Number of patients.

    Returns
    -------
    maps : ScanAttribution
        One map per patient.
    masks : ndarray of uint8, shape (n, S, S, S)
        True masks on the same cubes.

    Raises
    ------
    DataError
        If the gene was not predicted.
    """
    column, rows = f"pred_{gene}", result.of([result.main])
    if column not in rows:
        raise DataError("no such gene", expected=", ".join(getattr(result.task, "names", ())), got=gene)
    highest = rows.sort_values(column, ascending=False, kind="stable").drop_duplicates("patient_id").head(n)
    by_text, bundles = {str(patient): patient for patient in cohort.X.index}, result.bundles()
    found = [
        expression_gradcam(load(bundles[row.repeat, row.fold]), cohort.X.loc[[by_text[row.patient_id]]], gene)
        for row in highest.itertuples()
    ]
    maps = ScanAttribution(
        *(np.concatenate([getattr(one, part) for one, _ in found]) for part in ("maps", "crops")),
        tuple(one.patients[0] for one, _ in found),
        (gene,) * len(found),
        found[0][0].stream,
    )
    return maps, np.concatenate([masks for _, masks in found])
