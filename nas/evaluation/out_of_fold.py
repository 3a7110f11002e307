"""Out-of-fold predictions: each row is predicted by a network that was not trained on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.network.arrays import Array, Floats


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions for rows of a table, each by the network of the fold that held the row out.

    Attributes
    ----------
    rows : int array of shape (rows,)
        Ascending positions in the table.
    predictions : float array of shape (rows, outputs)
        As the network's link gives them: probabilities, of which two classes have that of the second alone;
        or values of numeric targets, standardized as the saved network's.
    fold : int array of shape (rows,)
        The number of the fold that held the row out.
    """

    rows: Array
    predictions: Floats
    fold: Array

    @classmethod
    def joined(cls, rows: list[Array], predictions: list[Floats]) -> OutOfFold:
        """The predictions of all folds; a row of several folds has the first of its predictions."""
        fold = np.repeat(np.arange(len(rows)), list(map(len, rows)))
        positions, first = np.unique(np.concatenate(rows), return_index=True)
        return cls(positions, np.concatenate(predictions)[first], fold[first])
