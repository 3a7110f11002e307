"""Hidden activations: functions and derivatives that work in place, in one table.

``forward(z, a)`` writes f(z) into `a`; ``backward(da, z, a)`` multiplies `da`, the gradient of the
loss by the activations, by f'(z) in place. Most derivatives follow from `a` alone; only where
`needs_input` is true is `z` kept, and otherwise `a` may be the very array that `z` was.
All arrays have the same shape, whichever it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nas.network.arrays import Floats, xp, zeros
from nas.network.calls import Call

LEAKY_SLOPE = 0.01
_SQRT_2_BY_PI = 0.7978845608028654
_GELU_CUBIC = 0.044715


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation function, its derivative, and the initial weights that suit it."""

    name: str
    forward: Callable[[Floats, Floats], None]
    backward: Callable[[Floats, Floats, Floats], None]
    initializer: str
    needs_input: bool = False

    def lay_out_forward(self, z: Floats, a: Floats) -> list[Call]:
        """What `forward` does to these arrays, which are long rows, as calls."""
        return [(self.forward, (z, a))]

    def lay_out_backward(self, da: Floats, z: Floats, a: Floats) -> list[Call]:
        """What `backward` does to these arrays, which are long rows, as calls."""
        return [(self.backward, (da, z, a))]

    def at(self, value: float) -> float:
        """The function's value at one point."""
        z, a = xp.full(1, value), xp.empty(1)
        self.forward(z, a)
        return float(a[0])


def _identity(z: Floats, a: Floats) -> None:
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
    da *= a
    da *= 1 - a


def _tanh(z: Floats, a: Floats) -> None:
    xp.tanh(z, out=a)


def _tanh_backward(da: Floats, z: Floats, a: Floats) -> None:
    slope = xp.square(a)
    xp.subtract(1, slope, out=slope)
    da *= slope


def _relu(z: Floats, a: Floats) -> None:
    xp.maximum(z, 0, out=a)


def _relu_backward(da: Floats, z: Floats, a: Floats) -> None:
    xp.multiply(da, a > 0, out=da)


class _ReLU(Activation):
    """The most usual one, laid out with its zeros and mask at hand.

    A maximum by an array of zeros takes half the time of one by the number 0.
    """

    def lay_out_forward(self, z: Floats, a: Floats) -> list[Call]:
        return [(partial(xp.maximum, z, _zeros(z.size, z.dtype.char), out=a), ())]

    def lay_out_backward(self, da: Floats, z: Floats, a: Floats) -> list[Call]:
        mask = xp.empty(a.shape, bool)
        return [(xp.greater, (a, _zeros(a.size, a.dtype.char), mask)), (xp.multiply, (da, mask, da))]


_ZEROS: dict[str, Floats] = {}


def _zeros(size: int, dtype: str) -> Floats:
    """A row of zeros, the beginning of one that all share."""
    if dtype not in _ZEROS or _ZEROS[dtype].size < size:
        _ZEROS[dtype] = zeros(size, dtype)
    return _ZEROS[dtype][:size]


def _leaky_relu(z: Floats, a: Floats) -> None:
    xp.maximum(z, z * LEAKY_SLOPE, out=a)


def _leaky_relu_backward(da: Floats, z: Floats, a: Floats) -> None:
    slope = xp.asarray(a > 0, a.dtype)
    xp.maximum(slope, LEAKY_SLOPE, out=slope)
    da *= slope


def _elu(z: Floats, a: Floats) -> None:
    low = xp.minimum(z, 0)
    xp.expm1(low, out=low)
    xp.maximum(z, 0, out=a)
    a += low


def _elu_backward(da: Floats, z: Floats, a: Floats) -> None:
    # f'(z) = exp(z) = a + 1 below zero, 1 above.
    slope = xp.minimum(a, 0)
    slope += 1
    da *= slope


def _gelu(z: Floats, a: Floats) -> None:
    # Hendrycks & Gimpel 2016, the tanh form: z/2 * (1 + tanh(sqrt(2/pi) * (z + 0.044715 z^3))).
    xp.multiply(z, _gelu_gate(z), out=a)


def _gelu_backward(da: Floats, z: Floats, a: Floats) -> None:
    gate = _gelu_gate(z)
    # gate = (1 + t) / 2, so (1 - t^2) / 2 = 2 gate (1 - gate).
    slope = xp.square(z)
    slope *= 3 * _GELU_CUBIC
    slope += 1
    slope *= 2 * _SQRT_2_BY_PI
    slope *= z
    slope *= gate
    slope *= 1 - gate
    slope += gate
    da *= slope


def _gelu_gate(z: Floats) -> Floats:
    gate = xp.square(z)
    gate *= _GELU_CUBIC
    gate += 1
    gate *= z
    gate *= _SQRT_2_BY_PI
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


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("identity", _identity, _identity_backward, "glorot_uniform"),
        Activation("sigmoid", _sigmoid, _sigmoid_backward, "glorot_uniform"),
        Activation("tanh", _tanh, _tanh_backward, "glorot_uniform"),
        _ReLU("relu", _relu, _relu_backward, "he_normal"),
        Activation("leaky_relu", _leaky_relu, _leaky_relu_backward, "he_normal"),
        Activation("elu", _elu, _elu_backward, "he_normal"),
        Activation("gelu", _gelu, _gelu_backward, "he_normal", needs_input=True),
        Activation("silu", _silu, _silu_backward, "he_normal", needs_input=True),
        Activation("softplus", _softplus, _softplus_backward, "glorot_uniform"),
    )
}
"""Every hidden activation by its name."""
