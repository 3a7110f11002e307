"""Batched passes compute what the plain network does, with and without dropout."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from nas import kernels
from nas.network import ACTIVATIONS, LOSSES, MLP
from nas.network.arrays import Array, Floats
from nas.network.mlp import PREDICTION_ROWS
from nas.training import Member, TrainingConfig, predict
from nas.training.cohort import Cohort
from nas.training.layout import Layout
from nas.training.passes import Workspace
from nas.training.shapes import Shape
from nas.training.storage import Storage


def some_network(
    loss: str = "cross_entropy",
    activations: tuple[str, ...] = ("tanh", "sigmoid"),
    sizes: tuple[int, ...] = (3, 5, 4, 2),
    seed: int = 0,
) -> MLP:
    """A network in float64 with random weights and, unlike a fresh one, random biases."""
    rng = np.random.default_rng(seed)
    network = MLP(sizes, activations, loss, rng=rng, dtype=np.float64)
    network.parameters += rng.normal(scale=0.3, size=network.parameters.size)
    return network


def some_rows(network: MLP, n_rows: int = 6, seed: int = 1) -> tuple[Floats, Array]:
    rng = np.random.default_rng(seed)
    X, outputs = rng.normal(size=(n_rows, network.sizes[0])), network.sizes[-1]
    if network.loss.has_class_targets:
        return X, rng.integers(outputs, size=n_rows)
    if network.loss.output == "sigmoid":
        return X, rng.integers(2, size=(n_rows, outputs)).astype(float)
    return X, rng.normal(scale=2, size=(n_rows, outputs))  # on both sides of Huber's delta


def solo(
    network: MLP, rows: int, dropout: float | tuple[float, ...] = 0.0
) -> tuple[Workspace, Floats, Floats]:
    """The workspace of a network that is trained solo, with its flat parameters and gradient."""
    layout = Layout([Shape.of(network.sizes, network.activations, tiled=False)])
    flat, gradient = np.zeros(layout.size, network.parameters.dtype), np.zeros(layout.size)
    Storage(layout).store(network, 0, flat)
    dropouts = [TrainingConfig(dropout=dropout).dropouts(len(network.activations))]
    space = Workspace(layout, flat, network.loss, rows, gradient=gradient, dropouts=dropouts)
    return space, flat, gradient


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "row_weights"])
@pytest.mark.parametrize("n_rows", [1, 6, 70])
@pytest.mark.parametrize(("activation", "loss"), list(product(ACTIVATIONS, LOSSES)))
def test_gradients_of_a_solo_network_are_the_plain_ones(
    activation: str, loss: str, n_rows: int, weighted: bool
) -> None:
    network = some_network(loss, (activation, activation))
    X, y = some_rows(network, n_rows)
    weights = np.random.default_rng(2).uniform(0, 2, n_rows) if weighted else None
    space, _, gradient = solo(network, n_rows)
    space.load(X, np.arange(n_rows))
    losses = space.backpropagate(y if y.ndim == 1 else y.T[:, np.newaxis], weights)
    batched = np.empty_like(network.parameters)
    Storage(space.layout).load(network, 0, gradient, batched)
    loss_value, expected = network.loss_and_gradient(X, y, row_weights=weights)
    # Rounding: sums in another order.
    np.testing.assert_allclose(batched, expected, rtol=1e-10, atol=1e-13)
    assert losses.mean() == pytest.approx(loss_value, rel=1e-12)
    np.testing.assert_allclose(predict(network, X), network.predict(X), rtol=1e-12)


@pytest.mark.parametrize("n_rows", [1, 6, 70])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_a_cohort_are_the_plain_ones(loss: str, n_rows: int) -> None:
    names = list(ACTIVATIONS)
    shapes: list[tuple[int, ...]] = [(), (9,), (8, 8), (8, 8), (70, 3), (5, 130, 2), (16, 16), (16, 16)]
    networks = [
        some_network(loss, tuple(names[(i + j) % len(names)] for j in range(len(w))), (3, *w, 2), seed=i)
        for i, w in enumerate(shapes)
    ]
    X, y = some_rows(networks[0], n_rows)
    cohort = Cohort(
        [Member(network, TrainingConfig(optimizer="sgd", learning_rate=1e-12)) for network in networks],
        tiled=True,
    )
    cohort.step(X, y if y.ndim == 1 else y.T[:, np.newaxis], np.arange(n_rows), None, 1.0)
    for i, member in enumerate(cohort.members):
        batched = np.empty_like(member.network.parameters)
        Storage(cohort.layout).load(member.network, i, cohort._gradient, batched)
        _, expected = member.network.loss_and_gradient(X, y)
        # Rounding: sums in another order.
        np.testing.assert_allclose(batched, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dropout", [0.4, (0.2, 0.6), (0.0, 0.4), (0.4, 0.0)])
def test_gradients_are_exact_through_dropout_masks(
    activation: str, dropout: float | tuple[float, ...]
) -> None:
    network = some_network(activations=(activation, activation), sizes=(3, 8, 8, 2))
    X, y = some_rows(network)
    space, flat, gradient = solo(network, len(X), dropout)
    space.load(X, np.arange(len(X)))
    space.draw_masks([np.random.default_rng(2)])

    def loss_of(parameters: Floats) -> float:
        flat[...] = parameters
        return float(space.backpropagate(y).mean())

    start, step = flat.copy(), 1e-6
    shifts = step * np.eye(start.size)
    numeric = np.array([(loss_of(start + s) - loss_of(start - s)) / (2 * step) for s in shifts])
    loss_of(start)
    analytic, expected = np.empty_like(network.parameters), np.empty_like(network.parameters)
    Storage(space.layout).load(network, 0, gradient, analytic)
    Storage(space.layout).load(network, 0, numeric, expected)
    # The absolute error of the differences: 1e-16 / step, and rounding of the loss.
    np.testing.assert_allclose(analytic, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("extra", [0, 1, 77])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_predicting_in_pieces_is_predicting_at_once(extra: int, activation: str) -> None:
    network = some_network(activations=(activation, activation))
    X, _ = some_rows(network, 2 * PREDICTION_ROWS + extra)
    space, _, _ = solo(network, len(X))
    space.load(X, np.arange(len(X)))
    at_once = space.forward()[:, 0].T
    # BLAS may add up in another order for another number of rows.
    np.testing.assert_allclose(predict(network, X), at_once, rtol=1e-12)
    np.testing.assert_allclose(network.predict(X), at_once, rtol=1e-12)
    np.testing.assert_allclose(network.hidden(X), space.hidden[-1][:-1].T, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_masks_drop_their_share_and_keep_the_mean(
    dropout: float, dtype: type[np.floating[Any]]
) -> None:
    network = MLP((2, 200, 1), ["relu"], "squared_error", dtype=dtype)
    space, _, _ = solo(network, 500, dropout)
    space.draw_masks([np.random.default_rng(0)])
    mask = space.masks[1][:-1]
    # 100,000 draws: one standard error of the share is sqrt(dropout (1 - dropout) / 100,000) < 0.0016,
    # and of the mean, at most 3 / 316.
    assert np.mean(mask == 0) == pytest.approx(dropout, abs=0.007)
    assert mask.mean(dtype=np.float64) == pytest.approx(1, abs=0.03)
    kept = mask[mask != 0]
    np.testing.assert_allclose(kept, 1 / (1 - dropout), rtol=1e-6)  # float32's rounding
    assert (space.masks[1][-1] == 1).all()  # the biases' ones are not dropped


@pytest.mark.parametrize("choice", ["numpy", None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_factor_of_dropout_is_a_dropout_of_its_own(
    choice: str | None, dtype: type[np.floating[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if choice:
        monkeypatch.setenv("NAS_KERNELS", choice)
    kernels.unload()
    kernels.load()
    network = MLP((2, 30, 20, 1), ["relu"] * 2, "squared_error", dtype=dtype)
    scaled, _, _ = solo(network, 50, (0.4, 0.2))
    for factor in (0.5, 0.0, 1.0):
        own, _, _ = solo(network, 50, (0.4 * factor, 0.2 * factor) if factor else (0.4, 0.2))
        scaled.draw_masks([np.random.default_rng(0)], factor)
        own.draw_masks([np.random.default_rng(0)])
        for layer, mask in scaled.masks.items():
            # Without a factor nothing is dropped.
            np.testing.assert_array_equal(mask, own.masks[layer] if factor else np.ones_like(mask))
    kernels.unload()


def test_each_layer_drops_its_own_share() -> None:
    network = MLP((2, 200, 5, 200, 1), ["relu"] * 3, "squared_error")
    space, _, _ = solo(network, 500, dropout=(0.1, 0.0, 0.5))
    space.draw_masks([np.random.default_rng(0)])
    assert set(space.masks) == {1, 3}  # none for the layer that drops none
    for layer, share in ((1, 0.1), (3, 0.5)):
        mask = space.masks[layer][:-1]
        assert np.mean(mask == 0) == pytest.approx(share, abs=0.007)  # as above
        np.testing.assert_allclose(mask[mask != 0], 1 / (1 - share), rtol=1e-6)  # float32's rounding


def test_a_layer_that_drops_none_draws_nothing() -> None:
    network = MLP((2, 6, 5, 4, 1), ["relu"] * 3, "squared_error")
    space, _, _ = solo(network, 10, dropout=(0.0, 0.3, 0.0))
    drawn, expected = np.random.default_rng(0), np.random.default_rng(0)
    space.draw_masks([drawn])
    expected.random((5, 10), np.float32)
    assert drawn.random() == expected.random()


def test_dropout_masks_are_new_at_every_draw() -> None:
    space, _, _ = solo(some_network(), 10, dropout=0.5)
    rng, masks = np.random.default_rng(0), []
    for _ in range(3):
        space.draw_masks([rng])
        masks.append(np.concatenate([mask.ravel() for mask in space.masks.values()]).tobytes())
    assert len(set(masks)) == 3


def test_dropped_units_pass_nothing_on() -> None:
    network = some_network("squared_error", ("sigmoid",), (3, 6, 1))
    X, _ = some_rows(network)
    space, _, _ = solo(network, len(X), dropout=0.5)
    space.load(X, np.arange(len(X)))
    space.draw_masks([np.random.default_rng(0)])
    expected = (network.hidden(X) * space.masks[1][:-1].T) @ network.weights[1] + network.biases[1]
    np.testing.assert_allclose(space.forward()[:, 0].T, expected, rtol=1e-12)  # rounding
