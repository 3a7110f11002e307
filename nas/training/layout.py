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
`nas.training.front`. Then come, layer by layer, those of hidden units: the blends of all members' parametric
activations, a number for each row, and the gains of their skip connections; see `nas.training.units`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, groupby, islice, pairwise
from typing import NamedTuple

from nas.training.shapes import Shape, aligned, counts, n_wave_numbers


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


class Run(NamedTuple):
    """Adjacent rows of a hidden layer with the same activation.

    `blends` are the numbers of these rows in the flat buffer, where the activation is parametric.
    """

    name: str
    rows: slice
    blends: slice | None


class UnitPlace(NamedTuple):
    """The numbers of the units of one hidden layer of one member; empty where it has none."""

    blends: slice
    gains: slice


class FrontRun(NamedTuple):
    """Neighbours with first layers of equal shape, all of them with front scaling or none.

    `numbers` are their weights and biases, of the shape `shape`: (members, outputs, inputs + 1), rows of ones
    included; `scales` the factors of their inputs, empty without front scaling.
    """

    numbers: slice
    shape: tuple[int, int, int]
    scales: slice


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
    run_counts : list of lists of (activation, rows, whether parametric)
        The runs of equal activations in each hidden layer, rows of ones between members included.
    has_skips, has_norms : bool
        Whether a member has skip connections, and whether one has layer norm.
    """

    def __init__(self, shapes: Sequence[Shape], *, tiled: bool = False) -> None:
        self.shapes, self.tiled = tuple(shapes), tiled
        self.n_inputs, self.n_outputs = shapes[0].sizes[0], shapes[0].sizes[-1]
        self.n_rows, self._scales, self.stack_counts, self.run_counts = counts(shapes, tiled=tiled)
        n_scales = sum([shape.extras.has_scales for shape in shapes]) * self.n_inputs
        self.has_scales = n_scales > 0
        self._waves = self._scales + aligned(n_scales)
        self._units = self._waves + sum([n_wave_numbers(shape) for shape in shapes if shape.extras.periodic])
        self.has_skips = any(shape.extras.has_skips for shape in shapes)
        self.has_norms = any(shape.extras.is_normalized for shape in shapes)
        with_units = [shape.unit_counts for shape in shapes if shape.extras.has_units]
        self.size = aligned(self._units + sum([sum(map(sum, unit_counts)) for unit_counts in with_units]))
        self.depth = len(self.run_counts)

    @cached_property
    def places(self) -> list[list[Place]]:
        """Each member's layers, from the first hidden layer to the outputs."""
        places: list[list[Place]] = [[] for _ in self.shapes]
        # Layer by layer, and in each layer member by member: neighbours of a layer are adjacent in memory,
        # and the first layers of all members, at the start of the buffer, are one matrix.
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
            stops.append(stops[-1] + self.n_inputs * shape.extras.has_scales)
        return [slice(start, stop) for start, stop in pairwise(stops)]

    @cached_property
    def waves(self) -> list[slice]:
        """The numbers of each member's waves; none without a periodic encoding."""
        stops = [self._waves]
        for shape in self.shapes:
            stops.append(stops[-1] + (n_wave_numbers(shape) if shape.extras.periodic else 0))
        return [slice(start, stop) for start, stop in pairwise(stops)]

    @cached_property
    def unit_places(self) -> list[list[UnitPlace]]:
        """The numbers of each member's hidden units, by layer."""
        places: list[list[UnitPlace]] = [[] for _ in self.shapes]
        counts_of = [shape.unit_counts for shape in self.shapes]
        start = self._units
        for layer in range(1, self.depth + 1):
            members = self.members(layer)
            kinds: list[list[slice]] = []
            # All blends of a layer before all gains: those of neighbours are one slice.
            for kind in range(2):
                stops = list(accumulate((counts_of[i][kind][layer - 1] for i in members), initial=start))
                kinds.append([slice(*pair) for pair in pairwise(stops)])
                start = stops[-1]
            for i, blends, gains in zip(members, *kinds, strict=True):
                places[i].append(UnitPlace(blends, gains))
        return places

    def skip_groups(self, layer: int) -> Iterator[tuple[list[Place], slice]]:
        """Neighbours of a stack of a hidden layer that have skip connections, and their gains."""
        if layer == 1 or not self.has_skips:
            return
        members = iter(self.members(layer))
        for stack in self.stacks(layer):
            pairs = list(zip(islice(members, len(stack)), stack, strict=True))
            for has_skips, group in groupby(pairs, key=lambda pair: self.shapes[pair[0]].extras.has_skips):
                if has_skips:
                    neighbours, places = zip(*group, strict=True)
                    gains = [self.unit_places[i][layer - 1].gains for i in neighbours]
                    yield list(places), slice(gains[0].start, gains[-1].stop)

    def norm_groups(self, layer: int) -> Iterator[list[int]]:
        """Neighbours of equal width in a hidden layer, padding included, that have layer norm."""
        if not self.has_norms:
            return

        def kind(i: int) -> tuple[bool, int]:
            return self.shapes[i].extras.is_normalized, self.shapes[i].padded[layer]

        for (is_normalized, _), group in groupby(self.members(layer), kind):
            if is_normalized:
                yield list(group)

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
        return shape.extras.has_scales, shape.depth > 0, shape.padded[1]

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

    def stacks(self, layer: int) -> Iterator[list[Place]]:
        """The places of each stack of a layer from the second on, or of the outputs, in order."""
        # Outputs are the last layer of every member, at any depth.
        index = -1 if layer > self.depth else layer - 1
        places = (self.places[i][index] for i in self.members(layer))
        for n_members, *_ in self.stack_counts[-1 if layer > self.depth else layer - 2]:
            yield list(islice(places, n_members))

    def runs(self, layer: int) -> Iterator[Run]:
        """Each activation of a hidden layer with the adjacent rows that have it."""
        start = 0
        for name, n_rows, is_parametric in self.run_counts[layer - 1]:
            rows = slice(start, start + n_rows)
            yield Run(name, rows, _blends(self, layer, rows) if is_parametric else None)
            start += n_rows + 1

    def fixed_rows(self, layer: int) -> dict[int, float]:
        """Rows of a hidden layer that are padding or ones, with the value that they must hold."""
        # Another number than 0 in a row of padding would meet weights of 0, and change nothing; but it is a
        # factor of their gradients, and the optimizer would move them away from 0.
        fixed: dict[int, float] = {}
        for i in self.members(layer):
            rows = self.places[i][layer - 1].rows
            fixed |= dict.fromkeys(range(rows.start + self.shapes[i].sizes[layer], rows.stop), 0.0)
            fixed[rows.stop] = 1.0
        return fixed


def _blends(layout: Layout, layer: int, rows: slice) -> slice:
    """The blends of some rows, from the first row of a member on."""
    first = next(i for i in layout.members(layer) if layout.places[i][layer - 1].rows.start == rows.start)
    start = layout.unit_places[first][layer - 1].blends.start
    return slice(start, start + rows.stop - rows.start)
