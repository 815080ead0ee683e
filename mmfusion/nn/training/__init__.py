"""Training of networks: one training loop, based on skorch, for all networks of the library."""

from mmfusion.nn.training.balance import BALANCES, DynamicWeights, TaskLog, UncertaintyLoss, balanced
from mmfusion.nn.training.callbacks import ValidMetric
from mmfusion.nn.training.datasets import StreamDataset
from mmfusion.nn.training.devices import check_device
from mmfusion.nn.training.labels import JointLoss, KnownOnly
from mmfusion.nn.training.loop import fit_network
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.nn.training.predict import predict_in_batches
from mmfusion.nn.training.random import reproducible
from mmfusion.nn.training.task_gradients import GradientCosine, GradientSurgery
from mmfusion.nn.training.teacher import ConsistencyLoss, MeanTeacher

__all__ = [
    "BALANCES",
    "ConsistencyLoss",
    "DynamicWeights",
    "GradientCosine",
    "GradientSurgery",
    "JointLoss",
    "KnownOnly",
    "MeanTeacher",
    "StreamDataset",
    "TaskLog",
    "TrainingPlan",
    "UncertaintyLoss",
    "ValidMetric",
    "balanced",
    "check_device",
    "fit_network",
    "predict_in_batches",
    "reproducible",
]
