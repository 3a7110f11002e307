"""Hidden activations: each with its function, its derivative and all other facts about it, in one table.

See `nas.network.activation.Activation` for the meaning of the facts and of both functions' arrays.

A new activation is an entry of `ACTIVATIONS` here and a formula in `nas.runtime`, which imports nothing
of this package: morphisms, training, costs and exports read all else from the entry.
"""

from __future__ import annotations

import math
from functools import partial

import nas.network.fused as fused
from nas import kernels
from nas.network.activation import Activation
from nas.network.arrays import Floats, xp, zeros
from nas.network.calls import Call
from nas.network.fused import GELU_CUBIC, GELU_SCALE, MISH_REACH, SELU_LOW
from nas.network.fused import LEAKY_SLOPE as LEAKY_SLOPE  # exports read them here
from nas.network.fused import SELU_ALPHA as SELU_ALPHA
from nas.network.fused import SELU_SCALE as SELU_SCALE


def _identity(z: Floats, a: Floats) -> None:
    # In training `a` is `z` itself, and nothing is left to do.
    if a is not z:
        a[...] = z


def _identity_backward(da: Floats, z: Floats, a: Floats) -> None:
    pass


def _sigmoid(z: Floats, a: Floats) -> None:
    # (1 + tanh(z / 2)) / 2 cannot overflow, and NumPy's tanh is vectorized.
    xp.multiply(z, 0.5, out=a)
    xp.tanh(a, out=a)
    a += 1
    a *= 0.5


def _sigmoid_backward(da: Floats, z: Floats, a: Floats) -> None:
    # f'(z) = a (1 - a).
    da *= a
    da *= 1 - a


def _tanh(z: Floats, a: Floats) -> None:
    xp.tanh(z, out=a)


def _tanh_backward(da: Floats, z: Floats, a: Floats) -> None:
    # f'(z) = 1 - a².
    slope = xp.square(a)
    xp.subtract(1, slope, out=slope)
    da *= slope


def _relu(z: Floats, a: Floats) -> None:
    xp.maximum(z, 0, out=a)


def _relu_backward(da: Floats, z: Floats, a: Floats) -> None:
    xp.multiply(da, a > 0, out=da)


class _ReLU(Activation):
    """The most frequent activation, laid out with its zeros and its mask allocated beforehand.

    A maximum by an array of zeros takes half the time of a maximum by the number 0.
    """

    def lay_out_forward(self, z: Floats, a: Floats, gate: Floats | None = None) -> list[Call]:
        if kernels.is_loaded():
            return super().lay_out_forward(z, a)
        return [(partial(xp.maximum, z, _zeros(z.size, z.dtype.char), out=a), ())]

    def lay_out_backward(self, da: Floats, z: Floats, a: Floats, gate: Floats | None = None) -> list[Call]:
        if kernels.is_loaded():
            return super().lay_out_backward(da, z, a)
        mask = xp.empty(a.shape, bool)
        return [(xp.greater, (a, _zeros(a.size, a.dtype.char), mask)), (xp.multiply, (da, mask, da))]


_ZEROS: dict[str, Floats] = {}


def _zeros(size: int, dtype: str) -> Floats:
    """So many zeros: a view of one array that all calls share, and none writes to."""
    if dtype not in _ZEROS or _ZEROS[dtype].size < size:
        _ZEROS[dtype] = zeros(size, dtype)
    return _ZEROS[dtype][:size]


def _leaky_relu(z: Floats, a: Floats) -> None:
    # The larger of both lines is the right one, as the slope is below 1.
    xp.maximum(z, z * LEAKY_SLOPE, out=a)


def _leaky_relu_backward(da: Floats, z: Floats, a: Floats) -> None:
    # a > 0 exactly if z > 0; the slope is 1 there, and `LEAKY_SLOPE` elsewhere.
    slope = xp.asarray(a > 0, a.dtype)
    xp.maximum(slope, LEAKY_SLOPE, out=slope)
    da *= slope


def _elu(z: Floats, a: Floats) -> None:
    # f(z) = max(z, 0) + expm1(min(z, 0)): exp is never taken of a positive number, and cannot overflow.
    low = xp.minimum(z, 0)
    xp.expm1(low, out=low)
    xp.maximum(z, 0, out=a)
    a += low


def _elu_backward(da: Floats, z: Floats, a: Floats) -> None:
    # f'(z) = exp(z) = a + 1 below zero, 1 above.
    slope = xp.minimum(a, 0)
    slope += 1
    da *= slope


def _selu(z: Floats, a: Floats) -> None:
    # Klambauer et al. 2017, eq. 2: scale · (max(z, 0) + alpha · expm1(min(z, 0))), overflow as in elu.
    low = xp.minimum(z, 0)
    xp.expm1(low, out=low)
    low *= SELU_ALPHA
    xp.maximum(z, 0, out=a)
    a += low
    a *= SELU_SCALE


def _selu_backward(da: Floats, z: Floats, a: Floats) -> None:
    # f'(z) = scale · alpha · exp(z) = a + scale · alpha below zero, scale above.
    slope = a + SELU_LOW
    slope[a > 0] = SELU_SCALE
    da *= slope


def _gelu(z: Floats, a: Floats) -> None:
    # Hendrycks & Gimpel 2016, the tanh form: z/2 * (1 + tanh(sqrt(2/pi) * (z + 0.044715 z^3))).
    xp.multiply(z, _gelu_gate(z), out=a)


def _gelu_backward(da: Floats, z: Floats, a: Floats) -> None:
    gate = _gelu_gate(z)
    # gate = (1 + t) / 2, so (1 - t^2) / 2 = 2 gate (1 - gate).
    slope = xp.square(z)
    slope *= 3 * GELU_CUBIC
    slope += 1
    slope *= 2 * GELU_SCALE
    slope *= z
    slope *= gate
    slope *= 1 - gate
    slope += gate
    da *= slope


def _gelu_gate(z: Floats) -> Floats:
    gate = xp.square(z)
    gate *= GELU_CUBIC
    gate += 1
    gate *= z
    gate *= GELU_SCALE
    xp.tanh(gate, out=gate)
    gate += 1
    gate *= 0.5
    return gate


def _silu(z: Floats, a: Floats) -> None:
    gate = xp.empty_like(z)
    _sigmoid(z, gate)
    xp.multiply(z, gate, out=a)


def _silu_backward(da: Floats, z: Floats, a: Floats) -> None:
    # f'(z) = s + z s (1 - s) = s + a (1 - s), with s the sigmoid of z.
    gate = xp.empty_like(z)
    _sigmoid(z, gate)
    slope = 1 - gate
    slope *= a
    slope += gate
    da *= slope


def _mish(z: Floats, a: Floats) -> None:
    # Misra 2019: z tanh(softplus(z)). With e = exp(z) and n = e (e + 2) that is z n / (n + 2).
    e = _mish_exp(z)
    gate = e + 2
    gate *= e
    e[...] = gate
    gate += 2
    xp.divide(e, gate, out=gate)
    xp.multiply(z, gate, out=a)


def _mish_backward(da: Floats, z: Floats, a: Floats) -> None:
    # f'(z) = n / (n + 2) + 4 z e (e + 1) / (n + 2)².
    e = _mish_exp(z)
    n = e + 2
    n *= e
    slope = e + 1
    slope *= e
    slope *= z
    slope *= 4
    below = n + 2
    slope /= below
    slope += n
    slope /= below
    da *= slope


def _mish_exp(z: Floats) -> Floats:
    # From there on n / (n + 2) is 1, in float64 too, and n cannot overflow.
    e = xp.minimum(z, MISH_REACH)
    xp.exp(e, out=e)
    return e


def _softplus(z: Floats, a: Floats) -> None:
    # log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)) cannot overflow.
    tail = xp.abs(z)
    xp.negative(tail, out=tail)
    xp.exp(tail, out=tail)
    xp.log1p(tail, out=tail)
    xp.maximum(z, 0, out=a)
    a += tail


def _softplus_backward(da: Floats, z: Floats, a: Floats) -> None:
    # f'(z) = sigmoid(z) = 1 - exp(-a).
    slope = xp.negative(a)
    xp.expm1(slope, out=slope)
    xp.negative(slope, out=slope)
    da *= slope


DEFAULT_ACTIVATION = "relu"
"""The activation of hidden layers where a genome has no such gene."""

ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation(
            name="identity",
            forward=_identity,
            backward=_identity_backward,
            initializer="glorot_uniform",
            linear_from=-math.inf,
            operations=1,
            latency=0.1,
            formula="z",
        ),
        Activation(
            name="sigmoid",
            forward=_sigmoid,
            backward=_sigmoid_backward,
            initializer="glorot_uniform",
            low=0.0,
            high=1.0,
            small_slope=(1.0, 0.25),
            operations=7,
            latency=2.3,
            formula="sigmoid(z)",
            forward_loops=fused.sigmoid_forward,
            backward_loops=fused.sigmoid_backward,
        ),
        Activation(
            name="tanh",
            forward=_tanh,
            backward=_tanh_backward,
            initializer="glorot_uniform",
            low=-1.0,
            high=1.0,
            small_slope=(0.5, 1.0),
            operations=4,
            latency=0.3,
            formula="tanh(z)",
            backward_loops=fused.tanh_backward,
        ),
        _ReLU(
            name="relu",
            forward=_relu,
            backward=_relu_backward,
            initializer="he_normal",
            low=0.0,
            linear_from=0.0,
            pair_factor=1.0,
            operations=3,
            latency=0.7,
            formula="maximum(z, 0)",
            forward_loops=fused.relu_forward,
            backward_loops=fused.relu_backward,
        ),
        Activation(
            name="leaky_relu",
            forward=_leaky_relu,
            backward=_leaky_relu_backward,
            initializer="he_normal",
            linear_from=0.0,
            pair_factor=1 + LEAKY_SLOPE,
            operations=5,
            latency=1.1,
            formula=f"maximum(z, {LEAKY_SLOPE} * z)",
            forward_loops=fused.leaky_relu_forward,
            backward_loops=fused.leaky_relu_backward,
        ),
        Activation(
            name="elu",
            forward=_elu,
            backward=_elu_backward,
            initializer="he_normal",
            low=-1.0,
            linear_from=0.0,
            operations=7,
            latency=1.9,
            formula="maximum(z, 0) + exp(minimum(z, 0)) - 1",
            forward_loops=fused.elu_forward,
            backward_loops=fused.elu_backward,
        ),
        Activation(
            name="selu",
            forward=_selu,
            backward=_selu_backward,
            initializer="lecun_normal",
            low=-SELU_LOW,
            linear_from=0.0,
            linear_slope=SELU_SCALE,
            operations=9,
            latency=3.0,
            formula=f"{SELU_SCALE} * (maximum(z, 0) + {SELU_ALPHA} * (exp(minimum(z, 0)) - 1))",
            forward_loops=fused.selu_forward,
            backward_loops=fused.selu_backward,
        ),
        Activation(
            name="gelu",
            forward=_gelu,
            backward=_gelu_backward,
            needs_input=True,
            initializer="he_normal",
            low=-0.171,
            linear_from=3.0,
            linear_error=0.0041,
            pair_factor=1.0,
            operations=27,
            latency=4.9,
            # As above.
            formula=f"z * 0.5 * (1 + tanh({GELU_SCALE} * z * (1 + {GELU_CUBIC} * z * z)))",
            forward_loops=fused.gelu_forward,
            backward_loops=fused.gelu_backward,
        ),
        Activation(
            name="silu",
            forward=_silu,
            backward=_silu_backward,
            needs_input=True,
            initializer="he_normal",
            low=-0.279,
            linear_from=4.0,
            linear_error=0.072,
            pair_factor=1.0,
            operations=13,
            latency=2.8,
            formula="z * sigmoid(z)",
            forward_loops=fused.silu_forward,
            backward_loops=fused.silu_backward,
        ),
        Activation(
            name="mish",
            forward=_mish,
            backward=_mish_backward,
            needs_input=True,
            initializer="he_normal",
            low=-0.309,
            linear_from=3.0,
            linear_error=0.0135,
            operations=20,
            latency=4.4,
            formula="z * tanh(maximum(z, 0) + log(1 + exp(-abs(z))))",
            forward_loops=fused.mish_forward,
        ),
        Activation(
            name="softplus",
            forward=_softplus,
            backward=_softplus_backward,
            initializer="glorot_uniform",
            low=0.0,
            linear_from=4.0,
            linear_error=0.019,
            pair_factor=1.0,
            operations=10,
            latency=2.2,
            formula="maximum(z, 0) + log(1 + exp(-abs(z)))",
            forward_loops=fused.softplus_forward,
        ),
    )
}
"""Every hidden activation by its name."""
