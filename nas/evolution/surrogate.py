"""Screening: a model that has learned from those evaluated chooses among many children."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import numpy as np
from scipy.special import ndtri

from nas.evolution.gaussian_process import GaussianProcess
from nas.evolution.individual import Individual
from nas.evolution.proposal import Proposal
from nas.genome import LAYER_GENES, Genome
from nas.network.arrays import Array, Floats
from nas.space import SearchSpace

_MOST_KNOWN = 300
"""The best that are learned from, at most: a process takes time by the cube of their number."""

_TREES = 60
_LONGEST = 16.0
"""Doublings of epochs that count as 1."""


class Model(Protocol):
    """What learns from features and values, and says what it expects and how unsure it is."""

    def fit(self, X: Floats, y: Floats, *, adapt: bool = True) -> Model:
        """Learn from observations of shape (n, features) and (n,); `adapt`: its own settings too."""

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, each of shape (n,)."""


class Trees:
    """scikit-learn's extra-trees (Geurts et al. 2006), with the spread of the trees as deviation."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, X: Floats, y: Floats, *, adapt: bool = True) -> Trees:
        """See `Model.fit`."""
        from sklearn.ensemble import ExtraTreesRegressor

        self._seed += 1
        self._forest = ExtraTreesRegressor(_TREES, random_state=self._seed % 2**32).fit(X, y)
        return self

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        """See `Model.predict`."""
        single = np.ascontiguousarray(X, dtype=np.float32)
        votes: Array = np.array([tree.tree_.predict(single)[:, 0] for tree in self._forest.estimators_])
        return votes.mean(axis=0), votes.std(axis=0)


MODELS = ("process", "trees")
"""What may screen: a Gaussian process, or extra-trees."""

Ranked = Callable[[Collection[Individual]], list[Individual]]


class Screening:
    """Chooses children by the ranks that a model expects of them.

    ::

        learn: features of a genome -> the normal quantile of its rank among all
        of many children choose those of which mean - optimism · deviation is lowest,
            believing the mean of each before the next is chosen
        a few choices are made blindly

    Ranks are the engine's, by one objective or by several. So is `best`, who is expected to be best of
    those evaluated: the model smooths the luck of single trainings away.

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Decides the trees and the blind choices.
    model : str
        One of `MODELS`.
    full : int
        Epochs of a whole training.

    Attributes
    ----------
    pool : int
        How many children there should be to choose from.
    random_share : float
        The share of them that should be drawn at random from the space.
    """

    pool = 300
    start = 12
    random_share = 0.15
    _optimism = 2.5
    _explored = 0.05

    def __init__(self, space: SearchSpace, seed: int, model: str = "process", full: int = 1) -> None:
        self._space, self._full = space, full
        self._rng = np.random.default_rng([seed, 3])
        n_features = len(features(next(iter(space)), space))
        self._model: Model = Trees(seed) if model == "trees" else GaussianProcess(n_features + 2)
        self._X: Floats = np.empty((0, 0))
        self._y: Floats = np.empty(0)

    @property
    def has_learned(self) -> bool:
        """Whether the model knows anybody."""
        return len(self._y) > 0

    def learn(self, ranked: Sequence[Individual]) -> None:
        """Learn from everyone evaluated, best first."""
        known = ranked[:_MOST_KNOWN]
        n = len(known)
        self._X = self._observed(known)
        self._y = ndtri((np.arange(n) + 0.5) / n)
        self._model.fit(self._X, self._y)

    def best(self, individuals: Sequence[Individual], n: int) -> list[Individual]:
        """The `n` that the model expects to be best, of those it has learned from; best first."""
        mean, _ = self._model.predict(self._observed(individuals))
        return [individuals[i] for i in np.argsort(mean, kind="stable")[:n]]

    def choose(
        self,
        pool: Sequence[Proposal],
        n: int,
        heir_of: Callable[[Proposal], Individual | None],
        under_way: Sequence[Proposal] = (),
    ) -> list[Proposal]:
        """The `n` of a pool that promise most, or all if there are fewer, the most promising first.

        Parameters
        ----------
        pool : sequence of Proposal
        n : int
        heir_of : callable
            Whose weights a proposal would inherit.
        under_way : sequence of Proposal
            Those chosen before that nothing is known of yet.
        """
        if not pool:
            return []
        model, X, y = self._model, self._X, self._y
        if under_way:
            Z = self._promised(under_way, heir_of)
            X, y = np.vstack([X, Z]), np.append(y, model.predict(Z)[0])
            model.fit(X, y, adapt=False)
        left = list(range(len(pool)))
        chosen: list[Proposal] = []
        Z = self._promised(pool, heir_of)
        while left and len(chosen) < n:
            mean, deviation = model.predict(Z[left])
            blind = self._rng.random() < self._explored
            at = int(self._rng.integers(len(left)) if blind else np.argmin(mean - self._optimism * deviation))
            position = left.pop(at)
            chosen.append(pool[position])
            if len(chosen) < n:
                X, y = np.vstack([X, Z[position]]), np.append(y, mean[at])
                model.fit(X, y, adapt=False)
        return chosen

    def _promised(self, pool: Sequence[Proposal], heir_of: Callable[[Proposal], Individual | None]) -> Floats:
        """Features of everyone as they would be after a whole training, not as they start."""
        heirs = [heir_of(proposal) for proposal in pool]
        ages = [0 if heir is None else heir.age for heir in heirs]
        rows = [self._row(one.genome, age, self._full) for one, age in zip(pool, ages, strict=True)]
        return np.array(rows).reshape(len(rows), -1)

    def _observed(self, individuals: Sequence[Individual]) -> Floats:
        return np.array([self._row(one.genome, one.age - one.trained, one.epochs) for one in individuals])

    def _row(self, genome: Genome, age: int, epochs: int) -> list[float]:
        """A genome's features, for how long what it inherits was trained, and for how long it was since."""
        return [
            *features(genome, self._space),
            math.log2(1 + age) / _LONGEST,
            math.log2(1 + min(epochs, self._full)) / _LONGEST,
        ]


def features(genome: Genome, space: SearchSpace) -> list[float]:
    """A genome as numbers from 0 to 1: the same number of them for all genomes of a space.

    Depth; widths, activations and dropouts layer by layer, or once where all layers share them, with 0
    where there is no layer; then the other genes. Ordered values are positions among their values,
    names are one number each, or one for two of them.
    """
    depth, room = space.depth[1], space.depth[1] - genome.depth
    row = [_position(genome.depth, tuple(space.depths))]
    positions = [(1 + space.widths_tuple.index(w)) / len(space.widths_tuple) for w in genome.widths]
    row += (positions[:1] or [0.0]) if space.equal_widths and depth else positions + [0.0] * room
    for key, values in space.genes.items():
        if key not in LAYER_GENES:
            row += _numbers(getattr(genome, key), values)
            continue
        carried = [getattr(layer, key) for layer in genome.layers]
        nothing = [0.0] * len(_numbers(values[0], values))
        if key in space.per_layer:
            row += [number for value in carried for number in _numbers(value, values)] + nothing * room
        else:
            row += _numbers(carried[0], values) if carried else nothing
    return row


def _numbers(value: Any, values: tuple[Any, ...]) -> list[float]:
    if not isinstance(values[0], str):
        return [_position(value, values)]
    ones = [float(value == one) for one in values]
    return ones if len(values) > 2 else ones[:1]


def _position(value: Any, values: tuple[Any, ...]) -> float:
    return values.index(value) / max(1, len(values) - 1)
