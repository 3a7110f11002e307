"""Forward and backward pass of a cohort: one batch through all its networks at once.

    P = output(Z_L),   dZ_L = dloss / dZ_L

The calls of a pass are laid out once, with views of the parameters and of the memory for one number of rows
as their arguments; running them allocates nothing. What lies between the linear outputs and the batch is in
`nas.training.forward` and `nas.training.backward`, the arrays in `nas.training.memory`.
"""

from __future__ import annotations

from collections.abc import Sequence

from nas.network.arrays import Array, Floats, Ints, host, to_device, to_host, xp, zeros
from nas.network.calls import Call, run
from nas.network.losses import Loss, Smoothing
from nas.network.mlp import MLP, PREDICTION_ROWS
from nas.training.backward import BackwardPass
from nas.training.dropout import Dropout
from nas.training.forward import ForwardPass
from nas.training.layout import Layout
from nas.training.memory import Memory
from nas.training.shapes import Shape
from nas.training.storage import Storage


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
        self._dropout = Dropout(layout, dropouts, rows, parameters.dtype)
        self.masks = self._dropout.masks
        self._memory = Memory(layout, rows, parameters.dtype, masks=self.masks, groups=groups)
        self.inputs, self.hidden = self._memory.batches[0].inputs, self._memory.hidden
        self.predictions = self._memory.predictions
        forward = ForwardPass(self._memory, parameters, is_trained=gradient is not None)
        self._forward = [*forward.calls, *loss.lay_out_link(self.predictions)]
        self._loss_gradient = loss.gradient_of(self.predictions)
        # A mean over rows, as a factor of the type of the parameters.
        self._share = xp.asarray(1 / rows, parameters.dtype)
        self._backward: list[Call] = []
        if gradient is not None:
            self._backward = BackwardPass(self._memory, forward, gradient).calls

    def load(self, X: Floats, rows: Ints, group: int = 0) -> None:
        """Copy a group's batch, by its row numbers, from a table of shape (all rows, inputs)."""
        self._memory.batches[group].load(X, rows)

    def draw_masks(self, rngs: Sequence[host.random.Generator], factor: float = 1.0) -> None:
        """Draw the dropout masks of each member from its generator; see `Dropout.draw`."""
        self._dropout.draw(rngs, factor)

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
        # From here on the memory of the predictions holds the gradient of the loss by linear outputs.
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


def predict(network: MLP, X: Floats) -> Floats:
    """Predictions of shape (rows, outputs), with the same bits as in training's validation of a solo network.

    Up to rounding these are `MLP.predict`'s, which computes row by row.
    """
    members = network.plain_networks()
    tiled = len(members) > 1
    shape = Shape.of(network.sizes, network.activations, tiled=tiled, extras=network.extras)
    layout = Layout([shape] * len(members), tiled=tiled)
    flat = zeros(layout.size, network.parameters.dtype)
    storage = Storage(layout)
    for i, member in enumerate(members):
        storage.store(member, i, flat)
    if tiled:
        storage.set_units(flat)
    result = host.empty((len(X), network.sizes[-1]), network.parameters.dtype)
    X = to_device(X.astype(flat.dtype, copy=False))
    spaces: dict[int, Workspace] = {}
    # In the blocks of validation: BLAS may round products of another number of rows differently.
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
