"""The rows by which candidates are scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import check_cv

from nas.data import Cuts, Dataset, held_out, in_groups, in_order, n_folds_of_candidates
from nas.errors import InputError
from nas.network.arrays import Array

_FRACTION = 0.2
"""The share of rows that are held out where there are enough, between scikit-learn's 0.1 and 0.25."""


@dataclass(frozen=True, eq=False)
class Validation:
    """How the rows are cut into training and validation rows.

    Parameters
    ----------
    fraction : float, optional
        The share of rows that are held out, unless `cv` or validation rows decide; by default a fifth,
        or none where there are so few rows that candidates are cross-validated.
    cv : int, splitter or iterable of (train, test), optional
        A number of folds, or the cuts themselves.
    time_order : bool
        Whether rows are in order of time, so that validation rows follow the rows trained on.
    groups : array of shape (rows,), optional
        Rows of a group stay together.
    seed : int
        Seed of random cuts.

    Raises
    ------
    InputError
        If a value is out of bounds, or two parameters contradict each other.
    """

    fraction: float | None
    cv: Any
    time_order: bool
    groups: Any
    seed: int

    def __post_init__(self) -> None:
        if self.fraction is not None and not (
            isinstance(self.fraction, (int, float)) and 0 < self.fraction < 1
        ):
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
        """The cuts of a data set into training and validation rows.

        Parameters
        ----------
        dataset : Dataset
            The rows of `X` with a weight above 0, followed by the validation rows if they are given.
        counting : bool array of shape (rows,)
            The rows of `X` with a weight above 0.
        n_given : int, optional
            The number of rows of `X` if validation rows are given.
        X : table
            The features, which a splitter may need.
        """
        if n_given is not None:
            return self._by_validation_rows(dataset, int(counting.sum()))
        groups = None if self.groups is None else np.asarray(self.groups)[counting]
        n = int(self.cv) if isinstance(self.cv, Integral) else None
        if self.cv is not None and n is None:
            return self._split_by_cv(dataset, counting, X)
        by_rows = n_folds_of_candidates(dataset.n_rows)
        if n is None and self.fraction is None and by_rows > 1:
            return replace(
                self._drawn(dataset, groups, by_rows), otherwise=self._drawn(dataset, groups, None)
            )
        return self._drawn(dataset, groups, n)

    def _drawn(self, dataset: Dataset, groups: Array | None, n: int | None) -> Cuts:
        """Cuts into `n` folds, or into a share of held-out rows."""
        fraction = _FRACTION if self.fraction is None else self.fraction
        if groups is not None:
            return in_groups(dataset, groups, fraction, self.seed, n)
        if self.time_order:
            return in_order(dataset, fraction, n)
        return held_out(dataset, fraction, self.seed, n)

    def _by_validation_rows(self, dataset: Dataset, n_train: int) -> Cuts:
        if self.cv is not None or self.groups is not None:
            raise InputError("X_val, y_val: expected no cv or groups beside them, got some")
        rows = np.arange(dataset.n_rows)
        return Cuts.by([(rows[:n_train], rows[n_train:])], trains_on_all=False)

    def _split_by_cv(self, dataset: Dataset, counting: Array, X: Any) -> Cuts:
        """The cuts of a splitter, which gets all rows of `X`, as positions in the data set."""
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
    """Positions of rows that are given by positions or by a mask."""
    array = np.asarray(rows)
    return np.flatnonzero(array) if array.dtype == bool else array.astype(int)
