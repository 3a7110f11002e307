"""Callbacks and trackers of a user in real searches: their calls, and when a callback stops a search."""

from __future__ import annotations

import runpy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from searches import QUICK, RACE, assert_same_search, journal_without_times, resume, search

import nas
from nas.errors import InputError
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.run import CallbackContext
from nas.tracking import Outcome, RunInfo
from nas.tracking.archive import RunArchive
from nas.tracking.journal import read_journal


class StopAt(nas.Callback):
    """Records its calls, and stops the search with the n-th evaluation or generation, if any."""

    def __init__(self, evaluation: int | None = None, generation: int | None = None) -> None:
        self.stop_evaluation, self.stop_generation = evaluation, generation
        self.pairs: list[tuple[Candidate, Evaluation]] = []
        self.generations: list[Generation] = []
        self.contexts: list[CallbackContext] = []

    def evaluated(self, context: CallbackContext, candidate: Candidate, evaluation: Evaluation) -> bool:
        self.contexts.append(context)
        self.pairs.append((candidate, evaluation))
        assert context.n_evaluations == len(self.pairs)
        # The journal is on disk already.
        journal = context.run_dir / "journal.jsonl"
        assert not journal.exists() or len(read_journal(journal).evaluations) >= len(self.pairs)
        return len(self.pairs) == self.stop_evaluation

    def generation(self, context: CallbackContext, generation: Generation) -> None:
        self.generations.append(generation)
        if len(self.generations) == self.stop_generation:
            context.stop()


class Recorder:
    """A tracker of a user's own: no base class, only the methods."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def started(self, run: RunInfo) -> None:
        self.calls.append(run)

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self.calls.append((candidate, evaluation))

    def generation(self, generation: Generation) -> None:
        self.calls.append(generation)

    def finished(self, outcome: Outcome) -> None:
        self.calls.append(outcome)


@pytest.mark.slow
def test_callbacks_and_trackers_see_the_journal_in_its_order(tmp_path: Path) -> None:
    callback, tracker = StopAt(), Recorder()
    result = search("iris", tmp_path / "a", callbacks=[callback], trackers=[tracker], **RACE)
    assert callback.pairs == list(result.history)
    assert len({id(context) for context in callback.contexts}) == 1
    context = callback.contexts[0]
    assert (context.run_dir, context.metric, context.n_recorded) == (result.run_dir, "accuracy", 0)
    first, *between, last = tracker.calls
    assert (first.run_id, first.metric) == (read_run_id(result), "accuracy")
    assert [call for call in between if not isinstance(call, Generation)] == callback.pairs
    assert [call for call in between if isinstance(call, Generation)] == callback.generations != []
    assert (last.status, last.best, last.model_dir) == ("finished", result.best, result.model_path)
    assert last.scores["test_score"] == result.test.score
    # They change nothing.
    assert_same_search(result, search("iris", tmp_path / "b", **RACE))


def read_run_id(result: nas.SearchResult) -> str:
    run_id = RunArchive(result.run_dir).config["run_id"]
    assert isinstance(run_id, str)
    return run_id


@pytest.mark.slow
@pytest.mark.exhaustive_except("options0")
@pytest.mark.parametrize("options", [{"evaluation": 9}, {"generation": 2}])
def test_a_callback_stops_the_search_after_the_batch_and_resume_goes_on(
    tmp_path: Path, options: dict[str, int]
) -> None:
    whole = search("iris", tmp_path / "whole", **RACE)
    callback = StopAt(**options)
    cut = search("iris", tmp_path / "cut", callbacks=[callback], **RACE)
    assert cut.stopped == "callback"
    assert "; a callback stopped it" in cut.summary(verbose=True)
    assert options.get("evaluation", 1) <= len(cut.history) < len(whole.history)
    assert callback.pairs == list(cut.history) == list(whole.history)[: len(cut.history)]
    assert len(callback.generations) == options.get("generation", len(callback.generations))
    # It ended with a batch: the next candidate was made after it.
    batches = [candidate.generation for candidate, _ in whole.history]
    assert batches[len(cut.history)] != batches[len(cut.history) - 1]
    assert cut.selection is not None
    assert cut.network.provenance["refit"] is True
    # The same callback stops it in the same place, and without it the search goes on.
    again = StopAt(**options)
    assert_same_search(resume(cut.run_dir, callbacks=[again]), cut)
    assert again.pairs == callback.pairs
    assert again.contexts[0].n_recorded == len(cut.history)
    assert_same_search(resume(cut.run_dir), whole)


@pytest.mark.exhaustive
def test_a_resumed_search_is_replayed_before_a_callback_stops_it(tmp_path: Path) -> None:
    whole = search("iris", tmp_path, **RACE)
    before = journal_without_times(whole)
    resumed = resume(whole.run_dir, n_candidates=48, callbacks=[StopAt(evaluation=3)])
    assert resumed.stopped == "callback"
    assert len(whole.history) <= len(resumed.history) < len(whole.history) + 16
    assert journal_without_times(resumed)[: len(before)] == before


def test_an_exception_of_a_callback_ends_the_search_which_can_be_resumed(tmp_path: Path) -> None:
    class Broken(nas.Callback):
        def evaluated(self, context: CallbackContext, candidate: Candidate, evaluation: Evaluation) -> None:
            if candidate.id == 7:
                raise ZeroDivisionError("mine")

    tracker = Recorder()
    with pytest.raises(ZeroDivisionError, match="mine"):
        search("iris", tmp_path, callbacks=[Broken()], trackers=[tracker])
    assert tracker.calls[-1] == Outcome("failed")
    assert len(read_journal(tmp_path / "one" / "journal.jsonl").evaluations) == 8
    assert_same_search(resume(tmp_path / "one"), search("iris", tmp_path / "whole"))


def test_a_tracker_that_fails_at_the_end_leaves_the_run_whole(tmp_path: Path) -> None:
    class Broken(Recorder):
        def finished(self, outcome: Outcome) -> None:
            raise OSError("full")

    after = Recorder()
    with pytest.raises(OSError, match="full"):
        search("iris", tmp_path, trackers=[Broken(), after])
    assert after.calls[-1].status == "finished"
    result = resume(tmp_path / "one")  # the journal was closed, and the lock released
    assert result.stopped == "candidates"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"callbacks": [StopAt]},
            r"callbacks\[0\]: expected an object with the methods evaluated, generation",
        ),
        (
            {"callbacks": [StopAt(), print]},
            r"callbacks\[1\]: expected an object .* got <built-in function print>",
        ),
        ({"trackers": [StopAt()]}, r"trackers\[0\]: expected an object with the methods started, evaluated"),
    ],
)
def test_what_is_no_callback_is_refused_before_anything_starts(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        search("iris", tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.exhaustive
@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
def test_callbacks_follow_islands_in_the_calling_process_and_stop_each_after_a_batch(tmp_path: Path) -> None:
    options = QUICK | RACE | {"space": "small", "folds": 1, "islands": 2, "n_workers": 2, "n_candidates": 400}
    callback, tracker = StopAt(evaluation=20), Recorder()
    cut = nas.search("iris", runs_dir=tmp_path, callbacks=[callback], trackers=[tracker], **options)
    assert cut.stopped == "callback"
    assert 20 <= len(cut.history) < 400
    by_id = sorted(callback.pairs, key=lambda pair: pair[0].id)
    assert by_id == list(cut.history)
    assert tracker.calls[-1].status == "finished"
    assert cut.selection is not None
    resumed = resume(cut.run_dir, n_workers=2, n_candidates=60)
    assert resumed.stopped == "candidates"
    assert {candidate.id for candidate, _ in cut.history} <= {
        candidate.id for candidate, _ in resumed.history
    }


@pytest.mark.exhaustive
@pytest.mark.parametrize("example", ["callback", "tracker", "algorithm"])
def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str) -> None:
    # In this process: the examples themselves leave the number of workers to the machine.
    monkeypatch.setattr(nas, "search", partial(nas.search, **QUICK | {"space": "small", "n_candidates": 40}))
    file = Path(__file__).parent.parent.parent / "examples" / f"{example}.py"
    n = {"callback": 100}.get(example, 24)
    result = runpy.run_path(str(file))["main"](tmp_path, n_candidates=n)
    assert result.stopped == ("callback" if example == "callback" else "candidates")
    if example == "tracker":
        assert (tmp_path / "evaluations.csv").read_text().count("\n") == 1 + len(result.history)
