"""Batched training: many multi-layer perceptrons in one list of array operations.

From the entry to the array operations:

- `loop`: `train_cohort`, with the settings of `config`, the rows of `data`, `checks` and `records`;
- `cohort`: a step of all members; `layout`: the positions of their numbers in shared arrays;
- `passes`: forward and backward pass as lists of calls; `products`: matrix products in blocks;
  `front`: factors of the inputs, and waves;
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
