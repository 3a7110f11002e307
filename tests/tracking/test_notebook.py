from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from nas.errors import DataError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.space import SearchSpace
from nas.tracking import Outcome, RunInfo
from nas.tracking.notebook import NotebookDisplay, notebook_output

RUN = RunInfo("one", "0", Path(), SearchSpace(depth=(1, 2), widths=(4, 8)), "accuracy", {}, {}, 4)


class Output:
    """An output of a notebook, as IPython's `display` with an id returns it."""

    def __init__(self) -> None:
        self.states: list[Any] = []

    def __call__(self, state: Any, *, display_id: bool) -> Output:
        assert display_id
        assert self.states == []  # everything later replaces it
        self.states.append(state)
        return self

    def update(self, state: Any) -> None:
        self.states.append(state)


def test_one_output_shows_the_phase_the_bar_and_the_best_and_one_line_stays() -> None:
    output = Output()
    with NotebookDisplay(output) as display:
        display.phase("reading the data")
        assert re.search(r"<progress></progress> reading the data: \d+ s", output.states[-1]._repr_html_())
        display.started(RUN)
        display.evaluated(Candidate(0, Genome((4, 4)), 0, 0, "random"), Evaluation(0, 0.75, 0.1))
        display.evaluated(Candidate(1, Genome((8,)), 0, 0, "random"), Evaluation(1, error="lost"))
        display.phase("checking finalists", lambda: 8.2)
        assert re.search(r"checking finalists: \d+ s, 8 s left", output.states[-1]._repr_html_())
        display.finished(Outcome("finished"))
    line = repr(output.states[-1])
    assert re.fullmatch(r"2 candidates in \d+ s, best accuracy 0\.7500 \(4-4\), 1 failed", line)
    assert "<progress" not in output.states[-1]._repr_html_()


def test_the_bar_moves_while_nothing_is_reported() -> None:
    output = Output()
    with NotebookDisplay(output) as display:
        display.started(RUN)
        display.evaluated(Candidate(0, Genome((4, 4)), 0, 0, "random"), Evaluation(0, 0.75, 0.1))
        until = time.monotonic() + 10
        while len(output.states) == 1 and time.monotonic() < until:
            time.sleep(0.05)
    assert (
        '<progress value="1" max="4"></progress> searching: 1/4 candidates' in output.states[1]._repr_html_()
    )


def test_nothing_stays_of_a_search_that_has_not_started() -> None:
    output = Output()
    with NotebookDisplay(output) as display:
        display.phase("reading <mine>.csv")
        assert "reading &lt;mine&gt;.csv" in output.states[-1]._repr_html_()
    assert repr(output.states[-1]) == output.states[-1]._repr_html_() == ""


def test_this_process_is_no_notebook() -> None:
    assert notebook_output() is None


def test_a_notebook_shows_the_sentence_of_an_input_that_is_wrong() -> None:
    assert DataError("target: expected y, got z")._render_traceback_() == [
        "DataError: target: expected y, got z"
    ]
