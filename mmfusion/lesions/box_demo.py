"""Demonstration of a leak: a network with boxes of the true masks, and one with boxes of a detector.

The box of the true mask shows the place and the size of the lesion. It is not known before the lesion is
segmented.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mmfusion.evaluation.leakage.demos import demo_rows, repeats
from mmfusion.evaluation.leakage.registry import register_demo
from mmfusion.imaging import read_mask
from mmfusion.imaging.boxes import Box, box_map
from mmfusion.lesions.inference import prediction_boxes
from mmfusion.lesions.segmenter import LesionSegmenter
from mmfusion.metrics.segmentation import mask_scores
from mmfusion.synthetic.chest import lesion_phantom

DEMO = "boxes"
_MODES = {"leaky": "oracle", "honest": "detector"}
_TEST = 500  # added to the seed of the training patients


@register_demo(
    "D7",
    DEMO,
    title="the box of the true mask is an input, also for test patients",
    leaky="A network gets the box of the true mask.",
    honest="The same network gets the boxes of a detector.",
    metric="dice",
    chance=None,
    rows=("L-2", "L-14"),
    n_rep=1,
    options={"n_train": 8, "n_test": 6, "max_epochs": 10},
)
def oracle_box_demo(
    seed: int = 0,
    n_rep: int = 1,
    *,
    n_train: int = 32,
    n_test: int = 16,
    chest: dict[str, object] | None = None,
    **segmenter: object,
) -> pd.DataFrame:
    """Segment phantom lesions with the boxes of the true masks (leaky) and with those of a detector (honest).

    Both protocols train the same network on the same patients and predict the same other patients. In the
    cohort "phantom" the mask of the network is scored. In the cohort "boxes alone" each box itself is the
    mask, without any network: it shows how much of the result the box gives away.

    Parameters
    ----------
    seed : int
        Seed of the patients and of the training.
    n_rep : int
        Number of repeats. Each has its own patients.
    n_train, n_test : int
        Number of training patients and of test patients in a repeat.
    chest : mapping, optional
        Arguments of `lesion_phantom`; default crops of 64 voxels of 2 mm.
    **segmenter
        Parameters of `LesionSegmenter`; the network is "raseg" unless another one that reads boxes is given.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metrics `dice` (mean over patients), `dice_pooled` (of the summed volumes) and
        `found` (share of the lesions of which a voxel was marked).

    Raises
    ------
    DataError
        If there is no repeat, or the network does not read boxes.

    References
    ----------
    Gollini et al. 2022, arXiv 2211.06620: RA-Seg reads the box of the true tumour also at test time.

    Examples
    --------
    >>> oracle_box_demo(n_rep=0)
    Traceback (most recent call last):
    mmfusion.errors.DataError: a demonstration without a repeat (expected n_rep of 1 or more; got 0)
    """
    chest = {"spacing": 2.0} if chest is None else dict(chest)
    segmenter = {"network": "raseg", **segmenter}
    runs: list[pd.DataFrame] = []
    for rep in repeats(n_rep):
        train = lesion_phantom(n_train, 1000 * seed + rep, **chest).X
        test = lesion_phantom(n_test, 1000 * seed + rep + _TEST, **chest).X
        for protocol, mode in _MODES.items():
            model = LesionSegmenter(**segmenter, box_mode=mode, random_state=seed + rep).fit(train)
            for name, scores in (("phantom", _network(model, test)), ("boxes alone", _boxes(model, test))):
                runs.append(demo_rows(DEMO, protocol, name, rep, **_summary(list(scores))))
    return pd.concat(runs, ignore_index=True)


def _network(model: LesionSegmenter, X: pd.DataFrame) -> Iterator[dict[str, float]]:
    """Yield the scores of the mask of each patient; only a model that reads masks gets them."""
    given = X if model.reads_masks else X.drop(columns=[("ct", "mask")])
    for mask, path in zip(model.predict(given), X["ct", "mask"], strict=True):
        yield mask_scores(read_mask(path).array, mask.array, mask.spacing)


def _boxes(model: LesionSegmenter, X: pd.DataFrame) -> Iterator[dict[str, float]]:
    """Yield the scores of the boxes that the model gets, taken as masks, on the grid of the network."""
    for _, row in X.iterrows():
        scans = model.reader.prepare(row)
        true = model.reader.mask(row, row["ct", "mask"], scans)
        boxes: list[Box] = prediction_boxes(model, row, scans) or []
        spacing = np.linalg.norm(scans.affine[:3, :3], axis=0)[::-1]
        yield mask_scores(true, box_map(boxes, true.shape), spacing)


def _summary(scores: list[dict[str, float]]) -> dict[str, float]:
    table = pd.DataFrame(scores)
    overlap, volume = table["overlap_mm3"].sum(), (table["true_mm3"] + table["predicted_mm3"]).sum()
    return {
        "dice": table["dice"].mean(),
        "dice_pooled": 2 * overlap / volume,
        "found": table["lesions_found"].sum() / table["lesions"].sum(),
    }
