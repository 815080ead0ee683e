import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.training import TrainingPlan, ValidMetric
from tests.nn.training.networks import Line, Small, fit, rows, same

SGD = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "clip_norm": None}


class Spy(Callback):
    """Keeps what the net looks like just before each step."""

    def __init__(self, look):
        self.look = look

    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen_.append(self.look(net))


def lrs(net):
    return [group["lr"] for group in net.optimizer_.param_groups]


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_it_learns(optimizer):
    plan = TrainingPlan(optimizer=optimizer, lr=0.03, max_epochs=40, warmup_epochs=2)
    module, before, history = fit(plan)
    assert history[-1]["train_loss"] < 0.25 * history[0]["train_loss"]
    assert [row["epoch"] for row in history] == list(range(1, 41))
    assert not module.training and not same(before, module.state_dict())


def test_groups_of_parameters_have_their_own_learning_rates():
    spy = Spy(lrs)
    plan = TrainingPlan(lr=0.01, lr_groups={"backbone": 0.1}, max_epochs=4)
    *_, history = fit(plan, network=Line, callbacks=[spy])
    np.testing.assert_allclose(np.array(spy.seen_)[:, 0] * 10, np.array(spy.seen_)[:, 1])
    assert history[1]["lr_backbone"] == pytest.approx(history[1]["lr"] / 10)
    # one step of plain SGD moves each weight by lr times its gradient
    moved = []
    for factor in (1.0, 0.5):
        plan = TrainingPlan(
            **SGD, lr=0.01, max_epochs=1, batch_size=40, lr_groups={"backbone*weight": factor}
        )
        module, before, _ = fit(plan, network=Line)
        moved.append({name: value - before[name] for name, value in module.state_dict().items()})
    for name, step in moved[0].items():
        factor = 0.5 if name == "backbone.weight" else 1.0
        torch.testing.assert_close(moved[1][name], step * factor, rtol=1e-4, atol=1e-7)


def test_warm_up_then_the_schedule():
    spy = Spy(lambda net: lrs(net)[0])
    plan = TrainingPlan(lr=0.08, warmup_epochs=2, max_epochs=4, batch_size=10, min_lr=0.02)
    *_, history = fit(plan, callbacks=[spy])
    rising = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08]
    falling = [0.08] * 4 + [0.05] * 4  # half a cosine over two epochs, from .08 to .02
    np.testing.assert_allclose(spy.seen_, rising + falling)
    np.testing.assert_allclose([row["lr"] for row in history], [0.04, 0.08, 0.08, 0.05])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.1] * 4),
        ("cosine", [0.1 * (1 + np.cos(np.pi * k / 4)) / 2 for k in range(4)]),
        ("poly", [0.1 * (1 - k / 4) ** 0.9 for k in range(4)]),
    ],
)
def test_schedules(schedule, expected):
    *_, history = fit(TrainingPlan(lr=0.1, schedule=schedule, max_epochs=4))
    np.testing.assert_allclose([row["lr"] for row in history], expected, rtol=1e-6)


class Said(Callback):
    """Records these values as a metric, an epoch each."""

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, net, **kwargs):
        net.history.record("said", self.values[len(net.history) - 1])


@pytest.mark.parametrize(("direction", "drops"), [("min", 8), ("max", 14)])
def test_plateau_watches_what_it_is_told_to(direction, drops):
    rises = [0.1 * k for k in range(1, 21)]
    plan = TrainingPlan(
        lr=0.1, schedule="plateau", max_epochs=20, patience=None, monitor="said", direction=direction
    )
    # the best is the second epoch for "min", the eighth for "max"
    values = [1.0, 0.5, *rises[6:], 1.0, 1.0, 1.0, 1.0] if direction == "min" else rises[:8] + [0.0] * 12
    *_, history = fit(plan, valid=rows(12, seed=1), callbacks=[Said(values)])
    lr = [row["lr"] for row in history]
    assert lr[drops - 1] == 0.1 and lr[drops] == pytest.approx(0.01)


def test_early_stopping_on_a_metric_returns_the_best_epoch():
    values = [0.5, 0.6, 0.9, 0.7, 0.8, 0.6, 0.5, 0.4]
    seen = []

    class Keep(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append({name: value.clone() for name, value in net.module_.state_dict().items()})

    plan = TrainingPlan(max_epochs=8, patience=3, monitor="said", direction="max", lr=0.05)
    module, _, history = fit(plan, valid=rows(12, seed=1), callbacks=[Said(values), Keep()])
    assert len(history) == 6 and [row["said"] for row in history] == values[:6]
    assert same(module.state_dict(), seen[2]) and not same(module.state_dict(), seen[5])


def test_a_metric_of_the_validation_rows():
    valid = rows(300, seed=1)
    error = ValidMetric("error", lambda predicted, y: (predicted - y).square().mean())
    module, _, history = fit(TrainingPlan(max_epochs=2), valid=valid, callbacks=[error])
    inputs, y = valid.__getitems__(list(range(300)))
    with torch.no_grad():
        expected = (module(**inputs) - y).square().mean().item()
    assert history[-1]["error"] == pytest.approx(expected, rel=1e-5)
    assert history[-1]["valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_monitor_that_nobody_records():
    with pytest.raises(DataError, match=r"parameter monitor.*expected train_loss, valid_loss.*got dice"):
        fit(TrainingPlan(max_epochs=2, monitor="dice"), valid=rows(12, seed=1))


@pytest.mark.parametrize("n", [40, 36])  # the last group of an epoch may be smaller
def test_accumulated_batches_equal_one_large_batch(n):
    small, *_ = fit(TrainingPlan(**SGD, lr=0.02, batch_size=4, accumulate=3), network=Line, data=rows(n))
    large, *_ = fit(TrainingPlan(**SGD, lr=0.02, batch_size=12), network=Line, data=rows(n))
    for name, value in large.state_dict().items():
        torch.testing.assert_close(small.state_dict()[name], value, rtol=0, atol=1e-6)


def test_the_norm_of_the_gradient_is_limited():
    plan = TrainingPlan(**{**SGD, "clip_norm": 0.5}, lr=1.0, max_epochs=1, batch_size=40)
    module, before, _ = fit(plan, network=Line)
    step = torch.cat([(value - before[name]).flatten() for name, value in module.state_dict().items()])
    assert step.norm().item() == pytest.approx(0.5, rel=1e-4)


class Dtype(Small):
    seen: set = set()

    def forward(self, present, table):
        inner = self.encoder[0](table)
        self.seen.add(inner.dtype)
        return super().forward(present, table)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("16", torch.float16)])
def test_mixed_precision(precision, dtype):
    class FullLoss(nn.MSELoss):
        def forward(self, output, y):
            assert output.dtype == torch.float32
            return super().forward(output, y)

    Dtype.seen = set()
    plan = TrainingPlan(lr=0.03, max_epochs=30, precision=precision)
    module, _, history = fit(plan, network=Dtype, criterion=FullLoss(), valid=rows(12, seed=1))
    assert Dtype.seen == {dtype}
    assert history[-1]["train_loss"] < 0.4 * history[0]["train_loss"]
    assert {value.dtype for value in module.parameters()} == {torch.float32}


def test_a_frozen_part_stays_as_it_is():
    module, before, _ = fit(TrainingPlan(max_epochs=3, lr=0.1, freeze={"encoder": None}))
    after = module.state_dict()
    for name, value in after.items():  # the running statistics too
        assert torch.equal(value, before[name]) == name.startswith("encoder"), name
    assert all(p.requires_grad for p in module.parameters())


def test_a_part_that_is_frozen_for_some_epochs():
    spy = Spy(lambda net: net.module_.encoder[0].weight.detach().clone())
    fit(TrainingPlan(max_epochs=4, batch_size=40, lr=0.1, freeze={"encoder": 2}), callbacks=[spy])
    assert torch.equal(spy.seen_[0], spy.seen_[2]) and not torch.equal(spy.seen_[2], spy.seen_[3])


def test_what_was_frozen_before_stays_so():
    class Half(Line):
        def __init__(self):
            super().__init__()
            self.backbone.bias.requires_grad_(False)

    module, before, _ = fit(TrainingPlan(max_epochs=4, freeze={"backbone": 1}), network=Half)
    assert not module.backbone.bias.requires_grad and module.backbone.weight.requires_grad
    assert torch.equal(module.backbone.bias, before["backbone.bias"])
    assert not torch.equal(module.backbone.weight, before["backbone.weight"])


def test_all_frozen_nothing_learned():
    module, before, _ = fit(TrainingPlan(max_epochs=2, freeze={"*": None}), network=Line)
    assert same(before, module.state_dict())


@pytest.mark.parametrize("name", ["freeze", "lr_groups"])
def test_a_part_that_the_network_lacks(name):
    with pytest.raises(DataError, match=r"no parameter.*expected encoder, head; got decoder"):
        fit(TrainingPlan(max_epochs=1, **{name: {"decoder": 1}}))


def test_a_device_that_is_not_here():
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    with pytest.raises(DataError, match="cannot be used here"):
        fit(device="cuda")


def test_an_interrupt_is_not_swallowed():
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=[Stop()])


def test_a_loss_that_is_no_number():
    data = rows()
    data.y[3] = float("inf")
    with pytest.raises(DataError, match="loss became"):
        fit(data=data)
