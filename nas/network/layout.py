"""Where the numbers of a cohort lie: all parameters in one flat buffer, all units in a few arrays.

A layer's units, of all members that have this layer, are the rows of one array whose columns are
the examples of a batch; below each member's units lies a row of ones. So a layer is one product: its
weights are a matrix of shape (outputs, inputs + 1), whose last column, multiplied by the ones, is
the bias. These matrices follow each other in the flat buffer. Neighbours of equal shape are a stack,
and the first layer, whose inputs all members share, is one wide matrix.

In a cohort of several, widths are rounded up so that more neighbours are equal. The weights of the
units that this adds are 0 on both sides, and stay so: they give nothing, and get no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

from nas.network.arrays import ALIGNMENT, Floats
from nas.network.products import LEAST, TILE

_UNITS = 8
"""In cohorts of several, widths are multiples of this: a share of a vector register."""

_NUMBERS = ALIGNMENT // 4
"""Layers begin at multiples of this many float32 numbers."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A network as its cohort sees it.

    `sizes` are its numbers of inputs, units of each hidden layer, and outputs; `padded` the same
    with what is added to hidden layers; `activations` the names of these.
    """

    sizes: tuple[int, ...]
    padded: tuple[int, ...]
    activations: tuple[str, ...]

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.activations)


class Place(NamedTuple):
    """Where one layer of one member lies.

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


def padded(sizes: Sequence[int], n_members: int) -> tuple[int, ...]:
    """The sizes of a network in a cohort of so many members."""
    if n_members == 1:
        return tuple(sizes)
    hidden = (-(-width // _UNITS) * _UNITS for width in sizes[1:-1])
    return (sizes[0], *hidden, sizes[-1])


class Outline(NamedTuple):
    """What a layout amounts to, known without anybody's place: planning looks at many, and builds few.

    Attributes
    ----------
    n_rows, size
        See `Layout`.
    stacks : list of lists of (members, source, outputs, inputs + 1)
        Those of each layer from the second one to the outputs; see `Layout.stacks`.
    runs : list of lists of (activation, rows)
        Those of each hidden layer; see `Layout.runs`.
    """

    n_rows: list[int]
    size: int
    stacks: list[list[_Stack]]
    runs: list[list[tuple[str, int]]]

    @classmethod
    def of(cls, shapes: Sequence[Shape], *, in_tiles: bool = False) -> Outline:
        """That of ``Layout(shapes, in_tiles=in_tiles)``."""
        if len(shapes) == 1 and not in_tiles:
            return cls._of_one(shapes[0])
        # Tuples: what is asked for again and again costs a third of an attribute's look-up.
        members = [(len(shape.activations), shape.padded, shape.activations) for shape in shapes]
        n_outputs = shapes[0].sizes[-1]
        last = groupby(members, lambda one: (one[0], one[1][-2] + 1))
        outputs = [(len(list(those)), depth, n_outputs, inputs) for (depth, inputs), those in last]
        n_rows, size, stacks, runs = [shapes[0].sizes[0] + 1], 0, [], []
        for layer in range(1, max(members)[0] + 1):
            its = _runs(members, layer)
            n_rows.append(sum([n + 1 for _, n in its]))
            if layer == 1:
                n_rows[1] += _spare(n_rows[1]) * in_tiles
                size = _aligned(n_rows[0] * n_rows[1])
            else:
                stacks.append(_hidden_stacks(members, layer))
                size = _aligned(size + _numbers_of(stacks[-1]))
            runs.append(its)
        n_rows.append(len(shapes) * n_outputs)
        return cls(n_rows, _aligned(size + _numbers_of(outputs)), [*stacks, outputs], runs)

    @classmethod
    def _of_one(cls, shape: Shape) -> Outline:
        """The same of one alone, who has no neighbours, sooner."""
        widths, names = shape.padded, shape.activations
        layers = [(1, i, widths[i + 1], widths[i] + 1) for i in range(len(names) + 1)]
        size = 0
        for i, (_, _, outputs, inputs) in enumerate(layers):
            # The first hidden layer has a row more, that makes the row of ones.
            size += _aligned((outputs + (i == 0 < len(names))) * inputs)
        n_rows = [widths[0] + 1, *[width + 1 for width in widths[1:-1]], widths[-1]]
        stacks = [[layer] for layer in layers[min(1, len(names)) :]]
        return cls(n_rows, size, stacks, [[run] for run in zip(names, widths[1:-1], strict=True)])


_Member = tuple[int, tuple[int, ...], tuple[str, ...]]
"""Depth, padded widths and activations."""

_Stack = tuple[int, int, int, int]


def _hidden_stacks(members: Sequence[_Member], layer: int) -> list[_Stack]:
    """Those of a hidden layer but the first.

    Who ends in the layer before lies between the sources of its neighbours, which are then no stack.
    """
    stacks: list[_Stack] = []
    n, last = 0, (0, 0)
    for depth, widths, _ in members:
        if depth < layer - 1:
            continue
        its = (widths[layer - 1], widths[layer]) if depth >= layer else (0, 0)
        if its != last:
            if last[0]:
                stacks.append((n, layer - 1, last[1], last[0] + 1))
            n, last = 0, its
        n += 1
    if last[0]:
        stacks.append((n, layer - 1, last[1], last[0] + 1))
    return stacks


def _runs(members: Sequence[_Member], layer: int) -> list[tuple[str, int]]:
    """Those of a hidden layer: between two members of a run lies a row of ones."""
    runs: list[tuple[str, int]] = []
    n, last = 0, ""
    for depth, widths, names in members:
        if depth < layer:
            continue
        if names[layer - 1] != last:
            if last:
                runs.append((last, n - 1))
            n, last = 0, names[layer - 1]
        n += widths[layer] + 1
    return [*runs, (last, n - 1)]


def _numbers_of(stacks: Sequence[_Stack]) -> int:
    return sum([n * outputs * inputs for n, _, outputs, inputs in stacks])


def _spare(n_rows: int) -> int:
    """Rows that make up the first hidden layer's to whole tiles, and to a least number."""
    return max(n_rows + -n_rows % TILE, LEAST) - n_rows


def _aligned(n_numbers: int) -> int:
    """Where the next layer begins."""
    return -(-n_numbers // _NUMBERS) * _NUMBERS


class Layout:
    """The places of a cohort's members.

    Parameters
    ----------
    shapes : sequence of Shape
        The members, in the order in which they lie. All have the same inputs and outputs.
    in_tiles : bool
        Whether the rows of the first hidden layer are made up to whole tiles, and a least number, so
        that what a row gives does not depend on how many there are; see `nas.network.products`.

    Attributes
    ----------
    depth : int
        Hidden layers of the deepest member; the arrays of units are numbered from 0, the inputs, over
        1 to `depth`, the hidden layers, to ``depth + 1``, the outputs.
    n_rows : list of int
        Rows of each array of units, those of ones included.
    places : list of lists of Place
        Each member's layers, from the first hidden one to the output.
    size : int
        Numbers of the flat buffer.
    """

    def __init__(self, shapes: Sequence[Shape], *, in_tiles: bool = False) -> None:
        self.shapes, self.in_tiles = tuple(shapes), in_tiles
        depths = [shape.depth for shape in shapes]
        self.depth = max(depths)
        everyone = range(len(shapes))
        self._members = [[i for i in everyone if layer <= depths[i]] for layer in range(self.depth + 1)]
        self.n_inputs, self.n_outputs = shapes[0].sizes[0], shapes[0].sizes[-1]
        self.n_rows = [self.n_inputs + 1]
        self.places: list[list[Place]] = [[] for _ in shapes]
        end = 0
        for layer in range(1, self.depth + 2):
            n_rows = 0
            for i in self.members(layer):
                place = self._place(i, layer, n_rows, end)
                self.places[i].append(place)
                n_rows, end = place.rows.stop, place.numbers.stop
                if layer <= self.depth:
                    n_rows += 1
                    if layer == 1:
                        end += place.shape[1]  # what makes the row of ones; see `set_units`
            if layer == 1 <= self.depth and in_tiles:
                spare = _spare(n_rows)
                n_rows, end = n_rows + spare, end + spare * self.n_rows[0]
            self.n_rows.append(n_rows)
            end = _aligned(end)
        self.size = end

    def _place(self, member: int, layer: int, row: int, number: int) -> Place:
        widths = self.shapes[member].padded
        source = self.source(member, layer)
        outputs, inputs = widths[-1 if layer > self.depth else layer], widths[source]
        rows = self.places[member][-1].rows if source else slice(0, inputs)
        numbers = slice(number, number + outputs * (inputs + 1))
        return Place(source, rows, layer, slice(row, row + outputs), numbers, (outputs, inputs + 1))

    def members(self, layer: int) -> list[int]:
        """Who has this layer."""
        return self._members[layer] if layer <= self.depth else self._members[0]

    def source(self, member: int, layer: int) -> int:
        """The layer that a member's layer reads from."""
        return self.shapes[member].depth if layer > self.depth else layer - 1

    def views(self, flat: Floats, member: int) -> tuple[list[Floats], list[Floats]]:
        """Weights, of shape (outputs, inputs), and biases of a member in a buffer, without what was added."""
        sizes = self.shapes[member].sizes
        weights, biases = [], []
        for (inputs, outputs), place in zip(pairwise(sizes), self.places[member], strict=True):
            numbers = flat[place.numbers].reshape(place.shape)
            weights.append(numbers[:outputs, :inputs])
            biases.append(numbers[:outputs, -1])
        return weights, biases

    def wide(self, flat: Floats) -> Floats:
        """The first hidden layer of all members as one matrix: a product by it ends in the first array.

        Of a single member's row of ones nothing has to be made: it lies after all others.
        """
        rows, inputs = self.n_rows[1] - (not self.in_tiles), self.n_rows[0]
        return flat[: rows * inputs].reshape(rows, inputs)

    def set_units(self, flat: Floats) -> None:
        """Set the weights by which the wide product makes each member's row of ones out of the inputs'."""
        if self.depth:
            numbers = flat[: self.n_rows[1] * self.n_rows[0]].reshape(self.n_rows[1], -1)
            numbers[[self.places[i][0].rows.stop for i in self.members(1)], -1] = 1

    def stacks(self, layer: int) -> Iterator[list[Place]]:
        """Places in a layer, in order, those together that are one stack: equal and side by side."""
        stack: list[Place] = []
        for i in self.members(layer):
            place = self.places[i][layer - 1 if layer <= self.depth else -1]
            if stack and not _continues(stack[-1], place):
                yield stack
                stack = []
            stack.append(place)
        if stack:
            yield stack

    def runs(self, layer: int) -> Iterator[tuple[str, slice]]:
        """Each activation of a hidden layer with the rows, side by side, that have it."""
        for name, owners in groupby(self.members(layer), lambda i: self.shapes[i].activations[layer - 1]):
            rows = [self.places[i][layer - 1].rows for i in owners]
            yield name, slice(rows[0].start, rows[-1].stop)

    def fixed_rows(self, layer: int) -> dict[int, float]:
        """Rows of a hidden layer that are nobody's units, with what they must hold."""
        fixed: dict[int, float] = {}
        for i in self.members(layer):
            rows = self.places[i][layer - 1].rows
            fixed |= dict.fromkeys(range(rows.start + self.shapes[i].sizes[layer], rows.stop), 0.0)
            fixed[rows.stop] = 1.0
        return fixed

    def spans(self, members: slice) -> list[slice]:
        """The parts of the flat buffer that belong to neighbouring members; all of it for all of them."""
        chosen = range(len(self.shapes))[members]
        if len(chosen) == len(self.shapes):
            return [slice(0, self.size)]
        found = []
        for layer in range(1, self.depth + 2):
            owned = [place for i in chosen for place in self.places[i] if place.layer == layer]
            if owned:
                found.append(slice(owned[0].numbers.start, owned[-1].numbers.stop))
        return found


def _continues(one: Place, other: Place) -> bool:
    """Whether the two can be matrices of one stack: all share the inputs, or their sources are neighbours."""
    beside = one.source == 0 or one.source_rows.stop + 1 == other.source_rows.start
    return one.shape == other.shape and one.source == other.source and beside
