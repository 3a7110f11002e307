"""Cohorts of candidates: who is in one, what a candidate may do to the others, and what it inherits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.evaluation import (
    WORST_FITNESS,
    Candidate,
    Checkpoint,
    Evaluation,
    Problem,
    build_network,
    evaluate,
    plan_cohorts,
)
from nas.genome import Encoding, Genome
from nas.network import State
from nas.scoring import Metric


def candidates(*genomes: Genome) -> list[Candidate]:
    return [Candidate(i, genome, 50 + i, 0, "random") for i, genome in enumerate(genomes)]


SMALL = [Genome((4,)), Genome((8, 8), "tanh", dropout=(0.0, 0.2)), Genome((6,), dropout=0.1), Genome(())]


@pytest.mark.parametrize("n", [1, 3, 12, 40])
def test_a_generation_is_divided_into_work_for_four(problem: Problem, n: int) -> None:
    asked = candidates(*(Genome((2 + i,)) for i in range(n)))
    cohorts = plan_cohorts(asked, problem, 4)
    assert sorted(one.id for cohort in cohorts for one in cohort) == list(range(n))
    # Small networks are worth putting together.
    assert len(cohorts) == (n if n < 5 else 4)
    assert len(plan_cohorts(asked[:30], problem)) == 1


@given(st.lists(st.sampled_from([(0, 4), (4, 12), (0, 12), (0, None)]), min_size=1, max_size=20))
@settings(deadline=None)
def test_candidates_of_a_cohort_begin_and_stop_together(
    problem: Problem, spans: list[tuple[int, int | None]]
) -> None:
    asked = [
        replace(one, epochs_done=done, epochs=until)
        for one, (done, until) in zip(candidates(*[Genome((4,))] * len(spans)), spans, strict=True)
    ]
    cohorts = plan_cohorts(asked, problem)
    assert sorted(one.id for cohort in cohorts for one in cohort) == list(range(len(spans)))
    assert len(cohorts) == len(set(spans))
    for cohort in cohorts:
        assert len({(one.epochs_done, one.epochs) for one in cohort}) == 1


def test_different_batch_sizes_are_different_cohorts(problem: Problem) -> None:
    asked = candidates(*(Genome((4,), batch_size=8 if i % 2 else 16) for i in range(16)))
    for cohort in plan_cohorts(asked, problem):
        assert len({one.genome.batch_size for one in cohort}) == 1


def test_different_schedules_are_different_cohorts(problem: Problem) -> None:
    names = ("constant", "cosine", None)
    asked = candidates(*(Genome((4,), schedule=names[i % 3]) for i in range(18)))
    cohorts = plan_cohorts(asked, problem, 4)
    for cohort in cohorts:
        # What carries none has the problem's own, a constant rate.
        assert len({one.genome.schedule or "constant" for one in cohort}) == 1
    assert all(not one.failed for cohort in cohorts for one in evaluate(cohort, problem) or [])


QUANTILE = Encoding("quantile")


def test_each_scaling_is_trained_on_inputs_of_its_own(problem: Problem) -> None:
    both = replace(problem, encoded={QUANTILE: (problem.X_train[:, ::-1] * 2, problem.X_validation * 0)})
    asked = candidates(*(Genome((4,), scaling=(None, "standard", "quantile")[i % 3]) for i in range(9)))
    cohorts = plan_cohorts(asked, both)
    assert len(cohorts) == 2  # without the gene, numbers are standardized
    for cohort in cohorts:
        assert len({one.genome.encoding for one in cohort}) == 1
        alone = both.of(cohort[0].genome)
        curves = [[one.validation_losses for one in evaluate(cohort, two) or []] for two in (both, alone)]
        assert len(curves[0]) == len(cohort)
        assert curves[0] == curves[1]
    assert both.of(asked[0].genome) is both.of(asked[1].genome) is both
    assert (both.of(asked[2].genome).X_train == problem.X_train[:, ::-1] * 2).all()
    (blind,) = evaluate([asked[2]], both) or []
    (sighted,) = evaluate([asked[1]], both) or []
    assert len(set(blind.validation_scores)) < len(set(sighted.validation_scores))
    assert both.n_bytes == problem.n_bytes + problem.X_train.nbytes + problem.X_validation.nbytes


def test_a_cohort_is_evaluated_in_its_own_order(problem: Problem) -> None:
    asked = candidates(*SMALL)[::-1]
    found = evaluate(asked, problem)
    assert found is not None
    assert [one.candidate_id for one in found] == [3, 2, 1, 0]
    assert not any(one.failed for one in found)
    for candidate, one in zip(asked, found, strict=True):
        assert one.n_parameters == candidate.genome.n_parameters(2, 3)
        (alone,) = evaluate([candidate], problem) or []
        assert alone.validation_loss == pytest.approx(one.validation_loss, rel=1e-4)  # rounding


@pytest.mark.exhaustive
def test_a_candidate_that_takes_too_long_fails_alone(problem: Problem) -> None:
    # Regression: the whole cohort failed with it. The others take tenths of a second, on a busy machine more.
    training = replace(problem.training, epochs=100, patience=None, time_limit=2.0)
    slow = Genome((1500, 1500, 1500))
    found = evaluate(candidates(*SMALL, slow), replace(problem, training=training))
    assert found is not None
    *quick, failed = found
    assert failed.error == "no result within 2 s"
    assert not any(one.failed for one in quick)


def test_a_candidate_without_enough_memory_fails_alone(problem: Problem) -> None:
    found = evaluate(candidates(*SMALL, Genome((10**6, 10**6))), problem)
    assert found is not None
    *small, failed = found
    assert failed.error is not None
    assert failed.error.startswith("out of memory")
    assert failed.fitness == WORST_FITNESS
    assert not any(one.failed for one in small)
    assert small == [one for candidate in candidates(*SMALL) for one in evaluate([candidate], problem) or []]


def test_a_stop_says_nothing_about_anyone(problem: Problem) -> None:
    assert evaluate(candidates(*SMALL), problem, should_stop=lambda: True) is None


# What is inherited


def the_one(
    problem: Problem, candidate: Candidate, checkpoint: Checkpoint | None = None
) -> tuple[Evaluation, State]:
    """A candidate's evaluation, and what its training left."""
    (found,) = evaluate([candidate], problem, {} if checkpoint is None else {candidate.id: checkpoint}) or []
    assert not found.failed, found.error
    (state,) = found.states
    return found, state


def with_training(problem: Problem, **changes: Any) -> Problem:
    return replace(problem, training=replace(problem.training, **changes))


PARENT = Genome((8, 6), "relu")
CHILDREN = {
    "the same again": PARENT,
    "wider": Genome((12, 7), "relu"),
    "deeper": Genome((8, 8, 6), "relu"),
    "another rate": Genome((8, 6), "relu", learning_rate=0.02),
}


@pytest.mark.parametrize("child", CHILDREN)
def test_a_child_begins_with_its_parents_function(problem: Problem, child: str) -> None:
    parent, state = the_one(problem, Candidate(0, PARENT, 3, 0, "random"))
    # At a rate that moves nothing the first epoch shows what it began with.
    still = with_training(problem, learning_rate=1e-12, epochs=1)
    genome = replace(CHILDREN[child], learning_rate=None)
    candidate = Candidate(1, genome, 4, 1, "widen", (0,), inherits=0)
    found, _ = the_one(still, candidate, Checkpoint(PARENT, (state,)))
    assert found.validation_loss == pytest.approx(parent.validation_loss, rel=1e-4)  # float32
    assert found.fitness == parent.fitness
    fresh, _ = the_one(still, replace(candidate, inherits=None))
    assert fresh.validation_loss > parent.validation_loss + 0.1


@pytest.mark.parametrize("child", CHILDREN)
def test_the_first_epoch_of_a_child_is_near_its_parents_last(problem: Problem, child: str) -> None:
    problem = with_training(problem, epochs=30, patience=None)
    parent, state = the_one(problem, Candidate(0, PARENT, 3, 0, "random"))
    candidate = Candidate(1, CHILDREN[child], 4, 1, "widen", (0,), inherits=0)
    found, _ = the_one(problem, candidate, Checkpoint(PARENT, (state,)))
    fresh, _ = the_one(problem, replace(candidate, inherits=None))
    assert abs(found.validation_losses[0] - parent.validation_loss) < 0.15
    assert fresh.validation_losses[0] > found.validation_losses[0] + 0.15


def test_a_child_takes_the_weights_of_the_best_epoch(problem: Problem) -> None:
    # At a high rate the last epoch is not the best one.
    wild = Genome((16,), "tanh", learning_rate=0.3)
    problem = with_training(problem, patience=None, epochs=20)
    parent, state = the_one(problem, Candidate(0, wild, 3, 0, "random", epochs=8))
    assert state.best is not None
    assert parent.best_epoch < 8
    still = with_training(problem, learning_rate=1e-12, epochs=1)
    child = Candidate(1, Genome((16,), "tanh"), 4, 1, "copy", (0,), inherits=0)
    checkpoint = Checkpoint.for_child(child, wild, (state,))
    assert checkpoint.states[0] is state.best
    found, _ = the_one(still, child, checkpoint)
    assert found.fitness == parent.fitness
    assert found.validation_loss == pytest.approx(parent.validation_loss, rel=1e-4)  # float32


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_continued_training_ends_as_an_uninterrupted_one(problem: Problem, schedule: str) -> None:
    genome = Genome((8, 6), "relu", schedule=schedule, learning_rate=0.01)
    problem = with_training(problem, patience=None, epochs=9)
    whole, left = the_one(problem, Candidate(0, genome, 3, 0, "random"))
    first, state = the_one(problem, Candidate(0, genome, 3, 0, "random", epochs=3))
    then = Candidate(1, genome, 77, 1, "continue", (0,), inherits=0, epochs_done=3, epochs=9)
    second, end = the_one(problem, then, Checkpoint(genome, (state,)))
    assert (first.stopped, second.stopped, whole.stopped) == ("epochs",) * 3
    assert first.train_losses + second.train_losses == whole.train_losses
    assert first.validation_losses + second.validation_losses == whole.validation_losses
    assert first.validation_scores + second.validation_scores == whole.validation_scores
    assert (second.fitness, second.validation_loss, second.best_epoch) == (
        whole.fitness,
        whole.validation_loss,
        whole.best_epoch,
    )
    assert end.parameters.tobytes() == left.parameters.tobytes()
    assert (end.best or end).parameters.tobytes() == (left.best or left).parameters.tobytes()


def test_a_training_that_continues_from_a_better_epoch_keeps_its_score(problem: Problem) -> None:
    genome, problem = Genome((8, 6), "relu"), with_training(problem, learning_rate=0.02, patience=None)
    first, state = the_one(problem, Candidate(0, genome, 3, 0, "random", epochs=6))
    # From here on it only gets worse: what counts is the epoch before the break.
    ruined = with_training(problem, learning_rate=30.0, optimizer="sgd", clip_norm=1.0, epochs=20)
    then = Candidate(1, genome, 4, 1, "continue", (0,), inherits=0, epochs_done=6, epochs=8)
    second, end = the_one(ruined, then, Checkpoint(genome, (state,)))
    assert max(second.validation_scores) < first.fitness
    assert second.best_epoch == first.best_epoch <= 6
    assert (second.fitness, second.validation_loss) == (first.fitness, first.validation_loss)
    assert end.best is not None
    assert end.best.parameters.tobytes() == (state.best or state).parameters.tobytes()


@pytest.mark.parametrize("epochs", [None, 8])
def test_a_training_that_is_over_leaves_only_its_best_epoch(problem: Problem, epochs: int | None) -> None:
    wild = Genome((16,), "tanh", learning_rate=0.3)
    problem = with_training(problem, patience=None, epochs=8)
    found, state = the_one(problem, Candidate(0, wild, 3, 0, "random", epochs=epochs))
    assert found.stopped == "epochs"
    assert state.epochs == found.best_epoch < 8
    assert state.best is None


def test_patience_counts_over_the_break(problem: Problem) -> None:
    genome, still = Genome((4,)), with_training(problem, learning_rate=1e-12, patience=4, epochs=20)
    first, state = the_one(still, Candidate(0, genome, 3, 0, "random", epochs=3))
    then = Candidate(1, genome, 4, 1, "continue", (0,), inherits=0, epochs_done=3, epochs=20)
    second, _ = the_one(still, then, Checkpoint(genome, (state,)))
    assert (first.stopped, second.stopped) == ("epochs", "patience")
    assert len(first.train_losses + second.train_losses) == 5


def test_the_weights_left_are_those_that_were_measured(problem: Problem) -> None:
    genome = Genome((8, 6), "relu", learning_rate=0.05)
    problem = with_training(problem, epochs=20, patience=None)
    found, state = the_one(problem, Candidate(0, genome, 3, 0, "random"))
    assert found.best_epoch < 20
    network = build_network(genome, 0, problem, initialize=False)
    network.parameters[...] = (state.best or state).parameters
    score = problem.metric(network.predict(problem.X_validation), problem.y_validation)
    assert found.fitness == float(f"{score:.6g}") == max(found.validation_scores)


def test_weights_decide_in_the_loss_and_in_the_score(problem: Problem) -> None:
    # Rows of class 0 alone count: whoever says 0 is always right, and soon everybody does.
    weights = (problem.y_train == 0).astype(float), (problem.y_validation == 0).astype(float)
    weighted = replace(problem, weights_train=weights[0], weights_validation=weights[1])
    found, state = the_one(weighted, Candidate(0, Genome((8,), learning_rate=0.03), 3, 0, "random"))
    network = build_network(Genome((8,)), 0, problem, initialize=False)
    network.parameters[...] = (state.best or state).parameters
    assert found.fitness == 1.0
    assert (network.predict(problem.X_validation).argmax(axis=1) == 0).mean() > 0.9
    assert weighted.n_bytes == problem.n_bytes + 8 * 180


# Scores that are none


def test_a_score_that_is_no_number_is_a_failure_with_its_reason(problem: Problem) -> None:
    def picky(predictions: Any, y: Any) -> float:
        accuracy = float(np.mean(predictions.argmax(axis=1) == y))
        if accuracy < 0.7:
            raise RuntimeError("too timid")
        return accuracy

    timid = Genome((4,), learning_rate=1e-9)
    asked = candidates(timid, Genome((16,), learning_rate=0.1), timid)
    failed, fine, also = evaluate(asked, replace(problem, metric=Metric("picky", picky))) or []
    assert failed.error == also.error == "picky: expected a number, got RuntimeError: too timid"
    assert failed.fitness == WORST_FITNESS
    assert failed.states == ()
    assert failed.validation_scores == ()
    json.dumps([failed.validation_losses, fine.validation_scores], allow_nan=False)
    assert not fine.failed
    assert fine.fitness > 0.5


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_cannot_be_compared_are_failures(problem: Problem, value: float) -> None:
    (found,) = (
        evaluate(candidates(Genome((4,))), replace(problem, metric=Metric("odd", lambda *_: value))) or []
    )
    assert found.error == f"odd: expected a finite number, got {value}"


# Written down


def test_a_candidate_comes_back_as_it_was() -> None:
    for one in (
        Candidate(3, PARENT, 7, 1, "continue", (1,), inherits=1, epochs_done=4, epochs=12),
        Candidate(0, Genome((), optimizer="sgd"), 7, 0, "random"),
    ):
        assert Candidate.from_dict(json.loads(json.dumps(one.to_dict()))) == one
