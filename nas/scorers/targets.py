"""Targets of a table in the forms of networks, of the table, and of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nas.network.arrays import Array


@dataclass(frozen=True, eq=False)
class ScoredTargets:
    """The targets of a table, and how networks encode them.

    Attributes
    ----------
    task : str
    classes : tuple
        Labels in the order of class numbers.
    mean, scale : arrays of shape (targets,)
        The standardization of regression targets.
    names : tuple of str
    """

    task: str
    classes: tuple[Any, ...]
    mean: Array
    scale: Array
    names: tuple[str, ...]

    @cached_property
    def labels(self) -> Array:
        """The classes as an array, of text if types are mixed."""
        return np.asarray(self.classes)

    def as_networks(self, targets: Array) -> Array:
        """The table's targets in the form of the loss; see `nas.network.losses`."""
        if self.task == "regression":
            y: Array = (targets.reshape(len(targets), -1) - self.mean) / self.scale
            return y
        if self.task == "classification" and len(self.classes) == 2:
            return targets.astype(np.float32).reshape(-1, 1)
        return targets

    def as_table(self, y: Array) -> Array:
        """Targets, or predictions of regression, in the form of the table."""
        if self.task == "regression":
            values: Array = y * self.scale + self.mean
            return values
        if self.task == "multilabel":
            return (y > 0.5).astype(int)
        labels: Array = self.labels[self.codes(y)]
        return labels

    def codes(self, y: Array) -> Array:
        """The numbers of the classes."""
        codes: Array = (y[:, 0] if y.ndim == 2 else y).astype(int)
        return codes


def as_column(values: Array) -> Array:
    """Values of shape (rows, 1) in shape (rows,); others unchanged."""
    return values[:, 0] if values.shape[1] == 1 else values
