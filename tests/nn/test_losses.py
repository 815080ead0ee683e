import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from mmfusion.errors import MMFusionError
from mmfusion.nn.losses import FocalLoss, balanced_weights, effective_number_weights, make_loss

COUNTS = [87, 26, 21, 4]  # stages I to IV of NSCLC-Radiogenomics, AJCC 7
LOGITS = torch.tensor([[2.0, 0.5, -1.0, 0.0], [0.1, 0.2, 0.3, 0.4], [-1.0, 0.0, 3.0, 1.0]])
Y = torch.tensor([0, 3, 1])


def test_balanced_weights_are_scikit_learns():
    y = np.repeat(np.arange(4), COUNTS)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=y)
    np.testing.assert_allclose(balanced_weights(COUNTS), expected, rtol=1e-6)


def test_effective_number_weights():
    """Values computed by hand from Cui et al. 2019, equation 5."""
    raw = np.array([(1 - 0.999) / (1 - 0.999**n) for n in COUNTS])
    np.testing.assert_allclose(effective_number_weights(COUNTS), raw / raw.mean(), rtol=1e-6)
    assert effective_number_weights(COUNTS).mean() == pytest.approx(1)


def test_focal_loss_by_hand():
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    p = LOGITS.softmax(1)[range(3), Y]
    expected = -(weights[Y] * (1 - p) ** 2 * p.log()).mean()
    torch.testing.assert_close(FocalLoss(weights, 2.0)(LOGITS, Y), expected)


def test_focal_loss_without_focus_is_cross_entropy():
    expected = torch.nn.functional.cross_entropy(LOGITS, Y)
    torch.testing.assert_close(FocalLoss(torch.ones(4), 0.0)(LOGITS, Y), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_gradient_is_finite_where_the_model_is_certain(gamma):
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    FocalLoss(torch.ones(2), gamma)(logits, torch.tensor([0, 0])).backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_log_probabilities_are_logits_too(name):
    loss = make_loss(name, COUNTS)
    torch.testing.assert_close(loss(LOGITS, Y), loss(LOGITS.log_softmax(1), Y))


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_a_class_without_patients_has_a_finite_weight(name):
    assert torch.isfinite(make_loss(name, [5, 0, 3, 2])(LOGITS, Y))


def test_unweighted():
    torch.testing.assert_close(
        make_loss("cross_entropy", COUNTS, class_weight=None)(LOGITS, Y),
        torch.nn.functional.cross_entropy(LOGITS, Y),
    )


def test_unknown_names():
    with pytest.raises(MMFusionError, match="hinge"):
        make_loss("hinge", COUNTS)
    with pytest.raises(MMFusionError, match="sqrt"):
        make_loss("cross_entropy", COUNTS, class_weight="sqrt")
