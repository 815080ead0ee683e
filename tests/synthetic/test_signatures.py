"""The best possible prediction of a signature from CT or health records: what the latents allow."""

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.synthetic import signature_optimum
from mmfusion.synthetic.genes import gene_programme


def test_planted_genes_are_predictable_and_others_are_not():
    best = signature_optimum(gene_programme().gene_sets)
    # 0.3 is the correlation of the latents; CT shows the burden, and the ranks the programme, not perfectly
    assert 0.2 < best.pop("programme") < 0.3
    assert len(best) == 4 and max(best.values()) < 4 / np.sqrt(4000)
    assert 0.15 < signature_optimum({"p": gene_programme().planted}, "ehr")["p"] < 0.3


def test_sets_without_genes_are_left_out():
    assert signature_optimum({"absent": ["NOTHING"], "p": gene_programme().planted}, n_draws=500).keys() == {
        "p"
    }


def test_another_modality():
    with pytest.raises(DataError, match="ct or ehr"):
        signature_optimum({"p": ["EGFR"]}, "rna")
