"""Children of trained networks: what they compute and remember before their first step, and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from nas.network import (
    ACTIVATIONS,
    MLP,
    OPTIMIZERS,
    Architecture,
    Extras,
    InputChange,
    Lines,
    State,
    is_exact,
    morph,
    with_inputs,
)
from nas.network.architecture import views
from nas.network.arrays import Array, Floats
from nas.network.layers import apply
from nas.network.state import SETTLED
from nas.training import Member, TrainingConfig, TrainingData, TrainingResult, train_cohort

NONNEGATIVE = ["relu", "sigmoid", "softplus"]
NEARLY_LINEAR = ["gelu", "silu", "mish", "softplus"]
WITHOUT_PAIRS = ["elu", "selu", "mish"]
UNBOUNDED = [None, "identity", "leaky_relu"]
Origins = Sequence[int | None]


def train(
    network: MLP,
    X: Floats,
    y: Array,
    config: TrainingConfig,
    *,
    validation: tuple[Floats, Array] | None = None,
    state: State | None = None,
    keep_states: bool = False,
) -> TrainingResult:
    data = TrainingData(X, y, validation=validation)
    (result,) = train_cohort([Member(network, config, state=state)], data, keep_states=keep_states)
    return result


def parent_of(
    widths: Sequence[int],
    activations: Sequence[str],
    optimizer: str = "adam",
    dtype: type[np.floating[Any]] = np.float64,
    inputs: int = 6,
    outputs: int = 4,
    seed: int = 0,
) -> tuple[MLP, State]:
    """A network with biases and moments, each parameter's its own."""
    rng = np.random.default_rng(seed)
    network = MLP((inputs, *widths, outputs), activations, "squared_error", rng=rng, dtype=dtype)
    for bias in network.biases:
        bias[...] = rng.normal(size=bias.shape)
    n = network.parameters.size
    moments = tuple(rng.uniform(0.1, 1, n).astype(dtype) for _ in range(OPTIMIZERS[optimizer].n_moments))
    rule = (optimizer, OPTIMIZERS[optimizer].usual)
    return network, State(network.parameters.copy(), moments, rule, SETTLED, 5)


def child_of(
    parent: tuple[MLP, State],
    widths: Sequence[int],
    activations: Sequence[str],
    origins: Origins,
) -> tuple[MLP, State]:
    network, state = parent
    sizes = (network.sizes[0], *widths, network.sizes[-1])
    rng = np.random.default_rng(1)
    child = MLP(sizes, activations, network.loss.name, dtype=network.parameters.dtype)
    its = morph(state, network.architecture, child.architecture, origins, rng)
    assert (its.parameters.dtype, its.epochs, its.rule) == (network.parameters.dtype, 0, state.rule)
    child.parameters[...] = its.parameters
    return child, its


def exact(parent: MLP, child: MLP, origins: Origins) -> bool:
    return is_exact(parent.architecture, child.architecture, origins)


def difference(one: MLP, other: MLP, scale: float = 1.0) -> float:
    """The largest difference of two functions, relative to the largest value."""
    X = scale * np.random.default_rng(2).normal(size=(200, one.sizes[0]))
    values = one.predict(X)
    return float(np.abs(other.predict(X) - values).max() / np.abs(values).max())


# By hand


def test_a_new_unit_by_hand() -> None:
    # One unit, relu(2 x + 1), of which the output is 3 h + 4, and another that the output does not hear.
    parameters = np.array([2.0, 3.0, 1.0, 4.0])
    moments = (np.array([0.2, 0.3, 0.1, 0.4]), np.array([2.0, 5.0, 4.0, 7.0]))
    parent = State(parameters, moments, ("adam", 0.999), SETTLED, 7)
    child = morph(
        parent,
        Architecture((1, 1, 1), ("relu",)),
        Architecture((1, 2, 1), ("relu",)),
        [0],
        np.random.default_rng(0),
    )
    fresh = child.parameters[1]
    assert fresh != 0
    np.testing.assert_array_equal(child.parameters, [2, fresh, 3, 0, 1, 0, 4])
    np.testing.assert_array_equal(child.moments[0], [0.2, 0, 0.3, 0, 0.1, 0, 0.4])
    # Means of 2 and 4, and of 5 and 7.
    np.testing.assert_array_equal(child.moments[1], [2, 3, 5, 6, 4, 3, 7])
    assert (child.steps, child.epochs, child.best) == (SETTLED, 0, None)


def test_a_new_layer_by_hand() -> None:
    # 2 x + 1 by way of tanh(x / 2), whose weight is another one than 2 was.
    parent = State(
        np.array([2.0, 1.0]), (np.array([0.2, 0.1]), np.array([4.0, 6.0])), ("adam", 0.999), SETTLED, 1
    )
    child = morph(
        parent, Architecture((1, 1), ()), Architecture((1, 1, 1), ("tanh",)), [None], np.random.default_rng(0)
    )
    np.testing.assert_array_equal(child.parameters, [0.5, 4, 0, 1])
    np.testing.assert_array_equal(child.moments[0], [0, 0, 0, 0.1])
    # The output's layer remembers 6 alone, and the new layer nothing: it gets the mean of all.
    np.testing.assert_array_equal(child.moments[1], [6, 6, 6, 6])


def test_a_removed_identity_by_hand() -> None:
    # 5 (2 x + 1) + 3
    parent = State(np.array([2.0, 5.0, 1.0, 3.0]), (), ("sgd", 0.0), 0, 1)
    child = morph(
        parent, Architecture((1, 1, 1), ("identity",)), Architecture((1, 1), ()), [], np.random.default_rng(0)
    )
    np.testing.assert_allclose(child.parameters, [10, 8], rtol=1e-14)


# What is exact


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("widths", [(9, 5, 7), (5, 8, 7), (5, 5, 20), (8, 8, 8), (5, 5, 7)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-5)])
def test_a_wider_child_computes_what_its_parent_does(
    activation: str, widths: tuple[int, ...], dtype: Any, tolerance: float
) -> None:
    parent = parent_of((5, 5, 7), [activation] * 3, dtype=dtype)
    child, _ = child_of(parent, widths, [activation] * 3, [0, 1, 2])
    assert exact(parent[0], child, [0, 1, 2])
    assert difference(parent[0], child) < tolerance


def is_exact_by_the_table(name: str, before: str | None, p: int, q: int, width: int) -> bool:
    """The table of the module, read anew."""
    if name in ("tanh", "sigmoid") or width < min(p, q):
        return False
    if name == "identity" or (name not in WITHOUT_PAIRS and width >= 2 * min(p, q)):
        return True
    if name in NEARLY_LINEAR:
        return False
    return before in ("tanh", "sigmoid") or (width >= p and before not in UNBOUNDED)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("before", [None, *ACTIVATIONS])
@pytest.mark.parametrize(("p", "q"), [(5, 3), (5, 8)])
def test_a_deeper_child_computes_what_its_parent_does(name: str, before: str | None, p: int, q: int) -> None:
    old = [] if before is None else [before]
    parent = parent_of([p] * len(old), old, inputs=p, outputs=q)
    origins = [*range(len(old)), None]
    for width in (2, 3, 5, 6, 7, 10, 13, 16):
        child, _ = child_of(parent, [*[p] * len(old), width], [*old, name], origins)
        expected = is_exact_by_the_table(name, before, p, q, width)
        assert exact(parent[0], child, origins) == expected
        if expected:
            assert difference(parent[0], child) < 1e-10
        elif width >= min(p, q):
            # Small inputs: units are not much more than their biases, and so within reach.
            most = 0.2 if name in ("tanh", "sigmoid") else 0.1 if name in NEARLY_LINEAR else 1e-10
            assert difference(parent[0], child, 0.1) < most


@pytest.mark.parametrize(
    "name", [name for name in ACTIVATIONS if name not in ("tanh", "sigmoid", *WITHOUT_PAIRS)]
)
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_layers_can_be_put_anywhere(name: str, position: int, dtype: Any, tolerance: float) -> None:
    parent = parent_of((7, 7), [name, name], dtype=dtype)
    origins: list[int | None] = [0, 1]
    widths = [7, 7]
    # Two at once, and wider ones around them.
    origins[position:position] = [None, None]
    widths[position:position] = [14, 28]
    child, _ = child_of(parent, [width + 1 for width in widths], [name] * 4, origins)
    assert exact(parent[0], child, origins)
    assert difference(parent[0], child) < tolerance


@pytest.mark.parametrize(("scale", "most"), [(1.0, 0.08), (3.0, 0.4)])
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_small_slopes_are_as_near_as_documented(name: str, scale: float, most: float) -> None:
    parent = parent_of((), (), inputs=1, outputs=1)
    parent[1].parameters[...] = parent[0].parameters[...] = [1, 0]
    child, _ = child_of(parent, [1], [name], [None])
    x = np.array([[scale], [-scale]])
    off = np.abs(child.predict(x) - x) / scale
    assert off.max() < most
    assert off.max() > 0.9 * most


def test_small_slopes_are_small_whatever_the_weights() -> None:
    parent = parent_of((8,), ["sigmoid"], outputs=2)
    parent[0].weights[1][...] *= 1000
    parent = parent[0], replace(parent[1], parameters=parent[0].parameters.copy())
    child, _ = child_of(parent, [8, 2], ["sigmoid", "tanh"], [0, None])
    assert difference(parent[0], child) < 0.1


def test_weights_without_measure_are_no_error() -> None:
    for optimizer in ("adam", "sgd"):
        network, state = parent_of((5, 5, 5), ["elu", "softplus", "silu"], optimizer, np.float32)
        arrays = [np.float32(1e37) * array for array in (state.parameters, *state.moments)]
        parent = network, replace(state, parameters=arrays[0], moments=tuple(arrays[1:]))
        child, its = child_of(parent, (3, 9, 4), ["relu", "tanh", "silu"], [None, 0, 2])
        X = np.ones((4, 6), np.float32)
        assert train(child, X, X[:, :4], TrainingConfig(epochs=1), state=its).stopped == "diverged"


def test_too_narrow_a_layer_keeps_what_rank_there_is() -> None:
    parent = parent_of((8,), ["tanh"], inputs=8, outputs=8)
    parent[0].weights[1][...] = np.outer(np.arange(8), np.arange(1, 9)) / 20
    parent = parent[0], replace(parent[1], parameters=parent[0].parameters.copy())
    for width in (1, 3):
        child, _ = child_of(parent, [8, width], ["tanh", "relu"], [0, None])
        assert not exact(parent[0], child, [0, None])  # which does not look at weights
        assert difference(parent[0], child) < 1e-10


def test_removing_an_identity_is_exact() -> None:
    parent = parent_of((7, 5, 6), ["tanh", "identity", "relu"])
    child, _ = child_of(parent, (7, 6), ["tanh", "relu"], [0, 2])
    assert exact(parent[0], child, [0, 2])
    assert difference(parent[0], child) < 1e-12


def test_a_removed_layer_leaves_the_nearest_line() -> None:
    # By least squares over many inputs that are as they are taken to be.
    parent = parent_of((9,), ["gelu"])
    child, _ = child_of(parent, (), (), [])
    X = np.random.default_rng(5).normal(size=(200_000, 6))
    best, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), parent[0].predict(X))
    np.testing.assert_allclose(np.vstack([child.weights[0], child.biases[0]]), best, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("widths", "activations", "origins"),
    [((4, 7), "rr", [0, 1]), ((5, 7), "rt", [0, 1]), ((5,), "r", [0]), ((7,), "r", [1])],
)
def test_other_changes_are_not_exact(widths: tuple[int, ...], activations: str, origins: Origins) -> None:
    names = [{"r": "relu", "t": "tanh"}[letter] for letter in activations]
    parent = parent_of((5, 7), ["relu", "relu"])
    child, _ = child_of(parent, widths, names, origins)
    assert not exact(parent[0], child, origins)
    assert difference(parent[0], child) > 1e-3


def test_another_activation_keeps_the_weights() -> None:
    parent = parent_of((5, 7), ["relu", "tanh"])
    child, state = child_of(parent, (5, 7), ["gelu", "sigmoid"], [0, 1])
    np.testing.assert_array_equal(child.parameters, parent[0].parameters)
    for mine, its in zip(state.moments, parent[1].moments, strict=True):
        np.testing.assert_array_equal(mine, its)


# Narrower


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
def test_the_best_units_are_kept(activation: str) -> None:
    X, y, network, state = trained_on_digits(activation)
    child, _ = child_of((network, state), (20, 12), [activation] * 2, [0, 1])
    at_random, rng = [], np.random.default_rng(0)
    for _ in range(20):
        first, second = np.sort(rng.permutation(32)[:20]), np.sort(rng.permutation(24)[:12])
        other = MLP(child.sizes, child.activations, "cross_entropy")
        other.weights[0][...], other.biases[0][...] = network.weights[0][:, first], network.biases[0][first]
        other.weights[1][...] = network.weights[1][np.ix_(first, second)]
        other.biases[1][...] = network.biases[1][second]
        other.weights[2][...], other.biases[2][...] = network.weights[2][second], network.biases[2]
        at_random.append(validation_loss(other, X, y))
    assert validation_loss(child, X, y) < min(at_random)


def test_units_without_effect_go_first() -> None:
    parent = parent_of((5, 6), ["tanh", "relu"])
    wide, state = child_of(parent, (9, 11), ["tanh", "relu"], [0, 1])
    again, _ = child_of((wide, state), (5, 6), ["tanh", "relu"], [0, 1])
    np.testing.assert_array_equal(again.parameters, parent[0].parameters)


def test_a_unit_that_never_moves_leaves_its_value() -> None:
    parent = parent_of((5,), ["softplus"])
    parent[0].weights[0][:, 2] = 0
    parent = parent[0], replace(parent[1], parameters=parent[0].parameters.copy())
    child, _ = child_of(parent, (4,), ["softplus"], [0])
    assert difference(parent[0], child) < 1e-6


# Memory


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_stays_is_remembered(optimizer: str) -> None:
    # Each parameter's moment goes where the parameter goes: here, moments are functions of parameters.
    network, state = parent_of((5, 7, 6), ["relu", "relu", "tanh"], optimizer)
    moments = tuple((i + 1) * state.parameters**2 for i in range(len(state.moments)))
    state = replace(state, moments=moments)
    child, its = child_of((network, state), (8, 9, 4, 3), ["relu", "relu", "relu", "gelu"], [0, None, 1, 2])
    # The third layer's biases take up a mean; relu after relu goes as it is.
    carried = np.isin(child.parameters, state.parameters) & (child.parameters != 0)
    assert carried.sum() >= 6 * 5 + 5 * 4 + 4 * 3 + 3 * 4 + 5 + 4
    assert len(its.moments) == len(state.moments)
    for i, moment in enumerate(its.moments):
        np.testing.assert_allclose(moment[carried], (i + 1) * child.parameters[carried] ** 2, rtol=1e-12)
        square = i in OPTIMIZERS[optimizer].squares
        new = ~carried & (child.parameters == 0)
        assert (moment[new] > 0).all() if square else (moment[new] == 0).sum() > 20
    assert its.steps == (SETTLED if moments else 0)


@pytest.mark.parametrize("beta2", [0.999, 0.95])
def test_young_moments_grow_up(beta2: float) -> None:
    # After one step Adam's estimates are g and g², however small the moments are then.
    network, state = parent_of((5,), ["relu"])
    g = np.linspace(-1, 1, network.parameters.size)
    young = replace(state, moments=(g, g**2), steps=1, rule=("adam", beta2))
    _, child = child_of((network, young), (5,), ["relu"], [0])
    np.testing.assert_allclose(child.moments[0] * (1 - 0.9), g, rtol=1e-12)
    np.testing.assert_allclose(child.moments[1] * (1 - beta2), g**2, rtol=1e-12)
    assert child.rule == ("adam", beta2)


@pytest.mark.parametrize("moments", [(), (np.zeros(9),) * 2])
def test_a_parent_that_remembers_nothing_has_a_child_that_can_train(moments: tuple[Floats, ...]) -> None:
    network = MLP((2, 2, 1), ["relu"], "squared_error", rng=np.random.default_rng(0), dtype=np.float64)
    parent = network, State(network.parameters, moments, ("adam", 0.999), 0, 0)
    child, state = child_of(parent, (3,), ["relu"], [0])
    assert (state.moments, state.steps) == ((), 0)
    X = np.ones((4, 2))
    config = TrainingConfig(epochs=2, patience=None)
    assert train(child, X, X[:, :1], config, state=state).stopped == "epochs"


# In front of the first layer


def scaled_parent(
    optimizer: str = "adam", dtype: Any = np.float64, periodic: tuple[int, ...] = ()
) -> tuple[MLP, State]:
    """A network with factors of its inputs, of which some are nearly 0, perhaps waves, and moments."""
    rng = np.random.default_rng(0)
    options: dict[str, Any] = {"rng": rng, "dtype": dtype, "extras": Extras(True, periodic)}
    network = MLP((6, 7, 5, 4), ["relu", "tanh"], "squared_error", **options)
    network.parameters += rng.normal(scale=0.2, size=network.parameters.size).astype(dtype)
    network.scales[:3] = 0, 1e-5, -2
    kind, n = OPTIMIZERS[optimizer], network.parameters.size
    moments = tuple(rng.uniform(0.1, 1, n).astype(dtype) for _ in range(kind.n_moments))
    return network, State(network.parameters.copy(), moments, (optimizer, kind.usual), SETTLED, 5)


def child_with(parent: tuple[MLP, State], extras: Extras) -> tuple[MLP, State]:
    """A wider and deeper child with something else in front of its first layer."""
    network, state = parent
    sizes, names = (6, 12, 9, 5, 4), ["relu", "relu", "tanh"]
    child = MLP(sizes, names, "squared_error", dtype=state.parameters.dtype, extras=extras)
    rng = np.random.default_rng(1)
    start = morph(state, network.architecture, child.architecture, [0, None, 1], rng)
    child.parameters[...] = start.parameters
    return child, start


@pytest.mark.parametrize("scaling", [False, True])
@pytest.mark.parametrize("periodic", [(), (1, 4)])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam"])
def test_factors_of_inputs_stay_or_are_folded(
    optimizer: str, periodic: tuple[int, ...], *, scaling: bool
) -> None:
    parent, state = scaled_parent(optimizer, periodic=periodic)
    child, start = child_with((parent, state), Extras(scaling, periodic))
    assert difference(parent, child) < 1e-10
    for moment, before in zip(start.moments, state.moments, strict=True):
        assert np.isfinite(moment).all()
        scales, waves = child.architecture.front_views(moment)
        scales_before, waves_before = parent.architecture.front_views(before)
        if scaling:
            # Of inputs 2 to 5, and of the weights that read them, all is as it was.
            np.testing.assert_array_equal(scales[2:], scales_before[2:])
            weights, was = views(moment, child.sizes)[0][0], views(before, parent.sizes)[0][0]
            np.testing.assert_allclose(weights[2:, :7], was[2:], rtol=1e-12)
        for own, was in zip(waves[:-1], waves_before[:-1], strict=True):
            np.testing.assert_array_equal(own, was)
        np.testing.assert_array_equal(waves.weights[:, :7], waves_before.weights)
    if scaling:
        np.testing.assert_array_equal(child.scales, [1, 1, *parent.scales[2:]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_factors_begin_at_one_in_a_child_of_a_parent_without(dtype: Any) -> None:
    parent, state = parent_of((7,), ["tanh"], dtype=dtype)
    rng = np.random.default_rng(0)
    child = replace(parent.architecture, extras=Extras(has_scales=True))
    start = morph(state, parent.architecture, child, [0], rng)
    np.testing.assert_array_equal(start.parameters, [*state.parameters, *[1] * 6])
    np.testing.assert_array_equal(start.moments[0][-6:], 0)
    of_weights, weights = views(start.moments[1], parent.sizes)[0][0], parent.weights[0]
    most = (np.sqrt(of_weights) * np.abs(weights)).sum(axis=1) ** 2
    np.testing.assert_allclose(start.moments[1][-6:], most, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_waves_are_added_without_effect_and_removed_as_lines(optimizer: str) -> None:
    parent = scaled_parent(optimizer)
    child, start = child_with(parent, Extras(True, (0, 3)))
    assert difference(parent[0], child) < 1e-10
    assert all(np.isfinite(moment).all() for moment in start.moments)
    assert child.waves.frequencies.std() < 0.2
    np.testing.assert_array_equal(child.waves.weights, 0)
    # A parent whose waves are lines, nearly: of so low a frequency.
    network, state = scaled_parent(optimizer, periodic=(0, 3))
    network.waves.frequencies[...] *= 0.02
    network.waves.sums[...] *= 5
    state.parameters[...] = network.parameters
    child, start = child_with((network, state), Extras(has_scales=True))
    assert difference(network, child) < 0.05
    plain = MLP(network.sizes, network.activations, "squared_error", dtype=np.float64, extras=Extras(True))
    plain.parameters[...] = network.parameters[: plain.parameters.size]
    assert difference(network, plain) > 0.2, "without the lines it would be another function"


def test_an_unchanged_child_takes_the_steps_of_its_parent() -> None:
    parent, state = scaled_parent("momentum", periodic=(1, 4))
    parent.scales[:2] = parent.architecture.front_views(state.parameters)[0][:2] = 1.5
    rng = np.random.default_rng(0)
    start = morph(state, parent.architecture, parent.architecture, [0, 1], rng)
    X = rng.normal(size=(40, 6))
    config = TrainingConfig(epochs=7, optimizer="momentum", patience=None, front_scaling=6.0)
    ends = []
    for one in (replace(state, epochs=0), start):
        train(parent, X, X[:, :4], config, state=one)
        ends.append(parent.parameters.copy())
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-9, atol=1e-12)


def test_factors_follow_their_inputs() -> None:
    parent, state = scaled_parent()
    change = InputChange(np.array([5, -1, 2]), Lines(*map(np.array, ([0], [2], [0.5], [0.1]))))
    start = with_inputs(state, parent.architecture, change)
    sizes = (3, *parent.sizes[1:])
    child = MLP(sizes, parent.activations, "squared_error", dtype=np.float64, extras=parent.extras)
    child.parameters[...] = start.parameters
    np.testing.assert_array_equal(child.scales, [parent.scales[5], 1, -2])
    X = np.random.default_rng(0).normal(size=(30, 3))
    of_parent = np.zeros((30, 6))
    of_parent[:, 5], of_parent[:, 2] = X[:, 0], X[:, 2]
    np.testing.assert_allclose(child.predict(X), parent.predict(of_parent), rtol=1e-10)


# Training


def trained_on_digits(
    activation: str = "relu", epochs: int = 10, optimizer: str = "adam"
) -> tuple[Floats, Array, MLP, State]:
    """Rows, of which the last 500 are held out, a network, and its best state."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], y[order]
    X = ((X - X.mean(axis=0)) / (X.std(axis=0) + 1e-9)).astype(np.float32)
    network = MLP((64, 32, 24, 10), [activation] * 2, "cross_entropy", rng=np.random.default_rng(0))
    config = TrainingConfig(epochs=epochs, optimizer=optimizer, learning_rate=0.001, patience=None)
    held_out = X[-500:], y[-500:]
    result = train(network, X[:-500], y[:-500], config, validation=held_out, keep_states=True)
    assert result.best is not None
    return X, y, network, result.best


def validation_loss(network: MLP, X: Floats, y: Array) -> float:
    p = network.predict(X[-500:])
    return float(-np.log(p[np.arange(500), y[-500:]]).mean())


def test_an_unchanged_child_trains_like_its_parent() -> None:
    X, y, network, state = trained_on_digits()
    config = TrainingConfig(epochs=1, batch_size=2000, learning_rate=0.001)
    stepped = []
    for start in (state, child_of((network, state), (32, 24), ["relu"] * 2, [0, 1])[1]):
        one = MLP(network.sizes, network.activations, "cross_entropy")
        train(one, X, y, config, state=replace(start, epochs=0, loss=None))
        stepped.append(one.parameters - state.parameters)
    # 400 steps are not quite enough for all of the correction: 1 - 0.999^400 = 0.33, in root and decay.
    off = np.linalg.norm(stepped[1] - stepped[0]) / np.linalg.norm(stepped[0])
    assert off < 0.005
    fresh = MLP(network.sizes, network.activations, "cross_entropy")
    train(fresh, X, y, config, state=State(state.parameters, (), ("adam", 0.999), 0, 0))
    assert np.linalg.norm(fresh.parameters - state.parameters - stepped[0]) > np.linalg.norm(stepped[0])


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "momentum", "rmsprop"])
@pytest.mark.parametrize(
    ("widths", "origins"), [((48, 40), [0, 1]), ((32, 32, 24), [0, None, 1]), ((48, 32, 64), [0, 1, None])]
)
def test_a_grown_child_goes_on_where_its_parent_ended(
    optimizer: str, widths: tuple[int, ...], origins: Origins
) -> None:
    X, y, network, state = trained_on_digits(optimizer=optimizer, epochs=5)
    child, its = child_of((network, state), widths, ["relu"] * len(widths), origins)
    before = validation_loss(network, X, y)
    assert validation_loss(child, X, y) == pytest.approx(before, rel=1e-5)
    config = TrainingConfig(epochs=3, optimizer=optimizer, learning_rate=0.001, patience=None)
    held_out = X[-500:], y[-500:]
    result = train(child, X[:-500], y[:-500], config, validation=held_out, state=its)
    fresh = MLP(child.sizes, child.activations, "cross_entropy", rng=np.random.default_rng(3))
    other = train(fresh, X[:-500], y[:-500], config, validation=held_out)
    assert max(result.validation_loss) < 1.1 * before  # no step threw it back
    assert min(result.validation_loss) < min(before, *other.validation_loss)


# Whatever is changed


@st.composite
def changes(draw: st.DrawFn) -> tuple[list[int], list[str], list[int], list[str], list[int | None]]:
    names, width = st.sampled_from(list(ACTIVATIONS)), st.integers(1, 12)
    old = draw(st.lists(st.tuples(width, names), max_size=4))
    kept = sorted(draw(st.sets(st.sampled_from(range(len(old)))))) if old else []
    origins: list[int | None] = list(kept)
    for _ in range(draw(st.integers(0, 3))):
        origins.insert(draw(st.integers(0, len(origins))), None)
    new = []
    for origin in origins:
        keeps = origin is not None and draw(st.booleans())
        new.append((draw(width), old[origin][1] if keeps and origin is not None else draw(names)))
    return [w for w, _ in old], [a for _, a in old], [w for w, _ in new], [a for _, a in new], origins


@pytest.mark.slow
@given(change=changes(), optimizer=st.sampled_from(list(OPTIMIZERS)), seed=st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_any_child_of_any_parent_is_a_network(change: Any, optimizer: str, seed: int) -> None:
    widths, activations, child_widths, child_activations, origins = change
    parent = parent_of(widths, activations, optimizer, np.float64, seed=seed)
    child, state = child_of(parent, child_widths, child_activations, origins)
    assert state.parameters.size == sum((a + 1) * b for a, b in pairwise(child.sizes))
    assert all(np.isfinite(array).all() for array in (state.parameters, *state.moments))
    squares = OPTIMIZERS[optimizer].squares
    assert all((state.moments[i] >= 0).all() for i in squares)
    off = difference(parent[0], child)
    assert np.isfinite(off)
    if exact(parent[0], child, origins):
        assert off < 1e-9


@given(change=changes())
@settings(max_examples=30, deadline=None)
def test_the_parent_stays_as_it_is_and_the_seed_decides(change: Any) -> None:
    widths, activations, *child = change
    parent = parent_of(widths, activations)
    before = [array.copy() for array in (parent[1].parameters, *parent[1].moments)]
    one, other = child_of(parent, *child)[1], child_of(parent, *child)[1]
    for array, copy in zip((parent[1].parameters, *parent[1].moments), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    for array, same in zip((one.parameters, *one.moments), (other.parameters, *other.moments), strict=True):
        np.testing.assert_array_equal(array, same)
        assert not any(np.shares_memory(array, its) for its in (parent[1].parameters, *parent[1].moments))


def test_every_activation_has_its_place_in_the_tables() -> None:
    z = np.linspace(-50, 50, 100_001)
    for name, activation in ACTIVATIONS.items():
        assert (activation.linear_from is None) != (activation.small_slope is None), "a new layer needs one"
        assert (activation.low == -np.inf and activation.high == np.inf) == (name in UNBOUNDED)
        values = apply(name, z)
        assert activation.low <= values.min()
        assert values.max() <= activation.high
        if (start := activation.linear_from) is not None:
            error = activation.linear_error or 1e-11
            line = activation.linear_slope * z[z >= start]
            np.testing.assert_allclose(values[z >= start], line, rtol=0, atol=error)
        if (factor := activation.pair_factor) is not None:
            np.testing.assert_allclose(values - values[::-1], factor * z, rtol=0, atol=1e-12)
        if activation.small_slope is not None:
            _, slope = activation.small_slope
            numeric = float(np.diff(apply(name, np.array([-1e-4, 1e-4])))[0]) / 2e-4
            assert slope == pytest.approx(numeric, rel=1e-6)
    assert {name for name, kind in ACTIVATIONS.items() if kind.low == 0} == set(NONNEGATIVE)


# Other inputs


def with_other_inputs(network: MLP, state: State, change: InputChange) -> tuple[MLP, State]:
    sizes = (len(change.origins), *network.sizes[1:])
    child = MLP(sizes, network.activations, network.loss.name, dtype=network.parameters.dtype)
    its = with_inputs(state, network.architecture, change)
    assert all(np.isfinite(array).all() for array in (its.parameters, *its.moments))
    assert (its.epochs, its.rule, len(its.moments)) == (0, state.rule, len(state.moments))
    child.parameters[...] = its.parameters
    return child, its


@pytest.mark.parametrize("widths", [(), (5,), (5, 7)])
def test_inputs_that_are_added_change_nothing_at_first(widths: tuple[int, ...]) -> None:
    parent = parent_of(widths, ["tanh"] * len(widths))
    change = InputChange(np.array([0, -1, 1, 2, -1, -1, 3, 4, 5]))
    child = with_other_inputs(*parent, change)
    X = np.random.default_rng(2).normal(size=(50, 9))
    expected = parent[0].predict(X[:, change.origins >= 0])
    np.testing.assert_allclose(child[0].predict(X), expected, rtol=1e-10, atol=1e-12)
    # The other changes of structure go on from there.
    wider, _ = child_of(child, [width + 3 for width in widths], ["tanh"] * len(widths), [*range(len(widths))])
    np.testing.assert_allclose(wider.predict(X), expected, rtol=1e-10, atol=1e-12)


def test_the_layers_above_are_the_parents_with_their_moments() -> None:
    network, state = parent_of((5, 7), ["tanh", "tanh"])
    child, its = with_other_inputs(network, state, InputChange(np.array([2, -1])))
    n_above = network.parameters.size - 7 * 5
    for mine, parents in zip((its.parameters, *its.moments), (state.parameters, *state.moments), strict=True):
        np.testing.assert_array_equal(views(mine, child.sizes)[0][1], views(parents, network.sizes)[0][1])
        np.testing.assert_array_equal(
            views(mine, child.sizes)[0][0][0], views(parents, network.sizes)[0][0][2]
        )
    assert child.parameters.size == n_above + 3 * 5


@pytest.mark.parametrize("widths", [(), (5,), (5, 7)])
def test_inputs_that_are_removed_are_replaced_by_lines_over_others(widths: tuple[int, ...]) -> None:
    network, state = parent_of(widths, ["tanh"] * len(widths))
    lines = Lines(np.array([1, 4]), np.array([0, 2]), np.array([0.5, -2.0]), np.array([0.1, 1.0]))
    change = InputChange(np.array([0, 2, 3, 5]), lines)
    child, _ = with_other_inputs(network, state, change)
    X = np.random.default_rng(2).normal(size=(50, 6))
    # Where the removed inputs lie on their lines, the function is the same.
    X[:, 1], X[:, 4] = 0.5 * X[:, 0] + 0.1, 1 - 2 * X[:, 3]
    np.testing.assert_allclose(child.predict(X[:, change.origins]), network.predict(X), rtol=1e-9, atol=1e-11)


def test_added_and_removed_again_is_what_it_was() -> None:
    network, state = parent_of((5, 7), ["tanh", "tanh"])
    wider = with_other_inputs(network, state, InputChange(np.array([0, -1, 1, 2, 3, 4, 5])))
    lines = Lines(np.array([1]), np.array([0]), np.array([3.0]), np.array([1.0]))
    again, _ = with_other_inputs(*wider, InputChange(np.array([0, 2, 3, 4, 5, 6]), lines))
    np.testing.assert_allclose(again.parameters, network.parameters, rtol=1e-12)


# What is refused


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"origins": [0]}, r"origins: expected 2, each None or a layer from 0 to 1, ascending, got \[0\]"),
        ({"origins": [1, 0]}, r"origins: .* ascending, got \[1, 0\]"),
        ({"origins": [0, 2]}, r"origins: .* ascending, got \[0, 2\]"),
        ({"origins": [-1, 0]}, r"origins: .* ascending, got \[-1, 0\]"),
        (
            {"child": Architecture((6, 5, 7, 3), ("relu",) * 2)},
            "child: expected .* 6 inputs and 4 outputs, .*",
        ),
        (
            {"parent": Architecture((6, 5, 8, 4), ("relu",) * 2)},
            r"state: expected 119 numbers, got \[109, 109, 109\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, Any], message: str) -> None:
    network, state = parent_of((5, 7), ["relu", "relu"])
    structure = network.architecture
    arguments: dict[str, Any] = {"parent": structure, "child": structure, "origins": [0, 1], **changed}
    with pytest.raises(ValueError, match=f"^{message}$"):
        morph(state, **arguments, rng=np.random.default_rng(0))
