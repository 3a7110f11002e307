"""The multi-layer perceptron: nested matrix operations over one flat buffer of parameters.

    f(x) = output(W_L ... phi_2(W_2 phi_1(W_1 x + b_1) + b_2) ... + b_L)

To its users, rows are examples, so that a layer is ``A @ W + b`` with W of shape (inputs, outputs). All
weights come first in the flat buffer, then all biases. It is trained, alone or with others, as a
member of a cohort, which lays its numbers out in its own way and puts them back here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Array, DTypeLike, Floats, host, to_device, to_host, xp, zeros
from nas.network.initializers import INITIALIZERS
from nas.network.layout import Layout, Shape, padded
from nas.network.losses import LOSSES
from nas.network.passes import Workspace

PREDICTION_ROWS = 256
"""Rows that are predicted at once: activations stay in the cache, whatever the table's length."""

_FEW_ROWS = 32
"""Rows up to which laying out a cohort of one takes longer than predicting them layer by layer."""


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
        rng: host.random.Generator | None = None,
        dtype: DTypeLike = host.float32,
    ) -> None:
        _check(sizes, activations, loss)
        self.sizes = tuple(int(size) for size in sizes)
        self.activations = tuple(activations)
        self.loss = LOSSES[loss]
        self.n_weights = sum(above * below for above, below in pairwise(self.sizes))
        self.parameters: Floats = host.zeros(self.n_weights + sum(self.sizes[1:]), dtype)
        self.weights, self.biases = self.views(self.parameters)
        if rng is not None:
            # The output layer is linear where it meets the loss, hence Glorot's weights there.
            names = [*(ACTIVATIONS[name].initializer for name in activations), "glorot_uniform"]
            for weight, name in zip(self.weights, names, strict=True):
                INITIALIZERS[name](weight, rng)

    def views(self, flat: Floats) -> tuple[list[Floats], list[Floats]]:
        """Weights, of shape (inputs, outputs), and biases, (outputs,), as views of a flat buffer."""
        return views(flat, self.sizes)

    def shape(self, n_members: int = 1) -> Shape:
        """What a cohort of so many members needs to know of this network."""
        return Shape(self.sizes, padded(self.sizes, n_members), self.activations)

    def store(self, layout: Layout, member: int, flat: Floats, source: Floats | None = None) -> None:
        """Put the parameters, or what else has their order, into a cohort's buffer."""
        for mine, theirs in self._pairs(layout, member, flat, self.parameters if source is None else source):
            theirs[...] = to_device(mine)

    def load(self, layout: Layout, member: int, flat: Floats, into: Floats | None = None) -> None:
        """Take the parameters, or what else has their order, out of a cohort's buffer."""
        for mine, theirs in self._pairs(layout, member, flat, self.parameters if into is None else into):
            mine[...] = to_host(theirs)

    def _pairs(
        self, layout: Layout, member: int, flat: Floats, own: Floats
    ) -> Iterator[tuple[Floats, Floats]]:
        weights, biases = layout.views(flat, member)
        my_weights, my_biases = self.views(own)
        for mine, theirs in zip(my_weights, weights, strict=True):
            yield mine, theirs.T
        yield from zip(my_biases, biases, strict=True)

    def _alone(self) -> tuple[Layout, Floats]:
        """The layout of a cohort of one, and its buffer."""
        layout = Layout([self.shape()])
        flat = zeros(layout.size, self.parameters.dtype)
        self.store(layout, 0, flat)
        return layout, flat

    def loss_and_gradient(
        self, X: Floats, y: Array, *, row_weights: Floats | None = None, weight_decay: float = 0.0
    ) -> tuple[float, Floats]:
        """The mean loss, with the penalty weight_decay / 2 · ‖weights‖², and its flat gradient."""
        layout, flat = self._alone()
        gradient = zeros(layout.size, flat.dtype)
        space = Workspace(layout, flat, self.loss, len(X), gradient=gradient)
        space.load(to_device(X.astype(flat.dtype, copy=False)), to_device(host.arange(len(X))))
        targets = to_device(y if self.loss.has_class_targets else y.T[:, host.newaxis])
        weights = None if row_weights is None else to_device(row_weights)
        losses = to_host(space.backpropagate(targets, weights))
        result = host.empty_like(self.parameters)
        self.load(layout, 0, gradient, into=result)
        weights = self.parameters[: self.n_weights]
        result[: self.n_weights] += weight_decay * weights
        return float(host.mean(losses)) + 0.5 * weight_decay * float(weights @ weights), result

    def predict(self, X: Floats) -> Floats:
        """Predictions of shape (rows, outputs): probabilities, or values for a linear output."""
        if len(X) <= _FEW_ROWS and xp is host:
            return self._predict_few(X)
        result = host.empty((len(X), self.sizes[-1]), self.parameters.dtype)
        for rows, space in self._pieces(X):
            result[rows] = to_host(space.predictions[:, 0].T)
        return result

    def _predict_few(self, X: Floats) -> Floats:
        A = X.astype(self.parameters.dtype, copy=False)
        for name, weight, bias in zip(self.activations, self.weights, self.biases, strict=False):
            z = A @ weight
            z += bias
            A = host.empty_like(z)
            ACTIVATIONS[name].forward(z, A)
        z = A @ self.weights[-1]
        z += self.biases[-1]
        outputs = host.ascontiguousarray(z.T)[:, host.newaxis]
        self.loss.link(outputs)
        return host.ascontiguousarray(outputs[:, 0].T)

    def hidden(self, X: Floats) -> Floats:
        """Outputs of the last hidden layer, of shape (rows, units); `X` where there is none."""
        if not self.activations:
            return X
        result = host.empty((len(X), self.sizes[-2]), self.parameters.dtype)
        for rows, space in self._pieces(X):
            result[rows] = to_host(space.hidden[-1][:-1].T)
        return result

    def _pieces(self, X: Floats) -> Iterator[tuple[slice, Workspace]]:
        """Rows, and workspaces through which they have passed."""
        layout, flat = self._alone()
        X = to_device(X.astype(flat.dtype, copy=False))
        spaces: dict[int, Workspace] = {}
        for start in range(0, len(X), PREDICTION_ROWS):
            rows = slice(start, min(start + PREDICTION_ROWS, len(X)))
            n_rows = rows.stop - start
            if n_rows not in spaces:
                spaces[n_rows] = Workspace(layout, flat, self.loss, n_rows)
            spaces[n_rows].load(X, to_device(host.arange(start, rows.stop)))
            spaces[n_rows].forward()
            yield rows, spaces[n_rows]


def views(flat: Floats, sizes: Sequence[int]) -> tuple[list[Floats], list[Floats]]:
    """Weights, of shape (inputs, outputs), and biases, (outputs,), of a network of these sizes."""
    weights, biases, start = [], [], 0
    for above, below in pairwise(sizes):
        weights.append(flat[start : start + above * below].reshape(above, below))
        start += above * below
    for below in sizes[1:]:
        biases.append(flat[start : start + below])
        start += below
    return weights, biases


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
    return isinstance(size, (int, float, host.number)) and bool(size >= 1) and float(size).is_integer()
