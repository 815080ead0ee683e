import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.fusion.concat import Simple
from mmfusion.nn.fusion.crossmodal import CrossModal
from mmfusion.nn.fusion.daft import DAFT
from mmfusion.nn.fusion.gmu import GatedMultimodalUnit
from mmfusion.nn.fusion.late import Late
from mmfusion.nn.fusion.weighted import ModalityWeighted
from mmfusion.nn.heads import SoftmaxHead
from tests.nn.streams import build, specs

D = 8
TOKENS = {"ct": 8, "ct_table": 1, "rna": 3, "ehr": 1}
THREE = ("ct", "rna", "ehr")
PRESENT = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 0, 1]], dtype=torch.bool)


def make(kind, *streams, **options):
    return build(lambda: kind(specs(*(streams or THREE)), TOKENS, D, 12, 0.0, **options)).eval()


def tokens(b=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(b, t, D, generator=generator) for name, t in TOKENS.items()}


def test_given_weights_are_normalised_over_present_streams():
    weights = make(ModalityWeighted, weights={"ct": 0.4, "rna": 0.3, "ehr": 0.3}).scale(PRESENT)
    expected = torch.tensor([[0.4, 0.3, 0.3], [4 / 7, 0, 3 / 7], [0, 0, 1]])
    torch.testing.assert_close(weights, expected)


def test_learned_weights_are_equal_at_first():
    torch.testing.assert_close(make(ModalityWeighted).scale(PRESENT), PRESENT / PRESENT.sum(1, keepdim=True))


def test_weight_of_a_modality_serves_both_its_streams():
    net = make(ModalityWeighted, "ct", "ct_table", "ehr", weights={"ct": 0.4, "ehr": 0.2})
    torch.testing.assert_close(net.scale(torch.ones(1, 3, dtype=torch.bool)), torch.tensor([[0.4, 0.4, 0.2]]))


def test_a_stream_without_a_weight():
    with pytest.raises(MMFusionError, match="'rna'"):
        make(ModalityWeighted, weights={"ct": 0.5, "ehr": 0.5})


def test_simple_keeps_the_length_of_the_vector():
    scale = make(Simple).scale(PRESENT) * PRESENT
    torch.testing.assert_close(scale.square().sum(1), torch.ones(3))


def test_late_is_the_average_of_one_stream_models():
    net, x = make(Late), tokens()
    head = build(lambda: SoftmaxHead(net.out_features, 4))
    logits = head(net(x, PRESENT))
    single = [
        head(net(x, torch.eye(3, dtype=torch.bool)[[i] * 3])) for i in range(3)
    ]  # each stream's model, by itself
    for row, has in enumerate(PRESENT):
        expected = torch.stack([single[i][row] for i in range(3) if has[i]]).mean(0)
        torch.testing.assert_close(logits[row], expected)


def test_gates_sum_to_one_and_a_single_stream_passes():
    net, x = make(GatedMultimodalUnit), tokens()
    out = net(x, PRESENT)
    torch.testing.assert_close(out[2], net.content[2](x["ehr"][2, 0]).tanh())
    assert out.abs().max() <= 1


def test_crossmodal_tokens_do_not_attend_to_their_own_stream():
    mask = make(CrossModal).may_look
    owner = make(CrossModal).owner
    assert mask.shape == (13, 13) and mask[0].all()  # CLS, 8 ct, 3 rna, 1 ehr
    same = owner[:, None] == owner[None, :]
    same[0, 0] = False
    assert torch.equal(mask, ~same)


def test_crossmodal_without_anything_is_finite():
    assert torch.isfinite(make(CrossModal)(tokens(1), torch.zeros(1, 3, dtype=torch.bool))).all()


def test_daft_does_not_change_the_only_stream():
    net, x = make(DAFT), tokens()
    alone = torch.tensor([[1, 0, 0]] * 3, dtype=torch.bool)
    before = net(x, alone)
    for p in net.film.parameters():
        torch.nn.init.constant_(p, 1.0)
    assert torch.equal(net(x, alone), before)
    both = torch.tensor([[1, 0, 1]] * 3, dtype=torch.bool)
    assert not torch.equal(net(x, both), make(DAFT)(x, both))


def test_daft_scales_and_shifts_before_or_after_pooling_alike():
    """It may act on tokens because mean(scale * map + shift) = scale * mean(map) + shift."""
    x, scale, shift = (
        torch.randn(3, 8, D, generator=torch.Generator().manual_seed(0)),
        torch.rand(D),
        torch.rand(D),
    )
    torch.testing.assert_close((x * scale + shift).mean(1), x.mean(1) * scale + shift)


def test_daft_without_a_scan_stream_has_nothing_to_modulate():
    assert not make(DAFT, "rna", "ehr").film and not make(DAFT, "ct").film
