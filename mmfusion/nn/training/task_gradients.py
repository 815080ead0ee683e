"""Gradients of single tasks: the cosine between them, and the removal of conflicts (PCGrad)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from mmfusion.errors import DataError
from mmfusion.nn.training.labels import JointLoss
from mmfusion.nn.training.names import matching

Gradient = list[torch.Tensor | None]


class TaskCallback(Callback):
    """Base class of callbacks that use the losses of the single tasks of a `JointLoss`, once for each batch.

    The `JointLoss` is the loss of the fit or a part of it.

    Attributes
    ----------
    loss_ : JointLoss
        The loss.
    seen_ : tuple
        Outputs and labels that the loss got for the last batch.

    Examples
    --------
    >>> class Count(TaskCallback):
    ...     def before_backward(self, net, factor):
    ...         self.number_ = len(self.loss_.terms(*self.seen_))
    """

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Find the loss.

        Raises
        ------
        DataError
            If the loss of the fit contains no `JointLoss`.
        """
        found = [part for part in net.criterion_.modules() if isinstance(part, JointLoss)]
        if not found:
            got = type(net.criterion_).__name__
            raise DataError("this callback needs a loss of several tasks", expected="JointLoss", got=got)
        self.loss_ = found[0]
        # read at the JointLoss itself, because the loss of the fit may change the outputs before
        self.hook_ = self.loss_.register_forward_pre_hook(self._see)

    def _see(self, module: torch.nn.Module, args: tuple) -> None:
        self.seen_ = args

    def on_train_end(self, net: NeuralNet, **kwargs) -> None:
        """Leave the loss as it was."""
        self.hook_.remove()
        self.seen_ = ()

    def gradients(self, parameters: Sequence[torch.nn.Parameter]) -> Mapping[str, Gradient]:
        """Return the gradient of each task with a label in the batch; the graph of the loss is kept."""
        return {
            name: list(torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True))
            for name, term in self.loss_.terms(*self.seen_).items()
            if term.requires_grad
        }


def project_conflicts(gradients: Sequence[Gradient], order: Sequence[Sequence[int]]) -> list[Gradient]:
    """Return the gradients of the tasks without the parts that point against another task (PCGrad).

    If g_i . g_j < 0, the component of g_i along g_j is removed: g_i <- g_i - (g_i . g_j / |g_j|^2) g_j. The
    products are over the parameters that both tasks reach.

    Parameters
    ----------
    gradients : sequence of list of Tensor or None
        Gradient of each task by parameter; None where the task does not reach the parameter.
    order : sequence of sequence of int
        For each task, the other tasks in the order in which their directions are removed.

    References
    ----------
    Yu et al. 2020, "Gradient surgery for multi-task learning", NeurIPS, algorithm 1.

    Examples
    --------
    >>> a, b = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
    >>> [g.tolist() for (g,) in project_conflicts([[a], [b]], [[1], [0]])]
    [[0.5, 0.5], [0.0, 1.0]]
    """
    projected = []
    for own, others in zip(gradients, order, strict=True):
        own = list(own)
        for j in others:
            shared = [k for k, (a, b) in enumerate(zip(own, gradients[j], strict=True)) if _both(a, b)]
            product = _dot([own[k] for k in shared], [gradients[j][k] for k in shared])
            if product < 0:
                share = product / _dot(*[[gradients[j][k] for k in shared]] * 2)
                for k in shared:
                    own[k] = own[k] - share * gradients[j][k]
        projected.append(own)
    return projected


class GradientSurgery(TaskCallback):
    """Callback that removes conflicts between the gradients of the tasks of a `JointLoss` (PCGrad).

    The order of the other tasks is random, as in the paper. Everything else that the loss contains, such as a
    consistency loss, keeps its gradient. See `project_conflicts`.

    Examples
    --------
    >>> callbacks = [GradientSurgery()]  # for fit_network(..., JointLoss(...), callbacks=callbacks)
    """

    def before_backward(self, net: NeuralNet, factor: float) -> None:
        """Add the change of each task's gradient to the gradients of the network."""
        parameters = [p for p in net.module_.parameters() if p.requires_grad]
        gradients = list(self.gradients(parameters).values())
        n = len(gradients)
        if n < 2:
            return
        order = [[j for j in torch.randperm(n).tolist() if j != i] for i in range(n)]
        for old, new in zip(gradients, project_conflicts(gradients, order), strict=True):
            for parameter, before, after in zip(parameters, old, new, strict=True):
                if before is not after:
                    change = factor * (after - before)
                    parameter.grad = change if parameter.grad is None else parameter.grad + change


class GradientCosine(TaskCallback):
    """Callback that records the cosine between the gradients of each pair of tasks of a `JointLoss`.

    The gradients are those of the parameters that both tasks reach. Below 0, a step that helps one task harms
    the other. The history has the mean over the batches of an epoch as `cosine_<task>_<task>`; batches
    without labels of both tasks do not count.

    Parameters
    ----------
    every : int >= 1
        Compute it for every n-th batch. It costs one backward pass for each task.
    part : str, optional
        Part of the network, as in `TrainingPlan.lr_groups`, such as "backbone". Default: the whole network.

    Examples
    --------
    >>> GradientCosine(every=10, part="backbone").part
    'backbone'
    """

    def __init__(self, every: int = 1, part: str | None = None) -> None:
        self.every, self.part = every, part

    def on_epoch_begin(self, net: NeuralNet, **kwargs) -> None:
        """Delete the values of the previous epoch."""
        self.batch_, self.values_ = 0, {}

    def before_backward(self, net: NeuralNet, factor: float) -> None:
        """Compute the cosines of the batch."""
        self.batch_ += 1
        if (self.batch_ - 1) % self.every:
            return
        own = {name: p for name, p in net.module_.named_parameters() if p.requires_grad}
        names = matching(list(own), self.part) if self.part else list(own)
        gradients = self.gradients([own[name] for name in names])
        for (a, first), (b, second) in combinations(gradients.items(), 2):
            pairs = [(x, y) for x, y in zip(first, second, strict=True) if _both(x, y)]
            if pairs:
                x, y = (torch.cat([one.flatten() for one in part]) for part in zip(*pairs, strict=True))
                value = torch.nn.functional.cosine_similarity(x, y, dim=0)
                self.values_.setdefault(f"cosine_{a}_{b}", []).append(value)

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Record the means."""
        for name, values in self.values_.items():
            net.history.record(name, float(torch.stack(values).mean()))


def _both(a: torch.Tensor | None, b: torch.Tensor | None) -> bool:
    return a is not None and b is not None


def _dot(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> torch.Tensor:
    return sum((x * y).sum() for x, y in zip(a, b, strict=True))
