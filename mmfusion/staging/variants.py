"""Models that nested cross-validation judges beside a StageClassifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier


def variants(
    model: StageClassifier, modalities: Sequence[str], *, fusions: Sequence[str] = (), singles: bool = False
) -> dict[str, tuple[dict[str, object], tuple[str, ...]]]:
    """Return the variants that `nested_cv` judges beside the model: other fusions, single modalities.

    Parameters
    ----------
    modalities : sequence of str
        Modalities of the cohort.
    fusions : sequence of str
        Registered fusions.
    singles : bool
        Judge each modality alone, with the fusion "concat".

    Returns
    -------
    dict
        Name -> (the changed parameters, the modalities that are read). The options of the model's own
        fusion are reset, because another fusion does not have them.

    Examples
    --------
    >>> from mmfusion.staging import StageClassifier
    >>> StageClassifier().variants(["ct", "rna"], singles=True)["ct only"]
    ({'fusion': 'concat', 'network__fusion_options': {}, 'modalities': ['ct']}, ('ct',))
    """
    every = tuple(modalities if model.modalities is None else model.modalities)
    found = {name: ({"fusion": name, "network__fusion_options": {}}, every) for name in fusions}
    for modality in modalities if singles else ():
        changes = {"fusion": "concat", "network__fusion_options": {}, "modalities": [modality]}
        found[f"{modality} only"] = (changes, (modality,))
    return found
