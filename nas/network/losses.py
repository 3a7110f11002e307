"""Output and loss, paired so that the gradient at the output's input is simply p - y.

A pair works on the last layer's linear outputs, of shape (rows, outputs):

- ``link(z)`` turns them into predictions `p` in place;
- ``per_row(p, y)`` is the loss of each row, of shape (rows,), summed over outputs;
- ``gradient(p, y)`` turns the predictions into the gradient of each row's loss by `z`, in place.

`y` holds class numbers, of shape (rows,), for softmax, and one number an output, of shape
(rows, outputs), for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nas.network.arrays import Array, Floats

HUBER_DELTA = 1.0
"""Where Huber's loss turns from square to straight, in units of the (standardized) target."""


# By type; read once, because NumPy warns where denormals are flushed, as they are in training.
_TINY = {kind: np.finfo(kind).tiny for kind in "fd"}
_EPS = {kind: np.finfo(kind).eps for kind in "fd"}


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss and the output that it is paired with."""

    name: str
    output: str
    link: Callable[[Floats], None]
    per_row: Callable[[Floats, Array], Floats]
    gradient: Callable[[Floats, Array], None]
    has_class_targets: bool = False


def _softmax(z: Floats) -> None:
    z -= np.maximum.reduce(z, axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= np.add.reduce(z, axis=1, keepdims=True)


def _of_true_class(p: Floats, y: Array) -> Array:
    """Positions of the true classes in the flattened predictions."""
    positions: Array = np.arange(0, p.size, p.shape[1])
    # Unsigned 64-bit class numbers have no integer type in common with positions; all of them fit.
    np.add(positions, y, out=positions, casting="unsafe")
    return positions


def _cross_entropy(p: Floats, y: Array) -> Floats:
    picked = p.reshape(-1)[_of_true_class(p, y)]
    # A probability that underflowed to 0 counts as the smallest normal number; NaN stays NaN.
    np.maximum(picked, _TINY[p.dtype.char], out=picked)
    np.log(picked, out=picked)
    return np.negative(picked, out=picked)


def _cross_entropy_gradient(p: Floats, y: Array) -> None:
    p.reshape(-1)[_of_true_class(p, y)] -= 1


def _sigmoid(z: Floats) -> None:
    z *= 0.5
    np.tanh(z, out=z)
    z += 1
    z *= 0.5


def _binary_cross_entropy(p: Floats, y: Array) -> Floats:
    # The probability given to the truth, 1 - |y - p|, for targets of 0 and 1; one that rounded
    # to 0 counts as eps.
    truth = np.abs(y - p)
    np.subtract(1, truth, out=truth)
    np.maximum(truth, _EPS[p.dtype.char], out=truth)
    np.log(truth, out=truth)
    loss: Floats = -np.add.reduce(truth, axis=1)
    return loss


def _difference(p: Floats, y: Array) -> None:
    p -= y


def _linear(z: Floats) -> None:
    pass


def _squared_error(p: Floats, y: Array) -> Floats:
    loss: Floats = 0.5 * np.add.reduce(np.square(p - y), axis=1)
    return loss


def _huber(p: Floats, y: Array) -> Floats:
    # Huber 1964: r^2 / 2 up to delta, then delta (|r| - delta / 2).
    size = np.abs(p - y)
    near = np.minimum(size, HUBER_DELTA)
    loss: Floats = np.add.reduce(near * (size - 0.5 * near), axis=1)
    return loss


def _huber_gradient(p: Floats, y: Array) -> None:
    p -= y
    np.clip(p, -HUBER_DELTA, HUBER_DELTA, out=p)


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("cross_entropy", "softmax", _softmax, _cross_entropy, _cross_entropy_gradient, True),
        Loss("binary_cross_entropy", "sigmoid", _sigmoid, _binary_cross_entropy, _difference),
        Loss("squared_error", "linear", _linear, _squared_error, _difference),
        Loss("huber", "linear", _linear, _huber, _huber_gradient),
    )
}
"""Every loss by its name."""
