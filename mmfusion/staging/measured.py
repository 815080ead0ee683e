"""Measures of the lesion at the seed, for a model that was fitted with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mmfusion.data.tables.notes import TableNotes
from mmfusion.errors import ScanError
from mmfusion.features.lesion_source import METHOD
from mmfusion.features.measures import COLUMNS, LesionMeasures

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier


def with_measures(model: StageClassifier, block: pd.DataFrame, account: TableNotes) -> pd.DataFrame:
    """Return the CT block of one patient with the measures that the model reads.

    The lesion is segmented from the seed (`mmfusion.segment_lesion`), and what was measured is said in the
    notes of the prediction. Without a seed, or without a lesion at it, the measures are missing.

    Parameters
    ----------
    model : StageClassifier
        Fitted model.
    block : DataFrame
        One row; columns `volume`, and maybe `volume_part`, `seed_x`, `seed_y`, `seed_z`.
    account : TableNotes
        The notes of the prediction.
    """
    read = {name for s in model.transformer_.specs_ if s.modality == "ct" for name in s.feature_names}
    wanted = [name for name in COLUMNS if name in read]
    if not wanted:
        return block
    if "seed_x" not in block:
        account.texts.append("no seed: the size of the lesion was not measured")
        return block
    measures = LesionMeasures(lesion="click")
    row = pd.concat({"ct": block.iloc[0]})
    try:
        values = pd.Series(measures.compute_row(row.rename(block.index[0])), index=list(COLUMNS))
    except ScanError as error:
        account.texts.append(f"the size of the lesion was not measured: {error.problem}")
        return block
    size = f"{values['lesion_volume_ml']:.2g} mL, {values['lesion_longest_mm']:.0f} mm"
    account.texts.append(f"the lesion was segmented from the seed ({METHOD}): {size}")
    return block.assign(**values[wanted])
