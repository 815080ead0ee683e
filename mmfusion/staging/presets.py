"""Named settings of `StageClassifier`: of the stage paper, where it gives them, and ours.

The stage paper gives two recipes that don't agree with each other: both are here. Its fourth fold's weights
stand
for `mod_weighted`, of which it lists one choice a fold. Two departures: AdamW stands for Adam in both
(decoupled
weight decay, Loshchilov & Hutter 2019), and early stopping watches the validation loss, not macro-F1.
"""

from __future__ import annotations

PRESETS: dict[str, dict[str, object]] = {
    # 4096 deep radiomic features and 18 clinical ones through 4114 -> 512 -> 128 -> classes: 2,174,340
    # parameters
    # for four classes. d = 1 makes of every value a token of its own, so that the perceptron's inputs are the
    # values.
    "paper_baseline": {
        "fusion": "mlp",
        "fusion_options": {"widths": [128]},
        "modalities": ["ct", "ehr"],
        "encoders": {"ct_table": "table_values", "ehr": "table_values"},
        "d": 1,
        "hidden": 512,
        "dropout": 0.3,
        "head": "softmax",
        "n_members": 1,
        "modality_dropout": 0.0,
        "loss": "cross_entropy",
        "class_weight": "balanced",
        "lr": 1e-3,
        "weight_decay": 1e-4,
        "schedule": "constant",
        "batch_size": 16,
        "max_epochs": 100,
        "validation_fraction": 0.15,
        "patience": 15,
    },
    # "early stopping at fifteen epochs" is read as a patience of 15
    "paper_multimodal": {
        "fusion": "mod_weighted",
        "fusion_options": {"weights": {"ct": 0.4, "rna": 0.3, "ehr": 0.3}},
        "encoder_options": {"ct_resnet": {"widths": [16, 32, 64, 128], "conv1": 7, "max_pool": True}},
        "d": 128,
        "hidden": 128,
        "dropout": 0.3,
        "head": "softmax",
        "n_members": 1,
        "loss": "focal",
        "gamma": 2.0,
        "n_genes": 2000,
        "crop_side": 96,
        "crop_spacing": 1.0,
        "lr": 3e-4,
        "weight_decay": 1e-5,
        "schedule": "cosine",
        "batch_size": 8,
        "max_epochs": 60,
        "validation_fraction": 0.15,
        "patience": 15,
    },
    # ours: minutes on two cores
    "demo": {
        "fusion": "crossmodal",
        "d": 32,
        "hidden": 64,
        "n_genes": 200,
        "n_members": 1,
        "max_epochs": 15,
        "crop_side": 32,
        "crop_spacing": 3.0,
    },
    # ours: the demo's model at full resolution and width, for a GPU
    "full": {
        "fusion": "crossmodal",
        "encoder_options": {"ct_resnet": {"widths": [32, 64, 128, 256], "conv1": 7, "max_pool": True}},
        "d": 128,
        "hidden": 128,
        "n_genes": 2000,
        "crop_side": 96,
        "crop_spacing": 1.0,
        "lr": 3e-4,
        "weight_decay": 1e-2,
        "schedule": "cosine",
        "batch_size": 16,
        "max_epochs": 60,
        "validation_fraction": 0.15,
        "patience": 15,
    },
}
