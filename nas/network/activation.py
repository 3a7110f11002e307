"""The description of an activation: its function, its derivative, and the facts that other rooms read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from nas import kernels
from nas.network.arrays import Floats, xp
from nas.network.calls import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An activation function, its derivative, and the facts that other rooms read.

    ``forward(z, a)`` writes f(z) into `a`; ``backward(da, z, a)`` multiplies `da`, the gradient of the
    loss by the activations, by f'(z) in place. Most derivatives follow from `a`; only if
    `needs_input` is true is `z` kept, and otherwise `a` may be the very array that `z` was.
    All arrays of a call have the same shape, which may be any.

    Attributes
    ----------
    name : str
        As in genomes, settings and saved models.
    forward, backward : callable
        Function and derivative.
    needs_input : bool
        Whether `backward` reads `z`, so that `a` must not overwrite it.
    initializer : str
        The initial weights that suit the activation; see `nas.network.initializers`.
    low, high : float
        Bounds of f(z).
    linear_from : float, optional
        f(z) = linear_slope · z for z at or above it, up to `linear_error`; None: nowhere.
    linear_slope : float
    linear_error : float
        The largest |f(z) - linear_slope · z| there; 0: exactly linear.
    pair_factor : float, optional
        f(z) - f(-z) = pair_factor · z for all z; None: not proportional to z.
    small_slope : (float, float), optional
        A scale of inputs at which a saturating activation is nearly linear, and its slope at 0.
    operations : int
        Calls into the array library of `forward` and `backward` together; at least 1.
    latency : float
        Microseconds of one row, of up to 256 units, through the exported network's function, as measured
        on one core of a Xeon; see `nas.space.costs`.
    formula : str
        The function as an expression that export formats translate; see `nas.network.formula`.
    forward_loops, backward_loops : callable, optional
        Lay out calls of compiled loops in place of `forward` and `backward`, with the same bits; see
        `nas.network.fused`.
    """

    name: str
    forward: Callable[[Floats, Floats], None]
    backward: Callable[[Floats, Floats, Floats], None]
    needs_input: bool = False
    initializer: str
    low: float = -math.inf
    high: float = math.inf
    linear_from: float | None = None
    linear_slope: float = 1.0
    linear_error: float = 0.0
    pair_factor: float | None = None
    small_slope: tuple[float, float] | None = None
    operations: int
    latency: float
    formula: str
    forward_loops: Callable[[Floats, Floats, Floats | None], list[Call]] | None = None
    backward_loops: Callable[[Floats, Floats, Floats, Floats | None], list[Call]] | None = None

    def lay_out_forward(self, z: Floats, a: Floats, gate: Floats | None = None) -> list[Call]:
        """Calls that do `forward` on these arrays of shape (numbers,).

        `gate` is memory of that shape, in which loops may leave what `lay_out_backward` needs again.
        """
        loops = self.forward_loops(z, a, gate) if self.forward_loops and kernels.is_loaded() else []
        return loops or [(self.forward, (z, a))]

    def lay_out_backward(self, da: Floats, z: Floats, a: Floats, gate: Floats | None = None) -> list[Call]:
        """Calls that do `backward` on these arrays of shape (numbers,).

        `gate` is the memory that `lay_out_forward` was given; its calls have run since `z` changed.
        """
        loops = self.backward_loops(da, z, a, gate) if self.backward_loops and kernels.is_loaded() else []
        return loops or [(self.backward, (da, z, a))]

    def at(self, value: float) -> float:
        """f(value)."""
        z, a = xp.full(1, value), xp.empty(1)
        self.forward(z, a)
        return float(a[0])
