"""Comparisons of contestants by their errors: paired differences, ranks, ratios to the best of the others.

All take errors by data set, contestant and seed, of which less is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from scipy.stats import rankdata

Errors = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Errors by data set, contestant and seed."""

_DIGITS = 12
"""Decimal places of errors that count: means of the same errors in another order differ beyond them."""


@dataclass(frozen=True)
class Paired:
    """The mean of paired differences, with its standard error (NaN for a single pair)."""

    mean: float
    error: float
    n: int

    @classmethod
    def of(cls, differences: Sequence[float]) -> Paired:
        """Summarize the differences."""
        n = len(differences)
        mean = fmean(differences) if n else math.nan
        return cls(mean, stdev(differences) / math.sqrt(n) if n > 1 else math.nan, n)

    @classmethod
    def over(cls, gaps: Sequence[Paired]) -> Paired:
        """The mean over data sets that were chosen: the error is that of their means, not of the choice."""
        n = len(gaps)
        if not n:
            return cls(math.nan, math.nan, 0)
        error = math.sqrt(sum(gap.error**2 for gap in gaps)) / n
        return cls(fmean(gap.mean for gap in gaps), error, n)

    @property
    def outcome(self) -> str:
        """Whether the first of the pair wins, loses, or is even: within one standard error of zero.

        A single pair, which has no standard error, is even only without a difference.
        """
        doubt = 0.0 if math.isnan(self.error) else self.error
        if round(abs(self.mean) - doubt, _DIGITS) <= 0:
            return "even"
        return "win" if self.mean > 0 else "loss"


def errors_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, dict[int, float]]]:
    """Errors by data set, contestant and seed, from rows with these columns."""
    errors: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        errors.setdefault(row["data"], {}).setdefault(row["contestant"], {})[row["seed"]] = row["error"]
    return errors


def paired(errors: Errors, data: str, name: str, other: str) -> Paired:
    """How much less the error of the first is than that of the other, over the seeds that both have."""
    by_seed, other_by_seed = errors[data].get(name, {}), errors[data].get(other, {})
    return Paired.of([other_by_seed[seed] - by_seed[seed] for seed in by_seed if seed in other_by_seed])


def means(errors: Errors, data: str) -> dict[str, float]:
    """The mean error of each contestant of a data set, over the seeds that all of them have."""
    common = set.intersection(*(set(seeds) for seeds in errors[data].values()))
    if not common:
        return {}
    return {name: fmean(seeds[seed] for seed in common) for name, seeds in errors[data].items()}


def ratio_to_best(mean_errors: Mapping[str, float], name: str, others: Iterable[str]) -> float:
    """A contestant's mean error over the least of the others'; 1 if both are zero, NaN without others."""
    rest = [mean_errors[other] for other in others if other != name and other in mean_errors]
    if not rest or name not in mean_errors:
        return math.nan
    if min(rest) == 0:
        return 1.0 if mean_errors[name] == 0 else math.inf
    return mean_errors[name] / min(rest)


def ranks(mean_errors: Mapping[str, float]) -> dict[str, float]:
    """Ranks from 1 for the least error; equal errors share the mean of their ranks."""
    values = [round(error, _DIGITS) for error in mean_errors.values()]
    return dict(zip(mean_errors, map(float, rankdata(values)), strict=True))


def mean_ranks(errors: Errors, names: Sequence[str]) -> dict[str, float]:
    """Mean ranks over the data sets on which all these contestants have errors; empty without any."""
    complete = [
        {name: by_name[name] for name in names}
        for data in errors
        if set(names) <= set(by_name := means({data: _only(errors[data], names)}, data))
    ]
    by_set = [ranks(mean_errors) for mean_errors in complete]
    return {name: fmean(set_ranks[name] for set_ranks in by_set) for name in names} if by_set else {}


def _only(contestants: Mapping[str, Mapping[int, float]], names: Sequence[str]) -> Any:
    return {name: seeds for name, seeds in contestants.items() if name in names}


def median_or_nan(values: Iterable[float]) -> float:
    """The median without NaN; NaN of nothing."""
    numbers = [value for value in values if not math.isnan(value)]
    return float(median(numbers)) if numbers else math.nan
