"""The lesion phantom: lung lesions of all types in CT and PET, with a genotype and an expression panel."""

from mmfusion.synthetic.chest.cohort import VERSION, lesion_optimum, lesion_phantom

__all__ = ["VERSION", "lesion_optimum", "lesion_phantom"]
