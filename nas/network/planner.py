"""Which networks train together, and which alone: decided from their shapes, never by a clock.

A step of a cohort is predicted from what it consists of (`work`): calls into the array library,
multiplications, passes over units and over parameters. The costs of these were fitted to measured
steps by ``python -m benchmarks.engine --calibrate``, on the machine that the README names. On
another machine they are off by a factor, much the same for all, so that comparisons between a cohort and
its members alone hold; and being constants, they give the same cohorts on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from operator import attrgetter, mul
from typing import Any, NamedTuple

from nas.network.arrays import zeros
from nas.network.cohort import order
from nas.network.config import TrainingConfig, shared
from nas.network.layout import Outline, Shape, padded
from nas.network.optimizers import OPTIMIZERS, PIECE
from nas.network.products import CACHED as CACHED_OPERAND
from nas.network.products import PANEL

COSTS = {
    "steps": 13.5,
    "calls": 0.97,
    "products": 10.2e-6,
    "units": 0.244e-3,
    "parameters": 0.122e-3,
    "uncached": 0.429e-3,
}
"""Microseconds for each unit of `work`."""

CACHED = 100_000
"""Parameters that stay in a second-level cache of 2 MiB, with gradient and two moments."""

MOST = 32
"""Members of a cohort, at most: more save little, and lose all together when a worker dies."""

_MARGIN = 0.95
"""A cohort has to be expected to take less than this share of its parts' time."""

_OPERATIONS = {
    "identity": 1,
    "sigmoid": 7,
    "tanh": 4,
    "relu": 3,
    "leaky_relu": 5,
    "elu": 7,
    "gelu": 27,
    "silu": 13,
    "softplus": 10,
}
"""Calls of both passes through each activation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a network before it is built: its sizes, activations, and how it is trained."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    config: TrainingConfig


def plan(plans: Sequence[Plan], most: int = MOST) -> list[list[int]]:
    """Divide networks into cohorts, those alone included.

    Parameters
    ----------
    plans : sequence of Plan
        Networks of the same inputs, outputs and loss.
    most : int
        Members of a cohort, at most.

    Returns
    -------
    list of lists of int
        Positions in `plans`, each once; the cohort that is expected to take longest first.
    """
    # Neighbours by size: what joins is worth most where everything else is small.
    by_size = sorted(range(len(plans)), key=lambda i: (_n_parameters(plans[i]), plans[i].activations, i))
    cohorts = []
    for kind in dict.fromkeys(shared(one.config) for one in plans):
        members = [i for i in by_size if shared(plans[i].config) == kind]
        for start, stop, step in _cut([plans[i] for i in members], most):
            cohort = members[start:stop]
            # An epoch has the more steps, the smaller its batches are.
            cohorts.append((step / plans[cohort[0]].config.batch_size, sorted(cohort)))
    cohorts.sort(key=lambda cohort: -cohort[0])
    return [cohort for _, cohort in cohorts]


def _cut(plans: Sequence[Plan], most: int) -> list[tuple[int, int, float]]:
    """The cheapest way to cut a row of networks into cohorts of neighbours, by dynamic programming.

    What is together must be worth it: it costs a little more in this sum than it is expected to. Cohorts
    of all numbers of members would be cheaper by a hundredth, and take five times as long to think of.
    Each cohort is its start, its stop, and what a step of it is expected to take.
    """
    numbers = sorted({min(2**i, most) for i in range(most.bit_length() + 1)} | {min(len(plans), most)})
    alone = [_Member.of(one, in_company=False) for one in plans]
    together = [_Member.of(one, in_company=True) for one in plans]
    # Of any cohort the order in which its members lie, cheaper to compare than their ranks.
    by_rank = sorted(range(len(plans)), key=lambda i: together[i].rank)
    places = {i: place for place, i in enumerate(by_rank)}
    costs, cuts = [0.0], [(0, 0.0)]
    for stop in range(1, len(plans) + 1):
        options = []
        for start in [stop - n for n in numbers if n <= stop]:
            if stop - start == 1:
                step = margined = _predicted([alone[start]])
            else:
                cohort = sorted(range(start, stop), key=places.__getitem__)
                step = _predicted([together[i] for i in cohort])
                margined = step / _MARGIN
            options.append((costs[start] + margined, start, step))
        best, start, step = min(options)
        costs.append(best)
        cuts.append((start, step))
    found, stop = [], len(plans)
    while stop:
        start, step = cuts[stop]
        found.append((start, stop, step))
        stop = start
    return found[::-1]


def predicted(plans: Sequence[Plan]) -> float:
    """Microseconds that a step of these networks as one cohort is expected to take."""
    return _predicted(_members(plans))


def work(plans: Sequence[Plan]) -> dict[str, float]:
    """What a step of these networks as one cohort consists of; see `COSTS`.

    calls: into the array library; products: additions and multiplications in matrix products; units:
    operations on single activations; parameters: operations on single parameters; uncached:
    parameters that have to come from beyond the second-level cache.
    """
    return dict(zip(COSTS, _work(_members(plans)), strict=True))


class _Member(NamedTuple):
    """What the work of a cohort needs to know of one that is in it; `rank` says where it lies."""

    shape: Shape
    rank: tuple[Any, ...]
    rows: int
    dropouts: tuple[float, ...] | None
    passes: int
    learning_rate: float
    decays: bool

    @classmethod
    def of(cls, one: Plan, *, in_company: bool) -> _Member:
        shape, config = Shape(one.sizes, padded(one.sizes, 1 + in_company), one.activations), one.config
        dropouts = tuple(config.dropouts(shape.depth))
        return cls(
            shape,
            order(shape, config),
            config.batch_size,
            dropouts if any(dropouts) else None,
            _passes(config.optimizer),
            config.learning_rate,
            config.weight_decay > 0,
        )


def _members(plans: Sequence[Plan]) -> list[_Member]:
    """Those of one cohort, in the order in which they lie."""
    return sorted((_Member.of(one, in_company=len(plans) > 1) for one in plans), key=attrgetter("rank"))


def _predicted(members: Sequence[_Member]) -> float:
    return float(sum(map(mul, COSTS.values(), _work(members))))


def _work(members: Sequence[_Member]) -> tuple[float, ...]:
    """The amounts of `work`, in the order of `COSTS`, of members in the order in which they lie."""
    n_rows, size, stacks, runs = Outline.of([one.shape for one in members], in_tiles=len(members) > 1)
    depth, rows = len(runs), members[0].rows
    masked = [one.dropouts for one in members if one.dropouts is not None]
    n_inputs, calls, products, units = n_rows[0], 3.0, 0.0, 0.0
    if depth:
        wide = n_rows[1]
        in_panels = n_inputs * rows <= CACHED_OPERAND and wide > PANEL
        calls += 2 * (2 if in_panels and wide % PANEL else 1)
        products += 4 * rows * n_inputs * wide
    for of_layer in stacks:
        for n, source, outputs, inputs in of_layer:
            calls += 3
            products += (6 if source else 4) * rows * n * outputs * inputs
    for layer, its in enumerate(runs):
        for name, n in its:
            operations = _OPERATIONS[name]
            calls += operations
            units += operations * rows * n
        # Of those who drop units here, a mask each; the masks go into all units at once.
        if masked and (n_masks := sum([any(shares[layer : layer + 1]) for shares in masked])):
            calls += 4 * n_masks + 2
            units += 10 * rows * n_rows[layer + 1]
    # One number for all costs less than one for each; decay is never the biases'.
    passes = max([one.passes for one in members])
    passes += 2 * (len({one.learning_rate for one in members}) > 1)
    passes += 2 * any(one.decays for one in members)
    n_rules = len({one.rank[0] for one in members})
    pieces = max(-(-size // PIECE), n_rules * (depth + 1) if n_rules > 1 else 1)
    uncached = size * min(1.0, max(0.0, size / CACHED - 1))
    return 1.0, calls + passes * pieces, products, units, passes * size, uncached


def _n_parameters(one: Plan) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(one.sizes))


@cache
def _passes(optimizer: str) -> int:
    """Operations of an optimizer on every parameter."""
    return OPTIMIZERS[optimizer](zeros(1, "f"), zeros(1, "f")).n_passes
