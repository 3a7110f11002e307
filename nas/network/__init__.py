"""Multi-layer perceptrons in NumPy: one network, read from top to bottom.

- the network, its predictions and its gradient: `mlp`, checked by `gradient_check`; its structure, and the
  order of its parameters: `architecture`, with `extras` beside its layers; parametric activations and skip
  connections: `units`; members that share its layers: `batch_ensemble`; the same function with a plain first
  layer: `folding`;
- tables by name: `activations` (each an `activation` with all its facts), `losses`, `initializers`,
  `optimizers`, `schedules`; initial weights from rows: `data_driven`;
- the periodic encoding of numbers, a part of the network: `waves`;
- trained parameters with the optimizer's moments: `state`; a child of another structure that starts
  from them: `morphism`, with `layers`, `insertion`, `reshaping`, `inputs`, `members` and `front`;
- below all: `arrays`, the only file that names the array library, and `calls`.

Training, of one network or of many in one batch, is the room above: `nas.training`.
"""

from nas.network.activations import ACTIVATIONS
from nas.network.architecture import Architecture
from nas.network.data_driven import initialize_from_rows
from nas.network.extras import Extras
from nas.network.inputs import InputChange, Lines
from nas.network.losses import LOSSES
from nas.network.mlp import MLP
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
    "Architecture",
    "Extras",
    "InputChange",
    "Lines",
    "State",
    "initialize_from_rows",
    "is_exact",
    "morph",
    "with_inputs",
]
