"""Permutation importance of the columns of a table, on rows that were held out.

The cells of a column are shuffled among the rows of a fold; the increase of the loss of the fold's network is
the column's importance to it (Breiman 2001; Fisher, Rudin & Dominici 2019). Columns that say the same share
their importance, as each can stand in for the other.

Only the first layer reads the columns: the change of its linear outputs by a shuffled column is computed from
this column alone, so that a table of thousands of columns is as fast as one of a few for each column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nas.network import MLP
from nas.network.arrays import Array, Floats
from nas.network.folding import beside_waves, folded, places_beside_waves

_REPEATS = 5
"""Shuffles of each column in each fold, where there is time for them."""

MOST_COLUMNS = 100
"""Columns that are shuffled: those with the largest weights in the first layer."""

_CONFIDENCE = 0.95
"""Of the interval of an importance, as everywhere in the report."""


@dataclass(frozen=True)
class FoldModel:
    """A network and the rows that it was not trained on.

    Attributes
    ----------
    network : MLP
    X : array of shape (rows, inputs)
        The encoded rows.
    y : array as the network's loss asks for
    """

    network: MLP
    X: Floats
    y: Array


@dataclass(frozen=True)
class ColumnEffect:
    """The increase of the loss when a column is shuffled.

    Attributes
    ----------
    name : str
    importance : float
        The mean over folds.
    low, high : float
        Its confidence interval of 95 %, over folds and shuffles; NaN with one fold.
    """

    name: str
    importance: float
    low: float
    high: float


@dataclass(frozen=True)
class Columns:
    """The importance of a table's columns.

    Attributes
    ----------
    effects : tuple of ColumnEffect
        The most important first.
    loss : float
        The mean loss with no column shuffled: log loss, or squared error as a share of the target's variance.
    n_columns : int
        Columns that the network reads; more than effects where only those with large weights were shuffled.
    n_rows : int
        Rows that were predicted.
    """

    effects: tuple[ColumnEffect, ...]
    loss: float
    n_columns: int
    n_rows: int


def column_importance(
    models: Sequence[FoldModel],
    inputs: dict[str, slice],
    *,
    seed: int,
    most_passes: float = math.inf,
) -> Columns | None:
    """The importance of columns by the networks of several folds.

    Parameters
    ----------
    models : sequence of FoldModel
    inputs : dict
        The positions of each column's inputs, by the column's name.
    seed : int
        Decides the shuffles, and the rows if not all are used.
    most_passes : float
        Rows that may pass through the networks: fewer shuffles, rows and columns are used, in this order,
        where that is exceeded.

    Returns
    -------
    Columns, or None
        None if there is not enough time for any column, or no model.
    """
    n_rows = sum(len(model.X) for model in models)
    if not inputs or not n_rows:
        return None
    ranked = _by_weights(models, inputs)[:MOST_COLUMNS]
    repeats = int(min(_REPEATS, max(1, most_passes / (n_rows * len(ranked)))))
    share = min(1.0, most_passes / (n_rows * len(ranked)))
    rows = [max(min(len(model.X), 100), int(share * len(model.X))) for model in models]
    ranked = ranked[: int(min(len(ranked), most_passes / sum(rows)))]
    if not ranked:
        return None
    rng = np.random.default_rng(seed)
    increases, losses = np.zeros((len(models), len(ranked))), np.zeros(len(models))
    for i, model in enumerate(models):
        sample = np.sort(rng.choice(len(model.X), rows[i], replace=False))
        shuffled = _Shuffled(FoldModel(model.network, model.X[sample], model.y[sample]))
        losses[i] = shuffled.loss
        for j, name in enumerate(ranked):
            increases[i, j] = shuffled.increase(inputs[name], repeats, rng)
    effects = [_effect(name, values) for name, values in zip(ranked, increases.T, strict=True)]
    effects.sort(key=lambda effect: -effect.importance)
    return Columns(tuple(effects), float(losses.mean()), len(inputs), sum(rows))


def _by_weights(models: Sequence[FoldModel], inputs: dict[str, slice]) -> list[str]:
    """The columns by the size of their contributions to the first layer, the largest first."""
    weight: Floats = sum(
        _first_weights(model.network) * beside_waves(model.network, model.X).var(axis=0) for model in models
    )
    network = models[0].network
    return sorted(inputs, key=lambda name: -float(weight[places_beside_waves(network, inputs[name])].sum()))


def _first_weights(network: MLP) -> Floats:
    """The sum of the squared weights of each input, the mean over members."""
    sums = [np.square(plain.weights[0]).sum(axis=1) for plain in folded(network).plain_networks()]
    result: Floats = sum(sums[1:], sums[0]) / len(sums)
    return result


class _Shuffled:
    """A network's loss on rows of which a column is shuffled."""

    def __init__(self, model: FoldModel) -> None:
        self._network, self._X = model.network, beside_waves(model.network, model.X)
        self._networks = folded(model.network).plain_networks()
        self._linear = [self._X @ network.weights[0] + network.biases[0] for network in self._networks]
        self._loss_of = _loss_of(model.network, model.y)
        self._mean = _MEANS[model.network.loss.output]
        self.loss = self._loss_of(self._outputs(self._linear))

    def increase(self, place: slice, repeats: int, rng: np.random.Generator) -> float:
        """The mean increase of the loss when the inputs at `place` are shuffled together."""
        places = places_beside_waves(self._network, place)
        X, weights = self._X[:, places], [network.weights[0][places] for network in self._networks]
        losses = []
        for _ in range(repeats):
            change = X[rng.permutation(len(X))] - X
            changed = [z + change @ weight for z, weight in zip(self._linear, weights, strict=True)]
            losses.append(self._loss_of(self._outputs(changed)))
        return float(np.mean(losses)) - self.loss

    def _outputs(self, linear: Sequence[Floats]) -> Floats:
        """Linear outputs of the last layer, from those of the first, of each member."""
        outputs = [network.last_linear(z) for network, z in zip(self._networks, linear, strict=True)]
        return outputs[0] if len(outputs) == 1 else self._mean(np.array(outputs))


def _log_mean(z: Floats) -> Floats:
    """The logarithm of the mean of the members' probabilities, z of shape (members, rows, classes)."""
    of_each = z - np.logaddexp.reduce(z, axis=-1, keepdims=True)
    mean: Floats = np.logaddexp.reduce(of_each, axis=0) - math.log(len(z))
    return mean


def _logit_mean(z: Floats) -> Floats:
    """The log odds of the mean of the members' probabilities, z of shape (members, rows, labels)."""
    # log(mean p) - log(mean (1 - p)), where log p = -log(1 + exp(-z)).
    odds: Floats = np.logaddexp.reduce(-np.logaddexp(0, -z)) - np.logaddexp.reduce(-np.logaddexp(0, z))
    return odds


_MEANS: dict[str, Callable[[Floats], Floats]] = {
    "softmax": _log_mean,
    "sigmoid": _logit_mean,
    "linear": lambda z: z.mean(axis=0),
}
"""Linear outputs that give the mean of several networks' predictions, by the name of the output."""


def _loss_of(network: MLP, y: Array) -> Callable[[Floats], float]:
    """The mean loss of linear outputs of shape (rows, outputs): a sum over labels, a mean over targets."""
    if network.loss.has_class_targets:
        rows = np.arange(len(y))

        def cross_entropy(z: Floats) -> float:
            shifted = z - z.max(axis=1, keepdims=True)
            return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, y]).mean())

        return cross_entropy
    if network.loss.output == "linear":
        variance = np.maximum(y.var(axis=0), 1e-12)
        return lambda z: float((np.square(z - y) / variance).mean())
    return lambda z: float((np.logaddexp(0, z) - y * z).sum(axis=1).mean())


def _effect(name: str, values: Floats) -> ColumnEffect:
    """A mean with its interval, corrected for the rows that folds share (Nadeau & Bengio 2003)."""
    from scipy.stats import t

    n, mean = len(values), float(values.mean())
    if n < 2:
        return ColumnEffect(name, mean, math.nan, math.nan)
    error = float(values.std(ddof=1)) * math.sqrt(1 / n + 1 / (n - 1))
    reach = float(t.ppf((1 + _CONFIDENCE) / 2, n - 1)) * error
    return ColumnEffect(name, mean, mean - reach, mean + reach)
