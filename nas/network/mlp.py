"""The multi-layer perceptron: nested matrix operations over one flat buffer of parameters.

    f(x) = output(W_L ... phi_2(W_2 phi_1(W_1 x + b_1) + b_2) ... + b_L)

Rows are examples, so that a layer is ``A @ W + b`` with W of shape (inputs, outputs). All weights
come first in the flat buffer, then all biases: weight decay, which leaves biases alone, is then an
operation on one contiguous slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from nas.network.activations import ACTIVATIONS, Activation
from nas.network.arrays import Array, Floats
from nas.network.initializers import INITIALIZERS
from nas.network.losses import LOSSES

_PREDICTION_ROWS = 1024
"""Rows that are predicted at once: activations stay in the cache, whatever the table's length."""


class MLP:
    """A fully connected feed-forward network.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of inputs, of units of each hidden layer, and of outputs.
    activations : sequence of str
        The activation of each hidden layer; see `nas.network.ACTIVATIONS`.
    loss : str
        The loss, which brings its output along; see `nas.network.LOSSES`.
    rng : numpy.random.Generator, optional
        Draws the initial weights; without it all parameters are 0, to be filled by the caller.
    dtype : dtype
        float32, or float64 for checks.

    Raises
    ------
    ValueError
        On a size below 1, an unknown name, or a number of activations that does not fit.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[str],
        loss: str,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        _check(sizes, activations, loss)
        self.sizes = tuple(int(size) for size in sizes)
        self.activations = [ACTIVATIONS[name] for name in activations]
        self.loss = LOSSES[loss]
        self.n_weights = sum(above * below for above, below in pairwise(self.sizes))
        self.parameters: Floats = np.zeros(self.n_weights + sum(self.sizes[1:]), dtype)
        self.weights, self.biases = self.views(self.parameters)
        if rng is not None:
            # The output layer is linear where it meets the loss, hence Glorot's weights there.
            names = [*(activation.initializer for activation in self.activations), "glorot_uniform"]
            for weight, name in zip(self.weights, names, strict=True):
                INITIALIZERS[name](weight, rng)

    def views(self, flat: Floats) -> tuple[list[Floats], list[Floats]]:
        """Weights, of shape (inputs, outputs), and biases, (outputs,), as views of a flat buffer."""
        weights, biases, start = [], [], 0
        for above, below in pairwise(self.sizes):
            weights.append(flat[start : start + above * below].reshape(above, below))
            start += above * below
        for below in self.sizes[1:]:
            biases.append(flat[start : start + below])
            start += below
        return weights, biases

    def forward(self, X: Floats, space: Workspace) -> Floats:
        """Predictions for a batch, of shape (rows, outputs), in the workspace's own memory."""
        z = self._linear_outputs(X, space)
        self.loss.link(z)
        return z

    def _linear_outputs(self, X: Floats, space: Workspace) -> Floats:
        inputs = X
        for i, activation in enumerate(self.activations):
            z, a = space.z[i], space.a[i]
            np.dot(inputs, self.weights[i], out=z)
            z += self.biases[i]
            activation.forward(z, a)
            inputs = a
            if space.masks:
                inputs = np.multiply(a, space.masks[i], out=space.dropped[i])
        z = space.z[-1]
        np.dot(inputs, self.weights[-1], out=z)
        z += self.biases[-1]
        return z

    def backward(self, X: Floats, space: Workspace, gradient: Gradient) -> None:
        """Fill `gradient` from the gradient by the linear outputs that lies in ``space.z[-1]``.

        Must follow a forward pass of the same batch in the same workspace.
        """
        dz = space.z[-1]
        for i in range(len(self.weights) - 1, -1, -1):
            inputs = X if i == 0 else (space.dropped if space.masks else space.a)[i - 1]
            np.dot(inputs.T, dz, out=gradient.weights[i])
            np.dot(space.ones, dz, out=gradient.biases[i])
            if i > 0:
                da = space.da[i - 1]
                np.dot(dz, self.weights[i].T, out=da)
                if space.masks:
                    da *= space.masks[i - 1]
                self.activations[i - 1].backward(da, space.z[i - 1], space.a[i - 1])
                dz = da

    def backpropagate(
        self,
        X: Floats,
        y: Array,
        space: Workspace,
        gradient: Gradient,
        row_weights: Floats | None = None,
    ) -> Floats:
        """Fill `gradient` with that of the mean loss of a batch; return the loss of each row.

        Parameters
        ----------
        X : array of shape (rows, inputs)
        y : array of shape (rows,) or (rows, outputs), as the loss asks for
        row_weights : array of shape (rows,), optional
            Factors of the rows' losses, 1 on average over the training part.
        """
        p = self.forward(X, space)
        losses = self.loss.per_row(p, y)
        self.loss.gradient(p, y)
        if row_weights is not None:
            losses *= row_weights
            p *= row_weights[:, np.newaxis]
        p *= 1 / len(X)
        self.backward(X, space, gradient)
        return losses

    def loss_and_gradient(
        self, X: Floats, y: Array, *, row_weights: Floats | None = None, weight_decay: float = 0.0
    ) -> tuple[float, Floats]:
        """The mean loss, with the penalty weight_decay / 2 · ‖weights‖², and its flat gradient."""
        space, gradient = Workspace(self, len(X)), Gradient(self)
        loss = float(np.mean(self.backpropagate(X, y, space, gradient, row_weights)))
        weights = self.parameters[: self.n_weights]
        gradient.flat[: self.n_weights] += weight_decay * weights
        return loss + 0.5 * weight_decay * float(weights @ weights), gradient.flat

    def predict(self, X: Floats) -> Floats:
        """Predictions of shape (rows, outputs): probabilities, or values for a linear output."""
        result = np.empty((len(X), self.sizes[-1]), self.parameters.dtype)
        for start, rows, space in self._pieces(X):
            result[start : start + len(rows)] = self.forward(rows, space)
        return result

    def hidden(self, X: Floats) -> Floats:
        """Outputs of the last hidden layer, of shape (rows, units); `X` where there is none."""
        if not self.activations:
            return X
        result = np.empty((len(X), self.sizes[-2]), self.parameters.dtype)
        for start, rows, space in self._pieces(X):
            self._linear_outputs(rows, space)
            result[start : start + len(rows)] = space.a[-1]
        return result

    def _pieces(self, X: Floats) -> Iterator[tuple[int, Floats, Workspace]]:
        """Starts, rows and workspaces, of which there are at most two: for full pieces and the rest."""
        spaces: dict[int, Workspace] = {}
        for start in range(0, len(X), _PREDICTION_ROWS):
            rows = np.ascontiguousarray(X[start : start + _PREDICTION_ROWS], self.parameters.dtype)
            if len(rows) not in spaces:
                spaces[len(rows)] = Workspace(self, len(rows), backward=False)
            yield start, rows, spaces[len(rows)]


class Gradient:
    """A flat gradient of a network, with the views of its weights and biases."""

    def __init__(self, network: MLP) -> None:
        self.flat = np.zeros_like(network.parameters)
        self.weights, self.biases = network.views(self.flat)


class Workspace:
    """The memory in which one batch of a fixed number of rows passes through a network.

    Parameters
    ----------
    network : MLP
    rows : int
    dropout : float
        The share of hidden units that `draw_masks` drops.
    backward : bool
        Whether there is room for a backward pass too.
    """

    def __init__(self, network: MLP, rows: int, *, dropout: float = 0.0, backward: bool = True) -> None:
        dtype, hidden = network.parameters.dtype, network.sizes[1:-1]

        def arrays() -> list[Floats]:
            return [np.empty((rows, size), dtype) for size in hidden]

        def kept(activation: Activation, a: Floats) -> Floats:
            return np.empty_like(a) if activation.needs_input else a

        self.a = arrays()
        self.z = [kept(activation, a) for activation, a in zip(network.activations, self.a, strict=True)]
        self.z.append(np.empty((rows, network.sizes[-1]), dtype))
        self.da = arrays() if backward else []
        self.ones = np.ones(rows, dtype)
        self._dropout = dropout
        self.masks = arrays() if dropout else []
        self.dropped = arrays() if dropout else []

    def draw_masks(self, rng: np.random.Generator) -> None:
        """New dropout masks: 0 for the dropped units, 1 / (1 - dropout) for the others."""
        for mask in self.masks:
            rng.random(out=mask, dtype=mask.dtype.type)
            np.greater_equal(mask, self._dropout, out=mask)
            mask *= 1 / (1 - self._dropout)


def _check(sizes: Sequence[int], activations: Sequence[str], loss: str) -> None:
    if len(sizes) < 2 or not all(_is_size(size) for size in sizes):
        raise ValueError(
            f"sizes: expected inputs, hidden widths and outputs, each a whole number >= 1, got {tuple(sizes)}"
        )
    if len(activations) != len(sizes) - 2:
        raise ValueError(
            f"activations: expected {len(sizes) - 2}, one a hidden layer, got {len(activations)}"
        )
    for name in activations:
        if name not in ACTIVATIONS:
            raise ValueError(f"activations: expected names among {', '.join(ACTIVATIONS)}, got {name!r}")
    if loss not in LOSSES:
        raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, got {loss!r}")


def _is_size(size: object) -> bool:
    # Infinity and NaN are no whole numbers either, but int() would not say so of them.
    return isinstance(size, (int, float, np.number)) and bool(size >= 1) and float(size).is_integer()
