"""A chest whose truth is known, and a small file of weights: what the tests of restoration share."""

import numpy as np
import pytest

from mmfusion.imaging import Volume

NOISE = 40.0


def truth(shape=(16, 40, 44), spacing=(1.0, 1.0, 1.0), seed=0):
    """Lung with a ball of 40 HU (6 mm radius) in the middle, soft tissue at one side, padding in a corner."""
    z, y, x = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing)], indexing="ij")
    hu = np.full(shape, -850, np.float32)
    hu[:, :, -10:] = 60
    ball = z**2 + y**2 + x**2 <= 36
    hu[ball] = 40
    hu[:, :5, :5] = -1024
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = -np.diag(affine)[:3] * (np.array(shape[::-1]) - 1) / 2
    return Volume(hu, affine), Volume(ball, affine, unit="mask")


def noisy(volume, seed=0, sd=NOISE):
    hu = volume.array + np.where(
        volume.array > -1024, np.random.default_rng(seed).normal(0, sd, volume.shape).astype(np.float32), 0
    )
    return Volume(hu.astype(np.float32), volume.affine)


def write_network(path, seed=0):
    """A state of cellpose's restoration network with random weights that do something."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("cellpose")
    from mmfusion.imaging.isolation import undisturbed

    with undisturbed():
        from cellpose.resnet_torch import CPnet

        torch.manual_seed(seed)
        net = CPnet([1, 32, 64, 128, 256], 1, 3, max_pool=True)
        for layer in net.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
        torch.save(net.state_dict(), path)
    return path
