"""Explanations of a fitted model: genes, scans and modalities. The results are candidate associations."""

from mmfusion.lazy import lazy

_HOME = {
    "GeneAttribution": "attributions",
    "genes": "gene_ranking",
    "cross_check": "gene_methods",
    "METHODS": "gene_methods",
    "enrichment": "gene_enrichment",
    "gene_edges": "attention",
    "modality_attention": "attention",
    "gene_shap": "gene_attribution",
    "integrated_gradients": "gene_attribution",
    "gene_permutation": "permutation",
    "ModalityAttribution": "modalities",
    "modality_shapley": "modalities",
    "leave_one_modality_out": "modalities",
    "ScanAttribution": "scans",
    "scan_gradcam": "scans",
    "scan_occlusion": "occlusion",
    "layer_gradcam": "layer_maps",
    "layer_hirescam": "layer_maps",
    "energy_in_tumour": "scans",
    "randomisation_check": "scans",
    "shuffled": "scans",
    "pointing_game": "tumours",
    "tumour_masks": "tumours",
    "crop_spacing": "crop_voxels",
    "mean_over_folds": "stability",
    "over_resamples": "stability",
    "top_k_stability": "stability",
    "null_attribution": "permuted_labels",
    "compare_with_refits": "permuted_labels",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
