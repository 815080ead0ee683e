from types import SimpleNamespace

import pytest
import torch
from skorch.callbacks import Callback

from mmfusion.errors import DataError
from mmfusion.nn.training import ConsistencyLoss, JointLoss, MeanTeacher, TrainingPlan
from tests.nn.training.networks import fit, same
from tests.nn.training.tasks import TwoHeads, losses, two_tasks

PLAN = TrainingPlan(lr=0.05, max_epochs=5, batch_size=8)  # 15 steps


def loss(weight=1.0):
    return ConsistencyLoss(JointLoss(losses()), logits=("a",), values=("b",), weight=weight)


def train(callbacks, criterion=None, data=None, **options):
    options |= {"criterion": criterion or loss(), "data": data or two_tasks(), "callbacks": callbacks}
    return fit(PLAN, network=TwoHeads, **options)


class Follow(Callback):
    """Keeps the weights of the network after each step, and the share of the consistency."""

    def on_train_begin(self, net, **kwargs):
        self.weights_ = [net.module_.trunk.weight.detach().clone()]
        self.shares_ = []

    def on_batch_end(self, net, **kwargs):
        self.weights_.append(net.module_.trunk.weight.detach().clone())
        self.shares_.append(net.criterion_.share)


def test_the_teacher_is_the_moving_average():
    teacher, follow = MeanTeacher(decay=0.8), Follow()
    train([teacher, follow])
    expected = follow.weights_[0]
    for step, weights in enumerate(follow.weights_[1:], 1):
        keep = min(1 - 1 / (step + 1), 0.8)
        expected = keep * expected + (1 - keep) * weights
    torch.testing.assert_close(teacher.teacher_.trunk.weight, expected)
    assert not any(p.requires_grad for p in teacher.teacher_.parameters())


def test_the_weight_rises_over_a_share_of_the_steps():
    follow = Follow()
    train([MeanTeacher(ramp=0.4), follow])
    assert follow.shares_ == pytest.approx([min(k / 6, 1.0) for k in range(15)])


def test_the_consistency_by_hand():
    criterion = loss(weight=3.0)
    outputs = {"a": torch.tensor([[0.0]]), "b": torch.tensor([[1.0, 3.0]])}
    labels = {name: torch.full_like(one, float("nan")) for name, one in outputs.items()}
    assert criterion(outputs, labels) == 0
    criterion.teacher = {"a": torch.tensor([[100.0]]), "b": torch.zeros(1, 2)}
    criterion.share = 0.5
    torch.testing.assert_close(criterion(outputs, labels), torch.tensor(3.0 * 0.5 * (0.25 + 5.0)))


def test_the_consistency_changes_the_weights_only_by_its_term():
    alone = train([], criterion=JointLoss(losses()))[0]
    off = train([MeanTeacher()], criterion=loss(weight=0.0))[0]
    on = train([MeanTeacher()], criterion=loss(weight=5.0))[0]
    assert same(alone.state_dict(), off.state_dict())  # tables get no noise
    assert not same(alone.state_dict(), on.state_dict())


@pytest.mark.parametrize("teacher", [True, False])
def test_rows_without_labels_teach_only_with_a_teacher(teacher):
    trained = []
    for factor in (1.0, -2.0):
        data = two_tasks()
        for labels in data.y.values():
            labels[16:] = float("nan")
        data.arrays["table"][16:] *= factor
        criterion = loss(weight=5.0)
        trained.append(train([MeanTeacher()] if teacher else [], criterion=criterion, data=data)[0])
    assert same(*(module.state_dict() for module in trained)) is not teacher


def test_an_interrupted_fit_goes_on_with_its_teacher(tmp_path):
    class Cut(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise InterruptedError

    whole, last = MeanTeacher(), MeanTeacher()
    module, *_ = train([("teacher", whole)])
    with pytest.raises(InterruptedError):
        train([("teacher", MeanTeacher()), Cut()], checkpoint=tmp_path)
    again, *_ = train([("teacher", last)], checkpoint=tmp_path)
    assert same(module.state_dict(), again.state_dict())
    assert same(whole.teacher_.state_dict(), last.teacher_.state_dict())


def test_another_loss_is_refused():
    with pytest.raises(DataError, match="mean teacher needs its loss"):
        train([MeanTeacher()], criterion=JointLoss(losses()))


def test_the_teacher_gets_scans_with_noise_and_tables_without():
    seen = []

    class Look(torch.nn.Module):
        def forward(self, x, table):
            seen.append((x, table))
            return {"a": x.mean((1, 2, 3))[:, None]}

    teacher = MeanTeacher(noise=0.1)
    teacher.teacher_, teacher.batch_ = Look(), 0
    criterion = loss()
    net = SimpleNamespace(criterion_=criterion, history=[{}], batches_=1, max_epochs=1, device="cpu")
    x, table = torch.zeros(2, 1, 64, 64), torch.ones(2, 3)
    teacher.on_batch_begin(net, ({"x": x, "table": table}, {}), training=True)
    assert seen[0][0].std().item() == pytest.approx(0.1, rel=0.05) and torch.equal(seen[0][1], table)
    assert set(criterion.teacher) == {"a"} and (x == 0).all()
    teacher.on_batch_begin(net, ({"x": x, "table": table}, {}), training=False)
    assert criterion.teacher is None and len(seen) == 1
