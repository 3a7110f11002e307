"""Learning rates and weight decays of a network's kinds of parameters, as its settings ask for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from nas.network.extras import Extras
from nas.network.optimizers import OPTIMIZERS
from nas.network.waves import N_SUMS, RATE
from nas.training.config import TrainingConfig


class Values(NamedTuple):
    """A learning rate or a weight decay for each kind of a network's parameters.

    `weights` has a number for each layer, first to last. `scales` is that of the factors of the inputs,
    `waves` that of frequencies and phases, `sums` of the weights of waves in their sums, `factors` of the
    members' own, `blends` and `gains` of hidden units: not all networks have these.
    """

    weights: tuple[float, ...]
    biases: float
    scales: float
    waves: float
    sums: float
    factors: float
    blends: float
    gains: float

    def different(self, extras: Extras) -> set[float]:
        """The different values of the parameters that a network has.

        The members' factors have the value of others: rates that of plain weights, decays that of biases.
        """
        found = {*self.weights, self.biases, self.factors}
        found |= {self.scales} if extras.has_scales else set()
        found |= {self.waves, self.sums} if extras.periodic else set()
        found |= {self.blends} if extras.is_parametric else set()
        found |= {self.gains} if extras.has_skips else set()
        return found


def rates_of(config: TrainingConfig, sizes: Sequence[int], extras: Extras) -> Values:
    """The learning rates of a network of these sizes.

    Under the parametrization "ntk" a layer computes ``W / sqrt(inputs)`` (Jacot et al. 2018), of which an
    adaptive optimizer's step is as long as one of the weights themselves at ``rate / sqrt(inputs)``. Sums of
    waves are then trained as slowly as the waves (Holzmüller et al. 2024).
    """
    rate = config.learning_rate
    weights = tuple(rate / root for root in _roots(config, sizes, extras))
    sums = rate * RATE if config.parametrization == "ntk" else rate
    scales, blends = rate * config.front_scaling, rate * config.parametric_activation
    return Values(weights, rate * config.bias_rate, scales, rate * RATE, sums, rate, blends, rate)


def decays_of(config: TrainingConfig, sizes: Sequence[int], extras: Extras) -> Values:
    """The weight decays: decoupled ones shrink weights by rate times decay under either parametrization."""
    decay, weights = config.weight_decay, (config.weight_decay,) * (len(sizes) - 1)
    if OPTIMIZERS[config.optimizer].decoupled_decay:
        # The step is multiplied by the rate of the layer, which has the root as its divisor.
        weights = tuple(decay * root for root in _roots(config, sizes, extras))
    # Decay pulls towards 0, where a bias, a factor of 1 or a frequency has no reason to be.
    return Values(weights, 0.0, 0.0, 0.0, decay, 0.0, 0.0, 0.0)


def _roots(config: TrainingConfig, sizes: Sequence[int], extras: Extras) -> list[float]:
    """What the rate of each layer's weights is divided by."""
    if config.parametrization == "standard":
        return [1.0] * (len(sizes) - 1)
    first = sizes[0] + N_SUMS * len(extras.periodic)
    return [float(inputs**0.5) for inputs, _ in pairwise((first, *sizes[1:]))]
