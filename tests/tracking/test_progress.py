from __future__ import annotations

import io
import math
import re
import time
from pathlib import Path

import pytest

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.genome import Genome
from nas.space import SearchSpace
from nas.tracking import Outcome, RunInfo
from nas.tracking.progress import ProgressDisplay

SPACE = SearchSpace(depth=(1, 2), widths=(4, 8))


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO) -> str:
    display = ProgressDisplay(stream)
    display.started(RunInfo("one", "0", Path(), SPACE, "accuracy", {}, {}, 4, time_budget=60))
    for i, fitness in enumerate((0.5, 0.75, 0.625)):
        display.evaluated(Candidate(i, Genome((4, i + 1)), 0, 0, "random"), Evaluation(i, fitness, 0.1))
    display.evaluated(Candidate(3, Genome((8,)), 0, 0, "random"), Evaluation(3, error="lost"))
    display.generation(Generation(0, 4, 1, 0.75, 0.625, 0.625, 0.1, 2.0, Genome((4, 2))))
    display.finished(Outcome("finished"))
    return stream.getvalue()


def test_without_a_terminal_a_line_a_generation_says_where_the_search_stands() -> None:
    assert show(io.StringIO()) == (
        "generation 0: 4/4 candidates, 1 failed, best accuracy 0.7500 (4-2), mean 0.6250, 0 s left\n"
    )


def test_a_loss_is_shown_in_its_own_sign() -> None:
    display = ProgressDisplay(stream := io.StringIO())
    display.started(RunInfo("one", "0", Path(), SPACE, "neg_log_loss", {}, {}, 4, time_budget=60))
    for i, fitness in enumerate((-0.5, -0.25)):
        display.evaluated(Candidate(i, Genome((4, i + 1)), 0, 0, "random"), Evaluation(i, fitness, 0.1))
    display.generation(Generation(0, 2, 0, -0.25, -0.375, -0.375, 0.1, 2.0, Genome((4, 2))))
    assert "best log loss 0.2500 (4-2), mean 0.3750, " in stream.getvalue()


def test_a_terminal_shows_the_best_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    shown = show(Terminal())
    assert "4/4" in shown
    assert "best accuracy 0.7500 (4-2), 1 failed" in shown
    assert "0 s left" in shown


@pytest.mark.parametrize("no_color", ["1", ""])  # no-color.org: an empty text asks for nothing
def test_there_are_no_colors_where_none_are_wanted(monkeypatch: pytest.MonkeyPatch, no_color: str) -> None:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "120", "NO_COLOR": no_color}.items():
        monkeypatch.setenv(name, value)
    assert bool(re.search(r"\x1b\[[0-9;]*[34]8?[0-9;]*m", show(Terminal()))) == (no_color == "")


def test_a_narrow_terminal_cuts_the_genome_and_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    with ProgressDisplay(stream) as display:
        display.started(RunInfo("one", "0", Path(), SPACE, "balanced_accuracy", {}, {}, 1000, time_budget=60))
        genome = Genome((256, 128, 64), activation=("relu", "tanh", "gelu"))
        display.evaluated(Candidate(0, genome, 0, 0, "random"), Evaluation(0, 0.5, 0.1))
        assert display._live is not None
        display._live.refresh()
    last = stream.getvalue().replace("\x1b[2K", "\n").replace("\r", "\n").splitlines()
    line, *_ = {re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in last if "1/1000" in line}
    assert len(line.rstrip()) <= 80
    assert re.search(r"1/1000 0% 0:00:0\d .* left best balanced ", line)


def test_phases_are_lines_without_a_terminal_once_the_search_has_started() -> None:
    stream = io.StringIO()
    with ProgressDisplay(stream) as display:
        display.phase("reading the data")
        display.started(RunInfo("one", "0", Path(), SPACE, "accuracy", {}, {}, 4))
        display.phase("checking finalists", lambda: 8.2)
        display.phase("last training", lambda: math.nan)
    assert stream.getvalue() == "checking finalists, 8 s left\nlast training\n"


def test_a_phase_on_a_terminal_moves_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with ProgressDisplay(stream) as display:
        display.phase("checking finalists", lambda: 61.0)
        before = len(stream.getvalue())
        until = time.monotonic() + 10
        while "0:00:01" not in stream.getvalue() and time.monotonic() < until:
            time.sleep(0.05)
    assert "0:00:01" in stream.getvalue()[before:]
    assert "61 s left" in stream.getvalue()
