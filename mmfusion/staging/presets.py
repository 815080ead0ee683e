"""Named settings of `StageClassifier`: two recipes of the stage paper, and two of this project.

The stage paper gives two recipes that differ from each other. Both are here. For `mod_weighted`, the paper
lists the weights of each fold; the weights of its fourth fold are used. Two settings differ from the paper.
AdamW replaces Adam in both recipes (decoupled weight decay, Loshchilov & Hutter 2019). Early stopping uses
the validation loss, not macro-F1.
"""

from __future__ import annotations

_LARGE_STEM = {"conv1": 7, "max_pool": True}  # of a ResNet for large crops

PRESETS: dict[str, dict[str, object]] = {
    # The paper's baseline: 4096 deep radiomic features and 18 clinical ones through 4114 -> 512 -> 128 ->
    # classes, 2,174,340 parameters for four classes. With d = 1 every value is a token, so that the
    # perceptron reads the values.
    "paper_baseline": {
        "fusion": "mlp",
        "modalities": ["ct", "ehr"],
        "encoders": {"ct_table": "table_values", "ehr": "table_values"},
        "dropout": 0.3,
        "lr": 1e-3,
        "max_epochs": 100,
        "n_members": 1,
        "network": {
            "d": 1,
            "hidden": 512,
            "head": "softmax",
            "modality_dropout": 0.0,
            "fusion_options": {"widths": [128]},
        },
        "training": {
            "loss": "cross_entropy",
            "loss_options": {"class_weight": "balanced"},
            "weight_decay": 1e-4,
            "schedule": "constant",
            "batch_size": 16,
            "validation_fraction": 0.15,
            "patience": 15,
        },
    },
    # The paper's multimodal model; "early stopping at fifteen epochs" is read as a patience of 15.
    "paper_multimodal": {
        "fusion": "mod_weighted",
        "n_genes": 2000,
        "dropout": 0.3,
        "lr": 3e-4,
        "max_epochs": 60,
        "n_members": 1,
        "preprocessing": {"crop_side": 96, "crop_spacing": 1.0},
        "network": {
            "d": 128,
            "hidden": 128,
            "head": "softmax",
            "encoder_options": {
                "gene_gat": {"layers": 2},
                "ct_resnet": {"widths": [16, 32, 64, 128], **_LARGE_STEM},
            },
            "fusion_options": {"weights": {"ct": 0.4, "rna": 0.3, "ehr": 0.3}},
        },
        "training": {
            "loss": "focal",
            "loss_options": {"gamma": 2.0},
            "weight_decay": 1e-5,
            "schedule": "cosine",
            "batch_size": 8,
            "validation_fraction": 0.15,
            "patience": 15,
        },
    },
    # This project's small model. It is fitted within minutes on two cores.
    "demo": {
        "fusion": "daft",
        "n_genes": 200,
        "max_epochs": 15,
        "n_members": 1,
        "preprocessing": {"crop_side": 32, "crop_spacing": 3.0},
        "network": {"d": 32, "hidden": 64},
    },
    # The same model at full resolution and width, for a GPU.
    "full": {
        "fusion": "daft",
        "n_genes": 2000,
        "lr": 3e-4,
        "max_epochs": 60,
        "preprocessing": {"crop_side": 96, "crop_spacing": 1.0},
        "network": {
            "d": 128,
            "hidden": 128,
            "encoder_options": {
                "gene_gat": {"layers": 2},
                "ct_resnet": {"widths": [32, 64, 128, 256], **_LARGE_STEM},
            },
        },
        "training": {
            "weight_decay": 1e-2,
            "schedule": "cosine",
            "batch_size": 16,
            "validation_fraction": 0.15,
            "patience": 15,
        },
    },
}
