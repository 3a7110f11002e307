"""Output and loss, paired so that the gradient at the output's input is simply p - y.

A pair works on the last layer's linear outputs, of shape (outputs, ..., rows): the columns are
examples, of one network or, on the middle axes, of several.

- ``link(z)`` turns them into predictions `p` in place;
- ``per_row(p, y)`` is the loss of each row, of shape (..., rows), summed over outputs;
- ``gradient(p, y)`` returns the same, and turns the predictions into the gradient of each row's loss
  by `z`, in place.

- ``uniform(p)``, where there are classes, is the loss of each row if every class were as likely, and its
  gradient by `z`: what label smoothing mixes in.

`y` holds class numbers, of shape (rows,), for softmax, and one number an output, of shape
(outputs, ..., rows), where an axis may be 1, for the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import nas.network.fused as fused
from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Array, DTypeLike, Floats, Ints, host, largest, xp
from nas.network.calls import Call

HUBER_DELTA = 1.0
"""Residual at which Huber's loss turns from quadratic to linear, in standard deviations of the target."""

LARGEST_SMOOTHING = 0.9
"""The largest share of label smoothing: with 1, all targets would be the same."""

# By type character. Read at import: NumPy warns when it is asked while denormals are flushed to zero.
_TINY = {kind: host.finfo(kind).tiny for kind in "fd"}
_EPS = {kind: host.finfo(kind).eps for kind in "fd"}


@dataclass(frozen=True, slots=True, eq=False)
class Smoothing:
    """The label smoothing of several networks; see `Loss.smoothed_gradient`.

    Attributes
    ----------
    networks : int array of shape (n,)
        The positions of networks with smoothing.
    shares : float array of shape (n, 1)
        The share of each, of the type of the parameters.
    """

    networks: Ints
    shares: Floats

    @classmethod
    def of(cls, smoothings: Sequence[float], dtype: DTypeLike) -> Smoothing | None:
        """That of networks with these shares; None where all are 0."""
        networks = [i for i, share in enumerate(smoothings) if share]
        if not networks:
            return None
        return cls(xp.asarray(networks), xp.asarray([[smoothings[i]] for i in networks], dtype))


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss and the output function that it is paired with; see the module for the callables.

    `output` names that function: "softmax", "sigmoid" or "linear". `has_class_targets`: whether targets
    are class numbers; `uniform` is None for targets that are values.
    """

    name: str
    output: str
    link: Callable[[Floats], None]
    per_row: Callable[[Floats, Array], Floats]
    gradient: Callable[[Floats, Array], Floats]
    has_class_targets: bool = False
    uniform: Callable[[Floats], tuple[Floats, Floats]] | None = None

    def lay_out_link(self, z: Floats) -> list[Call]:
        """Calls that do `link` on this array of shape (outputs, networks, rows)."""
        loops = {"softmax": fused.softmax, "sigmoid": fused.sigmoid}
        in_loops = loops[self.output](z) if self.output in loops else []
        return in_loops or [(self.link, (z,))]

    def gradient_of(self, p: Floats) -> Callable[[Floats, Array], Floats]:
        """`gradient` for this one array of predictions, of shape (outputs, networks, rows).

        The losses that it returns may be in memory that its next call overwrites.
        """
        if self.output == "softmax":
            return fused.cross_entropy_gradient(p, float(_TINY[p.dtype.char])) or self.gradient
        return self._gradient_of_values(p) or self.gradient

    def _gradient_of_values(self, p: Floats) -> Callable[[Floats, Array], Floats] | None:
        loop, constants, losses_of = _LOOPS[self.name]
        in_one_loop = fused.value_gradient(loop, p, constants(p), losses_of)
        if in_one_loop is None:
            return None

        def gradient(predictions: Floats, y: Array) -> Floats:
            losses = in_one_loop(predictions, y)
            return self.gradient(predictions, y) if losses is None else losses

        return gradient

    def smoothed_gradient(
        self,
        p: Floats,
        y: Array,
        smoothing: Smoothing,
        gradient: Callable[[Floats, Array], Floats] | None = None,
    ) -> Floats:
        """As `gradient`, with smoothed targets for some of several networks; the others keep every bit.

        With a share s of smoothing, targets are (1 - s) y + s u, where u has every class as likely
        (Szegedy et al. 2016, section 7). The loss is linear in the targets, so that loss and gradient are
        mixtures too: (1 - s) of those of y and s of those of u.

        Parameters
        ----------
        p : float array of shape (outputs, networks, rows)
            Predictions, which become the gradient.
        y : array as `gradient` takes it
        smoothing : Smoothing
        gradient : callable, optional
            That of `gradient_of` for these predictions.

        Returns
        -------
        losses : float array of shape (networks, rows)
        """
        assert self.uniform is not None, "training refuses label smoothing without classes"
        networks, shares = smoothing.networks, smoothing.shares
        losses_of_uniform, uniform = self.uniform(p[:, networks])
        losses = (gradient or self.gradient)(p, y)
        losses[networks] += shares * (losses_of_uniform - losses[networks])
        p[:, networks] += shares * (uniform - p[:, networks])
        return losses


def _total(values: Floats) -> Floats:
    """The sum over outputs, of shape (..., rows), added up one output after the other.

    NumPy adds up several columns row by row, but a single column in pairs: the cumulative sum has the first
    order for one column too, so that a row's loss does not depend on the number of rows beside it.
    """
    total: Floats = xp.add.reduce(values) if values.size > len(values) else values.cumsum(axis=0)[-1]
    return total


def _softmax(z: Floats) -> None:
    # Without its maximum, exp(z) of a large z would overflow; the quotient is the same.
    z -= largest(z)
    xp.exp(z, out=z)
    z /= _total(z)


def _of_true_class(p: Floats, y: Array) -> Array:
    """Positions of the true classes' predictions in the flat array, of shape (..., rows)."""
    # Unsigned 64-bit class numbers and positions have no common integer type; class numbers are small.
    rows = xp.multiply(y, p[0].size, dtype=xp.int64, casting="unsafe")
    positions: Array = _columns(p.shape[1:]) + rows
    return positions


# Cached by shape: a small operation by an array takes half the time of the operation by a number.
@lru_cache(maxsize=64)
def _tiny(shape: tuple[int, ...], dtype: str) -> Floats:
    return xp.full(shape, _TINY[dtype], dtype)


@lru_cache(maxsize=64)
def _unit(shape: tuple[int, ...], dtype: str) -> Floats:
    return xp.ones(shape, dtype)


@lru_cache(maxsize=64)
def _columns(shape: tuple[int, ...]) -> Array:
    return xp.arange(math.prod(shape)).reshape(shape)


def _cross_entropy(p: Floats, y: Array) -> Floats:
    return _minus_log(p.reshape(-1).take(_of_true_class(p, y)))


def _minus_log(picked: Floats) -> Floats:
    # A probability that underflowed to 0 counts as the smallest normal number; NaN stays NaN.
    losses: Floats = xp.maximum(picked, _tiny(picked.shape, picked.dtype.char))
    xp.log(losses, out=losses)
    return xp.negative(losses, out=losses)


def _cross_entropy_gradient(p: Floats, y: Array) -> Floats:
    # p - y, where y is 1 for the true class and 0 for all others: only the true class's entry changes.
    flat, positions = p.reshape(-1), _of_true_class(p, y)
    picked = flat.take(positions)
    flat[positions] = picked - _unit(picked.shape, picked.dtype.char)
    return _minus_log(picked)


def _uniform_cross_entropy(p: Floats) -> tuple[Floats, Floats]:
    return _total(_minus_log(p)) / len(p), p - 1 / len(p)


def _sigmoid(z: Floats) -> None:
    ACTIVATIONS["sigmoid"].forward(z, z)


def _log_loss(p: Floats, y: Array) -> Floats:
    # The probability of the true label, 1 - |y - p| for targets of 0 and 1; 0 by rounding counts as eps.
    truth = xp.abs(y - p)
    xp.subtract(1, truth, out=truth)
    xp.maximum(truth, _EPS[p.dtype.char], out=truth)
    return _minus_total_log(truth)


def _log_loss_gradient(p: Floats, y: Array) -> Floats:
    losses = _log_loss(p, y)
    p -= y
    return losses


def _uniform_log_loss(p: Floats) -> tuple[Floats, Floats]:
    # Each output is a choice of its own, between 0 and 1.
    return 0.5 * (_log_loss(p, xp.zeros_like(p)) + _log_loss(p, xp.ones_like(p))), p - 0.5


def _linear(z: Floats) -> None:
    pass


def _squared_error(p: Floats, y: Array) -> Floats:
    return _half_total(xp.square(p - y))


def _squared_error_gradient(p: Floats, y: Array) -> Floats:
    losses = _squared_error(p, y)
    p -= y
    return losses


def _huber(p: Floats, y: Array) -> Floats:
    # Huber 1964: r^2 / 2 up to delta, then delta (|r| - delta / 2).
    size = xp.abs(p - y)
    # With near = min(|r|, delta), one product serves both pieces: near · (|r| - near / 2).
    near = xp.minimum(size, HUBER_DELTA)
    loss: Floats = _total(near * (size - 0.5 * near))
    return loss


def _huber_gradient(p: Floats, y: Array) -> Floats:
    # The derivative of the linear pieces is ±delta.
    losses = _huber(p, y)
    p -= y
    xp.clip(p, -HUBER_DELTA, HUBER_DELTA, out=p)
    return losses


def _minus_total_log(truth: Floats) -> Floats:
    xp.log(truth, out=truth)
    loss: Floats = -_total(truth)
    return loss


def _half_total(squares: Floats) -> Floats:
    loss: Floats = 0.5 * _total(squares)
    return loss


# Of losses of values: a loop for the gradient and each output's term of the loss, the numbers that the loop
# is given, and the loss of the terms.
_LOOPS: dict[str, tuple[str, Callable[[Floats], Sequence[float]], Callable[[Floats], Floats]]] = {
    "binary_cross_entropy": (
        "log_loss_gradient",
        lambda p: (1.0, float(_EPS[p.dtype.char]), 0.0),
        _minus_total_log,
    ),
    "squared_error": ("squared_error_gradient", lambda p: (0.0,), _half_total),
    "huber": ("huber_gradient", lambda p: (HUBER_DELTA, 0.5, 0.0), _total),
}

LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(
            "cross_entropy",
            "softmax",
            _softmax,
            _cross_entropy,
            _cross_entropy_gradient,
            has_class_targets=True,
            uniform=_uniform_cross_entropy,
        ),
        Loss(
            "binary_cross_entropy",
            "sigmoid",
            _sigmoid,
            _log_loss,
            _log_loss_gradient,
            uniform=_uniform_log_loss,
        ),
        Loss("squared_error", "linear", _linear, _squared_error, _squared_error_gradient),
        Loss("huber", "linear", _linear, _huber, _huber_gradient),
    )
}
"""Every loss by its name."""
