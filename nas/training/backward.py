"""The backward pass of a cohort as a list of calls, from linear outputs to the gradient by parameters.

dW_l = dZ_l [A_(l-1); 1]^T,   dA_(l-1) = W_l^T dZ_l,   dZ_l = dA_l * phi_l'(Z_l)

Parametric activations and skip connections: see `nas.training.units`.
"""

from __future__ import annotations

from collections.abc import Iterator

from nas.network import fused
from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Floats, xp
from nas.network.calls import Call
from nas.training.forward import ForwardPass
from nas.training.layout import Place
from nas.training.memory import Memory
from nas.training.products import PANEL, fits_cache
from nas.training.units import SkipStack
from nas.training.views import matrices, units, wide


class BackwardPass:
    """The calls of a backward pass: they read the loss's gradient where the predictions were.

    Parameters
    ----------
    memory : Memory
        That of the forward pass, which has left its units there.
    forward : ForwardPass
    gradient : float array of shape (layout.size,)
        Receives the result.

    Attributes
    ----------
    calls : list of Call
    """

    def __init__(self, memory: Memory, forward: ForwardPass, gradient: Floats) -> None:
        self._memory, self._forward, self._gradient = memory, forward, gradient
        # The gradient by each layer's linear outputs; the inputs need none. Rows of ones get no gradient: a
        # product for the layer below leaves out the biases' column, so that these rows stay 0.
        n_rows = memory.layout.n_rows[1:-1]
        self._slopes = [memory.columns, *(memory.zeros((n, memory.rows)) for n in n_rows)]
        self.calls = self._lay_out()

    def _lay_out(self) -> list[Call]:
        memory, layout, gradient = self._memory, self._memory.layout, self._gradient
        calls: list[Call] = []
        if memory.has_own_outputs:
            calls.append((xp.copyto, (memory.outputs, memory.predictions.swapaxes(0, 1))))
        for layer in range(layout.depth + 1, 0, -1):
            if layer <= layout.depth:
                calls += self._differentiate(layer)
            for i in self._forward.with_waves(layer):
                slopes = memory.first_outputs(self._slopes, i)
                calls += self._forward.waves[i].backward(slopes, gradient)
            if layer == 1 <= layout.depth:
                # The first layer has no layer below, and needs the gradient by its weights only.
                by_wide = wide(layout, gradient)
                calls += memory.product(self._slopes[1][: len(by_wide)], memory.batches[0].with_ones, by_wide)
                continue
            for stack in layout.stacks(layer):
                calls += self._multiply(stack)
            # The products have written the gradient by the layer below, to which skip connections add.
            for skip, (stack, _) in self._skips(layer):
                calls.append(skip.add_to(units(self._slopes[layer - 1], stack, source=True)))
        # Last, when the gradient by the weights that the inputs were multiplied by is complete.
        return calls + self._forward.front.backward(gradient)

    def _differentiate(self, layer: int) -> list[Call]:
        """The calls from the gradient by what the next layer reads to that by linear outputs, in place."""
        memory = self._memory
        slopes, z, a = self._slopes[layer], memory.linear[layer], memory.hidden[layer - 1]
        calls: list[Call] = []
        for skip, (stack, gains) in self._skips(layer):
            calls += skip.backward(units(slopes, stack), self._gradient[gains])
        if (mask := memory.masks.get(layer)) is not None:
            # The forward pass multiplied by the mask last, so the backward pass does first.
            calls.append((xp.multiply, (slopes, mask, slopes)))
        for name, rows, blends in memory.layout.runs(layer):
            arrays = (slopes[rows].reshape(-1), z[rows].reshape(-1), a[rows].reshape(-1))
            gate = self._forward.gates.get((layer, rows.start))
            if blends is None:
                calls += ACTIVATIONS[name].lay_out_backward(*arrays, gate)
            else:
                run = self._forward.parametric[layer, rows.start]
                calls += run.backward(slopes[rows], self._gradient[blends], gate)
        for norm, places in self._forward.norms[layer]:
            calls += norm.backward(units(slopes, places))
        return calls

    def _skips(self, layer: int) -> Iterator[tuple[SkipStack, tuple[list[Place], slice]]]:
        """The skip connections of a layer, with the places of their members and their gains."""
        groups = self._memory.skip_groups.get(layer, ())
        return zip(self._forward.skips.get(layer, ()), groups, strict=True)

    def _multiply(self, stack: list[Place]) -> list[Call]:
        """The gradient by the weights of a stack, and by the units below, unless these are the inputs."""
        memory = self._memory
        slopes = memory.outputs_of(self._slopes, stack)
        calls = self._by_columns(slopes, memory.inputs_of(stack), matrices(self._gradient, stack))
        if stack[0].source:
            weights = matrices(self._forward.parameters, stack)[..., :-1].swapaxes(-1, -2)
            out = units(self._slopes[stack[0].source], stack, source=True)
            # Written, not added: the units of a layer are read by one layer of their member, and by no other.
            calls += memory.product(weights, slopes, out)
        return calls

    def _by_columns(self, slopes: Floats, read: Floats, out: Floats) -> list[Call]:
        """The product of slopes by a layer's transposed inputs: the gradient by its weights.

        The transposed view is copied first if the product has rows enough to make up for the copy.
        """
        memory = self._memory
        if read is memory.columns:
            # The batch is in rows already.
            return memory.product(slopes, memory.batches[0].with_ones, out)
        columns = read.swapaxes(-1, -2)
        if slopes.shape[-2] < PANEL or not fits_cache(columns):
            return memory.product(slopes, columns, out)
        copy = memory.zeros(columns.shape)
        stack = read.reshape(-1, *read.shape[-2:])
        transposition = fused.transpose(stack, copy) or (xp.copyto, (copy, columns))
        return [transposition, *memory.product(slopes, copy, out)]
