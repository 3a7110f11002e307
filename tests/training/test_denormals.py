from __future__ import annotations

import platform
import time
from dataclasses import replace

import numpy as np
import pytest
from trainings import train

from nas.network import MLP
from nas.training import TrainingConfig
from nas.training.denormals import flush_to_zero

known = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="the mode is known to work there"
)


def denormals_are_zero() -> bool:
    """Whether this thread takes denormal numbers as 0, by a product that would be denormal."""
    smallest = np.full(1, 1.2e-38, np.float32)
    return not (smallest * np.float32(0.1)).any()


@known
def test_denormals_are_zero_inside_and_themselves_again_outside() -> None:
    assert not denormals_are_zero()
    with flush_to_zero():
        assert denormals_are_zero()
        with flush_to_zero():
            assert denormals_are_zero()
        assert denormals_are_zero()
    assert not denormals_are_zero()


@known
def test_the_mode_ends_with_an_exception() -> None:
    with pytest.raises(KeyError), flush_to_zero():
        raise KeyError
    assert not denormals_are_zero()


@known
def test_normal_numbers_are_as_they_were() -> None:
    numbers = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    outside = np.exp(numbers) @ np.tanh(numbers)
    with flush_to_zero():
        assert np.exp(numbers) @ np.tanh(numbers) == outside


@known
def test_training_leaves_no_denormal_weights_and_costs_no_more_for_dead_units() -> None:
    # All inputs of the first layer's second half are 0 from the start on: their weights see nothing
    # but weight decay, and shrink past the smallest normal number within the first hundred steps.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(512, 64)).astype(np.float32)
    X[:, 32:] = 0
    y = (X[:, 0] > 0).astype(int)
    config = TrainingConfig(epochs=40, batch_size=64, optimizer="sgd", learning_rate=0.5, weight_decay=1.0)

    def seconds(decay: float) -> float:
        network = MLP((64, 128, 2), ["relu"], "cross_entropy", rng=np.random.default_rng(1))
        since = time.perf_counter()
        train(network, X, y, replace(config, weight_decay=decay))
        sizes = np.abs(network.parameters)
        assert not ((sizes > 0) & (sizes < np.finfo(np.float32).tiny)).any()
        return time.perf_counter() - since

    # Without the mode the first is ten times the second; 3 leaves room for a busy machine.
    assert min(seconds(1.0) for _ in range(3)) < 3 * min(seconds(0.0) for _ in range(3))
