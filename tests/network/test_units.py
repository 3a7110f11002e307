"""Parametric activations and skip connections: children that inherit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.network import ACTIVATIONS, MLP, OPTIMIZERS, Architecture, Extras, State, is_exact, morph
from nas.network.arrays import Floats
from nas.network.units import normalized

BOTH = Extras(is_parametric=True, has_skips=True)
BLENDS = Extras(is_parametric=True)
GAINS = Extras(has_skips=True)
NEITHER = Extras()
NORMS = Extras(is_normalized=True)
ALL = Extras(is_parametric=True, has_skips=True, is_normalized=True)
Origins = Sequence[int | None]


def parent_of(widths: Sequence[int], names: Sequence[str], extras: Extras = BOTH, seed: int = 0) -> MLP:
    """A network with random numbers everywhere."""
    rng = np.random.default_rng(seed)
    network = MLP((4, *widths, 3), names, "squared_error", rng=rng, dtype=np.float64, extras=extras)
    network.parameters += rng.normal(scale=0.2, size=network.parameters.size)
    return network


def child_of(
    parent: MLP, widths: Sequence[int], names: Sequence[str], origins: Origins, extras: Extras = BOTH
) -> MLP:
    rng = np.random.default_rng(1)
    moments = tuple(rng.uniform(0.1, 1, (2, parent.parameters.size)))
    state = State(parent.parameters.copy(), moments, ("adam", 0.999), 100, 5)
    child = MLP((4, *widths, 3), names, "squared_error", dtype=np.float64, extras=extras)
    start = morph(state, parent.architecture, child.architecture, origins, rng)
    for array in (start.parameters, *start.moments):
        assert array.shape == child.parameters.shape
        assert np.isfinite(array).all()
    assert (start.moments[1] > 0).all(), "a second moment of 0 would make a first step very long"
    child.parameters[...] = start.parameters
    return child


def difference(one: MLP, other: MLP) -> float:
    X: Floats = np.random.default_rng(2).normal(size=(50, 4))
    return float(np.abs(one.predict(X) - other.predict(X)).max())


def is_same(parent: MLP, child: MLP, origins: Origins) -> bool:
    """Whether the child computes its parent's function, as it then has to be said of all such children."""
    assert is_exact(parent.architecture, child.architecture, origins)
    return difference(parent, child) < 1e-10


@pytest.mark.parametrize("extras", [BLENDS, GAINS, BOTH])
def test_what_is_added_changes_nothing_at_first(extras: Extras) -> None:
    parent = parent_of((6, 5, 7), ["relu", "tanh", "mish"], NEITHER)
    child = child_of(parent, (6, 5, 7), parent.activations, [0, 1, 2], extras)
    assert is_same(parent, child, [0, 1, 2])
    assert all((blends == 1).all() for blends in child.units.blends)
    assert not any(gains.any() for gains in child.units.gains)


def test_blends_and_gains_that_are_added_beside_layer_norm_change_nothing_at_first() -> None:
    parent = parent_of((6, 5, 7), ["relu", "tanh", "mish"], NORMS)
    assert is_same(parent, child_of(parent, (6, 5, 7), parent.activations, [0, 1, 2], ALL), [0, 1, 2])


@pytest.mark.parametrize(("before", "after"), [(NEITHER, NORMS), (NORMS, NEITHER)])
def test_children_keep_the_weights_of_parents_that_have_layer_norm_or_not(
    before: Extras, after: Extras
) -> None:
    parent = parent_of((6, 5), ["relu", "tanh"], before)
    child = child_of(parent, (6, 5), parent.activations, [0, 1], after)
    assert not is_exact(parent.architecture, child.architecture, [0, 1])
    np.testing.assert_array_equal(child.parameters, parent.parameters)
    wider = child_of(parent, (8, 5), parent.activations, [0, 1], after)
    np.testing.assert_allclose(wider.weights[0][:, :6], parent.weights[0], rtol=1e-12)


def test_layer_norm_worked_out_by_hand() -> None:
    # Units -1, 1 and 3 have the mean 1 and the variance 8 / 3.
    z, factors = normalized(np.array([[-1.0, 1.0, 3.0], [5.0, 5.0, 5.0]]))
    deviation = (8 / 3 + 1e-5) ** 0.5
    np.testing.assert_allclose(z, [[-2 / deviation, 0, 2 / deviation], [0, 0, 0]], rtol=1e-12)
    np.testing.assert_allclose(factors, [[1 / deviation], [1e-5**-0.5]], rtol=1e-12)


@pytest.mark.parametrize("widths", [(9, 5, 7), (6, 9, 7), (6, 5, 20), (8, 8, 8)])
def test_a_wider_child_computes_what_its_parent_does(widths: tuple[int, ...]) -> None:
    parent = parent_of((6, 5, 7), ["relu", "tanh", "mish"])
    assert is_same(parent, child_of(parent, widths, parent.activations, [0, 1, 2]), [0, 1, 2])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_blends_of_0_make_a_new_layer_linear(name: str) -> None:
    parent = parent_of((6, 5), ["tanh", "relu"], BLENDS)
    for origins, widths in (([None, 0, 1], (4, 6, 5)), ([0, None, 1], (6, 5, 5)), ([0, 1, None], (6, 5, 3))):
        names = [name if origin is None else parent.activations[origin] for origin in origins]
        assert is_same(parent, child_of(parent, widths, names, origins, BLENDS), origins)


@pytest.mark.parametrize("extras", [GAINS, BOTH])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gains_of_1_pass_on_what_a_new_layer_reads(name: str, extras: Extras) -> None:
    parent = parent_of((6, 5, 7), ["tanh", "relu", "silu"], extras)
    for origins, widths in (
        ([0, None, 1, 2], (6, 6, 5, 7)),
        ([0, None, None, 1, 2], (6, 6, 9, 5, 7)),
        ([0, 1, 2, None], (6, 5, 7, 8)),
    ):
        names = [name if origin is None else parent.activations[origin] for origin in origins]
        child = child_of(parent, widths, names, origins, extras)
        assert is_same(parent, child, origins)
        # It learns: no gradient of its weights is 0 because of an activation that is flat where it begins.
        X = np.random.default_rng(3).normal(size=(20, 4))
        gradient = child.loss_and_gradient(X, np.ones((20, 3)))[1]
        assert child.views(gradient)[0][origins.index(None)].any()


def test_the_last_layer_of_identities_can_be_removed() -> None:
    parent = parent_of((6, 5, 7), ["tanh", "relu", "identity"])
    assert is_same(parent, child_of(parent, (6, 5), ["tanh", "relu"], [0, 1]), [0, 1])


def test_a_removed_layer_that_is_diagonal_goes_into_the_gains_of_the_next() -> None:
    parent = parent_of((5, 5, 5), ["tanh", "identity", "relu"])
    parent.weights[1][...] = np.diag([1.5, -1, 0, 2, 0.1])
    child = child_of(parent, (5, 5), ["tanh", "relu"], [0, 2])
    assert difference(parent, child) < 1e-10
    factors = np.diag(parent.weights[1]) + parent.units.gains[1]
    np.testing.assert_allclose(child.units.gains[1], parent.units.gains[2] * factors)
    # Another parent's is not.
    assert not is_exact(parent.architecture, child.architecture, [0, 2])


def test_without_its_gains_a_child_keeps_the_mean_of_what_they_added() -> None:
    parent = parent_of((6, 6, 6), ["relu", "relu", "relu"], GAINS)
    child = child_of(parent, (6, 6, 6), parent.activations, [0, 1, 2], NEITHER)
    assert not is_exact(parent.architecture, child.architecture, [0, 1, 2])
    plain = MLP(parent.sizes, parent.activations, "squared_error", dtype=np.float64)
    plain.parameters[...] = parent.parameters[: plain.parameters.size]
    assert difference(parent, child) < 0.8 * difference(parent, plain)


def test_a_narrower_child_keeps_gains_of_units_that_stay_where_they_are() -> None:
    parent = parent_of((6, 6, 6), ["relu", "tanh", "relu"], GAINS)
    parent.weights[2][[1, 4]] = 1e-6  # unit 1 and 4 of the second layer have hardly an effect
    child = child_of(parent, (6, 4, 6), parent.activations, [0, 1, 2], GAINS)
    kept = [0, 5, 2, 3]  # the last unit moves to the place of unit 1
    np.testing.assert_array_equal(child.weights[1], parent.weights[1][:, kept])
    own, following = child.units.gains[1:]
    np.testing.assert_array_equal(own, parent.units.gains[1][:4] * [1, 0, 1, 1])
    np.testing.assert_array_equal(following, parent.units.gains[2][:4] * [1, 0, 1, 1])


def test_moments_of_numbers_that_stay_are_kept() -> None:
    parent = parent_of((6, 5), ["relu", "tanh"])
    n = parent.parameters.size
    moments = (np.arange(n, dtype=float), 1.0 + np.arange(n))
    state = State(parent.parameters.copy(), moments, ("adam", 0.0), 10**6, 5)
    architecture = replace(parent.architecture, sizes=(4, 9, 5, 3))
    start = morph(state, parent.architecture, architecture, [0, 1], np.random.default_rng(0))
    for before, after in zip((parent.parameters, *moments), (start.parameters, *start.moments), strict=True):
        units, inherited = parent.architecture.unit_views(before), architecture.unit_views(after)
        np.testing.assert_allclose(inherited.blends[0][:6], units.blends[0], rtol=1e-9)
        np.testing.assert_allclose(inherited.blends[1], units.blends[1], rtol=1e-9)
        np.testing.assert_allclose(inherited.gains[1], units.gains[1], rtol=1e-9)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_child_that_is_called_exact_is(data: st.DataObject) -> None:
    extras = st.sampled_from([NEITHER, BLENDS, GAINS, BOTH, NORMS, ALL])
    names, width = st.sampled_from(list(ACTIVATIONS)), st.integers(1, 9)
    depth = data.draw(st.integers(0, 3))
    parent = parent_of(
        data.draw(st.tuples(*[width] * depth)),
        data.draw(st.tuples(*[names] * depth)),
        data.draw(extras),
        data.draw(st.integers(0, 99)),
    )
    origins: list[int | None] = [i for i in range(depth) if data.draw(st.integers(0, 5))]
    for _ in range(data.draw(st.integers(0, 2))):
        origins.insert(data.draw(st.integers(0, len(origins))), None)
    layers: list[Any] = [(data.draw(width), data.draw(names)) for _ in origins]
    for i, origin in enumerate(origins):
        if origin is not None and data.draw(st.integers(0, 5)):
            layers[i] = parent.sizes[1 + origin] + data.draw(st.integers(0, 3)), parent.activations[origin]
    child = child_of(parent, [n for n, _ in layers], [name for _, name in layers], origins, data.draw(extras))
    if is_exact(parent.architecture, child.architecture, origins):
        assert difference(parent, child) < 1e-8


def test_members_have_no_extras() -> None:
    for extras in (BLENDS, GAINS):
        with pytest.raises(ValueError, match="extras: expected none of a network with members"):
            Architecture((4, 5, 3), ("relu",), extras, members=2)


def test_every_optimizer_has_moments_of_them() -> None:
    for name, kind in OPTIMIZERS.items():
        parent = parent_of((6, 5), ["relu", "tanh"])
        moments = tuple(np.ones((kind.n_moments, parent.parameters.size)))
        state = State(parent.parameters.copy(), moments, (name, kind.usual), 10**6, 5)
        start = morph(state, parent.architecture, parent.architecture, [0, 1], np.random.default_rng(0))
        np.testing.assert_array_equal(start.parameters, state.parameters)
        assert len(start.moments) == kind.n_moments
