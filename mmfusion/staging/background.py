"""A synthetic background for explanations: quantiles per class, so that no patient's row is saved."""

from __future__ import annotations

import numpy as np

from mmfusion.streams import StreamInputs

QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
# each value is the mean of several quantiles, so that it is never the value of one patient
_BAND = np.array([-0.06, -0.02, 0.03, 0.07])
_ENOUGH = 10  # with fewer patients, quantiles would come close to single patients


def class_quantiles(inputs: StreamInputs, codes: np.ndarray) -> StreamInputs:
    """Return quantiles of every feature per class, over the patients who have the stream.

    Parameters
    ----------
    inputs : StreamInputs
        The rows a model was fitted on.
    codes : ndarray of int, shape (n,)
        Their classes.

    Returns
    -------
    StreamInputs
        `K * 5` rows. Each value is a quantile over at least 10 patients; if a class has fewer, over all
        patients. Quantiles are taken feature by feature, so no row is a patient. If fewer than
        10 patients have a stream, it is 0 in all rows, the same as for a patient who lacks it.

    Examples
    --------
    >>> ages = np.arange(20, dtype=np.float32)[:, None]
    >>> inputs = StreamInputs({"rna": ages}, np.ones((20, 1), bool), list(range(20)))
    >>> class_quantiles(inputs, np.repeat([0, 1], 10)).arrays["rna"].shape
    (10, 1)
    """
    classes = np.unique(codes)
    arrays = {}
    for column, (name, array) in enumerate(inputs.arrays.items()):
        has = inputs.present[:, column]
        if has.sum() < _ENOUGH:
            arrays[name] = np.zeros((len(classes) * len(QUANTILES), *array.shape[1:]), dtype=np.float32)
            continue
        rows = []
        for code in classes:
            members = has & (codes == code)
            chosen = array[members if members.sum() >= _ENOUGH else has]
            rows += [
                np.quantile(chosen, q + _BAND, axis=0).mean(axis=0).astype(np.float32) for q in QUANTILES
            ]
        arrays[name] = np.stack(rows)
    n = len(classes) * len(QUANTILES)
    index = [f"background-{i}" for i in range(n)]
    return StreamInputs(arrays=arrays, present=np.ones((n, inputs.present.shape[1]), dtype=bool), index=index)
