"""The target of a table in the form that a network's loss takes."""

from __future__ import annotations

import numpy as np

from nas.data import Dataset
from nas.errors import DataError
from nas.network.arrays import Array
from nas.runtime import Target

_LARGEST_TARGET = 1e6
"""Standard deviations from the mean up to which float32 distinguishes a target's values."""


def fit_target(dataset: Dataset, train: Array) -> Target:
    """The target, with the mean and the standard deviation of the training rows where it is a number."""
    if dataset.task != "regression":
        return Target(dataset.target_names, classes=dataset.classes)
    y = dataset.y[train]
    scale = [float(std) if std > 0 else 1.0 for std in y.std(axis=0)]
    return Target(dataset.target_names, mean=tuple(map(float, y.mean(axis=0))), scale=tuple(scale))


def network_target(dataset: Dataset, target: Target) -> tuple[Array, str, int]:
    """The target in the form that the network's loss takes, the loss, and the number of outputs."""
    y = dataset.y
    if dataset.task == "regression":
        standardized = (y - np.array(target.mean)) / np.array(target.scale)
        if np.abs(standardized).max() > _LARGEST_TARGET:
            raise DataError(
                f"target {', '.join(target.names)}: expected values within {_LARGEST_TARGET:g} standard "
                f"deviations of the training rows, got one {np.abs(standardized).max():.3g} away"
            )
        return standardized.astype(np.float32), "squared_error", y.shape[1]
    if dataset.task == "multilabel":
        return y.astype(np.float32), "binary_cross_entropy", y.shape[1]
    if len(dataset.classes) == 2:
        return y.astype(np.float32)[:, np.newaxis], "binary_cross_entropy", 1
    return y, "cross_entropy", len(dataset.classes)
