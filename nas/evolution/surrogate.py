"""Surrogate pre-selection: a model of evaluated individuals selects the most promising of many children."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, wraps
from typing import NamedTuple, ParamSpec, Protocol, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from nas.evolution.features import Features
from nas.evolution.individual import Individual
from nas.evolution.lineage import Proposal
from nas.evolution.ranking import Ranking
from nas.genome import Genome
from nas.network.arrays import Array, Floats
from nas.space import SearchSpace

_MOST_OBSERVED = 300
"""The best individuals that the model is fitted to, at most: a Gaussian process takes time by their cube."""

_MOST_IN_FLIGHT = 256
"""The latest proposals in flight that the posterior is conditioned on, at most: earlier selections rest on
fewer observations, and each takes time."""

_TREES = 60
"""Trees of the forest: the relative standard error of a deviation of 60 votes is 9 %."""

_GROWTH = 1.05
"""Growth of the observations at which the model's hyperparameters are adapted again: a few more hardly change
them."""

_LATE_GROWTH = 1.25
"""The same, once there are more observations than the model is fitted to."""

_CACHED = 4096
"""Size of the cache of features: several times as many as are observed and in the pool."""

_LONGEST = 16.0
"""Doublings of epochs that scale to a feature of 1: 65,536 epochs."""


_P = ParamSpec("_P")
_R = TypeVar("_R")


def _one_thread(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compute with one BLAS thread: the same bits on every machine, and none that contends with workers."""

    @wraps(method)
    def limited(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        with _libraries().limit(limits=1, user_api="blas"):
            return method(*arguments, **keywords)

    return limited


@cache
def _libraries() -> ThreadpoolController:
    """Those loaded at the first call: by then a model has imported SciPy, which has a BLAS of its own."""
    return ThreadpoolController()


class Posterior(Protocol):
    """A model's prediction for points; see `nas.evolution.gaussian_process.Posterior`.

    Attributes
    ----------
    mean : float array of shape (points,)
    """

    mean: Floats

    @property
    def deviation(self) -> Floats:
        """The standard deviation of each point; float array of shape (points,)."""

    def condition_on(self, points: Sequence[int]) -> None:
        """Take points as observed, with their means as values (kriging believer; Ginsbourger et al. 2010)."""


class Model(Protocol):
    """A regression model with a standard deviation for each prediction."""

    def fit(self, X: Floats, y: Floats, *, adapt: bool = True, noise: Floats | None = None) -> Model:
        """Fit observations of shape (n, features) and (n,); with `adapt` also the model's hyperparameters.

        `noise`, of shape (n,): variances of the observations' noise, as multiples of the usual one.
        """

    def posterior(self, X: Floats) -> Posterior:
        """Predict points of shape (n, features)."""

    def mean(self, X: Floats) -> Floats:
        """Return only the posterior's means; float array of shape (n,)."""


class Trees:
    """scikit-learn's extra-trees (Geurts et al. 2006), with the trees' standard deviation."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, X: Floats, y: Floats, *, adapt: bool = True, noise: Floats | None = None) -> Trees:
        """See `Model.fit`; noisier observations have less weight."""
        from sklearn.ensemble import ExtraTreesRegressor

        self._seed += 1
        forest = ExtraTreesRegressor(_TREES, random_state=self._seed % 2**32)
        self._forest = forest.fit(X, y, sample_weight=None if noise is None else 1 / noise)
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
        """The standard deviation of the trees' votes."""
        return self._deviation

    def condition_on(self, points: Sequence[int]) -> None:
        """Reduce deviations by the share of trees that have a point in the leaf of an observed point."""
        for i in points:
            self._deviation = self._deviation * (self._leaves != self._leaves[:, i : i + 1]).mean(axis=0)


MODELS = ("process", "trees")
"""The models: a Gaussian process, or extra-trees."""


class Surrogate:
    """Selects children by the ranks that a model predicts for them.

    ::

        fit: features of a genome -> the normal quantile of its rank among all
        repeat n times:
            with probability epsilon select any child of the pool,
            else the child of least
                mean - kappa · deviation + cost_penalty · log2(effort)
            condition the posterior on the mean of the selected child

    The criterion is a lower confidence bound (Srinivas et al. 2010) with a penalty on costs. Ranks are the
    archive's, by one objective or by several. `best` sorts evaluated individuals by their predictions, which
    smooths the noise of single trainings.

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Decides the trees and the random selections.
    model : str
        A name of `MODELS`.
    full : int
        Epochs of a whole training.

    Attributes
    ----------
    pool_size : int
        Children to select from.
    n_initial : int
        Genomes that are proposed without the model, at first.
    random_share : float
        The share of the children that is drawn at random from the space.
    """

    # The defaults are those of `_AUTO` in `nas.evolution.recipes`: the best of `benchmarks.replay`.
    pool_size = 300
    n_initial = 12
    random_share = 0.15
    _kappa = 2.5
    _epsilon = 0.05
    _cost_penalty = 0.15

    def __init__(self, space: SearchSpace, seed: int, model: str = "process", full: int = 1) -> None:
        self._full = full
        self._rng = np.random.default_rng([seed, 3])
        features = Features(space)
        n_features = len(features(space.sample(random.Random(0))))
        self._model: Model = Trees(seed) if model == "trees" else _process(n_features + 2)
        self._features = lru_cache(maxsize=_CACHED)(lambda genome: array("d", features(genome)).tobytes())
        self._evaluated = lru_cache(maxsize=_CACHED)(
            lambda individual: (self._features(individual.genome), individual.inherited, individual.epochs)
        )
        self._described: dict[Proposal, _Described] = {}
        """The pool and the candidates in flight of the last selection: most of them are in the next, too."""

        self._n_observed = self._n_adapted = 0

    @property
    def n_new(self) -> int:
        """The number of children of the pool that should be new since the last selection.

        Half of the pool; a quarter once there are more observations than the model is fitted to. A new pool
        each time finds nothing better (`benchmarks.replay`), and breeding takes longer than selecting.
        """
        return self.pool_size // (2 if self._n_observed <= _MOST_OBSERVED else 4)

    @property
    def has_learned(self) -> bool:
        """Whether the model has been fitted."""
        return self._n_observed > 0

    @_one_thread
    def learn(self, ranking: Ranking) -> None:
        """Fit the model to the best of all evaluated individuals."""
        best = ranking.best(_MOST_OBSERVED)
        n = len(best)
        growth = _GROWTH if len(ranking) <= _MOST_OBSERVED else _LATE_GROWTH
        adapt = len(ranking) >= growth * self._n_adapted
        from scipy.special import ndtri

        self._model.fit(
            self._observed(best), ndtri((np.arange(n) + 0.5) / n), adapt=adapt, noise=_noise(best)
        )
        self._n_observed = len(ranking)
        if adapt:
            self._n_adapted = self._n_observed

    @_one_thread
    def best(self, individuals: Sequence[Individual], n: int) -> list[Individual]:
        """Return the `n` individuals with the best predictions, best first."""
        mean = self._model.mean(self._observed(individuals))
        return [individuals[i] for i in np.argsort(mean, kind="stable")[:n]]

    @_one_thread
    def choose(
        self,
        pool: Sequence[Proposal],
        n: int,
        warm_start_from: Callable[[Proposal], Individual | None],
        in_flight: Sequence[Proposal] = (),
        effort: Callable[[Genome], float] | None = None,
    ) -> list[Proposal]:
        """Return the `n` most promising proposals of a pool in order of selection, or all if there are fewer.

        Parameters
        ----------
        pool : sequence of Proposal
        n : int
        warm_start_from : callable
            The parent from which a proposal would inherit weights; always the same for a proposal.
        in_flight : sequence of Proposal
            Proposals that are being evaluated: the posterior is conditioned on their means.
        effort : callable, optional
            The cost of training a genome, in any unit, always the same; by default the same for all.
        """
        if not pool:
            return []
        in_flight = in_flight[-_MOST_IN_FLIGHT:]
        described = self._describe([*pool, *in_flight], warm_start_from, effort)
        posterior = self._model.posterior(self._unobserved(described))
        posterior.condition_on(range(len(pool), len(pool) + len(in_flight)))
        efforts = [proposal.effort for proposal in described[: len(pool)]]
        penalized = posterior.mean[: len(pool)] + self._cost_penalty * np.log2(efforts)
        remaining = list(range(len(pool)))
        selected: list[int] = []
        while remaining and len(selected) < n:
            posterior.condition_on(selected[-1:])
            if self._rng.random() < self._epsilon:
                selected.append(remaining.pop(int(self._rng.integers(len(remaining)))))
            else:
                bound = penalized - self._kappa * posterior.deviation[: len(pool)]
                selected.append(int(np.argmin(bound)))
                remaining.remove(selected[-1])
            penalized[selected[-1]] = np.inf
        return [pool[position] for position in selected]

    def _describe(
        self,
        proposals: Sequence[Proposal],
        warm_start_from: Callable[[Proposal], Individual | None],
        effort: Callable[[Genome], float] | None,
    ) -> list[_Described]:
        """Return what the selection reads of each proposal, computed once while it is in the pool."""
        known = self._described
        for proposal in proposals:
            if proposal not in known:
                genome, parent = proposal.genome, warm_start_from(proposal)
                known[proposal] = _Described(
                    self._features(genome),
                    0 if parent is None else parent.age,
                    1.0 if effort is None else effort(genome),
                )
        described = [known[proposal] for proposal in proposals]
        self._described = dict(zip(proposals, described, strict=True))
        return described

    def _unobserved(self, proposals: Sequence[_Described]) -> Floats:
        """Return features of proposals as after a whole training, not as after their first rung."""
        ages = [proposal.age for proposal in proposals]
        return self._rows([proposal.features for proposal in proposals], ages, [self._full] * len(proposals))

    def _observed(self, individuals: Sequence[Individual]) -> Floats:
        """Return features of evaluated individuals, with their own epochs."""
        return self._rows(*zip(*map(self._evaluated, individuals), strict=True))

    def _rows(self, of_genomes: Sequence[bytes], ages: Sequence[int], epochs: Sequence[int]) -> Floats:
        """Return a row for each genome: its features, and the scaled epochs inherited and trained.

        Float array of shape (genomes, features + 2).
        """
        # Features are cached as bytes: joining these takes a tenth of the time of converting lists.
        rows = np.frombuffer(b"".join(of_genomes)).reshape(len(of_genomes), -1)
        trained = np.log2(1 + np.array([ages, np.minimum(epochs, self._full)])) / _LONGEST
        return np.column_stack([rows, *trained])


class _Described(NamedTuple):
    """What a selection reads of a proposal: features as bytes, inherited epochs, effort."""

    features: bytes
    age: int
    effort: float


def _noise(individuals: Sequence[Individual]) -> Floats | None:
    """The variances of fitness as multiples of the smallest: that of a mean of n folds is about 1 / n.

    None where all were scored alike.
    """
    n_folds = np.array([max(1, len(individual.evaluation.fold_scores)) for individual in individuals], float)
    return None if n_folds.min() == n_folds.max() else n_folds.max() / n_folds


def _process(n_coordinates: int) -> Model:
    # SciPy takes a third of a second to import, and only a search with a surrogate needs it.
    from nas.evolution.gaussian_process import GaussianProcess

    return GaussianProcess(n_coordinates)
