"""Models of the report on PET/CT slices: they read one slice or several, from scratch or from 2D weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from einops import rearrange
from torch.nn import functional as F

from mmfusion.bundle import load
from mmfusion.data.cohort import Cohort
from mmfusion.errors import LeakageError
from mmfusion.lesions.segmenter import LesionSegmenter
from mmfusion.nn.segmenters.slicenet import SliceNet
from mmfusion.nn.training import reproducible

PHANTOM = {"pet": True, "size": 32, "spacing": 3.0, "diameters": (12.0, 45.0)}  # crops of 96 mm
SMALL = {"width": 8, "depths": (1, 1, 1), "decoder_depth": 1}  # of the network, for a demonstration
PATCH = {"size": (32, 32), "spacing": 3.0}  # of the network, mm
# way to read slices -> network, its options, the part whose weights are pretrained
_WAYS = {
    "2D": ("cipa", {}, "encoder"),
    "2.5D concat": ("slicenet", {"interaction": "concat"}, "plane.encoder"),
    "2.5D slice": ("slicenet", {"interaction": "slice"}, "plane.encoder"),
}
MAIN = "2.5D slice, pretrained"
FLAT, FIRST = "2D, pretrained", "2D, scratch"
_SLOWER = 0.1  # factor of the learning rate of a pretrained encoder
_SLICES = 8  # slices in the middle of a scan, on which two networks are compared


def grid(
    start: str | Path, options: Mapping[str, object], *, frozen_epochs: int
) -> dict[str, dict[str, object]]:
    """Return the changed parameters of six models: three ways to read slices, from scratch or 2D weights.

    Parameters
    ----------
    start : path
        Saved `cipa` whose weights the pretrained models start from.
    options : mapping
        Options of the network, the same for all.
    frozen_epochs : int
        Epochs in which the encoder of a pretrained model is not changed. After them, it is trained with a
        tenth of the learning rate.

    Examples
    --------
    >>> found = grid("models/gtv", {"width": 8}, frozen_epochs=2)
    >>> list(found)[:2], found["2D, pretrained"]["training"]["freeze"]
    (['2D, scratch', '2D, pretrained'], {'encoder': 2})
    """
    found = {}
    for way, (network, own, encoder) in _WAYS.items():
        same = {"network": network, "options": {**options, **own}}
        plan = {"freeze": {encoder: frozen_epochs}, "lr_groups": {encoder: _SLOWER}}
        found[f"{way}, scratch"] = same | {"start": None, "training": None}
        found[f"{way}, pretrained"] = same | {"start": str(start), "training": plan}
    return found


def pretrain(model: LesionSegmenter, cohort: Cohort, judged: Cohort, folder: str | Path) -> str:
    """Fit a model on another cohort and save it.

    Parameters
    ----------
    model : LesionSegmenter
        It is fitted in place.
    cohort : Cohort
        Patients to learn from.
    judged : Cohort
        Patients of the study. None of them may be in `cohort`, not even under another id.
    folder : path
        Folder of the saved model.

    Returns
    -------
    str
        The folder.

    Raises
    ------
    LeakageError
        If a patient is in both cohorts.
    """
    both = sorted(set(cohort.X.index) & set(judged.X.index))  # by id now, by the voxels after the fit
    if not both:
        model.fit(cohort.X, cohort.y, groups=cohort.groups.loc[cohort.X.index, "patient"])
        both = model.saw(judged.X)
    if both:
        raise LeakageError(
            "patients of the study are among those of the pretraining",
            patient=", ".join(map(str, both[:5])),
            file=cohort.name,
            hint="pretrain on other patients",
        )
    model.save(folder)
    return str(folder)


def difference_before_training(start: str | Path, interaction: str, X: pd.DataFrame) -> float:
    """Return the largest difference in logits between a 2D network and a 2.5D network with its weights.

    The 2.5D network is not trained further. Both networks read slices of the first patient.

    Parameters
    ----------
    start : path
        A saved `cipa`.
    interaction : str
        Interaction of slices of the 2.5D network, as for `SliceNet`.
    X : DataFrame
        Rows of `Cohort.X`.
    """
    flat = load(start)
    options = {**flat.fitted_.options, "interaction": interaction}
    with reproducible(0):
        network = SliceNet(in_channels=len(flat.fitted_.modalities), **options)
    network.start_from(flat.module_.state_dict()).eval()
    scan = torch.from_numpy(flat.reader.prepare(X.iloc[0]).image.astype("float32"))
    half = network.slab // 2
    slabs = F.pad(scan[None], (0, 0, 0, 0, half, half), mode="replicate")[0].unfold(1, network.slab, 1)
    middle = slice(max(scan.shape[1] // 2 - _SLICES // 2, 0), scan.shape[1] // 2 + _SLICES // 2)
    slabs = rearrange(slabs[:, middle], "c z y x s -> z c s y x")
    with torch.no_grad():
        one, several = flat.module_(slabs[:, :, half])["mask"], network(slabs)["mask"]
    return float((one - several).abs().max())


def equality(differences: Mapping[str, float]) -> list[str]:
    """Return a sentence per interaction about the difference to the 2D network before training.

    Examples
    --------
    >>> equality({"slice": 0.0})
    ['2.5D slice: before training, its output is that of the 2D network, to the last bit.']
    """
    return [
        f"2.5D {name}: before training, "
        + (
            "its output is that of the 2D network, to the last bit."
            if difference == 0
            else f"its output differs from that of the 2D network by up to {difference:.2g} (logits)."
        )
        for name, difference in differences.items()
    ]
