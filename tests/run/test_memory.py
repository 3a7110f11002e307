"""What a search remembers of its candidates, in the real loop, with evaluations that cost nothing."""

from __future__ import annotations

import gc
import multiprocessing
import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import pytest
from searches import RACE, assert_same_search, search

from benchmarks.stub_search import stub_search
from nas.evaluation import Candidate, Evaluation, Problem
from nas.execution.ray import RayExecutor
from nas.tracking.journal import Journal, read_journal

MOST = 2048
"""Bytes of the driver's memory for each candidate."""


def _sizes(engine: str, folder: Path) -> dict[int, int]:
    """Bytes that Python holds when so many candidates have been told."""
    sizes: dict[int, int] = {}

    def note(n: int) -> None:
        gc.collect()
        sizes[n] = tracemalloc.get_traced_memory()[0]

    # Caches of a fixed size are full by the first mark; tables that double do so once in between.
    tracemalloc.start()
    stub_search(engine, folder, n_candidates=3000, n_workers=8, marks=(1500, 3000), note=note)
    return sizes


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["aging", "auto"])
def test_the_driver_remembers_two_kilobytes_of_a_candidate_at_most(tmp_path: Path, engine: str) -> None:
    # In a process of its own: where other tests had filled the caches with what is not traced,
    # every entry replaced since would count as growth.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        sizes = pool.apply(_sizes, (engine, tmp_path))
    assert (sizes[3000] - sizes[1500]) / 1500 <= MOST
    # Of a search of three times a hundred numbers a candidate, all of them in the journal.
    assert (tmp_path / "journal.jsonl").stat().st_size > 3000 * 600
    assert len(read_journal(tmp_path / "journal.jsonl").evaluations) >= 3000


def test_an_evaluation_without_its_curves_has_their_length() -> None:
    whole = Evaluation(3, fitness=0.5, train_losses=(0.3, 0.2), validation_losses=(0.4, 0.3))
    lean = whole.without_curves()
    assert (whole.n_epochs, lean.n_epochs, lean.train_losses, lean.validation_losses) == (2, 2, (), ())
    assert (lean.candidate_id, lean.fitness) == (3, 0.5)


@pytest.mark.exhaustive
@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
def test_the_driver_has_no_copy_of_what_workers_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private: list[weakref.ref[Any]] = []
    hold = RayExecutor.hold

    def watched(executor: RayExecutor, problem: Problem) -> Problem:
        private.extend(map(weakref.ref, (problem.X_train, problem.X_validation)))
        held = hold(executor, problem)
        assert held.metric is problem.metric
        assert not held.X_train.flags.writeable
        return held

    monkeypatch.setattr(RayExecutor, "hold", watched)
    alive: list[int] = []
    evaluated = Journal.evaluated

    def looked(journal: Journal, candidate: Candidate, evaluation: Evaluation) -> None:
        if any(one() is not None for one in private):
            gc.collect()
        alive.append(sum(one() is not None for one in private))
        evaluated(journal, candidate, evaluation)

    monkeypatch.setattr(Journal, "evaluated", looked)
    options = RACE | {"n_workers": 2, "n_finalists": 2}
    shared = search("wine", tmp_path / "shared", **options)
    assert len(alive) == len(shared.history)
    assert not any(alive)
    # The search's own problem, and the one with the folds on which finalists are scored again.
    assert len(private) == 2 * 2
    gc.collect()
    assert not any(one() for one in private)
    assert_same_search(shared, search("wine", tmp_path / "alone", **options | {"n_workers": 0}))
