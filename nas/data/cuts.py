"""Cutting the rows of a table into parts for training, validation and test."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nas.data.dataset import Dataset
from nas.errors import DataError
from nas.network.arrays import Array

_LARGE = 10_000
"""Rows above which three folds judge as surely as five folds of fewer rows."""

_ENOUGH = 4000
"""Rows from which a fifth of them judges as well as all: at 5,000 rows the regret of a single split is nearly
gone (Schneider et al. 2025, arXiv 2506.19540)."""

_NO_ROWS: Array = np.empty(0, np.int64)


class Split(NamedTuple):
    """Row numbers of the three parts; the test part is used once, at the end."""

    train: np.ndarray[Any, Any]
    validation: np.ndarray[Any, Any]
    test: np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Cuts:
    """The cuts of a table for a whole search.

    Attributes
    ----------
    split : Split
        The rows by which candidates are trained, judged, and at the end tested; parts may be empty.
    folds : sequence of (train, validation)
        The cuts by which finalists are trained and judged again.
    trains_on_all : bool
        Whether the winner is finally trained on training and validation rows.
    cross_validates : bool
        Whether candidates are judged by all folds, instead of by the validation rows of `split`.
    redraw : callable, optional
        Draws other folds by a seed; None where the folds are given.
    otherwise : Cuts, optional
        The cuts to use where a score needs rows of every class and some fold has none; None where the caller
        has asked for these.
    follows_from_table : bool
        Whether the table and a seed decide the cuts, so that a search that has them can be resumed.
    """

    split: Split
    folds: Sequence[tuple[Array, Array]]
    trains_on_all: bool = True
    cross_validates: bool = False
    redraw: Callable[[int], Sequence[tuple[Array, Array]]] | None = None
    otherwise: Cuts | None = None
    follows_from_table: bool = False

    @classmethod
    def by(
        cls,
        pairs: Sequence[tuple[Array, Array]],
        *,
        trains_on_all: bool = True,
        redraw: Callable[[int], Sequence[tuple[Array, Array]]] | None = None,
    ) -> Cuts:
        """Cuts in which all pairs of (train, validation) judge candidates and finalists.

        The split is the pair with the most training rows: the last of folds in order of time, else the first.
        """
        train, validation = max(pairs, key=lambda pair: len(pair[0]))
        parts = Split(np.sort(train), np.sort(validation), _NO_ROWS)
        return cls(parts, pairs, trains_on_all, len(pairs) > 1, redraw)

    def digest(self) -> str:
        """A fingerprint: the first 16 digits of a SHA-256."""
        sha = hashlib.sha256(repr((self.trains_on_all, len(self.folds), self.cross_validates)).encode())
        for rows in itertools.chain(self.split, *self.folds):
            sha.update(np.asarray(rows, np.int64).tobytes() + b";")
        return sha.hexdigest()[:16]


def split(dataset: Dataset, seed: int, *, test: float = 0.2, validation: float = 0.2) -> Split:
    """Shuffle the rows into three parts, stratified by class.

    Parameters
    ----------
    dataset : Dataset
    seed : int
        Determines the shuffle.
    test, validation : float
        The fraction of all rows for the test, and of the remaining rows for validation.

    Raises
    ------
    DataError
        If a part would be too small to hold every class.
    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(dataset.n_rows)
    labels = dataset.y if dataset.task == "classification" else None
    smallest = int(dataset.n_rows * (1 - test) * validation)
    if labels is not None and smallest < len(dataset.classes):
        raise DataError(
            f"target {dataset.target_names[0]!r}: expected at most {smallest} classes, so that each "
            f"of the {smallest} validation rows and more can hold one, got {len(dataset.classes)} "
            f"in {dataset.n_rows} rows"
        )
    rest, test_rows = train_test_split(rows, test_size=test, random_state=seed, stratify=labels)
    labels = None if labels is None else labels[rest]
    train, validation_rows = train_test_split(rest, test_size=validation, random_state=seed, stratify=labels)
    return Split(np.sort(train), np.sort(validation_rows), np.sort(test_rows))


def folds(dataset: Dataset, rows: Array, n: int, seed: int) -> list[tuple[Array, Array]]:
    """Cut rows into `n` folds, stratified by class; each fold is the validation part once.

    Parameters
    ----------
    dataset : Dataset
    rows : int array
    n : int
        Number of folds, at most the number of rows.
    seed : int
        Determines the shuffle.

    Returns
    -------
    list of (train, validation)
        Rising positions in the table.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    n = min(n, len(rows))
    by_class = dataset.task == "classification" and max(np.bincount(dataset.y[rows])) >= n
    splitter = (StratifiedKFold if by_class else KFold)(n, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class of fewer rows than folds cannot be in all folds.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        pairs = list(splitter.split(rows, dataset.y[rows] if by_class else None))
    return [(rows[np.sort(train)], rows[np.sort(validation)]) for train, validation in pairs]


def n_folds(n_rows: int) -> int:
    """The number of folds for a number of rows."""
    return 3 if n_rows > _LARGE else 5


def n_folds_of_candidates(n_rows: int) -> int:
    """The number of folds that candidates are judged by, for a number of rows; 1: by a single split."""
    return 1 if n_rows >= _ENOUGH else n_folds(n_rows)


def held_out(dataset: Dataset, share: float, seed: int, n: int | None = None) -> Cuts:
    """Hold out a random fraction `share` of rows to judge candidates; shuffled folds judge finalists.

    Both sides are stratified by class as far as classes have enough rows; the only row of a class is a
    training row. Given `n`, candidates are judged by `n` folds instead, in which any row validates once.
    """
    rows, n_parts = np.arange(dataset.n_rows), n or n_folds(dataset.n_rows)
    pairs = folds(dataset, rows, n_parts, seed)
    if n is not None:
        return Cuts.by(pairs, redraw=partial(folds, dataset, rows, n_parts))
    train, validation = _held_out(dataset, share, seed)
    return Cuts(Split(train, validation, _NO_ROWS), pairs)


def in_order(dataset: Dataset, share: float, n: int | None = None) -> Cuts:
    """Hold out the last fraction `share` of rows in order of time; folds validate on later rows.

    Given `n`, candidates are judged by `n` folds instead.
    """
    from sklearn.model_selection import TimeSeriesSplit

    n_rows = dataset.n_rows
    rows, first = np.arange(n_rows), n_rows - _n_held_out(n_rows, share)
    most = min(n or n_folds(n_rows), n_rows - 1)
    pairs = list(TimeSeriesSplit(most).split(rows)) if most > 1 else [(rows[:first], rows[first:])]
    if n is not None:
        return Cuts.by(pairs)
    return Cuts(Split(rows[:first], rows[first:], _NO_ROWS), pairs)


def in_groups(dataset: Dataset, groups: Array, share: float, seed: int, n: int | None = None) -> Cuts:
    """Hold out whole groups, about a fraction `share` of rows; no group is on both sides of a cut.

    Given `n`, candidates are judged by `n` folds instead.

    Raises
    ------
    DataError
        If there is only one group.
    """
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise DataError(f"groups: expected at least two, one to train on and one to judge by, got {n_groups}")
    n_parts = min(n_groups, n or n_folds(dataset.n_rows))
    pairs = _group_folds(dataset, groups, n_parts, seed)
    if n is not None:
        return Cuts.by(pairs, redraw=partial(_group_folds, dataset, groups, n_parts))
    (first, *_) = _group_folds(dataset, groups, min(n_groups, max(2, round(1 / share))), seed)
    return Cuts(Split(*first, _NO_ROWS), pairs)


def _held_out(dataset: Dataset, share: float, seed: int) -> tuple[Array, Array]:
    from sklearn.model_selection import train_test_split

    rows = np.arange(dataset.n_rows)
    n = _n_held_out(len(rows), share)
    labels = dataset.y if dataset.task == "classification" else None
    single = rows[:0]
    if labels is not None:
        counts = np.bincount(labels)
        single = rows[counts[labels] == 1]
        rows = rows[counts[labels] > 1]
        fits = (counts > 1).sum() <= min(n, len(rows) - n)
        labels = labels[rows] if fits else None
        if len(rows) <= n:
            rows, single = np.arange(dataset.n_rows), single[:0]
    train, validation = train_test_split(rows, test_size=n, random_state=seed, stratify=labels)
    return np.sort(np.concatenate([train, single])), np.sort(validation)


def _n_held_out(n_rows: int, share: float) -> int:
    """The number of held-out rows: at least a single row, and not all rows."""
    return min(max(1, round(share * n_rows)), n_rows - 1)


def _group_folds(dataset: Dataset, groups: Array, n: int, seed: int) -> list[tuple[Array, Array]]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    by_class = dataset.task == "classification" and max(np.bincount(dataset.y)) >= n
    splitter = (StratifiedGroupKFold if by_class else GroupKFold)(n, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class of fewer rows than folds cannot be in all folds.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        pairs = list(splitter.split(np.empty((dataset.n_rows, 0)), dataset.y, groups))
    return [(train, validation) for train, validation in pairs if len(train) and len(validation)]
