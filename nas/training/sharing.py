"""Networks with members in a cohort: what they share, and what passes read.

A pass computes the members of a network as networks of their own: a cohort of two networks with 8 members
each has the layout of 16 plain networks. Beside its buffer, which passes read, a second one holds every
number once, and is what the optimizer sees. Before a pass the shared numbers are copied to the members, the
first layer's times their factors; after it, the members' gradients are added up:

    W_1j = W_1 ∘ s_j      dW_1 = mean over j of dW_1j ∘ s_j      ds_j = column sums of dW_1j ∘ W_1, over k
    W_lj = W_l            dW_l = mean over j of dW_lj            (other hidden layers, biases included)

For each network the second buffer holds its hidden layers, of shape (outputs, inputs + 1) with the bias as
last column, as `nas.training.layout` has them; the members' outputs, of shape (members · outputs,
inputs + 1); and the factors, (members, inputs + 1), of which the last column is 1, for the biases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from nas.network.arrays import Floats, sum_members, sum_rows, to_device, to_host, xp, zeros
from nas.network.calls import Call
from nas.network.mlp import MLP
from nas.training.layout import Layout
from nas.training.shapes import Shape, aligned

COPYING = 3
"""Operations on each number that passes read: a copy before, a sum after, and the first layer's factors."""


class Part(NamedTuple):
    """Position of a matrix in the buffer of shared numbers; its last column has no weight decay."""

    numbers: slice
    shape: tuple[int, int]


class Sharing:
    """Geometry of the buffer that holds every number of networks with members once.

    It has the attributes and methods of `Storage`, by which a cohort reads and writes its networks.

    Parameters
    ----------
    shapes : sequence of Shape
        The networks in their order; each has a hidden layer.
    members : int
        Members of each network, at least 2.
    layout : Layout
        That of all members of all networks, those of a network side by side.

    Attributes
    ----------
    size : int
        Numbers of the buffer.
    places : list of lists of Part
        For each network its hidden layers, then outputs, then factors.
    """

    def __init__(self, shapes: Sequence[Shape], members: int, layout: Layout) -> None:
        self._shapes, self._members, self._layout = tuple(shapes), members, layout
        self.places: list[list[Part]] = []
        self.size = 0
        for shape in shapes:
            parts = []
            for rows, columns in _matrices(shape, members):
                numbers = slice(self.size, self.size + rows * columns)
                parts.append(Part(numbers, (rows, columns)))
                self.size = numbers.stop
            # Factors have no decay: as a matrix of one column they are all last columns.
            parts[-1] = Part(parts[-1].numbers, (members * (shape.sizes[0] + 1), 1))
            self.places.append(parts)
            self.size = aligned(self.size)

    def store(self, network: MLP, i: int, flat: Floats, source: Floats | None = None) -> None:
        """Copy a network's parameters, or `source` in their order, into a buffer."""
        for own, shared in self._pairs(network, i, flat, network.parameters if source is None else source):
            shared[...] = to_device(own)

    def load(self, network: MLP, i: int, flat: Floats, target: Floats | None = None) -> None:
        """Copy a buffer into a network's parameters, or into `target` in their order."""
        for own, shared in self._pairs(network, i, flat, network.parameters if target is None else target):
            own[...] = to_host(shared)

    def _pairs(self, network: MLP, i: int, flat: Floats, numbers: Floats) -> Iterator[tuple[Floats, Floats]]:
        """Views of the same numbers in the network's order and in the buffer, without padding."""
        matrices = self._views(flat, i)
        weights, biases = network.views(numbers)
        for weight, bias, matrix in zip(weights, biases, matrices[:-1], strict=True):
            inputs, outputs = weight.shape
            yield weight, matrix[:outputs, :inputs].T
            yield bias, matrix[:outputs, -1]
        yield network.factors_of(numbers), matrices[-1][:, :-1]

    def _views(self, flat: Floats, i: int) -> list[Floats]:
        """The matrices of a network, padding included."""
        matrices = _matrices(self._shapes[i], self._members)
        return [
            flat[part.numbers].reshape(shape) for part, shape in zip(self.places[i], matrices, strict=True)
        ]

    def set_units(self, flat: Floats) -> None:
        """Set the factors of the biases."""
        for i in range(len(self._shapes)):
            self._views(flat, i)[-1][:, -1] = 1

    def spans(self, networks: slice) -> list[slice]:
        """The part of the buffer that belongs to neighbouring networks."""
        places = self.places[networks]
        return [slice(places[0][0].numbers.start, places[-1][-1].numbers.stop)]

    def parts(self, network: int) -> list[slice]:
        """The parts of the buffer that belong to a network."""
        return [place.numbers for place in self.places[network]]

    def copying(self, parameters: Floats, read: Floats) -> list[Call]:
        """The calls that copy the networks' numbers to what passes read, of size ``layout.size``."""
        calls: list[Call] = []
        for i in range(len(self._shapes)):
            *layers, factors = self._views(parameters, i)
            first, *others = self._of_members(read, i)
            calls.append((xp.multiply, (layers[0], factors[:, xp.newaxis], first)))
            calls += [
                (xp.copyto, (copies, layer)) for copies, layer in zip(others[:-1], layers[1:], strict=False)
            ]
            calls.append((xp.copyto, (others[-1], layers[-1].reshape(others[-1].shape))))
        return calls

    def adding(self, parameters: Floats, by_read: Floats, gradient: Floats) -> list[Call]:
        """The calls from the gradient by what passes read, which is overwritten, to that by parameters."""
        calls: list[Call] = []
        for i in range(len(self._shapes)):
            *layers, factors = self._views(parameters, i)
            *by_layers, by_factors = self._views(gradient, i)
            first, *others = self._of_members(by_read, i)
            # The gradient by the factors needs the members' own, which are then multiplied in place.
            products = zeros(first.shape, by_read.dtype)
            calls.append((xp.multiply, (first, layers[0], products)))
            # The last column, of the biases' factors, stays 0.
            calls.append((sum_rows, (products[..., :-1], by_factors[:, :-1])))
            calls.append((xp.multiply, (first, factors[:, xp.newaxis], first)))
            calls.append((sum_members, (first, by_layers[0])))
            for copies, by_layer in zip(others[:-1], by_layers[1:], strict=False):
                calls.append((sum_members, (copies, by_layer)))
            calls.append((xp.copyto, (by_layers[-1].reshape(others[-1].shape), others[-1])))
        # Once, over the whole buffer: one call in place of one for each matrix.
        share = xp.asarray(1 / self._members, gradient.dtype)
        return [*calls, (xp.multiply, (gradient, share, gradient))]

    def _of_members(self, flat: Floats, i: int) -> list[Floats]:
        """The layers of a network's members in the layout, of shape (members, outputs, inputs + 1)."""
        places = self._layout.places[i * self._members : (i + 1) * self._members]
        stacks = []
        for layer, (first, last) in enumerate(zip(places[0], places[-1], strict=True)):
            # Below each member's units of the first layer lie the weights of its row of ones, which are
            # constant, and are neither copied nor added up.
            ones = first.shape[1] if layer == 0 else 0
            numbers = flat[first.numbers.start : last.numbers.stop + ones]
            stack = numbers.reshape(self._members, -1, first.shape[1])
            stacks.append(stack[:, : first.shape[0]])
        return stacks


def n_shared(shape: Shape, members: int) -> int:
    """Numbers of a network with members in a cohort's buffer."""
    return aligned(sum(rows * columns for rows, columns in _matrices(shape, members)))


def n_calls(shape: Shape) -> int:
    """Calls of a step that copy a network's numbers and add up its gradients."""
    # A copy and a sum for each layer, and three more for the first.
    return 2 * (shape.depth + 1) + 3


def _matrices(shape: Shape, members: int) -> list[tuple[int, int]]:
    """Shapes of a network's hidden layers, of its members' outputs, and of their factors."""
    *hidden, (last, outputs) = pairwise(shape.padded)
    layers = [(rows, inputs + 1) for inputs, rows in hidden]
    return [*layers, (members * outputs, last + 1), (members, shape.sizes[0] + 1)]
