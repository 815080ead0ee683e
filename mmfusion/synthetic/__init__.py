"""The demo cohort: a phantom with CT, RNA and EHR whose best possible result is known."""

from mmfusion.synthetic.cohort import VERSION, phantom, posterior
from mmfusion.synthetic.writer import write_cohort, write_dicom_zip

__all__ = ["VERSION", "phantom", "posterior", "write_cohort", "write_dicom_zip"]
