"""Evaluations: candidates and a problem in, fitness and trained states out.

- `candidate`: `Candidate`, `Evaluation` and `Checkpoint`, which engines, journals and executors exchange;
- `problem`: the data and settings of a search, and the network that a genome describes;
- `codes`: inputs that some encodings have beside the scaled numbers;
- `fitting`: `Training` and `fit`, the training of a cohort of candidates;
- `worker`: `plan_cohorts` and `evaluate`, which workers call.
"""

from nas.evaluation.candidate import RESCORE, WORST_FITNESS, WORST_LOSS, Candidate, Checkpoint, Evaluation
from nas.evaluation.codes import Codes
from nas.evaluation.fitting import Training, fit
from nas.evaluation.problem import Problem, build_network, network_activations, training_config
from nas.evaluation.worker import evaluate, plan_cohorts

__all__ = [
    "RESCORE",
    "WORST_FITNESS",
    "WORST_LOSS",
    "Candidate",
    "Checkpoint",
    "Codes",
    "Evaluation",
    "Problem",
    "Training",
    "build_network",
    "evaluate",
    "fit",
    "network_activations",
    "plan_cohorts",
    "training_config",
]
