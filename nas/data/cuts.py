"""How the rows of a table are cut: to train on, to choose by, to test on."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nas.data.dataset import Dataset
from nas.errors import DataError
from nas.network.arrays import Array

_LARGE = 10_000
"""Rows above which three folds say as much as five of fewer rows."""

_NO_ROWS: Array = np.empty(0, np.int64)


class Split(NamedTuple):
    """Row numbers of the three parts: to train on, to choose by, and to look at once at the end."""

    train: np.ndarray[Any, Any]
    validation: np.ndarray[Any, Any]
    test: np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Cuts:
    """How a whole search uses the rows of its table.

    Attributes
    ----------
    split : Split
        What candidates are trained on and judged by, and what is tested on at the end: perhaps nothing.
    folds : sequence of (train, validation)
        What the finalists are trained on and judged by once more.
    trains_on_all : bool
        Whether the winner is at last trained on the validation rows, too.
    """

    split: Split
    folds: Sequence[tuple[Array, Array]]
    trains_on_all: bool = True

    @classmethod
    def by(cls, pairs: Sequence[tuple[Array, Array]], *, trains_on_all: bool = True) -> Cuts:
        """Candidates are judged by one pair of (train, validation), finalists by every pair.

        It is the one with the most rows to train on: of folds in order of time the last, of others the first.
        """
        train, validation = max(pairs, key=lambda pair: len(pair[0]))
        return cls(Split(np.sort(train), np.sort(validation), _NO_ROWS), pairs, trains_on_all)

    def digest(self) -> str:
        """A fingerprint: the first 16 digits of a SHA-256."""
        sha = hashlib.sha256(repr((self.trains_on_all, len(self.folds))).encode())
        for rows in itertools.chain(self.split, *self.folds):
            sha.update(np.asarray(rows, np.int64).tobytes() + b";")
        return sha.hexdigest()[:16]


def split(dataset: Dataset, seed: int, *, test: float = 0.2, validation: float = 0.2) -> Split:
    """Shuffle the rows into three parts, with the classes in equal shares in each.

    Parameters
    ----------
    dataset : Dataset
    seed : int
        Decides the shuffle.
    test, validation : float
        The share of all rows that is tested on, and of the others that validates.

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
    kept, test_rows = train_test_split(rows, test_size=test, random_state=seed, stratify=labels)
    labels = None if labels is None else labels[kept]
    train, chosen = train_test_split(kept, test_size=validation, random_state=seed, stratify=labels)
    return Split(np.sort(train), np.sort(chosen), np.sort(test_rows))


def folds(dataset: Dataset, rows: Array, n: int, seed: int) -> list[tuple[Array, Array]]:
    """Cut rows into `n` parts, with the classes in equal shares in each: every part validates once.

    Parameters
    ----------
    dataset : Dataset
    rows : int array
    n : int
        No more than there are rows are made.
    seed : int
        Decides the shuffle.

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
        # A class of fewer rows than folds cannot be in every one of them.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        pairs = list(splitter.split(rows, dataset.y[rows] if by_class else None))
    return [(rows[np.sort(train)], rows[np.sort(validation)]) for train, validation in pairs]


def n_folds(n_rows: int) -> int:
    """How many folds so many rows are cut into."""
    return 3 if n_rows > _LARGE else 5


def held_out(dataset: Dataset, share: float, seed: int, n: int | None = None) -> Cuts:
    """Hold a share of all rows out to judge candidates by, at random; finalists by shuffled folds.

    Classes are in equal shares on both sides where they have rows enough; of a class with a single row,
    that is trained on. Given `n`, candidates are judged by one of so many folds.
    """
    pairs = folds(dataset, np.arange(dataset.n_rows), n or n_folds(dataset.n_rows), seed)
    if n is not None:
        return Cuts.by(pairs)
    train, validation = _held_out(dataset, share, seed)
    return Cuts(Split(train, validation, _NO_ROWS), pairs)


def in_order(dataset: Dataset, share: float, n: int | None = None) -> Cuts:
    """Hold out the last share of rows that are in order of time; every fold validates after it trains.

    Given `n`, candidates are judged by the last of so many folds.
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
    """Hold out whole groups, about a share of the rows; no group is on both sides of any cut.

    Given `n`, candidates are judged by one of so many folds.

    Raises
    ------
    DataError
        If there is only one group.
    """
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise DataError(f"groups: expected at least two, one to train on and one to judge by, got {n_groups}")
    pairs = _group_folds(dataset, groups, min(n_groups, n or n_folds(dataset.n_rows)), seed)
    if n is not None:
        return Cuts.by(pairs)
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
    """At least one row, and not all of them."""
    return min(max(1, round(share * n_rows)), n_rows - 1)


def _group_folds(dataset: Dataset, groups: Array, n: int, seed: int) -> list[tuple[Array, Array]]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    by_class = dataset.task == "classification" and max(np.bincount(dataset.y)) >= n
    splitter = (StratifiedGroupKFold if by_class else GroupKFold)(n, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class of fewer rows than folds cannot be in every one of them.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        pairs = list(splitter.split(np.empty((dataset.n_rows, 0)), dataset.y, groups))
    return [(train, validation) for train, validation in pairs if len(train) and len(validation)]
