"""Cuts that follow from a table itself: groups of rows, the order of time, or its own validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from nas.data.cuts import Cuts, Split, held_out, in_groups, in_order, n_folds_of_candidates
from nas.data.dataset import Dataset
from nas.network.arrays import Array

_SHARE = 0.2
"""The share of rows for the test, and of the others for validation where there are no folds."""


def table_cuts(dataset: Dataset, seed: int, n_folds: int | None) -> Cuts | None:
    """The cuts of a table with groups, an order of time or its own validation rows; None for any other.

    Rows for the test are cut off first, in the same manner: whole groups, or the latest rows.

    Parameters
    ----------
    dataset : Dataset
    seed : int
    n_folds : int, optional
        Folds that candidates are judged by, 1 for a single split; by default it follows from the number of
        rows. Not read with validation rows.
    """
    if dataset.n_validation:
        return _by_validation_rows(dataset, seed)
    if dataset.groups is None and not dataset.time_order:
        return None
    first = _cuts(dataset, seed, None)
    rest, test = first.split.train, first.split.validation
    inner = replace(
        dataset,
        table=dataset.table.iloc[rest],
        y=dataset.y[rest],
        groups=None if dataset.groups is None else dataset.groups[rest],
        weights=None if dataset.weights is None else dataset.weights[rest],
    )
    n = n_folds_of_candidates(len(rest)) if n_folds is None else n_folds
    cuts = _within(_cuts(inner, seed, n if n > 1 else None), rest, test)
    if n_folds is None and n > 1:
        return replace(cuts, otherwise=_within(_cuts(inner, seed, None), rest, test))
    return cuts


def _cuts(dataset: Dataset, seed: int, n: int | None) -> Cuts:
    if dataset.groups is not None:
        return in_groups(dataset, dataset.groups, _SHARE, seed, n)
    return in_order(dataset, _SHARE, n)


def _by_validation_rows(dataset: Dataset, seed: int) -> Cuts:
    """The validation rows at the end of the table judge candidates; of the others a fifth is for the test."""
    n = dataset.n_rows - dataset.n_validation
    own = replace(
        dataset,
        table=dataset.table.iloc[:n],
        y=dataset.y[:n],
        weights=None if dataset.weights is None else dataset.weights[:n],
    )
    train, test, _ = held_out(own, _SHARE, seed).split
    validation = np.arange(n, dataset.n_rows)
    parts = Split(train, validation, test)
    return Cuts(parts, [(train, validation)], trains_on_all=False, follows_from_table=True)


def _within(cuts: Cuts, rows: Array, test: Array) -> Cuts:
    """Cuts of some rows of a table as cuts of the whole table, with rows for the test beside them."""
    train, validation, _ = cuts.split
    return replace(
        cuts,
        split=Split(rows[train], rows[validation], test),
        folds=_mapped(cuts.folds, rows),
        redraw=None if cuts.redraw is None else partial(_redrawn, cuts, rows),
        follows_from_table=True,
    )


def _redrawn(cuts: Cuts, rows: Array, seed: int) -> Sequence[tuple[Array, Array]]:
    assert cuts.redraw is not None, "it is called where there is one"
    return _mapped(cuts.redraw(seed), rows)


def _mapped(pairs: Sequence[tuple[Array, Array]], rows: Array) -> list[tuple[Array, Array]]:
    return [(rows[train], rows[validation]) for train, validation in pairs]
