"""Forward and backward pass of a cohort: one batch through all its networks at once.

    A_0 = X,   Z_l = [W_l b_l] [A_(l-1); 1],   A_l = phi_l(Z_l),   P = output(Z_L)

Columns are examples: the units of a member are then adjacent rows of an array, so that the members of a
stack are a three-dimensional view of it without a copy, and an activation of many members is one call.
The calls of a pass are laid out once, with views of the parameters and of the memory for one number of rows
as their arguments; running them allocates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from nas import kernels
from nas.network import fused
from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Array, Floats, Ints, host, take_rows, to_device, to_host, xp, zeros
from nas.network.calls import Call, run
from nas.network.losses import Loss, Smoothing
from nas.network.mlp import MLP, PREDICTION_ROWS
from nas.training.front import FrontScaling, MemberWaves, numbers_of
from nas.training.layout import Layout, Place, Shape
from nas.training.products import PANEL, fits_cache, product


class Workspace:
    """Memory and calls for batches of a fixed number of rows through a cohort.

    Parameters
    ----------
    layout : Layout
    parameters : float array of shape (layout.size,)
    loss : Loss
    rows : int
        Examples a batch.
    gradient : float array of shape (layout.size,), optional
        Receives the result of a backward pass; without it there are forward passes only.
    dropouts : sequence of sequences of float, optional
        The share that each member drops of each hidden layer's units; none by default.
    groups : sequence of int, optional
        The number of the batch that each member reads, from 0, where members read different batches; such
        a workspace has forward passes only. By default all read the same batch.

    Attributes
    ----------
    inputs : float array of shape (rows, inputs)
        The batch that `load` copied, or the first of several.
    predictions : float array of shape (outputs, members, rows)
        The result of `forward`.
    hidden : list of float arrays of shape (units, rows)
        Activations of each hidden layer of all members.
    masks : dict from int to float arrays of shape (units, rows)
        The dropout masks of the hidden layers, by their numbers from 1, in which a member drops units.
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
        groups: Sequence[int] = (),
    ) -> None:
        self.layout, self.loss, self.rows = layout, loss, rows
        self._parameters = parameters
        self._scaling = FrontScaling(layout, parameters)
        self._zeros = partial(zeros, dtype=parameters.dtype)
        self._groups = tuple(groups)
        # What loops of a forward pass leave to the backward pass, by layer and first row.
        self._gates: dict[tuple[int, int], Floats] = {}
        self._is_trained = gradient is not None
        self._batches = [_Batch(rows, layout, self._zeros) for _ in range(1 + max(groups, default=0))]
        self.inputs, self._with_ones = self._batches[0].inputs, self._batches[0].with_ones
        self._columns = self._batches[0].columns
        hidden = range(1, layout.depth + 1)
        # For each layer: linear outputs; activations, in the same memory if the derivative allows it; inputs
        # of the next layer, which differ under dropout. The rows of ones are set once in all of them.
        self._linear = [self._columns, *(self._units(layer) for layer in hidden)]
        self.hidden = [
            self._units(layer) if _needs_inputs(layout, layer) else self._linear[layer] for layer in hidden
        ]
        self._read = [self._columns, *self.hidden]
        self._dropouts = tuple(dropouts)
        self.masks: dict[int, Floats] = {}
        for layer in hidden:
            if any(
                any(shares[layer - 1 : layer]) for shares in dropouts
            ):  # shallower members have no share here
                self.masks[layer] = xp.ones_like(self.hidden[layer - 1])
                self._read[layer] = self._units(layer)
        self._draws = list(self._lay_out_draws())
        self.predictions = self._zeros((layout.n_outputs, len(layout.shapes), rows))
        self._outputs = self.predictions.swapaxes(0, 1)
        # BLAS multiplies by another kernel if the single column of an output has gaps. Gaps depend on the
        # members present, and results must not: so the outputs of one row have memory without gaps.
        self._separate = rows == 1
        if self._separate:
            self._outputs = self._zeros(self._outputs.shape)
        self._numbers: dict[tuple[int, tuple[int, ...]], Floats] = {}
        self._waves: dict[int, MemberWaves] = {}
        self._forward = [*self._lay_out_forward(), *loss.lay_out_link(self.predictions)]
        self._loss_gradient = loss.gradient_of(self.predictions)
        # A mean over rows, as a factor of the type of the parameters.
        self._share = xp.asarray(1 / rows, parameters.dtype)
        self._backward = [] if gradient is None else self._lay_out_backward(gradient)

    def _product(self, A: Floats, B: Floats, out: Floats) -> list[Call]:
        return product(A, B, out, solo=not self.layout.tiled)

    def _units(self, layer: int) -> Floats:
        """Memory for the units of a hidden layer, rows of ones set."""
        units = self._zeros((self.layout.n_rows[layer], self.rows))
        units[[row for row, value in self.layout.fixed_rows(layer).items() if value]] = 1
        return units

    def _lay_out_forward(self) -> list[Call]:
        """The calls of a forward pass, up to the linear outputs."""
        layout = self.layout
        calls: list[Call] = [*self._scaling.forward]
        for batch in self._batches:
            calls += batch.transposition
        calls += self._gather_numbers()
        for layer in range(1, layout.depth + 2):
            if layer == 1 <= layout.depth:
                calls += self._multiply_first()
            else:
                for stack in self._stacks(layer):
                    flat = self._parameters if stack[0].source else self._scaling.weights
                    weights, out = _matrices(flat, stack), self._outputs_of(self._linear, stack)
                    calls += self._product(weights, self._inputs_of(stack), out)
            for i in self._with_waves(layer):
                calls += self._waves[i].forward(self._first_outputs(self._linear, i))
            if layer <= layout.depth:
                calls += self._activate(layer)
        if self._separate:
            calls.append((xp.copyto, (self.predictions, self._outputs.swapaxes(0, 1))))
        return calls

    def _multiply_first(self) -> list[Call]:
        """The product of the first hidden layer: one of all members, or one of each if batches differ."""
        wide, linear = self.layout.wide(self._scaling.weights), self._linear[1]
        if not self._groups:
            return self._product(wide, self._columns, linear[: len(wide)])
        calls: list[Call] = []
        for i in self.layout.members(1):
            units = self.layout.places[i][0].rows
            # With the row of ones below them, where that is a product too.
            rows = slice(units.start, min(units.stop + 1, len(wide)))
            calls += self._product(wide[rows], self._columns_of(i), linear[rows])
        return calls

    def _gather_numbers(self) -> list[Call]:
        """The calls that gather the numbers with waves, once for all members that read the same."""
        calls: list[Call] = []
        for i, shape in enumerate(self.layout.shapes):
            if not (places := shape.front.periodic):
                continue
            key = (self._groups[i] if self._groups else 0, places)
            if key not in self._numbers:
                self._numbers[key] = self._zeros((len(places), self.rows))
                calls.append(numbers_of(self._columns_of(i), xp.asarray(places), self._numbers[key]))
            x = self._numbers[key]
            self._waves[i] = MemberWaves(self.layout, i, self._parameters, x, self._product)
        return calls

    def _with_waves(self, layer: int) -> list[int]:
        """The members with waves of which this is the first layer."""
        return [i for i in self._waves if self.layout.places[i][0].layer == layer]

    def _first_outputs(self, arrays: list[Floats], member: int) -> Floats:
        """The linear outputs of a member's first layer, or their gradient, of shape (outputs, rows)."""
        outputs: Floats = self._outputs_of(arrays, [self.layout.places[member][0]])[0]
        return outputs

    def _stacks(self, layer: int) -> Iterator[list[Place]]:
        """The stacks of a layer; those that read the inputs are cut up where members read several batches."""
        for stack in self.layout.stacks(layer):
            if self._groups and stack[0].source == 0:
                yield from ([place] for place in stack)
            else:
                yield stack

    def _columns_of(self, member: int) -> Floats:
        return self._batches[self._groups[member] if self._groups else 0].columns

    def _activate(self, layer: int) -> list[Call]:
        layout, z, a = self.layout, self._linear[layer], self.hidden[layer - 1]
        calls: list[Call] = []
        for name, rows in layout.runs(layer):
            arrays = (_flat(z, rows), _flat(a, rows))
            if self._is_trained and ACTIVATIONS[name].needs_input and kernels.is_loaded():
                self._gates[layer, rows.start] = self._zeros(arrays[0].shape)
            gate = self._gates.get((layer, rows.start))
            calls += ACTIVATIONS[name].lay_out_forward(*arrays, gate)
        if reset := _reset(layout, layer, a):
            calls.append(reset)
        if layer in self.masks:
            calls.append((xp.multiply, (a, self.masks[layer], self._read[layer])))
        return calls

    def _lay_out_backward(self, gradient: Floats) -> list[Call]:
        """The calls of a backward pass, from the outputs to the first layer."""
        layout = self.layout
        calls: list[Call] = []
        # The gradient by each layer's linear outputs; the inputs need none. Rows of ones get no gradient: a
        # product for the layer below leaves out the biases' column, so that these rows stay 0.
        self._slopes = [self._columns, *(self._zeros((n, self.rows)) for n in layout.n_rows[1:-1])]
        if self._separate:
            calls.append((xp.copyto, (self._outputs, self.predictions.swapaxes(0, 1))))
        for layer in range(layout.depth + 1, 0, -1):
            if layer <= layout.depth:
                calls += self._differentiate(layer)
            for i in self._with_waves(layer):
                calls += self._waves[i].backward(self._first_outputs(self._slopes, i), gradient)
            if layer == 1 <= layout.depth:
                # The first layer has no layer below, and needs the gradient by its weights only.
                wide = layout.wide(gradient)
                calls += self._product(self._slopes[1][: len(wide)], self._with_ones, wide)
                continue
            for stack in layout.stacks(layer):
                slopes = self._outputs_of(self._slopes, stack)
                calls += self._by_columns(slopes, self._inputs_of(stack), _matrices(gradient, stack))
                # The gradient by the units below, unless these are the inputs.
                if stack[0].source:
                    weights = _matrices(self._parameters, stack)[..., :-1].swapaxes(-1, -2)
                    out = _units(self._slopes[stack[0].source], stack, source=True)
                    calls += self._product(weights, slopes, out)
        return calls + self._scaling.backward(gradient)

    def _differentiate(self, layer: int) -> list[Call]:
        slopes, z, a = self._slopes[layer], self._linear[layer], self.hidden[layer - 1]
        calls: list[Call] = []
        if layer in self.masks:
            # The forward pass multiplied by the mask last, so the backward pass does first.
            calls.append((xp.multiply, (slopes, self.masks[layer], slopes)))
        for name, rows in self.layout.runs(layer):
            arrays = (_flat(slopes, rows), _flat(z, rows), _flat(a, rows))
            calls += ACTIVATIONS[name].lay_out_backward(*arrays, self._gates.get((layer, rows.start)))
        return calls

    def _by_columns(self, slopes: Floats, read: Floats, out: Floats) -> list[Call]:
        """The product of slopes by a layer's transposed inputs: the gradient by its weights.

        The transposed view is copied first if the product has rows enough to make up for the copy.
        """
        if read is self._columns:
            return self._product(slopes, self._with_ones, out)
        columns = read.swapaxes(-1, -2)
        if slopes.shape[-2] < PANEL or not fits_cache(columns):
            return self._product(slopes, columns, out)
        copy = self._zeros(columns.shape)
        stack = read.reshape(-1, *read.shape[-2:])
        transposition = fused.transpose(stack, copy) or (xp.copyto, (copy, columns))
        return [transposition, *self._product(slopes, copy, out)]

    def _outputs_of(self, arrays: list[Floats], stack: list[Place]) -> Floats:
        """The rows that a stack writes, in linear outputs or in their gradient.

        In the last layer both are the memory of the predictions: a loss turns these into its gradient.
        """
        if stack[0].layer > self.layout.depth:
            n_outputs = self.layout.n_outputs
            return self._outputs[stack[0].rows.start // n_outputs : stack[-1].rows.stop // n_outputs]
        return _units(arrays[stack[0].layer], stack)

    def _inputs_of(self, stack: list[Place]) -> Floats:
        """The rows that a stack reads, ones included: each member's own units, or the shared inputs."""
        if stack[0].source == 0:
            # Only outputs read the inputs: those of members without hidden layers.
            return self._columns_of(stack[0].rows.start // self.layout.n_outputs)
        return _units(self._read[stack[0].source], stack, source=True, with_ones=True)

    def load(self, X: Floats, rows: Ints, group: int = 0) -> None:
        """Copy a group's batch, by its row numbers, from a table of shape (all rows, inputs)."""
        self._batches[group].load(X, rows)

    def draw_masks(self, rngs: Sequence[host.random.Generator]) -> None:
        """Draw dropout masks: 0 for dropped units, 1 / (1 - dropout) for all others (Srivastava et al. 2014).

        Dividing in training keeps the mean, so that predictions need no factor. A member's masks come from
        its own generator, first layer to last, and depend on nothing else. A layer without dropout draws
        nothing.
        """
        for i, share, mask, draws, loop in self._draws:
            rngs[i].random(dtype=host.float32, out=draws)
            if loop:
                run([loop])
            else:
                xp.multiply(to_device(draws >= share), 1 / (1 - share), out=mask)

    def _lay_out_draws(self) -> Iterator[tuple[int, float, Floats, Floats, Call | None]]:
        """Of each mask, in order: the member, its dropout, the mask, memory for draws, and a loop, if any."""
        memory = host.empty(max((mask.size for mask in self.masks.values()), default=0), host.float32)
        for i, shares in enumerate(self._dropouts):
            sizes = self.layout.shapes[i].sizes[1:-1]
            for place, size, share in zip(self.layout.places[i][:-1], sizes, shares, strict=True):
                if share:
                    # Of padded widths only the member's own units: draws must not depend on the cohort.
                    mask = self.masks[place.layer][place.rows][:size]
                    draws = memory[: mask.size].reshape(mask.shape)
                    yield i, share, mask, draws, fused.dropout_mask(draws, mask, share)

    def forward(self) -> Floats:
        """Predictions for the batch, of shape (outputs, members, rows), in the workspace's own memory."""
        run(self._forward)
        return self.predictions

    def backpropagate(
        self, targets: Array, row_weights: Floats | None = None, smoothing: Smoothing | None = None
    ) -> Floats:
        """Fill the gradient with that of each member's mean loss; returns the losses, (members, rows).

        Parameters
        ----------
        targets : array as the loss asks for
        row_weights : array of shape (rows,), optional
            Factors of the rows' losses, 1 on average over the training part.
        smoothing : Smoothing, optional
            The label smoothing of the members.
        """
        p = self.forward()
        losses = (
            self._loss_gradient(p, targets)
            if smoothing is None
            else self.loss.smoothed_gradient(p, targets, smoothing, self._loss_gradient)
        )
        # A mean over rows: every row's gradient gets its share, here once for all layers below.
        if row_weights is None:
            xp.multiply(p, self._share, p)
        else:
            losses *= row_weights
            xp.multiply(p, row_weights / self.rows, out=p)
        run(self._backward)
        return losses


class _Batch:
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
        if X is not self._table:
            self._table, self._gather = X, fused.gather(X, self._rows, self.with_ones)
        if self._gather:
            xp.copyto(self._rows, rows)
            run([self._gather])
        else:
            take_rows(X, rows, self._gathered)
            xp.copyto(self.inputs, self._gathered)


def predict(network: MLP, X: Floats) -> Floats:
    """Predictions of shape (rows, outputs), with the same bits as in training's validation of a solo network.

    Up to rounding these are `MLP.predict`'s, which computes row by row.
    """
    members = network.plain_networks()
    tiled = len(members) > 1
    shape = Shape.of(network.sizes, network.activations, tiled=tiled, front=network.front)
    layout = Layout([shape] * len(members), tiled=tiled)
    flat = zeros(layout.size, network.parameters.dtype)
    for i, member in enumerate(members):
        layout.store(member, i, flat)
    if tiled:
        layout.set_units(flat)
    result = host.empty((len(X), network.sizes[-1]), network.parameters.dtype)
    X = to_device(X.astype(flat.dtype, copy=False))
    spaces: dict[int, Workspace] = {}
    for start in range(0, len(X), PREDICTION_ROWS):
        rows = host.arange(start, min(start + PREDICTION_ROWS, len(X)))
        if len(rows) not in spaces:
            spaces[len(rows)] = Workspace(layout, flat, network.loss, len(rows))
        space = spaces[len(rows)]
        space.load(X, to_device(rows))
        p = space.forward()
        result[rows] = to_host((mean_of_copies(p, len(members)) if tiled else p)[:, 0].T)
    return result


def mean_of_copies(p: Floats, copies: int) -> Floats:
    """Predictions of networks, (outputs, networks, rows), from those of as many members of each."""
    mean: Floats = p.reshape(len(p), -1, copies, p.shape[-1]).mean(axis=2)
    return mean


def _needs_inputs(layout: Layout, layer: int) -> bool:
    """Whether a derivative in this layer reads linear outputs, so that activations need their own memory."""
    return any(ACTIVATIONS[name].needs_input for name, _ in layout.runs(layer))


def _reset(layout: Layout, layer: int, a: Floats) -> Call | None:
    """A call that restores rows of ones and padding, if the activation moved them.

    f(0) = 0 and f(1) = 1 hold for relu, but sigmoid would turn padding into 0.5 and ones into 0.73.
    """
    fixed = layout.fixed_rows(layer)
    overwritten: dict[int, float] = {}
    for name, rows in layout.runs(layer):
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


def _flat(array: Floats, rows: slice) -> Floats:
    return array[rows].reshape(-1)


def _matrices(flat: Floats, stack: list[Place]) -> Floats:
    """Weights and biases of a stack, of shape (members, outputs, inputs + 1)."""
    return flat[stack[0].numbers.start : stack[-1].numbers.stop].reshape(len(stack), *stack[0].shape)


def _units(array: Floats, stack: list[Place], *, source: bool = False, with_ones: bool = False) -> Floats:
    """Units of a stack, of shape (members, units, rows), with or without the row of ones below each member's.

    `source`: the units that the stack reads, instead of those that it writes.
    """
    first, last = (place.source_rows if source else place.rows for place in (stack[0], stack[-1]))
    units = array[first.start : last.stop + 1].reshape(len(stack), -1, array.shape[1])
    return units if with_ones else units[:, :-1]
