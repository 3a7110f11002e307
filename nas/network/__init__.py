"""The engine room: multi-layer perceptrons trained by backpropagation, in NumPy alone."""

from nas.network.activations import ACTIVATIONS
from nas.network.config import TrainingConfig
from nas.network.losses import LOSSES
from nas.network.mlp import MLP
from nas.network.optimizers import OPTIMIZERS
from nas.network.planner import Plan, plan
from nas.network.schedules import SCHEDULES
from nas.network.training import TrainingResult, train, train_cohort

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "MLP",
    "OPTIMIZERS",
    "SCHEDULES",
    "Plan",
    "TrainingConfig",
    "TrainingResult",
    "plan",
    "train",
    "train_cohort",
]
