"""Inputs that stand beside the scaled numbers, and how a child takes them over, or gives them up.

Networks of the same scaling read the same numbers, some with the codes of bins beside them. So a child with
another numeric encoding than its parent continues the parent's first layer: codes that are added have no
effect until the first step, and codes that are removed are replaced by their lines over the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.network import InputChange, Lines
from nas.network.arrays import Array, Floats
from nas.runtime import Column


@dataclass(frozen=True, eq=False)
class Codes:
    """The codes among the inputs of an encoding, each with its line over its column's scaled number.

    Attributes
    ----------
    are_codes : bool array of shape (inputs,)
    numbers : int array of shape (inputs,)
        Positions without the codes: an input's own, or that of a code's number.
    slopes, heights : arrays of shape (inputs,)
        By least squares over the training rows; 0 for inputs that are no codes.
    """

    are_codes: Array
    numbers: Array
    slopes: Floats
    heights: Floats

    @classmethod
    def of(cls, columns: Sequence[Column], X: Floats) -> Codes:
        """The codes of columns, with the training rows as inputs, of shape (rows, inputs)."""
        are_codes = np.zeros(X.shape[1], bool)
        own = np.zeros(X.shape[1], int)  # the position of the scaled number, with the codes
        slopes, heights = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        start = 0
        for column in columns:
            own[start : start + column.n_inputs] = np.arange(start, start + column.n_inputs)
            if column.edges:
                part = slice(start + 1, start + 1 + column.n_codes)
                are_codes[part], own[part] = True, start
                slopes[part], heights[part] = _lines(X[:, start], X[:, part])
            start += column.n_inputs
        return cls(are_codes, (np.cumsum(~are_codes) - 1)[own], slopes, heights)

    def added(self) -> InputChange:
        """The inputs of a child that has the codes, while its parent has none."""
        return InputChange(np.where(self.are_codes, -1, self.numbers))

    def removed(self) -> InputChange:
        """The inputs of a child without the codes that its parent has."""
        codes = np.flatnonzero(self.are_codes)
        lines = Lines(codes, self.numbers[codes], self.slopes[codes], self.heights[codes])
        return InputChange(np.flatnonzero(~self.are_codes), lines)


def _lines(number: Floats, codes: Floats) -> tuple[Floats, Floats]:
    """Slopes and heights, of shape (codes,), of the lines through codes of shape (rows, codes)."""
    x = number.astype(np.float64)
    x -= (center := x.mean())
    # Of each row once: a copy of the codes in float64 would be as large as the table.
    slopes = (x.astype(np.float32) @ codes).astype(np.float64) / max(float(x @ x), 1e-12)
    return slopes, codes.mean(axis=0, dtype=np.float64) - slopes * center
