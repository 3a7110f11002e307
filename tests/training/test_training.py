from __future__ import annotations

import doctest
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from trainings import train

import nas.network.mlp
import nas.training.loop
from nas.network import MLP, OPTIMIZERS, SCHEDULES
from nas.network.arrays import Array, Floats
from nas.network.schedules import rate_factor
from nas.training import TrainingConfig, TrainingResult, TrainingStop
from nas.training.passes import Workspace

FULL_BATCH = TrainingConfig(epochs=3, batch_size=1000, optimizer="sgd", learning_rate=0.1, patience=None)


def some_network(
    loss: str = "cross_entropy",
    sizes: tuple[int, ...] = (3, 6, 2),
    activation: str = "tanh",
    seed: int = 0,
    dtype: type[np.floating[Any]] = np.float64,
) -> MLP:
    rng = np.random.default_rng(seed)
    return MLP(sizes, [activation] * (len(sizes) - 2), loss, rng=rng, dtype=dtype)


def some_rows(n_rows: int = 40, seed: int = 1) -> tuple[Floats, Array]:
    """Two noisy classes."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3))
    return X, (X[:, 0] * X[:, 1] + rng.normal(scale=0.3, size=n_rows) > 0).astype(np.int64)


def validation_loss(network: MLP, X: Floats, y: Array) -> float:
    p = np.ascontiguousarray(network.predict(X).T)
    return float(network.loss.per_row(p, y if y.ndim == 1 else y.T).mean(dtype=np.float64))


class Recorder:
    """Takes down the first input of every row that is trained on, and the dropout masks."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.masks: list[bytes] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        original = Workspace.backpropagate

        def heard(space: Workspace, *arguments: Any) -> Floats:
            self.batches.append(space.inputs[:, 0].tolist())
            self.masks.append(b"".join(mask.tobytes() for mask in space.masks.values()))
            return original(space, *arguments)

        with mock.patch.object(Workspace, "backpropagate", heard):
            yield


def recorded(
    n_rows: int, config: TrainingConfig, widths: tuple[int, ...] = (4,), seed: int = 0, batch_seed: int = 0
) -> Recorder:
    """What a network of these widths sees of rows that are numbered from 0."""
    recorder, rng = Recorder(), np.random.default_rng(seed)
    network = MLP((1, *widths, 1), ["relu"] * len(widths), "squared_error", rng=rng)
    X = np.arange(n_rows, dtype=np.float32)[:, np.newaxis]
    with recorder.listening():
        train(network, X, np.zeros((n_rows, 1)), config, batch_seed=batch_seed)
    return recorder


# By hand


@pytest.mark.parametrize("module", [nas.network.mlp, nas.training.loop])
def test_examples_in_docstrings_are_right(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_one_step_of_gradient_descent_by_hand() -> None:
    # p = 2 x + 1; residuals of (1, 5) and (2, 3) are -2 and 2, so that dL/dw = (-2 + 4) / 2 = 1 and
    # dL/db = 0, and the loss is (2 + 2) / 2.
    network = MLP((1, 1), [], "squared_error", dtype=np.float64)
    network.parameters[...] = [2, 1]
    X, y = np.array([[1.0], [2.0]]), np.array([[5.0], [3.0]])
    result = train(network, X, y, replace(FULL_BATCH, epochs=1))
    np.testing.assert_allclose(network.parameters, [1.9, 1], rtol=1e-14)
    assert result == TrainingResult(TrainingStop.EPOCHS, 1, (2.0,))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_the_learning_rate_follows_the_schedule(schedule: str, warmup: float) -> None:
    # Inputs of 0 and a target out of reach: Huber's slope is -1 throughout, and each step moves the
    # bias by its own rate. 7 rows in batches of 3 are 3 steps an epoch.
    network = MLP((1, 1), [], "huber", dtype=np.float64)
    config = TrainingConfig(
        epochs=8, batch_size=3, optimizer="sgd", learning_rate=0.5, schedule=schedule, warmup=warmup
    )
    train(network, np.zeros((7, 1)), np.full((7, 1), 1e6), config, stop_after=5)
    expected = 0.5 * sum(rate_factor(schedule, step, 8 * 3, warmup) for step in range(5 * 3))
    assert network.biases[0][0] == pytest.approx(expected, rel=1e-12)  # rounding of 15 sums


def test_the_training_loss_is_the_mean_over_rows_before_each_step() -> None:
    network, (X, y) = some_network(), some_rows(7)
    before, _ = network.loss_and_gradient(X, y)
    # A rate that moves nothing; the last of the batches of 3 is shorter, and counts as much a row.
    config = TrainingConfig(epochs=1, batch_size=3, optimizer="sgd", learning_rate=1e-12)
    assert train(network, X, y, config).train_loss == pytest.approx([before], rel=1e-9)


# Steps


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_full_batch_epoch_is_one_step_of_the_optimizer(optimizer: str) -> None:
    trained, stepped, (X, y) = some_network(), some_network(), some_rows()
    buffer = np.empty_like(stepped.parameters)
    steps = OPTIMIZERS[optimizer](stepped.parameters, buffer, 0.8)
    losses = []
    for _ in range(5):
        loss, buffer[...] = stepped.loss_and_gradient(X, y)
        steps.step(0.01)
        losses.append(loss)
    config = replace(FULL_BATCH, epochs=5, optimizer=optimizer, learning_rate=0.01, momentum=0.8, beta2=0.8)
    result = train(trained, X, y, config)
    # Rows are summed in another order. Adaptive steps divide gradients by their own size, which makes
    # more of that, hence not 1e-14.
    np.testing.assert_allclose(trained.parameters, stepped.parameters, rtol=0, atol=1e-9)
    assert result.train_loss == pytest.approx(losses, rel=1e-9)


@pytest.mark.parametrize("optimizer", [name for name, kind in OPTIMIZERS.items() if not kind.decoupled_decay])
def test_weight_decay_is_a_part_of_the_gradient(optimizer: str) -> None:
    trained, stepped, (X, y) = some_network(), some_network(), some_rows()
    buffer = np.empty_like(stepped.parameters)
    steps = OPTIMIZERS[optimizer](stepped.parameters, buffer)
    for _ in range(5):
        _, buffer[...] = stepped.loss_and_gradient(X, y, weight_decay=0.5)
        steps.step(0.01)
    config = replace(FULL_BATCH, epochs=5, optimizer=optimizer, learning_rate=0.01, weight_decay=0.5)
    train(trained, X, y, config)
    # As above: another order of sums, and adaptive steps.
    np.testing.assert_allclose(trained.parameters, stepped.parameters, rtol=0, atol=1e-9)


def test_adamw_shrinks_the_weights_and_leaves_the_gradient_alone() -> None:
    network, adam, (X, y) = some_network(), some_network(), some_rows()
    start, config = network.parameters.copy(), replace(FULL_BATCH, epochs=1, learning_rate=0.01)
    train(adam, X, y, replace(config, optimizer="adam"))
    train(network, X, y, replace(config, optimizer="adamw", weight_decay=0.5))
    weights = slice(network.n_weights)
    expected = adam.parameters - 0.01 * 0.5 * np.where(np.arange(start.size) < network.n_weights, start, 0)
    np.testing.assert_allclose(network.parameters, expected, rtol=0, atol=1e-15)  # rounding
    # Not so for Adam, whose step of a decayed gradient is no longer than that of another.
    coupled = some_network()
    train(coupled, X, y, replace(config, optimizer="adam", weight_decay=0.5))
    assert np.abs(coupled.parameters - expected)[weights].max() > 1e-3


def test_decoupled_decay_follows_the_schedule() -> None:
    # No gradient by the weight, as inputs are 0: what is left of it is the product of the shrinkings.
    network = MLP((1, 1), [], "huber", dtype=np.float64)
    network.weights[0][...] = 1
    config = TrainingConfig(
        epochs=4, batch_size=4, optimizer="adamw", learning_rate=0.1, weight_decay=0.5, schedule="cosine"
    )
    train(network, np.zeros((4, 1)), np.ones((4, 1)), config)
    expected = math.prod(1 - 0.1 * 0.5 * rate_factor("cosine", step, 4, 0.0) for step in range(4))
    assert network.weights[0][0, 0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weight_decay_leaves_biases_alone(optimizer: str) -> None:
    # All inputs are 0 and there is one layer: the gradient by the weights is 0, and that by the biases
    # does not depend on them. Without decay, the weights stay what they are.
    def trained(weight_decay: float) -> MLP:
        network = some_network("huber", (3, 1), seed=5)
        config = replace(FULL_BATCH, optimizer=optimizer, learning_rate=0.01, weight_decay=weight_decay)
        train(network, np.zeros((6, 3)), np.full((6, 1), 9.0), config)
        return network

    plain, decayed = trained(0.0), trained(0.5)
    np.testing.assert_array_equal(plain.biases[0], decayed.biases[0])
    np.testing.assert_array_equal(plain.weights[0], some_network("huber", (3, 1), seed=5).weights[0])
    assert (np.abs(decayed.weights[0]) < np.abs(plain.weights[0])).all()


@given(clip_norm=st.floats(1e-3, 10), scale=st.floats(0.1, 1e3), weight_decay=st.sampled_from([0.0, 0.1]))
@settings(max_examples=50, deadline=None)
def test_clip_norm_bounds_the_gradient_and_keeps_its_direction(
    clip_norm: float, scale: float, weight_decay: float
) -> None:
    network = some_network("squared_error", (3, 4, 1))
    X = np.random.default_rng(0).normal(size=(8, 3))
    y = scale * X[:, :1]
    _, gradient = network.loss_and_gradient(X, y, weight_decay=weight_decay)
    before, norm = network.parameters.copy(), float(np.linalg.norm(gradient))
    config = replace(FULL_BATCH, epochs=1, learning_rate=1.0, clip_norm=clip_norm, weight_decay=weight_decay)
    train(network, X, y, config)
    step = before - network.parameters
    assert np.linalg.norm(step) <= clip_norm * (1 + 1e-9)
    # The step is a difference of numbers around 1: it is known to 1e-15, whatever its own size.
    np.testing.assert_allclose(step, gradient * min(1, clip_norm / norm), rtol=1e-9, atol=1e-14 * scale)


# Weights of rows


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error", "huber"])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_whole_weights_are_copies_of_rows(loss: str, data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 3), min_size=2, max_size=12).filter(any))
    X, classes = some_rows(len(counts))
    y = classes if loss == "cross_entropy" else np.stack([classes, 1 - classes], axis=1).astype(float)
    weighted, copied = some_network(loss), some_network(loss)
    first = train(weighted, X, y, FULL_BATCH, sample_weight=np.array(counts, float))
    second = train(copied, np.repeat(X, counts, axis=0), np.repeat(y, counts, axis=0), FULL_BATCH)
    # Sums of other lengths round differently; three steps of plain descent add nothing to that.
    np.testing.assert_allclose(weighted.parameters, copied.parameters, rtol=0, atol=1e-12)
    assert first.train_loss == pytest.approx(second.train_loss, rel=1e-12)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error", "huber"])
def test_whole_weights_of_validation_rows_are_copies_of_them(loss: str) -> None:
    X, classes = some_rows(12)
    y = classes if loss == "cross_entropy" else np.stack([classes, 1 - classes], axis=1).astype(float)
    counts = np.array([0, 1, 2, 3] * 3)
    copies = (np.repeat(X, counts, axis=0), np.repeat(y, counts, axis=0))
    weights = counts.astype(float)
    first = train(some_network(loss), X, y, FULL_BATCH, validation=(X, y), validation_weight=weights)
    second = train(some_network(loss), X, y, FULL_BATCH, validation=copies)
    plain = train(some_network(loss), X, y, FULL_BATCH, validation=(X, y))
    assert first.validation_loss == pytest.approx(second.validation_loss, rel=1e-12)
    assert first.validation_loss != pytest.approx(plain.validation_loss, rel=1e-3)


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_rows_of_no_weight_have_no_effect(batch_size: int) -> None:
    X, y = some_rows()
    weights = np.where(np.arange(len(X)) % 3 == 0, 0.0, 1.5)
    other_X, other_y = X.copy(), y.copy()
    other_X[weights == 0] += 3
    other_y[weights == 0] = 1 - other_y[weights == 0]
    config = replace(FULL_BATCH, batch_size=batch_size)
    one, other = some_network(), some_network()
    first = train(one, X, y, config, sample_weight=weights)
    second = train(other, other_X, other_y, config, sample_weight=weights)
    # To the last bit: what they add to each sum is 0.
    np.testing.assert_array_equal(one.parameters, other.parameters)
    assert first == second


@given(factor=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_only_the_proportions_of_weights_count(factor: float) -> None:
    X, y = some_rows()
    weights = np.random.default_rng(2).uniform(0.1, 2, size=len(X))
    one, other = some_network(), some_network()
    train(one, X, y, FULL_BATCH, sample_weight=weights)
    train(other, X, y, FULL_BATCH, sample_weight=factor * weights)
    # Weights are scaled to 1 on average, up to rounding.
    np.testing.assert_allclose(one.parameters, other.parameters, rtol=0, atol=1e-13)


def test_weights_too_large_to_be_added_up_still_weigh() -> None:
    # Regression: their mean was infinite, and all of them became 0.
    (X, y), one, other = some_rows(), some_network(), some_network()
    weights = np.linspace(0.5, 1, len(X))
    train(one, X, y, FULL_BATCH, sample_weight=1e308 * weights)
    train(other, X, y, FULL_BATCH, sample_weight=weights)
    np.testing.assert_allclose(one.parameters, other.parameters, rtol=0, atol=1e-13)


def test_a_class_of_no_weight_is_not_learned() -> None:
    network, (X, y) = some_network(), some_rows()
    train(network, X, y, replace(FULL_BATCH, epochs=200), sample_weight=(y == 1).astype(float))
    assert (network.predict(X).argmax(axis=1) == 1).all()


# The order of batches


def test_an_epoch_sees_every_row_once_in_batches_of_the_size_asked_for() -> None:
    seen = recorded(10, TrainingConfig(epochs=3, batch_size=4))
    assert [len(batch) for batch in seen.batches] == [4, 4, 2] * 3
    epochs = [list(chain.from_iterable(seen.batches[i : i + 3])) for i in (0, 3, 6)]
    assert [sorted(rows) for rows in epochs] == [list(range(10))] * 3
    assert len({tuple(rows) for rows in epochs}) == 3


def test_networks_of_different_shape_and_training_see_the_same_batches() -> None:
    config = TrainingConfig(epochs=3, batch_size=4, learning_rate=1e-4)
    one = recorded(10, config, (4,), seed=0)
    other = recorded(
        10, replace(config, optimizer="sgd", dropout=0.3, schedule="cosine", weight_decay=0.1), (7, 2), seed=9
    )
    assert one.batches == other.batches


def test_the_order_of_an_epoch_does_not_depend_on_how_many_there_are() -> None:
    short = recorded(10, TrainingConfig(epochs=2, batch_size=4))
    long = recorded(10, TrainingConfig(epochs=5, batch_size=4))
    assert long.batches[:6] == short.batches


def test_another_batch_seed_gives_another_order() -> None:
    config = TrainingConfig(epochs=1, batch_size=4)
    orders = {tuple(chain.from_iterable(recorded(10, config, batch_seed=s).batches)) for s in range(5)}
    assert len(orders) == 5


def test_every_step_draws_its_own_dropout_masks() -> None:
    seen = recorded(8, TrainingConfig(epochs=4, batch_size=4, dropout=0.5), (20,))
    assert len(set(seen.masks)) == len(seen.masks) == 8


def test_without_dropout_there_are_no_masks() -> None:
    assert set(recorded(8, TrainingConfig(epochs=1), (20,)).masks) == {b""}


# The same seed, the same network


def trained_bytes(
    seed: int = 3, batch_seed: int = 0, dropout: float | tuple[float, ...] = 0.4, **options: Any
) -> bytes:
    network, (X, y) = some_network(dtype=np.float32, sizes=(3, 16, 16, 2)), some_rows()
    config = TrainingConfig(epochs=5, batch_size=16, dropout=dropout, weight_decay=0.01, clip_norm=1.0)
    train(network, X, y, config, rng=np.random.default_rng(seed), batch_seed=batch_seed, **options)
    return network.parameters.tobytes()


def test_the_same_seeds_give_the_same_network_to_the_last_bit() -> None:
    assert trained_bytes() == trained_bytes()


def test_each_seed_decides_what_it_is_for() -> None:
    assert trained_bytes(seed=4) != trained_bytes()
    assert trained_bytes(batch_seed=1) != trained_bytes()
    assert trained_bytes(seed=4, dropout=0.0) == trained_bytes(dropout=0.0)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_one_dropout_is_that_of_every_layer_to_the_last_bit(dropout: float) -> None:
    assert trained_bytes(dropout=(dropout, dropout)) == trained_bytes(dropout=dropout)
    assert trained_bytes(dropout=(dropout, 0.3)) != trained_bytes(dropout=dropout)


def test_watching_does_not_change_the_training() -> None:
    assert trained_bytes(should_stop=lambda: False) == trained_bytes()
    (X, y), config = some_rows(), TrainingConfig(epochs=5, dropout=0.4)
    alone = train(some_network(), X, y, config)
    watched = train(
        some_network(), X, y, config, validation=some_rows(seed=8), score=lambda p, y, weights: 0.0
    )
    assert watched.train_loss == alone.train_loss


def test_global_random_state_is_neither_read_nor_changed() -> None:
    kept = np.random.get_state()  # noqa: NPY002 - it is the global state that is at issue
    try:
        results = []
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            before = repr(np.random.get_state())  # noqa: NPY002
            results.append(trained_bytes())
            assert repr(np.random.get_state()) == before  # noqa: NPY002
        assert results[0] == results[1]
    finally:
        np.random.set_state(kept)  # noqa: NPY002


# When training stops


def test_the_best_weights_are_restored() -> None:
    network, (X, y), held_out = some_network(sizes=(3, 32, 2)), some_rows(30), some_rows(30, seed=2)
    config = TrainingConfig(epochs=60, batch_size=5, learning_rate=0.05, patience=None)
    result = train(network, X, y, config, validation=held_out)
    assert result.stopped == "epochs"
    assert 0 < result.best_epoch < 60  # it overfits, or this would show nothing
    # Exactly: these are the very weights.
    assert validation_loss(network, *held_out) == min(result.validation_loss)
    assert result.validation_loss[result.best_epoch - 1] == min(result.validation_loss)


def test_the_first_of_equally_good_epochs_is_best() -> None:
    # A learning rate too small for float32 changes nothing, and each epoch is as good as the first.
    network, (X, y) = some_network(dtype=np.float32), some_rows()
    config = TrainingConfig(epochs=4, optimizer="sgd", learning_rate=1e-12)
    assert train(network, X, y, config, validation=(X, y)).best_epoch == 1


@pytest.mark.parametrize("patience", [1, 4])
def test_patience_ends_training_that_many_epochs_after_the_best(patience: int) -> None:
    network, (X, y), held_out = some_network(sizes=(3, 32, 2)), some_rows(30), some_rows(30, seed=2)
    config = TrainingConfig(epochs=500, batch_size=5, learning_rate=0.05, patience=patience)
    result = train(network, X, y, config, validation=held_out)
    assert result.stopped == "patience"
    assert len(result.train_loss) == len(result.validation_loss) == result.best_epoch + patience < 500
    assert validation_loss(network, *held_out) == min(result.validation_loss)


def test_patience_means_nothing_without_validation_rows() -> None:
    network, (X, y) = some_network(), some_rows()
    config = replace(FULL_BATCH, epochs=8, learning_rate=1e-12, patience=1)
    result = train(network, X, y, config)
    assert (result.stopped, result.best_epoch, len(result.train_loss)) == ("epochs", 8, 8)
    assert result.validation_loss == result.validation_score == ()


def test_scores_are_recorded_after_every_epoch() -> None:
    def accuracy(p: Floats, y: Array, weights: Floats | None = None) -> float:
        return float(accuracy_score(y, p.argmax(axis=1)))

    network, (X, y), held_out = some_network(), some_rows(), some_rows(30, seed=2)
    result = train(network, X, y, TrainingConfig(epochs=6), validation=held_out, score=accuracy)
    assert len(result.validation_score) == len(result.validation_loss) == 6
    assert (
        accuracy(network.predict(held_out[0]), held_out[1]) == result.validation_score[result.best_epoch - 1]
    )


def scores(*values: float) -> Callable[..., float]:
    """A score that is told beforehand, epoch by epoch."""
    left = iter(values)
    return lambda p, y, weights: next(left)


def falling(epochs: int, **changes: Any) -> TrainingConfig:
    """Settings with which the loss falls in each of so many epochs."""
    return replace(FULL_BATCH, epochs=epochs, learning_rate=0.01, **changes)


@pytest.mark.parametrize(
    ("told", "best"),
    [
        ((0.1, 0.5, 0.3, 0.4), 2),
        # Equal scores: the lower loss; a score that is no number is less than any other.
        ((0.5, 0.3, 0.5, 0.4), 3),
        ((math.nan, -5.0, math.nan, -6.0), 2),
        ((math.nan, math.nan, math.nan, math.nan), 4),
    ],
)
def test_the_best_epoch_has_the_best_score_and_then_the_lowest_loss(
    told: tuple[float, ...], best: int
) -> None:
    network, (X, y) = some_network(), some_rows()
    result = train(network, X, y, falling(4), validation=(X, y), score=scores(*told), keep_states=True)
    assert list(result.validation_loss) == sorted(result.validation_loss, reverse=True)
    assert result.best_epoch == best
    assert result.best is not None
    np.testing.assert_array_equal(result.best.parameters, network.parameters)
    assert result.best.loss == result.validation_loss[best - 1]
    np.testing.assert_equal(result.best.score, told[best - 1])
    assert validation_loss(network, X, y) == pytest.approx(result.validation_loss[best - 1], rel=1e-12)


def test_patience_counts_since_score_or_loss_was_best() -> None:
    # The loss falls throughout: that the score does not rise any more is no reason to stop.
    network, (X, y) = some_network(), some_rows()
    told = scores(0.9, *[0.5] * 9)
    result = train(network, X, y, falling(10, patience=2), validation=(X, y), score=told)
    assert (result.stopped, result.best_epoch, len(result.train_loss)) == ("epochs", 1, 10)
    # And a score that rises is enough where the loss does not move.
    still = replace(FULL_BATCH, epochs=10, learning_rate=1e-12, patience=2)
    told = scores(0.1, 0.2, 0.3, 0.3, 0.3, 0.3)
    result = train(some_network(dtype=np.float32), X, y, still, validation=(X, y), score=told)
    assert (result.stopped, result.best_epoch, len(result.train_loss)) == ("patience", 3, 5)


def test_stop_after_is_the_beginning_of_the_whole_training() -> None:
    X, y = some_rows()
    config = TrainingConfig(epochs=9, batch_size=8, schedule="cosine", warmup=0.2, dropout=0.2)
    whole = train(some_network(), X, y, config)
    for epochs in (1, 4, 9, 30):
        part = train(some_network(), X, y, config, stop_after=epochs)
        assert part.train_loss == whole.train_loss[:epochs]
        assert part.stopped == "epochs"


def test_a_time_limit_ends_training_inside_an_epoch() -> None:
    # An epoch of 300,000 steps takes more than ten seconds; 50 ms leave time for a thousand or two.
    network, recorder = MLP((3, 4, 2), ["relu"], "cross_entropy", rng=np.random.default_rng(0)), Recorder()
    X, y = np.zeros((300_000, 3), np.float32), np.zeros(300_000, np.int64)
    start = time.perf_counter()
    with recorder.listening():
        result = train(network, X, y, TrainingConfig(epochs=1, batch_size=1, time_limit=0.05))
    assert time.perf_counter() - start >= 0.05
    assert result == TrainingResult(TrainingStop.TIME, 0, ())
    assert 0 < len(recorder.batches) < 300_000


def test_no_time_is_time_for_one_batch() -> None:
    network, recorder = MLP((3, 4, 2), ["relu"], "cross_entropy", rng=np.random.default_rng(0)), Recorder()
    X, y = some_rows()
    with recorder.listening():
        result = train(network, X, y, TrainingConfig(batch_size=4, time_limit=0))
    assert result.stopped == "time"
    assert [len(batch) for batch in recorder.batches] == [4]


def stopper(batches: int) -> Callable[[], bool]:
    """Says to stop when it is asked for the `batches`-th time."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked >= batches

    return should_stop


@pytest.mark.parametrize(("batches", "epochs"), [(1, 0), (4, 0), (6, 1), (14, 2)])
def test_should_stop_is_asked_after_every_batch(batches: int, epochs: int) -> None:
    network, recorder = MLP((3, 4, 2), ["relu"], "cross_entropy", rng=np.random.default_rng(0)), Recorder()
    X, y = some_rows(20)  # five batches of 4
    with recorder.listening():
        result = train(network, X, y, TrainingConfig(batch_size=4), should_stop=stopper(batches))
    assert (result.stopped, len(result.train_loss)) == ("interrupted", epochs)
    assert len(recorder.batches) == batches


def test_an_interrupted_network_has_its_best_weights() -> None:
    network, (X, y), held_out = some_network(), some_rows(20), some_rows(20, seed=2)
    config = TrainingConfig(batch_size=4)
    result = train(network, X, y, config, validation=held_out, should_stop=stopper(33))
    assert result.stopped == "interrupted"
    assert result.best_epoch > 0
    assert validation_loss(network, *held_out) == min(result.validation_loss)


def test_a_network_stopped_in_its_first_epoch_has_its_initial_weights() -> None:
    network, (X, y) = some_network(), some_rows(20)
    before = network.parameters.copy()
    result = train(network, X, y, TrainingConfig(batch_size=4, time_limit=0), validation=(X, y))
    assert result == TrainingResult(TrainingStop.TIME, 0, ())
    np.testing.assert_array_equal(network.parameters, before)


# Divergence


def regression(depth: int, seed: int = 0) -> tuple[MLP, Floats, Floats]:
    X = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
    network = some_network("squared_error", (2, *[16] * depth, 1), "relu", seed, np.float32)
    return network, X, X.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_divergence_is_reported_with_its_epoch_and_does_not_raise(optimizer: str) -> None:
    network, X, y = regression(depth=6)
    config = TrainingConfig(
        epochs=200, batch_size=8, optimizer=optimizer, learning_rate=1000, momentum=0.99, patience=None
    )
    before = network.parameters.copy()
    result = train(network, X, y, config, validation=(X, y))
    assert result.stopped == "diverged"
    assert result.error is not None
    assert result.error.endswith(f"in epoch {len(result.train_loss) + 1}")
    assert np.isfinite(result.train_loss).all()
    assert np.isfinite(result.validation_loss).all()
    # What is left is the best network that there was, if only the initial one.
    assert np.isfinite(network.parameters).all()
    assert result.best_epoch > 0 or (network.parameters == before).all()


def test_a_validation_loss_that_overflows_is_divergence() -> None:
    network, X, y = regression(depth=1)
    result = train(network, X, y, TrainingConfig(epochs=3), validation=(np.float32(1e30) * X, y))
    assert result == TrainingResult(
        TrainingStop.DIVERGED, 0, (), error="the validation loss became inf in epoch 1"
    )


def test_rows_too_large_for_the_networks_type_are_divergence() -> None:
    network, X, y = regression(depth=1)
    result = train(network, X.astype(np.float64) * 1e300, y, TrainingConfig(epochs=3))
    assert (result.stopped, result.best_epoch, result.train_loss) == ("diverged", 0, ())


def test_a_last_step_that_overflows_is_divergence() -> None:
    # Regression: without validation rows no loss follows the last step, and a training that ended there
    # was reported as a good one. Here the loss is 1e18² / 2, which float32 holds, as it does the
    # gradient, -1e18 · 1e20; but 1000 times that is beyond its 3e38.
    network = MLP((1, 1), [], "squared_error")
    X, y = np.full((1, 1), 1e20, np.float32), np.full((1, 1), 1e18, np.float32)
    result = train(network, X, y, replace(FULL_BATCH, epochs=1, learning_rate=1000))
    assert result == TrainingResult(
        TrainingStop.DIVERGED, 0, (), error="the weights became infinite or NaN in epoch 1"
    )


# scikit-learn


@pytest.mark.parametrize("activation", ["tanh", "relu", "logistic"])
@pytest.mark.parametrize("problem", ["classes", "labels", "values"])
def test_plain_descent_follows_scikit_learns(activation: str, problem: str) -> None:
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(50, 4)), rng.normal(scale=0.3, size=(50, 3))
    scores = X @ rng.normal(size=(4, 3)) + noise
    loss, y, kind = {
        "classes": ("cross_entropy", scores.argmax(axis=1), MLPClassifier),
        "labels": ("binary_cross_entropy", (scores > 0).astype(int), MLPClassifier),
        "values": ("squared_error", scores, MLPRegressor),
    }[problem]
    theirs: Any = kind(
        hidden_layer_sizes=(7, 5), activation=activation, solver="sgd", momentum=0, alpha=0,
        batch_size=50, learning_rate_init=0.1, random_state=0,
    )  # fmt: skip
    theirs.partial_fit(X, y, **({} if problem == "values" else {"classes": np.arange(3)}))
    ours = some_network(loss, (4, 7, 5, 3), "sigmoid" if activation == "logistic" else activation)
    for mine, their in zip([*ours.weights, *ours.biases], [*theirs.coefs_, *theirs.intercepts_], strict=True):
        mine[...] = their
    losses = []
    for _ in range(30):
        theirs.partial_fit(X, y)
        # Its squared error is a mean over the 3 outputs as well, where ours, and both gradients, sum.
        losses.append(theirs.loss_ * (3 if problem == "values" else 1))
    result = train(ours, X, y, replace(FULL_BATCH, epochs=30))
    # Sums in another order, over 30 steps.
    np.testing.assert_allclose(result.train_loss, losses, rtol=1e-9)
    for mine, their in zip([*ours.weights, *ours.biases], [*theirs.coefs_, *theirs.intercepts_], strict=True):
        np.testing.assert_allclose(mine, their, rtol=0, atol=1e-10)
    predicted = theirs.predict(X) if problem == "values" else theirs.predict_proba(X)
    np.testing.assert_allclose(ours.predict(X), predicted, rtol=0, atol=1e-10)


# End to end


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_digits_are_learned(dropout: float) -> None:
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    X, y, held_out = (X[order] / 16).astype(np.float32), y[order], slice(1400, None)
    network = some_network(sizes=(64, 48, 10), activation="relu", dtype=np.float32)
    config = TrainingConfig(epochs=20, batch_size=32, learning_rate=0.005, dropout=dropout, patience=5)
    train(network, X[:1400], y[:1400], config, validation=(X[held_out], y[held_out]))
    assert accuracy_score(y[held_out], network.predict(X[held_out]).argmax(axis=1)) >= 0.95


def test_a_regression_is_learned() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(400, 2))
    y = np.sin(2 * X[:, :1]) * X[:, 1:]
    network = some_network("squared_error", (2, 32, 32, 1), "tanh", dtype=np.float32)
    config = TrainingConfig(epochs=100, learning_rate=0.02, schedule="cosine", patience=None)
    train(network, X[:300], y[:300], config, validation=(X[300:], y[300:]))
    # The mean would leave all of the variance; 300 rows are enough to leave less than a tenth.
    assert np.var(network.predict(X[300:]) - y[300:]) < 0.1 * np.var(y[300:])


@pytest.mark.parametrize("network_type", [np.float32, np.float64])
@pytest.mark.parametrize("rows_type", ["float16", "float32", "float64", "int32", "int64"])
def test_rows_may_be_of_another_type_than_the_network(
    network_type: type[np.floating[Any]], rows_type: str
) -> None:
    # Regression: rows that could not hold the network's numbers raised a TypeError.
    X, y = some_rows()
    X = np.round(4 * X)  # which every one of these types holds
    outcomes = []
    for rows in (X.astype(network_type), X.astype(rows_type)):
        network = some_network(dtype=network_type)
        result = train(network, rows, y, replace(FULL_BATCH, batch_size=16), validation=(rows, y))
        outcomes.append((result, network.parameters.tobytes()))
    assert outcomes[0] == outcomes[1]


def test_rows_and_targets_are_left_as_they_came() -> None:
    X, y = some_rows()
    rows, targets, weights = X.copy(), y.copy(), np.linspace(0, 1, len(X))
    train(some_network(), X, y, FULL_BATCH, validation=(X, y), sample_weight=weights)
    np.testing.assert_array_equal(X, rows)
    np.testing.assert_array_equal(y, targets)
    np.testing.assert_array_equal(weights, np.linspace(0, 1, len(X)))


def test_read_only_tables_can_be_trained_on() -> None:
    # Ray's object store hands out read-only arrays.
    X, y = some_rows()
    X.flags.writeable = y.flags.writeable = False
    assert train(some_network(), X, y, FULL_BATCH, validation=(X, y)).stopped == "epochs"


# What is refused


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("optimizer", "adagrad", "optimizer: expected one of sgd, .*adamw, got 'adagrad'"),
        ("schedule", "linear", "schedule: expected one of constant, .*, flat_cosine, got 'linear'"),
        ("regularization_schedule", "flat", "regularization_schedule: expected one of .*, got 'flat'"),
        ("epochs", 0, "epochs: expected a whole number from 1 to inf, got 0"),
        # Regressions: these were taken, and raised a TypeError in training.
        ("epochs", 2.5, r"epochs: expected a whole number from 1 to inf, got 2\.5"),
        ("epochs", math.inf, "epochs: expected a whole number from 1 to inf, got inf"),
        ("batch_size", 0.5, r"batch_size: expected a whole number from 1 to inf, got 0\.5"),
        ("batch_size", 32.5, r"batch_size: expected a whole number from 1 to inf, got 32\.5"),
        ("batch_size", None, "batch_size: expected a whole number from 1 to inf, got None"),
        ("patience", 0, "patience: expected a whole number from 1 to inf, got 0"),
        ("learning_rate", 0, "learning_rate: expected a number from 1e-12 to 1000, got 0"),
        ("learning_rate", math.nan, "learning_rate: expected a number from 1e-12 to 1000, got nan"),
        ("learning_rate", "fast", "learning_rate: expected a number from 1e-12 to 1000, got 'fast'"),
        ("momentum", 1.0, r"momentum: expected a number from 0 to 0\.9999, got 1\.0"),
        ("warmup", 1.5, r"warmup: expected a number from 0 to 1, got 1\.5"),
        ("weight_decay", -0.1, r"weight_decay: expected a number from 0 to 1000, got -0\.1"),
        ("beta2", 1.0, r"beta2: expected a number from 0\.5 to 0\.9999, got 1\.0"),
        ("label_smoothing", 1.0, r"label_smoothing: expected a number from 0 to 0\.9, got 1\.0"),
        ("bias_rate", -1.0, r"bias_rate: expected a number from 0 to 100, got -1\.0"),
        ("parametrization", "mup", "parametrization: expected one of standard, ntk, got 'mup'"),
        ("dropout", 1.0, r"dropout: expected a number from 0 to 0\.99, got 1\.0"),
        ("dropout", (0.1, 1.0), r"dropout: expected a number from 0 to 0\.99, got 1\.0"),
        ("dropout", (-0.1, 0.1), r"dropout: expected a number from 0 to 0\.99, got -0\.1"),
        ("dropout", (0.1, None), r"dropout: expected a number from 0 to 0\.99, got None"),
        ("dropout", [0.1], r"dropout: expected a number from 0 to 0\.99, got \[0\.1\]"),
        ("clip_norm", -1.0, r"clip_norm: expected a number from 0 to inf, got -1\.0"),
        ("time_limit", -1, "time_limit: expected a number from 0 to inf, got -1"),
    ],
)
def test_settings_out_of_bounds_are_refused_by_name(setting: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        TrainingConfig(**{setting: value})


@pytest.mark.parametrize("setting", ["clip_norm", "patience", "time_limit"])
def test_what_is_optional_may_be_none(setting: str) -> None:
    assert getattr(TrainingConfig(**{setting: None}), setting) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loss", "changes", "message"),
    [
        ("cross_entropy", {"X": np.ones(4)}, r"training X: expected shape \(rows, 3\), got \(4,\)"),
        ("cross_entropy", {"X": np.ones((4, 2))}, r"training X: expected shape \(rows, 3\), got \(4, 2\)"),
        ("cross_entropy", {"X": np.ones((0, 3))}, r"training X: expected shape \(rows, 3\), got \(0, 3\)"),
        ("cross_entropy", {"X": np.full((4, 3), np.nan)}, "training X: expected finite numbers, got NaN"),
        ("cross_entropy", {"X": np.full((4, 3), np.inf)}, "training X: expected finite numbers, got NaN"),
        ("cross_entropy", {"y": np.zeros(3, int)}, r"training y: expected 4 class numbers, got int64 \(3,\)"),
        ("cross_entropy", {"y": np.zeros(4)}, r"training y: expected 4 class numbers, got float64 \(4,\)"),
        ("cross_entropy", {"y": np.zeros((4, 2), int)}, r"training y: .* got int64 \(4, 2\)"),
        ("cross_entropy", {"y": np.array([0, 1, 2, 0])}, "training y: expected classes 0 to 1, got 0 to 2"),
        ("cross_entropy", {"y": np.array([0, 1, -1, 0])}, "training y: expected classes 0 to 1, got -1 to 1"),
        ("huber", {"y": np.zeros(4)}, r"training y: expected shape \(4, 2\), got \(4,\)"),
        ("huber", {"y": np.zeros((4, 1))}, r"training y: expected shape \(4, 2\), got \(4, 1\)"),
        ("squared_error", {"y": np.full((4, 2), np.nan)}, "training y: expected finite numbers, got NaN"),
        (
            "binary_cross_entropy",
            {"y": np.full((4, 2), 0.5)},
            r"training y: expected 0 and 1, got values from 0\.5 to 0\.5",
        ),
        (
            "cross_entropy",
            {"validation": (np.ones((4, 2)), np.zeros(4, int))},
            r"validation X: expected shape \(rows, 3\), got \(4, 2\)",
        ),
        (
            "cross_entropy",
            {"validation": (np.ones((4, 3)), np.full(4, 7))},
            "validation y: expected classes 0 to 1, got 7 to 7",
        ),
        ("cross_entropy", {"sample_weight": np.ones(3)}, r"sample_weight: expected shape \(4,\), got \(3,\)"),
        # Regressions: these two said "got shape (4,)", which was not what was wrong.
        (
            "cross_entropy",
            {"sample_weight": np.array([1, -2, 1, 1])},
            "sample_weight: expected finite numbers >= 0, got -2",
        ),
        (
            "cross_entropy",
            {"sample_weight": np.array([1, 1, 1, np.nan])},
            "sample_weight: expected finite numbers >= 0, got nan",
        ),
        ("cross_entropy", {"sample_weight": np.zeros(4)}, "sample_weight: .* a weight above 0, got none"),
        # Regressions: complex numbers lost their second part; lists and text were a TypeError.
        ("cross_entropy", {"X": np.ones((4, 3), complex)}, "training X: .* real numbers, got complex128"),
        ("cross_entropy", {"X": [[1.0] * 3] * 4}, "training X: expected an array of real numbers, got list"),
        ("huber", {"y": np.full((4, 2), "a")}, "training y: expected an array of real numbers, got <U1"),
        ("cross_entropy", {"batch_seed": -1}, "batch_seed: expected a number >= 0, got -1"),
        # Regression: 0 trained all epochs, and less than that none.
        ("cross_entropy", {"stop_after": 0}, "stop_after: expected at least 1 epoch, or None, got 0"),
        ("cross_entropy", {"stop_after": -3}, "stop_after: expected at least 1 epoch, or None, got -3"),
    ],
)
def test_data_that_do_not_fit_are_refused_by_name_before_the_first_step(
    loss: str, changes: dict[str, Any], message: str
) -> None:
    network = some_network(loss)
    before = network.parameters.copy()
    y = np.array([0, 1, 1, 0]) if loss == "cross_entropy" else np.array([[0.0, 1.0]] * 4)
    with pytest.raises(ValueError, match=message):
        train(network, **{"X": np.ones((4, 3)), "y": y, "config": FULL_BATCH, **changes})
    np.testing.assert_array_equal(network.parameters, before)
