import math

import pytest
import torch
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.training import (
    DynamicWeights,
    GradientCosine,
    GradientSurgery,
    JointLoss,
    TrainingPlan,
    UncertaintyLoss,
    balanced,
)
from mmfusion.nn.training.task_gradients import project_conflicts
from tests.nn.training.networks import fit, same
from tests.nn.training.tasks import TwoHeads, losses, two_tasks

SGD = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "clip_norm": None}
ONE_STEP = TrainingPlan(**SGD, lr=0.1, max_epochs=1, batch_size=24)


def train(plan=ONE_STEP, criterion=None, unknown=(), **options):
    criterion = criterion or JointLoss(losses())
    return fit(plan, network=TwoHeads, data=two_tasks(unknown=unknown), criterion=criterion, **options)


def test_uncertainty_is_the_formula_of_kendall():
    loss = UncertaintyLoss(losses(), regression=["b"])
    loss.log_variance["a"].data.fill_(0.7)
    loss.log_variance["b"].data.fill_(-1.2)
    value = loss(
        {"a": torch.full((2, 1), 2.0), "b": torch.full((2, 2), 3.0)},
        {"a": torch.zeros(2, 1), "b": torch.zeros(2, 2)},
    )
    expected = math.exp(-0.7) * 4 + 0.35 + 0.5 * math.exp(1.2) * 9 - 0.6
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_uncertainty_settles_at_the_log_of_the_loss():
    """The minimum of exp(-s) L + s / 2 is at s = log(2 L), and of exp(-s) L / 2 + s / 2 at log(L)."""
    loss = UncertaintyLoss(losses(), regression=["b"])
    outputs = {"a": torch.full((2, 1), 2.0), "b": torch.full((2, 2), 3.0)}
    labels = {"a": torch.zeros(2, 1), "b": torch.zeros(2, 2)}
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        loss(outputs, labels).backward()
        optimizer.step()
    assert loss.log_variance["a"].item() == pytest.approx(math.log(8), abs=1e-3)
    assert loss.log_variance["b"].item() == pytest.approx(math.log(9), abs=1e-3)
    loss.log_variance["a"].data.fill_(9.0)  # above the limit it counts as 5
    assert loss.terms(outputs, labels)["a"].item() == pytest.approx(math.exp(-5) * 4 + 2.5)


def test_uncertainty_of_a_task_without_labels_does_not_change():
    """Even under AdamW, whose weight decay and momentum move every parameter that has a gradient."""
    loss = UncertaintyLoss(losses())
    loss.log_variance["b"].data.fill_(1.5)
    train(TrainingPlan(lr=0.1, max_epochs=4), loss, unknown=["b"])
    assert loss.log_variance["b"].item() == 1.5 and loss.log_variance["a"].item() != 0
    *_, history = train(TrainingPlan(max_epochs=1), UncertaintyLoss(losses()), unknown=["a", "b"])
    assert history[0]["train_loss"] == 0


def test_dynamic_weights_golden_numbers():
    weights = DynamicWeights(temperature=2.0).weights({"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 2.0})
    a, b = math.exp(0.25), math.exp(0.75)  # ratios .5 and 1.5
    assert weights == pytest.approx({"a": 2 * a / (a + b), "b": 2 * b / (a + b)})


def test_dynamic_weights_follow_the_losses_of_the_last_epochs(tmp_path):
    plan = TrainingPlan(**SGD, lr=0.05, max_epochs=4, batch_size=24)
    criterion = JointLoss(losses(), {"b": 3.0})
    *_, history = train(plan, criterion, callbacks=[("dwa", DynamicWeights())], checkpoint=tmp_path / "x")
    assert [row["weight_a"] for row in history[:2]] == [1.0, 1.0]
    assert [row["weight_b"] for row in history[:2]] == [3.0, 3.0]
    assert history[3]["weight_a"] + history[3]["weight_b"] / 3 == pytest.approx(2.0)
    assert history[2]["weight_a"] != 1.0 and criterion.weights == {"b": 3.0}
    # in an epoch of one batch without labels of b, the loss of the epoch is that of a; the ratio of b is 1
    *_, lone = train(plan, JointLoss(losses()), callbacks=[DynamicWeights()], unknown=["b"])
    ratio = lone[1]["train_loss"] / lone[0]["train_loss"]
    a, b = math.exp(ratio / 2), math.exp(0.5)
    assert lone[2]["weight_a"] == pytest.approx(2 * a / (a + b), rel=1e-5)


def test_surgery_of_two_known_gradients():
    """g1 = (1, 0), g2 = (-1, 1): their product is -1, so each loses its part along the other."""
    one, two = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
    (first,), (second,) = project_conflicts([[one], [two]], [[1], [0]])
    torch.testing.assert_close(first, torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(second, torch.tensor([0.0, 1.0]))
    assert first @ two == 0 and second @ one == 0
    agree = [[one], [torch.tensor([1.0, 1.0])]]
    kept = project_conflicts(agree, [[1], [0]])
    assert all(a[0] is b[0] for a, b in zip(agree, kept, strict=True))


def test_surgery_reads_the_shared_parameters_only():
    own = torch.tensor([7.0])
    one = [torch.tensor([1.0, 0.0]), own, None]
    two = [torch.tensor([-1.0, 1.0]), None, own]
    first, second = project_conflicts([one, two], [[1], [0]])
    torch.testing.assert_close(first[0], torch.tensor([0.5, 0.5]))
    assert first[1] is own and first[2] is None and second[2] is own


@pytest.mark.parametrize("accumulate", [1, 2])
def test_surgery_in_the_loop_takes_the_step_of_the_projected_gradients(accumulate):
    plan = ONE_STEP.replace(batch_size=24 // accumulate, accumulate=accumulate)
    module, before, _ = train(plan, callbacks=[GradientSurgery()])
    plain, *_ = train(plan)
    step = {name: (value - before[name]) / -0.1 for name, value in module.state_dict().items()}
    usual = {name: (value - before[name]) / -0.1 for name, value in plain.state_dict().items()}
    assert not torch.allclose(step["trunk.weight"], usual["trunk.weight"], atol=1e-3)
    for name in step:
        if name.startswith("heads"):
            torch.testing.assert_close(step[name], usual[name], atol=1e-5, rtol=1e-4)
    if accumulate > 1:
        return
    net = TwoHeads()
    net.load_state_dict(before)
    inputs, labels = two_tasks().__getitems__(list(range(24)))
    terms = JointLoss(losses()).terms(net(**inputs), labels)
    trunk = list(net.trunk.parameters())
    grads = [list(torch.autograd.grad(term, trunk, retain_graph=True)) for term in terms.values()]
    expected = [a + b for a, b in zip(*project_conflicts(grads, [[1], [0]]), strict=True)]
    torch.testing.assert_close(step["trunk.weight"], expected[0], atol=1e-5, rtol=1e-4)


def test_the_cosine_of_the_tasks():
    *_, history = train(callbacks=[GradientCosine(part="trunk")])
    with_surgery = train(callbacks=[GradientSurgery(), GradientCosine()])[2]
    assert -1 <= history[0]["cosine_a_b"] < 0  # the tasks want opposite signs of the first column
    assert with_surgery[0]["cosine_a_b"] == pytest.approx(history[0]["cosine_a_b"], abs=1e-6)
    module, *_ = train(callbacks=[GradientCosine()])
    assert same(module.state_dict(), train()[0].state_dict())  # it only looks
    assert "cosine_a_b" not in train(unknown=["b"], callbacks=[GradientCosine()])[2][0]


@pytest.mark.parametrize("name", ["fixed", "uncertainty", "dwa", "pcgrad"])
@pytest.mark.parametrize("unknown", [(), ("b",)])
def test_every_balance_learns(name, unknown):
    criterion, callbacks = balanced(name, losses(), regression=["a", "b"])
    plan = TrainingPlan(lr=0.05, max_epochs=15, patience=None)
    module, *_ = train(plan, criterion, unknown=unknown, callbacks=callbacks)
    inputs, labels = two_tasks().__getitems__(list(range(24)))
    with torch.no_grad():
        error = nn.functional.mse_loss(module(**inputs)["a"], labels["a"])
    assert error < 0.5 * labels["a"].var()


def test_clear_errors():
    with pytest.raises(DataError, match=r"no such balance of tasks .*uncertainty, fixed, dwa, pcgrad"):
        balanced("gradnorm", losses())
    with pytest.raises(DataError, match="learns its weights"):
        balanced("uncertainty", losses(), weights={"a": 2.0})
    with pytest.raises(DataError, match="weight without a loss"):
        UncertaintyLoss(losses(), regression=["c"])
    with pytest.raises(DataError, match="loss of several tasks"):
        fit(TrainingPlan(max_epochs=1), callbacks=[GradientSurgery()])


def test_rows_without_any_label_change_nothing():
    module, before, _ = train(ONE_STEP, unknown=["a", "b"], callbacks=[GradientSurgery(), GradientCosine()])
    assert same(before, module.state_dict())
