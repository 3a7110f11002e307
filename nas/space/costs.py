"""Costs of a network in use, computed from its genome: parameters, FLOPs, latency; and limits on them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from nas.errors import InputError
from nas.genome import INPUT_GENES, Encoding, Genome
from nas.network.activations import ACTIVATIONS, DEFAULT_ACTIVATION
from nas.space.space import SearchSpace

COSTS = ("parameters", "flops", "latency")
"""Costs that can be limited, and minimized beside the error."""

_LAYER = 1.4
"""Microseconds of one row through a layer, its size and activation aside; measured as `cost_model` says."""

_BLEND, _SKIP = 1.2, 1.9
"""The same for the parametric activations of a layer, and for its skip connection."""

_FLOPS_A_MICROSECOND = 30_000.0
"""Measured as `cost_model` says."""

_OVERHEAD = 6500.0
"""FLOPs that take as long as the part of a training step that does not depend on the size. Measured: a layer
of 32 units between 18 inputs and 4 outputs takes a fifteenth of the time of 256-256, which has 32 times the
FLOPs, trained solo or in a cohort."""

_LATENCIES: dict[str | None, float] = {name: activation.latency for name, activation in ACTIVATIONS.items()}
_LATENCIES[None] = ACTIVATIONS[DEFAULT_ACTIVATION].latency

_MANY = 4096
"""Size of the cache of costs: a search reads the costs of a child several times."""


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of one network.

    Attributes
    ----------
    parameters : int
        Weights and biases; see `Genome.n_parameters`.
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
        """The cost of a training step for each row, in FLOPs of predicting a row, overhead included."""
        return self.flops + _OVERHEAD


CostModel = Callable[[Genome], Costs]


def cost_model(n_inputs: int | Mapping[Encoding, int], n_outputs: int) -> CostModel:
    """Return a function that computes the costs of genomes between the given numbers of inputs and outputs.

    The inputs are those of all encodings, or of each.

    Latency is an estimate by the same constants everywhere, so that a search decides the same on every
    machine: 1.4 µs a layer, a number of microseconds for each activation, and 30,000 floating-point
    operations a microsecond, measured with the exported network on one core of a Xeon. The estimate
    orders networks; absolute times differ between machines.
    """

    @lru_cache(maxsize=_MANY)
    def costs(genome: Genome) -> Costs:
        inputs = n_inputs if isinstance(n_inputs, int) else n_inputs[genome.encoding]
        parameters, flops = genome.n_parameters(inputs, n_outputs), genome.n_flops(inputs, n_outputs)
        activations = sum(map(_LATENCIES.__getitem__, genome.activations))
        units = _BLEND * genome.depth * genome.is_parametric + _SKIP * (genome.depth - 1) * genome.has_skips
        calls = genome.n_members * (_LAYER * (genome.depth + 1) + activations) + units
        return Costs(parameters, flops, round(calls + flops / _FLOPS_A_MICROSECOND, 3))

    return costs


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits on the costs of a network; None stands for no limit.

    Parameters
    ----------
    parameters, flops, latency : float, optional
        See `Costs`; units are theirs.
    """

    parameters: float | None = None
    flops: float | None = None
    latency: float | None = None

    def __iter__(self) -> Any:
        """Iterate over the limits that are set, as pairs of name and number."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return iter([(name, value) for name, value in values if value is not None])

    def allow(self, costs: Costs) -> bool:
        """Return whether a network of these costs is within all limits."""
        return all(getattr(costs, name) <= limit for name, limit in self)

    def smallest(self, space: SearchSpace, model: CostModel) -> Genome:
        """Return the genome with fewest parameters that is within the limits, of the narrowest of each depth.

        At a given depth every cost grows with every width, so that only the narrowest have to be checked, in
        each encoding of inputs.

        Raises
        ------
        InputError
            If no genome of the space is within the limits.
        """
        narrowest = [genome for depth in space.depths for genome in _narrowest(space, depth)]
        allowed = [genome for genome in narrowest if self.allow(model(genome))]
        if allowed:
            return min(allowed, key=lambda genome: model(genome).parameters)
        limits = ", ".join(f"at most {limit:g} {_UNITS[name]}" for name, limit in self)
        least = ", ".join(
            f"{min(getattr(model(genome), name) for genome in narrowest):g} {_UNITS[name]}"
            for name, _ in self
        )
        raise InputError(
            f"limits: expected some genome of space {space.name} to be within {limits}, got none; the least "
            f"there is: {least}"
        )

    def to_dict(self) -> dict[str, float]:
        """Return the limits that are set as plain values for JSON."""
        return dict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, float]) -> Limits:
        """Return the limits that `to_dict` wrote."""
        return cls(**record)


_UNITS = {"parameters": "parameters", "flops": "FLOPs", "latency": "µs of latency"}


def _narrowest(space: SearchSpace, depth: int) -> list[Genome]:
    """Return the genomes of least cost at this depth, one for each combination of the genes of inputs."""
    genes = {key: values[0] for key, values in space.genes.items()}
    if "activation" in genes:
        genes["activation"] = min(space.activation, key=lambda name: ACTIVATIONS[name].latency)
    carried = [key for key in INPUT_GENES if key in genes]
    combinations = itertools.product(*(space.genes[key] for key in carried))
    return [
        Genome(space.widths_tuple[:1] * depth, **genes | dict(zip(carried, values, strict=True)))
        for values in combinations
    ]
