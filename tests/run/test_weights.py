"""Files of trained weights: kept as long as a child may inherit them; and missing files."""

from __future__ import annotations

import errno
import math
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from searches import RACE, assert_same_search, resume, search, snapshots

from nas.errors import RunError, SearchError
from nas.evaluation import Candidate, Problem, evaluate
from nas.genome import Genome
from nas.network import State
from nas.run.weights import Weights
from nas.tracking.journal import Journal, read_journal


def some_state(epochs: int = 3, n: int = 7) -> State:
    rng = np.random.default_rng(epochs)

    def numbers() -> Any:
        return rng.normal(size=n).astype(np.float32)

    best = State(numbers(), (numbers(), numbers()), ("adam", 0.999), 14, 2, 0.3, 0.9, (0.3, 2))
    return State(numbers(), (numbers(), numbers()), ("adam", 0.999), 21, epochs, 0.5, 0.8, (0.3, 2), best)


def same(states: Sequence[State], other: State) -> bool:
    (state,) = states
    arrays, facts = state.to_arrays()
    its_arrays, its_facts = other.to_arrays()
    equal = all(array.tobytes() == its_arrays[name].tobytes() for name, array in arrays.items())
    return facts == its_facts and list(arrays) == list(its_arrays) and equal


def files(folder: Path) -> set[int]:
    found = {int(path.stem) for path in folder.glob("*.npz")}
    assert len(found) == len(list(folder.iterdir()))
    return found


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


# By themselves


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    weights = Weights(tmp_path / "weights")
    states = {7: some_state(3), 12: some_state(4, n=1000), 3: some_state(5).best}
    for number, state in states.items():
        assert state is not None
        weights.keep(number, (state,))
    for number, state in states.items():
        assert state is not None
        assert same(Weights(tmp_path / "weights").of(number), state)


def test_what_a_training_left_comes_back_as_it_was(tmp_path: Path, problem: Problem) -> None:
    (found,) = evaluate([Candidate(0, Genome((4, 3)), 1, 0, "random", epochs=5)], problem) or []
    weights = Weights(tmp_path / "weights")
    weights.keep(0, found.states)
    assert same(weights.of(0), found.states[0])


def test_a_state_without_a_score_comes_back(tmp_path: Path) -> None:
    weights = Weights(tmp_path / "weights")
    weights.keep(0, (State(np.ones(3, np.float32), (), ("sgd", 0.0), 0, 1, 0.5, math.nan, (0.5, 1)),))
    (state,) = weights.of(0)
    assert state.score is not None
    assert math.isnan(state.score)
    assert state.best is None


def test_only_weights_of_observed_candidates_that_are_not_needed_are_removed(tmp_path: Path) -> None:
    weights = Weights(tmp_path / "weights")
    for number in range(6):
        weights.keep(number, (some_state(),))
    weights.forget(4, {1, 3, 99})
    assert files(tmp_path / "weights") == {1, 3, 4, 5}
    # Another life of the search knows of those that were there.
    Weights(tmp_path / "weights").forget(6, {5})
    assert files(tmp_path / "weights") == {5}


def test_the_latest_are_in_memory_and_no_more_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.run.weights._IN_MEMORY", 3 * some_state().n_bytes)
    weights = Weights(tmp_path / "weights")
    state = some_state()
    weights.keep(0, (state,))
    state.parameters[:] = 0  # in memory that a worker takes back
    assert same(weights.of(0), some_state())
    for number in range(1, 5):
        weights.keep(number, (some_state(),))
    weights.keep(4, (some_state(epochs=9),))
    weights.forget(4, {0, 1, 3})
    for file in (tmp_path / "weights").iterdir():
        file.unlink()
    assert same(weights.of(3), some_state())
    assert same(weights.of(4), some_state(epochs=9))
    for gone in (0, 1, 2):
        with pytest.raises(RunError):
            weights.of(gone)


def test_weights_that_are_missing_may_be_removed(tmp_path: Path) -> None:
    weights = Weights(tmp_path / "weights")
    weights.keep(0, (some_state(),))
    (tmp_path / "weights" / "0.npz").unlink()
    weights.forget(1, set())
    assert not files(tmp_path / "weights")


def test_what_else_is_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mine.npz").touch()
    weights = Weights(tmp_path / "weights")
    weights.forget(100, set())
    assert (tmp_path / "weights" / "mine.npz").exists()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "nonsense": lambda content: b"nonsense",
    "half": lambda content: content[: len(content) // 2],
    "other numbers": lambda content: content[:400] + bytes(40) + content[440:],
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_weights_are_refused_in_a_sentence(tmp_path: Path, damage: str) -> None:
    Weights(tmp_path).keep(5, (some_state(),))
    file = tmp_path / "5.npz"
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    with pytest.raises(RunError, match=r"5\.npz: expected trained weights, got a damaged file") as error:
        Weights(tmp_path).of(5)
    assert "\n" not in str(error.value)


def test_missing_weights_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"5\.npz: expected trained weights, got: No such file") as error:
        Weights(tmp_path).of(5)
    assert "\n" not in str(error.value)


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    weights = Weights(tmp_path / "weights")
    weights.keep(0, (some_state(),))
    with full_disk(2000), pytest.raises(SearchError) as error:
        weights.keep(1, (some_state(n=1000),))
    assert f"to go on from there: nas resume {tmp_path}" in str(error.value)
    assert "expected room to write, got: File too large" in str(error.value)
    assert files(tmp_path / "weights") == {0}
    assert same(weights.of(0), some_state())


# In a search


@pytest.mark.exhaustive_except("auto")
@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["auto", "plus", "aging"])
def test_a_long_search_keeps_only_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    most = 0
    evaluated = Journal.evaluated

    def counted(journal: Journal, *pair: Any) -> None:
        nonlocal most
        most = max(most, len(files(tmp_path / "one" / "weights")))
        evaluated(journal, *pair)

    monkeypatch.setattr(Journal, "evaluated", counted)
    options = {"space": "small", "algorithm": algorithm, "halving": True, "surrogate": "none"}
    result = search("iris", tmp_path, n_candidates=150, epochs=12, population_size=8, **options)
    # The twenty best, eight who may have children, at most a dozen and a third who wait for more epochs
    # and those in four batches or cohorts.
    assert most < 80
    assert len(result.history) > 2 * most
    assert {result.best.id} < files(result.run_dir / "weights")


@pytest.mark.exhaustive
def test_weights_are_kept_for_as_long_as_a_child_may_inherit_them(tmp_path: Path) -> None:
    # With few places among the best, and few parents: whoever is asked for is there.
    options = RACE | {"algorithm": "aging", "population_size": 4, "n_candidates": 100, "folds": 1}
    result = search("wine", tmp_path, **options)
    children = [one for one, _ in result.history if one.inherits is not None]
    assert len(children) > 60
    assert not result.n_failures


@pytest.mark.exhaustive_except("True")
@pytest.mark.slow
@pytest.mark.parametrize("refit", [True, False])
def test_any_winner_has_weights(tmp_path: Path, refit: bool) -> None:
    # Regression: among many finalists was one whose weights had been forgotten.
    options = RACE | {"algorithm": "aging", "population_size": 4, "epochs": 4, "n_candidates": 60}
    result = search("wine", tmp_path, n_finalists=50, refit=refit, **options)
    assert result.selection is not None
    assert 20 <= len(result.selection.finalists) <= 50


@pytest.mark.exhaustive
def test_a_larger_budget_finds_the_parents_that_it_needs(tmp_path: Path) -> None:
    # Regression: batches that the first budget held nothing of were not asked for, and whom they
    # inherit from was forgotten.
    options = RACE | {"algorithm": "aging", "population_size": 4, "epochs": 4, "batches_in_flight": 4}
    long = search("iris", tmp_path / "long", **options | {"n_candidates": 130})
    short = search("iris", tmp_path / "short", **options | {"n_candidates": 110})
    assert_same_search(resume(short.run_dir, n_candidates=130), long)


@pytest.mark.exhaustive_except("missing")
@pytest.mark.slow
@pytest.mark.parametrize("damage", ["missing", *DAMAGE])
def test_weights_that_a_resumed_search_needs_and_has_not(tmp_path: Path, damage: str) -> None:
    with snapshots(tmp_path / "cut", (20,)):
        whole = search("wine", tmp_path / "whole", **RACE)
    folder = tmp_path / "cut" / "20"
    parents = {one.inherits for one, _ in whole.history[20:24]} - {None}
    assert parents
    for parent in parents:
        file = folder / "weights" / f"{parent}.npz"
        if damage == "missing":
            file.unlink()
        else:
            file.write_bytes(DAMAGE[damage](file.read_bytes()))
    before = (folder / "journal.jsonl").read_bytes()
    with pytest.raises(RunError, match=r"weights/\d+\.npz: expected trained weights, got") as error:
        resume(folder)
    assert "\n" not in str(error.value)
    assert before.startswith((folder / "journal.jsonl").read_bytes())


@pytest.mark.exhaustive
def test_a_full_disk_ends_a_search_that_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search("wine", tmp_path / "whole", **RACE)
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if path.stem == "9":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SearchError) as error:
        search("wine", tmp_path / "cut", **RACE)
    monkeypatch.undo()
    folder = tmp_path / "cut" / "one"
    assert str(error.value).endswith(
        "9.npz: expected room to write, got: No space left on device; what is written is complete; "
        f"to go on from there: nas resume {folder}"
    )
    assert len(read_journal(folder / "journal.jsonl").evaluations) == 9
    assert 9 not in files(folder / "weights")
    assert_same_search(resume(folder), whole)
