"""The training of candidates' networks: what each starts from, and all of a cohort on one BLAS thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from nas.alignment import origins
from nas.evaluation.candidate import Candidate, Checkpoint
from nas.evaluation.problem import Problem, architecture, input_change, training_config
from nas.genome import Genome
from nas.network import MLP, State, initialize_from_rows, morph, with_inputs
from nas.training import Member, TrainingResult, TrainingStop, train_cohort


@dataclass(frozen=True, eq=False)
class Training:
    """The training of a candidate on a fold, or on the only training rows of a problem.

    Attributes
    ----------
    candidate : Candidate
    fold : int
        From 0; 0 without cross-validation.
    state : State, optional
        The start; None: initial weights.
    inherited : (Genome, State), optional
        A parent and its state, from which the start is made when the training begins.
    ended : TrainingResult, optional
        The result of an earlier training of this fold, which early stopping ended: there is nothing to do.
    """

    candidate: Candidate
    fold: int = 0
    state: State | None = None
    inherited: tuple[Genome, State] | None = None
    ended: TrainingResult | None = None

    @classmethod
    def of(cls, candidate: Candidate, fold: int, problem: Problem, checkpoint: Checkpoint | None) -> Training:
        """The training with the state that it starts from."""
        if checkpoint is None:
            return cls(candidate, fold)
        state = checkpoint.states[fold]
        if candidate.epochs_done == 0:
            return cls(candidate, fold, inherited=(checkpoint.genome, state))
        if problem.folds and state.epochs < candidate.epochs_done:
            ended = TrainingResult(TrainingStop.PATIENCE, state.epochs, (), best=state)
            return cls(candidate, fold, ended=ended)
        return cls(candidate, fold, state)

    def seeds(self, purpose: int | None = None) -> list[int]:
        """Numbers that seed a generator of this training; folds after the first have their own."""
        numbers = [self.candidate.seed, *([] if purpose is None else [purpose])]
        return numbers + [self.fold] * (self.fold > 0)


def started(training: Training, problem: Problem) -> Training:
    """The training with the state of its parent, transformed to the child's structure, if it inherits."""
    if training.inherited is None:
        return training
    (parent, state), genome = training.inherited, training.candidate.genome
    structure, change = architecture(parent, problem), input_change(parent, genome, problem)
    if change is not None:
        state, structure = with_inputs(state, structure, change), change.architecture(structure)
    rng = np.random.default_rng(training.seeds(2))
    start = morph(state, structure, architecture(genome, problem), origins(genome, parent), rng)
    return replace(training, state=start, inherited=None)


def fit(
    networks: Sequence[MLP],
    trainings: Sequence[Training],
    problem: Problem,
    *,
    validate: bool = True,
    keep_states: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> list[TrainingResult]:
    """Train candidates' networks on one BLAS thread, so that every process computes the same bits.

    All candidates have the same epochs before them, and the same encoding of inputs.

    Parameters
    ----------
    networks : sequence of MLP
        Trained in place, from the states of their trainings, from training rows if their genome asks for
        that, or from their own parameters.
    trainings : sequence of Training
    problem : Problem
    validate : bool
        Whether validation rows decide about the best epoch; otherwise the last epoch counts.
    keep_states : bool
        Whether results get their states.
    should_stop : callable, optional
    """
    first, n_folds = trainings[0], problem.n_folds
    if problem.by_fold:
        problem = replace(problem.by_fold[first.fold], training=problem.training)
    problem = problem.of(first.candidate.genome)
    limit = problem.training.time_limit
    # The limit is that of a candidate: each of its folds has a share.
    training = replace(problem.training, time_limit=limit and limit / n_folds)
    members = [
        Member(
            network,
            training_config(entry.candidate.genome, training),
            # Seeds differ by the epochs before: a training that continues draws new masks.
            np.random.default_rng([*entry.seeds(1), entry.candidate.epochs_done]),
            entry.state,
            entry.fold if problem.folds else 0,
        )
        for network, entry in zip(networks, trainings, strict=True)
    ]
    with _blas().limit(limits=1, user_api="blas"):
        _initialize_from_data(networks, trainings, problem)
        return train_cohort(
            members,
            problem.data(validate=validate),
            batch_seed=problem.batch_seed,
            stop_after=first.candidate.epochs,
            keep_states=keep_states,
            should_stop=should_stop,
        )


def _initialize_from_data(networks: Sequence[MLP], trainings: Sequence[Training], problem: Problem) -> None:
    """Draw the weights of networks that begin from training rows, each from those of its fold."""
    for network, training in zip(networks, trainings, strict=True):
        if training.state is None and training.candidate.genome.is_data_driven:
            X = problem.X_train
            if problem.folds:
                X = X[problem.folds[training.fold].train]
            initialize_from_rows(network, X, np.random.default_rng(training.seeds(3)))


@cache
def _blas() -> ThreadpoolController:
    # Finding the libraries costs half a millisecond, limiting them 14 µs: they are searched once a process.
    return ThreadpoolController()
