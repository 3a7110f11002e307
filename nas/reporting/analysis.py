"""What the pictures of a report show, as numbers: pure functions of a history."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np

from nas.alignment import origins
from nas.evaluation import Candidate
from nas.evolution.lineage import Operator
from nas.evolution.successive_halving import CONTINUE
from nas.evolution.surrogate import Surrogate
from nas.genome import GENES, LAYER_GENES, Genome
from nas.network.arrays import Array, Floats
from nas.reporting.history import History, Network
from nas.space import SearchSpace
from nas.tracking.shown import command

_LEAST_RANDOM = 8
_POINTS = 200


@dataclass(frozen=True)
class Expectation:
    """The best of k random networks, as far as those of the search tell.

    Attributes
    ----------
    k : int array of shape (points,)
        Numbers of networks, rising; the last is of all random ones that tell.
    mean, low, high : float arrays of shape (points,)
        The expected best of so many, and between what nine of ten such searches end.
    """

    k: Array
    mean: Floats
    low: Floats
    high: Floats

    @property
    def n(self) -> int:
        """Random networks that tell."""
        return int(self.k[-1])


def best_so_far(networks: Sequence[Network]) -> Floats:
    """The best fitness after each network."""
    best: Floats = np.maximum.accumulate([one.fitness for one in networks])
    return best


def random_expectation(networks: Sequence[Network], *, screened: bool = False) -> Expectation | None:
    """What random search would have come to; None where fewer than 8 networks tell.

    Where children are screened, so are random ones among them: only those count then that were drawn
    before the model knew enough to choose. All were trained as long as others of the search: who was not
    promising was not trained on, so that random search with whole trainings of all would do a little
    better, for much more time.

    Parameters
    ----------
    networks : sequence of Network
        In the order of the search.
    screened : bool
        Whether a model chose among children.
    """
    free = networks[: Surrogate.n_initial] if screened else networks
    drawn = np.array([one.fitness for one in free if one.candidate.operator == "random"])
    if len(drawn) < _LEAST_RANDOM:
        return None
    ordered, n = np.sort(drawn), len(drawn)
    k = np.unique(np.geomspace(1, n, _POINTS).round().astype(int))
    # The best of k draws is at most the i-th of n with probability (i / n) ** k.
    low, high = (ordered[np.ceil(n * share ** (1 / k)).astype(int) - 1] for share in (0.05, 0.95))
    return Expectation(k, expected_best(ordered, k), low, high)


def expected_best(ordered: Floats, sizes: Array) -> Floats:
    """The mean of the best of k, for each k of `sizes`, over all choices of k of the values, rising."""
    n = len(ordered)
    log = np.array([math.lgamma(i + 1) for i in range(n + 1)])  # of factorials
    means = np.empty(len(sizes))
    for j, k in enumerate(sizes):
        i = np.arange(k, n + 1)  # ranks that can be the best of k
        weights = np.exp(log[i - 1] - log[k - 1] - log[i - k] - (log[n] - log[k] - log[n - k]))
        means[j] = weights @ ordered[k - 1 :]
    return means


@dataclass(frozen=True)
class Step:
    """One step from an ancestor to the winner."""

    candidate: Candidate
    fitness: float | None
    changes: str
    gain: float | None


def lineage(history: History) -> list[Step]:
    """From the first ancestor to the winner, by the parent whose weights were inherited, or the first."""
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
        past = None if earlier is None else fitness.get((earlier.genome, earlier.epochs or 0))
        gain = None if own is None or past is None else own - past
        changes = "drawn at random" if candidate.operator == "random" else candidate.operator
        steps.append(Step(candidate, own, changed(earlier, candidate) if earlier else changes, gain))
    return steps


def _parent(history: History, candidate: Candidate) -> Candidate | None:
    number = candidate.inherits if candidate.inherits is not None else next(iter(candidate.parents), None)
    return None if number is None else history.candidates.get(number)


def changed(parent: Candidate, child: Candidate) -> str:
    """What a child has that its parent had not, in words."""
    if child.operator == CONTINUE:
        return f"trained on, up to {child.epochs} epochs" if child.epochs else "trained on"
    return ", ".join(_differences(parent.genome, child.genome)) or "nothing"


def _differences(old: Genome, new: Genome) -> list[str]:
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
    gone = sorted(set(range(old.depth)) - {origin for origin in came_from if origin is not None})
    words += [f"without layer {i + 1} of {old.widths[i]}" for i in gone]
    words += [
        f"{key.replace('_', ' ')}: {getattr(old, key)} → {getattr(new, key)}"
        for key in GENES
        if getattr(old, key) != getattr(new, key) and not {tuple, type(None)} & _kinds(key, old, new)
    ]
    return words


def _kinds(key: str, *genomes: Genome) -> set[type]:
    """The types of a gene: a tuple has one value for each layer, None is not carried."""
    return {type(getattr(genome, key)) for genome in genomes}


@dataclass(frozen=True)
class Gain:
    """What children of one kind had above the better of their parents."""

    kind: str
    n: int
    mean: float
    error: float
    share_better: float


def gains(history: History) -> list[Gain]:
    """By the kind of operator, the most frequent first; parents and children after the same epochs.

    Children with several changes at once are a kind of their own.
    """
    fitness = {one.genome: one.by_rung for one in history.networks}
    found: dict[str, list[float]] = defaultdict(list)
    for network in history.networks:
        candidate = network.candidate
        rung = candidate.epochs or 0
        parents = [history.candidates[i].genome for i in candidate.parents if i in history.candidates]
        known = [fitness[one][rung] for one in parents if rung in fitness.get(one, {})]
        if known and rung in network.by_rung:
            found[_kind(candidate.operator)].append(network.by_rung[rung] - max(known))
    rows = [
        Gain(
            kind,
            len(values),
            fmean(values),
            stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan,
            fmean(value > 0 for value in values),
        )
        for kind, values in found.items()
    ]
    return sorted(rows, key=lambda row: -row.n)


def _kind(operator: str) -> str:
    parsed = Operator.parse(operator)
    if parsed.crossover is not None:
        return f"{parsed.crossover.replace('_', ' ')} (crossover)"
    return "several changes" if "+" in operator else operator.replace("_", " ")


@dataclass(frozen=True)
class Size:
    """The best of networks about as large: with a single hidden layer, and with more."""

    low: int
    n_single: int
    single: float | None
    n_deep: int
    deep: float | None


def deep_or_wide(networks: Sequence[Network]) -> list[Size]:
    """For each doubling of parameters the best network with one hidden layer, and with more."""
    by_size: dict[int, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for one in networks:
        if one.genome.depth and one.evaluation.n_parameters:
            octave = int(math.log2(one.evaluation.n_parameters))
            by_size[octave][one.genome.depth > 1].append(one.fitness)
    return [
        Size(2**octave, len(single), max(single, default=None), len(deep), max(deep, default=None))
        for octave, (single, deep) in sorted(by_size.items())
    ]


@dataclass(frozen=True)
class Cell:
    """Networks of one depth and about one width."""

    depth: int
    width: int
    n: int
    median: float
    best: float


def structure_map(networks: Sequence[Network]) -> list[Cell]:
    """Networks by depth and by mean width (geometric), in doublings."""
    cells: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one in networks:
        if one.genome.depth:
            width = 2 ** round(fmean(map(math.log2, one.genome.widths)))
            cells[one.genome.depth, width].append(one.fitness)
    return [
        Cell(depth, width, len(values), float(np.median(values)), max(values))
        for (depth, width), values in sorted(cells.items())
    ]


def front(networks: Sequence[Network], costs: Sequence[float]) -> list[int]:
    """Positions of those than whom nobody is both fitter and cheaper, the cheapest first."""
    order = sorted(range(len(networks)), key=lambda i: (costs[i], -networks[i].fitness))
    found: list[int] = []
    for i in order:
        if not found or networks[i].fitness > networks[found[-1]].fitness:
            found.append(i)
    return found


def borders(genome: Genome, space: SearchSpace) -> list[str]:
    """Where a genome lies on the border of its space, in words."""
    found = []
    low, high = space.depth
    if genome.depth == high > low:
        found.append(f"depth, at its most of {high}")
    if genome.depth == low < high and low > 1:
        found.append(f"depth, at its least of {low}")
    for name, values, those in _ordered(genome, space):
        if len(values) > 2:
            found += [f"{name}, at its most of {values[-1]:g}"] * (values[-1] in those)
            found += [f"{name}, at its least of {values[0]:g}"] * (values[0] in those and values[0] > 0)
    return found


def _ordered(genome: Genome, space: SearchSpace) -> list[tuple[str, Sequence[Any], set[Any]]]:
    """The genes whose values have an order: name, all values, those that the genome has."""
    rows: list[tuple[str, Sequence[Any], set[Any]]] = [("width", space.widths_tuple, set(genome.widths))]
    for key, values in space.genes.items():
        if not isinstance(values[0], str):
            own = getattr(genome, key)
            rows.append((key.replace("_", " "), values, set(own if isinstance(own, tuple) else (own,))))
    return rows


def advice(history: History) -> list[str]:
    """What to try next, by simple rules."""
    best, networks = history.best, history.networks
    found = []
    curve = best_so_far(networks)
    late = curve[-1] - curve[int(len(curve) * 2 / 3)] if len(curve) > 2 else 0.0
    spread = stdev([one.fitness for one in networks]) if len(networks) > 1 else 0.0
    if late > 0.05 * spread:
        found.append(
            f"More candidates: in the last third the best still rose by {late:.4f}. "
            f"To go on: {command('resume', history.folder, '--candidates', 2 * len(networks))}"
        )
    if edges := borders(best.genome, history.space):
        found.append(f"A wider space: the best lies on its border ({'; '.join(edges)}).")
    n_failed = len({candidate.genome for candidate, _ in history.failures})
    if n_failed > 0.1 * (len(networks) + n_failed):
        found.append(
            f"A look at the failures: {n_failed} networks failed, the first because "
            f"“{history.failures[0][1].error}”; lower learning rates may help."
        )
    return found or [
        "Stop here: the best has not risen in the last third, and lies inside the space on all sides."
    ]
