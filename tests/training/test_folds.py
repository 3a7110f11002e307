"""Folds as members of a cohort: each trains as it would alone on the rows of its fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import KFold

from nas.network import MLP
from nas.network.arrays import Array, Floats
from nas.training import Fold, Member, TrainingConfig, TrainingData, TrainingResult, train_cohort

N, K = 610, 5
"""Rows and folds: the validation rows of a fold fill no whole number of blocks."""

STRUCTURES = {"linear": (), "a layer": (9,), "two layers": (24, 12), "wide": (100, 50)}


def rows(task: str = "classes", n: int = N) -> tuple[Floats, Array]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    signal = X[:, 0] * X[:, 1] + X[:, 2]
    if task == "classes":
        return X, np.digitize(signal, [-0.7, 0.7])
    if task == "labels":
        return X, np.column_stack([signal > 0, X[:, 3] > 0]).astype(np.float32)
    return X, np.column_stack([signal, X[:, 3]]).astype(np.float32)


LOSSES = {
    "classes": ("cross_entropy", 3),
    "labels": ("binary_cross_entropy", 2),
    "values": ("squared_error", 2),
}


def folds(n: int = N, k: int = K) -> list[Fold]:
    return [Fold(*pair) for pair in KFold(k, shuffle=True, random_state=1).split(np.arange(n))]


def score(predictions: Floats, y: Array, weights: Floats | None) -> float:
    errors = (predictions.argmax(axis=1) != y) if y.ndim == 1 else np.square(predictions - y).mean(axis=1)
    return -float(np.average(errors, weights=weights))


def network(hidden: tuple[int, ...], seed: int, task: str = "classes") -> MLP:
    loss, n_outputs = LOSSES[task]
    rng = np.random.default_rng(seed)
    return MLP((6, *hidden, n_outputs), ["relu"] * len(hidden), loss, rng=rng, dtype=np.float32)


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig(**({"epochs": 5, "batch_size": 32, "patience": None} | changes))


def train_folds(networks: list[MLP], data: TrainingData, config: TrainingConfig) -> list[TrainingResult]:
    members = [
        Member(network, config, np.random.default_rng(i), fold=i % K) for i, network in enumerate(networks)
    ]
    return train_cohort(members, data, keep_states=True)


def alone(
    network: MLP, fold: Fold, config: TrainingConfig, task: str, weights: Floats, seed: int
) -> TrainingResult:
    """A solo training on all rows, with weights of 0 for those outside of the fold's training part."""
    X, y = rows(task)
    masked = np.zeros(N)
    masked[fold.train] = weights[fold.train]
    data = TrainingData(
        X,
        y,
        validation=(X[fold.validation], y[fold.validation]),
        score=score,
        sample_weight=masked,
        validation_weight=weights[fold.validation],
    )
    (result,) = train_cohort([Member(network, config, np.random.default_rng(seed))], data)
    return result


@pytest.mark.parametrize("task", LOSSES)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_fold_in_a_cohort_is_a_training_on_its_rows(structure: str, task: str) -> None:
    X, y = rows(task)
    weights = np.random.default_rng(5).uniform(0.5, 2, N)
    hidden, cuts = STRUCTURES[structure], folds()
    together = [network(hidden, i, task) for i in range(K)]
    results = train_folds(
        together, TrainingData(X, y, folds=cuts, score=score, sample_weight=weights), config()
    )
    for i, fold in enumerate(cuts):
        solo = network(hidden, i, task)
        # Of 40 rows a member has 32 of its own, on average.
        expected = alone(solo, fold, config(batch_size=40), task, weights, seed=i)
        assert results[i].best_epoch == expected.best_epoch
        np.testing.assert_allclose(results[i].validation_loss, expected.validation_loss, rtol=1e-5)
        np.testing.assert_allclose(results[i].validation_score, expected.validation_score, atol=1e-5)
        np.testing.assert_allclose(results[i].train_loss, expected.train_loss, rtol=1e-5)
        np.testing.assert_allclose(together[i].parameters, solo.parameters, atol=1e-5)


def test_folds_take_as_many_steps_as_trainings_on_their_rows_alone() -> None:
    X, y = rows()
    (fold, *_) = cuts = folds()
    folded = train_folds([network((9,), i) for i in range(K)], TrainingData(X, y, folds=cuts), config())
    data = TrainingData(X[fold.train], y[fold.train])
    (single,) = train_cohort([Member(network((9,), 0), config())], data, keep_states=True)
    for result in (*folded, single):
        assert result.last is not None
        assert result.last.steps == 5 * 16  # 488 of 610 rows, 32 a step
    # Folds that hold out most rows have batches of all rows at most; several copies of a row count once.
    few = [Fold(np.array([1, 1, 2]), np.array([0]))]
    assert TrainingData(X, y, folds=few).batch_rows(32) == N
    copies = [Fold(np.repeat(np.arange(N // 2), 4), np.arange(N // 2, N))]
    assert TrainingData(X, y, folds=copies).batch_rows(32) == 64
    assert TrainingData(X, y).batch_rows(32) == 32


def test_the_targets_of_a_fold_have_no_part_in_its_members_training() -> None:
    X, y = rows()
    cuts = folds()
    fold = cuts[2]
    spoiled = y.copy()
    spoiled[fold.validation] = (spoiled[fold.validation] + 1) % 3
    trained = []
    for targets in (y, spoiled):
        networks = [network((9,), i) for i in range(K)]
        # Without a score and patience, nothing but the training could tell.
        data = TrainingData(X, targets, folds=cuts)
        results = train_folds(networks, data, config())
        trained.append([result.train_loss for result in results])
    assert trained[0][2] == trained[1][2]
    assert all(before != after for i, (before, after) in enumerate(zip(*trained, strict=True)) if i != 2)


def test_members_of_several_structures_leave_without_a_trace() -> None:
    X, y = rows()
    data = TrainingData(X, y, folds=folds(), score=score)
    hidden = [*STRUCTURES.values()] * K
    patient = config(epochs=12)
    staying = [network(shape, i) for i, shape in enumerate(hidden)]
    train_folds(staying, data, patient)
    leaving = [network(shape, i) for i, shape in enumerate(hidden)]
    results = train_folds(leaving, data, config(epochs=12, patience=1))
    stopped = [result.stopped for result in results]
    assert "patience" in stopped
    assert "epochs" in stopped
    for i, result in enumerate(results):
        if result.stopped == "epochs":
            assert leaving[i].parameters.tobytes() == staying[i].parameters.tobytes()


def test_a_training_in_two_parts_ends_as_one() -> None:
    X, y = rows()
    data = TrainingData(X, y, folds=folds(), score=score)
    whole = [network((24, 12), i) for i in range(K)]
    train_folds(whole, data, config(epochs=6))
    parts = [network((24, 12), i) for i in range(K)]
    members = [Member(part, config(epochs=6), fold=i) for i, part in enumerate(parts)]
    first = train_cohort(members, data, stop_after=3, keep_states=True)
    again = [
        Member(part, config(epochs=6), fold=i, state=result.last)
        for i, (part, result) in enumerate(zip(parts, first, strict=True))
    ]
    train_cohort(again, data, keep_states=True)
    for one, other in zip(whole, parts, strict=True):
        assert one.parameters.tobytes() == other.parameters.tobytes()


def test_rows_of_no_fold_train_and_validate_nothing() -> None:
    X, y = rows(n=100)
    early, late = np.arange(40), np.arange(40, 60)
    cut = [Fold(early, late)]
    spoiled_X, spoiled_y = X.copy(), y.copy()
    spoiled_X[60:], spoiled_y[60:] = 1e3, 0
    results = []
    for features, targets in ((X, y), (spoiled_X, spoiled_y)):
        data = TrainingData(features, targets, folds=cut, score=score)
        (result,) = train_cohort([Member(network((9,), 0), config())], data)
        results.append((result.validation_loss, result.train_loss))
    assert results[0] == results[1]


@pytest.mark.parametrize("fold", [-1, K])
def test_a_member_of_no_fold_is_refused(fold: int) -> None:
    X, y = rows()
    with pytest.raises(ValueError, match="members: expected folds from 0 to 4, got"):
        train_cohort([Member(network((9,), 0), config(), fold=fold)], TrainingData(X, y, folds=folds()))


def test_without_validation_a_fold_leaves_out_the_same_rows() -> None:
    X, y = rows()
    last = []
    for validates in (True, False):
        networks = [network((9,), i) for i in range(K)]
        data = TrainingData(X, y, folds=folds(), score=score, validates=validates)
        results = train_folds(networks, data, config())
        assert [bool(result.validation_loss) for result in results] == [validates] * K
        states = [result.last or result.best for result in results]
        last.append([state.parameters.tobytes() for state in states if state is not None])
    assert len(last[0]) == K
    assert last[0] == last[1]
