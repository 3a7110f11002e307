"""Fitting the encodings of columns of numbers, many columns at a time.

In tables of thousands of columns, NumPy calls for each column took longer than training. The result is bit
for bit that of single columns, as means are taken along contiguous rows of memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from nas.genome import Encoding
from nas.network.arrays import Array, Floats
from nas.runtime import Column

CELLS = 2**18
"""Numbers that are fitted at once: 2 MiB, which stay in the cache."""

_SCORES = np.arange(-28, 29) / 8
"""Normal scores of the knots of an encoding by ranks: even steps of scores are dense in the tails."""


BINS = 16
"""Bins of the piecewise-linear encoding, at most. With 8 or 48, error and loss were not lower by more than
their error, on the mean of eleven tables; training takes longer with more."""

BOUND = 3.0
"""The bound of robustly scaled values, as in RealMLP."""

_NO_SCALE = 1e300
"""A scale that leaves 0 of every number."""


class Fit(NamedTuple):
    """The encodings of a column for all scalings, each without what numbers have beside them.

    Attributes
    ----------
    standard : Column
        It standardizes values.
    quantile : Column
        It standardizes the normal scores of values.
    robust : Column
        It scales values by their quartiles, see `nas.genome.SCALINGS`.
    curve : array of shape (2, knots), optional
        The knots of `quantile`, values above scores.
    edges : tuple of float
        The edges of the bins of a piecewise-linear encoding, empty where fewer than two bins differ.
    one_hot : Column, optional
        Of a one-hot encoded column, with its inputs robustly scaled.
    """

    standard: Column
    quantile: Column
    robust: Column
    curve: Floats | None = None
    edges: tuple[float, ...] = ()
    one_hot: Column | None = None

    @classmethod
    def alike(cls, column: Column, one_hot: Column | None = None) -> Fit:
        """The fit of a column that is the same in all encodings but that of scaled one-hot columns."""
        return cls(column, column, column, one_hot=one_hot)

    def column(self, encoding: Encoding) -> Column:
        """The column in an encoding."""
        if encoding.scaling == "robust_all":
            scaled = self.one_hot or self.robust
        else:
            scaled = getattr(self, encoding.scaling or "standard")
        with_edges = encoding.numeric_encoding == "piecewise_linear" and self.edges
        return replace(scaled, edges=self.edges) if with_edges else scaled


def fit_numbers(names: Sequence[str], numbers: Floats, encodings: Collection[Encoding]) -> list[Fit]:
    """Fit the encodings of columns of numbers.

    Parameters
    ----------
    names : sequence of str
    numbers : float64 array of shape (columns, rows)
        Missing values are NaN.
    encodings : collection of Encoding
        The encodings to fit; of the others, scalings are the standard one.
    """
    fits = list(map(Fit.alike, _standard(names, numbers)))
    steps = []
    if any(encoding.scaling == "quantile" for encoding in encodings):
        steps.append(_by_rank)
    if any(encoding.scaling in ("robust", "robust_all") for encoding in encodings):
        steps.append(_by_quartiles)
    if any(encoding.numeric_encoding == "piecewise_linear" for encoding in encodings):
        steps.append(_in_bins)
    if steps:
        for positions, present in _without_gaps(numbers):
            varying = np.array([fits[i].standard.kind == "numeric" for i in positions], bool)
            if varying.any():
                group, rows = positions[varying].tolist(), present[varying]
                for step in steps:
                    for i, fit in zip(group, step([fits[i] for i in group], rows), strict=True):
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


def _by_rank(fits: Sequence[Fit], present: Floats) -> list[Fit]:
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
    ranked = []
    for fit, curve, value, center, std in zip(
        fits, curves, fill.tolist(), mean.tolist(), scale.tolist(), strict=True
    ):
        if curve.shape[1] < 2:
            ranked.append(fit)
            continue
        column = Column(
            fit.standard.name,
            "numeric",
            fill=value,
            mean=center,
            scale=std or 1.0,
            indicator=fit.standard.indicator,
            knots=tuple(zip(*curve.tolist(), strict=True)),
        )
        ranked.append(fit._replace(quantile=column, curve=curve))
    return ranked


def _by_quartiles(fits: Sequence[Fit], present: Floats) -> list[Fit]:
    """Columns with their median at 0 and their interquartile range, or half their range, as the unit.

    Columns that vary only in gaps give 0 for all numbers. Holzmüller et al. 2024, "Better by default".
    """
    median, scale = units_of(present)
    return [
        fit._replace(
            robust=Column(
                fit.standard.name,
                "numeric",
                fill=center,
                mean=center,
                scale=unit,
                indicator=fit.standard.indicator,
                clip=BOUND,
            )
        )
        for fit, center, unit in zip(fits, median.tolist(), scale.tolist(), strict=True)
    ]


def units_of(present: Floats) -> tuple[Floats, Floats]:
    """The medians and the units of robust scaling of numbers of shape (columns, numbers)."""
    low, median, high = np.quantile(present, [0.25, 0.5, 0.75], axis=1)
    scale = np.where(high > low, high - low, np.ptp(present, axis=1) / 2)
    scale[scale == 0] = _NO_SCALE
    return median, scale


def _in_bins(fits: Sequence[Fit], present: Floats) -> list[Fit]:
    """Columns with the edges of bins: their quantiles, or their values where few are different.

    A single bin would be the scaled number once more, and has no edges.
    """
    ordered = np.sort(present, axis=1)
    n_different = 1 + (np.diff(ordered, axis=1) > 0).sum(axis=1)
    quantiles = np.quantile(ordered, np.linspace(0, 1, BINS + 1), axis=1).T
    binned = []
    for fit, n, values, levels in zip(fits, n_different.tolist(), ordered, quantiles, strict=True):
        # Quantiles lie between values where there are few: bins that no number is in.
        edges = np.unique(values if n <= BINS + 1 else levels)
        binned.append(fit._replace(edges=tuple(edges.tolist())) if len(edges) > 2 else fit)
    return binned


@lru_cache(maxsize=1024)
def _ranks(n: int) -> tuple[list[float], Floats]:
    """The levels of the quantiles of `n` numbers that become knots, and the normal scores there."""
    last = NormalDist().inv_cdf(1 - 0.5 / n) if n > 1 else 0.0
    scores = _SCORES[np.abs(_SCORES) < last]
    levels = [NormalDist().cdf(score) for score in scores]
    return [0, *levels, 1], np.array([-last, *scores, last])
