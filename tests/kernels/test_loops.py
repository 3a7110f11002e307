"""Loops change no bit: every operation by NumPy and by loops, on the same random numbers."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from bits import Rng, assert_same_bits, environment, numbers, run_laid_out

from nas import kernels
from nas.kernels.reading import is_installed
from nas.network import LOSSES, OPTIMIZERS, fused
from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Array, zeros
from nas.network.calls import run
from nas.network.losses import Smoothing
from nas.training.denormals import flush_to_zero

pytestmark = pytest.mark.skipif(not is_installed(), reason='needs numba: pip install -e ".[fast]"')


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Iterator[None]:
    """Compiles, where that was not done, and checks that there are loops."""
    with environment("numba"):
        assert kernels.is_loaded()
        yield


Arrays = dict[str, Array]
Case = Callable[[Rng, Any], tuple[Arrays, Callable[[Arrays], bool]]]
"""Makes random arrays, and what works on them in place and returns whether it used a loop."""


def activation(rng: Rng, dtype: Any) -> tuple[Arrays, Callable[[Arrays], bool]]:
    kind = ACTIVATIONS[rng.choice([name for name in ACTIVATIONS if name != "identity"])]
    n, keeps, in_place = _size(rng), rng.random() < 0.5, not kind.needs_input and rng.random() < 0.7
    arrays = {"z": numbers(rng, n, dtype), "da": numbers(rng, n, dtype), "a": numbers(rng, n, dtype)}

    def work(arrays: Arrays) -> bool:
        a = arrays["z"] if in_place else arrays["a"]
        gate = zeros(n, dtype) if keeps else None
        forward = run_laid_out(lambda: kind.lay_out_forward(arrays["z"], a, gate))
        backward = run_laid_out(lambda: kind.lay_out_backward(arrays["da"], arrays["z"], a, gate))
        return forward or backward

    return arrays, work


def optimizer(rng: Rng, dtype: Any) -> tuple[Arrays, Callable[[Arrays], bool]]:
    rule, n = OPTIMIZERS[rng.choice(list(OPTIMIZERS))], _size(rng)
    arrays = {"p": numbers(rng, n, dtype), "g": zeros(n, dtype)}
    arrays |= {f"moment {i}": numbers(rng, n, dtype) for i in range(rule.n_moments)}
    gradients = [numbers(rng, n, dtype) for _ in range(2)]
    rates = rng.choice([1e-3, 0.1]) if rng.random() < 0.5 else rng.random(n).astype(dtype)
    decays: Any = [0.0, 0.01, np.where(rng.random(n) < 0.2, 0, 0.01).astype(dtype)][rng.integers(3)]
    coefficient = rng.choice([0.9, 0.99]) if rule.setting else None
    start, stop = sorted(map(int, rng.choice(n + 1, 2, replace=False)))
    spans = [slice(0, n)] if rng.random() < 0.5 else [slice(start, stop)]
    factor, clips, shares = rng.random(), rng.random() < 0.2, rng.choice([0, 0.3, 1], 2)

    def work(arrays: Arrays) -> bool:
        moments = [arrays[f"moment {i}"] for i in range(rule.n_moments)]
        stepped = rule(
            arrays["p"], arrays["g"], coefficient, spans=spans, moments=moments, rates=rates, decays=decays
        )
        for gradient, share in zip(gradients, shares, strict=True):
            arrays["g"][...] = gradient
            stepped.scale_decays(float(share))
            if clips:
                stepped.decay(factor)
            stepped.step(factor, decay=not clips)
        arrays["g"][...] = 0  # a step may leave anything there
        return len(stepped._whole) == len(stepped._step) == 1

    return arrays, work


def softmax(rng: Rng, dtype: Any) -> tuple[Arrays, Callable[[Arrays], bool]]:
    shape = int(rng.integers(2, 12)), int(rng.integers(1, 5)), int(rng.integers(1, 40))
    loss, y = LOSSES["cross_entropy"], rng.integers(shape[0], size=shape[2])
    smoothing = Smoothing.of([0.1, *[0.0] * (shape[1] - 1)], dtype) if rng.random() < 0.2 else None
    y = y.astype(rng.choice(["int64", "int32", "uint8", "uint64"]))

    def work(arrays: Arrays) -> bool:
        z = arrays["z"]
        gradient = loss.gradient_of(z)
        for _ in range(2):  # in the second round from ordinary numbers
            is_loop = run_laid_out(lambda: loss.lay_out_link(z))
            losses = (
                gradient(z, y) if smoothing is None else loss.smoothed_gradient(z, y, smoothing, gradient)
            )
            arrays["losses"][...] = losses
            z[...] = np.nan_to_num(z)
        return is_loop and gradient != loss.gradient

    return {"z": numbers(rng, shape, dtype), "losses": zeros(shape[1:], dtype)}, work


def values(rng: Rng, dtype: Any) -> tuple[Arrays, Callable[[Arrays], bool]]:
    shape = int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(1, 40))
    loss = LOSSES[rng.choice(["binary_cross_entropy", "squared_error", "huber"])]
    y = numbers(rng, (shape[0], 1, shape[2]), dtype)
    if loss.output == "sigmoid":
        y = rng.integers(2, size=y.shape).astype(dtype)
    # Targets of another type, or other targets for each network, are NumPy's work.
    others = [y, y, y, y.astype(np.float64), np.repeat(y, shape[1], axis=1)][rng.integers(5)]

    def work(arrays: Arrays) -> bool:
        z = arrays["z"]
        gradient = loss.gradient_of(z)
        is_loop = run_laid_out(lambda: loss.lay_out_link(z)) or loss.output == "linear"
        arrays["losses"][...] = gradient(z, others)
        return is_loop and gradient != loss.gradient

    return {"z": numbers(rng, shape, dtype), "losses": zeros(shape[1:], np.float64)}, work


def copies(rng: Rng, dtype: Any) -> tuple[Arrays, Callable[[Arrays], bool]]:
    n, width, k = (int(number) for number in rng.integers(1, 30, 3))
    gap = int(rng.integers(0, 3))
    rows = rng.integers(50, size=n)
    arrays = {
        "X": numbers(rng, (50, width), dtype),
        "batch": numbers(rng, (n, width + 1), dtype),
        "stack": numbers(rng, (k, n + gap, width), dtype),
        "transposed": numbers(rng, (k, width, n), dtype),
        "filled": numbers(rng, (60, width), dtype),
        "mask": numbers(rng, (n, width), dtype),
    }
    draws, share = rng.random((n, width), np.float32).astype(dtype), rng.random() * 0.8
    fixed = dict.fromkeys(rows.tolist(), 0.0) | {0: 1.0}

    def work(arrays: Arrays) -> bool:
        stack = arrays["stack"][:, :n]
        calls = [
            fused.gather(arrays["X"], rows, arrays["batch"])
            or (arrays["X"].take, (rows, 0, arrays["batch"][:, :-1], "clip")),
            fused.transpose(stack, arrays["transposed"])
            or (np.copyto, (arrays["transposed"], stack.swapaxes(1, 2))),
            fused.fill_rows(arrays["filled"], list(fixed), list(fixed.values()))
            or (
                arrays["filled"].__setitem__,
                (list(fixed), np.array([*fixed.values()], dtype)[:, np.newaxis]),
            ),
            fused.dropout_mask(draws, arrays["mask"], np.array([share, 1 / (1 - share), 0], dtype))
            or (lambda: np.multiply(draws >= share, 1 / (1 - share), out=arrays["mask"]), ()),
        ]
        run(calls)
        return kernels.is_loaded()

    return arrays, work


def _size(rng: Rng) -> int:
    """Mostly less than some vectors, whose rest is done one by one; at times many."""
    return int(rng.integers(1, 100) if rng.random() < 0.9 else rng.integers(1000, 5000))


CASES: dict[str, Case] = {
    "activation": activation,
    "optimizer": optimizer,
    "softmax": softmax,
    "values": values,
    "copies": copies,
}


def compare(name: str, seed: int) -> None:
    """One random case, by NumPy and by loops."""
    rng = np.random.default_rng([sorted(CASES).index(name), seed])
    dtype = np.float32 if rng.random() < 0.7 else np.float64
    arrays, work = CASES[name](rng, dtype)
    expected = {key: array.copy() for key, array in arrays.items()}
    with kernels.disabled():
        assert not work(expected)
    assert work(arrays)
    for key, array in arrays.items():
        assert_same_bits(array, expected[key], f"{name}, seed {seed}, {key}")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("flushes", [False, True], ids=["denormal", "flushed"])
def test_loops_change_no_bit(name: str, flushes: bool) -> None:
    _compare_many(name, range(60), flushes=flushes)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("flushes", [False, True], ids=["denormal", "flushed"])
def test_loops_change_no_bit_of_many_thousand_arrays(name: str, flushes: bool) -> None:
    _compare_many(name, range(60, 1700), flushes=flushes)


@pytest.mark.exhaustive
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of features of x86-64")
@pytest.mark.parametrize("newest", ["X86_V4", "X86_V3"])
def test_numpy_of_older_processors_has_the_same_bits(newest: str) -> None:
    """NumPy's code for AVX-512 is called X86_V4, that for AVX2 X86_V3; here it has none from there on."""
    without = " ".join(("AVX512_SPR", "AVX512_ICL", "X86_V4", "X86_V3")[: 3 + (newest == "X86_V3")])
    command = [sys.executable, "-m", "pytest", __file__, "-q", "-k", "no_bit and not thousand"]
    environ = {**os.environ, "NPY_DISABLE_CPU_FEATURES": without}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _compare_many(name: str, seeds: range, *, flushes: bool) -> None:
    with np.errstate(all="ignore"):
        if not flushes:
            for seed in seeds:
                compare(name, seed)
            return
        np.finfo(np.float32), np.finfo(np.float64)  # NumPy warns if these are looked up later
        with flush_to_zero():
            for seed in seeds:
                compare(name, seed)
