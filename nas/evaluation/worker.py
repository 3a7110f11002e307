"""The work of a worker: train a cohort of candidates on the shared data and score each of them.

`plan_cohorts` decides from the candidates which of them train together. `evaluate` is a pure function
of its arguments: the same candidates, problem and checkpoints give the same evaluations, bit for bit, in
any process; only ``seconds`` differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from nas.alignment import origins
from nas.evaluation.candidate import RESCORE, WORST_LOSS, Candidate, Checkpoint, Evaluation
from nas.evaluation.problem import (
    Problem,
    build_network,
    network_activations,
    network_sizes,
    training_config,
)
from nas.genome import Encoding
from nas.network import MLP, State, morph
from nas.scoring import NoScore
from nas.training import Member, Plan, TrainingData, TrainingResult, plan, train_cohort
from nas.training.planner import MOST


def plan_cohorts(
    candidates: Sequence[Candidate], problem: Problem, n_tasks: int = 1
) -> list[tuple[Candidate, ...]]:
    """Divide the candidates of a batch into cohorts, at least `n_tasks`, the longest first.

    The division follows from the candidates and the problem, not from the number of workers: rounding
    depends on the cohort that a candidate trains in, and a search must not depend on workers. Candidates
    with different epochs before or after, or with different inputs, are never in one cohort.
    """
    most = min(max(1, len(candidates) // n_tasks), MOST)
    cohorts = []
    for shared in dict.fromkeys(map(_shared, candidates)):
        group = [candidate for candidate in candidates if _shared(candidate) == shared]
        plans = [
            Plan(
                network_sizes(candidate.genome, problem),
                network_activations(candidate.genome),
                training_config(candidate.genome, problem.training),
            )
            for candidate in group
        ]
        cohorts += [tuple(group[i] for i in cohort) for cohort in plan(plans, most)]
    return cohorts


def _shared(candidate: Candidate) -> tuple[int, int | None, Encoding]:
    """The attributes that all candidates of a cohort have in common."""
    return candidate.epochs_done, candidate.epochs, candidate.genome.encoding


def evaluate(
    candidates: Sequence[Candidate],
    problem: Problem,
    checkpoints: Mapping[int, Checkpoint] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Evaluation] | None:
    """Train candidates together and score each on the validation rows.

    Divergence, running out of memory, overrunning the time limit and a score that is no number are
    failures of a candidate, recorded with their reason; any other exception is a bug and is raised.
    If a cohort has too little memory, or takes longer than the limits of all its members together,
    the members concerned are trained again, each solo.

    Parameters
    ----------
    candidates : sequence of Candidate
        With the same `epochs_done` and `epochs`.
    problem : Problem
    checkpoints : mapping of int to Checkpoint, optional
        By the ids of the candidates that start from a checkpoint.
    should_stop : callable, optional

    Returns
    -------
    list of Evaluation, or None
        One for each candidate, in their order. None if `should_stop` ended the training: the curves so far
        would depend on the time of the interruption.
    """
    start = time.perf_counter()
    trained = _train(candidates, problem, checkpoints or {}, should_stop)
    if trained is None:
        return None
    # The step of a cohort is one list of operations: no member has a time of its own.
    seconds = round((time.perf_counter() - start) / len(candidates), 4)
    evaluations = []
    for candidate, evaluation in zip(candidates, trained, strict=True):
        if evaluation is not None:
            evaluations.append(replace(evaluation, seconds=seconds))
            continue
        repeated = evaluate([candidate], problem, checkpoints, should_stop)
        if repeated is None:
            return None
        evaluations += repeated
    return evaluations


def _train(
    candidates: Sequence[Candidate],
    problem: Problem,
    checkpoints: Mapping[int, Checkpoint],
    should_stop: Callable[[], bool] | None,
) -> list[Evaluation | None] | None:
    """The evaluations; None for candidates to be trained again solo, as other members may be the cause.

    It returns before they are trained again, so that the memory of this training is free then.
    """
    solo = len(candidates) == 1
    try:
        states = [_first_state(candidate, problem, checkpoints.get(candidate.id)) for candidate in candidates]
        networks = [
            build_network(candidate.genome, candidate.seed, problem, initialize=state is None)
            for candidate, state in zip(candidates, states, strict=True)
        ]
        results = fit(
            networks,
            candidates,
            problem,
            states=states,
            keep_states=any(candidate.operator != RESCORE for candidate in candidates),
            should_stop=should_stop,
        )
    except MemoryError as error:
        if not solo:
            return [None] * len(candidates)
        failure = Evaluation(candidates[0].id, error=f"out of memory: {error}")
        return [replace(failure, n_parameters=_n_parameters(candidates[0], problem))]
    if any(result.stopped == "interrupted" for result in results):
        return None
    return [
        None if result.stopped == "time" and not solo else _evaluation(candidate, result, problem)
        for candidate, result in zip(candidates, results, strict=True)
    ]


def _first_state(candidate: Candidate, problem: Problem, checkpoint: Checkpoint | None) -> State | None:
    """The state that a candidate's training starts from; None: initial weights."""
    if checkpoint is None:
        return None
    if candidate.epochs_done:
        return checkpoint.state
    return morph(
        checkpoint.state,
        network_sizes(checkpoint.genome, problem),
        network_activations(checkpoint.genome),
        network_sizes(candidate.genome, problem),
        network_activations(candidate.genome),
        origins(candidate.genome, checkpoint.genome),
        np.random.default_rng([candidate.seed, 2]),
    )


def _n_parameters(candidate: Candidate, problem: Problem) -> int:
    return candidate.genome.n_parameters(problem.n_inputs, problem.n_outputs)


def fit(
    networks: Sequence[MLP],
    candidates: Sequence[Candidate],
    problem: Problem,
    *,
    validate: bool = True,
    states: Sequence[State | None] | None = None,
    keep_states: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> list[TrainingResult]:
    """Train candidates' networks on one BLAS thread, so that every process computes the same bits.

    All candidates have the same epochs before them, and the same encoding of inputs.

    Parameters
    ----------
    networks : sequence of MLP
        Trained in place.
    candidates : sequence of Candidate
    problem : Problem
    validate : bool
        Whether the validation rows decide about the best epoch; otherwise the last epoch counts.
    states : sequence of State or None, optional
        The start of each network; None: its own parameters.
    keep_states : bool
        Whether results get their states.
    should_stop : callable, optional
    """
    problem = problem.of(candidates[0].genome)
    data = TrainingData(
        problem.X_train,
        problem.y_train,
        validation=(problem.X_validation, problem.y_validation) if validate else None,
        score=problem.score,
        sample_weight=problem.weights_train,
        validation_weight=problem.weights_validation if validate else None,
    )
    members = [
        Member(
            network,
            training_config(candidate.genome, problem.training),
            # Seeds differ by the epochs before: a training that continues draws new masks.
            np.random.default_rng([candidate.seed, 1, candidate.epochs_done]),
            state,
        )
        for network, candidate, state in zip(
            networks, candidates, states or [None] * len(networks), strict=True
        )
    ]
    with _blas().limit(limits=1, user_api="blas"):
        return train_cohort(
            members,
            data,
            batch_seed=problem.batch_seed,
            stop_after=candidates[0].epochs,
            keep_states=keep_states,
            should_stop=should_stop,
        )


def _evaluation(candidate: Candidate, result: TrainingResult, problem: Problem) -> Evaluation:
    limit = problem.training.time_limit
    failure = Evaluation(candidate.id, n_parameters=_n_parameters(candidate, problem))
    if result.stopped == "time":
        # The epoch at which time ran out depends on the machine: its curves would differ between runs.
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
    score, loss = _at_best_epoch(result)
    if isinstance(score, NoScore):
        return replace(trained, error=f"{problem.metric.name}: {score.reason}")
    return replace(
        trained,
        fitness=_six_digits(score),
        validation_loss=_six_digits(min(loss, WORST_LOSS)),
        state=_checkpoint_state(candidate, result, problem),
    )


def _at_best_epoch(result: TrainingResult) -> tuple[float, float]:
    """Score and loss on the validation rows after the best epoch."""
    if result.best is None:  # no state was kept, so that training began at the first epoch
        return result.validation_score[result.best_epoch - 1], result.validation_loss[result.best_epoch - 1]
    score, loss = result.best.score, result.best.loss
    assert score is not None, "a problem has a metric"
    assert loss is not None, "a problem has validation rows"
    return score, loss


def _checkpoint_state(candidate: Candidate, result: TrainingResult, problem: Problem) -> State | None:
    """The last state if training may continue; else the best, the only state that is read later."""
    may_continue = candidate.epochs is not None and candidate.epochs < problem.training.epochs
    return (result.last if may_continue else None) or result.best


def _curve(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(isinstance(value, NoScore) for value in values):
        return ()  # without these values the rest would stand at wrong epochs
    return tuple(_six_digits(value) for value in values)


def _six_digits(value: float) -> float:
    """The number with six significant digits: short in journals, and more precise than a float32 loss."""
    return float(f"{value:.6g}")


@cache
def _blas() -> ThreadpoolController:
    # Finding the libraries costs half a millisecond, limiting them 14 µs: they are searched once a process.
    return ThreadpoolController()
