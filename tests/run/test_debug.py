"""One candidate of a search, trained again."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from searches import RACE, journal_without_times, search

import nas
from nas.errors import InputError, RunError
from nas.run import Reproduction

pytestmark = pytest.mark.slow  # whole searches


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    return search("wine", tmp_path_factory.mktemp("runs"), **RACE)


def close(one: Reproduction) -> bool:
    return one.repeated.fitness == pytest.approx(one.recorded.fitness, abs=0.06)


@pytest.mark.exhaustive
def test_a_candidate_without_inherited_weights_is_trained_as_before(run: nas.SearchResult) -> None:
    before = journal_without_times(run)
    for candidate, evaluation in run.history[:4]:
        assert candidate.inherits is None
        one = nas.debug(run.run_dir, candidate.id)
        assert (one.candidate, one.recorded) == (candidate, evaluation)
        assert len(one.repeated.train_losses) == len(evaluation.train_losses)
        # Alone or with others, it differs by rounding.
        assert one.repeated.train_losses[0] == pytest.approx(evaluation.train_losses[0], rel=1e-3)
        assert one.retrained == ()
    assert journal_without_times(run) == before


def test_weights_that_are_not_kept_are_trained_again(run: nas.SearchResult, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(run.run_dir, folder)
    children = [one for one, _ in run.history if one.inherits is not None]
    kept = nas.debug(folder, children[-1].id)
    shutil.rmtree(folder / "weights")
    lost = nas.debug(folder, children[-1].id)
    assert lost.retrained
    assert lost.retrained[-1] == children[-1].inherits
    assert list(lost.retrained) == sorted(lost.retrained)
    assert run.history[lost.retrained[0]][0].inherits is None
    assert close(kept)
    assert close(lost)


def test_a_failure_fails_again(tmp_path: Path) -> None:
    space = nas.SearchSpace(depth=(1, 1), widths=(8,), learning_rate=(0.01, 10.0), optimizer=("sgd",))
    result = search("diabetes", tmp_path, space=space, algorithm="random", n_candidates=2)
    failed = [one for one, evaluation in result.history if evaluation.failed]
    assert failed
    one = nas.debug(result.run_dir, failed[0].id)
    assert one.repeated.error == one.recorded.error
    assert one.repeated.error == "the training loss became nan in epoch 1"


def test_a_candidate_that_the_run_lacks_cannot_be_trained(run: nas.SearchResult) -> None:
    last = run.history[-1][0].id
    expected = f"candidate: expected one that the run has evaluated, got 999 of 0 to {last}"
    with pytest.raises(InputError, match=re.escape(expected)):
        nas.debug(run.run_dir, 999)
    with pytest.raises(InputError, match="expected one that the run has evaluated, got -1"):
        nas.debug(run.run_dir, -1)


def test_another_table_is_another_search(run: nas.SearchResult) -> None:
    with pytest.raises(RunError, match="expected the search that its journal began with, got another: data"):
        nas.debug(run.run_dir, 0, data="iris")
