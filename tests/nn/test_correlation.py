import numpy as np
import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.correlation import CorrelationLoss
from mmfusion.nn.training import JointLoss

NAN = float("nan")


def data(rows=12, genes=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, rows, genes, generator=generator)


def test_against_numpy_with_missing_entries():
    output, labels = data()
    labels[3, 0] = labels[5, 2] = labels[7] = NAN
    known = ~labels.isnan()
    mse = (output - labels)[known].square().mean().item()
    r = [np.corrcoef(output[known[:, g], g], labels[known[:, g], g])[0, 1] for g in range(3)]
    for weight in (0.0, 0.3, 1.0):
        expected = (1 - weight) * mse + weight * (1 - np.mean(r))
        assert CorrelationLoss(weight)(output, labels).item() == pytest.approx(expected, abs=1e-5)


def test_scale_and_shift_do_not_matter_to_the_correlation():
    output, labels = data()
    loss = CorrelationLoss(1.0)
    torch.testing.assert_close(loss(3 * output - 2, labels), loss(output, labels))


def test_too_few_rows_or_equal_labels_leave_the_squared_error():
    output, labels = data()
    mse = torch.nn.MSELoss()
    few = labels.clone()
    few[7:] = NAN
    torch.testing.assert_close(CorrelationLoss(0.5)(output, few), mse(output[:7], labels[:7]))
    flat = torch.ones_like(labels)
    torch.testing.assert_close(CorrelationLoss(0.5)(output, flat), mse(output, flat))


def test_gradients_are_finite():
    _, labels = data()
    labels[2:5] = NAN
    for output in (torch.zeros_like(labels), torch.randn(labels.shape)):
        output.requires_grad_()
        CorrelationLoss(1.0)(output, labels).backward()
        assert output.grad.isfinite().all() and (output.grad[2:5] == 0).all()
    output = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    y = torch.randn(9, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: CorrelationLoss(0.5)(x, y), output)


def test_a_joint_loss_gives_it_the_rows():
    output, labels = data()
    labels[3, 0] = NAN
    joint = JointLoss({"expression": CorrelationLoss(0.5)})
    torch.testing.assert_close(
        joint({"expression": output}, {"expression": labels}), CorrelationLoss(0.5)(output, labels)
    )


def test_parameters_out_of_range():
    with pytest.raises(MMFusionError, match="correlation loss"):
        CorrelationLoss(1.5)
