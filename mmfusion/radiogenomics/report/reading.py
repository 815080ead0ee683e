"""Columns that a report about a genotype reads: tables of features, scans with masks, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import joblib
import pandas as pd

from mmfusion.data.cohort import Cohort, feature_names, presence
from mmfusion.features import SegmenterFeatures
from mmfusion.lesions import LesionSegmenter
from mmfusion.modalities import META, RESERVED

_SCAN = ("volume", "mask")


def deep_extractor(
    features: str,
    modalities: Sequence[str],
    *,
    level: str = "mid",
    preset: str = "demo",
    max_epochs: int = 0,
    random_state: int = 0,
    memory: str | Path | None = None,
) -> SegmenterFeatures | None:
    """Return the extractor of a study: a RA-Seg that is trained in each fold, or None for radiomics alone.

    Parameters
    ----------
    features : {"radiomics", "deep", "both"}
        What is read.
    modalities : sequence of str
        Modalities of the tables, for "both".
    level : str
        Level of the deep features, see `mmfusion.features.DeepFeatures`.
    preset : {"demo", "full"}
        Size of the RA-Seg.
    max_epochs : int
        Epochs of its training, 0 for those of the preset.
    random_state : int
        Seed of its training.
    memory : path, optional
        Folder where the trained segmenters are kept, so that each is trained once for all models.

    Examples
    --------
    >>> deep_extractor("radiomics", ["ct"]) is None
    True
    >>> deep_extractor("both", ["ct"], max_epochs=2).segmenter.max_epochs
    2
    """
    if features == "radiomics":
        return None
    segmenter = LesionSegmenter("raseg", preset, max_epochs=max_epochs or None, random_state=random_state)
    return SegmenterFeatures(
        segmenter,
        level,
        table=tuple(modalities) if features == "both" else (),
        memory=None if memory is None else joblib.Memory(memory, verbose=0),
    )


def read_as(cohort: Cohort, modalities: Sequence[str], features: str) -> Cohort:
    """Return the cohort with the columns that are read.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    modalities : sequence of str
        Modalities with the features.
    features : {"radiomics", "deep", "both"}
        "radiomics": tables without the scans beside them. "deep": scans without tables. "both": all columns.
    """
    if features == "radiomics":
        return features_only(cohort, modalities)
    if features == "both":
        return cohort
    table = cohort.table
    tables = [(m, c) for m in modalities if m in table for c in feature_names(table[m], m)]
    return replace(cohort, table=table.drop(columns=tables))


def has_features(cohort: Cohort, modalities: Sequence[str], features: str) -> pd.Series:
    """Return which patients have what is read, bool, index patient_id."""
    X = cohort.X
    if not len(modalities):
        return pd.Series(data=False, index=X.index)
    has = presence(X)[list(modalities)].all(axis=1)
    if features != "radiomics":
        needed = [("ct", column) for column in _SCAN]
        has &= X.reindex(columns=needed).notna().all(axis=1)
    if features == "both":
        told = [(m, c) for m in modalities for c in feature_names(X[m], m)]
        has &= X[told].notna().any(axis=1)
    return has


def known(cohort: Cohort, modalities: Sequence[str]) -> list[str]:
    """Return those modalities that the cohort has.

    Examples
    --------
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> known(radiomics_phantom(10), ["ct", "pet"])
    ['ct']
    """
    return [m for m in modalities if m in cohort.modalities]


def features_only(cohort: Cohort, modalities: Sequence[str]) -> Cohort:
    """Return the cohort without the scans of those modalities that have features."""
    table = cohort.table
    told = [m for m in table.columns.unique(0) if m in modalities and feature_names(table[m], m)]
    scans = [(m, c) for m, c in table.columns if m in told and m != META and c in RESERVED]
    for modality in dict.fromkeys(m for m, _ in scans):
        features = table[modality].drop(columns=[c for m, c in scans if m == modality])
        cohort = cohort.with_features(modality, features, only=True)
    return cohort
