"""Objective of the training of a segmenter: the balance of its tasks, and consistency with a mean teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

from skorch.callbacks import Callback
from torch import nn

from mmfusion.nn.correlation import CorrelationLoss
from mmfusion.nn.mask_losses import segmentation_criterion
from mmfusion.nn.params import unusable
from mmfusion.nn.segmenters import Segmenter
from mmfusion.nn.training import (
    BALANCES,
    ConsistencyLoss,
    GradientCosine,
    JointLoss,
    MeanTeacher,
    TrainingPlan,
    balanced,
)

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

_TASKS = ("mask", "expression")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Balance of the tasks, and weight of the consistency; see `LesionSegmenter`.

    Raises
    ------
    DataError
        If a value is out of range, or weights are given to the balance "uncertainty", which learns them.

    Examples
    --------
    >>> Objective(balance="fixed", weights={"expression": 0.5}).consistency
    0.0
    """

    balance: str = "uncertainty"
    weights: Mapping[str, float] | None = None
    consistency: float = 0.0
    cosine: bool = False

    def __post_init__(self) -> None:
        if self.balance not in BALANCES:
            raise unusable("balance", ", ".join(BALANCES), self.balance)
        if self.weights is not None and not _weights(self.weights):
            raise unusable("task_weights", f"weights above 0 of {' and '.join(_TASKS)}", self.weights)
        if self.weights and self.balance == "uncertainty":
            raise unusable("task_weights", "none, because uncertainty learns them", self.weights,
                            hint="balance='fixed'")  # fmt: skip
        if not _number(self.consistency) or not 0 <= self.consistency < float("inf"):
            raise unusable("consistency", "a weight, 0 or above", self.consistency)

    @classmethod
    def of(cls, model: LesionSegmenter) -> Objective:
        """Return the objective that the parameters of a segmenter describe."""
        return cls(
            balance=model.balance,
            weights=model.task_weights,
            consistency=model.consistency,
            cosine=model.log_cosine,
        )

    def build(
        self, network: Segmenter, plan: TrainingPlan
    ) -> tuple[nn.Module, list[tuple[str, Callback]]]:  # fmt: skip
        """Return the loss of a network and the callbacks that belong to it, for `fit_network`.

        The balance is only used for a network with several tasks.
        """
        callbacks: list[tuple[str, Callback]] = []

        def joint(losses: Mapping[str, nn.Module]) -> JointLoss:
            if len(losses) == 1:
                return JointLoss(losses)
            loss, own = balanced(self.balance, losses, weights=self.weights, regression=["expression"])
            callbacks.extend([*own, *([("cosine", GradientCosine())] if self.cosine else [])])
            return loss

        further = {"expression": CorrelationLoss()} if "expression" in network.tasks else {}
        loss = segmentation_criterion(
            network, loss=plan.loss, loss_options=plan.loss_options, tasks=further, joint=joint
        )
        if self.consistency:
            callbacks.append(("teacher", MeanTeacher()))
            return ConsistencyLoss(loss, weight=self.consistency), callbacks
        return loss, callbacks


def _weights(given: object) -> bool:
    return isinstance(given, Mapping) and set(given) <= set(_TASKS) and all(
        _number(weight) and 0 < weight < float("inf") for weight in given.values()
    )  # fmt: skip


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
