"""Optimizers: rules that turn a flat gradient into a step of the flat parameters, in place.

Each keeps its moments in flat buffers of the parameters' size, and works through them in pieces
that stay in the processor's cache while all of a piece's operations run over it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from nas.network.arrays import Floats

_PIECE = 16_384
"""Numbers a piece: five float32 buffers of it are 320 KiB, well inside a second-level cache."""


class Optimizer(ABC):
    """The state of one optimizer over one flat buffer of parameters.

    Parameters
    ----------
    parameters, gradient : float arrays of shape (n,)
        The buffers to step and to read; the gradient's contents may be overwritten by a step.
    momentum : float
        The share of the last step that is kept, where the rule has one.
    """

    n_moments: ClassVar[int]
    decoupled_decay: ClassVar[bool] = False
    """Whether weight decay shrinks the weights directly instead of adding to the gradient."""

    def __init__(self, parameters: Floats, gradient: Floats, momentum: float = 0.9) -> None:
        self.momentum = momentum
        self.steps = 0
        self.moments = [np.zeros_like(parameters) for _ in range(self.n_moments)]
        scratch = np.empty(min(_PIECE, parameters.size), parameters.dtype)
        pieces = [slice(i, i + _PIECE) for i in range(0, parameters.size, _PIECE)]
        self._pieces = [
            (
                parameters[piece],
                gradient[piece],
                scratch[: parameters[piece].size],
                [moment[piece] for moment in self.moments],
            )
            for piece in pieces
        ]

    def step(self, learning_rate: float) -> None:
        """Move the parameters once, against the gradient."""
        self.steps += 1
        for parameters, gradient, scratch, moments in self._pieces:
            self._update(parameters, gradient, scratch, moments, learning_rate)

    @abstractmethod
    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: float) -> None:
        """The rule itself, on one piece."""


class SGD(Optimizer):
    """p <- p - rate g."""

    n_moments = 0

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: float) -> None:
        np.multiply(g, rate, out=scratch)
        p -= scratch


class Momentum(Optimizer):
    """v <- momentum v + g; p <- p - rate v (Polyak 1964, in PyTorch's form)."""

    n_moments = 1

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: float) -> None:
        (v,) = moments
        v *= self.momentum
        v += g
        np.multiply(v, rate, out=scratch)
        p -= scratch


class Nesterov(Optimizer):
    """v <- momentum v + g; p <- p - rate (g + momentum v) (Sutskever et al. 2013, as in PyTorch)."""

    n_moments = 1

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: float) -> None:
        (v,) = moments
        v *= self.momentum
        v += g
        np.multiply(v, self.momentum, out=scratch)
        scratch += g
        scratch *= rate
        p -= scratch


class RMSProp(Optimizer):
    """s <- 0.99 s + 0.01 g^2; p <- p - rate g / (sqrt(s) + 1e-8) (Tieleman & Hinton 2012)."""

    n_moments = 1

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: float) -> None:
        (s,) = moments
        s *= 0.99
        np.multiply(g, g, out=scratch)
        scratch *= 0.01
        s += scratch
        np.sqrt(s, out=scratch)
        scratch += 1e-8
        np.divide(g, scratch, out=scratch)
        scratch *= rate
        p -= scratch


class Adam(Optimizer):
    """Kingma & Ba 2015, algorithm 1, with beta1 = 0.9, beta2 = 0.999 and eps = 1e-8.

    The moments are kept without their factors (1 - beta), which go into the step's scalars
    instead: two passes over the buffers fewer, and the same numbers up to rounding.
    """

    n_moments = 2

    def _update(self, p: Floats, g: Floats, scratch: Floats, moments: list[Floats], rate: float) -> None:
        m, v = moments
        m *= 0.9
        m += g
        v *= 0.999
        np.multiply(g, g, out=g)
        v += g
        # m_hat = m (1 - b1) / (1 - b1^t) and v_hat = v (1 - b2) / (1 - b2^t).
        root = ((1 - 0.999**self.steps) / (1 - 0.999)) ** 0.5
        np.sqrt(v, out=scratch)
        scratch += 1e-8 * root
        np.divide(m, scratch, out=scratch)
        scratch *= rate * root * (1 - 0.9) / (1 - 0.9**self.steps)
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
