"""Candidates and their evaluations: what a search sends to workers, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nas.genome import Genome
from nas.network import State
from nas.scoring import WORST_SCORE, error_over_folds

WORST_FITNESS = WORST_SCORE
"""The fitness of a candidate that failed: finite, because DEAP cannot order NaN or infinity."""

WORST_LOSS = 1e9
"""The validation loss of a candidate that failed: finite, because JSON has no infinity."""

RESCORE = "rescore"
"""The operator of candidates that are trained from scratch for their score only: no state is kept."""

FIRST_FOLD = "first fold"
"""Why an evaluation ended after the first fold: its score did not reach the candidate's bar."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A genome to evaluate, with its origin.

    Attributes
    ----------
    id : int
        Counts from 0 in the order of the engine's proposals.
    genome : Genome
    seed : int
        Draws the initial weights; derived from the search's seed and the id.
    generation : int
        The batch of proposals that the candidate belongs to.
    operator : str
        The operator that made the genome: "random", "start", "continue", a mutation or a crossover;
        or `RESCORE`.
    parents : tuple of int
        Ids of the candidates that the genome was made from.
    inherits : int, optional
        The id of the parent with the trained weights that training starts from.
    epochs_done : int
        Epochs after which an earlier training of the same genome stopped, which this continues; 0: none.
    epochs : int, optional
        Epochs after which training stops, counted from the start; None: at the end of the training.
    bar : float, optional
        The score that the first fold has to reach for the other folds to be trained; None: all are trained.
    offset : float
        Added to the score of the first fold, if it is the only one, to compare it with means over all folds:
        how much harder or easier the first fold is for the best candidate so far.
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
    bar: float | None = None
    offset: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The candidate as plain values for JSON."""
        bar = {} if self.bar is None else {"bar": self.bar, "offset": self.offset}
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
            **bar,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Candidate:
        """The candidate that `to_dict` wrote."""
        genome, parents = Genome.from_dict(record["genome"]), tuple(record["parents"])
        return cls(**{**record, "genome": genome, "parents": parents})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of training and scoring a candidate.

    Attributes
    ----------
    candidate_id : int
    fitness : float
        The validation score at the best epoch, to be maximized, or its mean over folds, or the estimate of
        that by the first fold; `WORST_FITNESS` if it failed.
    validation_loss : float
        The validation loss at that epoch, or its mean; `WORST_LOSS` if it failed.
    n_parameters : int
    best_epoch : int
        The epoch, from 1, with the best weights, or its median over folds.
    stopped : str
        The reason of training's end; see `nas.training.TrainingResult`. "failed" if there was no training,
        `FIRST_FOLD` if the first fold's score did not reach the candidate's bar.
    train_losses, validation_losses, validation_scores : tuple of float
        One number for each epoch of this training, with six significant digits; those of the first fold.
    fold_scores : tuple of float
        The score of each fold that was trained; empty without cross-validation.
    n_epochs : int
        The number of these epochs; computed from the curves if they are given.
    error : str, optional
        The reason of the failure.
    states : tuple of State
        The trained state, or one of each fold: the last one if training may continue, else that of the best
        epoch. The loop moves them to its checkpoints; no journal holds them.
    seconds : float
        Duration, as a share of the cohort's: the only attribute that may differ between runs.
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
    fold_scores: tuple[float, ...] = ()
    n_epochs: int = 0
    error: str | None = None
    states: tuple[State, ...] = field(default=(), compare=False, repr=False)
    seconds: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        if self.train_losses:
            object.__setattr__(self, "n_epochs", len(self.train_losses))

    def without_curves(self) -> Evaluation:
        """The evaluation without curves and state: some hundred bytes, for any number of epochs."""
        return replace(self, train_losses=(), validation_losses=(), validation_scores=(), states=())

    @property
    def standard_error(self) -> float:
        """The standard error of the fitness; NaN with fewer than two folds."""
        return error_over_folds(self.fold_scores)

    @property
    def n_network_epochs(self) -> int:
        """The epochs of all folds together, if these were as many as the first fold's."""
        return self.n_epochs * max(1, len(self.fold_scores))

    @property
    def is_partial(self) -> bool:
        """Whether only the first fold was trained, of several."""
        return self.stopped == FIRST_FOLD

    @property
    def failed(self) -> bool:
        """Whether the candidate failed, so that its fitness is `WORST_FITNESS`."""
        return self.error is not None


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The trained states of a candidate and its genome, from which another candidate's training starts.

    There is one state for each fold of the candidate, or a single state.
    """

    genome: Genome
    states: tuple[State, ...]

    @classmethod
    def for_child(cls, child: Candidate, genome: Genome, states: Sequence[State]) -> Checkpoint:
        """The checkpoint for `child`: the last states if the child continues this training, else the best."""
        return cls(genome, tuple(state if child.epochs_done else state.best or state for state in states))
