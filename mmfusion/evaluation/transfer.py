"""Comparison of the inputs of a model with another cohort: genes, columns, categories, unit, scans."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from mmfusion.data.cohort import Cohort, feature_names
from mmfusion.data.tables.cells import clean_cells, to_numbers
from mmfusion.errors import DataError, warn
from mmfusion.preprocessing.blocks import stream_blocks
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.preprocessing.genes import GeneTransformer, OutOfRangeWarning
from mmfusion.preprocessing.tables import TableTransformer

_SHOWN = 5
_FAR, _MANY = 5.0, 0.2  # SD from the mean of training, and share of the patients
_SHIFT, _SLOPE = 1.0, (0.8, 1.25)  # of the means of the genes: SD in training, and usual slopes
_GENES, _RANGE = 20, 0.5  # least number of genes for a slope, and SD of their means in training
_NONE = "none"
COLUMNS = ("input", "read by the model", "absent", "not read", "new categories", "patients")


def transfer_table(transformer: CohortTransformer, cohort: Cohort) -> pd.DataFrame:
    """Return which inputs of a fitted model another cohort has, and which it lacks; one row per stream.

    A model treats differences between the cohorts as follows. A gene that the other cohort lacks gets its
    mean in training. A column that it lacks counts as missing, and a new category as unknown. Columns that
    the model does not know are not read. Another unit of expression, and a patient with fewer than a tenth of
    the genes, are errors.

    Parameters
    ----------
    transformer : CohortTransformer
        Fitted, such as `StageClassifier.transformer_`.
    cohort : Cohort
        The other cohort.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`: the input, the number of features that the model reads, how many of them the
        cohort lacks, columns of the cohort that are not read, categories that are read as unknown, and the
        number of patients who have the input.

    Raises
    ------
    DataError
        If the cohort has another unit of expression, or none of the genes or columns of an input that it has.

    Warns
    -----
    OutOfRangeWarning
        If more than 20 % of the values of a column are far from those of the training patients, as after a
        change of the unit. For genes: if their means lie elsewhere than in training, as after a logarithm
        with another base.

    Examples
    --------
    >>> ids = pd.Index(["p1", "p2", "p3"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0, 55.0], ("ehr", "bmi"): [22.0, 27.0, 31.0]}, ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB", "IA"]}, index=ids)
    >>> cohort = Cohort("example", table, outcomes, "stage2")
    >>> transformer = CohortTransformer().fit(cohort.X)
    >>> other = Cohort("other", table.drop(columns=[("ehr", "bmi")]), outcomes, "stage2")
    >>> transfer_table(transformer, other)["absent"].tolist()
    ['1 of 2: bmi']
    """
    X, rows = cohort.X, []
    unread = [m for m in cohort.modalities if m not in transformer.blocks_]
    for name, fitted in transformer.transformers_.items():
        modality = name.removesuffix("_table")
        block = dict(stream_blocks(X, modality)).get(name) if modality in cohort.modalities else None
        if block is None:
            rows.append((name, _read(fitted), "the whole input", _NONE, _NONE, 0))
            continue
        if isinstance(fitted, GeneTransformer):
            _check_unit(fitted, cohort)
            _tell_of_another_scale(fitted, block, cohort)
        read = _names(fitted)
        absent = [f for f in read if f not in block]
        if read and len(absent) == len(read):
            _refuse(name, read, block, cohort)
        known = set(map(str, fitted.feature_names_in_))
        others = [f for f in feature_names(block, modality) if str(f) not in known]
        has = int(block.notna().any(axis=1).sum())
        _tell_of_far_values(fitted, block, cohort)
        rows.append(
            (
                name,
                _read(fitted),
                _some(absent, len(read)),
                _some(others),
                _new_categories(fitted, block),
                has,
            )
        )
    rows += [(m, "nothing", _NONE, "the whole input", _NONE, 0) for m in unread]
    return pd.DataFrame(rows, columns=list(COLUMNS)).set_index("input")


def _check_unit(fitted: GeneTransformer, cohort: Cohort) -> None:
    unit = cohort.units.get("rna")
    if unit is not None and unit != fitted.unit_:
        raise DataError(
            "another unit of expression than the model was fitted on",
            file=cohort.name,
            column="rna",
            expected=fitted.unit_,
            got=unit,
            hint="convert the table, or leave RNA out: modalities=",
        )


def _tell_of_another_scale(fitted: GeneTransformer, block: pd.DataFrame, cohort: Cohort) -> None:
    """Warn if the means of the genes are not those of training, as after a logarithm with another base."""
    shared = [k for k, gene in enumerate(fitted.genes_) if gene in block]
    mean, own = fitted.mean_[shared], fitted.means(block)[shared]
    known = np.isfinite(own)
    if known.sum() < _GENES:
        return
    mean, own, sd = mean[known], own[known], fitted.std_[shared][known]
    shift = float(np.median((own - mean) / sd))
    slope = float(np.polyfit(mean, own, 1)[0]) if mean.std() > _RANGE else 1.0
    if abs(shift) > _SHIFT or not _SLOPE[0] <= slope <= _SLOPE[1]:
        text = f"{cohort.name}, rna: the means of the genes are not those of the training patients"
        warn(
            f"{text} (median difference {shift:+.2f} SD, slope {slope:.2f}): another base of the logarithm "
            "(ln has a slope of 0.69, log10 of 0.30), another unit, or another platform?",
            OutOfRangeWarning,
        )


def _tell_of_far_values(fitted: object, block: pd.DataFrame, cohort: Cohort) -> None:
    """Warn of columns with many values that are far from those of the training patients."""
    for column, (_, mean, sd) in getattr(fitted, "moments_", {}).items():
        if column not in block:
            continue
        cells = (
            block[column] if is_numeric_dtype(block[column]) else clean_cells(block[column].astype(object))
        )
        values = to_numbers(cells, column, cohort.name).dropna()
        far = int((abs(values - mean) > _FAR * sd).sum())
        if far > _MANY * len(values):
            text = (
                f"{cohort.name}, {column}: {far} of {len(values)} values are more than {_FAR:g} SD from the"
            )
            warn(f"{text} mean of the training patients ({mean:.3g}): another unit?", OutOfRangeWarning)


def _refuse(name: str, read: tuple[str, ...], block: pd.DataFrame, cohort: Cohort) -> None:
    what = "genes" if name == "rna" else "columns"
    raise DataError(
        f"none of the {len(read)} {what} of the model is in the cohort",
        file=cohort.name,
        column=name,
        expected=", ".join(read[:_SHOWN]) + (", ..." if len(read) > _SHOWN else ""),
        got=", ".join(map(str, block.columns[:_SHOWN])) + (", ..." if block.shape[1] > _SHOWN else ""),
        hint=f"name the {what} as in the training cohort, or leave this input out: modalities=",
    )


def _names(fitted: object) -> tuple[str, ...]:
    """Return the names of the features that a transformer reads; none for scans."""
    if isinstance(fitted, GeneTransformer):
        return fitted.genes_
    return tuple(fitted.kinds_) if isinstance(fitted, TableTransformer) else ()


def _read(fitted: object) -> str:
    names = _names(fitted)
    if not names:
        return "scans"
    return (
        f"{len(names)} genes, {fitted.unit_}"
        if isinstance(fitted, GeneTransformer)
        else f"{len(names)} columns"
    )


def _some(names: list[object], of: int | None = None) -> str:
    """Return a number of names, and the first of them; "none" if there are none."""
    if not names:
        return _NONE
    shown = ", ".join(map(str, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
    return f"{len(names)}{f' of {of}' if of else ''}: {shown}"


def _new_categories(fitted: object, block: pd.DataFrame) -> str:
    parts = []
    for column, levels in getattr(fitted, "levels_", {}).items():
        if column in block:
            seen = set(clean_cells(block[column].astype(object)).dropna().astype(str))
            if new := sorted(seen - set(levels)):
                parts.append(f"{column} ({', '.join(new[:_SHOWN])}{', ...' if len(new) > _SHOWN else ''})")
    return "; ".join(parts) or _NONE
