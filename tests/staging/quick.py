"""Settings of a small model that is fitted in a second."""

QUICK = {
    "max_epochs": 3,
    "n_genes": 12,
    "preprocessing": {"graph_k": 3},
    "network": {"d": 16, "hidden": 16},
    "training": {"batch_size": 16},
}
