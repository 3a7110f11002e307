"""Multi-layer perceptrons in NumPy: one network, read from top to bottom.

- the network, its predictions and its gradient: `mlp`, checked by `gradient_check`;
- tables by name: `activations` (each an `activation` with all its facts), `losses`, `initializers`,
  `optimizers`, `schedules`;
- the periodic encoding of numbers, a part of the network: `waves`;
- trained parameters with the optimizer's moments: `state`; a child of another structure that starts
  from them: `morphism`, with `layers`, `insertion`, `inputs` and `front`;
- below all: `arrays`, the only file that names the array library, and `calls`.

Training, of one network or of many in one batch, is the room above: `nas.training`.
"""

from nas.network.activations import ACTIVATIONS
from nas.network.inputs import InputChange, Lines
from nas.network.losses import LOSSES
from nas.network.mlp import MLP, Front
from nas.network.morphism import is_exact, morph, with_inputs
from nas.network.optimizers import OPTIMIZERS
from nas.network.schedules import SCHEDULES
from nas.network.state import State

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "MLP",
    "OPTIMIZERS",
    "SCHEDULES",
    "Front",
    "InputChange",
    "Lines",
    "State",
    "is_exact",
    "morph",
    "with_inputs",
]
