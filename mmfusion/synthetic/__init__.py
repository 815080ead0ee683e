"""Phantom: a synthetic cohort with CT, PET, RNA and EHR, whose best possible result is known."""

from mmfusion.synthetic.cohort import VERSION, phantom, posterior

__all__ = ["VERSION", "phantom", "posterior"]
