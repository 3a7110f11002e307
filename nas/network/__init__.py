"""The engine room: multi-layer perceptrons trained by backpropagation, alone or together, in NumPy alone.

- one network: `mlp`; how it is trained: `config`, `rows`, `schedules`, `training`; what is left to go on
  from: `state`; for a child of another structure: `morphism`;
- many in one go, from what lies where to what is done with it: `layout`, `calls`, `products`, `passes`,
  `optimizers`, `cohort`; who trains with whom: `planner`;
- the tables: `activations`, `losses`, `initializers`;
- beneath all: `arrays`, the one file that knows the array library.
"""

from nas.network.activations import ACTIVATIONS
from nas.network.config import TrainingConfig
from nas.network.losses import LOSSES
from nas.network.mlp import MLP
from nas.network.morphism import is_exact, morph
from nas.network.optimizers import OPTIMIZERS
from nas.network.planner import Plan, plan
from nas.network.schedules import SCHEDULES
from nas.network.state import State
from nas.network.training import TrainingResult, train, train_cohort

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "MLP",
    "OPTIMIZERS",
    "SCHEDULES",
    "Plan",
    "State",
    "TrainingConfig",
    "TrainingResult",
    "is_exact",
    "morph",
    "plan",
    "train",
    "train_cohort",
]
