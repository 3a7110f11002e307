"""Which genes mattered: what a forest that predicts fitness loses when one of them is shuffled.

Each gene's features are shuffled together on rows that the forest has not seen (Breiman 2001, permutation
importance, by groups). Half of what that adds to the squared error, as a share of the variance, is the
gene's total effect: its own share of the variance and all that it has together with others (the total
index of Sobol 1993; Saltelli et al. 2010, equation 21 estimates it in this way). What two genes lose
alone and together tells their interaction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import numpy as np

from nas.network.arrays import Array, Floats
from nas.reporting.features import Group, described
from nas.reporting.history import Network
from nas.space import SearchSpace

_MOST = 1500
"""Networks that are learned from: the variance that is left is not the sample's."""

_LEAST = 30
_TREES = 80
_FOLDS, _REPEATS = 5, 2
_SHUFFLES = 4
_LEVEL = 0.05
"""The chance that any gene without effect is taken for one with."""

_PREDICTS = 0.05
"""The share of the variance that a forest has to predict to be asked what mattered."""

_MOST_PARTNERS = 4


@dataclass(frozen=True)
class Effect:
    """How much of the variance of fitness goes with a gene, or with two of them beyond each alone.

    Attributes
    ----------
    name : str
    share : float
        Of the variance among the networks of this search, 0 to about 1.
    low, high : float
        An interval that holds all true shares at once with 95 % confidence.
    """

    name: str
    share: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether it is told from noise."""
        return self.low > 0


@dataclass(frozen=True)
class Importance:
    """What mattered in a search.

    Attributes
    ----------
    n : int
        Networks that were learned from.
    predicted : float
        The share of the variance that the forest predicts of networks it has not seen.
    genes, interactions : list of Effect
        The largest first; empty where too little can be predicted.
    why_not : str
        Why nothing is said, if so.
    """

    n: int
    predicted: float
    genes: list[Effect]
    interactions: list[Effect]
    why_not: str = ""


def importance(networks: Sequence[Network], space: SearchSpace, seed: int = 0) -> Importance:
    """What mattered among networks of a space.

    Parameters
    ----------
    networks : sequence of Network
        At least 30, or nothing is said.
    space : SearchSpace
    seed : int
        Decides the sample, the forests and the shuffles.
    """
    if len(networks) < _LEAST:
        return Importance(len(networks), math.nan, [], [], f"fewer than {_LEAST} networks were trained")
    rng = np.random.default_rng(seed)
    if len(networks) > _MOST:
        chosen = rng.choice(len(networks), _MOST, replace=False)
        networks = [networks[i] for i in np.sort(chosen)]
    X, groups = described(networks, space)
    y = _ranks(np.array([one.fitness for one in networks]))
    losses = _Losses(X, y, rng)
    predicted = losses.predicted
    if predicted < _PREDICTS:
        return Importance(len(networks), predicted, [], [], "fitness cannot be predicted from the genes")
    singles = {group.name: losses.of([group]) for group in groups}
    level = _LEVEL / max(1, len(groups))
    genes = sorted((_effect(name, lost, level) for name, lost in singles.items()), key=lambda e: -e.share)
    clear = [effect.name for effect in genes if effect.is_clear][:_MOST_PARTNERS]
    by_name = {group.name: group for group in groups}
    pairs = list(combinations(clear, 2))
    interactions = []
    for one, other in pairs:
        together = losses.of([by_name[one], by_name[other]])
        beyond = [a + b - c for a, b, c in zip(singles[one], singles[other], together, strict=True)]
        interactions.append(_effect(f"{one} × {other}", beyond, _LEVEL / len(pairs)))
    interactions.sort(key=lambda effect: -effect.share)
    return Importance(len(networks), predicted, genes, interactions)


def _ranks(values: Floats) -> Floats:
    """Ranks from 0 to 1, equal values alike: a few that went wrong altogether are not all there is to say."""
    from scipy.stats import rankdata

    ranks: Floats = rankdata(values) / len(values)
    return ranks


class _Losses:
    """Forests on different parts of the networks, and what shuffling costs each on the rest."""

    def __init__(self, X: Floats, y: Floats, rng: np.random.Generator) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        self._X, self._y = X, y
        self._parts: list[tuple[Any, Array, float]] = []
        self._seed = int(rng.integers(2**31))
        for _ in range(_REPEATS):
            for test in np.array_split(rng.permutation(len(y)), _FOLDS):
                train = np.setdiff1d(np.arange(len(y)), test)
                forest = ExtraTreesRegressor(
                    _TREES, min_samples_leaf=2, max_features=0.7, random_state=int(rng.integers(2**31))
                ).fit(X[train], y[train])
                self._parts.append((forest, test, self._loss(forest, X[test], y[test])))

    @staticmethod
    def _loss(forest: Any, X: Floats, y: Floats) -> float:
        return float(np.square(forest.predict(X) - y).mean())

    @property
    def predicted(self) -> float:
        """The share of the variance that is predicted of networks that were not learned from."""
        return 1 - fmean(loss for *_, loss in self._parts) / float(self._y.var() or 1.0)

    def of(self, groups: Sequence[Group]) -> list[float]:
        """For each forest what is lost when these genes are shuffled, in rows that keep them together."""
        variance = float(self._y.var() or 1.0)
        lost = []
        for i, (forest, test, whole) in enumerate(self._parts):
            rng = np.random.default_rng([self._seed, i])
            X = np.concatenate([self._shuffled(test, groups, rng) for _ in range(_SHUFFLES)])
            shuffled = self._loss(forest, X, np.tile(self._y[test], _SHUFFLES))
            lost.append((shuffled - whole) / (2 * variance))
        return lost

    def _shuffled(self, test: Array, groups: Sequence[Group], rng: np.random.Generator) -> Floats:
        X = self._X[test]
        # Those that lack one of the genes keep what they have.
        able = np.flatnonzero(np.all([group.present[test] for group in groups], axis=0))
        order = rng.permutation(able)
        for group in groups:
            columns = np.array(group.columns)
            X[np.ix_(able, columns)] = X[np.ix_(order, columns)]
        return X


def _effect(name: str, values: Sequence[float], level: float) -> Effect:
    """A mean with its interval: folds share rows, which makes it wider (Nadeau & Bengio 2003)."""
    from scipy.stats import t

    n = len(values)
    error = stdev(values) * math.sqrt(1 / n + 1 / (_FOLDS - 1))
    reach = float(t.ppf(1 - level / 2, n - 1)) * error
    share = fmean(values)
    return Effect(name, share, share - reach, share + reach)
