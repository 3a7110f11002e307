"""What ends a search: the same in every run, but for time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from searches import RACE, assert_same_search, journal_without_times, resume, search

import nas
from nas.errors import InputError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.run.budget import Budget, BudgetUsage
from nas.run.stop_reason import StopReason


def told(
    usage: BudgetUsage, *fitnesses: float | None, epochs: int = 3, goes_on: bool = False
) -> list[StopReason | None]:
    """What is said after each of these: None is a failure."""
    said = []
    for i, fitness in enumerate(fitnesses):
        candidate = Candidate(i, Genome((4,)), 0, 0, "random", epochs_done=4 if goes_on else 0)
        losses = (0.5,) * epochs
        found = (
            Evaluation(i, error="lost") if fitness is None else Evaluation(i, fitness, train_losses=losses)
        )
        said.append(usage.add(candidate, found))
    return said


def test_candidates_are_counted_once_however_often_they_go_on() -> None:
    usage = BudgetUsage(Budget(2))
    assert told(usage, 0.1) == [None]
    assert told(usage, 0.2, 0.3, goes_on=True) == [None, None]
    assert told(usage, None) == ["candidates"]


def test_epochs_are_all_that_were_trained() -> None:
    usage = BudgetUsage(Budget(100, epochs=10))
    assert told(usage, 0.1, 0.2) == [None, None]
    assert told(usage, None) == [None]
    assert told(usage, 0.3, goes_on=True) == [None]
    assert told(usage, 0.1, epochs=1) == ["epochs"]


@pytest.mark.parametrize("target", [0.5, -3.0])
def test_a_target_is_reached_by_as_much(target: float) -> None:
    usage = BudgetUsage(Budget(100, target=target))
    assert told(usage, target - 0.1, None, target) == [None, None, "target"]


def test_failures_do_not_reach_a_target() -> None:
    assert told(BudgetUsage(Budget(100, target=-2e9)), None, 0.1) == [None, "target"]


def test_patience_counts_those_in_a_row_that_were_no_better() -> None:
    usage = BudgetUsage(Budget(100, patience=3))
    fitnesses = (0.1, 0.1, None, 0.2, 0.2, 0.1)
    assert told(usage, *fitnesses) == [None] * 6
    assert told(usage, 0.2, goes_on=True) == ["patience"]
    assert told(BudgetUsage(Budget(100, patience=2)), None, None) == [None, "patience"]


def test_time_is_up_with_or_without_candidates() -> None:
    usage = BudgetUsage(Budget(100, seconds=1e-9))
    assert usage.out_of_time()
    assert told(usage, 0.1) == ["time"]
    assert usage.out_of_time()
    assert not BudgetUsage(Budget(100)).out_of_time()


ENDS: dict[str, tuple[dict[str, Any], str]] = {
    "candidates": ({"n_candidates": 20}, "20 candidates, "),
    "epochs": ({"total_epochs": 120}, "; the epochs were spent"),
    "target": ({"target_score": 0.95}, "; the target was reached"),
    "patience": ({"patience": 7}, "; nothing better came"),
    "exhausted": ({"space": "tiny", "n_candidates": 500, "epochs": 3}, "; the space holds no other"),
}


@pytest.mark.slow
@pytest.mark.parametrize("why", ENDS)
def test_a_search_ends_for_one_reason_and_says_so(tmp_path: Path, why: str) -> None:
    options, words = ENDS[why]
    result = search("wine", tmp_path / "one", **RACE | {"n_candidates": 60} | options)
    assert result.stopped == why
    assert words in result.summary(verbose=True)
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    fresh = [one for one, _ in result.history if not one.epochs_done]
    trained = sum(evaluation.n_network_epochs for _, evaluation in result.history)
    assert record["stopped"] == why
    assert record["candidates"] == result.n_candidates == len(fresh)
    assert record["epochs"] == result.n_epochs == trained
    # It ended with the first evaluation with which it had to.
    last = result.history[-1][1]
    if why == "candidates":
        assert len(fresh) == 20 < len(result.history)
    elif why == "epochs":
        assert trained - last.n_network_epochs < 120 <= trained
    elif why == "target":
        assert [pair[1].fitness >= 0.95 for pair in result.history].index(True) == len(result.history) - 1
    elif why == "patience":
        best = max(range(len(result.history)), key=lambda i: (result.history[i][1].fitness, -i))
        assert len(result.history) - 1 - best == 7
    else:
        assert len(fresh) == nas.load_space("tiny").size()


@pytest.mark.exhaustive
@pytest.mark.parametrize("why", ["epochs", "target", "patience"])
def test_an_end_is_the_same_end_again(tmp_path: Path, why: str) -> None:
    options = RACE | {"n_candidates": 60} | ENDS[why][0]
    one, other = (search("wine", tmp_path / str(i), **options) for i in range(2))
    assert_same_search(one, other)
    # Resumed, there is nothing left to do; what was spent is counted from the beginning.
    assert_same_search(resume(one.run_dir), other)


@pytest.mark.slow
def test_budgets_only_cut_the_sequence(tmp_path: Path) -> None:
    whole = journal_without_times(search("wine", tmp_path / "whole", **RACE | {"n_candidates": 60}))
    for why in ("epochs", "target", "patience"):
        options = RACE | {"n_candidates": 60} | ENDS[why][0]
        entries = journal_without_times(search("wine", tmp_path / why, **options))
        assert whole[: len(entries)] == entries
        assert len(entries) < len(whole)


@pytest.mark.exhaustive
@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
@pytest.mark.parametrize("why", ["epochs", "patience"])
def test_workers_do_not_move_the_end(tmp_path: Path, why: str) -> None:
    options = RACE | {"n_candidates": 60} | ENDS[why][0]
    serial, two = (search("wine", tmp_path / str(n), n_workers=n, **options) for n in (0, 2))
    assert_same_search(serial, two)
    assert two.stopped == why


@pytest.mark.exhaustive
def test_a_search_without_new_candidates_goes_on_where_it_ended(tmp_path: Path) -> None:
    result = search("wine", tmp_path, **RACE | {"n_candidates": 20})
    again = resume(result.run_dir)
    assert_same_search(result, again)
    assert again.stopped == "candidates"


@pytest.mark.exhaustive
def test_time_counts_from_where_an_earlier_life_ended(tmp_path: Path) -> None:
    # Regression: a replay that took longer than the time left was cut, and a worse network named.
    result = search("wine", tmp_path, **RACE | {"n_candidates": 40})
    again = resume(result.run_dir, time_budget=0.001, n_candidates=60)
    assert again.stopped == "time"
    assert len(again.history) >= len(result.history)
    assert list(again.history)[: len(result.history)] == list(result.history)


@pytest.mark.slow
def test_a_search_cannot_become_shorter(tmp_path: Path) -> None:
    result = search("wine", tmp_path, n_candidates=12)
    complaint = "n_candidates: expected at least the 12 that the run has tried, got 11"
    with pytest.raises(InputError, match=complaint):
        resume(result.run_dir, n_candidates=11)
    # Once it is longer, it stays so.
    longer = resume(result.run_dir, n_candidates=15)
    assert resume(result.run_dir).n_candidates == longer.n_candidates == 15


def test_the_clock_starts_after_what_is_known() -> None:
    usage = BudgetUsage(Budget(10, seconds=0.0001), n_recorded=2)
    assert usage.is_behind
    for i in range(3):
        time.sleep(0.001)
        assert usage.out_of_time() == (i == 2)
        usage.add(Candidate(i, Genome((4,)), 0, 0, "random"), Evaluation(i, fitness=0.5))
        assert usage.is_behind == (i == 0)


@pytest.mark.slow
def test_a_budget_that_is_spent_before_workers_are_ready_trains_in_this_process(tmp_path: Path) -> None:
    result = search("iris", tmp_path, n_workers=2, n_candidates=10_000, time_budget=6.0, n_finalists=1)
    assert len(result.history) > 1
