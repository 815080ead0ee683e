"""The runs of each part of the benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from runs import Run

from mmfusion.lesions.report.ablations import CSPAT_PARTS
from mmfusion.registry import SEGMENTERS, list_segmenters

REFERENCE = "resenc_unet"
BOXES = "detector"  # where a network reads boxes; the mode "oracle" is in an ablation only
_ENCODER = {"cipa": "encoder", "slicenet": "plane.encoder"}


def networks(names: list[str]) -> list[Run]:
    """Return a run of every network: those of CT on CT, and those of PET/CT and the reference on PET/CT.

    A network that reads boxes is trained and judged with the boxes of its detector, and without boxes.
    """
    facts = list_segmenters()
    runs = []
    for name in [one for one in facts.index if one in (names or facts.index)]:
        cued = SEGMENTERS.get(name).uses_cue
        runs.append(
            Run(name, name, {"box_mode": BOXES} if cued else {}, pet="pet" in facts.loc[name, "modality"])
        )
        if cued:
            runs.append(replace(runs[-1], row=f"{name}, no boxes", params={"box_mode": "none"}))
    if any(run.pet for run in runs):
        runs.append(Run(f"{REFERENCE} (CT and PET)", REFERENCE, pet=True))
    return runs


def converge(names: list[str], epochs: int, patience: int) -> list[Run]:
    """Return the runs that end by early stopping on inner patients."""
    stop = {"max_epochs": epochs, "patience": patience, "validation_fraction": 0.2}
    return [replace(run, training=stop) for run in networks(names)]


def equal(names: list[str], seconds: float) -> list[Run]:
    """Return the runs of equal training time; the schedule of each ends with the time."""
    return [replace(run, seconds=seconds, training={"patience": None}) for run in networks(names)]


def ablations(names: list[str], epochs: int) -> dict[str, list[Run]]:
    """Return the runs of the papers' ablations, by network; all of a network have the same epochs."""
    found: dict[str, list[Run]] = {}
    for network, variants in _VARIANTS.items():
        if network in (names or _VARIANTS):
            found[network] = list(_variants(network, variants, epochs))
    return found


def _variants(network: str, variants: Mapping[str, Mapping[str, object]], epochs: int) -> Iterator[Run]:
    for row, params in variants.items():
        pet = network in _ENCODER
        yield Run(row, network, params, {"max_epochs": epochs, "patience": None}, pet=pet)


def _options(**options: object) -> dict[str, object]:
    return {"options": options}


_CORE = {"multi_scale": False, "dense": False, "lstm": "none", "attention": False}
_VARIANTS = {
    "raemd": {
        "U-Net of single slices": _options(**_CORE),
        "+ multi-scale stem": _options(**_CORE | {"multi_scale": True}),
        "+ dense blocks": _options(lstm="none", attention=False),
        "+ LSTM on pooled features": _options(lstm="pooled", attention=False),
        "+ convolutional LSTM instead": _options(attention=False),
        "+ residual attention: RAEMD-Net": {},
    },
    "cspat": {row: _options(**own) if own else {} for row, own in CSPAT_PARTS.items()},
    "raseg": {
        "no boxes": {},
        "jittered boxes in training, none at test": {"box_mode": "jittered"},
        "detector boxes": {"box_mode": "detector"},
        "ORACLE boxes (of the true mask)": {"box_mode": "oracle"},
        "detector boxes, no ConvLSTM": {"box_mode": "detector"} | _options(layers=0),
        "detector boxes, ConvLSTM both ways": {"box_mode": "detector"} | _options(bidirectional=True),
    },
    "cipa": {
        "no rectification": _options(rectify="none"),
        "context gate (vMambaX)": _options(rectify="context_gate"),
        "channel rectification: CIPA": {},
        "CT only": {"modalities": ("ct",)},
        "PET only": {"modalities": ("pet",)},
    },
}


def slices(epochs: int) -> list[Run]:
    """Return the runs from scratch or from a pretrained 2D network: 2D, 2.5D joined, slice interaction."""
    found = []
    for pretrained in (False, True):
        for row, network, params in (
            ("2D", "cipa", {}),
            ("2.5D, slices joined", "slicenet", _options(interaction="concat")),
            ("2.5D, slice interaction", "slicenet", _options(interaction="slice")),
        ):
            encoder = _ENCODER[network]
            slow = {"freeze": {encoder: max(epochs // 4, 1)}, "lr_groups": {encoder: 0.1}}
            training = {"max_epochs": epochs, "patience": None, **(slow if pretrained else {})}
            start = "pretrained" if pretrained else "scratch"
            found.append(
                Run(f"{row}, {start}", network, params, training, pet=True, igtv=True, pretrained=pretrained)
            )
    return found
