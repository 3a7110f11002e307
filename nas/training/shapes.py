"""The shapes of a cohort's members, and the counts of its layout that follow from them alone.

Counts are all that planning needs: it compares hundreds of possible cohorts, of which few are laid out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from nas.network.arrays import ALIGNMENT
from nas.network.extras import PLAIN, Extras
from nas.network.waves import n_numbers
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
    `extras` what it has beside its layers.
    """

    sizes: tuple[int, ...]
    padded: tuple[int, ...]
    activations: tuple[str, ...]
    extras: Extras = PLAIN

    @classmethod
    def of(
        cls, sizes: Sequence[int], activations: Sequence[str], *, tiled: bool, extras: Extras = PLAIN
    ) -> Shape:
        """The shape of a network in a cohort of several, `tiled`, or solo."""
        hidden = [-(-width // _UNITS) * _UNITS for width in sizes[1:-1]] if tiled else sizes[1:-1]
        return cls(tuple(sizes), (sizes[0], *hidden, sizes[-1]), tuple(activations), extras)

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.activations)

    @property
    def unit_counts(self) -> tuple[list[int], list[int]]:
        """The numbers of blends, and of gains, of each hidden layer, in a cohort's buffer."""
        blends, gains = self.extras.unit_counts(self.padded)
        # As many blends as rows, that of the ones included: a run of several members is one slice.
        return [n + 1 for n in blends] if self.extras.is_parametric else blends, gains


Stack = tuple[int, int, int, int]
"""Members, source, outputs, and inputs + 1 of a stack of equal matrices."""


class Counts(NamedTuple):
    """The attributes of `Layout` that follow without the place of any member.

    `size` are the numbers of all layers, without extras.
    """

    n_rows: list[int]
    size: int
    stack_counts: list[list[Stack]]
    run_counts: list[list[RunCount]]


RunCount = tuple[str, int, bool]
"""Activation, rows, and whether activations are parametric."""

_Member = tuple[int, tuple[int, ...], tuple[str, ...], bool]
"""Depth, padded widths, activations, and whether these are parametric."""


def counts(shapes: Sequence[Shape], *, tiled: bool) -> Counts:
    """The counts of a cohort of these members; see `Layout` for what they count."""
    if not tiled and len(shapes) == 1:
        # Planning counts members solo as often as cohorts: a member without neighbours is counted faster.
        return _solo_counts(shapes[0])
    # Tuples: reading an attribute again and again would take three times as long.
    members = [
        (len(shape.activations), shape.padded, shape.activations, shape.extras.is_parametric)
        for shape in shapes
    ]
    n_outputs = shapes[0].sizes[-1]
    # Outputs of members with equal last layers, side by side, are a stack. Members of another depth read
    # another array, at equal widths too.
    by_last_layer = groupby(members, lambda member: (member[0], member[1][-2] + 1))
    outputs = [(len(list(group)), depth, n_outputs, inputs) for (depth, inputs), group in by_last_layer]
    n_rows, size, stacks, runs = [shapes[0].sizes[0] + 1], 0, [], []
    for layer in range(1, max(members)[0] + 1):
        runs.append(_hidden_runs(members, layer))
        n_rows.append(sum([n + 1 for _, n, _ in runs[-1]]))
        if layer == 1:
            n_rows[1] += _spare(n_rows[1]) * tiled
            size = aligned(n_rows[0] * n_rows[1])
        else:
            stacks.append(_hidden_stacks(members, layer))
            size = aligned(size + _n_numbers(stacks[-1]))
    n_rows.append(len(shapes) * n_outputs)
    return Counts(n_rows, aligned(size + _n_numbers(outputs)), [*stacks, outputs], runs)


def _solo_counts(shape: Shape) -> Counts:
    """The counts of a single member: no layer has neighbours."""
    widths, names, is_parametric = shape.padded, shape.activations, shape.extras.is_parametric
    layers = [(1, i, widths[i + 1], widths[i] + 1) for i in range(len(names) + 1)]
    size = 0
    for i, (_, _, outputs, inputs) in enumerate(layers):
        # The first hidden layer has one more row of weights, that of its row of ones.
        size += aligned((outputs + (i == 0 < len(names))) * inputs)
    n_rows = [widths[0] + 1, *[width + 1 for width in widths[1:-1]], widths[-1]]
    stacks = [[layer] for layer in layers[min(1, len(names)) :]]
    runs = [[(name, width, is_parametric)] for name, width in zip(names, widths[1:-1], strict=True)]
    return Counts(n_rows, size, stacks, runs)


def _hidden_stacks(members: Sequence[_Member], layer: int) -> list[Stack]:
    """The stacks of a hidden layer from the second on.

    A shallower member between two deeper members separates the units that these read, so that
    their matrices cannot be stacked.
    """
    stacks: list[Stack] = []
    n_members, last = 0, (0, 0)
    for depth, widths, _, _ in members:
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


def _hidden_runs(members: Sequence[_Member], layer: int) -> list[RunCount]:
    """The runs of a hidden layer: between two members of a run lies a row of ones."""
    runs: list[RunCount] = []
    n_rows, last, last_is_parametric = 0, "", False
    for depth, widths, names, is_parametric in members:
        if depth < layer:
            continue
        if names[layer - 1] != last or is_parametric != last_is_parametric:
            if last:
                runs.append((last, n_rows - 1, last_is_parametric))
            n_rows, last, last_is_parametric = 0, names[layer - 1], is_parametric
        # The ones between two members go through the activation as well, and are restored where it moves
        # them: one call over both members takes less time than two.
        n_rows += widths[layer] + 1
    return [*runs, (last, n_rows - 1, last_is_parametric)]


def n_wave_numbers(shape: Shape) -> int:
    """The numbers of a member's waves, filled up so that those of the next member are aligned."""
    return aligned(n_numbers(len(shape.extras.periodic), shape.padded[1]))


def _n_numbers(stacks: Sequence[Stack]) -> int:
    return sum([n_members * outputs * inputs for n_members, _, outputs, inputs in stacks])


def _spare(n_rows: int) -> int:
    """Additional rows that fill the first hidden layer up to whole tiles, and to the least number."""
    return max(n_rows + -n_rows % TILE, LEAST) - n_rows


def aligned(n_numbers: int) -> int:
    """The position, in numbers, at which the next layer begins."""
    return -(-n_numbers // _NUMBERS) * _NUMBERS
