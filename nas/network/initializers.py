"""Initial weights: functions that fill a weight matrix in place, in one table."""

from __future__ import annotations

from collections.abc import Callable

from nas.network.arrays import Floats, host


def glorot_uniform(weight: Floats, rng: host.random.Generator) -> None:
    """Uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16)."""
    bound = host.sqrt(6 / sum(weight.shape))
    weight[...] = rng.uniform(-bound, bound, weight.shape)


def he_normal(weight: Floats, rng: host.random.Generator) -> None:
    """Normal with variance 2 / fan_in (He et al. 2015, eq. 10)."""
    weight[...] = rng.normal(0, host.sqrt(2 / weight.shape[0]), weight.shape)


def lecun_normal(weight: Floats, rng: host.random.Generator) -> None:
    """Normal with variance 1 / fan_in (LeCun et al. 1998), as selu asks for (Klambauer et al. 2017)."""
    weight[...] = rng.normal(0, host.sqrt(1 / weight.shape[0]), weight.shape)


INITIALIZATIONS = ("random", "data")
"""What initial weights follow from: "random", from the initializer of their layer's activation, with biases
of 0; "data", from training rows too, and biases with them; see `nas.network.data_driven`."""

INITIALIZERS: dict[str, Callable[[Floats, host.random.Generator], None]] = {
    "glorot_uniform": glorot_uniform,
    "he_normal": he_normal,
    "lecun_normal": lecun_normal,
}
"""Every initializer by its name; a weight matrix has the shape (fan_in, fan_out)."""
