"""The periodic encoding of numbers, trained with the network (PBLD, Holzmüller et al. 2024).

    z = cos(2 pi w x + b),   u = V z

for each number x among the inputs, with 16 waves z and three sums u of them, which the first layer reads
beside x. Frequencies w and phases b are trained at a tenth of the learning rate.
"""

from __future__ import annotations

from typing import NamedTuple

from nas.network.arrays import Floats, host

N_WAVES, N_SUMS = 16, 3
"""Waves of a number, and sums of them that the first layer reads."""

RATE = 0.1
"""The factor of the learning rate for frequencies and phases."""

FREQUENCY = 0.1
"""The standard deviation of the frequencies at first, in waves for each unit of a scaled number."""

TURN = 2 * host.pi


class Waves(NamedTuple):
    """The parameters of n numbers, or what is as many: a gradient, or moments.

    Attributes
    ----------
    frequencies, phases : arrays of shape (n, waves)
    sums : array of shape (n, sums, waves)
        The weights of waves in the sums.
    weights : array of shape (n · sums, units)
        Those of the first layer for the sums.
    """

    frequencies: Floats
    phases: Floats
    sums: Floats
    weights: Floats

    @classmethod
    def of(cls, flat: Floats, n: int, units: int) -> Waves:
        """Views of the first `n_numbers(n, units)` numbers of a flat array."""
        cuts = host.cumsum([n * N_WAVES, n * N_WAVES, n * N_SUMS * N_WAVES, n * N_SUMS * units])
        frequencies, phases, sums, weights = host.split(flat[: cuts[-1]], cuts[:-1])
        return cls(
            frequencies.reshape(n, N_WAVES),
            phases.reshape(n, N_WAVES),
            sums.reshape(n, N_SUMS, N_WAVES),
            weights.reshape(n * N_SUMS, units),
        )

    def initialize(self, rng: host.random.Generator) -> None:
        """Draw frequencies, phases and sums; the first layer draws its weights itself."""
        self.frequencies[...] = rng.normal(0, FREQUENCY, self.frequencies.shape)
        self.phases[...] = rng.uniform(-host.pi, host.pi, self.phases.shape)
        # Within 1 / sqrt(waves): the variance of a sum does not grow with the number of waves.
        self.sums[...] = rng.uniform(-1, 1, self.sums.shape) / N_WAVES**0.5

    def angles(self, x: Floats) -> Floats:
        """The waves' angles for numbers of shape (rows, n): an array of shape (rows, n, waves)."""
        turn = x.dtype.type(TURN)
        result: Floats = x[..., host.newaxis] * (turn * self.frequencies) + self.phases
        return result

    def read(self, angles: Floats) -> Floats:
        """The sums, of shape (rows, n · sums)."""
        sums: Floats = host.einsum("rnw,nsw->rns", host.cos(angles), self.sums)
        return sums.reshape(len(angles), -1)

    def fill_gradient(self, parameters: Waves, x: Floats, slopes: Floats) -> None:
        """Fill these views with the gradient.

        Parameters
        ----------
        parameters : Waves
        x : array of shape (rows, n)
        slopes : array of shape (rows, units)
            The gradient by the first layer's linear outputs.
        """
        angles = parameters.angles(x)
        self.weights[...] = parameters.read(angles).T @ slopes
        of_sums = (slopes @ parameters.weights.T).reshape(len(x), -1, N_SUMS)
        self.sums[...] = host.einsum("rns,rnw->nsw", of_sums, host.cos(angles))
        of_angles = -host.sin(angles) * host.einsum("rns,nsw->rnw", of_sums, parameters.sums)
        self.phases[...] = of_angles.sum(axis=0)
        self.frequencies[...] = TURN * (of_angles * x[..., host.newaxis]).sum(axis=0)

    def lines(self) -> tuple[Floats, Floats]:
        """Slopes and heights, of shape (n, sums), of the lines nearest to the sums of a standard normal x."""
        rates = TURN * self.frequencies
        # For a standard normal x, E[cos(r x + b)] = exp(-r² / 2) cos(b); and the slope of the nearest line is
        # the mean of the derivative (Stein's lemma), -r exp(-r² / 2) sin(b).
        damped = host.exp(-0.5 * rates**2)
        slopes = host.einsum("nw,nsw->ns", -rates * damped * host.sin(self.phases), self.sums)
        return slopes, host.einsum("nw,nsw->ns", damped * host.cos(self.phases), self.sums)

    def codes(self) -> tuple[Floats, Floats, Floats]:
        """The waves as inputs of a plain first layer: frequencies, in radians, phases, and weights.

        Returns
        -------
        frequencies, phases : arrays of shape (n, waves)
        weights : array of shape (n · waves, units)
            The sums are linear, and go into the weights.
        """
        n = len(self.sums)
        units = self.weights.shape[1]
        of_units = self.weights.reshape(n, N_SUMS, units)
        weights = host.einsum("nsw,nsu->nwu", self.sums, of_units).reshape(n * N_WAVES, units)
        return TURN * self.frequencies, self.phases, weights


def n_numbers(n: int, units: int) -> int:
    """The parameters for n numbers in front of a first layer of so many units."""
    return n * (2 * N_WAVES + N_SUMS * N_WAVES + N_SUMS * units)
