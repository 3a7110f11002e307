"""When each phase of a search has to end, by a clock that stands still until it is moved."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searches import RACE, journal_without_times, search

from nas.cli.clock import process_start
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.run.budget import Budget, BudgetUsage
from nas.run.deadline import Deadline, LastWork, Plan, command_start, countdown, counting_from

WORK = LastWork(n_scorings=10, n_refits=1, n_workers=2, n_pieces=100)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def plan_of(seconds: float | None, clock: Clock, work: LastWork = WORK) -> Plan:
    return Plan(Deadline(seconds, clock.now, clock), work)


def test_phases_end_one_after_the_other() -> None:
    # By hand: an epoch takes 0.1 s, a training 10 epochs; 10 of these by two workers take 5 s, of which
    # 80 % are planned. The final training has 20 epochs of three times 0.1 s, with a margin of a tenth.
    # Everything else: 100 pieces of 0.01 s, and half a second to exit.
    plan = plan_of(100.0, Clock())
    plan.observe(1.0, 10)
    plan.expect_scoring(10)
    plan.expect_refit(20)
    plan.measured_speed(0.01)
    assert plan.conclude_by == pytest.approx(1100 - 1.5)
    assert plan.select_by == pytest.approx(1100 - 1.5 - 6.6)
    assert plan.search_until == pytest.approx(1100 - 1.5 - 6.6 - 4.0)
    plan.measured_refit(0.5)
    assert plan.select_by == pytest.approx(1100 - 1.5 - 11.0)


def test_trainings_for_held_out_rows_have_a_share_of_their_own() -> None:
    # By hand: five folds, as often as two networks of the final training of 20 epochs of 0.1 s: 5 s.
    work = LastWork(n_refits=1, n_members=2, n_held_out=5)
    for budget, reserved in ((100.0, 1.1 * 5), (20.0, 0.08 * 20)):
        plan = plan_of(budget, Clock(), work)
        plan.expect_refit(20)
        plan.measured_refit(0.1)
        assert plan.calibration_seconds == pytest.approx(5.0)
        assert plan.conclude_by - plan.refit_by == pytest.approx(reserved)
        assert plan.refit_by - plan.select_by == pytest.approx(1.1 * 2)


def test_without_a_budget_there_is_no_end() -> None:
    plan = plan_of(None, Clock())
    plan.observe(1.0, 10)
    plan.expect_scoring(10)
    assert plan.search_until == plan.give_up_at == math.inf
    assert (plan.affordable_epochs(500), plan.affordable_scorings()) == (500, math.inf)
    assert not plan.is_late(plan.search_until)


def test_the_search_keeps_half_of_a_budget_that_is_too_small_for_the_rest() -> None:
    clock = Clock()
    plan = plan_of(10.0, clock)
    plan.observe(100.0, 10)
    plan.expect_scoring(10)
    plan.expect_refit(1000)
    plan.measured_speed(10.0)
    assert plan.search_until >= clock.now + 4.0
    assert plan.search_until <= plan.select_by <= plan.conclude_by <= plan.give_up_at <= clock.now + 10


def test_the_final_training_is_shortened_and_then_left_out() -> None:
    clock = Clock()
    plan = plan_of(20.0, clock, LastWork(n_refits=1))
    plan.measured_refit(0.1)
    assert plan.affordable_epochs(100) == 100
    clock.now += 10
    assert 50 <= plan.affordable_epochs(100) < 100
    clock.now += 6
    assert plan.affordable_epochs(100) == 0


@given(
    st.lists(st.tuples(st.floats(0.001, 5), st.integers(1, 50)), min_size=1, max_size=60),
    st.floats(1, 100),
    st.floats(1, 3),
)
def test_a_shorter_budget_evaluates_a_prefix(
    evaluations: list[tuple[float, int]], seconds: float, factor: float
) -> None:
    # The same evaluations, which take the same time; only where they are cut off may differ.
    shorter, longer = (evaluated(evaluations, budget) for budget in (seconds, seconds * factor))
    assert longer[: len(shorter)] == shorter


def evaluated(evaluations: list[tuple[float, int]], seconds: float) -> list[int]:
    clock = Clock()
    usage = BudgetUsage(Budget(10**6, seconds=seconds), plan=plan_of(seconds, clock))
    told = []
    for i, (duration, n_epochs) in enumerate(evaluations):
        clock.now += duration
        if usage.out_of_time():
            break
        losses = (0.5,) * n_epochs
        told.append(i)
        usage.add(
            Candidate(i, Genome((4,)), 0, 0, "random"),
            Evaluation(i, 0.5, 0.5, train_losses=losses, seconds=duration),
        )
    assert clock.now - evaluations[len(told) - 1][0] <= 1000 + seconds + 5 or not told
    return told


def test_a_journal_is_taken_in_whatever_the_time() -> None:
    clock = Clock()
    usage = BudgetUsage(Budget(9, seconds=1.0), n_recorded=2, plan=plan_of(1.0, clock))
    clock.now += 100
    candidate = Candidate(0, Genome((4,)), 0, 0, "random")
    assert not usage.out_of_time()
    assert usage.add(candidate, Evaluation(0, 0.5, 0.5)) is None
    assert usage.add(replace(candidate, id=1), Evaluation(1, 0.5, 0.5)) == "time"


def test_a_budget_counts_from_the_start_of_its_command() -> None:
    with counting_from(12.5):
        assert command_start() == 12.5
    assert abs(command_start() - time.monotonic()) < 1


def test_a_process_knows_when_it_was_created() -> None:
    code = "import time; time.sleep(0.5); from nas.cli.clock import process_start; "
    code += "print(time.monotonic() - process_start())"
    age = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 0.5 <= age < 60
    assert process_start() < time.monotonic()


def test_where_the_kernel_does_not_tell_the_import_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert 0 <= time.monotonic() - process_start() < 10**5


def test_a_countdown_ends_without_negative_seconds() -> None:
    clock = Clock()
    left = countdown(5.0, clock)
    assert left() == 5.0
    clock.now += 6
    assert math.isnan(left())
    assert math.isnan(countdown(0.0, clock)())


def test_a_budget_too_small_for_a_candidate_gives_a_network_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = search("digits", tmp_path, time_budget=0.001, report=True)
    assert (result.stopped, result.n_candidates, result.selection) == ("time", 1, None)
    assert result.network.provenance["refit"] is False
    assert 0 < result.test.score < 1
    assert "; the time was up" in result.summary(verbose=True)
    assert "expected enough for one candidate; its network was trained for 1 of 6 epochs" in caplog.text
    # It is not among the candidates, which have the same results in any search.
    assert len(journal_without_times(result)) == 1
    assert "Traceback" not in caplog.text


@pytest.mark.slow
def test_a_search_ends_with_its_budget(tmp_path: Path) -> None:
    seconds, start = 20.0, time.monotonic()
    options = RACE | {"n_candidates": 10**6, "time_budget": seconds, "epochs": 30, "n_finalists": 4}
    result = search("digits", tmp_path / "one", report=True, tracking=True, baseline=True, **options)
    assert time.monotonic() - start == pytest.approx(seconds, rel=0.1)
    assert result.stopped == "time"
    whole = search("digits", tmp_path / "whole", **options | {"time_budget": None, "n_candidates": 16})
    entries = journal_without_times(whole)
    assert entries[: len(journal_without_times(result))] == journal_without_times(result)[: len(entries)]
