"""Batched training: many multi-layer perceptrons in one list of array operations.

From the entry to the array operations:

- `loop`: `train_cohort`, with the settings of `config`, the rows of `data`, `checks` and `records`;
- `cohort`: a step of all its members (`member`), with their optimizers (`updates`), and `validation`;
- `passes`: a batch through all networks, in the arrays of `memory`: `forward` and `backward` are lists of
  calls, with `products` (in blocks), `front` (factors of the inputs, and waves),
  `units` (parametric activations, skip connections) and `dropout`;
- `layout`: the positions of all numbers in shared arrays, which follow from the members' `shapes`; `views` of
  these arrays; `storage` and `sharing`: networks in the buffers, without and with members of their own;
- `planner`: which networks train together; `denormals`: why weights near 0 do not slow training down.
"""

from nas.training.config import TrainingConfig
from nas.training.data import Fold, TrainingData
from nas.training.loop import train_cohort
from nas.training.member import Member
from nas.training.passes import predict
from nas.training.planner import Plan, plan
from nas.training.records import TrainingResult, TrainingStop

__all__ = [
    "Fold",
    "Member",
    "Plan",
    "TrainingConfig",
    "TrainingData",
    "TrainingResult",
    "TrainingStop",
    "plan",
    "predict",
    "train_cohort",
]
