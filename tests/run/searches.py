"""Whole searches that take a second, and what they wrote, for the tests beside this file."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ray import cloudpickle

import nas
from nas.evaluation import Candidate, Evaluation
from nas.tracking.journal import Journal

QUICK: dict[str, Any] = {
    "space": "tiny",
    "n_candidates": 16,
    "epochs": 6,
    "n_workers": 0,
    "folds": 2,
    "n_finalists": 1,
    "members": 1,
    "baseline": False,
    "progress": False,
    "tracking": False,
    "report": False,
    "name": "one",
}

RACE: dict[str, Any] = {"space": "small", "epochs": 12, "n_candidates": 32}
"""With rungs of 4 and 12 epochs, some candidates go on, and on the second fold some do not."""


def search(data: Any, runs_dir: Path, **options: Any) -> nas.SearchResult:
    return nas.search(data, runs_dir=runs_dir, **(QUICK | options))


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
    "pickle of version 2": lambda one: pickle.loads(pickle.dumps(one, 2)),
    "cloudpickle": lambda one: pickle.loads(cloudpickle.dumps(one)),  # type: ignore[no-untyped-call]
    "deepcopy": copy.deepcopy,
}
"""How a result comes to another process, or into a file."""


def assert_same_result(copied: nas.SearchResult, result: nas.SearchResult, table: pd.DataFrame) -> None:
    """Everything that a person may ask of a result."""
    assert copied.record() == result.record()
    assert copied.to_dict() == result.to_dict()
    assert list(copied.history) == list(result.history)
    assert copied.front == result.front
    assert copied.test == result.test
    np.testing.assert_array_equal(copied.network.predict(table), result.network.predict(table))
    if result.selection is not None:
        assert copied.selection is not None
        winners = copied.selection.winner, result.selection.winner
        assert winners[0].fitness == winners[1].fitness
        assert winners[0].fitness.wvalues == winners[1].fitness.wvalues


def resume(run_dir: Path, **options: Any) -> nas.SearchResult:
    return nas.resume(run_dir, **({"n_workers": 0, "progress": False, "report": False} | options))


def journal_without_times(run: nas.SearchResult | Path) -> list[dict[str, Any]]:
    folder = run if isinstance(run, Path) else run.run_dir
    entries = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for entry in entries:
        del entry["crc"]
    for entry in entries[1:]:
        del entry["evaluation"]["seconds"]
    return entries


def weights(result: nas.SearchResult) -> bytes:
    return (result.model_path / "weights.safetensors").read_bytes()


def assert_same_search(one: nas.SearchResult, other: nas.SearchResult) -> None:
    """The same journal, and the same winner with the same scores, to the last bit."""
    assert journal_without_times(one) == journal_without_times(other)
    assert one.best == other.best
    assert one.selection is not None
    assert other.selection is not None
    assert one.selection.finalists == other.selection.finalists
    assert one.selection.reference == other.selection.reference
    assert one.test == other.test
    assert weights(one) == weights(other)


@contextmanager
def snapshots(to: Path, after: Collection[int]) -> Iterator[None]:
    """Copy a run's folder after so many candidates are in its journal, as if the search were killed there.

    The copy ``<to>/<n>`` is of a moment when the weights of the next candidate are written already, and
    its journal's line is torn.
    """
    evaluated = Journal.evaluated

    def copied(journal: Journal, candidate: Candidate, evaluation: Evaluation) -> None:
        if candidate.id in after:
            copy = to / str(candidate.id)
            shutil.copytree(journal._path.parent, copy)
            with (copy / "journal.jsonl").open("a") as file:
                file.write('{"candidate":{"id":')
        evaluated(journal, candidate, evaluation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "evaluated", copied)
        yield
