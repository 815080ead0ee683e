"""The demo cohort: a phantom with CT, RNA and EHR whose best possible result is known."""

from mmfusion.synthetic.cohort import phantom, posterior
from mmfusion.synthetic.writer import write_cohort, write_dicom_zip

__all__ = ["phantom", "posterior", "write_cohort", "write_dicom_zip"]
