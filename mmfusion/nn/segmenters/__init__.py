"""Segmentation networks, which map patches of scans to masks. Importing this package registers them."""

from mmfusion.nn.segmenters import (
    attention_unet,
    cipa,
    cspat,
    petct_unet,
    raemd,
    raseg,
    resenc_unet,
    slicenet,
    swinunetr,
    unet,
    unetpp,
)
from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset, get_preset
from mmfusion.nn.segmenters.nnunet import NNUNetPlan, nnunet_plan

__all__ = [
    "NNUNetPlan",
    "Segmenter",
    "SegmenterPreset",
    "attention_unet",
    "cipa",
    "cspat",
    "get_preset",
    "nnunet_plan",
    "petct_unet",
    "raemd",
    "raseg",
    "resenc_unet",
    "slicenet",
    "swinunetr",
    "unet",
    "unetpp",
]
