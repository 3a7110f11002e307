"""What a network costs in use, told from its genome: parameters, operations, latency; and limits on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from nas.errors import InputError
from nas.genome import Genome
from nas.network.activations import ACTIVATIONS
from nas.space.space import SearchSpace

COSTS = ("parameters", "flops", "latency")
"""What can be limited, and minimized beside the error."""

_LAYER = 1.4
_FLOPS_A_MICROSECOND = 30_000.0
_OVERHEAD = 6500.0
"""FLOPs of which training takes as long as what does not depend on the size: one layer of 32 between 18
inputs and 4 outputs takes a fifteenth of 256-256, of 32 times the FLOPs, alone or in a cohort."""

_MANY = 4096
"""Genomes whose costs are remembered: a search asks for those of a child again and again."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one network costs.

    Attributes
    ----------
    parameters : int
        Weights and biases.
    flops : int
        Floating-point operations of predicting one row; see `Genome.n_flops`.
    latency : float
        Microseconds that predicting one encoded row is expected to take; see `cost_model`.
    """

    parameters: int
    flops: int
    latency: float

    @property
    def effort(self) -> float:
        """What a step of training takes for each row, in FLOPs of predicting one, overhead included."""
        return self.flops + _OVERHEAD


CostModel = Callable[[Genome], Costs]


def cost_model(n_inputs: int, n_outputs: int) -> CostModel:
    """The costs of genomes between the given numbers of inputs and outputs.

    Latency is an estimate by the same constants everywhere, so that it decides the same on every
    machine: 1.4 µs a layer, a number of microseconds for each activation, and 30,000 floating-point
    operations a microsecond, as measured of the exported network on one core of a Xeon. It orders
    networks rightly; what your machine takes, only a clock tells.
    """

    @lru_cache(maxsize=_MANY)
    def costs(genome: Genome) -> Costs:
        parameters, flops = genome.n_parameters(n_inputs, n_outputs), genome.n_flops(n_inputs, n_outputs)
        activations = sum(ACTIVATIONS[name or "relu"].latency for name in genome.activations)
        calls = _LAYER * (genome.depth + 1) + activations
        return Costs(parameters, flops, round(calls + flops / _FLOPS_A_MICROSECOND, 3))

    return costs


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a network may cost; None: no limit. See `Costs`.

    Raises
    ------
    InputError
        On a limit that is no number above 0.
    """

    parameters: float | None = None
    flops: float | None = None
    latency: float | None = None

    def __post_init__(self) -> None:
        for name, most in self:
            if isinstance(most, bool) or not isinstance(most, (int, float)) or not 0 < most < float("inf"):
                raise InputError(f"max_{name}: expected a number above 0, got {most!r}")

    def __iter__(self) -> Any:
        """The limits that there are, as pairs of name and number."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return iter([(name, value) for name, value in values if value is not None])

    def allow(self, costs: Costs) -> bool:
        """Whether a network of these costs may be tried."""
        return all(getattr(costs, name) <= most for name, most in self)

    def smallest(self, space: SearchSpace, model: CostModel) -> Genome:
        """A genome of the space that is within the limits: the one with fewest parameters that is.

        At a given depth every cost grows with every width, so that only the narrowest need a look.

        Raises
        ------
        InputError
            If there is none: the limits, or limits and space, contradict each other.
        """
        narrowest = [_narrowest(space, depth) for depth in space.depths]
        allowed = [genome for genome in narrowest if self.allow(model(genome))]
        if allowed:
            return min(allowed, key=lambda genome: model(genome).parameters)
        asked = ", ".join(f"at most {most:g} {_UNITS[name]}" for name, most in self)
        least = ", ".join(
            f"{min(getattr(model(genome), name) for genome in narrowest):g} {_UNITS[name]}"
            for name, _ in self
        )
        raise InputError(
            f"limits: expected some genome of space {space.name} to be within {asked}, got none; the least "
            f"there is: {least}"
        )

    def to_dict(self) -> dict[str, float]:
        """The limits that there are."""
        return dict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, float]) -> Limits:
        """The limits that `to_dict` wrote."""
        return cls(**record)


_UNITS = {"parameters": "parameters", "flops": "FLOPs", "latency": "µs of latency"}


def _narrowest(space: SearchSpace, depth: int) -> Genome:
    genes = {key: values[0] for key, values in space.genes.items()}
    if "activation" in genes:
        genes["activation"] = min(space.activation, key=lambda name: ACTIVATIONS[name].latency)
    return Genome(space.widths_tuple[:1] * depth, **genes)
