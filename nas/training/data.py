"""The rows that networks are trained and validated on: their checks, and the weight of each row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nas.network.arrays import Array, Floats, host, to_device
from nas.network.mlp import MLP

Score = Callable[[Floats, Array], float]
"""``score(predictions, y)``, to be maximized, of predictions of shape (rows, outputs)."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Rows to train on, rows to validate on, and their weights: the same for all networks of a cohort.

    Attributes
    ----------
    X : float array of shape (rows, inputs)
    y : array of shape (rows,) or (rows, outputs), as the networks' loss asks for
    validation : (X, y), optional
        Rows that decide about the best epoch and early stopping.
    score : callable, optional
        Recorded for the validation rows after each epoch.
    sample_weight : array of shape (rows,), optional
        Weights of the rows' losses, scaled to 1 on average.
    validation_weight : array of shape (rows,), optional
        Weights of the validation rows' losses; a `score` has to apply its own.
    """

    X: Floats
    y: Array
    validation: tuple[Floats, Array] | None = None
    score: Score | None = None
    sample_weight: Floats | None = None
    validation_weight: Floats | None = None

    def training_rows(self, network: MLP) -> Rows:
        """The rows to train on, checked for this network; `ValueError` where they do not fit."""
        check_rows(network, self.X, self.y, "training")
        return Rows(network, self.X, self.y, row_weights(network, self.y, self.sample_weight))

    def validation_rows(self, network: MLP) -> Rows | None:
        """The rows to validate on, checked likewise; None if there are none."""
        if self.validation is None:
            return None
        X, y = self.validation
        check_rows(network, X, y, "validation")
        return Rows(network, X, y, row_weights(network, y, self.validation_weight))


class Rows:
    """Checked rows, in the networks' type and on the device.

    Attributes
    ----------
    X : float array of shape (rows, inputs)
    y : array of shape (rows,), or (outputs, 1, rows) without class targets
        Examples are columns in training: see `nas.training.passes`.
    truth : array
        The targets in the form in which they came, as scores read them.
    weights : float array of shape (rows,), optional
    """

    def __init__(self, network: MLP, X: Floats, y: Array, weights: Floats | None = None) -> None:
        dtype = network.parameters.dtype
        # Batches are copied from rows of the same type without conversion. Numbers beyond float32 become
        # infinite here, and are reported as divergence.
        with host.errstate(over="ignore"):
            self.X = to_device(X.astype(dtype, copy=False))
        self.y = to_device(y if network.loss.has_class_targets else y.T[:, host.newaxis])
        self.truth = y
        self.weights = None if weights is None else to_device(weights)

    def __len__(self) -> int:
        return len(self.X)


def row_weights(network: MLP, y: Array, sample_weight: Floats | None) -> Floats | None:
    """Sample weights scaled to 1 on average; None if there are none.

    A mean of 1 keeps the learning rate's meaning: doubled weights are the same training.
    """
    if sample_weight is None:
        return None
    weights = host.array(sample_weight, float)
    if weights.shape != (len(y),):
        raise ValueError(f"sample_weight: expected shape ({len(y)},), got {weights.shape}")
    if not host.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"sample_weight: expected finite numbers >= 0, got {_first_invalid(weights):g}")
    if not weights.any():
        raise ValueError("sample_weight: expected a row with a weight above 0, got none")
    weights /= weights.max()  # weights near the largest float would overflow in the mean's sum
    # Scaled in float64, and rounded once.
    result: Floats = (weights / weights.mean()).astype(network.parameters.dtype)
    return result


def _first_invalid(weights: Floats) -> float:
    return float(weights[~(host.isfinite(weights) & (weights >= 0))][0])


def check_rows(network: MLP, X: Floats, y: Array, part: str) -> None:
    """Raise `ValueError` unless the network can be trained on the rows; `part` names them in the message."""
    _check_real(X, f"{part} X")
    _check_real(y, f"{part} y")
    if X.ndim != 2 or len(X) == 0 or X.shape[1] != network.sizes[0]:
        raise ValueError(f"{part} X: expected shape (rows, {network.sizes[0]}), got {X.shape}")
    if not host.isfinite(X).all():
        raise ValueError(f"{part} X: expected finite numbers, got NaN or infinity")
    n_outputs = network.sizes[-1]
    if network.loss.has_class_targets:
        if y.shape != (len(X),) or y.dtype.kind not in "iu":
            raise ValueError(f"{part} y: expected {len(X)} class numbers, got {y.dtype} {y.shape}")
        if y.min() < 0 or y.max() >= n_outputs:
            raise ValueError(f"{part} y: expected classes 0 to {n_outputs - 1}, got {y.min()} to {y.max()}")
        return
    if y.shape != (len(X), n_outputs):
        raise ValueError(f"{part} y: expected shape {(len(X), n_outputs)}, got {y.shape}")
    if not host.isfinite(y).all():
        raise ValueError(f"{part} y: expected finite numbers, got NaN or infinity")
    if network.loss.output == "sigmoid" and not host.isin(y, (0, 1)).all():
        raise ValueError(f"{part} y: expected 0 and 1, got values from {y.min():g} to {y.max():g}")


def _check_real(array: object, name: str) -> None:
    if not isinstance(array, host.ndarray) or array.dtype.kind not in "biuf":
        kind = array.dtype if isinstance(array, host.ndarray) else type(array).__name__
        raise ValueError(f"{name}: expected an array of real numbers, got {kind}")
