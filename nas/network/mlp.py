"""The multi-layer perceptron: nested matrix products over one flat buffer of parameters.

    f(x) = output(W_L ... phi_2(W_2 phi_1(W_1 x + b_1) + b_2) ... + b_L)

Rows are examples, so that a layer is ``A @ W + b`` with W of shape (inputs, outputs). All weights come first
in the flat buffer, then all biases: optimizers, checkpoints and files handle one array. Behind them are the
parameters in front of the first layer (`Front`): with front scaling a trained factor of each input
(Holzmüller et al. 2024, "Better by default"), with a periodic encoding its waves (`nas.network.waves`).

A network with k members, which share all hidden layers (Gorishniy et al. 2025, "TabM", the variant "mini";
Wen et al. 2020, "BatchEnsemble"), is

    f(x) = mean over j of output(W_Lj ... phi_1(W_1 (s_j ∘ x) + b_1) ... + b_Lj)

where the factors s_j of the inputs, random signs at first, and the output layers W_Lj are each member's own.
The last matrix holds the output layers side by side; the factors come last in the flat buffer. The loss is
the mean of the members' losses.

Forward pass and backpropagation are written here as a textbook has them. Training does not call them: it
computes many networks in one batch, in `nas.training`, and tests hold its gradients to these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Array, DTypeLike, Floats, Ints, host, to_device, to_host, xp
from nas.network.initializers import INITIALIZERS
from nas.network.losses import LOSSES, Smoothing
from nas.network.waves import N_WAVES, Waves, n_numbers

MOST_MEMBERS = 32
"""Members of a network, at most; more bring little (Gorishniy et al. 2025, "TabM")."""

PREDICTION_ROWS = 256
"""Rows that are predicted at once: of a table of any length, their activations stay in the cache."""

FRONT_SCALING_BOUNDS = (0, 100)
"""The least and the largest factor of the learning rate for the factors of the inputs."""


class Front(NamedTuple):
    """What lies in front of a first layer.

    Attributes
    ----------
    has_scales : bool
        Whether each input is multiplied by a trained factor, 1 at first.
    periodic : tuple of int
        The positions of the inputs with a periodic encoding, which waves read without the factors.
    """

    has_scales: bool = False
    periodic: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.has_scales or bool(self.periodic)

    def n_numbers(self, sizes: Sequence[int]) -> int:
        """The parameters of it in front of a network of these sizes."""
        return sizes[0] * self.has_scales + n_numbers(len(self.periodic), sizes[1])

    def views(self, flat: Floats, sizes: Sequence[int]) -> tuple[Floats, Waves]:
        """The factors of the inputs, of shape (inputs,) or (0,), and the waves, as views of a flat buffer."""
        start = n_parameters(sizes)
        waves = start + sizes[0] * self.has_scales
        return flat[start:waves], Waves.of(flat[waves:], len(self.periodic), sizes[1])


PLAIN = Front()
"""Nothing in front of the first layer."""


class MLP:
    """A fully connected feed-forward network.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of inputs, of units of each hidden layer, and of outputs.
    activations : sequence of str
        The activation of each hidden layer; see `nas.network.ACTIVATIONS`.
    loss : str
        The loss, which determines the output function; see `nas.network.LOSSES`.
    rng : numpy.random.Generator, optional
        Draws the initial weights; without it all parameters are 0, to be filled by the caller.
    dtype : dtype
        float32, or float64 for checks.
    front : Front
        What lies in front of the first layer.
    members : int
        Members that share the hidden layers; more than 1 only where there is one.
    columns : int array of shape (inputs,), optional
        For each input the number of the column that it comes from: inputs of a column have the same initial
        factor in a member. By default each input is a column.

    Attributes
    ----------
    parameters : float array of shape (n,)
        All weights, all biases, the members' factors, those of front scaling, and waves.
    weights, biases : lists of float arrays of shape (inputs, outputs) and (outputs,)
        Views of `parameters`, one of each per layer; the last layer has the outputs of all members.
    factors : float array of shape (members, inputs)
        A view of `parameters`; without rows if there is a single member.
    scales : float array of shape (inputs,) or (0,)
        The factors of the inputs, a view of `parameters`; empty without front scaling.
    waves : Waves
        The periodic encoding, views of `parameters`; of no numbers without it.

    Raises
    ------
    ValueError
        On a size below 1, an unknown name, a number of activations that does not fit, or members that have no
        layer to share.

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
        front: Front = PLAIN,
        members: int = 1,
        columns: Ints | None = None,
    ) -> None:
        _check(sizes, activations, loss, members)
        if front and members > 1:
            raise ValueError(f"front: expected nothing in front of a network with members, got {front}")
        self.front = front
        self.sizes = tuple(int(size) for size in sizes)
        self.activations = tuple(activations)
        self.members = members
        self.loss = LOSSES[loss]
        stacked = stacked_sizes(self.sizes, members)
        self.n_weights = sum(inputs * outputs for inputs, outputs in pairwise(stacked))
        n = n_parameters(self.sizes, members) + self.front.n_numbers(self.sizes)
        self.parameters: Floats = host.zeros(n, dtype)
        self.weights, self.biases = self.views(self.parameters)
        self.factors = self.factors_of(self.parameters)
        self.scales, self.waves = self.front.views(self.parameters, self.sizes)
        if rng is not None:
            self._initialize(rng, columns)

    def _initialize(self, rng: host.random.Generator, columns: Ints | None) -> None:
        # Sums of waves are inputs of the first layer, too: its weights are drawn as one matrix.
        first = host.vstack([self.weights[0], self.waves.weights])
        *hidden, last = first, *self.weights[1:]
        for weight, name in zip(hidden, self.activations, strict=True):
            INITIALIZERS[ACTIVATIONS[name].initializer](weight, rng)
        for weight in host.split(last, self.members, axis=1):
            # The loss sees the output layer's linear outputs, hence Glorot's weights there.
            INITIALIZERS["glorot_uniform"](weight, rng)
        self.weights[0][...], self.waves.weights[...] = host.split(first, [self.sizes[0]])
        self.scales[...] = 1
        self.waves.initialize(rng)
        if self.members > 1:
            columns = host.arange(self.sizes[0]) if columns is None else columns
            signs = rng.choice([-1.0, 1.0], (self.members, int(columns.max()) + 1))
            self.factors[...] = signs[:, columns]

    def folded(self) -> MLP:
        """The same function of `beside_waves` of the inputs, with nothing in front of the first layer.

        The factors are in the weights of that layer, and each wave is an input.
        """
        if not self.front:
            return self
        frequencies, _, weights = self.waves.codes()
        sizes = (self.sizes[0] + frequencies.size, *self.sizes[1:])
        network = MLP(sizes, self.activations, self.loss.name, dtype=self.parameters.dtype)
        own = [*network.weights[1:], *network.biases]
        for array, value in zip(own, [*self.weights[1:], *self.biases], strict=True):
            array[...] = value
        factors = self.scales[:, host.newaxis] if self.front.has_scales else 1
        network.weights[0][: self.sizes[0]] = self.weights[0] * factors
        network.weights[0][self.sizes[0] :] = weights
        return network

    def beside_waves(self, X: Floats) -> Floats:
        """The inputs that `folded` reads: `X`, with the waves of its numbers beside it."""
        if not self.front.periodic:
            return X
        angles = self.waves.angles(X[:, list(self.front.periodic)].astype(self.parameters.dtype))
        return host.hstack([X, host.cos(angles).reshape(len(X), -1)])

    def places_beside_waves(self, place: slice) -> slice | list[int]:
        """The positions in `beside_waves` of some adjacent inputs, and of their waves."""
        if not self.front.periodic:
            return place
        inputs = range(self.sizes[0])[place]
        waves = [self.sizes[0] + i * N_WAVES for i, at in enumerate(self.front.periodic) if at in inputs]
        return [*inputs, *(first + wave for first in waves for wave in range(N_WAVES))]

    def views(self, flat: Floats) -> tuple[list[Floats], list[Floats]]:
        """Weights, of shape (inputs, outputs), and biases, (outputs,), as views of a flat buffer."""
        return views(flat, stacked_sizes(self.sizes, self.members))

    def factors_of(self, flat: Floats) -> Floats:
        """The factors of the inputs, of shape (members, inputs), as a view of a flat buffer."""
        return factors_of(flat, self.sizes, self.members)

    def alone(self) -> list[MLP]:
        """Each member as a network of its own, with copies of the parameters; this network if it has none."""
        if self.members == 1:
            return [self]
        networks = []
        outputs = zip(
            *(host.split(part[-1], self.members, -1) for part in (self.weights, self.biases)), strict=True
        )
        for factors, (weight, bias) in zip(self.factors, outputs, strict=True):
            network = MLP(self.sizes, self.activations, self.loss.name, dtype=self.parameters.dtype)
            for own, shared in zip(network.weights, [*self.weights[:-1], weight], strict=True):
                own[...] = shared
            for own, shared in zip(network.biases, [*self.biases[:-1], bias], strict=True):
                own[...] = shared
            network.weights[0] *= factors[:, host.newaxis]
            networks.append(network)
        return networks

    def predict(self, X: Floats) -> Floats:
        """Predictions of shape (rows, outputs): probabilities, or values for a linear output."""
        if self.members > 1:
            mean: Floats = host.mean([network.predict(X) for network in self.alone()], axis=0)
            return mean
        result = host.empty((len(X), self.sizes[-1]), self.parameters.dtype)
        for rows in _blocks(len(X)):
            *_, z = self._forward(X[rows])[0]
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
            return host.hstack([network.hidden(X) for network in self.alone()])
        result = host.empty((len(X), self.sizes[-2]), self.parameters.dtype)
        for rows in _blocks(len(X)):
            *_, A = self._forward(X[rows])[1]
            result[rows] = to_host(A)
        return result

    def _forward(self, X: Floats) -> tuple[list[Floats], list[Floats]]:
        """Linear outputs of all layers; and what each layer reads: scaled `X`, then hidden activations."""
        X = X.astype(self.parameters.dtype, copy=False)
        linear: list[Floats] = []
        inputs: list[Floats] = [to_device(X * self.scales if self.front.has_scales else X)]
        for weight, bias, name in zip(self.weights, self.biases, (*self.activations, None), strict=True):
            z = xp.dot(inputs[-1], to_device(weight))
            z += to_device(bias)
            if self.front.periodic and not linear:
                sums = self.waves.read(self.waves.angles(X[:, list(self.front.periodic)]))
                z += xp.dot(to_device(sums), to_device(self.waves.weights))
            linear.append(z)
            if name is not None:
                inputs.append(xp.empty_like(z))
                ACTIVATIONS[name].forward(z, inputs[-1])
        return linear, inputs

    def _losses(self, outputs: Floats, y: Array, smoothing: float) -> Floats:
        """The losses of the rows; predictions, of shape (outputs, rows), become the gradient in place."""
        of_network = Smoothing.of([smoothing], outputs.dtype)
        if of_network is None:
            return self.loss.gradient(outputs, y)
        # One network of several: an axis for it between outputs and rows.
        y = y if self.loss.has_class_targets else y[:, xp.newaxis]
        losses: Floats = self.loss.smoothed_gradient(outputs[:, xp.newaxis], y, of_network)[0]
        return losses

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
        _, waves = self.front.views(gradient, self.sizes)
        # Not biases, factors of inputs, frequencies and phases.
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
        linear, inputs = self._forward(X)
        outputs = _columns(linear[-1])
        self.loss.link(outputs)
        losses = self._losses(outputs, to_device(y if self.loss.has_class_targets else y.T), label_smoothing)
        if row_weights is not None:
            losses *= to_device(row_weights)
            outputs *= to_device(row_weights)
        gradient = host.empty_like(self.parameters)
        weights, biases = self.views(gradient)
        dZ = outputs.T / len(X)  # the gradient of the mean loss by the linear outputs of a layer
        for layer in range(len(weights) - 1, -1, -1):
            weights[layer][...] = to_host(xp.dot(inputs[layer].T, dZ))
            biases[layer][...] = to_host(dZ.sum(axis=0))
            if layer:
                # The chain rule, from a layer's linear outputs through its weights to the layer below.
                dZ = xp.dot(dZ, to_device(self.weights[layer].T))
                ACTIVATIONS[self.activations[layer - 1]].backward(dZ, linear[layer - 1], inputs[layer])
        slopes, (scales, waves) = to_host(dZ), self.front.views(gradient, self.sizes)
        if self.front.has_scales:
            scales[...] = (slopes @ self.weights[0].T * X).sum(axis=0)
        if self.front.periodic:
            waves.fill_gradient(self.waves, X[:, list(self.front.periodic)], slopes)
        return float(host.mean(to_host(losses))), gradient

    def _mean_of_members(
        self, X: Floats, y: Array, row_weights: Floats | None, label_smoothing: float
    ) -> tuple[float, Floats]:
        """The mean of the members' losses, and its gradient by the chain rule from those of each member."""
        gradient = host.zeros_like(self.parameters)
        weights, biases = self.views(gradient)
        by_factors, n_outputs = self.factors_of(gradient), self.sizes[-1]
        losses = []
        for j, member in enumerate(self.alone()):
            loss, of_member = member.loss_and_gradient(
                X, y, row_weights=row_weights, label_smoothing=label_smoothing
            )
            own_weights, own_biases = member.views(of_member)
            # The member's first weights are the shared ones, times its factors.
            by_factors[j] = (own_weights[0] * self.weights[0]).sum(axis=1)
            own_weights[0] *= self.factors[j][:, host.newaxis]
            for own, shared in zip(
                (*own_weights[:-1], *own_biases[:-1]), (*weights[:-1], *biases[:-1]), strict=True
            ):
                shared += own
            outputs = slice(j * n_outputs, (j + 1) * n_outputs)
            weights[-1][:, outputs], biases[-1][outputs] = own_weights[-1], own_biases[-1]
            losses.append(loss)
        return float(host.mean(losses)), gradient / self.members


def stacked_sizes(sizes: Sequence[int], members: int) -> tuple[int, ...]:
    """The sizes of a network with the outputs of all members side by side."""
    return (*sizes[:-1], sizes[-1] * members)


def n_parameters(sizes: Sequence[int], members: int = 1) -> int:
    """The numbers of a network of these sizes, without those in front of the first layer."""
    stacked = stacked_sizes(sizes, members)
    n_layers = sum((inputs + 1) * outputs for inputs, outputs in pairwise(stacked))
    return n_layers + (members * sizes[0] if members > 1 else 0)


def factors_of(flat: Floats, sizes: Sequence[int], members: int) -> Floats:
    """The members' factors of the inputs, of shape (members, inputs); without rows for a single member."""
    start = n_parameters(stacked_sizes(sizes, members))
    return flat[start : n_parameters(sizes, members)].reshape(-1, sizes[0])


def views(flat: Floats, sizes: Sequence[int]) -> tuple[list[Floats], list[Floats]]:
    """Weights, of shape (inputs, outputs), and biases, (outputs,), of a network of these sizes."""
    weights, biases, start = [], [], 0
    for inputs, outputs in pairwise(sizes):
        weights.append(flat[start : start + inputs * outputs].reshape(inputs, outputs))
        start += inputs * outputs
    for outputs in sizes[1:]:
        biases.append(flat[start : start + outputs])
        start += outputs
    return weights, biases


def _blocks(n_rows: int) -> Iterator[slice]:
    """Slices of at most `PREDICTION_ROWS` rows."""
    for start in range(0, n_rows, PREDICTION_ROWS):
        yield slice(start, min(start + PREDICTION_ROWS, n_rows))


def _columns(z: Floats) -> Floats:
    """A contiguous copy, of shape (outputs, rows): losses and output functions read examples as columns."""
    return z.T.copy()


def _check(sizes: Sequence[int], activations: Sequence[str], loss: str, members: int) -> None:
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
    most = MOST_MEMBERS if activations else 1
    if not isinstance(members, int) or not 1 <= members <= most:
        raise ValueError(
            f"members: expected a whole number from 1 to {most} for {len(activations)} hidden layers, "
            f"got {members!r}"
        )


def _is_size(size: object) -> bool:
    # int() would raise its own OverflowError for infinity and ValueError for NaN, without the name.
    return isinstance(size, (int, float, host.number)) and bool(size >= 1) and float(size).is_integer()
