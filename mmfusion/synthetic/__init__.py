"""Phantoms: synthetic cohorts whose best possible result is known.

`phantom` has CT, PET, RNA and EHR for staging; `lesion_phantom` has lung lesions with masks;
`radiomics_phantom` has tables of features with a genotype and expression.
"""

from mmfusion.synthetic.chest import lesion_optimum, lesion_phantom
from mmfusion.synthetic.cohort import VERSION, phantom, posterior
from mmfusion.synthetic.radiomics import radiomics_optimum, radiomics_phantom
from mmfusion.synthetic.signatures import signature_optimum

__all__ = [
    "VERSION",
    "lesion_optimum",
    "lesion_phantom",
    "phantom",
    "posterior",
    "radiomics_optimum",
    "radiomics_phantom",
    "signature_optimum",
]
