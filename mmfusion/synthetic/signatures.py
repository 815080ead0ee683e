"""Best possible prediction of signature scores from the other modalities of the phantom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmfusion.data.gene_scores import singscore
from mmfusion.errors import DataError
from mmfusion.synthetic import clinical, lesions
from mmfusion.synthetic.genes import gene_programme
from mmfusion.synthetic.model import GRID, draw_latents, stream
from mmfusion.synthetic.optimum import beliefs


def signature_optimum(
    sets: Mapping[str, Sequence[str]],
    modality: str = "ct",
    *,
    n_genes: int = 500,
    n_planted: int = 20,
    n_draws: int = 4000,
) -> dict[str, float]:
    """Return the best possible correlation of each signature with a prediction from one other modality.

    The tumour burden, which the CT shows, and the gene programme have a correlation of 0.3. A CT therefore
    tells a little about a set of planted genes, and nothing about a set without planted genes. The
    prediction is the expected burden, given the true appearance of the lesion. A model that reads voxels
    cannot be better, except for a small effect of the ranks, which are not linear in the burden.

    Parameters
    ----------
    sets : mapping of str to sequence of str
        Gene sets; genes that the phantom lacks are ignored.
    modality : {"ct", "ehr"}
        Modality that predicts.
    n_genes, n_planted : int
        As for `phantom`.
    n_draws : int
        Number of drawn patients; the standard error of a correlation is about 1 / sqrt(n_draws).

    Returns
    -------
    dict of str to float
        Signature -> Pearson's correlation, 0 or more; without sets that have no gene in the phantom.

    Raises
    ------
    DataError
        If the modality cannot predict.

    Examples
    --------
    >>> best = signature_optimum({"programme": gene_programme().planted}, n_draws=1000)
    >>> 0.15 < best["programme"] < 0.3
    True
    """
    if modality not in ("ct", "ehr"):
        raise DataError("no modality of the phantom beside its genes", expected="ct or ehr", got=modality)
    programme = gene_programme(n_genes, n_planted)
    latents = draw_latents(n_draws, stream(0, "signatures"))
    genes = programme.sample(latents[:, 1], stream(0, "signatures genes"))
    known = {name: [g for g in members if g in genes] for name, members in sets.items()}
    scores = singscore(genes, {name: members for name, members in known.items() if members})
    belief = beliefs(
        lesions.sample(latents[:, 0], stream(0, "signatures lesions")),
        None,
        clinical.sample(latents[:, 2], stream(0, "signatures clinical")),
        programme,
    )
    found = scores.dropna(axis=1).apply(lambda score: np.corrcoef(score, belief[modality] @ GRID)[0, 1])
    return {str(name): max(float(r), 0.0) for name, r in found.items()}
