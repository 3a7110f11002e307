"""Cohorts of candidates: who is in one, and what a candidate may do to the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.evaluation import WORST_FITNESS, Candidate, Problem, evaluate, plan_cohorts
from nas.genome import Genome


def candidates(*genomes: Genome) -> list[Candidate]:
    return [Candidate(i, genome, 50 + i, 0, "random") for i, genome in enumerate(genomes)]


SMALL = [Genome((4,)), Genome((8, 8), "tanh", dropout=(0.0, 0.2)), Genome((6,), dropout=0.1), Genome(())]


@pytest.mark.parametrize("n", [1, 3, 12, 40])
def test_a_generation_is_divided_into_work_for_four(problem: Problem, n: int) -> None:
    asked = candidates(*(Genome((2 + i,)) for i in range(n)))
    cohorts = plan_cohorts(asked, problem)
    assert sorted(one.id for cohort in cohorts for one in cohort) == list(range(n))
    # Small networks are worth putting together.
    assert len(cohorts) == (n if n < 5 else 4)


def test_different_batch_sizes_are_different_cohorts(problem: Problem) -> None:
    asked = candidates(*(Genome((4,), batch_size=8 if i % 2 else 16) for i in range(16)))
    for cohort in plan_cohorts(asked, problem):
        assert len({one.genome.batch_size for one in cohort}) == 1


def test_different_schedules_are_different_cohorts(problem: Problem) -> None:
    names = ("constant", "cosine", None)
    asked = candidates(*(Genome((4,), schedule=names[i % 3]) for i in range(18)))
    cohorts = plan_cohorts(asked, problem)
    for cohort in cohorts:
        # What carries none has the problem's own, a constant rate.
        assert len({one.genome.schedule or "constant" for one in cohort}) == 1
    assert all(not one.failed for cohort in cohorts for one in evaluate(cohort, problem) or [])


def test_a_cohort_is_evaluated_in_its_own_order(problem: Problem) -> None:
    asked = candidates(*SMALL)[::-1]
    found = evaluate(asked, problem)
    assert found is not None
    assert [one.candidate_id for one in found] == [3, 2, 1, 0]
    assert not any(one.alone or one.failed for one in found)
    for candidate, one in zip(asked, found, strict=True):
        assert one.n_parameters == candidate.genome.n_parameters(2, 3)
        (alone,) = evaluate([candidate], problem) or []
        assert alone.alone
        assert alone.validation_loss == pytest.approx(one.validation_loss, rel=1e-4)  # rounding


def test_a_candidate_that_takes_too_long_fails_alone(problem: Problem) -> None:
    # Regression: the whole cohort failed with it.
    training = replace(problem.training, epochs=500, patience=None, time_limit=0.5)
    slow = Genome((1500, 1500, 1500))
    found = evaluate(candidates(*SMALL, slow), replace(problem, training=training))
    assert found is not None
    *quick, failed = found
    assert failed.error == "no result within 0.5 s"
    assert not any(one.failed for one in quick)
    assert all(one.alone for one in found)


def test_a_candidate_without_enough_memory_fails_alone(problem: Problem) -> None:
    found = evaluate(candidates(*SMALL, Genome((10**6, 10**6))), problem)
    assert found is not None
    *small, failed = found
    assert failed.error is not None
    assert failed.error.startswith("out of memory")
    assert failed.fitness == WORST_FITNESS
    assert not any(one.failed for one in small)
    assert all(one.alone for one in found)
    assert small == [one for candidate in candidates(*SMALL) for one in evaluate([candidate], problem) or []]


def test_a_stop_says_nothing_about_anyone(problem: Problem) -> None:
    assert evaluate(candidates(*SMALL), problem, lambda: True) is None
