"""Operations on a network's units as loops of `nas.kernels`, laid out as calls, with the bits of NumPy's.

Each function returns an empty list, or None, where NumPy has to do the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nas import kernels
from nas.network.arrays import Array, Floats, Ints, host, xp, zeros
from nas.network.calls import Call

LEAKY_SLOPE = 0.01
"""Slope of leaky_relu below 0 (Maas et al. 2013), the default of PyTorch too."""

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Of Klambauer et al. 2017: with them units keep mean 0 and variance 1 from layer to layer."""

SELU_LOW = SELU_ALPHA * SELU_SCALE
"""selu gives values above the negative of it, which is also the slope just below 0."""

MISH_REACH = 20.0
"""tanh(log(1 + exp(z))) is 1 from here on, in float64 too."""

GELU_SCALE = math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715
"""Coefficient of z³ in gelu's tanh form (Hendrycks & Gimpel 2016, section 2)."""


def _constants(like: Floats, *values: float) -> Floats:
    return xp.asarray(values, like.dtype)


def _calls(*calls: Call | None) -> list[Call]:
    """All of these calls, or none of them."""
    # A loop reads what the call before it has written: some of them without the others are wrong.
    available = [call for call in calls if call is not None]
    return available if len(available) == len(calls) else []


def _copied(z: Floats, a: Floats, call: Call | None) -> list[Call]:
    """A call that works in place, after a copy where that is another place."""
    if call is None:
        return []
    return [call] if z.ctypes.data == a.ctypes.data else [(xp.copyto, (a, z)), call]


# Activations, as `Activation.forward_loops` and `Activation.backward_loops`.


def relu_forward(z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    return _copied(z, a, kernels.call("relu", a, _constants(a, 0), a.size))


def relu_backward(da: Floats, z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    return _calls(kernels.call("leaky_relu_backward", da, a, _constants(a, 0, 0, 1), a.size))


def leaky_relu_forward(z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    return _copied(z, a, kernels.call("leaky_relu", a, _constants(a, LEAKY_SLOPE), a.size))


def leaky_relu_backward(da: Floats, z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    return _calls(kernels.call("leaky_relu_backward", da, a, _constants(a, LEAKY_SLOPE, 0, 1), a.size))


def tanh_backward(da: Floats, z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    return _calls(kernels.call("tanh_backward", da, a, _constants(a, 1), a.size))


def sigmoid_forward(z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    after = kernels.call("sigmoid_after_tanh", a, _constants(a, 1, 0.5), a.size)
    return _calls((xp.multiply, (z, _constants(a, 0.5), a)), (xp.tanh, (a, a)), after)


def sigmoid_backward(da: Floats, z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    return _calls(kernels.call("sigmoid_backward", da, a, _constants(a, 1), a.size))


def elu_forward(z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    low = zeros(z.size, z.dtype)
    sums = _copied(z, a, kernels.call("rectified_plus", a, low, _constants(a, 0), a.size))
    before = kernels.call("minimum", z, low, _constants(a, 0), a.size)
    return _calls(before, (xp.expm1, (low, low)), *sums)


def elu_backward(da: Floats, z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    return _calls(kernels.call("elu_backward", da, a, _constants(a, 0, 1, 1), a.size))


def selu_forward(z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    low = zeros(z.size, z.dtype)
    sums = _copied(z, a, kernels.call("rectified_plus", a, low, _constants(a, 0), a.size))
    before = kernels.call("minimum", z, low, _constants(a, 0), a.size)
    scaled = (xp.multiply, (low, _constants(low, SELU_ALPHA), low))
    return _calls(
        before, (xp.expm1, (low, low)), scaled, *sums, (xp.multiply, (a, _constants(a, SELU_SCALE), a))
    )


def selu_backward(da: Floats, z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    return _calls(kernels.call("elu_backward", da, a, _constants(a, 0, SELU_LOW, SELU_SCALE), a.size))


def gelu_forward(z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    gate = zeros(z.size, z.dtype) if gate is None else gate
    gated = kernels.call("gated", z, gate, a, _constants(z, 1, 0.5), z.size)
    return _calls(*_gelu_tanh(z, gate), gated)


def gelu_backward(da: Floats, z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    numbers = _constants(z, 1, 0.5, 3 * GELU_CUBIC, 2 * GELU_SCALE)
    before: tuple[Call | None, ...] = ()
    if gate is None:
        gate = zeros(z.size, z.dtype)
        before = _gelu_tanh(z, gate)
    return _calls(*before, kernels.call("gelu_backward", da, z, gate, numbers, z.size))


def _gelu_tanh(z: Floats, gate: Floats) -> tuple[Call | None, ...]:
    numbers = _constants(z, GELU_CUBIC, 1, GELU_SCALE)
    return kernels.call("gelu_before_tanh", z, gate, numbers, z.size), (xp.tanh, (gate, gate))


def silu_forward(z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    gate = zeros(z.size, z.dtype) if gate is None else gate
    gated = kernels.call("gated", z, gate, a, _constants(z, 1, 0.5), z.size)
    return _calls(*_half_tanh(z, gate), gated)


def silu_backward(da: Floats, z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    numbers = _constants(z, 1, 0.5)
    before: tuple[Call | None, ...] = ()
    if gate is None:
        gate = zeros(z.size, z.dtype)
        before = _half_tanh(z, gate)
    return _calls(*before, kernels.call("silu_backward", da, a, gate, numbers, z.size))


def _half_tanh(z: Floats, gate: Floats) -> tuple[Call | None, ...]:
    return (xp.multiply, (z, _constants(z, 0.5), gate)), (xp.tanh, (gate, gate))


def mish_forward(z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    gate = zeros(z.size, z.dtype) if gate is None else gate
    before = kernels.call("minimum", z, gate, _constants(z, MISH_REACH), z.size)
    return _calls(before, (xp.exp, (gate, gate)), kernels.call("mish", z, gate, a, _constants(z, 2), z.size))


def softplus_forward(z: Floats, a: Floats, gate: Floats | None) -> list[Call]:
    tail = zeros(z.size, z.dtype)
    sums = _copied(z, a, kernels.call("rectified_plus", a, tail, _constants(a, 0), a.size))
    operations = [(operation, (tail, tail)) for operation in (xp.negative, xp.exp, xp.log1p)]
    return _calls((xp.abs, (z, tail)), *operations, *sums) if sums else []


def fill_rows(a: Floats, rows: Sequence[int], values: Sequence[float]) -> Call | None:
    """A call that sets these rows of an array of shape (rows, columns) to one value each."""
    places = xp.asarray(rows, host.int64)
    return kernels.call("fill_rows", a, places, xp.asarray(values, a.dtype), len(rows), a.shape[1])


def dropout_mask(draws: Floats, mask: Floats, numbers: Floats) -> Call | None:
    """A call that makes a mask of uniform numbers: 0 below the share, otherwise 1 / (1 - share).

    `numbers` are the share, 1 / (1 - share), and 0; the call sees later changes of them.
    """
    return kernels.call("dropout_mask", draws, mask, numbers, mask.size)


def gather(X: Floats, rows: Ints, batch: Floats) -> Call | None:
    """A call that copies rows of a table into a batch, beside its last column.

    Parameters
    ----------
    X : float array of shape (all rows, inputs)
    rows : int64 array of shape (rows,)
    batch : float array of shape (rows, inputs + 1)
    """
    return kernels.call("gather", X, rows, batch, len(rows), X.shape[1])


def transpose(A: Floats, out: Floats) -> Call | None:
    """A call that copies the transposes of matrices.

    Parameters
    ----------
    A : float array of shape (matrices, rows, columns)
        With gaps between the matrices, but not between their rows.
    out : float array of shape (matrices, columns, rows)
    """
    if not kernels.is_loaded():
        return None
    memory, step = kernels.with_gaps(A)
    return None if memory is None else kernels.call("transpose", memory, out, len(A), step, *A.shape[1:])


def softmax(z: Floats) -> list[Call]:
    """Calls that turn linear outputs, of shape (classes, networks, rows), into probabilities."""
    # Between the loops NumPy's own exp: a compiled one would not have its last bits.
    n = z[0].size
    row = zeros(n, z.dtype)
    before = kernels.call("softmax_before_exp", z, row, len(z), n)
    return _calls(before, (xp.exp, (z, z)), kernels.call("softmax_after_exp", z, row, len(z), n))


def sigmoid(z: Floats) -> list[Call]:
    """Calls that turn linear outputs into probabilities, in place."""
    if not kernels.is_loaded() or not z.flags.c_contiguous:
        return []
    flat = z.reshape(-1)
    return sigmoid_forward(flat, flat, None)


def value_gradient(
    name: str, p: Floats, constants: Sequence[float], losses_of: Callable[[Floats], Floats]
) -> Callable[[Floats, Array], Floats | None] | None:
    """A function `gradient` of a loss of values, for these predictions of shape (outputs, networks, rows).

    It returns None, and has done nothing, for targets of another type than the predictions', or with
    targets for each network.

    Parameters
    ----------
    name : str
        The loop, which turns predictions into the gradient, and targets into the terms of losses.
    p : float array of shape (outputs, networks, rows)
    constants : sequence of float
        The loop's.
    losses_of : callable
        The losses, of shape (networks, rows), from terms of the shape of `p`; may change these.
    """
    n_outputs, n_networks, n_rows = p.shape
    targets, terms = zeros((n_outputs, 1, n_rows), p.dtype), zeros(p.shape, p.dtype)
    numbers = _constants(p, *constants)
    call = kernels.call(name, p, targets, terms, numbers, n_outputs, n_networks, n_rows)
    if call is None:
        return None
    loop, arguments = call

    def gradient(predictions: Floats, y: Array) -> Floats | None:
        assert predictions is p, "it is laid out for one array"
        if y.dtype != p.dtype or y.shape != targets.shape:
            return None
        xp.copyto(targets, y)
        loop(*arguments)
        return losses_of(terms)

    return gradient


def cross_entropy_gradient(p: Floats, tiny: float) -> Callable[[Floats, Array], Floats] | None:
    """The function `gradient` of the loss for these predictions, of shape (classes, networks, rows).

    Its losses are in memory that its next call overwrites. `tiny` is the least probability.
    """
    classes, losses = xp.zeros(p.shape[2], host.int64), zeros(p.shape[1:], p.dtype)
    call = kernels.call("cross_entropy_gradient", p, classes, losses, _constants(p, 1, tiny), *p.shape[1:])
    if call is None:
        return None
    loop, arguments = call

    def gradient(predictions: Floats, y: Array) -> Floats:
        assert predictions is p, "it is laid out for one array"
        xp.copyto(classes, y, "unsafe")
        loop(*arguments)
        xp.log(losses, losses)
        return xp.negative(losses, losses)

    return gradient
