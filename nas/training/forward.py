"""The forward pass of a cohort as a list of calls, from the batch to the linear outputs.

A_0 = X,   Z_l = [W_l b_l] [A_(l-1); 1],   A_l = phi_l(Z_l), or as in `nas.training.units`
"""

from __future__ import annotations

from collections.abc import Iterator

from nas import kernels
from nas.network import fused
from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Floats, xp
from nas.network.calls import Call
from nas.training.front import FrontScaling, MemberWaves, numbers_of
from nas.training.layout import Layout, Place
from nas.training.memory import Memory
from nas.training.units import LayerNorm, ParametricRun, SkipStack
from nas.training.views import matrices, units, wide


class ForwardPass:
    """The calls of a forward pass, and what they leave to the backward pass.

    Parameters
    ----------
    memory : Memory
    parameters : float array of shape (layout.size,)
    is_trained : bool
        Whether a backward pass follows.

    Attributes
    ----------
    front : FrontScaling
    waves : dict from int to MemberWaves
        Those of each member that has any.
    gates : dict from (int, int) to float arrays
        What loops of activations leave to their derivatives, by layer and first row.
    parametric : dict from (int, int) to ParametricRun
        By layer and first row.
    norms : dict from int to list of (LayerNorm, list of Place)
        By layer, with the places of their members.
    skips : dict from int to list of SkipStack
        By layer, in the order of `Memory.skip_groups`.
    calls : list of Call
    """

    def __init__(self, memory: Memory, parameters: Floats, *, is_trained: bool) -> None:
        self._memory, self._is_trained = memory, is_trained
        self.parameters = parameters
        self.front = FrontScaling(memory.layout, parameters)
        self.waves: dict[int, MemberWaves] = {}
        self.gates: dict[tuple[int, int], Floats] = {}
        self.parametric: dict[tuple[int, int], ParametricRun] = {}
        self.norms: dict[int, list[tuple[LayerNorm, list[Place]]]] = {}
        self.skips: dict[int, list[SkipStack]] = {}
        self.calls = self._lay_out()

    def _lay_out(self) -> list[Call]:
        memory, layout = self._memory, self._memory.layout
        calls: list[Call] = [*self.front.forward]
        for batch in memory.batches:
            calls += batch.transposition
        calls += self._gather_numbers()
        for layer in range(1, layout.depth + 2):
            if layer == 1 <= layout.depth:
                calls += self._multiply_first()
            else:
                for stack in self._stacks(layer):
                    calls += self._multiply(stack)
            # After the product, which is then the same, bit for bit, with waves or without.
            for i in self.with_waves(layer):
                calls += self.waves[i].forward(memory.first_outputs(memory.linear, i))
            if layer <= layout.depth:
                calls += self._activate(layer)
        if memory.has_own_outputs:
            calls.append((xp.copyto, (memory.predictions, memory.outputs.swapaxes(0, 1))))
        return calls

    def _gather_numbers(self) -> list[Call]:
        """The calls that gather the numbers with waves, once for all members that read the same."""
        memory, layout = self._memory, self._memory.layout
        calls: list[Call] = []
        numbers: dict[tuple[int, tuple[int, ...]], Floats] = {}
        for i, shape in enumerate(layout.shapes):
            if not (places := shape.extras.periodic):
                continue
            key = (memory.groups[i] if memory.groups else 0, places)
            if key not in numbers:
                numbers[key] = memory.zeros((len(places), memory.rows))
                calls.append(numbers_of(memory.columns_of(i), xp.asarray(places), numbers[key]))
            self.waves[i] = MemberWaves(layout, i, self.parameters, numbers[key], memory.product)
        return calls

    def with_waves(self, layer: int) -> list[int]:
        """The members with waves of which this is the first layer."""
        return [i for i in self.waves if self._memory.layout.places[i][0].layer == layer]

    def _multiply_first(self) -> list[Call]:
        """The product of the first hidden layer: one of all members, or one of each if batches differ."""
        memory, layout = self._memory, self._memory.layout
        weights, linear = wide(layout, self.front.weights), memory.linear[1]
        if not memory.groups:
            return memory.product(weights, memory.columns, linear[: len(weights)])
        calls: list[Call] = []
        for i in layout.members(1):
            own = layout.places[i][0].rows
            # With the row of ones below them, where that is a product too.
            rows = slice(own.start, min(own.stop + 1, len(weights)))
            calls += memory.product(weights[rows], memory.columns_of(i), linear[rows])
        return calls

    def _stacks(self, layer: int) -> Iterator[list[Place]]:
        """The stacks of a layer; those that read the inputs are cut up where members read several batches."""
        for stack in self._memory.layout.stacks(layer):
            if self._memory.groups and stack[0].source == 0:
                yield from ([place] for place in stack)
            else:
                yield stack

    def _multiply(self, stack: list[Place]) -> list[Call]:
        """The product of a stack of a later layer, or of outputs that read the inputs."""
        memory = self._memory
        # Factors of the inputs are in the weights of the layers that read these, and in no others.
        flat = self.parameters if stack[0].source else self.front.weights
        out = memory.outputs_of(memory.linear, stack)
        return memory.product(matrices(flat, stack), memory.inputs_of(stack), out)

    def _activate(self, layer: int) -> list[Call]:
        memory, layout = self._memory, self._memory.layout
        z, a = memory.linear[layer], memory.hidden[layer - 1]
        calls = self._normalize(layer)
        for name, rows, blends in layout.runs(layer):
            arrays = (z[rows].reshape(-1), a[rows].reshape(-1))
            # NumPy's derivatives compute such a term again; loops keep it, where a backward pass reads it.
            if self._is_trained and ACTIVATIONS[name].needs_input and kernels.is_loaded():
                self.gates[layer, rows.start] = memory.zeros(arrays[0].shape)
            gate = self.gates.get((layer, rows.start))
            if blends is None:
                calls += ACTIVATIONS[name].lay_out_forward(*arrays, gate)
                continue
            run = ParametricRun(name, z[rows], a[rows], self.parameters[blends], memory.zeros)
            self.parametric[layer, rows.start] = run
            calls += run.forward(gate)
        # Rows are restored before the mask is applied, which has ones in them.
        if reset := _reset(layout, layer, a):
            calls.append(reset)
        if (mask := memory.masks.get(layer)) is not None:
            calls.append((xp.multiply, (a, mask, memory.read[layer])))
        elif layer in memory.skip_groups:
            calls.append((xp.copyto, (memory.read[layer], a)))
        return calls + self._skip(layer)

    def _normalize(self, layer: int) -> list[Call]:
        """The calls of a layer's layer norm, which replaces linear outputs."""
        memory, layout = self._memory, self._memory.layout
        self.norms[layer] = []
        calls: list[Call] = []
        for members in layout.norm_groups(layer):
            places = [layout.places[i][layer - 1] for i in members]
            widths = [layout.shapes[i].sizes[layer] for i in members]
            norm = LayerNorm(units(memory.linear[layer], places), widths, memory.zeros)
            self.norms[layer].append((norm, places))
            calls += norm.forward()
        return calls

    def _skip(self, layer: int) -> list[Call]:
        """The calls of a layer's skip connections, which add to its units after the mask."""
        calls: list[Call] = []
        below, own = self._memory.read[layer - 1 : layer + 1]
        self.skips[layer] = []
        for stack, gains in self._memory.skip_groups.get(layer, ()):
            skip = SkipStack(units(below, stack, source=True), self.parameters[gains], self._memory.zeros)
            self.skips[layer].append(skip)
            calls += skip.forward(units(own, stack))
        return calls


def _reset(layout: Layout, layer: int, a: Floats) -> Call | None:
    """A call that restores rows of ones and padding, if the activation moved them.

    f(0) = 0 and f(1) = 1 hold for relu, but sigmoid would turn padding into 0.5 and ones into 0.73.
    """
    fixed = layout.fixed_rows(layer)
    overwritten: dict[int, float] = {}
    for name, rows, blends in layout.runs(layer):
        if blends is not None:
            continue  # a blend of 0 leaves such rows as they are
        kind = ACTIVATIONS[name]
        changed = [value for value in (0.0, 1.0) if kind.at(value) != value]
        span = range(rows.start, rows.stop)
        overwritten |= {row: value for row, value in fixed.items() if row in span and value in changed}
    if not overwritten:
        return None
    if call := fused.fill_rows(a, list(overwritten), list(overwritten.values())):
        return call
    column = xp.asarray(list(overwritten.values()), a.dtype)[:, xp.newaxis]
    return a.__setitem__, (xp.asarray(list(overwritten)), column)
