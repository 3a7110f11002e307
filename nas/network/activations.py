"""Hidden activations: each with its function, its derivative and all other facts about it, in one table.

``forward(z, a)`` writes f(z) into `a`; ``backward(da, z, a)`` multiplies `da`, the gradient of the
loss by the activations, by f'(z) in place. Most derivatives follow from `a` alone; only if
`needs_input` is true is `z` kept, and otherwise `a` may be the very array that `z` was.
All arrays of a call have the same shape, which may be any.

A new activation is an entry of `ACTIVATIONS` here and a formula in `nas.runtime`, which stands alone:
morphisms, training, costs and exports read all else from the entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from nas.network.arrays import Floats, xp, zeros
from nas.network.calls import Call

LEAKY_SLOPE = 0.01
"""Slope of leaky_relu below 0 (Maas et al. 2013), the default of PyTorch too."""

_SQRT_2_BY_PI = math.sqrt(2 / math.pi)
_GELU_CUBIC = 0.044715
"""Coefficient of z³ in gelu's tanh form (Hendrycks & Gimpel 2016, section 2)."""


class OnnxStep(NamedTuple):
    """An operator of an ONNX graph that computes an activation, or a part of it.

    `inputs` are "z", the activation's input; the number, from 0, of the step whose result is read; or a
    constant, as a float. The last step's result is the activation's.
    """

    operator: str
    inputs: tuple[str | int | float, ...] = ("z",)
    attributes: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An activation function, its derivative, and what other rooms have to know about it.

    Attributes
    ----------
    name : str
        As in genomes, settings and saved models.
    forward, backward : callable
        Function and derivative; see the module.
    needs_input : bool
        Whether `backward` reads `z`, so that `a` must not overwrite it.
    initializer : str
        The initial weights that suit the activation; see `nas.network.initializers`.
    low, high : float
        Bounds of f(z).
    linear_from : float, optional
        f(z) = z for z at or above it, up to `linear_error`; None: nowhere.
    linear_error : float
        The largest |f(z) - z| there; 0: exactly linear.
    pair_factor : float, optional
        f(z) - f(-z) = pair_factor · z for all z; None: not proportional to z.
    small_slope : (float, float), optional
        A scale of inputs at which a saturating activation is nearly linear, and its slope at 0.
    operations : int
        Calls into the array library of `forward` and `backward` together; at least 1.
    latency : float
        Microseconds of one row, of up to 256 units, through the exported network's function, as measured
        on one core of a Xeon; see `nas.space.costs`.
    onnx : tuple of OnnxStep
        The activation as ONNX operators; none: the input is passed on.
    torch : str
        The activation as a module of PyTorch, in source code.
    sklearn : str, optional
        The name in scikit-learn's networks; None: scikit-learn has no such activation.
    """

    name: str
    forward: Callable[[Floats, Floats], None]
    backward: Callable[[Floats, Floats, Floats], None]
    needs_input: bool = False
    initializer: str
    low: float = -math.inf
    high: float = math.inf
    linear_from: float | None = None
    linear_error: float = 0.0
    pair_factor: float | None = None
    small_slope: tuple[float, float] | None = None
    operations: int
    latency: float
    onnx: tuple[OnnxStep, ...] = field(repr=False)
    torch: str
    sklearn: str | None = None

    def lay_out_forward(self, z: Floats, a: Floats) -> list[Call]:
        """Calls that do `forward` on these arrays of shape (numbers,)."""
        return [(self.forward, (z, a))]

    def lay_out_backward(self, da: Floats, z: Floats, a: Floats) -> list[Call]:
        """Calls that do `backward` on these arrays of shape (numbers,)."""
        return [(self.backward, (da, z, a))]

    def at(self, value: float) -> float:
        """f(value)."""
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
    """The most frequent activation, laid out with its zeros and its mask allocated beforehand.

    A maximum by an array of zeros takes half the time of a maximum by the number 0.
    """

    def lay_out_forward(self, z: Floats, a: Floats) -> list[Call]:
        return [(partial(xp.maximum, z, _zeros(z.size, z.dtype.char), out=a), ())]

    def lay_out_backward(self, da: Floats, z: Floats, a: Floats) -> list[Call]:
        mask = xp.empty(a.shape, bool)
        return [(xp.greater, (a, _zeros(a.size, a.dtype.char), mask)), (xp.multiply, (da, mask, da))]


_ZEROS: dict[str, Floats] = {}


def _zeros(size: int, dtype: str) -> Floats:
    """So many zeros: a view of one array that all calls share, and none writes to."""
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


_SIGMOID = OnnxStep("Sigmoid")

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
            onnx=(),
            torch="nn.Identity()",
            sklearn="identity",
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
            onnx=(_SIGMOID,),
            torch="nn.Sigmoid()",
            sklearn="logistic",
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
            onnx=(OnnxStep("Tanh"),),
            torch="nn.Tanh()",
            sklearn="tanh",
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
            onnx=(OnnxStep("Relu"),),
            torch="nn.ReLU()",
            sklearn="relu",
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
            onnx=(OnnxStep("LeakyRelu", attributes={"alpha": LEAKY_SLOPE}),),
            torch=f"nn.LeakyReLU({LEAKY_SLOPE})",
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
            onnx=(OnnxStep("Elu", attributes={"alpha": 1.0}),),
            torch="nn.ELU()",
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
            # z/2 · (1 + tanh(sqrt(2/π) · (z + 0.044715 z³))), as above.
            onnx=(
                OnnxStep("Mul", ("z", "z")),
                OnnxStep("Mul", (0, "z")),
                OnnxStep("Mul", (1, _GELU_CUBIC)),
                OnnxStep("Add", ("z", 2)),
                OnnxStep("Mul", (3, _SQRT_2_BY_PI)),
                OnnxStep("Tanh", (4,)),
                OnnxStep("Add", (5, 1.0)),
                OnnxStep("Mul", (6, 0.5)),
                OnnxStep("Mul", ("z", 7)),
            ),
            torch='nn.GELU(approximate="tanh")',
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
            onnx=(_SIGMOID, OnnxStep("Mul", ("z", 0))),
            torch="nn.SiLU()",
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
            onnx=(OnnxStep("Softplus"),),
            torch="nn.Softplus()",
        ),
    )
}
"""Every hidden activation by its name."""
