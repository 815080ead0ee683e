"""Named settings of `StageClassifier`."""

PRESETS: dict[str, dict[str, object]] = {
    "demo": {"fusion": "crossmodal", "d": 32, "hidden": 64, "max_epochs": 15, "n_genes": 200},
}
