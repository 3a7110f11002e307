"""Surrogate: a model that has learned from those evaluated chooses among many children."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np
from scipy.special import ndtri
from threadpoolctl import ThreadpoolController

from nas.evolution.gaussian_process import GaussianProcess
from nas.evolution.individual import Individual
from nas.evolution.proposal import Proposal
from nas.evolution.ranking import Ranking
from nas.genome import LAYER_GENES, Genome
from nas.network.arrays import Array, Floats
from nas.space import SearchSpace

_MOST_KNOWN = 300
"""The best that are learned from, at most: a process takes time by the cube of their number."""

_MOST_UNDER_WAY = 256
"""Those under way that are believed, at most: the latest, who were chosen by what is known now or nearly."""

_TREES = 60
_NEWS = 1.05
"""Growth of what is known with which the model's own settings are adapted again."""

_LATE_NEWS = 1.25
"""The same, once more is known than is learned from."""

_MANY = 4096
"""Genomes whose features are remembered: all that are known and may be chosen, several times over."""

_LONGEST = 16.0
"""Doublings of epochs that count as 1."""


_F = TypeVar("_F", bound=Callable[..., object])
_one_thread: Callable[[_F], _F] = ThreadpoolController().wrap(limits=1, user_api="blas")
"""For the same bits on every machine; and more threads wait for each other where workers are busy."""


class Posterior(Protocol):
    """What a model expects of points; see `nas.evolution.gaussian_process.Posterior`."""

    mean: Floats

    @property
    def deviation(self) -> Floats:
        """How unsure the model is of each point; float array of shape (points,)."""

    def condition_on(self, points: Sequence[int]) -> None:
        """Take points as observed, with their means."""


class Model(Protocol):
    """What learns from features and values, and says what it expects and how unsure it is."""

    def fit(self, X: Floats, y: Floats, *, adapt: bool = True) -> Model:
        """Learn from observations of shape (n, features) and (n,); `adapt`: its own settings too."""

    def posterior(self, X: Floats) -> Posterior:
        """What it expects of points of shape (n, features)."""

    def mean(self, X: Floats) -> Floats:
        """The means of that alone; float array of shape (n,)."""


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

    def posterior(self, X: Floats) -> Posterior:
        """See `Model.posterior`."""
        single = np.ascontiguousarray(X, dtype=np.float32)
        trees = [tree.tree_ for tree in self._forest.estimators_]
        votes: Array = np.array([tree.predict(single)[:, 0] for tree in trees])
        return _Votes(votes, np.array([tree.apply(single) for tree in trees]))

    def mean(self, X: Floats) -> Floats:
        """See `Model.mean`."""
        return self.posterior(X).mean


class _Votes:
    """The posterior of a forest: `votes` and `leaves` are of shape (trees, points)."""

    def __init__(self, votes: Array, leaves: Array) -> None:
        self.mean: Floats = votes.mean(axis=0)
        self._deviation: Floats = votes.std(axis=0)
        self._leaves = leaves

    @property
    def deviation(self) -> Floats:
        """The spread of the trees."""
        return self._deviation

    def condition_on(self, points: Sequence[int]) -> None:
        """Be the surer of points, the more trees have them in a leaf with those believed."""
        for i in points:
            self._deviation = self._deviation * (self._leaves != self._leaves[:, i : i + 1]).mean(axis=0)


MODELS = ("process", "trees")
"""What may screen: a Gaussian process, or extra-trees."""


class Surrogate:
    """Chooses children by the ranks that a model expects of them.

    ::

        learn: features of a genome -> the normal quantile of its rank among all
        of many children choose those of which
            mean - kappa · deviation + cost_penalty · log2(effort) is lowest,
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
    _kappa = 2.5
    _epsilon = 0.05
    _cost_penalty = 0.15

    def __init__(self, space: SearchSpace, seed: int, model: str = "process", full: int = 1) -> None:
        self._space, self._full = space, full
        self._rng = np.random.default_rng([seed, 3])
        n_features = len(features(next(iter(space)), space))
        self._model: Model = Trees(seed) if model == "trees" else GaussianProcess(n_features + 2)
        self._features = lru_cache(maxsize=_MANY)(lambda genome: np.array(features(genome, space)).tobytes())
        self._n_known = self._n_adapted = 0

    @property
    def n_new(self) -> int:
        """How many children of the pool should be born since the last choice.

        Half of it, as long as news change much; once more is known than is learned from, a quarter. All
        would find nothing better (`benchmarks.replay`), and having children takes longer than choosing.
        """
        return self.pool // (2 if self._n_known <= _MOST_KNOWN else 4)

    @property
    def has_learned(self) -> bool:
        """Whether the model knows anybody."""
        return self._n_known > 0

    @_one_thread
    def learn(self, ranking: Ranking) -> None:
        """Learn from the best of everyone evaluated."""
        known = ranking.best(_MOST_KNOWN)
        n = len(known)
        # The model's own settings hardly change with a few observations more.
        news = _NEWS if len(ranking) <= _MOST_KNOWN else _LATE_NEWS
        adapt = len(ranking) >= news * self._n_adapted
        self._model.fit(self._observed(known), ndtri((np.arange(n) + 0.5) / n), adapt=adapt)
        self._n_known = len(ranking)
        if adapt:
            self._n_adapted = self._n_known

    @_one_thread
    def best(self, individuals: Sequence[Individual], n: int) -> list[Individual]:
        """The `n` that the model expects to be best, of those it has learned from; best first."""
        mean = self._model.mean(self._observed(individuals))
        return [individuals[i] for i in np.argsort(mean, kind="stable")[:n]]

    @_one_thread
    def choose(
        self,
        pool: Sequence[Proposal],
        n: int,
        warm_start_from: Callable[[Proposal], Individual | None],
        under_way: Sequence[Proposal] = (),
        effort: Callable[[Genome], float] | None = None,
    ) -> list[Proposal]:
        """The `n` of a pool that promise most, or all if there are fewer, the most promising first.

        Parameters
        ----------
        pool : sequence of Proposal
        n : int
        warm_start_from : callable
            Whose weights a proposal would inherit.
        under_way : sequence of Proposal
            Those chosen before that nothing is known of yet.
        effort : callable, optional
            What training a genome takes, in any unit; by default all are worth the same.
        """
        if not pool:
            return []
        under_way = under_way[-_MOST_UNDER_WAY:]
        posterior = self._model.posterior(self._promised([*pool, *under_way], warm_start_from))
        posterior.condition_on(range(len(pool), len(pool) + len(under_way)))
        efforts = [1.0 if effort is None else effort(one.genome) for one in pool]
        worth = posterior.mean[: len(pool)] + self._cost_penalty * np.log2(efforts)
        left = list(range(len(pool)))
        chosen: list[int] = []
        while left and len(chosen) < n:
            posterior.condition_on(chosen[-1:])
            if self._rng.random() < self._epsilon:
                chosen.append(left.pop(int(self._rng.integers(len(left)))))
            else:
                promise = worth - self._kappa * posterior.deviation[: len(pool)]
                chosen.append(int(np.argmin(promise)))
                left.remove(chosen[-1])
            worth[chosen[-1]] = np.inf
        return [pool[position] for position in chosen]

    def _promised(
        self, pool: Sequence[Proposal], warm_start_from: Callable[[Proposal], Individual | None]
    ) -> Floats:
        """Features of everyone as they would be after a whole training, not as they start."""
        children = [warm_start_from(proposal) for proposal in pool]
        ages = [0 if child is None else child.age for child in children]
        return self._rows([one.genome for one in pool], ages, [self._full] * len(pool))

    def _observed(self, individuals: Sequence[Individual]) -> Floats:
        ages = [one.inherited for one in individuals]
        return self._rows([one.genome for one in individuals], ages, [one.epochs for one in individuals])

    def _rows(self, genomes: Sequence[Genome], ages: Sequence[int], epochs: Sequence[int]) -> Floats:
        """Genomes' features, for how long what they inherit was trained, and for how long it was since."""
        # As bytes, as joining them takes a tenth of the time that reading as many lists does.
        known = np.frombuffer(b"".join(map(self._features, genomes))).reshape(len(genomes), -1)
        trained = np.log2(1 + np.array([ages, np.minimum(epochs, self._full)])) / _LONGEST
        return np.column_stack([known, *trained])


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
