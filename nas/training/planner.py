"""The division of networks into cohorts, by their shapes, never by a clock.

The time of a cohort's step is predicted from its `work`: calls into the array library,
multiplications, operations on units and on parameters. Their costs were fitted to measured
steps by ``python -m benchmarks.engine --calibrate``, on the machine that the README names. On
another machine they are off by a factor, much the same for all, so that comparisons between a cohort and
its members solo hold; and being constants, they give the same cohorts on every machine. Tests hold the counts
to the calls that a cohort's passes really make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from operator import attrgetter, mul
from typing import Any, NamedTuple

from nas.network.activations import ACTIVATIONS
from nas.network.architecture import n_parameters
from nas.network.arrays import zeros
from nas.network.extras import Extras
from nas.network.optimizers import OPTIMIZERS, PIECE
from nas.network.waves import N_SUMS, N_WAVES
from nas.training.config import TrainingConfig, shared
from nas.training.layout import Layout
from nas.training.member import order
from nas.training.products import CACHED as CACHED_OPERAND
from nas.training.products import PANEL
from nas.training.rates import rates_of
from nas.training.shapes import Shape
from nas.training.sharing import COPYING, n_calls, n_shared
from nas.training.units import BLEND_CALLS, NORM_CALLS, SKIP_CALLS

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
"""Members of a cohort, at most: more save little, and a killed worker loses the work of all members."""

_SMOOTHING = 20
"""Calls of smoothed labels in a step; measured: 19 to 32 microseconds, with 1 to 8 members."""

_ON_A_WAVE = 14
"""Operations on a wave in a step: a cosine and a sine count for four each."""

_MARGIN = 0.95
"""The largest share of its parts' expected time that a cohort may take: predictions err by some per cent."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A network that is not built yet.

    Sizes, activations, training settings, members, inputs with waves, and whether there are skip connections,
    and layer norm.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    config: TrainingConfig
    members: int = 1
    periodic: tuple[int, ...] = ()
    has_skips: bool = False
    is_normalized: bool = False

    @property
    def extras(self) -> Extras:
        """What the network has beside its layers."""
        config = self.config
        has_scales, is_parametric = config.front_scaling > 0, config.parametric_activation > 0
        return Extras(has_scales, self.periodic, is_parametric, self.has_skips, self.is_normalized)


def plan(plans: Sequence[Plan], most: int = MOST) -> list[list[int]]:
    """Divide networks into cohorts, solo networks included.

    Parameters
    ----------
    plans : sequence of Plan
        Networks of the same inputs, outputs and loss.
    most : int
        Members of a cohort, at most.

    Returns
    -------
    list of lists of int
        Positions in `plans`, each once; the cohort with the longest expected epoch first.
    """
    # Neighbours by size: a joint step saves overhead, the largest share of a small network's step.
    by_size = sorted(range(len(plans)), key=lambda i: (_n_parameters(plans[i]), plans[i].activations, i))
    cohorts = []
    for settings in dict.fromkeys(map(_settings, plans)):
        members = [i for i in by_size if _settings(plans[i]) == settings]
        # The members of networks count too: layers of many fill memory, and save nothing more.
        at_once = max(1, most // plans[members[0]].members)
        for start, stop, step in _cut([plans[i] for i in members], at_once):
            cohort = members[start:stop]
            # Smaller batches mean more steps an epoch.
            cohorts.append((step / plans[cohort[0]].config.batch_size, sorted(cohort)))
    cohorts.sort(key=lambda cohort: -cohort[0])
    return [cohort for _, cohort in cohorts]


def _settings(plan: Plan) -> tuple[object, ...]:
    """The values that must be equal in a cohort."""
    return *shared(plan.config), plan.members


def _cut(plans: Sequence[Plan], most: int) -> list[tuple[int, int, float]]:
    """The cheapest division of a row of networks into cohorts of neighbours, by dynamic programming.

    A cohort must save enough: its cost counts as more than the expected time, by `_MARGIN`. Cohorts have
    a power of two as their number of members; all numbers would be cheaper by a hundredth, and take
    five times as long to plan. Each cohort is its start, its stop, and the expected microseconds of a step.
    """
    numbers = sorted({min(2**i, most) for i in range(most.bit_length() + 1)} | {min(len(plans), most)})
    solo = [_Member.of(plan, tiled=False) for plan in plans]
    tiled = [_Member.of(plan, tiled=True) for plan in plans]
    # The members' order is the same in any cohort: positions are cheaper to compare than ranks.
    by_rank = sorted(range(len(plans)), key=lambda i: tiled[i].rank)
    places = {i: place for place, i in enumerate(by_rank)}
    # costs[i] is the least cost of the first i networks, cuts[i] the start and step of their last cohort.
    costs, cuts = [0.0], [(0, 0.0)]
    for stop in range(1, len(plans) + 1):
        options = []
        for start in [stop - n for n in numbers if n <= stop]:
            if stop - start == 1:
                step = margined = _predicted([solo[start]])
            else:
                cohort = sorted(range(start, stop), key=places.__getitem__)
                step = _predicted([tiled[i] for i in cohort])
                margined = step / _MARGIN
            options.append((costs[start] + margined, start, step))
        best, start, step = min(options)
        costs.append(best)
        cuts.append((start, step))
    # Back from the end, along the best start of each last cohort.
    cohorts, stop = [], len(plans)
    while stop:
        start, step = cuts[stop]
        cohorts.append((start, stop, step))
        stop = start
    return cohorts[::-1]


def predicted(plans: Sequence[Plan]) -> float:
    """The expected microseconds of a step of these networks as one cohort."""
    return _predicted(_members(plans))


def work(plans: Sequence[Plan]) -> dict[str, float]:
    """The amounts of work in a step of these networks as one cohort, by the names of `COSTS`.

    calls: into the array library; products: additions and multiplications in matrix products; units:
    operations on single activations; parameters: operations on single parameters; uncached:
    parameters beyond the second-level cache.
    """
    return dict(zip(COSTS, _work(_members(plans)), strict=True))


class _Member(NamedTuple):
    """The facts about a member that its cohort's work follows from; `rank` gives its position.

    `clipped` is the number of buffer slices that gradient clipping takes the norm of; 0 without clipping.
    """

    shape: Shape
    rank: tuple[Any, ...]
    rows: int
    dropouts: tuple[float, ...] | None
    passes: int
    rates: frozenset[float]
    decays: bool
    smooths: bool
    clipped: int
    copies: int

    @classmethod
    def of(cls, plan: Plan, *, tiled: bool) -> _Member:
        config = plan.config
        is_tiled = tiled or plan.members > 1
        shape = Shape.of(plan.sizes, plan.activations, tiled=is_tiled, extras=plan.extras)
        dropouts = tuple(config.dropouts(shape.depth))
        return cls(
            shape,
            order(shape, config),
            config.batch_size,
            dropouts if any(dropouts) else None,
            _passes(config.optimizer),
            frozenset(rates_of(config, plan.sizes, plan.extras).different(plan.extras)),
            config.weight_decay > 0,
            config.label_smoothing > 0,
            _n_parts(shape, plan.members) if config.clip_norm else 0,
            plan.members,
        )


def _members(plans: Sequence[Plan]) -> list[_Member]:
    """The members of one cohort, in their order."""
    return sorted((_Member.of(plan, tiled=len(plans) > 1) for plan in plans), key=attrgetter("rank"))


def _predicted(members: Sequence[_Member]) -> float:
    return float(sum(map(mul, COSTS.values(), _work(members))))


def _work(members: Sequence[_Member]) -> tuple[float, ...]:
    """The amounts of `work`, in the order of `COSTS`, of members in their order."""
    rows, copies = members[0].rows, members[0].copies
    computed = members if copies == 1 else [member for member in members for _ in range(copies)]
    layout = Layout([member.shape for member in computed], tiled=len(computed) > 1)
    product_calls, products = _product_work(layout, rows)
    unit_calls, units = _unit_work(layout, rows, [m.dropouts for m in computed if m.dropouts is not None])
    size = layout.size if copies == 1 else sum(n_shared(member.shape, copies) for member in members)
    # Rates of one number take fewer operations than an array of rates; decay, which biases have none of,
    # is an array whenever there is decay.
    passes = max([member.passes for member in members])
    rates = frozenset[float]().union(*(member.rates for member in members))
    passes += 2 * (len(rates) > 1)
    passes += 2 * any(member.decays for member in members)
    n_rules = len({member.rank[0] for member in members})
    # Members of several optimizers are several spans of each layer, each at least one piece.
    pieces = max(-(-size // PIECE), n_rules * (layout.depth + 1) if n_rules > 1 else 1)
    # Parameters beyond the cache count in full from twice its size on, and linearly up to there.
    uncached = size * min(1.0, max(0.0, size / CACHED - 1))
    # Three calls of every step: copying the batch, the output function, scaling the loss's gradient.
    calls = 3.0 + product_calls + unit_calls + passes * pieces
    calls += _SMOOTHING * any(member.smooths for member in members)
    # The norm of each part, and a product where it is too long.
    calls += 2 * sum(member.clipped for member in members)
    front_calls, on_first_layers = _factor_work(layout)
    wave_calls, wave_products, on_waves = _wave_work(layout, rows)
    calls, products, units = calls + front_calls + wave_calls, products + wave_products, units + on_waves
    on_parameters = passes * size + on_first_layers
    if copies > 1:
        calls += 1 + sum(n_calls(member.shape) for member in members)
        on_parameters += COPYING * layout.size
    return 1.0, calls, products, units, on_parameters, uncached


def _product_work(layout: Layout, rows: int) -> tuple[float, float]:
    """Calls, and multiplications and additions, of all matrix products of a step."""
    calls, products, n_inputs = 0.0, 0.0, layout.n_rows[0]
    if layout.depth:
        wide = layout.n_rows[1]
        in_panels = n_inputs * rows <= CACHED_OPERAND and wide > PANEL
        # Forward and by the weights; a rest that fills no panel is a call of its own.
        calls += 2 * (2 if in_panels and wide % PANEL else 1)
        products += 4 * rows * n_inputs * wide
    for stacks in layout.stack_counts:
        for n_members, source, outputs, inputs in stacks:
            # Forward, by the weights, by the inputs; these last are data if there is no layer below.
            calls += 3
            products += (6 if source else 4) * rows * n_members * outputs * inputs
    return calls, products


def _unit_work(layout: Layout, rows: int, dropouts: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Calls and operations of activations, masks, skips and norms; `dropouts` are of members with any."""
    calls, units = 0.0, 0.0
    for layer, runs in enumerate(layout.run_counts):
        for name, n_units, is_parametric in runs:
            operations = ACTIVATIONS[name].operations + BLEND_CALLS * is_parametric
            calls += operations
            units += operations * rows * n_units
        # A mask for each member that drops units here, drawn by four calls; all of them are applied by one
        # call in each pass.
        if dropouts and (n_masks := sum([any(shares[layer : layer + 1]) for shares in dropouts])):
            calls += 4 * n_masks + 2
            units += 10 * rows * layout.n_rows[layer + 1]
        if skips := list(layout.skip_groups(layer + 1)):
            # A copy of the units, where no mask makes one.
            calls += 1 + SKIP_CALLS * len(skips)
            units += rows * layout.n_rows[layer + 1]
            units += SKIP_CALLS * rows * sum(gains.stop - gains.start for _, gains in skips)
        for members in layout.norm_groups(layer + 1):
            shapes = [layout.shapes[i] for i in members]
            width = shapes[0].padded[layer + 1]
            is_padded = any(shape.sizes[layer + 1] < width for shape in shapes)
            calls += NORM_CALLS + 2 * is_padded
            units += (NORM_CALLS / 2 + 2 * is_padded) * rows * len(members) * width
    return calls, units


def _factor_work(layout: Layout) -> tuple[float, float]:
    """Calls of front scaling, and operations on the weights of layers that read the inputs."""
    calls, operations = 0.0, 0.0
    for members, shape in layout.front_groups:
        # With factors, two calls forward and three backward; without, a copy beside such as have them.
        has_scales = layout.shapes[members[0]].extras.has_scales
        calls += 5 if has_scales else 1
        operations += (5 if has_scales else 1) * prod(shape)
    return calls, operations


def _wave_work(layout: Layout, rows: int) -> tuple[float, float, float]:
    """Calls, products, and operations on units of waves."""
    with_waves = [shape for shape in layout.shapes if shape.extras.periodic]
    calls, products, units = 0.0, 0.0, 0.0
    for shape in with_waves:
        n = len(shape.extras.periodic)
        calls += 16
        products += 6 * rows * n * N_SUMS * (N_WAVES + shape.padded[1])
        units += _ON_A_WAVE * rows * n * N_WAVES
    return calls + len({shape.extras.periodic for shape in with_waves}), products, units


def _n_parts(shape: Shape, members: int) -> int:
    """The parts of a cohort's buffer that belong to a network."""
    if members > 1:
        return shape.depth + 2  # its layers, and the members' factors
    extras, of_units = shape.extras, [n for counts in shape.unit_counts for n in counts]
    return shape.depth + 1 + extras.has_scales + bool(extras.periodic) + sum(n > 0 for n in of_units)


def _n_parameters(plan: Plan) -> int:
    return n_parameters(plan.sizes, plan.members)


@cache
def _passes(optimizer: str) -> int:
    """Operations of an optimizer on every parameter, counted in its list of calls."""
    return OPTIMIZERS[optimizer](zeros(1, "f"), zeros(1, "f")).n_passes
