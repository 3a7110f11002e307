"""Optimizers: rules that turn a flat gradient into a step of the flat parameters, in place.

Each works through its part of the flat buffers, moments included, in pieces that stay in the
processor's cache while all of a piece's operations run over them. Rates and decays are one number,
or one for each parameter where the networks of a cohort differ in them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from nas.network.arrays import Floats, xp, zeros

PIECE = 32_768
"""Numbers a piece: five float32 buffers of it are 640 KiB, inside a second-level cache of 1 MiB.
Measured: pieces of 16,384 take 8 % longer, of 4,096, 50 %."""


@dataclass(frozen=True, slots=True)
class _Piece:
    parameters: Floats
    gradient: Floats
    moments: list[Floats]
    scratch: Floats
    rates: Floats | float
    decays: Floats | float | None


class Optimizer(ABC):
    """One rule over one flat buffer of parameters, or over some spans of it.

    Parameters
    ----------
    parameters, gradient : float arrays of shape (n,)
        The buffers to step and to read; the gradient's contents may be overwritten by a step.
    momentum : float
        The share of the last step that is kept, where the rule has one.
    spans : sequence of slice, optional
        The parts of the buffers that are stepped; all by default.
    moments : list of float arrays of shape (n,), optional
        The rule's memory, at least `n_moments` of them; zeros by default.
    rates, decays : float or float array of shape (n,)
        Learning rate and weight decay, of all parameters or of each.
    """

    n_moments: ClassVar[int]
    decoupled_decay: ClassVar[bool] = False
    """Whether weight decay shrinks the weights directly instead of adding to the gradient."""

    def __init__(
        self,
        parameters: Floats,
        gradient: Floats,
        momentum: float = 0.9,
        *,
        spans: Sequence[slice] | None = None,
        moments: Sequence[Floats] | None = None,
        rates: Floats | float = 1.0,
        decays: Floats | float = 0.0,
    ) -> None:
        self.momentum = momentum
        self.steps = 0
        if moments is None:
            moments = [zeros(parameters.size, parameters.dtype) for _ in range(self.n_moments)]
        cuts = [cut for span in spans or [slice(0, parameters.size)] for cut in _cut(span)]
        self._kind = parameters.dtype.type
        longest = max(map(_length, cuts))
        scratch = zeros(longest, self._kind)
        # Operations by an array without axes start half a microsecond sooner than by a number.
        self._one_rate, self._eps = xp.empty((), self._kind), xp.empty((), self._kind)
        self._rates = scratch if isinstance(rates, float) else zeros(longest, self._kind)
        self._pieces = [
            _Piece(
                parameters[cut],
                gradient[cut],
                [moment[cut] for moment in moments[: self.n_moments]],
                scratch[: _length(cut)],
                _part(rates, cut),
                _part(decays, cut) if xp.any(xp.asarray(_part(decays, cut))) else None,
            )
            for cut in cuts
        ]

    def decay(self, factor: float) -> None:
        """Apply weight decay alone, where something is to happen before the step.

        `factor` is the share of the learning rates.
        """
        for piece in self._pieces:
            self._decay(piece, factor)

    def step(self, factor: float, *, decay: bool = True) -> None:
        """Decay the weights and move the parameters once, against the gradient.

        `factor` is the share of the learning rates; without `decay` there was one already.
        """
        self.steps += 1
        corrected = factor * self._factor()
        for piece in self._pieces:
            if decay:
                self._decay(piece, factor)
            rate = self._rate(piece, corrected)
            self._update(piece.parameters, piece.gradient, piece.scratch, piece.moments, rate)

    def _decay(self, piece: _Piece, factor: float) -> None:
        """Add to the gradient, or shrink the weights themselves where decay is decoupled."""
        if piece.decays is None:
            return
        xp.multiply(piece.parameters, piece.decays, out=piece.scratch)
        if self.decoupled_decay:
            xp.multiply(piece.scratch, self._rate(piece, factor), out=piece.scratch)
            xp.subtract(piece.parameters, piece.scratch, out=piece.parameters)
        else:
            xp.add(piece.gradient, piece.scratch, out=piece.gradient)

    def _rate(self, piece: _Piece, factor: float) -> Floats:
        # In the parameters' own type either way, so that one rate for all gives the same numbers.
        kind = self._kind
        if isinstance(piece.rates, float):
            self._one_rate[...] = kind(piece.rates) * kind(factor)
            return self._one_rate
        return xp.multiply(piece.rates, kind(factor), out=self._rates[: piece.rates.size])

    def _factor(self) -> float:
        """What the rule makes of the learning rate in this step."""
        return 1.0

    @abstractmethod
    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: Floats) -> None:
        """The rule itself, on one piece."""


@cache
def _number(value: float, kind: str) -> Floats:
    return xp.asarray(value, kind)


def _part(values: Floats | float, cut: slice) -> Floats | float:
    return float(values) if isinstance(values, (int, float)) else values[cut]


def _length(cut: slice) -> int:
    return int(cut.stop - cut.start)


def _cut(span: slice) -> list[slice]:
    return [slice(i, min(i + PIECE, span.stop)) for i in range(span.start, span.stop, PIECE)]


class SGD(Optimizer):
    """p <- p - rate g."""

    n_moments = 0

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: Floats) -> None:
        xp.multiply(g, rate, out=scratch)
        p -= scratch


class Momentum(Optimizer):
    """v <- momentum v + g; p <- p - rate v (Polyak 1964, in PyTorch's form)."""

    n_moments = 1

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: Floats) -> None:
        (v,) = moments
        v *= self.momentum
        v += g
        xp.multiply(v, rate, out=scratch)
        p -= scratch


class Nesterov(Optimizer):
    """v <- momentum v + g; p <- p - rate (g + momentum v) (Sutskever et al. 2013, as in PyTorch)."""

    n_moments = 1

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: Floats) -> None:
        (v,) = moments
        v *= self.momentum
        v += g
        xp.multiply(v, self.momentum, out=scratch)
        scratch += g
        scratch *= rate
        p -= scratch


class RMSProp(Optimizer):
    """s <- 0.99 s + 0.01 g^2; p <- p - rate g / (sqrt(s) + 1e-8) (Tieleman & Hinton 2012)."""

    n_moments = 1

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: Floats) -> None:
        (s,) = moments
        s *= 0.99
        xp.multiply(g, g, out=scratch)
        scratch *= 0.01
        s += scratch
        xp.sqrt(s, out=scratch)
        scratch += 1e-8
        xp.divide(g, scratch, out=scratch)
        scratch *= rate
        p -= scratch


class Adam(Optimizer):
    """Kingma & Ba 2015, algorithm 1, with beta1 = 0.9, beta2 = 0.999 and eps = 1e-8.

    The moments are kept without their factors (1 - beta), which go into the step's scalars
    instead: two passes over the buffers fewer, and the same numbers up to rounding.
    """

    n_moments = 2

    def _factor(self) -> float:
        # m_hat = m (1 - b1) / (1 - b1^t) and v_hat = v (1 - b2) / (1 - b2^t).
        root: float = ((1 - 0.999**self.steps) / (1 - 0.999)) ** 0.5
        self._eps[...] = 1e-8 * root
        return root * (1 - 0.9) / (1 - 0.9**self.steps)

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: Floats) -> None:
        m, v = moments
        m *= _number(0.9, self._eps.dtype.char)
        m += g
        v *= _number(0.999, self._eps.dtype.char)
        xp.multiply(g, g, out=g)
        v += g
        xp.sqrt(v, out=scratch)
        scratch += self._eps
        xp.divide(m, scratch, out=scratch)
        scratch *= rate
        p -= scratch


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2)."""

    decoupled_decay = True


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}
"""Every optimizer by its name."""
