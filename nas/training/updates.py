"""The optimizers of a cohort: which members share one, on which parts of the buffers, and at which rates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nas.network.arrays import DTypeLike, Floats, zeros
from nas.network.optimizers import OPTIMIZERS, Optimizer
from nas.training.layout import Layout, Place
from nas.training.member import Member
from nas.training.rates import Values, decays_of, rates_of
from nas.training.sharing import Part, Sharing
from nas.training.storage import Storage
from nas.training.views import waves_of


def lay_out_optimizers(
    members: Sequence[Member],
    layout: Layout,
    storage: Storage | Sharing,
    parameters: Floats,
    gradient: Floats,
    moments: Sequence[Floats],
) -> list[Optimizer]:
    """One optimizer for each run of members with the same rule and as many steps.

    `nas.training.member.order` sorts members by rule first, so that each optimizer's numbers are few spans.

    Parameters
    ----------
    members : sequence of Member
        In their order.
    layout : Layout
    storage : Storage or Sharing
    parameters, gradient : float arrays of shape (storage.size,)
    moments : sequence of float arrays of shape (storage.size,)
        As many as the optimizer with most of them needs; others leave their parts untouched.
    """
    kinds = [(*member.rule, member.steps) for member in members]
    optimizers = []
    for name, coefficient, steps in dict.fromkeys(kinds):
        first = kinds.index((name, coefficient, steps))
        group = range(first, first + kinds.count((name, coefficient, steps)))
        settings = [(members[i].config, members[i].network.sizes, members[i].network.extras) for i in group]
        spread = partial(_spread, group, members, layout, storage, parameters.dtype)
        optimizer = OPTIMIZERS[name](
            parameters,
            gradient,
            coefficient,
            spans=storage.spans(slice(group.start, group.stop)),
            moments=moments,
            rates=spread([rates_of(*of_member) for of_member in settings]),
            decays=spread([decays_of(*of_member) for of_member in settings]),
        )
        # Rules that correct their means by the number of steps go on from that of the members' states.
        optimizer.steps = steps
        optimizers.append(optimizer)
    return optimizers


def _spread(
    group: range,
    members: Sequence[Member],
    layout: Layout,
    storage: Storage | Sharing,
    dtype: DTypeLike,
    values: Sequence[Values],
) -> Floats | float:
    """One number for all parameters of a group of members, or an array if members, or their kinds, differ."""
    different: set[float] = set()
    for i, value in zip(group, values, strict=True):
        # Kinds that a member does not have do not count: one number takes fewer operations than an array.
        different |= value.different(members[i].network.extras)
    if len(different) == 1:
        return different.pop()
    result = zeros(storage.size, dtype)
    for i, value in zip(group, values, strict=True):
        _fill(result, value, storage.places[i])
        if members[i].network.extras.has_front:
            _fill_front(result, value, layout, i)
        if members[i].network.extras.has_units:
            for place in layout.unit_places[i]:
                result[place.blends], result[place.gains] = value.blends, value.gains
    return result


def _fill(result: Floats, values: Values, places: Sequence[Place | Part]) -> None:
    """Write a member's numbers into an array with one for each parameter."""
    # Padding between the layers keeps a rate of 0: its gradients are 0 in any case.
    # Of networks with members the last place is that of factors, which are all last columns.
    weights, n_layers = (*values.weights, values.factors), len(values.weights)
    for layer, (place, weight) in enumerate(zip(places, weights, strict=False)):
        numbers = result[place.numbers].reshape(place.shape)
        numbers[:, :-1], numbers[:, -1] = weight, values.biases if layer < n_layers else values.factors


def _fill_front(result: Floats, values: Values, layout: Layout, member: int) -> None:
    """Write the numbers of what lies in front of a member's first layer; see `_fill`."""
    result[layout.scales[member]] = values.scales
    own = (values.waves, values.waves, values.sums, values.weights[0])
    for part, value in zip(waves_of(layout, result, member), own, strict=True):
        part[...] = value
