"""Networks in a cohort's buffer: copying their numbers in and out, and the parts that belong to each.

A network keeps its weights as (inputs, outputs), as textbooks do, one layer after the other; the buffer
has them as (outputs, inputs + 1), the layers of all members side by side. Copies are made when a cohort
is laid out, and for best and last states, but never in a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from nas.network.arrays import Floats, to_device, to_host
from nas.network.mlp import MLP
from nas.training.layout import Layout
from nas.training.views import member_views, waves_of


class Storage:
    """Networks without members of their own in the buffer of a layout, which passes read as well.

    `nas.training.sharing.Sharing` is the same for networks with members.

    Parameters
    ----------
    layout : Layout

    Attributes
    ----------
    size : int
        Numbers of the buffer.
    places : list of lists of Place
        For each network its layers; the last column of each has no weight decay.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.size, self.places = layout.size, layout.places

    def store(self, network: MLP, member: int, flat: Floats, source: Floats | None = None) -> None:
        """Copy a network's parameters, or `source` in their order, into a cohort's buffer."""
        numbers = network.parameters if source is None else source
        for own, batched in self._pairs(network, member, flat, numbers):
            batched[...] = to_device(own)

    def load(self, network: MLP, member: int, flat: Floats, target: Floats | None = None) -> None:
        """Copy a cohort's buffer into a network's parameters, or into `target` in their order."""
        numbers = network.parameters if target is None else target
        for own, batched in self._pairs(network, member, flat, numbers):
            own[...] = to_host(batched)

    def _pairs(
        self, network: MLP, member: int, flat: Floats, numbers: Floats
    ) -> Iterator[tuple[Floats, Floats]]:
        """Views of the same weights, and of the same biases, in the network's order and in the buffer."""
        batched_weights, batched_biases = member_views(self._layout, flat, member)
        weights, biases = network.views(numbers)
        for own, batched in zip(weights, batched_weights, strict=True):
            # Here weights are of shape (inputs, outputs), in the buffer of shape (outputs, inputs).
            yield own, batched.T
        yield from zip(biases, batched_biases, strict=True)
        if network.extras.has_front:
            scales, waves = network.architecture.front_views(numbers)
            yield scales, flat[self._layout.scales[member]]
            batched_waves = waves_of(self._layout, flat, member)
            yield from zip(waves[:-1], batched_waves[:-1], strict=True)
            yield waves.weights, batched_waves.weights[: network.sizes[1]].T
        if network.extras.has_units:
            places = self._layout.unit_places[member]
            for blends, gains, place in zip(*network.architecture.unit_views(numbers), places, strict=True):
                yield blends, flat[place.blends][: blends.size]
                yield gains, flat[place.gains][: gains.size]

    def set_units(self, flat: Floats) -> None:
        """Set the weights with which the wide product copies the inputs' ones into members' rows of ones."""
        layout = self._layout
        if layout.depth:
            numbers = flat[: layout.n_rows[1] * layout.n_rows[0]].reshape(layout.n_rows[1], -1)
            numbers[[layout.places[i][0].rows.stop for i in layout.members(1)], -1] = 1

    def spans(self, members: slice) -> list[slice]:
        """The parts of the buffer that belong to neighbouring members; all of it for all members."""
        layout = self._layout
        indices = range(len(layout.shapes))[members]
        if len(indices) == len(layout.shapes):
            # Padding and spare rows too: an operation on one long array costs less than on many parts.
            return [slice(0, layout.size)]
        spans = []
        for layer in range(1, layout.depth + 2):
            places = [place for i in indices for place in layout.places[i] if place.layer == layer]
            if places:
                spans.append(slice(places[0].numbers.start, places[-1].numbers.stop))
        fronts = [
            slice(own[indices[0]].start, own[indices[-1]].stop) for own in (layout.scales, layout.waves)
        ]
        return [span for span in (*spans, *fronts, *self._unit_spans(indices)) if span.start < span.stop]

    def _unit_spans(self, members: range) -> Iterator[slice]:
        """The blends and gains of neighbouring members, by layer."""
        places = [self._layout.unit_places[i] for i in members]
        for of_layer in zip_longest(*places):
            # Shallower members have no such layer.
            for own in zip(*filter(None, of_layer), strict=True):
                yield slice(own[0].start, own[-1].stop)

    def parts(self, member: int) -> list[slice]:
        """The parts of the buffer that belong to a member."""
        layout = self._layout
        numbers = [place.numbers for place in layout.places[member]]
        units = [part for place in layout.unit_places[member] for part in place]
        parts = [*numbers, layout.scales[member], layout.waves[member], *units]
        return [part for part in parts if part.start < part.stop]
