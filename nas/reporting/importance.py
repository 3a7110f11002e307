"""Importance of genes: the loss of accuracy of a forest that predicts fitness when a gene is shuffled.

The features of a gene are shuffled together on held-out rows (permutation importance, Breiman 2001, by
groups). Half of the increase of the squared error, as a share of the variance, is the gene's total effect:
its own share of the variance and its interactions with other genes (the total index of Sobol 1993;
Saltelli et al. 2010, equation 21 estimates it in this way). The effects of two genes, minus the effect of
shuffling both, give their interaction.
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
from nas.reporting.features import Group, encode_networks
from nas.reporting.networks import Network
from nas.space import SearchSpace

_MOST_NETWORKS = 1500
"""Networks in the training sample: more do not narrow the intervals, as the noise of training remains."""

_LEAST_NETWORKS = 30
"""Networks below which nothing is estimated: a fold would test on fewer than six."""

_TREES = 80
"""Of a forest; with more, predictions hardly change and the report takes longer."""

_FOLDS, _REPEATS = 5, 2
"""Of the cross-validation: ten forests, each tested on a fifth of the networks."""

_SHUFFLES = 4
"""Of each gene on each test fold, to average out the luck of one permutation."""

_LEVEL = 0.05
"""Probability that the interval of any gene without effect excludes zero (Bonferroni over the genes)."""

_LEAST_PREDICTED = 0.05
"""Share of the variance that the forests have to predict; below, importances are noise."""

_MOST_PARTNERS = 4
"""Genes that are tested for interactions in pairs: six pairs, for which the correction stays small."""


@dataclass(frozen=True)
class Effect:
    """The share of the variance of fitness that is due to a gene, or to the interaction of two genes.

    Attributes
    ----------
    name : str
    share : float
        Share of the variance among the networks of this search, 0 to about 1.
    low, high : float
        A simultaneous confidence interval: it covers the shares of all genes with 95 % probability.
    """

    name: str
    share: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0


@dataclass(frozen=True)
class Importance:
    """The importance of all genes in a search.

    Attributes
    ----------
    n : int
        Number of networks in the sample.
    predicted : float
        Share of the variance that the forests predict on held-out networks.
    genes, interactions : list of Effect
        The largest first; empty where too little can be predicted.
    refusal : str
        The reason why nothing is estimated; empty otherwise.
    """

    n: int
    predicted: float
    genes: list[Effect]
    interactions: list[Effect]
    refusal: str = ""


def importance(networks: Sequence[Network], space: SearchSpace, seed: int = 0) -> Importance:
    """Estimate the importance of the genes of a space from the networks of a search.

    Parameters
    ----------
    networks : sequence of Network
        At least 30, or nothing is estimated.
    space : SearchSpace
    seed : int
        Decides the sample, the forests and the shuffles.
    """
    if len(networks) < _LEAST_NETWORKS:
        refusal = f"fewer than {_LEAST_NETWORKS} networks were trained"
        return Importance(len(networks), math.nan, [], [], refusal)
    rng = np.random.default_rng(seed)
    if len(networks) > _MOST_NETWORKS:
        sample = rng.choice(len(networks), _MOST_NETWORKS, replace=False)
        networks = [networks[i] for i in np.sort(sample)]
    X, groups = encode_networks(networks, space)
    y = _ranks(np.array([network.fitness for network in networks]))
    losses = _Losses(X, y, rng)
    predicted = losses.predicted
    if predicted < _LEAST_PREDICTED:
        return Importance(len(networks), predicted, [], [], "fitness cannot be predicted from the genes")
    singles = {group.name: losses.of([group]) for group in groups}
    level = _LEVEL / max(1, len(groups))
    genes = sorted((_effect(name, loss, level) for name, loss in singles.items()), key=lambda e: -e.share)
    significant = [effect.name for effect in genes if effect.is_significant][:_MOST_PARTNERS]
    by_name = {group.name: group for group in groups}
    pairs = list(combinations(significant, 2))
    interactions = []
    for first, second in pairs:
        joint = losses.of([by_name[first], by_name[second]])
        interaction = [a + b - c for a, b, c in zip(singles[first], singles[second], joint, strict=True)]
        interactions.append(_effect(f"{first} × {second}", interaction, _LEVEL / len(pairs)))
    interactions.sort(key=lambda effect: -effect.share)
    return Importance(len(networks), predicted, genes, interactions)


def _ranks(values: Floats) -> Floats:
    """Return ranks from 0 to 1, means for ties; raw values vary most by a few failed trainings."""
    from scipy.stats import rankdata

    ranks: Floats = rankdata(values) / len(values)
    return ranks


class _Losses:
    """Cross-validated forests, and how much worse each predicts when genes are shuffled.

    Parameters
    ----------
    X : float array of shape (networks, features)
    y : float array of shape (networks,)
        Ranks of fitness.
    rng : numpy.random.Generator
    """

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
        """Return the mean squared error of a forest.

        Its trees are asked one by one: `forest.predict` gives the same numbers, and checks each call and
        hands it to a scheduler, which on so few rows takes ten times as long as the trees.
        """
        rows = np.ascontiguousarray(X, dtype=np.float32)
        total = np.zeros(len(rows))
        for tree in forest.estimators_:
            total += tree.tree_.predict(rows)[:, 0]
        return float(np.square(total / len(forest.estimators_) - y).mean())

    @property
    def predicted(self) -> float:
        """Share of the variance that is predicted on held-out networks (R²)."""
        return 1 - fmean(loss for *_, loss in self._parts) / float(self._y.var() or 1.0)

    def of(self, groups: Sequence[Group]) -> list[float]:
        """Return each forest's loss when these genes are shuffled together, in shares of the variance."""
        variance = float(self._y.var() or 1.0)
        losses = []
        for i, (forest, test, whole) in enumerate(self._parts):
            rng = np.random.default_rng([self._seed, i])
            X = np.concatenate([self._shuffled(test, groups, rng) for _ in range(_SHUFFLES)])
            shuffled = self._loss(forest, X, np.tile(self._y[test], _SHUFFLES))
            losses.append((shuffled - whole) / (2 * variance))
        return losses

    def _shuffled(self, test: Array, groups: Sequence[Group], rng: np.random.Generator) -> Floats:
        """Return the test rows with the columns of all groups permuted in the same order."""
        X = self._X[test]
        # Networks without one of the genes keep their values.
        able = np.flatnonzero(np.all([group.present[test] for group in groups], axis=0))
        order = rng.permutation(able)
        for group in groups:
            columns = np.array(group.columns)
            X[np.ix_(able, columns)] = X[np.ix_(order, columns)]
        return X


def _effect(name: str, values: Sequence[float], level: float) -> Effect:
    """Return a mean with its interval, corrected for the rows that folds share (Nadeau & Bengio 2003)."""
    from scipy.stats import t

    n = len(values)
    error = stdev(values) * math.sqrt(1 / n + 1 / (_FOLDS - 1))
    reach = float(t.ppf(1 - level / 2, n - 1)) * error
    share = fmean(values)
    return Effect(name, share, share - reach, share + reach)
