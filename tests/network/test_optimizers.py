from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.network import OPTIMIZERS
from nas.network.arrays import Floats
from nas.network.optimizers import BETA2_BOUNDS, PIECE, Adam, Optimizer

Numbers = Any
"""A float, or an array of numbers that each go their own way: the formulas below hold for both."""


def sgd(p: Numbers, gradients: Sequence[Numbers], rates: Sequence[float], coefficient: float) -> Numbers:
    for g, rate in zip(gradients, rates, strict=True):
        p = p - rate * g
    return p


def polyak(p: Numbers, gradients: Sequence[Numbers], rates: Sequence[float], coefficient: float) -> Numbers:
    """PyTorch's documentation of SGD, with nesterov=False and dampening=0."""
    b = 0.0 * p
    for g, rate in zip(gradients, rates, strict=True):
        b = coefficient * b + g
        p = p - rate * b
    return p


def nesterov(p: Numbers, gradients: Sequence[Numbers], rates: Sequence[float], coefficient: float) -> Numbers:
    """PyTorch's documentation of SGD, with nesterov=True."""
    b = 0.0 * p
    for g, rate in zip(gradients, rates, strict=True):
        b = coefficient * b + g
        p = p - rate * (g + coefficient * b)
    return p


def rmsprop(p: Numbers, gradients: Sequence[Numbers], rates: Sequence[float], coefficient: float) -> Numbers:
    """Tieleman & Hinton 2012, with a decay of 0.99."""
    mean_square = 0.0 * p
    for g, rate in zip(gradients, rates, strict=True):
        mean_square = 0.99 * mean_square + (1 - 0.99) * g**2
        p = p - rate * g / (mean_square**0.5 + 1e-8)
    return p


def adam(p: Numbers, gradients: Sequence[Numbers], rates: Sequence[float], coefficient: float) -> Numbers:
    """Kingma & Ba 2015, algorithm 1, line by line; beta2 is the coefficient."""
    alpha_1, alpha_2, epsilon = 0.9, coefficient, 1e-8
    m, v = 0.0 * p, 0.0 * p
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = alpha_1 * m + (1 - alpha_1) * g
        v = alpha_2 * v + (1 - alpha_2) * g**2
        m_hat = m / (1 - alpha_1**t)
        v_hat = v / (1 - alpha_2**t)
        p = p - rate * m_hat / (v_hat**0.5 + epsilon)
    return p


FORMULAS: dict[str, Callable[[Numbers, Sequence[Numbers], Sequence[float], float], Numbers]] = {
    "sgd": sgd,
    "momentum": polyak,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adam,  # its decay is the training loop's work
}

STEPS = 20
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
rows_of_gradients = st.lists(
    st.lists(st.floats(-10, 10), min_size=3, max_size=3), min_size=STEPS, max_size=STEPS
)


def run(
    name: str, start: Floats, gradients: Sequence[Floats], rates: Sequence[float], coefficient: float = 0.9
) -> Floats:
    """The parameters after one step for each gradient."""
    parameters, buffer = start.copy(), np.empty_like(start)
    optimizer = OPTIMIZERS[name](parameters, buffer, coefficient)
    for gradient, rate in zip(gradients, rates, strict=True):
        buffer[...] = gradient
        optimizer.step(rate)
    return parameters


def test_this_table_has_every_optimizer() -> None:
    assert set(FORMULAS) == set(OPTIMIZERS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", [-0.1, -0.2]),
        ("momentum", [-0.1, -0.29]),  # v = 1, 1.9
        ("nesterov", [-0.19, -0.461]),  # g + 0.9 v = 1.9, 2.71
        ("rmsprop", [-1.0, -1.0 - 0.1 / 0.0199**0.5]),  # s = 0.01, 0.0199
        ("adam", [-0.1, -0.2]),  # m_hat = v_hat = 1
        ("adamw", [-0.1, -0.2]),
    ],
)
def test_two_steps_against_a_gradient_of_1_by_hand(name: str, expected: list[float]) -> None:
    one, start = np.ones(1), np.zeros(1)
    ends = [run(name, start, [one] * n, [0.1] * n)[0] for n in (1, 2)]
    # eps = 1e-8 beside a root of 0.1 is the difference from the numbers by hand.
    assert ends == pytest.approx(expected, rel=2e-7)


@pytest.mark.slow
@every_optimizer
@given(
    start=st.lists(st.floats(-10, 10), min_size=3, max_size=3),
    gradients=rows_of_gradients,
    rates=st.lists(st.floats(1e-6, 1), min_size=STEPS, max_size=STEPS),
    coefficient=st.floats(0.5, 0.99),
)
@settings(max_examples=30, deadline=None)
def test_steps_follow_the_papers_formula(
    name: str, start: list[float], gradients: list[list[float]], rates: list[float], coefficient: float
) -> None:
    ended = run(name, np.array(start), [np.array(row) for row in gradients], rates, coefficient)
    expected = [
        FORMULAS[name](p, [row[i] for row in gradients], rates, coefficient) for i, p in enumerate(start)
    ]
    # Both round differently, by 1e-16 of numbers up to 20 steps · 10 · 20 / (1 - coefficient).
    np.testing.assert_allclose(ended, expected, rtol=1e-12, atol=1e-10)


@every_optimizer
@pytest.mark.parametrize("size", [1, PIECE, PIECE + 1, 2 * PIECE + 5])
def test_every_piece_of_a_long_buffer_is_stepped_alike(name: str, size: int) -> None:
    rng = np.random.default_rng(size)
    start = rng.normal(size=size)
    gradients = list(rng.normal(size=(STEPS, size)))
    rates = list(np.linspace(0.1, 0.01, STEPS))
    expected = FORMULAS[name](start, gradients, rates, 0.9)
    # Rounding, as above.
    np.testing.assert_allclose(run(name, start, gradients, rates), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop"])
@given(scale=st.floats(1e-2, 1e2), sign=st.sampled_from([-1.0, 1.0]))
def test_adaptive_steps_do_not_depend_on_the_scale_of_the_gradient(
    name: str, scale: float, sign: float
) -> None:
    gradients = [np.array([sign * g]) for g in (1.0, 0.5, 2.0)]
    scaled = [scale * g for g in gradients]
    start, rates = np.zeros(1), [0.1] * 3
    # eps is 1e-8 of a gradient of 1, or 1e-5 of RMSProp's root, 0.1 · 0.01, of the smallest.
    np.testing.assert_allclose(run(name, start, scaled, rates), run(name, start, gradients, rates), rtol=2e-5)


@every_optimizer
def test_float32_steps_stay_near_float64_ones(name: str) -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=100), list(rng.normal(size=(STEPS, 100)))
    rates = [0.01] * STEPS
    narrow = run(name, start.astype(np.float32), [g.astype(np.float32) for g in gradients], rates)
    assert narrow.dtype == np.float32
    # 20 roundings of 6e-8, of parameters and moments up to 10.
    np.testing.assert_allclose(narrow, run(name, start, gradients, rates), rtol=0, atol=2e-5)


@every_optimizer
def test_without_a_gradient_nothing_moves(name: str) -> None:
    start = np.array([1.0, -2.0])
    np.testing.assert_array_equal(run(name, start, [np.zeros(2)] * 5, [0.1] * 5), start)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_no_momentum_is_plain_gradient_descent(name: str) -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=4), list(rng.normal(size=(STEPS, 4)))
    plain = run("sgd", start, gradients, [0.1] * STEPS)
    np.testing.assert_array_equal(run(name, start, gradients, [0.1] * STEPS, coefficient=0.0), plain)


def test_only_adamw_leaves_weight_decay_to_the_training_loop() -> None:
    assert [name for name, kind in OPTIMIZERS.items() if kind.decoupled_decay] == ["adamw"]


@every_optimizer
@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("has_many", [False, True])
def test_a_share_of_decay_is_a_decay_of_its_own(name: str, has_many: bool, clips: bool) -> None:
    decays: Any = np.array([0.0, 0.2, 0.4]) if has_many else 0.2
    rng = np.random.default_rng(0)
    start, gradient, before = rng.normal(size=3), rng.normal(size=3), np.array(decays)

    def stepped(share: float, *, scaled: bool) -> Floats:
        p, g = start.copy(), gradient.copy()
        optimizer = OPTIMIZERS[name](p, g, rates=0.1, decays=decays if scaled else share * decays)
        if scaled:
            optimizer.scale_decays(0.0)
            optimizer.scale_decays(share)
        if clips:
            optimizer.decay(0.5)
        optimizer.step(0.5, decay=not clips)
        return p

    for share in (0.25, 0.0, 1.0):
        np.testing.assert_array_equal(stepped(share, scaled=True), stepped(share, scaled=False))
    np.testing.assert_array_equal(decays, before)


@every_optimizer
def test_every_optimizer_finds_the_bottom_of_a_bowl(name: str) -> None:
    bottom, p, g = np.array([3.0, -1.0]), np.zeros(2), np.zeros(2)
    optimizer: Optimizer = OPTIMIZERS[name](p, g)
    for _ in range(1000):
        g[...] = (p - bottom) * [1.0, 0.5]
        optimizer.step(0.02)
    # Steps of RMSProp do not shrink, so that it ends within one of them, 0.02; the others come closer.
    assert np.abs(p - bottom).max() < 0.03


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_by_default_beta2_is_that_of_the_paper(name: str) -> None:
    start, gradients = np.zeros(3), list(np.random.default_rng(0).normal(size=(STEPS, 3)))
    parameters, buffer = start.copy(), np.empty_like(start)
    optimizer = OPTIMIZERS[name](parameters, buffer)
    for gradient in gradients:
        buffer[...] = gradient
        optimizer.step(0.1)
    np.testing.assert_array_equal(parameters, run(name, start, gradients, [0.1] * STEPS, 0.999))


@given(beta2=st.floats(*BETA2_BOUNDS), before=st.floats(*BETA2_BOUNDS), steps=st.integers(1, 10**6))
@settings(deadline=None)
def test_converted_moments_have_the_same_bias_corrected_estimates(
    beta2: float, before: float, steps: int
) -> None:
    m, v = np.array([0.5, -2.0]), np.array([3.0, 1e-6])
    kept, converted = Adam.converted((m, v), steps, before, beta2)
    assert kept is m
    # v_hat = v (1 - beta2) / (1 - beta2^t); beta2^t is near 1 after few steps, which costs digits.
    v_hat, expected = (
        moment * (1 - beta) / (1 - beta**steps) for moment, beta in ((converted, beta2), (v, before))
    )
    np.testing.assert_allclose(v_hat, expected, rtol=1e-9)


def test_moments_of_the_same_setting_stay_as_they_are_and_others_without_a_conversion_are_dropped() -> None:
    moments = [np.ones(2)] * 2
    for kind in OPTIMIZERS.values():
        own = moments[: kind.n_moments]
        assert kind.converted(own, 5, kind.usual, kind.usual) == tuple(own)
    assert OPTIMIZERS["momentum"].converted(moments[:1], 5, 0.9, 0.5) == ()
