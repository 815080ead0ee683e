import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.errors import MMFusionError
from mmfusion.nn.heads import HEADS, MixedHead, OrdinalHead, make_head
from tests.nn.streams import build


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_softmax_of_the_output_is_a_distribution(name, classes):
    head = build(lambda: make_head(name, 6, classes))
    out = head(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)))
    assert out.shape == (4, classes)
    torch.testing.assert_close(out.softmax(1).sum(1), torch.ones(4))
    out[:, 0].sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_ordinal_is_a_difference_of_sigmoids(classes):
    head = build(lambda: OrdinalHead(6, classes)).double()
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    above = torch.sigmoid(head.score(x) - head.thresholds())
    edges = torch.cat([torch.ones(4, 1), above, torch.zeros(4, 1)], dim=1)
    torch.testing.assert_close(head(x).exp(), edges[:, :-1] - edges[:, 1:])
    torch.testing.assert_close(head(x).exp(), head(x).softmax(1))


def test_ordinal_starts_with_equal_classes():
    head = OrdinalHead(6, 4)
    torch.testing.assert_close(head(torch.zeros(1, 6)).exp(), torch.full((1, 4), 0.25), rtol=0.01, atol=0)


@settings(max_examples=30, deadline=None)
@given(st.floats(-500, 500), st.floats(-30, 30))
def test_ordinal_is_finite_and_ordered_far_out(score, step):
    head = OrdinalHead(1, 4)
    with torch.no_grad():
        head.score.weight.fill_(1.0)
        head.steps.fill_(step)
    out = head(torch.tensor([[score]]))
    assert (head.thresholds().diff() > 0).all()
    assert torch.isfinite(out).all()
    assert out.exp().sum().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("gate", [-200.0, 0.0, 1.5, 200.0])
def test_mixed_is_the_mean_of_both_parts(classes, gate):
    head = build(lambda: MixedHead(6, classes)).double()
    with torch.no_grad():
        head.gate.fill_(gate)
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share = torch.sigmoid(head.gate)
    expected = share * head.ordinal(x).exp() + (1 - share) * head.softmax(x).softmax(1)
    torch.testing.assert_close(head(x).exp(), expected)
    head(1e3 * x).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_unknown_head_and_too_few_classes():
    with pytest.raises(MMFusionError, match="mixed, ordinal, softmax"):
        make_head("cox", 6, 3)
    with pytest.raises(MMFusionError, match="2 or more"):
        make_head("softmax", 6, 1)
