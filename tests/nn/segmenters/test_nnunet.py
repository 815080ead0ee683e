"""nnU-Net's plans: the published ones of known cohorts, and the rules one by one."""

import numpy as np
import pytest
import torch

from mmfusion.errors import DataError
from mmfusion.nn.segmenters import nnunet_plan
from mmfusion.nn.segmenters.nnunet import target_spacing
from mmfusion.nn.segmenters.resenc_unet import ResEncUNet

# Cohort, scans, median shape and spacing (z, y, x) -> patch, halvings of each axis, batch: the plans of
# nnU-Net for "3d_fullres" (version 1, which the paper describes).
PUBLISHED = [
    ("MSD Task01, brain tumour", 484, (138, 170, 138), (1.0, 1.0, 1.0), (128, 128, 128), (5, 5, 5), 2),
    ("MSD Task02, heart", 20, (115, 320, 232), (1.37, 1.25, 1.25), (80, 192, 160), (4, 5, 5), 2),
    ("MSD Task03, liver", 131, (482, 512, 512), (1.0, 0.77, 0.77), (128, 128, 128), (5, 5, 5), 2),
    ("MSD Task04, hippocampus", 260, (36, 50, 35), (1.0, 1.0, 1.0), (40, 56, 40), (3, 3, 3), 9),
    ("MSD Task05, prostate", 32, (20, 320, 319), (3.6, 0.62, 0.62), (20, 320, 256), (2, 6, 6), 2),
    ("MSD Task06, lung", 63, (252, 512, 512), (1.24, 0.785, 0.785), (80, 192, 160), (4, 5, 5), 2),
    ("MSD Task08, hepatic vessel", 303, (150, 512, 512), (1.5, 0.8, 0.8), (64, 192, 192), (4, 5, 5), 2),
    ("MSD Task09, spleen", 41, (187, 512, 512), (1.6, 0.79, 0.79), (64, 192, 160), (4, 5, 5), 2),
]


@pytest.mark.parametrize(("shape", "spacing", "size", "halvings", "batch", "n"), [
    pytest.param(shape, spacing, size, halvings, batch, n, id=name)
    for name, n, shape, spacing, size, halvings, batch in PUBLISHED
])  # fmt: skip
def test_published_plans(shape, spacing, size, halvings, batch, n):
    plan = nnunet_plan([shape] * n, [spacing] * n)
    assert plan.size == size and plan.batch_size == batch
    np.testing.assert_array_equal(np.log2(np.prod(plan.strides, axis=0)), halvings)
    assert plan.spacing == pytest.approx(spacing)


def test_the_full_preset_is_the_plan_of_the_lungs():
    plan, preset = nnunet_plan([(252, 512, 512)], [(1.24, 0.785, 0.785)]), ResEncUNet.presets["full"]
    assert (preset.size, preset.spacing) == (plan.size, plan.spacing)
    with torch.device("meta"):
        planned, full = ResEncUNet(**plan.options), ResEncUNet.from_preset("full")
    assert planned.divisor == full.divisor == (16, 32, 32)
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (planned, full)]
    assert shapes[0] == shapes[1]


def test_kernels_and_strides_along_thick_slices():
    """By hand: 6.35 / 1.52 = 4.2, so z waits for two halvings of y and x, and its kernel is 1 until then."""
    plan = nnunet_plan([(18, 237, 208)], [(6.35, 1.52, 1.52)])
    assert plan.size == (20, 256, 224)
    assert plan.strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))
    # after one halving the ratio is 2.1, after two it is 1.04
    assert plan.kernels == ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))


def test_target_spacing_by_hand():
    fine = np.array([[1.0, 0.7, 0.7], [1.25, 0.8, 0.8], [3.0, 0.9, 0.9]])
    np.testing.assert_allclose(target_spacing(np.full((3, 3), 200), fine), [1.25, 0.8, 0.8])  # the medians
    thick = np.array([[2.0, 0.7, 0.7], [5.0, 0.8, 0.8], [5.0, 0.8, 0.8]])
    few = np.array([[40, 512, 512]] * 3)
    # 10th percentile of (2, 5, 5): 2 + 0.2 * 3
    np.testing.assert_allclose(target_spacing(few, thick), [2.6, 0.8, 0.8])
    many = np.array([[400, 512, 512]] * 3)  # thick slices, but as many as rows and columns
    np.testing.assert_allclose(target_spacing(many, thick), [5.0, 0.8, 0.8])
    thin_one = np.array([[0.5, 0.8, 0.8], [0.5, 0.8, 0.8], *[[5.0, 0.8, 0.8]] * 3])
    np.testing.assert_allclose(target_spacing(few[[0] * 5], thin_one), [0.8, 0.8, 0.8])  # not finer than y, x


def test_less_memory_gives_smaller_patches_and_more_gives_larger_ones():
    scans = ([(252, 512, 512)] * 60, [(1.24, 0.785, 0.785)] * 60)
    sizes = [np.prod(nnunet_plan(*scans, memory=share).size) for share in (0.02, 0.2, 1.0, 4.0)]
    assert sizes == sorted(sizes) and len(set(sizes)) == 4
    small = nnunet_plan([(48, 48, 48)] * 200, [(1.0, 1.0, 1.0)] * 200)
    assert small.size == (48, 48, 48) and small.batch_size > 2  # what is left goes to the batch
    assert nnunet_plan([(48, 48, 48)] * 3, [(1.0, 1.0, 1.0)] * 3).batch_size == 2  # 5 % of the cohort


def test_a_planned_network_runs():
    plan = nnunet_plan([(18, 237, 208)], [(6.35, 1.52, 1.52)], memory=0.005)
    with torch.device("meta"):
        net = ResEncUNet(**plan.options).eval()
        assert net(torch.zeros(1, 1, *plan.size))["mask"].shape == (1, 1, *plan.size)
    assert net.divisor == tuple(np.prod(plan.strides, axis=0))


@pytest.mark.parametrize(
    ("shapes", "spacings", "message"),
    [
        ([], [], "parameter shapes"),
        ([(64, 64)], [(1.0, 1.0, 1.0)], "parameter shapes"),
        ([(64, 64, 64)], [(1.0, 0.0, 1.0)], "parameter spacings"),
        ([(64, 64, 64)] * 2, [(1.0, 1.0, 1.0)], "differ in number"),
        ([(6, 6, 6)], [(1.0, 1.0, 1.0)], "a U-Net with three levels does not fit"),
    ],
)
def test_scans_that_cannot_be_planned(shapes, spacings, message):
    with pytest.raises(DataError, match=message):
        nnunet_plan(shapes, spacings)


def test_too_little_memory():
    with pytest.raises(DataError, match="more memory"):
        nnunet_plan([(64, 64, 64)], [(1.0, 1.0, 1.0)], memory=1e-6)
