"""Rows with weights: how many rows of equal weight say as much."""

from __future__ import annotations

import numpy as np

from nas.network.arrays import Floats


def effective_size(weights: Floats) -> int:
    """The number of equally weighted rows with as exact a mean, rounded down (Kish 1965, "Survey sampling").

    Parameters
    ----------
    weights : array of shape (rows,)
        Positive.
    """
    # Equal weights make a whole number, but for rounding.
    return int(np.floor(weights.sum() ** 2 / np.square(weights).sum() + 1e-6))
