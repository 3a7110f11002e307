"""What to try next, by simple rules, each of which needs evidence in the run itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

import numpy as np

from nas.genome import Genome
from nas.reporting.analysis import best_so_far
from nas.reporting.history import History
from nas.reporting.networks import Network
from nas.space import SearchSpace
from nas.tracking.shown import command

LEAST_NETWORKS = 30
"""Networks below which nothing is advised: as for the importance of genes, they say too little."""

_NOTABLE_RISE = 0.05
"""Rise of the best in the last third, in standard deviations of fitness, that calls for more candidates."""

_NOTABLE_FAILURES = 0.1
"""Share of networks that failed from which the report advises to look at them."""

_LEAST_AT_BORDER, _LEVEL = 5, 0.05
"""Networks at a border, and within it, that are compared; the probability of a false alarm at any border."""


@dataclass(frozen=True)
class Border:
    """An extreme value of a space that a genome has: in words, and a test for other genomes."""

    text: str
    has: Callable[[Genome], bool]


def advice(history: History) -> list[str]:
    """Advise what to try next, where this run has evidence for it."""
    n = len(history.networks)
    failures = _failures(history)
    if n < LEAST_NETWORKS:
        more = command("resume", history.folder, "--candidates", max(2 * LEAST_NETWORKS, 2 * n))
        return [
            *failures,
            f"No verdict yet: {n} network{'' if n == 1 else 's'} {'was' if n == 1 else 'were'} trained, and "
            f"fewer than {LEAST_NETWORKS} say too little of what else there is. To continue: {more}",
        ]
    notes = [*_more_candidates(history), *_larger_space(history), *failures]
    return notes or [
        "Stop here: in the last third of the search the best score did not rise beyond its error, and "
        "networks at the border of the space are not better than those within it."
    ]


def _more_candidates(history: History) -> list[str]:
    """Advise more candidates if the best still rose, by more than the error of the score itself."""
    curve = best_so_far(history.networks)
    rise = float(curve[-1] - curve[len(curve) * 2 // 3])
    std = stdev([network.fitness for network in history.networks])
    error = history.result.get("validation_score_error") or 0.0
    if rise <= max(_NOTABLE_RISE * std, error):
        return []
    n = len(history.networks)
    more = command("resume", history.folder, "--candidates", 2 * n)
    return [
        "More candidates: in the last third of the search the best score still improved by "
        f"{history.metric.text(history.metric.sign * rise)}. To continue: {more}"
    ]


def _larger_space(history: History) -> list[str]:
    """Advise a larger space if the winner lies on a border, and networks there are better than within."""
    found = borders(history.best.genome, history.space)
    better = [border.text for border in found if _is_better_at(border, history.networks, len(found))]
    if not better:
        return []
    return [
        f"A larger space: the winner lies on its border ({'; '.join(better)}), and networks there are better "
        "than those within."
    ]


def _is_better_at(border: Border, networks: Sequence[Network], n_borders: int) -> bool:
    """Whether networks at a border have higher fitness (Mann & Whitney 1947, Bonferroni over borders)."""
    from scipy.stats import mannwhitneyu

    at = np.array([border.has(network.genome) for network in networks])
    fitness = np.array([network.fitness for network in networks])
    if min(at.sum(), (~at).sum()) < _LEAST_AT_BORDER:
        return False
    test = mannwhitneyu(fitness[at], fitness[~at], alternative="greater", method="asymptotic")
    return float(test.pvalue) < _LEVEL / n_borders


def _failures(history: History) -> list[str]:
    n = len({candidate.genome for candidate, _ in history.failures})
    if n <= _NOTABLE_FAILURES * (len(history.networks) + n):
        return []
    return [
        f"A look at the failures: {n} network{'' if n == 1 else 's'} failed, the first with "
        f"“{history.failures[0][1].error}”; lower learning rates may help."
    ]


def borders(genome: Genome, space: SearchSpace) -> list[Border]:
    """Return the extreme values of its space that a genome has."""
    found = []
    low, high = space.depth
    if genome.depth == high > low:
        found.append(Border(f"depth, at its most of {high}", lambda other: other.depth == high))
    if genome.depth == low < high and low > 1:
        found.append(Border(f"depth, at its least of {low}", lambda other: other.depth == low))
    for name, values, own in _ordered(space):
        if len(values) > 2:
            least, most = values[0], values[-1]
            ends = [(most, "most")] + ([(least, "least")] if least > 0 else [])
            found += [
                Border(f"{name}, at its {word} of {value:g}", _having(own, value))
                for value, word in ends
                if value in own(genome)
            ]
    return found


def _having(own: Callable[[Genome], set[Any]], value: Any) -> Callable[[Genome], bool]:
    return lambda genome: value in own(genome)


def _ordered(space: SearchSpace) -> list[tuple[str, Sequence[Any], Callable[[Genome], set[Any]]]]:
    """Return the genes with ordered values: name, all values of the space, and those of a genome."""
    rows: list[tuple[str, Sequence[Any], Callable[[Genome], set[Any]]]] = [
        ("width", space.widths_tuple, lambda genome: set(genome.widths))
    ]
    for key, values in space.genes.items():
        if not isinstance(values[0], str):
            rows.append((key.replace("_", " "), values, _values_of(key)))
    return rows


def _values_of(key: str) -> Callable[[Genome], set[Any]]:
    def values(genome: Genome) -> set[Any]:
        own = getattr(genome, key)
        return set(own if isinstance(own, tuple) else (own,))

    return values
