"""Small scans and masks for files in published layouts."""

import numpy as np

from mmfusion.imaging import Volume, write_nifti
from tests.imaging.lidc_files import ball

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
SHAPE = (10, 24, 26)


def ct(seed=0, affine=AFFINE, shape=SHAPE):
    hu = np.random.default_rng(seed).normal(-500, 300, shape)
    return Volume(np.clip(hu, -1000, 1000).astype(np.int16), affine)


def pet(seed=0):
    suv = np.random.default_rng(seed).gamma(2.0, 1.5, SHAPE).astype(np.float32)
    return Volume(suv, AFFINE, "PT", "SUVbw")


def lesion(x=12, radius=4.0):
    return ball(SHAPE, (5, 12, x), radius, AFFINE)


def put(volume, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_nifti(volume, path)
