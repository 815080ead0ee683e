"""Calibration undoes what a loss distorts, and repairs what held-out rows show."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from mmfusion.nn.calibration import Calibration, fit_calibration, undo_focal
from mmfusion.nn.losses import make_loss

TRUTH = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)  # shares of the classes where nothing is known
COUNTS = [600, 300, 100]


def best_output(criterion):
    """Return the logits (1, K) with the smallest mean loss over labels that follow `TRUTH`."""
    logits = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    weights = criterion.weights if hasattr(criterion, "weights") else criterion.weight
    step = torch.optim.LBFGS([logits], max_iter=300, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def loss():
        step.zero_grad()
        rows = torch.stack([criterion(logits, torch.tensor([k])) for k in range(3)])
        if not hasattr(criterion, "gamma") and weights is not None:
            rows = rows * weights  # the mean of cross-entropy over one row divides by its weight
        total = (TRUTH * rows).sum()
        total.backward()
        return total

    step.step(loss)
    return logits.detach()


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("cross_entropy", {}),
        ("cross_entropy", {"class_weight": None}),
        ("focal", {"gamma": 0.0}),
        ("focal", {"gamma": 2.0}),
        ("focal", {"gamma": 0.5}),
    ],
)
def test_the_loss_is_undone_exactly(loss, options):
    criterion = make_loss(loss, COUNTS, **options).double()
    step = Calibration(3).double()
    step.undo(criterion)
    torch.testing.assert_close(step(best_output(criterion)).softmax(1)[0], TRUTH, atol=1e-4, rtol=0)


@pytest.mark.parametrize("logits", [[[0.0, 0.0, 0.0]], [[200.0, 0.0, -200.0]]])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_undoing_the_focus_is_finite(logits, gamma):
    x = torch.tensor(logits, requires_grad=True)
    out = undo_focal(x.log_softmax(1), gamma)
    out.softmax(1)[0, 0].backward()
    assert torch.isfinite(out).all() and torch.isfinite(x.grad).all()


def test_a_new_calibration_changes_nothing():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Calibration(4)(logits).softmax(1), logits.softmax(1))


def drawn(n, slope, bias, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3))
    cumulative = softmax(slope * logits + bias, axis=1).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > cumulative[:, :2]).sum(axis=1)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.0])
def test_slope_and_biases_are_found(true):
    bias = np.array([0.5, 0.0, -0.5])
    slope, found = fit_calibration(*drawn(20_000, true, bias))
    assert slope == pytest.approx(true, rel=0.05)
    np.testing.assert_allclose(found - found.mean(), bias, atol=0.06)


def test_the_mean_probability_is_the_share_of_the_class():
    logits, codes = drawn(3000, 0.5, np.array([1.0, 0.0, -1.0]))
    slope, bias = fit_calibration(logits, codes)
    mean = softmax(slope * logits + bias, axis=1).mean(axis=0)
    np.testing.assert_allclose(mean, np.bincount(codes) / 3000, atol=0.002)


def test_few_rows_change_little_and_no_rows_nothing():
    slope, bias = fit_calibration(np.empty((0, 3)), np.empty(0, dtype=int))
    assert slope == 1 and not bias.any()
    slope, bias = fit_calibration(*drawn(6, 1.0, np.zeros(3)))
    assert 0.3 < slope < 3 and np.abs(bias).max() < 0.7
