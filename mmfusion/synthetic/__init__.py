"""Phantoms: synthetic cohorts whose best possible result is known.

`phantom` has CT, PET, RNA and EHR for staging; `lesion_phantom` has lung lesions with masks.
"""

from mmfusion.synthetic.chest import lesion_optimum, lesion_phantom
from mmfusion.synthetic.cohort import VERSION, phantom, posterior

__all__ = ["VERSION", "lesion_optimum", "lesion_phantom", "phantom", "posterior"]
