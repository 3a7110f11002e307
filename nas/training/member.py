"""A member of a cohort: a network to train, with all that its training follows from, and its position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas.network.arrays import Floats, host
from nas.network.mlp import MLP
from nas.network.optimizers import OPTIMIZERS
from nas.network.state import State
from nas.training.config import TrainingConfig
from nas.training.shapes import Shape


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A network to train, with its settings, its dropout's random numbers, and its start.

    Attributes
    ----------
    network : MLP
        Trained in place.
    config : TrainingConfig
    rng : numpy.random.Generator, optional
        Draws the dropout masks, of no other network: the same generator gives the same masks in any
        cohort. By default it is seeded by the order of the batches.
    state : State, optional
        The start in place of the network's own parameters. Moments of another optimizer are not used;
        those of another beta2 are converted.
    fold : int
        The position of its fold in the data's; 0 where there are none.
    """

    network: MLP
    config: TrainingConfig
    rng: host.random.Generator | None = None
    state: State | None = None
    fold: int = 0

    @property
    def dropouts(self) -> tuple[float, ...]:
        """The dropout of each hidden layer."""
        return self.config.dropouts(len(self.network.activations))

    @property
    def rule(self) -> tuple[str, float]:
        """The optimizer, and its momentum or beta2; see `State`."""
        return _rule(self.config)

    @property
    def moments(self) -> tuple[Floats, ...]:
        """The optimizer's first moments; none: they are 0."""
        optimizer, coefficient = self.rule
        if self.state is None or not self.state.moments or self.state.rule[0] != optimizer:
            return ()
        before = self.state.rule[1]
        return OPTIMIZERS[optimizer].converted(self.state.moments, self.state.steps, before, coefficient)

    @property
    def steps(self) -> int:
        """The steps behind these moments."""
        return self.state.steps if self.state and self.moments else 0


def order(shape: Shape, config: TrainingConfig, steps: int = 0) -> tuple[Any, ...]:
    """A sort key that puts members side by side that can share operations.

    First by the optimizer, then by activation, parametric ones last, depth and widths: deeper members come
    first.
    """
    # The rule comes first: an optimizer works on whole spans of the buffer. The first activation comes next,
    # before the depth, as the first hidden layer is the only one that all but linear members have.
    of_shape = -shape.depth, shape.padded, shape.activations, shape.extras
    return (*_rule(config), steps), shape.activations[:1], shape.extras.is_parametric, *of_shape


def _rule(config: TrainingConfig) -> tuple[str, float]:
    """The optimizer, and its momentum or beta2; see `State`."""
    setting = OPTIMIZERS[config.optimizer].setting
    return config.optimizer, 0.0 if setting is None else getattr(config, setting)
