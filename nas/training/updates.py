"""The optimizers of a cohort: which members share one, on which parts of the buffers, and at which rates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from nas.network.arrays import DTypeLike, Floats, zeros
from nas.network.optimizers import OPTIMIZERS, Optimizer
from nas.network.waves import RATE
from nas.training.config import TrainingConfig
from nas.training.layout import Layout, Place
from nas.training.member import Member
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
        configs = [members[i].config for i in group]
        spread = partial(_spread, group, members, layout, storage, parameters.dtype)
        optimizer = OPTIMIZERS[name](
            parameters,
            gradient,
            coefficient,
            spans=storage.spans(slice(group.start, group.stop)),
            moments=moments,
            rates=spread([_rates(config) for config in configs]),
            decays=spread([_decays(config) for config in configs]),
        )
        # Rules that correct their means by the number of steps go on from that of the members' states.
        optimizer.steps = steps
        optimizers.append(optimizer)
    return optimizers


class _Values(NamedTuple):
    """A learning rate or a weight decay for each kind of a member's parameters.

    `scales` is that of the factors of the inputs, `waves` that of frequencies and phases, `blends` and
    `gains` those of hidden units: not all members have these.
    """

    weights: float
    biases: float
    scales: float
    waves: float
    blends: float
    gains: float


def _rates(config: TrainingConfig) -> _Values:
    rate = config.learning_rate
    scales, blends = rate * config.front_scaling, rate * config.parametric_activation
    return _Values(rate, rate, scales, rate * RATE, blends, rate)


def _decays(config: TrainingConfig) -> _Values:
    # Decay pulls towards 0, where a bias, a factor of 1 or a frequency has no reason to be.
    return _Values(config.weight_decay, 0.0, 0.0, 0.0, 0.0, 0.0)


def _spread(
    group: range,
    members: Sequence[Member],
    layout: Layout,
    storage: Storage | Sharing,
    dtype: DTypeLike,
    values: Sequence[_Values],
) -> Floats | float:
    """One number for all parameters of a group of members, or an array if members, or their kinds, differ."""
    different: set[float] = set()
    for i, value in zip(group, values, strict=True):
        extras = members[i].network.extras
        # Kinds that a member does not have do not count: one number takes fewer operations than an array.
        different |= {value.weights, value.biases}
        different |= {value.scales} if extras.has_scales else set()
        different |= {value.waves} if extras.periodic else set()
        different |= {value.blends} if extras.is_parametric else set()
        different |= {value.gains} if extras.has_skips else set()
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


def _fill(result: Floats, values: _Values, places: Sequence[Place | Part]) -> None:
    """Write a member's numbers into an array with one for each parameter."""
    # Padding between the layers keeps a rate of 0: its gradients are 0 in any case.
    for place in places:
        numbers = result[place.numbers].reshape(place.shape)
        numbers[:, :-1], numbers[:, -1] = values.weights, values.biases


def _fill_front(result: Floats, values: _Values, layout: Layout, member: int) -> None:
    """Write the numbers of what lies in front of a member's first layer; see `_fill`."""
    result[layout.scales[member]] = values.scales
    own = (values.waves, values.waves, values.weights, values.weights)
    for part, value in zip(waves_of(layout, result, member), own, strict=True):
        part[...] = value
