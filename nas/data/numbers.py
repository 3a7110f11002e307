"""Learning how columns of numbers are encoded, many at a time.

Of a table of thousands of columns, calls into NumPy for each of them took longer than training did.
What comes out is, bit for bit, what each column alone would give: means are taken along rows of memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from nas.network.arrays import Array, Floats
from nas.runtime import Column

CELLS = 2**18
"""Numbers that are worked on at once, as many columns as they make: 2 MiB, which stay in the cache."""

_SCORES = np.arange(-28, 29) / 8
"""Normal scores, at the quantiles of which an encoding by ranks has its knots: more of them in the tails."""


class Fit(NamedTuple):
    """How a column is encoded: standardized, or by ranks, with the knots (values, numbers) as an array."""

    standard: Column
    quantile: Column
    curve: Floats | None = None


def fit_numbers(names: Sequence[str], numbers: Floats, *, by_rank: bool) -> list[Fit]:
    """The encodings of columns of numbers.

    Parameters
    ----------
    names : sequence of str
    numbers : float64 array of shape (columns, rows)
        Missing ones are NaN.
    by_rank : bool
        Whether the encoding by ranks is asked for; else it is the standard one.
    """
    columns = _standard(names, numbers)
    fits = [Fit(column, column) for column in columns]
    if by_rank:
        for which, present in _without_gaps(numbers):
            varying = np.array([columns[i].kind == "numeric" for i in which], bool)
            if varying.any():
                those = which[varying]
                found = _by_rank([columns[i] for i in those], present[varying])
                for i, fit in zip(those, found, strict=True):
                    fits[i] = fit
    return fits


def _without_gaps(numbers: Floats) -> Iterator[tuple[Array, Floats]]:
    """Columns with equally many numbers, and these alone, of shape (columns, numbers)."""
    there = ~np.isnan(numbers)
    counts = there.sum(axis=1)
    for count in np.unique(counts).tolist():
        which = np.flatnonzero(counts == count)
        yield which, numbers[which][there[which]].reshape(len(which), count)


def _standard(names: Sequence[str], numbers: Floats) -> list[Column]:
    columns = [Column(name, "dropped") for name in names]
    for which, present in _without_gaps(numbers):
        if present.shape[1] == 0:
            continue
        gaps = present.shape[1] < numbers.shape[1]
        constant = present.min(axis=1) == present.max(axis=1)
        mean, scale = present.mean(axis=1), present.std(axis=1)
        # Rounding gives a column of equal numbers a tiny spread; it varies only in its gaps.
        unscaled = constant | ~(scale > 0)
        mean[unscaled], scale[unscaled] = present[unscaled, 0], 1.0
        for i, middle, spread, same in zip(
            which.tolist(), mean.tolist(), scale.tolist(), constant.tolist(), strict=True
        ):
            if gaps or not same:
                columns[i] = Column(
                    names[i], "numeric", fill=middle, mean=middle, scale=spread, indicator=gaps
                )
    return columns


def _by_rank(columns: Sequence[Column], present: Floats) -> list[Fit]:
    """Columns of numbers with knots at their quantiles; those that vary only in their gaps as they are."""
    shares, scores = _ranks(present.shape[1])
    found = np.ascontiguousarray(np.quantile(present, shares, axis=1).T)
    found.sort(axis=1)  # rounding may put two that are equal in the wrong order
    rises = np.diff(found, axis=1, prepend=-np.inf) > 0
    knots = rises.sum(axis=1)
    # Equal numbers have the mean of their scores.
    which = np.cumsum(rises.ravel()) - 1
    middle = np.bincount(which, np.tile(scores, len(found))) / np.bincount(which)
    places = found[rises]
    ends = np.cumsum(knots).tolist()
    curves = [
        np.stack([places[end - n : end], middle[end - n : end]])
        for n, end in zip(knots.tolist(), ends, strict=True)
    ]
    inputs = np.stack([np.interp(one, *curve) for one, curve in zip(present, curves, strict=True)])
    mean, scale, fill = inputs.mean(axis=1), inputs.std(axis=1), np.median(present, axis=1)
    fits = []
    for column, curve, value, center, spread in zip(
        columns, curves, fill.tolist(), mean.tolist(), scale.tolist(), strict=True
    ):
        if curve.shape[1] < 2:
            fits.append(Fit(column, column))
            continue
        ranked = Column(
            column.name,
            "numeric",
            fill=value,
            mean=center,
            scale=spread or 1.0,
            indicator=column.indicator,
            knots=tuple(zip(*curve.tolist(), strict=True)),
        )
        fits.append(Fit(column, ranked, curve))
    return fits


@lru_cache(maxsize=1024)
def _ranks(n: int) -> tuple[list[float], Floats]:
    """The quantiles of `n` numbers at which knots are, and the normal scores there."""
    last = NormalDist().inv_cdf(1 - 0.5 / n) if n > 1 else 0.0
    scores = _SCORES[np.abs(_SCORES) < last]
    shares = [NormalDist().cdf(score) for score in scores]
    return [0, *shares, 1], np.array([-last, *scores, last])
