import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from mmfusion.errors import DataError
from mmfusion.nn.training import TrainingPlan
from mmfusion.nn.training.checkpoint import FILE
from tests.nn.training.networks import fit, rows, same


class PowerCut(Exception):
    pass


class Cut(Callback):
    """Ends the fit in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == self.epoch and len(net.history[-1, "batches"]) == 2:
            raise PowerCut


class Draws(Callback):
    """Draws from numpy's generator too, and records it."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("drawn", float(np.random.rand()))  # noqa: NPY002


PLANS = {
    "cosine": TrainingPlan(max_epochs=7, lr=0.05, warmup_epochs=2, freeze={"encoder": 3}),
    "plateau": TrainingPlan(max_epochs=12, lr=0.05, schedule="plateau", patience=3),
    "groups": TrainingPlan(max_epochs=7, optimizer="sgd", lr_groups={"encoder": 0.2}, schedule="poly"),
    "half": TrainingPlan(max_epochs=7, precision="16", accumulate=2, batch_size=4),
}


@pytest.mark.parametrize("epoch", [1, 4, 6])
@pytest.mark.parametrize("name", PLANS)
def test_resumed_it_is_the_same_to_the_bit(name, epoch, tmp_path):
    data = {"valid": rows(12, seed=1)} if name == "plateau" else {}
    whole, _, expected = fit(PLANS[name], **data, callbacks=[Draws()])
    with pytest.raises(PowerCut):
        fit(PLANS[name], **data, callbacks=[Draws(), Cut(epoch)], checkpoint=tmp_path)
    assert (tmp_path / FILE).exists() == (epoch > 1)
    torch.manual_seed(99)  # what happened in between does not matter
    resumed, _, history = fit(PLANS[name], **data, callbacks=[Draws()], checkpoint=tmp_path)
    assert same(whole.state_dict(), resumed.state_dict())
    assert history == expected
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_finished_fit_is_not_repeated(tmp_path):
    class Count(Callback):
        n = 0

        def on_batch_end(self, net, training=False, **kwargs):
            Count.n += training

    one, _, history = fit(PLANS["cosine"], checkpoint=tmp_path, callbacks=[Count()])
    done = Count.n
    two, _, again = fit(PLANS["cosine"], checkpoint=tmp_path, callbacks=[Count()])
    assert Count.n == done and same(one.state_dict(), two.state_dict()) and history == again


def test_a_write_that_fails_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    from mmfusion.nn.training import checkpoint

    with pytest.raises(PowerCut):
        fit(PLANS["cosine"], callbacks=[Cut(3)], checkpoint=tmp_path)
    before = (tmp_path / FILE).read_bytes()

    def half(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", half)
        with pytest.raises(DataError, match="No space left"):
            fit(PLANS["cosine"], checkpoint=tmp_path)
    assert (tmp_path / FILE).read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"plan": PLANS["cosine"].replace(lr=0.01)}, "differs in plan"),
        ({"seed": 1}, "differs in first weights"),
        ({"data": rows(seed=5)}, "differs in data"),
        ({"data": rows(50)}, "differs in rows, data"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(change, match, tmp_path):
    fit(PLANS["cosine"], checkpoint=tmp_path)
    with pytest.raises(DataError, match=match):
        fit(**{"plan": PLANS["cosine"], **change}, checkpoint=tmp_path)


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: b"", lambda data: b"x" * 500])
def test_a_damaged_checkpoint_says_so(damage, tmp_path):
    fit(PLANS["cosine"], checkpoint=tmp_path)
    path = tmp_path / FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="the checkpoint cannot be read"):
        fit(PLANS["cosine"], checkpoint=tmp_path)


def test_callbacks_from_outside_keep_their_state(tmp_path):
    class Sum(Callback):
        def on_train_begin(self, net, **kwargs):
            self.sum_ = torch.zeros(1)

        def on_epoch_end(self, net, **kwargs):
            self.sum_ = self.sum_ + len(net.history)
            net.history.record("sum", float(self.sum_))

        def checkpoint_state(self):
            return {"sum": self.sum_}

        def restore_state(self, state):
            self.sum_ = state["sum"]

    with pytest.raises(PowerCut):
        fit(PLANS["cosine"], callbacks=[("sum", Sum()), Cut(4)], checkpoint=tmp_path)
    *_, history = fit(PLANS["cosine"], callbacks=[("sum", Sum())], checkpoint=tmp_path)
    assert [row["sum"] for row in history] == [1, 3, 6, 10, 15, 21, 28]
