"""The contract of trackers, and the example in its docstring."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path

import pytest

from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.space import SearchSpace
from nas.tracking import Outcome, OutcomeStatus, RunInfo, Tracker, tracker
from nas.tracking.generations import GenerationLog
from nas.tracking.progress import ProgressDisplay

SPACE = SearchSpace(depth=(1, 1), widths=(4,))


def test_the_example_of_the_docstring_runs_and_writes_new_candidates(tmp_path: Path) -> None:
    (example,) = (
        one
        for one in doctest.DocTestFinder().find(
            Tracker, "Tracker", module=tracker, globs=vars(tracker).copy()
        )
        if one.examples
    )
    runner = doctest.DocTestRunner()
    runner.run(example, clear_globs=False)
    assert runner.failures == 0
    assert runner.tries == len(example.examples) > 2
    fitness_file = example.globs["FitnessFile"]()
    run = RunInfo("one", "id", tmp_path, SPACE, "accuracy", {}, {}, 3, n_recorded=1, n_evaluated=1)
    fitness_file.started(run)
    for i, fitness in enumerate([0.5, 0.75]):
        candidate = Candidate(i, Genome((4,), "relu"), 0, 0, "random")
        fitness_file.evaluated(candidate, Evaluation(i, fitness=fitness))
    fitness_file.finished(Outcome(OutcomeStatus.FINISHED))
    assert (tmp_path / "fitness.csv").read_text() == "1,0.75\n"


@pytest.mark.parametrize("make", [GenerationLog, lambda: ProgressDisplay(sys.stderr)])
def test_the_package_trackers_meet_the_contract(make: type) -> None:
    assert isinstance(make(), Tracker)


def test_the_status_of_an_outcome_is_its_text() -> None:
    status: str = Outcome("failed").status
    assert status == OutcomeStatus.FAILED.value
    assert OutcomeStatus(status) is OutcomeStatus.FAILED
