"""The work of a worker: train a cohort of candidates on the shared data and score each of them.

`plan_cohorts` decides from the candidates which of them train together. `evaluate` is a pure function
of its arguments: the same candidates, problem and checkpoints give the same evaluations, bit for bit, in
any process; only ``seconds`` differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median

from nas.evaluation.candidate import FIRST_FOLD, RESCORE, WORST_LOSS, Candidate, Checkpoint, Evaluation
from nas.evaluation.fitting import Training, fit, started
from nas.evaluation.problem import (
    Problem,
    build_network,
    extras_of,
    network_activations,
    network_sizes,
    training_config,
)
from nas.genome import Encoding
from nas.network import State
from nas.scoring import NoScore
from nas.training import Plan, TrainingResult, TrainingStop, plan
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
        plans = [_plan(candidate, problem) for candidate in group]
        cohorts += [tuple(group[i] for i in cohort) for cohort in plan(plans, most)]
    return cohorts


def _plan(candidate: Candidate, problem: Problem) -> Plan:
    return Plan(
        network_sizes(candidate.genome, problem),
        network_activations(candidate.genome),
        training_config(candidate.genome, problem.training),
        candidate.genome.n_members,
        extras_of(candidate.genome, problem).periodic,
        candidate.genome.has_skips,
        candidate.genome.is_normalized,
    )


def _shared(candidate: Candidate) -> tuple[int, int | None, Encoding]:
    """The attributes that all candidates of a cohort have in common."""
    return candidate.epochs_done, candidate.epochs, candidate.genome.encoding


def evaluate(
    candidates: Sequence[Candidate],
    problem: Problem,
    checkpoints: Mapping[int, Checkpoint] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Evaluation] | None:
    """Train candidates together and score each on the validation rows, or on every fold.

    With folds, all candidates train on the first, and on the others if the score on it reaches their
    bar: a candidate that is worse there than the best candidate is on its worst fold goes no further (Bergman
    et al. 2024, arXiv 2405.03389). The folds of a candidate are members of a cohort.

    Divergence, running out of memory, overrunning the time limit and a score that is no number are
    failures of a candidate, recorded with their reason; any other exception is a bug and is raised.
    If a cohort has too little memory, or takes longer than the limits of all its members together,
    the candidates concerned are trained again, each solo.

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
    results: dict[int, list[TrainingResult]] = {candidate.id: [] for candidate in candidates}
    seconds = dict.fromkeys(results, 0.0)
    again: set[int] = set()
    remaining = list(candidates)
    for folds in _stages(problem):
        start = time.perf_counter()
        trainings = [
            Training.of(candidate, fold, problem, (checkpoints or {}).get(candidate.id))
            for fold in folds
            for candidate in remaining
        ]
        trained = _train(trainings, problem, should_stop, solo=len(candidates) == 1)
        for training, result in zip(trainings, trained, strict=True):
            if result is None:
                again.add(training.candidate.id)
            elif result.stopped == "interrupted":
                return None
            else:
                results[training.candidate.id].append(result)
        # The step of a cohort is one list of operations: no member has a time of its own.
        for candidate in remaining:
            seconds[candidate.id] += (time.perf_counter() - start) / len(remaining)
        remaining = [
            candidate
            for candidate in remaining
            if candidate.id not in again and _reaches_bar(candidate, results[candidate.id])
        ]
        if not remaining:
            break
    trainings = []
    evaluations = []
    for candidate in candidates:
        if candidate.id in again:
            # Now that the memory of the others' training is free.
            repeated = evaluate([candidate], problem, checkpoints, should_stop)
            if repeated is None:
                return None
            evaluations += repeated
            continue
        evaluation = _evaluation(candidate, results[candidate.id], problem)
        evaluations.append(replace(evaluation, seconds=round(seconds[candidate.id], 4)))
    return evaluations


def _stages(problem: Problem) -> list[range]:
    """The folds that are trained together: the first, then all others."""
    return [range(1), range(1, problem.n_folds)] if problem.folds else [range(1)]


def _reaches_bar(candidate: Candidate, results: Sequence[TrainingResult]) -> bool:
    """Whether further folds of a candidate are trained."""
    if any(result.error is not None or result.stopped == "time" for result in results):
        return False
    # Bars are made of scores with six digits.
    return candidate.bar is None or _six_digits(_at_best_epoch(results[0])[0]) >= candidate.bar


def _train(
    trainings: Sequence[Training],
    problem: Problem,
    should_stop: Callable[[], bool] | None,
    *,
    solo: bool,
) -> list[TrainingResult | None]:
    """The results; None for trainings to be repeated `solo`, as another candidate's may be the cause.

    The first folds are one cohort, as `plan_cohorts` has decided; the others are planned here.
    """
    results: list[TrainingResult | None] = [training.ended for training in trainings]
    due = [i for i, training in enumerate(trainings) if training.ended is None]
    for cohort in _cohorts([trainings[i] for i in due], problem):
        places = [due[i] for i in cohort]
        try:
            trained = _train_cohort([trainings[i] for i in places], problem, should_stop)
        except MemoryError as error:
            if not solo:
                continue
            failure = TrainingResult(TrainingStop.FAILED, 0, (), error=f"out of memory: {error}")
            trained = [failure] * len(places)
        for i, result in zip(places, trained, strict=True):
            results[i] = None if result.stopped == "time" and not solo else result
        if any(result.stopped == "interrupted" for result in trained):
            interrupted = replace(trained[0], stopped=TrainingStop.INTERRUPTED)
            return [interrupted for _ in trainings]
    return results


def _cohorts(trainings: Sequence[Training], problem: Problem) -> list[list[int]]:
    """Positions of the trainings that are done together."""
    if all(training.fold == 0 for training in trainings):
        return [list(range(len(trainings)))] if trainings else []
    cohorts = []
    # Where inputs differ from fold to fold, a cohort can have one fold only.
    for fold in sorted({training.fold for training in trainings}) if problem.by_fold else [None]:
        positions = [i for i, training in enumerate(trainings) if fold in (None, training.fold)]
        planned = plan([_plan(trainings[i].candidate, problem) for i in positions])
        cohorts += [[positions[i] for i in cohort] for cohort in planned]
    return cohorts


def _train_cohort(
    trainings: Sequence[Training], problem: Problem, should_stop: Callable[[], bool] | None
) -> list[TrainingResult]:
    trainings = [started(training, problem) for training in trainings]
    networks = [
        build_network(training.candidate.genome, training.seeds(), problem, initialize=training.state is None)
        for training in trainings
    ]
    return fit(
        networks,
        trainings,
        problem,
        keep_states=any(training.candidate.operator != RESCORE for training in trainings),
        should_stop=should_stop,
    )


def _n_parameters(candidate: Candidate, problem: Problem) -> int:
    return candidate.genome.n_parameters(problem.n_inputs_of(candidate.genome), problem.n_outputs)


def _evaluation(candidate: Candidate, results: Sequence[TrainingResult], problem: Problem) -> Evaluation:
    """The evaluation by the results of a candidate's folds, or by its only result."""
    limit = problem.training.time_limit
    failure = Evaluation(candidate.id, n_parameters=_n_parameters(candidate, problem))
    if any(result.stopped == "time" for result in results):
        # The epoch at which time ran out depends on the machine: its curves would differ between runs.
        return replace(failure, stopped="time", error=f"no result within {limit:g} s")
    failed = next((result for result in results if result.error is not None), None)
    with_curves = failed or next((result for result in results if result.train_loss), results[0])
    trained = replace(
        failure,
        best_epoch=round(median(result.best_epoch for result in results)),
        stopped=str(_stopped(results, problem)),
        train_losses=_curve(with_curves.train_loss),
        validation_losses=_curve(with_curves.validation_loss),
        validation_scores=_curve(with_curves.validation_score),
        error=None if failed is None else failed.error,
    )
    if trained.failed:
        return trained
    scores, losses = zip(*map(_at_best_epoch, results), strict=True)
    for score in scores:
        if isinstance(score, NoScore):
            return replace(trained, error=f"{problem.metric.name}: {score.reason}")
    return replace(
        trained,
        fitness=_six_digits(fmean(scores) + candidate.offset * (trained.stopped == FIRST_FOLD)),
        validation_loss=_six_digits(min(fmean(losses), WORST_LOSS)),
        fold_scores=tuple(map(_six_digits, scores)) if problem.folds else (),
        states=tuple(
            state
            for result in results
            if (state := _checkpoint_state(candidate, result, problem)) is not None
        ),
    )


def _stopped(results: Sequence[TrainingResult], problem: Problem) -> str:
    """The reason of the end of all folds: "epochs" if a fold may go on."""
    if any(result.error is not None for result in results):
        return next(result.stopped for result in results if result.error is not None)
    if len(results) < problem.n_folds:
        return FIRST_FOLD
    return next((result.stopped for result in results if result.stopped == "epochs"), results[0].stopped)


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
