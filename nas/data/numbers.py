"""Fitting the encodings of columns of numbers, many columns at a time.

In tables of thousands of columns, NumPy calls for each column took longer than training. The result is bit
for bit that of single columns, as means are taken along contiguous rows of memory.
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
"""Numbers that are fitted at once: 2 MiB, which stay in the cache."""

_SCORES = np.arange(-28, 29) / 8
"""Normal scores of the knots of an encoding by ranks: even steps of scores are dense in the tails."""


class Fit(NamedTuple):
    """The encodings of a column for both scalings.

    `standard` standardizes values, `quantile` their normal scores; `curve`, of shape (2, knots), holds the
    knots of `quantile`, values above scores, and is None where it has none.
    """

    standard: Column
    quantile: Column
    curve: Floats | None = None


def fit_numbers(names: Sequence[str], numbers: Floats, *, by_rank: bool) -> list[Fit]:
    """Fit the encodings of columns of numbers.

    Parameters
    ----------
    names : sequence of str
    numbers : float64 array of shape (columns, rows)
        Missing values are NaN.
    by_rank : bool
        Whether to fit the encoding by ranks; `Fit.quantile` is the standard encoding otherwise.
    """
    columns = _standard(names, numbers)
    fits = [Fit(column, column) for column in columns]
    if by_rank:
        for positions, present in _without_gaps(numbers):
            varying = np.array([columns[i].kind == "numeric" for i in positions], bool)
            if varying.any():
                varying_positions = positions[varying]
                ranked = _by_rank([columns[i] for i in varying_positions], present[varying])
                for i, fit in zip(varying_positions, ranked, strict=True):
                    fits[i] = fit
    return fits


def _without_gaps(numbers: Floats) -> Iterator[tuple[Array, Floats]]:
    """Groups of columns with equally many numbers: positions, and numbers of shape (columns, numbers)."""
    is_present = ~np.isnan(numbers)
    counts = is_present.sum(axis=1)
    for count in np.unique(counts).tolist():
        positions = np.flatnonzero(counts == count)
        yield positions, numbers[positions][is_present[positions]].reshape(len(positions), count)


def _standard(names: Sequence[str], numbers: Floats) -> list[Column]:
    columns = [Column(name, "dropped") for name in names]
    for positions, present in _without_gaps(numbers):
        if present.shape[1] == 0:
            continue
        gaps = present.shape[1] < numbers.shape[1]
        constant = present.min(axis=1) == present.max(axis=1)
        mean, scale = present.mean(axis=1), present.std(axis=1)
        # Rounding gives a column of equal numbers a tiny standard deviation; it varies only in its gaps.
        unscaled = constant | ~(scale > 0)
        mean[unscaled], scale[unscaled] = present[unscaled, 0], 1.0
        for i, fill, column_scale, is_constant in zip(
            positions.tolist(), mean.tolist(), scale.tolist(), constant.tolist(), strict=True
        ):
            if gaps or not is_constant:
                columns[i] = Column(
                    names[i], "numeric", fill=fill, mean=fill, scale=column_scale, indicator=gaps
                )
    return columns


def _by_rank(columns: Sequence[Column], present: Floats) -> list[Fit]:
    """Columns of numbers with knots at their quantiles; columns that vary only in gaps stay standardized."""
    levels, scores = _ranks(present.shape[1])
    quantiles = np.ascontiguousarray(np.quantile(present, levels, axis=1).T)
    quantiles.sort(axis=1)  # rounding may swap equal quantiles
    rises = np.diff(quantiles, axis=1, prepend=-np.inf) > 0
    knots = rises.sum(axis=1)
    # Equal quantiles are merged into a knot with the mean of their scores.
    groups = np.cumsum(rises.ravel()) - 1
    group_scores = np.bincount(groups, np.tile(scores, len(quantiles))) / np.bincount(groups)
    places = quantiles[rises]
    ends = np.cumsum(knots).tolist()
    curves = [
        np.stack([places[end - n : end], group_scores[end - n : end]])
        for n, end in zip(knots.tolist(), ends, strict=True)
    ]
    inputs = np.stack([np.interp(row, *curve) for row, curve in zip(present, curves, strict=True)])
    mean, scale, fill = inputs.mean(axis=1), inputs.std(axis=1), np.median(present, axis=1)
    fits = []
    for column, curve, value, center, std in zip(
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
            scale=std or 1.0,
            indicator=column.indicator,
            knots=tuple(zip(*curve.tolist(), strict=True)),
        )
        fits.append(Fit(column, ranked, curve))
    return fits


@lru_cache(maxsize=1024)
def _ranks(n: int) -> tuple[list[float], Floats]:
    """The levels of the quantiles of `n` numbers that become knots, and the normal scores there."""
    last = NormalDist().inv_cdf(1 - 0.5 / n) if n > 1 else 0.0
    scores = _SCORES[np.abs(_SCORES) < last]
    levels = [NormalDist().cdf(score) for score in scores]
    return [0, *levels, 1], np.array([-last, *scores, last])
