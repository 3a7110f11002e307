"""One-hot columns scaled by their quartiles, as numbers are (Holzmüller et al. 2024, "Better by default")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from nas.data.numbers import BOUND, units_of
from nas.runtime import Column, smooth_clip


def scaled_places(column: Column, values: Iterable[Any]) -> Column:
    """A one-hot encoded column with the inputs of each place robustly scaled, as rows of `Column.means`.

    Values that no row had, or that are missing where no row was, get the inputs of a place that has none.

    Parameters
    ----------
    column : Column
        One-hot encoded.
    values : iterable
        The cells of the training rows.
    """
    n = column.n_places
    # A last row for values without a place: all inputs as in rows of other categories.
    rows = np.vstack([np.eye(n), np.zeros(n)])
    medians, units = units_of(np.ascontiguousarray(rows[column.places(values)].T))
    scaled = smooth_clip((rows - medians) / units, BOUND).tolist()
    *of_places, nowhere = map(tuple, scaled)
    categories, rest = of_places[: len(column.categories)], of_places[len(column.categories) :]
    missing = rest.pop(0) if column.missing else nowhere
    other = rest.pop(0) if column.other else nowhere
    return replace(column, missing=True, other=True, means=(*categories, missing, other))
