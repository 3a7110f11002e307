"""Which rows candidates are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import check_cv

from nas.data import Cuts, Dataset, held_out, in_groups, in_order
from nas.errors import InputError
from nas.network.arrays import Array


@dataclass(frozen=True, eq=False)
class Validation:
    """How a person wants candidates to be judged.

    Parameters
    ----------
    fraction : float
        The share of rows that are held out, where nothing else is said.
    cv : int, splitter or iterable of (train, test), optional
    time_order : bool
    groups : array of shape (rows,), optional
    seed : int

    Raises
    ------
    InputError
        If these contradict each other.
    """

    fraction: float
    cv: Any
    time_order: bool
    groups: Any
    seed: int

    def __post_init__(self) -> None:
        good = isinstance(self.fraction, (int, float)) and 0 < self.fraction < 1
        if not good:
            raise InputError(f"validation_fraction: expected a number between 0 and 1, got {self.fraction!r}")
        if isinstance(self.cv, Integral) and self.cv < 2:
            raise InputError(f"cv: expected at least 2 folds, got {self.cv}")
        if self.time_order and self.groups is not None:
            raise InputError(
                "groups: expected none with time_order=True, got some; give a cv that knows both"
            )
        if self.time_order and self.cv is not None and not isinstance(self.cv, Integral):
            raise InputError("time_order: expected False where cv says which rows to use, got True")

    def cuts(self, dataset: Dataset, counting: Array, n_given: int | None, X: Any) -> Cuts:
        """The cuts of a data set.

        Parameters
        ----------
        dataset : Dataset
            The rows that count, of those to train on and then of those to choose by.
        counting : bool array of shape (rows,)
            Which of the rows of `X` count.
        n_given : int, optional
            The rows of `X`, where others follow to choose by.
        X : table
            For splitters.
        """
        if n_given is not None:
            return self._given(dataset, int(counting.sum()))
        groups = None if self.groups is None else np.asarray(self.groups)[counting]
        n = int(self.cv) if isinstance(self.cv, Integral) else None
        if self.cv is not None and n is None:
            return self._split_by_cv(dataset, counting, X)
        if groups is not None:
            return in_groups(dataset, groups, self.fraction, self.seed, n)
        if self.time_order:
            return in_order(dataset, self.fraction, n)
        return held_out(dataset, self.fraction, self.seed, n)

    def _given(self, dataset: Dataset, n_train: int) -> Cuts:
        if self.cv is not None or self.groups is not None:
            raise InputError("X_val, y_val: expected no cv or groups beside them, got some")
        rows = np.arange(dataset.n_rows)
        return Cuts.by([(rows[:n_train], rows[n_train:])], trains_on_all=False)

    def _split_by_cv(self, dataset: Dataset, counting: Array, X: Any) -> Cuts:
        """Positions in the data set of what a splitter, which sees all rows of `X`, makes of them."""
        y = np.zeros(len(counting), dataset.y.dtype) if dataset.y.ndim == 1 else None
        if y is not None:
            y[counting] = dataset.y
        classes = dataset.task == "classification"
        splitter = check_cv(self.cv, y if classes else None, classifier=classes)
        position = np.cumsum(counting) - 1
        pairs = []
        for pair in splitter.split(X, y, self.groups):
            train, validation = (position[rows[counting[rows]]] for rows in map(_positions, pair))
            if len(train) and len(validation):
                pairs.append((train, validation))
        if not pairs:
            raise InputError("cv: expected rows to train on and rows to judge by, got none")
        return Cuts.by(pairs)


def _positions(rows: Any) -> Array:
    found = np.asarray(rows)
    return np.flatnonzero(found) if found.dtype == bool else found.astype(int)
