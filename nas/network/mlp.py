"""The multi-layer perceptron: nested matrix products over one flat buffer of parameters.

    f(x) = output(W_L ... phi_2(W_2 phi_1(W_1 x + b_1) + b_2) ... + b_L)

Rows are examples, so that a layer is ``A @ W + b`` with W of shape (inputs, outputs). All parameters are in
one flat buffer (`nas.network.architecture`): optimizers, checkpoints and files handle one array. Beside its
layers (`Extras`) each input may have a trained factor (front scaling, Holzmüller et al. 2024, "Better by
default"), and waves beside it (a periodic encoding, `nas.network.waves`); hidden layers may have parametric
activations, skip connections and layer norm (`nas.network.units`). A network with members is the mean of
plain networks that share weights (`nas.network.batch_ensemble`).

Forward pass and backpropagation are written here as a textbook has them. Training does not call them: it
computes many networks in one batch, in `nas.training`, and tests hold its gradients to these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from nas.network.activations import ACTIVATIONS
from nas.network.architecture import Architecture
from nas.network.arrays import Array, DTypeLike, Floats, Ints, host, to_device, to_host, xp
from nas.network.batch_ensemble import gradient_of_mean, initial_factors, parameters_of_members
from nas.network.extras import PLAIN, Extras
from nas.network.initializers import INITIALIZERS
from nas.network.losses import LOSSES, Loss, Smoothing
from nas.network.units import (
    activated,
    normalization_gradient,
    normalized,
    unit_gradients,
    unit_outputs,
)

PREDICTION_ROWS = 256
"""Rows that are predicted at once: of a table of any length, their activations stay in the cache."""


class MLP:
    """A fully connected feed-forward network.

    Parameters
    ----------
    sizes, activations, extras, members
        See `nas.network.architecture.Architecture`.
    loss : str
        The loss, which determines the output function; see `nas.network.LOSSES`.
    rng : numpy.random.Generator, optional
        Draws the initial weights, see `initialize`; without it all parameters are 0, to be filled by the
        caller.
    dtype : dtype
        float32, or float64 for checks.

    Attributes
    ----------
    parameters : float array of shape (n,)
        All weights, all biases, the members' factors, those of front scaling, waves, blends and gains.
    weights, biases : lists of float arrays of shape (inputs, outputs) and (outputs,)
        Views of `parameters`, one of each per layer; the last layer has the outputs of all members.
    factors : float array of shape (members, inputs)
        A view of `parameters`; without rows if there is a single member.
    scales : float array of shape (inputs,) or (0,)
        The factors of the inputs, a view of `parameters`; empty without front scaling.
    waves : Waves
        The periodic encoding, views of `parameters`; of no numbers without it.
    units : Units
        Blends and gains of the hidden layers, views of `parameters`.

    Raises
    ------
    ValueError
        On what is no `Architecture`, or an unknown loss.

    Examples
    --------
    >>> network = MLP((4, 16, 3), ["relu"], "cross_entropy", rng=host.random.default_rng(0))
    >>> network.predict(host.zeros((2, 4))).shape
    (2, 3)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[str],
        loss: str,
        *,
        rng: host.random.Generator | None = None,
        dtype: DTypeLike = host.float32,
        extras: Extras = PLAIN,
        members: int = 1,
    ) -> None:
        self.architecture = Architecture(tuple(sizes), tuple(activations), extras, members)
        if loss not in LOSSES:
            raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, got {loss!r}")
        self.sizes, self.activations = self.architecture.sizes, self.architecture.activations
        self.extras, self.members = extras, members
        self.loss = LOSSES[loss]
        self.n_weights = sum(
            inputs * outputs for inputs, outputs in pairwise(self.architecture.stacked_sizes)
        )
        self.parameters: Floats = host.zeros(self.architecture.n_parameters, dtype)
        self.weights, self.biases = self.views(self.parameters)
        self.factors = self.factors_of(self.parameters)
        self.scales, self.waves = self.architecture.front_views(self.parameters)
        self.units = self.architecture.unit_views(self.parameters)
        if rng is not None:
            self.initialize(rng)

    def initialize(self, rng: host.random.Generator, columns: Ints | None = None) -> None:
        """Draw initial weights and factors; biases stay as they are.

        Parameters
        ----------
        rng : numpy.random.Generator
        columns : int array of shape (inputs,), optional
            For each input the number of the column that it comes from: inputs of a column have the same
            initial factor in a member. By default each input is a column.
        """
        # Sums of waves are inputs of the first layer, too: its weights are drawn as one matrix.
        first = host.vstack([self.weights[0], self.waves.weights])
        *hidden, last = first, *self.weights[1:]
        for weight, name in zip(hidden, self.activations, strict=True):
            INITIALIZERS[ACTIVATIONS[name].initializer](weight, rng)
        for weight in host.split(last, self.members, axis=1):
            # The loss sees the output layer's linear outputs, hence Glorot's weights there. Each member's are
            # drawn by themselves: the limits follow from its own number of outputs.
            INITIALIZERS["glorot_uniform"](weight, rng)
        self.weights[0][...], self.waves.weights[...] = host.split(first, [self.sizes[0]])
        self.scales[...] = 1
        for numbers in (*self.units.blends, *self.units.gains):
            numbers[...] = 1
        self.waves.initialize(rng)
        if self.members > 1:
            columns = host.arange(self.sizes[0]) if columns is None else columns
            self.factors[...] = initial_factors(self.members, columns, rng)

    def views(self, flat: Floats) -> tuple[list[Floats], list[Floats]]:
        """Weights, of shape (inputs, outputs), and biases, (outputs,), as views of a flat buffer."""
        return self.architecture.views(flat)

    def factors_of(self, flat: Floats) -> Floats:
        """The factors of the inputs, of shape (members, inputs), as a view of a flat buffer."""
        return self.architecture.factors_of(flat)

    def plain_networks(self) -> list[MLP]:
        """Each member as a network of its own, with copies of the parameters; this network if it has none."""
        if self.members == 1:
            return [self]
        networks = []
        for parameters in parameters_of_members(self.architecture, self.parameters):
            network = MLP(self.sizes, self.activations, self.loss.name, dtype=self.parameters.dtype)
            network.parameters[...] = parameters
            networks.append(network)
        return networks

    def predict(self, X: Floats) -> Floats:
        """Predictions of shape (rows, outputs): probabilities, or values for a linear output."""
        if self.members > 1:
            mean: Floats = host.mean([network.predict(X) for network in self.plain_networks()], axis=0)
            return mean
        result = host.empty((len(X), self.sizes[-1]), self.parameters.dtype)
        for rows in _blocks(len(X)):
            *_, z = self._forward(X[rows]).linear
            outputs = _columns(z)
            self.loss.link(outputs)
            result[rows] = to_host(outputs.T)
        return result

    def hidden(self, X: Floats) -> Floats:
        """Outputs of the last hidden layer, of shape (rows, units); `X` if there is none.

        Those of several members stand side by side.
        """
        if not self.activations:
            return X
        if self.members > 1:
            return host.hstack([network.hidden(X) for network in self.plain_networks()])
        result = host.empty((len(X), self.sizes[-2]), self.parameters.dtype)
        for rows in _blocks(len(X)):
            *_, A = self._forward(X[rows]).inputs
            result[rows] = to_host(A)
        return result

    def _forward(self, X: Floats) -> _Pass:
        X = X.astype(self.parameters.dtype, copy=False)
        read = to_device(X * self.scales if self.extras.has_scales else X)
        z = xp.dot(read, to_device(self.weights[0])) + to_device(self.biases[0])
        if self.extras.periodic:
            # Waves read X without the factors: frequencies are factors of it already.
            sums = self.waves.read(self.waves.angles(X[:, list(self.extras.periodic)]))
            z += xp.dot(to_device(sums), to_device(self.waves.weights))
        return _forward_from(self, z, read)

    def last_linear(self, z: Floats) -> Floats:
        """The linear outputs of the last layer, from those of the first, both of shape (rows, units)."""
        # The first hidden layer adds nothing of the inputs, which may be missing here.
        return _forward_from(self, z, z[:, :0]).linear[-1]

    def loss_and_gradient(
        self,
        X: Floats,
        y: Array,
        *,
        row_weights: Floats | None = None,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> tuple[float, Floats]:
        """The mean loss, with the penalty weight_decay / 2 · ‖weights‖², and its flat gradient.

        Parameters
        ----------
        X : float array of shape (rows, inputs)
        y : array of shape (rows,) or (rows, outputs), as the loss asks for
        row_weights : array of shape (rows,), optional
            Factors of the rows' losses.
        weight_decay : float
            Factor of the penalty; biases, factors of inputs, frequencies and phases are not penalized.
        label_smoothing : float
            The share of every class in the targets; see `nas.network.losses.Loss`.

        Returns
        -------
        loss : float
        gradient : float array, of the shape of `parameters`
        """
        if self.members > 1:
            loss, gradient = self._mean_of_members(X, y, row_weights, label_smoothing)
        else:
            loss, gradient = self._of_single_member(X, y, row_weights, label_smoothing)
        _, waves = self.architecture.front_views(gradient)
        # The penalty is for steep functions: it has matrices, not biases, factors, frequencies and phases.
        for part, decayed in (
            (gradient[: self.n_weights], self.parameters[: self.n_weights]),
            *((new.reshape(-1), own.reshape(-1)) for new, own in zip(waves[2:], self.waves[2:], strict=True)),
        ):
            part += weight_decay * decayed
            loss += 0.5 * weight_decay * float(decayed @ decayed)
        return loss, gradient

    def _of_single_member(
        self, X: Floats, y: Array, row_weights: Floats | None, label_smoothing: float
    ) -> tuple[float, Floats]:
        linear, inputs, activations, norms = self._forward(X)
        outputs = _columns(linear[-1])
        self.loss.link(outputs)
        # Output function and loss are a pair: the gradient by the linear outputs is p - y, in place of p.
        targets = to_device(y if self.loss.has_class_targets else y.T)
        losses = _losses(self.loss, outputs, targets, label_smoothing)
        if row_weights is not None:
            losses *= to_device(row_weights)
            outputs *= to_device(row_weights)
        gradient = host.empty_like(self.parameters)
        weights, biases = self.views(gradient)
        blends, gains = self.architecture.unit_views(gradient)
        dread: Floats | float = 0.0  # of what a layer reads, the gradient through its skip connection
        dZ: Floats = outputs.T / len(X)  # the gradient of the mean loss by the linear outputs of a layer
        for layer in range(len(weights) - 1, -1, -1):
            weights[layer][...] = to_host(xp.dot(inputs[layer].T, dZ))
            biases[layer][...] = to_host(dZ.sum(axis=0))
            if layer:
                # The chain rule, from a layer's linear outputs through its weights to the layer below.
                dA, below = xp.dot(dZ, to_device(self.weights[layer].T)) + dread, layer - 1
                own = self.activations[below], self.units.blends[below], self.units.gains[below]
                dZ, dread, by_own = unit_gradients(dA, linear[below], activations[below], inputs[below], own)
                if norms:
                    dZ = normalization_gradient(dZ, linear[below], norms[below])
                blends[below][...], gains[below][...] = map(to_host, by_own)
        slopes, (scales, waves) = to_host(dZ), self.architecture.front_views(gradient)
        if self.extras.has_scales:
            scales[...] = (slopes @ self.weights[0].T * X).sum(axis=0)
        if self.extras.periodic:
            waves.fill_gradient(self.waves, X[:, list(self.extras.periodic)], slopes)
        return float(host.mean(to_host(losses))), gradient

    def _mean_of_members(
        self, X: Floats, y: Array, row_weights: Floats | None, label_smoothing: float
    ) -> tuple[float, Floats]:
        """The mean of the members' losses, and its gradient by the chain rule from those of each member."""
        each = [
            member.loss_and_gradient(X, y, row_weights=row_weights, label_smoothing=label_smoothing)
            for member in self.plain_networks()
        ]
        gradient = gradient_of_mean(self.architecture, self.parameters, [gradient for _, gradient in each])
        return float(host.mean([loss for loss, _ in each])), gradient


class _Pass(NamedTuple):
    """A forward pass.

    Linear outputs of all layers, after layer norm where there is one; what each layer reads: scaled inputs,
    then hidden units; activations; and of each layer norm the factors of the rows.
    """

    linear: list[Floats]
    inputs: list[Floats]
    activations: list[Floats]
    norms: list[Floats]


def _forward_from(network: MLP, z: Floats, read: Floats) -> _Pass:
    """The forward pass from the linear outputs of the first layer, and what that has read."""
    linear, inputs, activations, norms = [z], [read], list[Floats](), list[Floats]()
    layers = zip(network.activations, network.weights[1:], network.biases[1:], *network.units, strict=True)
    for name, weight, bias, blends, gains in layers:
        if network.extras.is_normalized:
            z, factors = normalized(z)
            linear[-1] = z
            norms.append(factors)
        activations.append(activated(name, z))
        inputs.append(unit_outputs(z, activations[-1], inputs[-1], blends, gains))
        z = xp.dot(inputs[-1], to_device(weight))
        z += to_device(bias)
        linear.append(z)
    return _Pass(linear, inputs, activations, norms)


def _losses(loss: Loss, outputs: Floats, y: Array, smoothing: float) -> Floats:
    """The losses of the rows; predictions, of shape (outputs, rows), become the gradient in place."""
    of_network = Smoothing.of([smoothing], outputs.dtype)
    if of_network is None:
        return loss.gradient(outputs, y)
    # One network of several: an axis for it between outputs and rows.
    y = y if loss.has_class_targets else y[:, xp.newaxis]
    losses: Floats = loss.smoothed_gradient(outputs[:, xp.newaxis], y, of_network)[0]
    return losses


def _blocks(n_rows: int) -> Iterator[slice]:
    """Slices of at most `PREDICTION_ROWS` rows."""
    for start in range(0, n_rows, PREDICTION_ROWS):
        yield slice(start, min(start + PREDICTION_ROWS, n_rows))


def _columns(z: Floats) -> Floats:
    """A contiguous copy, of shape (outputs, rows): losses and output functions read examples as columns."""
    return z.T.copy()
