"""Geometry of a cohort: all parameters in one flat buffer, all units in a few arrays.

The units of a layer, of all members that have this layer, are rows of one array with the batch's examples
as columns; below each member's units lies a row of ones. So a layer is one product: its weights are a
matrix of shape (outputs, inputs + 1) with the bias as its last column, multiplied by the ones. These
matrices follow each other in the flat buffer. Neighbours of equal shape are a stack, and the first layer,
with inputs that all members share, is one wide matrix. A cohort of networks 5-8-3 and 5-16-8-3:

    array    rows                                        written by
    inputs   5 inputs, ones                              the batch
    layer 1  16 units of the deeper member, ones,        one wide product, of shape (96, 6): spare
             8 units of the other, ones, 70 spare        rows fill the array up to whole tiles
    layer 2  8 units of the deeper member, ones          a stack of one matrix, (8, 17)
    outputs  3 of the deeper member, 3 of the other      two stacks of one matrix, (3, 9): they read
                                                         layer 2 and layer 1

In a cohort of several, widths are rounded up so that more neighbours are equal. The weights of these
additional units are 0 on both sides, and stay 0: the units give nothing, and get no gradient.

Behind the last layer are the parameters in front of the first: factors of the inputs, and waves; see
`nas.training.front`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice, pairwise
from typing import NamedTuple

from nas.network.architecture import PLAIN, Front
from nas.network.arrays import ALIGNMENT, Floats, to_device, to_host
from nas.network.mlp import MLP
from nas.network.waves import Waves, n_numbers
from nas.training.products import LEAST, TILE

_UNITS = 8
"""In cohorts of several, widths are multiples of this: half a vector register of AVX-512 in float32."""

_NUMBERS = ALIGNMENT // 4
"""Layers begin at multiples of this many float32 numbers."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The structure of a member.

    `sizes` are its numbers of inputs, units of each hidden layer, and outputs; `padded` the same
    with the additional units of hidden layers; `activations` the names of the hidden layers' functions;
    `front` what lies in front of its first layer.
    """

    sizes: tuple[int, ...]
    padded: tuple[int, ...]
    activations: tuple[str, ...]
    front: Front = PLAIN

    @classmethod
    def of(
        cls, sizes: Sequence[int], activations: Sequence[str], *, tiled: bool, front: Front = PLAIN
    ) -> Shape:
        """The shape of a network in a cohort of several, `tiled`, or solo."""
        hidden = [-(-width // _UNITS) * _UNITS for width in sizes[1:-1]] if tiled else sizes[1:-1]
        return cls(tuple(sizes), (sizes[0], *hidden, sizes[-1]), tuple(activations), front)

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.activations)


class Place(NamedTuple):
    """Position of one layer of one member.

    `source` and `layer` number the arrays that it reads from and writes to, from 0, the inputs, to
    the outputs. `source_rows` and `rows` are its units there, without the row of ones. `numbers` are
    its weights and biases in the flat buffer, of the shape `shape`.
    """

    source: int
    source_rows: slice
    layer: int
    rows: slice
    numbers: slice
    shape: tuple[int, int]


Stack = tuple[int, int, int, int]
"""Members, source, outputs, and inputs + 1 of a stack of equal matrices."""


class FrontRun(NamedTuple):
    """Neighbours with first layers of equal shape, all of them with front scaling or none.

    `numbers` are their weights and biases, of the shape `shape`: (members, outputs, inputs + 1), rows of ones
    included; `scales` the factors of their inputs, empty without front scaling.
    """

    numbers: slice
    shape: tuple[int, int, int]
    scales: slice


class _Counts(NamedTuple):
    """The attributes of `Layout` that follow without the place of any member."""

    n_rows: list[int]
    size: int
    stack_counts: list[list[Stack]]
    run_counts: list[list[tuple[str, int]]]


class Layout:
    """Geometry of a cohort: counts at once, the places of members when they are first read.

    The planner compares hundreds of possible cohorts by their counts, and builds few of them.

    Parameters
    ----------
    shapes : sequence of Shape
        The members in their order. All have the same inputs and outputs.
    tiled : bool
        Whether the rows of the first hidden layer are rounded up to whole tiles, and to a minimum, so
        that a row's value does not depend on the number of rows; see `nas.training.products`.

    Attributes
    ----------
    depth : int
        Hidden layers of the deepest member; the arrays of units are numbered from 0, the inputs, over
        1 to `depth`, the hidden layers, to ``depth + 1``, the outputs.
    n_rows : list of int
        Rows of each array of units, rows of ones included.
    size : int
        Numbers of the flat buffer.
    stack_counts : list of lists of (members, source, outputs, inputs + 1)
        The stacks of each layer from the second to the outputs.
    run_counts : list of lists of (activation, rows)
        The runs of equal activations in each hidden layer, rows of ones between members included.
    """

    def __init__(self, shapes: Sequence[Shape], *, tiled: bool = False) -> None:
        self.shapes, self.tiled = tuple(shapes), tiled
        self.n_inputs, self.n_outputs = shapes[0].sizes[0], shapes[0].sizes[-1]
        # Planning counts members solo as often as cohorts: a member without neighbours is counted faster.
        counts = _counts(shapes, tiled) if tiled or len(shapes) > 1 else _solo_counts(shapes[0])
        self.n_rows, self._scales, self.stack_counts, self.run_counts = counts
        n_scales = sum([shape.front.has_scales for shape in shapes]) * self.n_inputs
        self.has_scales = n_scales > 0
        self._waves = self._scales + aligned(n_scales)
        self.size = self._waves + sum([_n_waves(shape) for shape in shapes if shape.front.periodic])
        self.depth = len(self.run_counts)

    @cached_property
    def places(self) -> list[list[Place]]:
        """Each member's layers, from the first hidden layer to the outputs."""
        places: list[list[Place]] = [[] for _ in self.shapes]
        # Layer by layer, and in each layer member by member: neighbours of a layer are adjacent in memory.
        end = 0
        for layer in range(1, self.depth + 2):
            row = 0
            for i in self.members(layer):
                place = self._place(i, layer, row, end, places[i])
                places[i].append(place)
                # Below the units of a hidden layer lies their row of ones.
                row, end = place.rows.stop + (layer <= self.depth), place.numbers.stop
                if layer == 1 <= self.depth:
                    end += place.shape[1]  # the weights of the row of ones; see `set_units`
            # Spare rows fill the first layer up to whole tiles.
            if layer == 1 <= self.depth:
                end = self.n_rows[1] * self.n_rows[0]
            end = aligned(end)
        return places

    @cached_property
    def scales(self) -> list[slice]:
        """The numbers of each member's factors of the inputs; none without front scaling."""
        stops = [self._scales]
        for shape in self.shapes:
            stops.append(stops[-1] + self.n_inputs * shape.front.has_scales)
        return [slice(start, stop) for start, stop in pairwise(stops)]

    @cached_property
    def waves(self) -> list[slice]:
        """The numbers of each member's waves; none without a periodic encoding."""
        stops = [self._waves]
        for shape in self.shapes:
            stops.append(stops[-1] + (_n_waves(shape) if shape.front.periodic else 0))
        return [slice(start, stop) for start, stop in pairwise(stops)]

    def waves_of(self, flat: Floats, member: int) -> Waves:
        """A member's waves as views of a buffer; their weights are of shape (outputs, sums), with padding."""
        shape = self.shapes[member]
        n, units = len(shape.front.periodic), shape.padded[1]
        views = Waves.of(flat[self.waves[member]], n, units)
        return views._replace(weights=views.weights.reshape(units, -1))

    @cached_property
    def front_groups(self) -> list[tuple[list[int], tuple[int, int, int]]]:
        """The members of each `FrontRun` and its shape; none if there is no member with front scaling."""
        if not self.has_scales:
            return []
        groups = groupby(range(len(self.shapes)), self._first_layer)
        # Below the units of a hidden layer lies their row of ones.
        return [
            (members := list(group), (len(members), outputs + is_hidden, self.n_inputs + 1))
            for (_, is_hidden, outputs), group in groups
        ]

    def _first_layer(self, member: int) -> tuple[bool, bool, int]:
        shape = self.shapes[member]
        return shape.front.has_scales, shape.depth > 0, shape.padded[1]

    def front_runs(self) -> Iterator[FrontRun]:
        """The layers that read the inputs, in runs; none if there is no member with front scaling."""
        for members, shape in self.front_groups:
            start = self.places[members[0]][0].numbers.start
            scales = slice(self.scales[members[0]].start, self.scales[members[-1]].stop)
            yield FrontRun(slice(start, start + math.prod(shape)), shape, scales)

    def _place(self, member: int, layer: int, row: int, number: int, before: Sequence[Place]) -> Place:
        widths = self.shapes[member].padded
        source = self.source(member, layer)
        outputs, inputs = widths[-1 if layer > self.depth else layer], widths[source]
        source_rows = before[-1].rows if source else slice(0, inputs)
        numbers = slice(number, number + outputs * (inputs + 1))
        return Place(source, source_rows, layer, slice(row, row + outputs), numbers, (outputs, inputs + 1))

    def members(self, layer: int) -> list[int]:
        """The members that have this layer; all members have the outputs."""
        everything = layer > self.depth
        return [i for i, shape in enumerate(self.shapes) if everything or layer <= shape.depth]

    def source(self, member: int, layer: int) -> int:
        """The layer that a member's layer reads from."""
        return self.shapes[member].depth if layer > self.depth else layer - 1

    def views(self, flat: Floats, member: int) -> tuple[list[Floats], list[Floats]]:
        """Weights, of shape (outputs, inputs), and biases of a member in a buffer, without padding."""
        sizes = self.shapes[member].sizes
        weights, biases = [], []
        for (inputs, outputs), place in zip(pairwise(sizes), self.places[member], strict=True):
            numbers = flat[place.numbers].reshape(place.shape)
            weights.append(numbers[:outputs, :inputs])
            biases.append(numbers[:outputs, -1])
        return weights, biases

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
        batched_weights, batched_biases = self.views(flat, member)
        weights, biases = network.views(numbers)
        for own, batched in zip(weights, batched_weights, strict=True):
            # Here weights are of shape (inputs, outputs), in the buffer of shape (outputs, inputs).
            yield own, batched.T
        yield from zip(biases, batched_biases, strict=True)
        if network.front:
            scales, waves = network.front.views(numbers, network.sizes)
            yield scales, flat[self.scales[member]]
            batched_waves = self.waves_of(flat, member)
            yield from zip(waves[:-1], batched_waves[:-1], strict=True)
            yield waves.weights, batched_waves.weights[: network.sizes[1]].T

    def wide(self, flat: Floats) -> Floats:
        """The first hidden layer of all members as one matrix: its product fills the first array.

        A solo member's row of ones needs no weights: it lies below all units, and is set once.
        """
        rows, inputs = self.n_rows[1] - (not self.tiled), self.n_rows[0]
        return flat[: rows * inputs].reshape(rows, inputs)

    def set_units(self, flat: Floats) -> None:
        """Set the weights with which the wide product copies the inputs' ones into members' rows of ones."""
        if self.depth:
            numbers = flat[: self.n_rows[1] * self.n_rows[0]].reshape(self.n_rows[1], -1)
            numbers[[self.places[i][0].rows.stop for i in self.members(1)], -1] = 1

    def stacks(self, layer: int) -> Iterator[list[Place]]:
        """The places of each stack of a layer from the second on, or of the outputs, in order."""
        # Outputs are the last layer of every member, at any depth.
        index = -1 if layer > self.depth else layer - 1
        places = (self.places[i][index] for i in self.members(layer))
        for n_members, *_ in self.stack_counts[-1 if layer > self.depth else layer - 2]:
            yield list(islice(places, n_members))

    def runs(self, layer: int) -> Iterator[tuple[str, slice]]:
        """Each activation of a hidden layer with the adjacent rows that have it."""
        start = 0
        for name, n_rows in self.run_counts[layer - 1]:
            yield name, slice(start, start + n_rows)
            start += n_rows + 1

    def fixed_rows(self, layer: int) -> dict[int, float]:
        """Rows of a hidden layer that are padding or ones, with the value that they must hold."""
        fixed: dict[int, float] = {}
        for i in self.members(layer):
            rows = self.places[i][layer - 1].rows
            fixed |= dict.fromkeys(range(rows.start + self.shapes[i].sizes[layer], rows.stop), 0.0)
            fixed[rows.stop] = 1.0
        return fixed

    def spans(self, members: slice) -> list[slice]:
        """The parts of the flat buffer that belong to neighbouring members; all of it for all members."""
        indices = range(len(self.shapes))[members]
        if len(indices) == len(self.shapes):
            return [slice(0, self.size)]
        spans = []
        for layer in range(1, self.depth + 2):
            places = [place for i in indices for place in self.places[i] if place.layer == layer]
            if places:
                spans.append(slice(places[0].numbers.start, places[-1].numbers.stop))
        fronts = [slice(own[indices[0]].start, own[indices[-1]].stop) for own in (self.scales, self.waves)]
        return [*spans, *(front for front in fronts if front.start < front.stop)]

    def parts(self, member: int) -> list[slice]:
        """The parts of the flat buffer that belong to a member."""
        return [*(place.numbers for place in self.places[member]), self.scales[member], self.waves[member]]


_Member = tuple[int, tuple[int, ...], tuple[str, ...]]
"""Depth, padded widths and activations."""


def _counts(shapes: Sequence[Shape], tiled: bool) -> _Counts:
    # Tuples: reading an attribute again and again would take three times as long.
    members = [(len(shape.activations), shape.padded, shape.activations) for shape in shapes]
    n_outputs = shapes[0].sizes[-1]
    # Outputs of members with equal last layers, side by side, are a stack.
    by_last_layer = groupby(members, lambda member: (member[0], member[1][-2] + 1))
    outputs = [(len(list(group)), depth, n_outputs, inputs) for (depth, inputs), group in by_last_layer]
    n_rows, size, stacks, runs = [shapes[0].sizes[0] + 1], 0, [], []
    for layer in range(1, max(members)[0] + 1):
        runs.append(_hidden_runs(members, layer))
        n_rows.append(sum([n + 1 for _, n in runs[-1]]))
        if layer == 1:
            n_rows[1] += _spare(n_rows[1]) * tiled
            size = aligned(n_rows[0] * n_rows[1])
        else:
            stacks.append(_hidden_stacks(members, layer))
            size = aligned(size + _n_numbers(stacks[-1]))
    n_rows.append(len(shapes) * n_outputs)
    return _Counts(n_rows, aligned(size + _n_numbers(outputs)), [*stacks, outputs], runs)


def _solo_counts(shape: Shape) -> _Counts:
    """The counts of a single member: no layer has neighbours."""
    widths, names = shape.padded, shape.activations
    layers = [(1, i, widths[i + 1], widths[i] + 1) for i in range(len(names) + 1)]
    size = 0
    for i, (_, _, outputs, inputs) in enumerate(layers):
        # The first hidden layer has one more row of weights, that of its row of ones.
        size += aligned((outputs + (i == 0 < len(names))) * inputs)
    n_rows = [widths[0] + 1, *[width + 1 for width in widths[1:-1]], widths[-1]]
    stacks = [[layer] for layer in layers[min(1, len(names)) :]]
    return _Counts(n_rows, size, stacks, [[run] for run in zip(names, widths[1:-1], strict=True)])


def _hidden_stacks(members: Sequence[_Member], layer: int) -> list[Stack]:
    """The stacks of a hidden layer from the second on.

    A shallower member between two deeper members separates the units that these read, so that
    their matrices cannot be stacked.
    """
    stacks: list[Stack] = []
    n_members, last = 0, (0, 0)
    for depth, widths, _ in members:
        if depth < layer - 1:
            continue
        shape = (widths[layer - 1], widths[layer]) if depth >= layer else (0, 0)
        if shape != last:
            if last[0]:
                stacks.append((n_members, layer - 1, last[1], last[0] + 1))
            n_members, last = 0, shape
        n_members += 1
    if last[0]:
        stacks.append((n_members, layer - 1, last[1], last[0] + 1))
    return stacks


def _hidden_runs(members: Sequence[_Member], layer: int) -> list[tuple[str, int]]:
    """The runs of a hidden layer: between two members of a run lies a row of ones."""
    runs: list[tuple[str, int]] = []
    n_rows, last = 0, ""
    for depth, widths, names in members:
        if depth < layer:
            continue
        if names[layer - 1] != last:
            if last:
                runs.append((last, n_rows - 1))
            n_rows, last = 0, names[layer - 1]
        n_rows += widths[layer] + 1
    return [*runs, (last, n_rows - 1)]


def _n_waves(shape: Shape) -> int:
    """The numbers of a member's waves, filled up so that those of the next member are aligned."""
    return aligned(n_numbers(len(shape.front.periodic), shape.padded[1]))


def _n_numbers(stacks: Sequence[Stack]) -> int:
    return sum([n_members * outputs * inputs for n_members, _, outputs, inputs in stacks])


def _spare(n_rows: int) -> int:
    """Additional rows that fill the first hidden layer up to whole tiles, and to the least number."""
    return max(n_rows + -n_rows % TILE, LEAST) - n_rows


def aligned(n_numbers: int) -> int:
    """The position, in numbers, at which the next layer begins."""
    return -(-n_numbers // _NUMBERS) * _NUMBERS
