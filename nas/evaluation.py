"""What a worker does: train a cohort of candidates on the shared data and say how good each is.

`plan_cohorts` says who is trained together, from the candidates alone. `evaluate` is a pure function
of its arguments: the same candidates and problem give the same evaluations, bit for bit, in whatever
process it runs; only ``seconds`` differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from nas.genome import GENES, Genome
from nas.network import MLP, Plan, TrainingConfig, plan, train_cohort
from nas.network.arrays import Array, Floats
from nas.network.planner import MOST
from nas.network.training import TrainingResult

WORST_FITNESS = -1e9
"""The fitness of a candidate that failed: finite, because DEAP cannot order NaN or infinity."""

WORST_LOSS = 1e9
"""Its validation loss."""

DEFAULT_ACTIVATION = "relu"

_TASKS = 4
"""Cohorts of a generation, at least: few enough that cohorts are worth it, and work for four workers."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A genome that a search wants to know the fitness of, and where it comes from.

    `id` counts from 0 in the order in which the engine asked; `seed` draws the initial weights and
    follows from the search's seed and the id; `parents` are ids.
    """

    id: int
    genome: Genome
    seed: int
    generation: int
    operator: str
    parents: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The candidate as plain values for JSON."""
        return {
            "id": self.id,
            "genome": self.genome.to_dict(),
            "seed": self.seed,
            "generation": self.generation,
            "operator": self.operator,
            "parents": list(self.parents),
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Candidate:
        """The candidate that `to_dict` wrote."""
        genome, parents = Genome.from_dict(record["genome"]), tuple(record["parents"])
        return cls(**{**record, "genome": genome, "parents": parents})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a candidate turned out to be.

    Attributes
    ----------
    candidate_id : int
    fitness : float
        The validation score at the best epoch, to be maximized; `WORST_FITNESS` if it failed.
    validation_loss : float
        The validation loss there; `WORST_LOSS` if it failed.
    n_parameters : int
    best_epoch : int
        The epoch, from 1, whose weights were best.
    stopped : str
        Why training ended; see `nas.network.TrainingResult`. "failed" if it did not come to that.
    train_losses, validation_losses, validation_scores : tuple of float
        One number an epoch, with six significant digits.
    error : str, optional
        Why the candidate failed.
    alone : bool
        Whether it was trained alone, by plan or because its cohort failed: rounding depends on it.
    seconds : float
        How long it took, its share of its cohort's time: the one attribute that may differ from run
        to run.
    """

    candidate_id: int
    fitness: float = WORST_FITNESS
    validation_loss: float = WORST_LOSS
    n_parameters: int = 0
    best_epoch: int = 0
    stopped: str = "failed"
    train_losses: tuple[float, ...] = ()
    validation_losses: tuple[float, ...] = ()
    validation_scores: tuple[float, ...] = ()
    error: str | None = None
    alone: bool = False
    seconds: float = field(default=0.0, compare=False)

    @property
    def failed(self) -> bool:
        """Whether the candidate has no fitness of its own."""
        return self.error is not None


@dataclass(frozen=True, eq=False)
class Problem:
    """The data and the settings that all candidates of a search share.

    Attributes
    ----------
    X_train, X_validation : float32 arrays of shape (rows, inputs)
    y_train, y_validation : arrays as `loss` asks for; see `nas.network.losses`
    n_outputs : int
    loss, metric : str
        See `nas.network.LOSSES` and `METRICS`.
    training : TrainingConfig
        What holds wherever a genome carries no gene of its own.
    batch_seed : int
        Decides the order of the batches, the same for all candidates.
    """

    X_train: Floats
    y_train: Array
    X_validation: Floats
    y_validation: Array
    n_outputs: int
    loss: str
    metric: str
    training: TrainingConfig
    batch_seed: int

    @property
    def n_inputs(self) -> int:
        """Inputs of every network."""
        return int(self.X_train.shape[1])


def plan_cohorts(candidates: Sequence[Candidate], problem: Problem) -> list[tuple[Candidate, ...]]:
    """Divide the candidates of a generation into cohorts, the one that takes longest first.

    It follows from the candidates and the problem alone, not from how many workers there are: rounding
    depends on who is trained together, and a search must not.
    """
    plans = [
        Plan(
            _sizes(candidate.genome, problem),
            _activations(candidate.genome),
            training_config(candidate.genome, problem.training),
        )
        for candidate in candidates
    ]
    most = min(max(1, len(candidates) // _TASKS), MOST)
    return [tuple(candidates[i] for i in cohort) for cohort in plan(plans, most)]


def evaluate(
    candidates: Sequence[Candidate], problem: Problem, should_stop: Callable[[], bool] | None = None
) -> list[Evaluation] | None:
    """Train candidates together and score each on the validation rows.

    Divergence, running out of memory and overrunning the time limit are failures of a candidate,
    recorded with their reason; any other exception is a bug and is raised. Where a cohort has too
    little memory, or takes longer than the limits of all its members together, those concerned are
    trained again, each alone. None is returned if `should_stop` ended the training, which then says
    nothing about the candidates.
    """
    start = time.perf_counter()
    evaluations = _together(candidates, problem, should_stop)
    if evaluations is None:
        return None
    # Nobody can tell how much of the time was whose.
    seconds = round((time.perf_counter() - start) / len(candidates), 4)
    found = []
    for candidate, evaluation in zip(candidates, evaluations, strict=True):
        if evaluation is not None:
            found.append(replace(evaluation, seconds=seconds))
            continue
        one = evaluate([candidate], problem, should_stop)
        if one is None:
            return None
        found += one
    return found


def _together(
    candidates: Sequence[Candidate], problem: Problem, should_stop: Callable[[], bool] | None
) -> list[Evaluation | None] | None:
    """The evaluations; None for those that must be tried alone, as others may have been the cause.

    It returns before anyone is tried again, so that what this took of the memory is free then.
    """
    alone = len(candidates) == 1
    try:
        networks = [build_network(candidate.genome, candidate.seed, problem) for candidate in candidates]
        results = fit(networks, candidates, problem, should_stop=should_stop)
    except MemoryError as error:
        if not alone:
            return [None] * len(candidates)
        failure = Evaluation(candidates[0].id, error=f"out of memory: {error}", alone=True)
        return [replace(failure, n_parameters=_n_parameters(candidates[0], problem))]
    if any(result.stopped == "interrupted" for result in results):
        return None
    return [
        None
        if result.stopped == "time" and not alone
        else replace(
            _evaluation(candidate.id, result, problem),
            n_parameters=_n_parameters(candidate, problem),
            alone=alone,
        )
        for candidate, result in zip(candidates, results, strict=True)
    ]


def _n_parameters(candidate: Candidate, problem: Problem) -> int:
    return candidate.genome.n_parameters(problem.n_inputs, problem.n_outputs)


def build_network(genome: Genome, seed: int, problem: Problem) -> MLP:
    """The network that a genome describes, with the initial weights that the seed draws."""
    rng = np.random.default_rng(seed)
    return MLP(_sizes(genome, problem), _activations(genome), problem.loss, rng=rng)


def _sizes(genome: Genome, problem: Problem) -> tuple[int, ...]:
    return (problem.n_inputs, *genome.widths, problem.n_outputs)


def _activations(genome: Genome) -> tuple[str, ...]:
    return tuple(name or DEFAULT_ACTIVATION for name in genome.activations)


def fit(
    networks: Sequence[MLP],
    candidates: Sequence[Candidate],
    problem: Problem,
    *,
    stop_after: int | None = None,
    validate: bool = True,
    should_stop: Callable[[], bool] | None = None,
) -> list[TrainingResult]:
    """Train candidates' networks on one BLAS thread, so that every process gets the same bits."""
    with _blas().limit(limits=1, user_api="blas"):
        return train_cohort(
            networks,
            problem.X_train,
            problem.y_train,
            [training_config(candidate.genome, problem.training) for candidate in candidates],
            validation=(problem.X_validation, problem.y_validation) if validate else None,
            score=METRICS[problem.metric],
            batch_seed=problem.batch_seed,
            rngs=[np.random.default_rng([candidate.seed, 1]) for candidate in candidates],
            stop_after=stop_after,
            should_stop=should_stop,
        )


def training_config(genome: Genome, defaults: TrainingConfig) -> TrainingConfig:
    """The defaults, with the genes that the genome carries in their place."""
    genes = {name: getattr(genome, name) for name in GENES if name != "activation"}
    return replace(defaults, **{name: value for name, value in genes.items() if value is not None})


def accuracy(predictions: Floats, y: Array) -> float:
    """The share of rows whose class, or whose labels all together, are right."""
    if y.ndim == 1:
        return float(np.mean(predictions.argmax(axis=1) == y))
    return float(np.mean(((predictions > 0.5) == (y > 0.5)).all(axis=1)))


def r2(predictions: Floats, y: Array) -> float:
    """The share of variance explained, averaged over targets; 0 is the mean's own score.

    A target that does not vary counts 0, as in scikit-learn; the worst score is `WORST_FITNESS`.
    """
    residual = np.sum(np.square(y - predictions), axis=0, dtype=np.float64)
    total = np.sum(np.square(y - y.mean(axis=0)), axis=0, dtype=np.float64)
    scores = np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), 0.0)
    return max(float(scores.mean()), WORST_FITNESS)


METRICS: dict[str, Callable[[Floats, Array], float]] = {"accuracy": accuracy, "r2": r2}
"""Scores of predictions against targets, to be maximized, by name."""


def _evaluation(candidate_id: int, result: TrainingResult, problem: Problem) -> Evaluation:
    limit = problem.training.time_limit
    error = f"no result within {limit:g} s" if result.stopped == "time" else result.error
    best = result.best_epoch - 1
    good = error is None
    return Evaluation(
        candidate_id,
        fitness=_six_digits(result.validation_score[best]) if good else WORST_FITNESS,
        validation_loss=_six_digits(min(result.validation_loss[best], WORST_LOSS)) if good else WORST_LOSS,
        best_epoch=result.best_epoch,
        stopped=result.stopped,
        # Where time ran out depends on the machine; such curves would differ from run to run.
        train_losses=() if result.stopped == "time" else _curve(result.train_loss),
        validation_losses=() if result.stopped == "time" else _curve(result.validation_loss),
        validation_scores=() if result.stopped == "time" else _curve(result.validation_score),
        error=error,
    )


def _curve(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(_six_digits(value) for value in values)


def _six_digits(value: float) -> float:
    """Short to write, and more than a float32 loss is worth."""
    return float(f"{value:.6g}")


@cache
def _blas() -> ThreadpoolController:
    # Finding the libraries costs half a millisecond, limiting them 14 µs: find them once a process.
    return ThreadpoolController()
