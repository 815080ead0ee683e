"""Simulated out-of-fold predictions with a known amount of signal."""

import numpy as np
import pandas as pd

CLASSES = ("I", "II", "III")


def predictions(model="ridge", *, n=90, signal=1.0, repeats=1, folds=5, seed=0, patients=0, classes=CLASSES):
    """Softmax of noise plus `signal` at the true class; patients and labels depend only on `patients`."""
    y = np.random.default_rng(patients).choice(
        len(classes), n, p=np.arange(len(classes), 0, -1) / sum(range(len(classes) + 1))
    )
    parts = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        logits = rng.normal(size=(n, len(classes)))
        logits[np.arange(n), y] += signal
        proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        fold = np.random.default_rng(repeat).permutation(n) % folds
        part = pd.DataFrame(proba, columns=[f"p_{c}" for c in classes])
        ids = [f"P{i:03d}" for i in range(n)]
        parts.append(
            part.assign(model=model, repeat=repeat, fold=fold, patient_id=ids, y_true=np.array(classes)[y])
        )
    return pd.concat(parts, ignore_index=True)
