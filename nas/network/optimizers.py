"""Optimizers: rules that turn a flat gradient into a step of the flat parameters, in place.

An optimizer works through its part of the flat buffers, moments included, in pieces that stay in the
processor's cache while all of a piece's operations run over them. Rates and decays are one number,
or an array with a number for each parameter if the networks of a cohort differ in them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from nas import kernels
from nas.kernels.loops import COUPLED, DECOUPLED, NO_DECAY, step_name
from nas.network.arrays import Floats, xp, zeros
from nas.network.calls import Call, run

BETA2 = 0.999
"""The beta2 of Adam that its paper suggests."""

BETA2_BOUNDS = (0.5, 0.9999)
"""The least and the largest beta2: means of squared gradients over 2 steps, and over 10,000."""

PIECE = 32_768
"""Numbers a piece: five float32 buffers of it are 640 KiB, inside a second-level cache of 1 MiB.
Measured: steps in pieces of 16,384 take 8 % longer, in pieces of 4,096 50 %."""


class Optimizer(ABC):
    """A rule over a flat buffer of parameters, or over some spans of it.

    The calls of a step are laid out once; a step sets their scalars and runs them.

    Parameters
    ----------
    parameters, gradient : float arrays of shape (n,)
        The buffers to step and to read; the gradient's contents may be overwritten by a step.
    coefficient : float, optional
        The value of the setting that the moments depend on, see `setting`; by default the usual value.
    spans : sequence of slice, optional
        The parts of the buffers that are stepped; the whole buffers by default.
    moments : list of float arrays of shape (n,), optional
        The rule's running means, at least `n_moments` arrays; zeros by default.
    rates, decays : float or float array of shape (n,)
        Learning rate and weight decay, of all parameters or of each.

    Attributes
    ----------
    n_passes : int
        Operations of the rule on every parameter.
    """

    n_moments: ClassVar[int]
    loop: ClassVar[str]
    """The name of the rule in `nas.kernels.loops`."""
    setting: ClassVar[str | None] = None
    """The name of the setting that the moments depend on, such as "momentum"."""
    usual: ClassVar[float] = 0.0
    """The usual value of that setting; 0 without one."""
    decoupled_decay: ClassVar[bool] = False
    """Whether weight decay shrinks the weights directly instead of adding to the gradient."""
    squares: ClassVar[frozenset[int]] = frozenset()
    """Positions of the moments that are means of squared gradients."""

    def __init__(
        self,
        parameters: Floats,
        gradient: Floats,
        coefficient: float | None = None,
        *,
        spans: Sequence[slice] | None = None,
        moments: Sequence[Floats] | None = None,
        rates: Floats | float = 1.0,
        decays: Floats | float = 0.0,
    ) -> None:
        self.steps = 0
        if moments is None:
            moments = [zeros(parameters.size, parameters.dtype) for _ in range(self.n_moments)]
        cuts = [cut for span in spans or [slice(0, parameters.size)] for cut in _cut(span)]
        self._kind = parameters.dtype.type
        self.coefficient = self.usual if coefficient is None else coefficient
        # Laid-out calls hold these arrays of one number; a step only overwrites their contents. An operation
        # by an array without axes starts half a microsecond sooner than by a Python number.
        self._numbers = xp.asarray([0, 0, *self._constants()], self._kind)
        self._share, self._factor = (self._numbers[i : i + 1].reshape(()) for i in (0, 1))
        # One scratch for all pieces: they are worked through one after the other.
        longest = max(cut.stop - cut.start for cut in cuts)
        scratch = zeros(longest, self._kind)
        rates, decays = self._scalar(rates), self._scalar(decays).copy()  # `scale_decays` changes them
        rate_scratch = self._scalar(0) if rates.ndim == 0 else zeros(longest, self._kind)
        self._decay_factor, self._full_decays = 1.0, list[tuple[Floats, Floats]]()
        self._decays = [decays]
        self._decay: list[Call] = []
        self._step: list[Call] = []
        self._whole: list[Call] = []
        self.n_passes = 0
        for cut in cuts:
            p, g, s = parameters[cut], gradient[cut], scratch[: cut.stop - cut.start]
            rate = _part(rate_scratch, slice(0, cut.stop - cut.start))
            rule = self._lay_out(p, g, s, [m[cut] for m in moments[: self.n_moments]], rate)
            self.n_passes = len(rule)
            step: list[Call] = [(xp.multiply, (_part(rates, cut), self._factor, rate)), *rule]
            decay = self._lay_out_decay(p, g, s, _part(decays, cut), _part(rates, cut), rate)
            self._decay += decay
            arrays = (
                p,
                g,
                [m[cut] for m in moments[: self.n_moments]],
                _part(rates, cut),
                _part(decays, cut),
            )
            self._step += self._loop(*arrays, decays=False) or step
            # Decay and step of a piece directly after each other: the piece is in the cache.
            self._whole += self._loop(*arrays, decays=bool(decay)) or [*decay, *step]

    def _scalar(self, value: Floats | float) -> Floats:
        return xp.asarray(value, self._kind)

    def _constants(self) -> tuple[float, float, float]:
        """The numbers of the rule, in the order of its function in `nas.kernels.loops`."""
        return 0.0, 0.0, 0.0

    def _loop(
        self, p: Floats, g: Floats, moments: list[Floats], rates: Floats, decay: Floats, *, decays: bool
    ) -> list[Call]:
        """The whole rule on one piece in one loop, with the same bits; empty where NumPy does it."""
        kind = NO_DECAY
        if decays:
            kind = DECOUPLED if self.decoupled_decay else COUPLED
            if decay.ndim == 0:
                decay = xp.full(p.shape, decay)
                self._decays.append(decay)
        m, v = [*moments, g, g][:2]
        name = step_name(self.loop, kind, many_rates=rates.ndim > 0)
        call = kernels.call(name, p, g, m, v, rates.reshape(-1), decay.reshape(-1), self._numbers, p.size)
        return [call] if call else []

    def _lay_out_decay(
        self, p: Floats, g: Floats, s: Floats, decay: Floats, rates: Floats, rate: Floats
    ) -> list[Call]:
        """Add the decay to the gradient, or shrink the weights directly if decay is decoupled."""
        if not decay.any():
            return []
        calls: list[Call] = [(xp.multiply, (p, decay, s))]
        if not self.decoupled_decay:
            return [*calls, (xp.add, (g, s, g))]
        # p <- p - rate · decay · p, at the rate without the bias correction of the moments.
        calls += [(xp.multiply, (rates, self._share, rate)), (xp.multiply, (s, rate, s))]
        return [*calls, (xp.subtract, (p, s, p))]

    def scale_decays(self, factor: float) -> None:
        """Let the weight decays be this share of those given at first, until the next call."""
        if factor == self._decay_factor:
            return
        if not self._full_decays:
            self._full_decays = [(decays.copy(), decays) for decays in self._decays]
        for full, decays in self._full_decays:
            xp.multiply(full, factor, out=decays)
        self._decay_factor = factor

    def decay(self, factor: float) -> None:
        """Apply weight decay without a step, so that gradients can be clipped in between.

        `factor` multiplies the learning rates.
        """
        self._share[...] = factor
        run(self._decay)

    def step(self, factor: float, *, decay: bool = True) -> None:
        """Decay the weights and move the parameters once, against the gradient.

        `factor` multiplies the learning rates; `decay` is false if `decay` was called before.
        """
        self.steps += 1
        self._share[...] = factor
        self._factor[...] = factor * self._correction()
        run(self._whole if decay else self._step)

    def _correction(self) -> float:
        """Factor of the learning rate in this step, such as a bias correction."""
        return 1.0

    @classmethod
    def corrected(cls, coefficient: float) -> tuple[float, ...]:
        """Decay rates of the moments with bias correction, such as Adam's beta1 and beta2."""
        return ()

    @classmethod
    def converted(
        cls, moments: Sequence[Floats], steps: int, before: float, now: float
    ) -> tuple[Floats, ...]:
        """Moments under another value of the rule's setting; none where they are of no use for it.

        Parameters
        ----------
        moments : sequence of float arrays of shape (n,)
            Means over so many steps.
        steps : int
        before, now : float
            The setting of these moments, and that of the next steps.
        """
        return tuple(moments) if now == before else ()

    @abstractmethod
    def _lay_out(self, p: Floats, g: Floats, s: Floats, moments: list[Floats], rate: Floats) -> list[Call]:
        """The rule on one piece: parameters, gradient, scratch, moments, and the rate, all of one length."""


def _part(values: Floats, cut: slice) -> Floats:
    """The numbers of a piece; a single number holds for every piece."""
    return values if values.ndim == 0 else values[cut]


def _cut(span: slice) -> list[slice]:
    return [slice(i, min(i + PIECE, span.stop)) for i in range(span.start, span.stop, PIECE)]


class SGD(Optimizer):
    """p <- p - rate g."""

    n_moments = 0
    loop = "sgd"

    def _lay_out(self, p: Floats, g: Floats, s: Floats, moments: list[Floats], rate: Floats) -> list[Call]:
        return [(xp.multiply, (g, rate, s)), (xp.subtract, (p, s, p))]


class Momentum(Optimizer):
    """v <- momentum v + g; p <- p - rate v (Polyak 1964, in PyTorch's form)."""

    n_moments = 1
    loop = "momentum"
    setting, usual = "momentum", 0.9

    def _constants(self) -> tuple[float, float, float]:
        return self.coefficient, 0.0, 0.0

    def _lay_out(self, p: Floats, g: Floats, s: Floats, moments: list[Floats], rate: Floats) -> list[Call]:
        (v,) = moments
        return [
            (xp.multiply, (v, self._scalar(self.coefficient), v)),
            (xp.add, (v, g, v)),
            (xp.multiply, (v, rate, s)),
            (xp.subtract, (p, s, p)),
        ]


class Nesterov(Optimizer):
    """v <- momentum v + g; p <- p - rate (g + momentum v) (Sutskever et al. 2013, as in PyTorch)."""

    n_moments = 1
    loop = "nesterov"
    setting, usual = "momentum", 0.9

    def _constants(self) -> tuple[float, float, float]:
        return self.coefficient, 0.0, 0.0

    def _lay_out(self, p: Floats, g: Floats, s: Floats, moments: list[Floats], rate: Floats) -> list[Call]:
        # The gradient is that at p, not at the point ahead: the same rule in other variables.
        (v,), momentum = moments, self._scalar(self.coefficient)
        return [
            (xp.multiply, (v, momentum, v)),
            (xp.add, (v, g, v)),
            (xp.multiply, (v, momentum, s)),
            (xp.add, (s, g, s)),
            (xp.multiply, (s, rate, s)),
            (xp.subtract, (p, s, p)),
        ]


class RMSProp(Optimizer):
    """r <- 0.99 r + 0.01 g^2; p <- p - rate g / (sqrt(r) + 1e-8) (Tieleman & Hinton 2012)."""

    n_moments = 1
    loop = "rmsprop"
    squares = frozenset({0})

    def _constants(self) -> tuple[float, float, float]:
        return 0.99, 0.01, 1e-8

    def _lay_out(self, p: Floats, g: Floats, s: Floats, moments: list[Floats], rate: Floats) -> list[Call]:
        # As in PyTorch r is not corrected for its start at 0: the first steps are up to ten times as long.
        (r,) = moments
        return [
            (xp.multiply, (r, self._scalar(0.99), r)),
            (xp.multiply, (g, g, s)),
            (xp.multiply, (s, self._scalar(0.01), s)),
            (xp.add, (r, s, r)),
            (xp.sqrt, (r, s)),
            (xp.add, (s, self._scalar(1e-8), s)),
            (xp.divide, (g, s, s)),
            (xp.multiply, (s, rate, s)),
            (xp.subtract, (p, s, p)),
        ]


class Adam(Optimizer):
    """Kingma & Ba 2015, algorithm 1, with beta1 = 0.9, eps = 1e-8, and beta2 as the coefficient.

    The moments are stored without their factors (1 - beta), which go into the step's scalars
    instead: two passes over the buffers fewer, and the same numbers up to rounding.
    """

    n_moments = 2
    loop = "adam"
    setting, usual = "beta2", BETA2
    squares = frozenset({1})

    @classmethod
    def corrected(cls, coefficient: float) -> tuple[float, ...]:
        """See `Optimizer.corrected`."""
        return (0.9, coefficient)

    @classmethod
    def converted(
        cls, moments: Sequence[Floats], steps: int, before: float, now: float
    ) -> tuple[Floats, ...]:
        """The same v_hat under another beta2, so that the first step has the same lengths."""
        if now == before or not steps:
            return tuple(moments)
        m, v = moments
        return m, v * (_in_v_hat(before, steps) / _in_v_hat(now, steps))

    def _correction(self) -> float:
        # m_hat = m (1 - b1) / (1 - b1^t) and v_hat = v (1 - b2) / (1 - b2^t).
        b1, b2 = self.corrected(self.coefficient)
        root: float = ((1 - b2**self.steps) / (1 - b2)) ** 0.5
        # The division is by sqrt(v) without its factor, so eps is scaled likewise.
        self._eps[...] = 1e-8 * root
        return root * (1 - b1) / (1 - b1**self.steps)

    @cached_property
    def _eps(self) -> Floats:
        return self._numbers[-1:].reshape(())

    def _constants(self) -> tuple[float, float, float]:
        b1, b2 = self.corrected(self.coefficient)
        return b1, b2, 1e-8

    def _lay_out(self, p: Floats, g: Floats, s: Floats, moments: list[Floats], rate: Floats) -> list[Call]:
        (m, v), (b1, b2) = moments, self.corrected(self.coefficient)
        return [
            (xp.multiply, (m, self._scalar(b1), m)),
            (xp.add, (m, g, m)),
            (xp.multiply, (v, self._scalar(b2), v)),
            # The gradient is not read again: its memory takes the squares.
            (xp.multiply, (g, g, g)),
            (xp.add, (v, g, v)),
            (xp.sqrt, (v, s)),
            (xp.add, (s, self._eps, s)),
            (xp.divide, (m, s, s)),
            (xp.multiply, (s, rate, s)),
            (xp.subtract, (p, s, p)),
        ]


def _in_v_hat(beta2: float, steps: int) -> float:
    """The factor that Adam's bias-corrected second moment has beside the stored one."""
    return (1 - beta2) / (1 - beta2**steps)


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
