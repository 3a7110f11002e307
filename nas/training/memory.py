"""The arrays that a forward and a backward pass of a cohort share, for batches of one number of rows.

Columns are examples: the units of a member are then adjacent rows of an array, so that the members of a
stack are a three-dimensional view of it without a copy, and an activation of many members is one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nas.network import fused
from nas.network.activations import ACTIVATIONS
from nas.network.arrays import DTypeLike, Floats, Ints, host, take_rows, xp, zeros
from nas.network.calls import Call, run
from nas.training.layout import Layout, Place
from nas.training.products import fits_cache, product
from nas.training.views import units


class Memory:
    """Batches, the units of all layers, and predictions.

    Parameters
    ----------
    layout : Layout
    rows : int
        Examples a batch.
    dtype : dtype
    masks : dict from int to float arrays of shape (units, rows)
        The dropout masks of the layers in which a member drops units.
    groups : sequence of int
        The number of the batch that each member reads, from 0; all read the same batch if empty.

    Attributes
    ----------
    batches : list of Batch
    columns : float array of shape (inputs + 1, rows)
        The first batch, ones included; array 0 of the layout.
    linear, hidden, read : lists of float arrays of shape (units, rows)
        For each layer: linear outputs; activations, in the same memory if the derivative allows it; and
        inputs of the next layer, which are other memory under dropout and with skip connections. `linear`
        and `read` begin with the inputs, `hidden` with the first hidden layer.
    skip_groups : dict from int to list of (list of Place, slice)
        For each layer with skip connections its `Layout.skip_groups`.
    predictions : float array of shape (outputs, members, rows)
    outputs : float array of shape (members, outputs, rows)
        The linear outputs of the last layer, in the memory of the predictions unless `has_own_outputs`.
    """

    def __init__(
        self,
        layout: Layout,
        rows: int,
        dtype: DTypeLike,
        *,
        masks: Mapping[int, Floats],
        groups: Sequence[int] = (),
    ) -> None:
        self.layout, self.rows, self.masks, self.groups = layout, rows, masks, tuple(groups)
        self.zeros: Callable[[Sequence[int]], Floats] = partial(zeros, dtype=dtype)
        self.batches = [Batch(rows, layout, self.zeros) for _ in range(1 + max(groups, default=0))]
        self.columns = self.batches[0].columns
        layers = range(1, layout.depth + 1)
        # The rows of ones are set once in each of these arrays, and passes leave ones in them.
        self.linear = [self.columns, *map(self._units, layers)]
        # Most derivatives follow from the activation itself, and activations are computed in place: the less
        # memory a step goes through, the more of it stays in the cache.
        self.hidden = [
            self._units(layer) if _needs_inputs(layout, layer) else self.linear[layer] for layer in layers
        ]
        # Activations are kept beside what becomes of them: derivatives are those before mask and skips.
        self.skip_groups = {i: groups_of for i in layers if (groups_of := list(layout.skip_groups(i)))}
        self.read = [
            self.columns,
            *(self._units(i) if i in masks or i in self.skip_groups else self.hidden[i - 1] for i in layers),
        ]
        self.predictions = self.zeros((layout.n_outputs, len(layout.shapes), rows))
        self.outputs = self.predictions.swapaxes(0, 1)
        # BLAS multiplies by another kernel if the single column of an output has gaps. Gaps depend on the
        # members present, and results must not: so the outputs of one row have memory without gaps.
        self.has_own_outputs = rows == 1
        if self.has_own_outputs:
            self.outputs = self.zeros(self.outputs.shape)

    def _units(self, layer: int) -> Floats:
        """Memory for the units of a hidden layer, rows of ones set."""
        array = self.zeros((self.layout.n_rows[layer], self.rows))
        array[[row for row, value in self.layout.fixed_rows(layer).items() if value]] = 1
        return array

    def product(self, A: Floats, B: Floats, out: Floats) -> list[Call]:
        """The calls for a product, by which both passes multiply."""
        return product(A, B, out, solo=not self.layout.tiled)

    def columns_of(self, member: int) -> Floats:
        """The batch that a member reads, of shape (inputs + 1, rows)."""
        return self.batches[self.groups[member] if self.groups else 0].columns

    def outputs_of(self, arrays: Sequence[Floats], stack: Sequence[Place]) -> Floats:
        """The rows that a stack writes, in linear outputs or in their gradient.

        In the last layer both are the memory of the predictions: a loss turns these into its gradient.
        """
        if stack[0].layer > self.layout.depth:
            n_outputs = self.layout.n_outputs
            return self.outputs[stack[0].rows.start // n_outputs : stack[-1].rows.stop // n_outputs]
        return units(arrays[stack[0].layer], stack)

    def inputs_of(self, stack: Sequence[Place]) -> Floats:
        """The rows that a stack reads, ones included: each member's own units, or the shared inputs."""
        if stack[0].source == 0:
            # Only outputs read the inputs: those of members without hidden layers.
            return self.columns_of(stack[0].rows.start // self.layout.n_outputs)
        return units(self.read[stack[0].source], stack, source=True, with_ones=True)

    def first_outputs(self, arrays: Sequence[Floats], member: int) -> Floats:
        """The linear outputs of a member's first layer, or their gradient, of shape (outputs, rows)."""
        outputs: Floats = self.outputs_of(arrays, [self.layout.places[member][0]])[0]
        return outputs


class Batch:
    """The memory of a batch's inputs, with a column of ones: in rows, and in columns for products.

    Attributes
    ----------
    with_ones : float array of shape (rows, inputs + 1)
    inputs : float array of shape (rows, inputs)
        The same without the ones.
    columns : float array of shape (inputs + 1, rows)
    transposition : list of Call
        Fills the columns, where these are memory of their own.
    """

    def __init__(self, rows: int, layout: Layout, new: Callable[[tuple[int, ...]], Floats]) -> None:
        self.with_ones = new((rows, layout.n_rows[0]))
        self.with_ones[:, -1] = 1
        # Rows are gathered into contiguous memory first: the inputs beside the ones have gaps.
        self.inputs, self._gathered = self.with_ones[:, :-1], new((rows, layout.n_inputs))
        self.columns = self.with_ones.T
        self.transposition: list[Call] = []
        # A batch that fits the cache is transposed by a copy: products by a transposed view are slower.
        if fits_cache(self.columns):
            # Ones included: biases are a column of the weights.
            self.columns = new(self.columns.shape)
            self.transposition = [
                fused.transpose(self.with_ones[xp.newaxis], self.columns)
                or (xp.copyto, (self.columns, self.with_ones.T))
            ]
        self._rows = xp.zeros(rows, host.int64)
        self._table: Floats | None = None
        self._gather: Call | None = None

    def load(self, X: Floats, rows: Ints) -> None:
        """Copy the batch, by its row numbers, from a table of shape (all rows, inputs)."""
        if X is not self._table:
            self._table, self._gather = X, fused.gather(X, self._rows, self.with_ones)
        if self._gather:
            xp.copyto(self._rows, rows)
            run([self._gather])
        else:
            take_rows(X, rows, self._gathered)
            xp.copyto(self.inputs, self._gathered)


def _needs_inputs(layout: Layout, layer: int) -> bool:
    """Whether a derivative in this layer reads linear outputs, so that activations need their own memory."""
    return any(layout.norm_groups(layer)) or any(
        ACTIVATIONS[name].needs_input or is_parametric
        for name, _, is_parametric in layout.run_counts[layer - 1]
    )
