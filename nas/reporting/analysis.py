"""The numbers behind a report's pictures: pure functions of a history."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from nas.alignment import origins
from nas.evaluation import Candidate
from nas.evolution.lineage import Operator, Origin
from nas.evolution.surrogate import Surrogate
from nas.genome import GENES, LAYER_GENES, Genome
from nas.network.arrays import Array, Floats
from nas.reporting.history import History
from nas.reporting.networks import Network, Trial

_LEAST_RANDOM = 8
"""Random networks from which random search is estimated; fewer say too little of its tail."""

_POINTS = 200
"""Points of that curve: more than a picture of 8 inches shows apart."""


@dataclass(frozen=True)
class Expectation:
    """The best fitness of k random networks, estimated from the random networks of a search.

    Attributes
    ----------
    k : int array of shape (points,)
        Numbers of networks, rising, up to the number of random networks of the search.
    mean, low, high : float arrays of shape (points,)
        The expected best of k, and the 5 % and 95 % quantiles of the best of k.
    """

    k: Array
    mean: Floats
    low: Floats
    high: Floats

    @property
    def n(self) -> int:
        """Number of random networks that the estimate is made from."""
        return int(self.k[-1])


def best_so_far(trials: Sequence[Network | Trial]) -> Floats:
    """Return the best fitness up to each network or evaluation, shape (trials,); NaN before the first."""
    best: Floats = np.fmax.accumulate([trial.fitness for trial in trials])
    return best


def random_expectation(networks: Sequence[Network], *, preselected: bool = False) -> Expectation | None:
    """Estimate the best fitness that random search would have reached; None from too few networks.

    At least 8 random networks are needed. Where a surrogate preselects candidates, it preselects random
    candidates too. Then only networks count that were drawn before it had enough evaluations to start. With
    successive halving, unpromising networks were trained for fewer epochs: random search with full trainings
    would reach a little more, in much more time.

    Parameters
    ----------
    networks : sequence of Network
        In the order of the search.
    preselected : bool
        Whether a surrogate preselected candidates.
    """
    unbiased = networks[: Surrogate.n_initial] if preselected else networks
    fitness = np.array(
        [network.fitness for network in unbiased if network.candidate.operator == Origin.RANDOM]
    )
    if len(fitness) < _LEAST_RANDOM:
        return None
    ordered, n = np.sort(fitness), len(fitness)
    k = np.unique(np.geomspace(1, n, _POINTS).round().astype(int))
    # The best of k draws is at most the i-th of n with probability (i / n) ** k.
    low, high = (ordered[np.ceil(n * share ** (1 / k)).astype(int) - 1] for share in (0.05, 0.95))
    return Expectation(k, expected_best(ordered, k), low, high)


def expected_best(ordered: Floats, sizes: Array) -> Floats:
    """Return the mean maximum over all subsets of k values, for each k of `sizes`, shape (sizes,).

    `ordered` holds the values in rising order. The maximum of a subset has rank i with probability
    C(i - 1, k - 1) / C(n, k).
    """
    n = len(ordered)
    log = np.array([math.lgamma(i + 1) for i in range(n + 1)])  # logarithms of factorials
    means = np.empty(len(sizes))
    for j, k in enumerate(sizes):
        i = np.arange(k, n + 1)  # ranks that can be the best of k
        weights = np.exp(log[i - 1] - log[k - 1] - log[i - k] - (log[n] - log[k] - log[n - k]))
        means[j] = weights @ ordered[k - 1 :]
    return means


@dataclass(frozen=True)
class Step:
    """One step from an ancestor to the winner.

    Attributes
    ----------
    candidate : Candidate
    fitness : float, optional
        None if the evaluation failed.
    changes : str
        The genes in which the candidate differs from the step before.
    gain : float, optional
        Difference of fitness to the step before.
    """

    candidate: Candidate
    fitness: float | None
    changes: str
    gain: float | None


def lineage(history: History) -> list[Step]:
    """Return the steps from the first ancestor to the winner.

    The previous step is the parent that gave the checkpoint of a warm start, else the first parent.
    """
    best = history.best.candidate.id if history.winner is None else history.winner
    chain = [history.candidates[best]]
    while (before := _parent(history, chain[-1])) is not None:
        chain.append(before)
    chain.reverse()
    fitness = {}
    for network in history.networks:
        for rung, value in network.by_rung.items():
            fitness[network.genome, rung] = value
    steps = []
    for i, candidate in enumerate(chain):
        own = fitness.get((candidate.genome, candidate.epochs or 0))
        earlier = chain[i - 1] if i else None
        previous = None if earlier is None else fitness.get((earlier.genome, earlier.epochs or 0))
        gain = None if own is None or previous is None else own - previous
        changes = "drawn at random" if candidate.operator == Origin.RANDOM else candidate.operator
        steps.append(Step(candidate, own, changed(earlier, candidate) if earlier else changes, gain))
    return steps


def _parent(history: History, candidate: Candidate) -> Candidate | None:
    """Return the parent that gave the checkpoint of a warm start, else the first parent, else None."""
    number = candidate.inherits if candidate.inherits is not None else next(iter(candidate.parents), None)
    return None if number is None else history.candidates.get(number)


def changed(parent: Candidate, child: Candidate) -> str:
    """Describe the genes in which a child differs from its parent."""
    if child.operator == Origin.CONTINUE:
        return f"trained further, up to {child.epochs} epochs" if child.epochs else "trained further"
    return ", ".join(_differences(parent.genome, child.genome)) or "nothing"


def _differences(old: Genome, new: Genome) -> list[str]:
    """Describe the differences of two genomes, layer by layer, then gene by gene."""
    words = []
    came_from = origins(new, old)
    for i, (layer, origin) in enumerate(zip(new.layers, came_from, strict=True), 1):
        if origin is None:
            words.append(f"a new layer {i} of {layer.width}")
            continue
        before = old.layers[origin]
        if layer.width != before.width:
            words.append(f"layer {i}: {before.width} → {layer.width}")
        words += [
            f"{key} of layer {i}: {getattr(before, key)} → {getattr(layer, key)}"
            for key in LAYER_GENES
            if getattr(before, key) != getattr(layer, key) and tuple in _kinds(key, old, new)
        ]
    removed = sorted(set(range(old.depth)) - {origin for origin in came_from if origin is not None})
    words += [f"without layer {i + 1} of {old.widths[i]}" for i in removed]
    words += [
        f"{key.replace('_', ' ')}: {getattr(old, key)} → {getattr(new, key)}"
        for key in GENES
        if getattr(old, key) != getattr(new, key) and not {tuple, type(None)} & _kinds(key, old, new)
    ]
    return words


def _kinds(key: str, *genomes: Genome) -> set[type]:
    """Return the types of a gene's values: a tuple has a value for each layer, None means no such gene."""
    return {type(getattr(genome, key)) for genome in genomes}


@dataclass(frozen=True)
class Gain:
    """How much fitter the children of one operator were than the better of their parents.

    Attributes
    ----------
    kind : str
        The operator.
    n : int
        Number of children.
    mean, error : float
        Mean gain and its standard error; NaN for a single child.
    share_better : float
        Share of children with a positive gain.
    """

    kind: str
    n: int
    mean: float
    error: float
    share_better: float


def gains(history: History) -> list[Gain]:
    """Return the gains by operator, the most frequent first.

    Parents and children are compared after equally many epochs. Children of several operators at once form
    a kind of their own.
    """
    fitness = {network.genome: network.by_rung for network in history.networks}
    by_kind: dict[str, list[float]] = defaultdict(list)
    for network in history.networks:
        candidate = network.candidate
        rung = candidate.epochs or 0
        parents = [history.candidates[i].genome for i in candidate.parents if i in history.candidates]
        parent_fitness = [fitness[genome][rung] for genome in parents if rung in fitness.get(genome, {})]
        if parent_fitness and rung in network.by_rung:
            by_kind[_kind(candidate.operator)].append(network.by_rung[rung] - max(parent_fitness))
    rows = [
        Gain(
            kind,
            len(values),
            fmean(values),
            stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan,
            fmean(value > 0 for value in values),
        )
        for kind, values in by_kind.items()
    ]
    return sorted(rows, key=lambda row: -row.n)


def _kind(operator: str) -> str:
    """Return the name under which the gains of an operator are grouped."""
    parsed = Operator.parse(operator)
    if parsed.crossover is not None:
        return f"{parsed.crossover.replace('_', ' ')} (crossover)"
    return "several changes" if "+" in operator else operator.replace("_", " ")


@dataclass(frozen=True)
class Size:
    """The best networks among `low` to twice `low` parameters, with a single hidden layer and with more.

    `single` and `deep` are fitness values, None where there is no such network.
    """

    low: int
    n_single: int
    single: float | None
    n_deep: int
    deep: float | None


def deep_or_wide(networks: Sequence[Network]) -> list[Size]:
    """Return for each doubling of parameters the best network with one hidden layer, and with more."""
    by_size: dict[int, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for network in networks:
        if network.genome.depth and network.evaluation.n_parameters:
            octave = int(math.log2(network.evaluation.n_parameters))
            by_size[octave][network.genome.depth > 1].append(network.fitness)
    return [
        Size(2**octave, len(single), max(single, default=None), len(deep), max(deep, default=None))
        for octave, (single, deep) in sorted(by_size.items())
    ]


@dataclass(frozen=True)
class Cell:
    """The networks of one depth and of about one mean width: their number, median and best fitness."""

    depth: int
    width: int
    n: int
    median: float
    best: float


def structure_map(networks: Sequence[Network]) -> list[Cell]:
    """Group networks by depth and by geometric mean width, rounded to a power of two."""
    cells: dict[tuple[int, int], list[float]] = defaultdict(list)
    for network in networks:
        if (cell := cell_of(network.genome)) is not None:
            cells[cell].append(network.fitness)
    return [
        Cell(depth, width, len(values), float(np.median(values)), max(values))
        for (depth, width), values in sorted(cells.items())
    ]


def cell_of(genome: Genome) -> tuple[int, int] | None:
    """Return a genome's depth, and its mean width as `structure_map` rounds it; None without a layer."""
    return (genome.depth, 2 ** round(fmean(map(math.log2, genome.widths)))) if genome.depth else None


def front(networks: Sequence[Network], costs: Sequence[float]) -> list[int]:
    """Return the positions of the networks on the Pareto front of fitness and cost, the cheapest first."""
    order = sorted(range(len(networks)), key=lambda i: (costs[i], -networks[i].fitness))
    positions: list[int] = []
    for i in order:
        if not positions or networks[i].fitness > networks[positions[-1]].fitness:
            positions.append(i)
    return positions
