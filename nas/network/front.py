"""What lies in front of a first layer under change, for `nas.network.morphism`.

Front scaling: a first layer that multiplies inputs by s computes W (s * x) = (W * s) x. Its factors go into
its weights before a change of structure, and are taken out of them afterwards, so that the function stays the
same. The gradient by W is that by W * s, times s: moments follow.

Waves: the sums of waves that the first layer reads are inputs of it. Added waves have no effect until the
first step; of removed waves the lines nearest to them remain.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nas.network.arrays import Array, Floats, host
from nas.network.layers import Layer, empty_numbers
from nas.network.waves import N_SUMS, Waves, n_numbers

LEAST = 1e-3
"""Factors of a smaller size begin at 1 again: the weights behind them cannot be told from rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """The factors of the inputs.

    Attributes
    ----------
    numbers : float64 array of shape (1 + moments, inputs)
        Factors, and their moments; moments of new factors are NaN until they are estimated.
    squares : collection of int
        Positions of the moments that are means of squared gradients.
    """

    numbers: Floats
    squares: Collection[int]

    @classmethod
    def ones(cls, n_moments: int, n_inputs: int, squares: Collection[int]) -> Factors:
        """New factors."""
        numbers = host.full((1 + n_moments, n_inputs), host.nan)
        numbers[0] = 1
        return cls(numbers, squares)

    @classmethod
    def folded(cls, parts: Sequence[Floats], squares: Collection[int], layer: Layer) -> Factors:
        """The factors and moments of a network, after they were multiplied into its first layer."""
        factors = cls(host.stack(parts), squares)
        small = host.abs(factors.numbers[0]) < LEAST
        layer.numbers[0, :-1] *= factors.numbers[0][:, host.newaxis]
        factors.numbers[0, small] = 1
        layer.numbers[1:, :-1] /= factors._of_moments()
        # Moments under a factor of nearly 0 are of another scale: they are estimated anew.
        for moments in (layer.numbers[1:, :-1], factors.numbers[1:]):
            moments[:, small] = host.nan
        return factors

    def of_inputs(self, origins: Array) -> Factors:
        """The factors of a child's inputs, by their positions among the parent's; -1 for an added input."""
        numbers = self.numbers[:, origins]
        added = origins < 0
        numbers[0, added], numbers[1:, added] = 1, host.nan
        return Factors(numbers, self.squares)

    def unfold(self, layer: Layer) -> None:
        """Take the factors out of a first layer."""
        layer.numbers[0, :-1] /= self.numbers[0][:, host.newaxis]
        layer.numbers[1:, :-1] *= self._of_moments()

    def _of_moments(self) -> Floats:
        """What the moments of a weight are multiplied by, of shape (moments, inputs, 1)."""
        scales = self.numbers[0]
        factors = [scales**2 if i in self.squares else scales for i in range(len(self.numbers) - 1)]
        result: Floats = host.array(factors).reshape(len(factors), len(scales), 1)
        return result

    def estimated(self, moment: int, weights: Floats, of_weights: Floats) -> Floats:
        """A moment of each factor; of new ones by the moments of weights, of shape (inputs, outputs).

        The gradient by a factor is the sum over outputs of weights times their gradients. Its square is at
        most that of the sum of their sizes: too small a mean would make first steps very long.
        """
        most = (host.sqrt(host.abs(of_weights)) * host.abs(weights)).sum(axis=1) ** 2
        new = most if moment in self.squares else host.zeros_like(most)
        own = self.numbers[1 + moment]
        result: Floats = host.where(host.isfinite(own), own, new)
        return result


def with_sums(layer: Layer, weights: Floats) -> None:
    """Give a first layer further inputs, the sums of waves, behind its own.

    `weights` and their moments are of shape (1 + moments, sums, units).
    """
    layer.numbers = host.concatenate([layer.numbers[:, :-1], weights, layer.numbers[:, -1:]], axis=1)


def without_sums(layer: Layer, n_inputs: int) -> Floats:
    """Take the sums of waves from the inputs of a first layer: their numbers, as in `with_sums`."""
    numbers = layer.numbers
    layer.numbers = empty_numbers(layer, n_inputs)
    layer.numbers[:, :-1] = numbers[:, :n_inputs]
    sums: Floats = numbers[:, n_inputs:-1]
    return sums


def new_waves(n: int, n_moments: int, units: int, rng: host.random.Generator) -> tuple[Floats, Floats]:
    """Waves of n numbers without effect: their own numbers, and those of the sums; moments are NaN.

    Returns
    -------
    numbers : array of shape (1 + moments, frequencies, phases and sums)
    weights : array of shape (1 + moments, n · sums, units)
    """
    numbers = host.full((1 + n_moments, n_numbers(n, 0)), host.nan)
    Waves.of(numbers[0], n, 0).initialize(rng)
    weights = host.full((1 + n_moments, n * N_SUMS, units), host.nan)
    weights[0] = 0
    return numbers, weights


def remove_waves(layer: Layer, waves: Floats, places: Sequence[int], n_inputs: int) -> None:
    """Replace the sums of waves of the inputs at these places by lines."""
    weights = without_sums(layer, n_inputs)[0]
    slopes, heights = Waves.of(waves[0], len(places), 0).lines()
    of_numbers = weights.reshape(len(places), N_SUMS, -1)
    layer.numbers[0, list(places)] += host.einsum("ns,nsu->nu", slopes, of_numbers)
    layer.numbers[0, -1] += heights.reshape(-1) @ weights
