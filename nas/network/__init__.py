"""The engine room: multi-layer perceptrons trained by backpropagation, alone or together, in NumPy alone.

- one network: `mlp`; how it is trained: `config`, `rows`, `schedules`, `training`;
- many in one go, from what lies where to what is done with it: `layout`, `calls`, `products`, `passes`,
  `optimizers`, `cohort`; who trains with whom: `planner`;
- the tables: `activations`, `losses`, `initializers`;
- beneath all: `arrays`, the one file that knows the array library.
"""

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
