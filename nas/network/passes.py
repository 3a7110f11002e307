"""Forward and backward pass of a cohort: one batch through all its networks at once.

    A_0 = X,   Z_l = [W_l b_l] [A_(l-1); 1],   A_l = phi_l(Z_l),   P = output(Z_L)

Columns are examples. What a pass does is laid out once, as a list of calls whose arguments are views
of the parameters and of the memory for one number of rows; then it is run without allocating.
"""

from __future__ import annotations

from collections.abc import Sequence

from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Array, Floats, Ints, host, take_rows, to_device, xp, zeros
from nas.network.calls import Call, run
from nas.network.layout import Layout, Place
from nas.network.losses import Loss
from nas.network.products import PANEL, fits_cache
from nas.network.products import product as lay_out_product


class Workspace:
    """The memory in which a batch of a fixed number of rows passes through a cohort, and the way there.

    Parameters
    ----------
    layout : Layout
    parameters : float array of shape (layout.size,)
    loss : Loss
    rows : int
        Examples a batch.
    gradient : float array of shape (layout.size,), optional
        Where a backward pass puts its result; without it there is room for forward passes only.
    dropouts : sequence of sequences of float, optional
        The share that each member drops of each hidden layer's units; none by default.

    Attributes
    ----------
    inputs : float array of shape (rows, inputs)
        The batch that `load` loaded.
    predictions : float array of shape (outputs, members, rows)
        What `forward` leaves.
    hidden : list of float arrays of shape (units, rows)
        Activations of each hidden layer of all members.
    masks : dict from int to float arrays of shape (units, rows)
        The dropout masks of those hidden layers, by their numbers from 1, of which anyone drops units.
    """

    def __init__(
        self,
        layout: Layout,
        parameters: Floats,
        loss: Loss,
        rows: int,
        *,
        gradient: Floats | None = None,
        dropouts: Sequence[Sequence[float]] = (),
    ) -> None:
        self.layout, self.loss, self.rows = layout, loss, rows
        self._parameters = parameters
        self._with_ones = self._zeros(rows, layout.n_rows[0])
        self._with_ones[:, -1] = 1
        self.inputs, self._taken = self._with_ones[:, :-1], self._zeros(rows, layout.n_inputs)
        self._columns = self._with_ones.T
        self._transposes = fits_cache(self._columns)
        if self._transposes:
            self._columns = self._zeros(*self._columns.shape)
        hidden = range(1, layout.depth + 1)
        # Of each layer: linear outputs; activations, in the same memory where that is allowed; what
        # the next layer reads. The rows of ones lie ready in all of them.
        self._linear = [self._columns, *(self._units(layer) for layer in hidden)]
        self.hidden = [
            self._units(layer) if self._needs_inputs(layer) else self._linear[layer] for layer in hidden
        ]
        self._read = [self._columns, *self.hidden]
        self._dropouts = tuple(dropouts)
        self.masks: dict[int, Floats] = {}
        for layer in hidden:
            if any(any(shares[layer - 1 : layer]) for shares in dropouts):  # some have fewer layers
                self.masks[layer] = xp.ones_like(self.hidden[layer - 1])
                self._read[layer] = self._units(layer)
        self.predictions = self._zeros(layout.n_outputs, len(layout.shapes), rows)
        self._outputs = self.predictions.swapaxes(0, 1)
        # A product with one column goes another way where that has gaps, which depend on who is there.
        self._apart = rows == 1
        if self._apart:
            self._outputs = self._zeros(*self._outputs.shape)
        self._forward = [*self._lay_out_forward(), (loss.link, (self.predictions,))]
        self._share = xp.asarray(1 / rows, parameters.dtype)
        self._backward = [] if gradient is None else self._lay_out_backward(gradient)

    def _product(self, left: Floats, right: Floats, out: Floats) -> list[Call]:
        return lay_out_product(left, right, out, alone=not self.layout.in_tiles)

    def _zeros(self, *shape: int) -> Floats:
        return zeros(shape, self._parameters.dtype)

    def _units(self, layer: int) -> Floats:
        units = self._zeros(self.layout.n_rows[layer], self.rows)
        units[[row for row, value in self.layout.fixed_rows(layer).items() if value]] = 1
        return units

    def _needs_inputs(self, layer: int) -> bool:
        return any(ACTIVATIONS[name].needs_input for name, _ in self.layout.runs(layer))

    def _lay_out_forward(self) -> list[Call]:
        """What a forward pass does, up to the linear outputs."""
        layout = self.layout
        calls: list[Call] = []
        if self._transposes:
            calls.append((xp.copyto, (self._columns, self._with_ones.T)))
        for layer in range(1, layout.depth + 2):
            if layer == 1 <= layout.depth:
                wide = layout.wide(self._parameters)
                calls += self._product(wide, self._columns, self._linear[1][: len(wide)])
            else:
                for stack in layout.stacks(layer):
                    weights, out = _numbers(self._parameters, stack), self._outputs_of(self._linear, stack)
                    calls += self._product(weights, self._inputs_of(stack), out)
            if layer <= layout.depth:
                calls += self._activate(layer)
        if self._apart:
            calls.append((xp.copyto, (self.predictions, self._outputs.swapaxes(0, 1))))
        return calls

    def _activate(self, layer: int) -> list[Call]:
        z, a = self._linear[layer], self.hidden[layer - 1]
        calls: list[Call] = []
        for name, rows in self.layout.runs(layer):
            kind = ACTIVATIONS[name]
            calls += kind.lay_out_forward(_flat(z, rows), _flat(a, rows))
        if fix := self._fix(layer, a):
            calls.append(fix)
        if layer in self.masks:
            calls.append((xp.multiply, (a, self.masks[layer], self._read[layer])))
        return calls

    def _fix(self, layer: int, a: Floats) -> Call | None:
        """Put right the rows that are nobody's units, where an activation made something else of them."""
        fixed = self.layout.fixed_rows(layer)
        wrong: dict[int, float] = {}
        for name, rows in self.layout.runs(layer):
            kind = ACTIVATIONS[name]
            moved = [value for value in (0.0, 1.0) if kind.at(value) != value]
            there = range(rows.start, rows.stop)
            wrong |= {row: value for row, value in fixed.items() if row in there and value in moved}
        if not wrong:
            return None
        column = xp.asarray(list(wrong.values()), self._parameters.dtype)[:, xp.newaxis]
        return a.__setitem__, (xp.asarray(list(wrong)), column)

    def _lay_out_backward(self, gradient: Floats) -> list[Call]:
        """What a backward pass does, from the output's layer to the first."""
        layout = self.layout
        calls: list[Call] = []
        # The gradient by each layer's linear outputs, the inputs' left out; none ever flows to the rows
        # of ones.
        self._slopes = [self._columns, *(self._zeros(n, self.rows) for n in layout.n_rows[1:-1])]
        if self._apart:
            calls.append((xp.copyto, (self._outputs, self.predictions.swapaxes(0, 1))))
        for layer in range(layout.depth + 1, 0, -1):
            if layer <= layout.depth:
                calls += self._differentiate(layer)
            if layer == 1 <= layout.depth:
                wide = layout.wide(gradient)
                calls += self._product(self._slopes[1][: len(wide)], self._with_ones, wide)
                continue
            for stack in layout.stacks(layer):
                slopes = self._outputs_of(self._slopes, stack)
                calls += self._by_columns(slopes, self._inputs_of(stack), _numbers(gradient, stack))
                if stack[0].source:
                    weights = _numbers(self._parameters, stack)[..., :-1].swapaxes(-1, -2)
                    out = _units(self._slopes[stack[0].source], stack, "source_rows")
                    calls += self._product(weights, slopes, out)
        return calls

    def _differentiate(self, layer: int) -> list[Call]:
        slopes, z, a = self._slopes[layer], self._linear[layer], self.hidden[layer - 1]
        calls: list[Call] = []
        if layer in self.masks:
            calls.append((xp.multiply, (slopes, self.masks[layer], slopes)))
        for name, rows in self.layout.runs(layer):
            kind = ACTIVATIONS[name]
            calls += kind.lay_out_backward(_flat(slopes, rows), _flat(z, rows), _flat(a, rows))
        return calls

    def _by_columns(self, slopes: Floats, read: Floats, out: Floats) -> list[Call]:
        """The product of slopes by what was read, transposed; copied first where that pays."""
        if read is self._columns:
            return self._product(slopes, self._with_ones, out)
        columns = read.swapaxes(-1, -2)
        if slopes.shape[-2] < PANEL or not fits_cache(columns):
            return self._product(slopes, columns, out)
        copy = self._zeros(*columns.shape)
        return [(xp.copyto, (copy, columns)), *self._product(slopes, copy, out)]

    def _outputs_of(self, arrays: list[Floats], stack: list[Place]) -> Floats:
        """A stack's part of what it writes, or of the gradient by that.

        Those of the last layer lie in the same place, that of the predictions.
        """
        if stack[0].layer > self.layout.depth:
            n_outputs = self.layout.n_outputs
            return self._outputs[stack[0].rows.start // n_outputs : stack[-1].rows.stop // n_outputs]
        return _units(arrays[stack[0].layer], stack, "rows")

    def _inputs_of(self, stack: list[Place]) -> Floats:
        """What a stack reads, with the row of ones: each one's own units, or the inputs, which all share."""
        if stack[0].source == 0:
            return self._columns
        return _units(self._read[stack[0].source], stack, "source_rows", ones=True)

    def load(self, X: Floats, rows: Ints) -> None:
        """Take the batch from a table of shape (all rows, inputs)."""
        take_rows(X, rows, self._taken)
        xp.copyto(self.inputs, self._taken)

    def draw_masks(self, rngs: Sequence[host.random.Generator]) -> None:
        """New dropout masks: 0 for the dropped units, 1 / (1 - dropout) for the others.

        Each member's come from its own generator, first layer to last, and depend on nothing else.
        Nothing is drawn for a layer that drops none.
        """
        for i, (shares, rng) in enumerate(zip(self._dropouts, rngs, strict=True)):
            sizes = self.layout.shapes[i].sizes[1:-1]
            for place, size, share in zip(self.layout.places[i][:-1], sizes, shares, strict=True):
                if share:
                    mask = self.masks[place.layer][place.rows][:size]
                    kept = rng.random(mask.shape, host.float32) >= share
                    xp.multiply(to_device(kept), 1 / (1 - share), out=mask)

    def forward(self) -> Floats:
        """Predictions for the batch, of shape (outputs, members, rows), in the workspace's own memory."""
        run(self._forward)
        return self.predictions

    def backpropagate(self, targets: Array, row_weights: Floats | None = None) -> Floats:
        """Fill the gradient with that of each member's mean loss; return the losses, (members, rows).

        Parameters
        ----------
        targets : array as the loss asks for
        row_weights : array of shape (rows,), optional
            Factors of the rows' losses, 1 on average over the training part.
        """
        p = self.forward()
        losses = self.loss.gradient(p, targets)
        if row_weights is None:
            xp.multiply(p, self._share, p)
        else:
            losses *= row_weights
            xp.multiply(p, row_weights / self.rows, out=p)
        run(self._backward)
        return losses


def _flat(array: Floats, rows: slice) -> Floats:
    return array[rows].reshape(-1)


def _numbers(flat: Floats, stack: list[Place]) -> Floats:
    """Weights and biases of a stack, of shape (members, outputs, inputs + 1)."""
    return flat[stack[0].numbers.start : stack[-1].numbers.stop].reshape(len(stack), *stack[0].shape)


def _units(array: Floats, stack: list[Place], which: str, *, ones: bool = False) -> Floats:
    """Units of a stack, of shape (members, units, rows), with or without the row of ones below each."""
    first, last = getattr(stack[0], which), getattr(stack[-1], which)
    units = array[first.start : last.stop + 1].reshape(len(stack), -1, array.shape[1])
    return units if ones else units[:, :-1]
