"""What a worker does: train a cohort of candidates on the shared data and say how good each is.

`plan_cohorts` says who is trained together, from the candidates alone. `evaluate` is a pure function
of its arguments: the same candidates, problem and checkpoints give the same evaluations, bit for bit, in
whatever process it runs; only ``seconds`` differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from nas.alignment import origins
from nas.genome import GENES, Genome
from nas.network import MLP, Plan, State, TrainingConfig, morph, plan, train_cohort
from nas.network.arrays import Array, Floats
from nas.network.planner import MOST
from nas.network.training import TrainingResult
from nas.scoring import WORST_SCORE, Metric, NoScore

WORST_FITNESS = WORST_SCORE
"""The fitness of a candidate that failed: finite, because DEAP cannot order NaN or infinity."""

WORST_LOSS = 1e9
"""Its validation loss."""

DEFAULT_ACTIVATION = "relu"

RESCORE = "rescore"
"""The operator of candidates that are trained from the start for their score alone: no state is kept."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A genome that a search wants to know the fitness of, and where it comes from.

    Attributes
    ----------
    id : int
        Counts from 0 in the order in which the engine asked.
    genome : Genome
    seed : int
        Draws the initial weights; follows from the search's seed and the id.
    generation : int
        The batch that it was asked for in.
    operator : str
        What made it: "random", "start", "continue", a mutation or a crossover; or `RESCORE`.
    parents : tuple of int
        Ids.
    inherits : int, optional
        The id of the parent whose trained weights it starts from.
    epochs_done : int
        Those after which the same genome stopped that it goes on from; 0: it starts.
    epochs : int, optional
        Those after which it stops, counted from the start; None: when its training is over.
    """

    id: int
    genome: Genome
    seed: int
    generation: int
    operator: str
    parents: tuple[int, ...] = ()
    inherits: int | None = None
    epochs_done: int = 0
    epochs: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The candidate as plain values for JSON."""
        return {
            "id": self.id,
            "genome": self.genome.to_dict(),
            "seed": self.seed,
            "generation": self.generation,
            "operator": self.operator,
            "parents": list(self.parents),
            "inherits": self.inherits,
            "epochs_done": self.epochs_done,
            "epochs": self.epochs,
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
        One number an epoch that it was trained for now, with six significant digits.
    n_epochs : int
        How many these are; follows from the curves where they are there.
    error : str, optional
        Why the candidate failed.
    state : State, optional
        What training has left: its last state where it may go on, else that of the best epoch. The loop
        takes it away to keep it; no journal holds it.
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
    n_epochs: int = 0
    error: str | None = None
    state: State | None = field(default=None, compare=False, repr=False)
    seconds: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        if self.train_losses:
            object.__setattr__(self, "n_epochs", len(self.train_losses))

    def without_curves(self) -> Evaluation:
        """What a search has to remember: some hundred bytes, however long training took."""
        return replace(self, train_losses=(), validation_losses=(), validation_scores=(), state=None)

    @property
    def failed(self) -> bool:
        """Whether the candidate has no fitness of its own."""
        return self.error is not None


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a candidate inherits: the trained state of another, and the genome that it is of."""

    genome: Genome
    state: State

    @classmethod
    def for_child(cls, child: Candidate, genome: Genome, state: State) -> Checkpoint:
        """What `child` takes of it: all of it, if it goes on where that ended; else its best epoch's."""
        return cls(genome, state if child.epochs_done else state.best or state)


@dataclass(frozen=True, eq=False)
class Problem:
    """The data and the settings that all candidates of a search share.

    Attributes
    ----------
    X_train, X_validation : float32 arrays of shape (rows, inputs)
    y_train, y_validation : arrays as `loss` asks for; see `nas.network.losses`
    n_outputs : int
    loss : str
        See `nas.network.LOSSES`.
    metric : Metric
        The score of predictions, to be maximized.
    training : TrainingConfig
        What holds wherever a genome carries no gene of its own.
    batch_seed : int
        Decides the order of the batches, the same for all candidates.
    weights_train, weights_validation : arrays of shape (rows,), optional
        What each row counts for: in the loss, and in the score.
    scaled : mapping
        `X_train` and `X_validation` for genomes whose numbers are scaled in another way, by its name.
    """

    X_train: Floats
    y_train: Array
    X_validation: Floats
    y_validation: Array
    n_outputs: int
    loss: str
    metric: Metric
    training: TrainingConfig
    batch_seed: int
    weights_train: Floats | None = None
    weights_validation: Floats | None = None
    scaled: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)

    def of(self, genome: Genome) -> Problem:
        """The problem with the inputs that a genome asks for."""
        if genome.scaling in (None, "standard"):
            return self
        X_train, X_validation = self.scaled[genome.scaling]
        return replace(self, X_train=X_train, X_validation=X_validation)

    @property
    def n_inputs(self) -> int:
        """Inputs of every network."""
        return int(self.X_train.shape[1])

    @property
    def steps_per_epoch(self) -> int:
        """Batches that training goes through in an epoch, where a genome says nothing else."""
        return -(-len(self.X_train) // self.training.batch_size)

    @property
    def n_bytes(self) -> int:
        """What the arrays take."""
        arrays = (self.X_train, self.y_train, self.X_validation, self.y_validation)
        weights = (self.weights_train, self.weights_validation)
        others = (array for pair in self.scaled.values() for array in pair)
        return sum(array.nbytes for array in (*arrays, *weights, *others) if array is not None)

    def score(self, predictions: Floats, y: Array) -> float:
        """The score of predictions for the validation rows, which count by their weights."""
        return self.metric(predictions, y, self.weights_validation)


def plan_cohorts(
    candidates: Sequence[Candidate], problem: Problem, n_tasks: int = 1
) -> list[tuple[Candidate, ...]]:
    """Divide the candidates of a batch into cohorts, at least `n_tasks`, the longest first.

    It follows from the candidates and the problem alone, not from how many workers there are: rounding
    depends on who is trained together, and a search must not. Candidates with other epochs before or
    behind them, or other inputs, are other cohorts.
    """
    most = min(max(1, len(candidates) // n_tasks), MOST)
    cohorts = []
    for shared in dict.fromkeys(map(_shared, candidates)):
        those = [one for one in candidates if _shared(one) == shared]
        plans = [
            Plan(
                _sizes(one.genome, problem),
                _activations(one.genome),
                training_config(one.genome, problem.training),
            )
            for one in those
        ]
        cohorts += [tuple(those[i] for i in cohort) for cohort in plan(plans, most)]
    return cohorts


def _shared(one: Candidate) -> tuple[int, int | None, str | None]:
    """What all of a cohort have in common."""
    return one.epochs_done, one.epochs, one.genome.scaling


def evaluate(
    candidates: Sequence[Candidate],
    problem: Problem,
    checkpoints: Mapping[int, Checkpoint] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Evaluation] | None:
    """Train candidates together and score each on the validation rows.

    Divergence, running out of memory, overrunning the time limit and a score that is no number are
    failures of a candidate, recorded with their reason; any other exception is a bug and is raised.
    Where a cohort has too little memory, or takes longer than the limits of all its members together,
    those concerned are trained again, each alone. None is returned if `should_stop` ended the
    training, which then says nothing about the candidates.

    Parameters
    ----------
    candidates : sequence of Candidate
        With the same `epochs_done` and `epochs`.
    problem : Problem
    checkpoints : mapping of int to Checkpoint, optional
        For each candidate that inherits, by its id, what.
    should_stop : callable, optional
    """
    start = time.perf_counter()
    evaluations = _together(candidates, problem, checkpoints or {}, should_stop)
    if evaluations is None:
        return None
    # Nobody can tell how much of the time was whose.
    seconds = round((time.perf_counter() - start) / len(candidates), 4)
    found = []
    for candidate, evaluation in zip(candidates, evaluations, strict=True):
        if evaluation is not None:
            found.append(replace(evaluation, seconds=seconds))
            continue
        one = evaluate([candidate], problem, checkpoints, should_stop)
        if one is None:
            return None
        found += one
    return found


def _together(
    candidates: Sequence[Candidate],
    problem: Problem,
    checkpoints: Mapping[int, Checkpoint],
    should_stop: Callable[[], bool] | None,
) -> list[Evaluation | None] | None:
    """The evaluations; None for those that must be tried alone, as others may have been the cause.

    It returns before anyone is tried again, so that what this took of the memory is free then.
    """
    alone = len(candidates) == 1
    try:
        states = [_first_state(one, problem, checkpoints.get(one.id)) for one in candidates]
        networks = [
            build_network(one.genome, one.seed, problem, initialize=state is None)
            for one, state in zip(candidates, states, strict=True)
        ]
        results = fit(
            networks,
            candidates,
            problem,
            states=states,
            keep_states=any(one.operator != RESCORE for one in candidates),
            should_stop=should_stop,
        )
    except MemoryError as error:
        if not alone:
            return [None] * len(candidates)
        failure = Evaluation(candidates[0].id, error=f"out of memory: {error}")
        return [replace(failure, n_parameters=_n_parameters(candidates[0], problem))]
    if any(result.stopped == "interrupted" for result in results):
        return None
    return [
        None if result.stopped == "time" and not alone else _evaluation(candidate, result, problem)
        for candidate, result in zip(candidates, results, strict=True)
    ]


def _first_state(candidate: Candidate, problem: Problem, checkpoint: Checkpoint | None) -> State | None:
    """What a candidate's training starts from, where it inherits."""
    if checkpoint is None:
        return None
    if candidate.epochs_done:
        return checkpoint.state
    return morph(
        checkpoint.state,
        _sizes(checkpoint.genome, problem),
        _activations(checkpoint.genome),
        _sizes(candidate.genome, problem),
        _activations(candidate.genome),
        origins(candidate.genome, checkpoint.genome),
        np.random.default_rng([candidate.seed, 2]),
    )


def _n_parameters(candidate: Candidate, problem: Problem) -> int:
    return candidate.genome.n_parameters(problem.n_inputs, problem.n_outputs)


def build_network(genome: Genome, seed: int, problem: Problem, *, initialize: bool = True) -> MLP:
    """The network that a genome describes, with the initial weights that the seed draws, or zeros."""
    rng = np.random.default_rng(seed) if initialize else None
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
    states: Sequence[State | None] | None = None,
    keep_states: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> list[TrainingResult]:
    """Train candidates' networks on one BLAS thread, so that every process gets the same bits.

    All have the same epochs before them, and the same scaling.
    """
    problem = problem.of(candidates[0].genome)
    with _blas().limit(limits=1, user_api="blas"):
        return train_cohort(
            networks,
            problem.X_train,
            problem.y_train,
            [training_config(candidate.genome, problem.training) for candidate in candidates],
            validation=(problem.X_validation, problem.y_validation) if validate else None,
            score=problem.score,
            sample_weight=problem.weights_train,
            validation_weight=problem.weights_validation if validate else None,
            batch_seed=problem.batch_seed,
            rngs=[np.random.default_rng([one.seed, 1, one.epochs_done]) for one in candidates],
            stop_after=candidates[0].epochs if stop_after is None else stop_after,
            states=states,
            keep_states=keep_states,
            should_stop=should_stop,
        )


def training_config(genome: Genome, defaults: TrainingConfig) -> TrainingConfig:
    """The defaults, with the genes that the genome carries in their place."""
    return _with_genes(defaults, *_training_genes(genome))


_TRAINING = tuple(name for name in GENES if name not in ("activation", "scaling"))
_training_genes = attrgetter(*_TRAINING)


@lru_cache(maxsize=1024)
def _with_genes(defaults: TrainingConfig, *values: Any) -> TrainingConfig:
    # Asked for whenever cohorts are planned; most candidates have their genes from somebody.
    return replace(
        defaults, **{key: value for key, value in zip(_TRAINING, values, strict=True) if value is not None}
    )


def _evaluation(candidate: Candidate, result: TrainingResult, problem: Problem) -> Evaluation:
    limit = problem.training.time_limit
    failure = Evaluation(candidate.id, n_parameters=_n_parameters(candidate, problem))
    if result.stopped == "time":
        # Where time ran out depends on the machine; such curves would differ from run to run.
        return replace(failure, stopped="time", error=f"no result within {limit:g} s")
    trained = replace(
        failure,
        best_epoch=result.best_epoch,
        stopped=result.stopped,
        train_losses=_curve(result.train_loss),
        validation_losses=_curve(result.validation_loss),
        validation_scores=_curve(result.validation_score),
        error=result.error,
    )
    if trained.failed:
        return trained
    score, loss = _at_best(result)
    if isinstance(score, NoScore):
        return replace(trained, error=f"{problem.metric.name}: {score.why}")
    return replace(
        trained,
        fitness=_six_digits(score),
        validation_loss=_six_digits(min(loss, WORST_LOSS)),
        state=_what_is_left(candidate, result, problem),
    )


def _at_best(result: TrainingResult) -> tuple[float, float]:
    """Score and loss on the validation rows after the best epoch."""
    if result.best is None:  # no state was kept: it began at the start
        return result.validation_score[result.best_epoch - 1], result.validation_loss[result.best_epoch - 1]
    score, loss = result.best.score, result.best.loss
    assert score is not None, "there is a metric"
    assert loss is not None, "and rows to judge by"
    return score, loss


def _what_is_left(candidate: Candidate, result: TrainingResult, problem: Problem) -> State | None:
    """The last state of one that may go on; of others the best is all that anybody asks for."""
    may_go_on = candidate.epochs is not None and candidate.epochs < problem.training.epochs
    return (result.last if may_go_on else None) or result.best


def _curve(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(isinstance(value, NoScore) for value in values):
        return ()  # with gaps it would tell of other epochs
    return tuple(_six_digits(value) for value in values)


def _six_digits(value: float) -> float:
    """Short to write, and more than a float32 loss is worth."""
    return float(f"{value:.6g}")


@cache
def _blas() -> ThreadpoolController:
    # Finding the libraries costs half a millisecond, limiting them 14 µs: find them once a process.
    return ThreadpoolController()
