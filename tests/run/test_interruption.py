"""A run that is interrupted, wherever: signals come for real, at chosen moments."""

from __future__ import annotations

import itertools
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from searches import assert_same_search, resume, search
from sklearn.neural_network import MLPClassifier

import nas
import nas.run.conclude
import nas.run.execute
import nas.run.winner
from nas.cli import main
from nas.evolution import Engine
from nas.run.interruption import Interruption
from nas.run.report_process import ReportProcess
from nas.tracking.journal import Journal, read_journal


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Python's own handlers, also where the tests run in a shell's background, which ignores Ctrl-C."""
    outside = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    for number, handler in outside:
        signal.signal(number, handler)


def interrupting(function: Callable[..., Any], times: int = 1) -> Callable[..., Any]:
    """The function, with so many Ctrl-C before its first call."""
    left = times

    def interrupted(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        while left:
            left -= 1
            signal.raise_signal(signal.SIGINT)
        return function(*arguments, **options)

    return interrupted


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["evaluated", "tell", "ask"])
@pytest.mark.parametrize("algorithm", ["plus", "steady-state", "auto"])
def test_the_journal_the_engine_and_the_result_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str, moment: str
) -> None:
    # Regression: a signal between the journal's line and the engine's news lost a candidate.
    options = {"n_candidates": 16, "algorithm": algorithm, "population_size": 4}
    whole = search("iris", tmp_path / "whole", **options)
    owner = Journal if moment == "evaluated" else Engine
    original, calls = getattr(owner, moment), itertools.count(1)

    def late(self: Any, *arguments: Any) -> Any:
        if next(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return original(self, *arguments)

    monkeypatch.setattr(owner, moment, late)
    result = search("iris", tmp_path / "cut", **options)
    monkeypatch.undo()
    assert result.stopped == "interrupted"
    assert result.selection is None
    assert result.network.provenance["refit"] is False
    assert list(result.history) == list(read_journal(result.run_dir / "journal.jsonl").evaluations)
    assert len(result.history) == 3 or moment == "ask"
    assert_same_search(resume(result.run_dir), whole)


def test_an_interrupt_before_anything_is_known_is_just_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.execution.serial.evaluate", interrupting(lambda *_: None))
    with pytest.raises(KeyboardInterrupt):
        search("iris", tmp_path)


def test_the_second_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search("iris", tmp_path / "whole", algorithm="plus")
    monkeypatch.setattr(Journal, "evaluated", interrupting(Journal.evaluated, times=2))
    with pytest.raises(KeyboardInterrupt):
        search("iris", tmp_path / "cut", algorithm="plus")
    monkeypatch.undo()
    (folder,) = (tmp_path / "cut").iterdir()
    assert not (folder / "best").exists()
    assert_same_search(resume(folder), whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "phase"),
    [
        (nas.run.execute, "select"),
        (nas.run.winner, "final_networks"),
        (nas.run.conclude, "score_test_rows"),
    ],
)
def test_after_the_search_what_is_left_to_train_is_left_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    module: ModuleType,
    phase: str,
) -> None:
    whole = search("iris", tmp_path / "whole", algorithm="plus", baseline=True)
    monkeypatch.setattr(module, phase, interrupting(getattr(module, phase)))
    result = search("iris", tmp_path / "cut", algorithm="plus", baseline=True)
    monkeypatch.undo()
    assert result.stopped == "interrupted"
    assert "interrupted; to go on: nas resume" in caplog.text
    assert (result.selection is None) == (phase == "select")
    assert result.network.provenance["refit"] == (phase == "score_test_rows")
    assert result.test.baseline is None
    json.dumps(result.to_dict(), allow_nan=False)
    assert "; interrupted" in result.summary(verbose=True)
    assert nas.load_network(result.run_dir).provenance["test_score"] == result.test.score
    best = max(one.fitness for _, one in result.history)
    assert result.selection is not None or result.evaluation.fitness == best
    assert_same_search(resume(result.run_dir), whole)


def test_a_half_trained_baseline_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Regression: scikit-learn ends its training at a Ctrl-C and calls that fitted.
    step = MLPClassifier._update_no_improvement_count
    monkeypatch.setattr("nas.run.execute._SMALL", 0)  # a large table's are fitted in this process
    monkeypatch.setattr(MLPClassifier, "_update_no_improvement_count", interrupting(step))
    result = search("iris", tmp_path, algorithm="plus", baseline=True)
    assert (result.stopped, result.test.baseline, result.test.difference) == ("interrupted", None, None)


def test_during_the_report_the_result_is_kept_and_the_exit_code_is_that_of_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ReportProcess, "make", interrupting(ReportProcess.make))
    few = ["--space", "tiny", "--candidates", "2", "--epochs", "2", "--workers", "0", "--folds", "2"]
    few += ["--finalists", "1", "--members", "1", "--no-baseline", "--no-tracking", "--name", "one"]
    assert main(["search", "iris", "--runs-dir", str(tmp_path), *few]) == 130
    said = capsys.readouterr()
    assert said.out.startswith("Winner ")
    assert "no report, as it was interrupted; to make it: nas report" in said.err
    result = json.loads((tmp_path / "one" / "result.json").read_text())
    assert result["stopped"] == "candidates"  # the search itself is complete
    assert nas.load_network(tmp_path / "one").provenance["refit"] is True


def test_signals_are_noted_once_and_handlers_come_back() -> None:
    with Interruption() as interruption:
        assert not interruption.requested()
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested()
        # Nothing handles SIGTERM here: it would end this process, as it did before.
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_first_is_heard_whatever_the_main_thread_is_at() -> None:
    heard = threading.Event()
    with Interruption(heard.set) as interruption:
        assert not heard.is_set()
        signal.raise_signal(signal.SIGINT)
        assert heard.wait(10)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    heard.clear()
    with Interruption(heard.set):
        pass
    assert not heard.is_set()


def test_other_threads_leave_signals_alone() -> None:
    found: list[Any] = []

    def enter() -> None:
        with Interruption() as interruption:
            found.append((signal.getsignal(signal.SIGINT), interruption.requested()))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(signal.default_int_handler, False)]


def test_an_interrupted_replay_leaves_the_winner_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Regression: the best of the part that had been taken in replaced the best of all.
    result = search("iris", tmp_path, n_candidates=16)
    before = {file.name: file.read_bytes() for file in result.model_path.iterdir()}
    journal = (result.run_dir / "journal.jsonl").read_bytes()
    monkeypatch.setattr(Journal, "evaluated", interrupting(Journal.evaluated))
    with pytest.raises(KeyboardInterrupt):
        resume(result.run_dir, n_candidates=20)
    monkeypatch.undo()
    assert {file.name: file.read_bytes() for file in result.model_path.iterdir()} == before
    assert (result.run_dir / "journal.jsonl").read_bytes() == journal
    assert resume(result.run_dir, n_candidates=20).n_candidates == 20
