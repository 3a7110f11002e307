"""The rows that networks are trained and validated on: their checks, and the weight of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.network.arrays import Array, Floats, Ints, host, to_device
from nas.network.mlp import MLP

Score = Callable[[Floats, Array, Floats | None], float]
"""``score(predictions, y, weights)``, to be maximized, of predictions of shape (rows, outputs)."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A cut of the rows for cross-validation: some rows train, others validate, and any row may do neither.

    Attributes
    ----------
    train, validation : int arrays of ascending row numbers, without a common row
        A row may be in `train` several times.
    """

    train: Ints
    validation: Ints


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
        Weights of the validation rows' losses, and of their score.
    folds : sequence of Fold, optional
        Cuts of `X`, in place of `validation`: each member trains and is validated on the rows of its fold.
    validates : bool
        Whether members of folds are validated; otherwise they only leave out the rows held out by their fold.
    """

    X: Floats
    y: Array
    validation: tuple[Floats, Array] | None = None
    score: Score | None = None
    sample_weight: Floats | None = None
    validation_weight: Floats | None = None
    folds: Sequence[Fold] = ()
    validates: bool = True

    @property
    def is_validated(self) -> bool:
        """Whether there are rows to validate on."""
        return self.validation is not None or (bool(self.folds) and self.validates)

    def batch_rows(self, batch_size: int) -> int:
        """The rows of a batch in which a member has `batch_size` rows of its own, or fewer, on average.

        Members of folds leave out the rows that their fold holds out. With larger batches they take as many
        steps as without the others, and a step costs the same for all rows of a batch.
        """
        n_rows = len(self.X)
        most = max((len(host.unique(fold.train)) for fold in self.folds), default=n_rows)
        return min(round(batch_size * n_rows / max(most, 1)), n_rows)

    def training_rows(self, network: MLP) -> Rows:
        """The rows to train on, checked for this network; `ValueError` where they do not fit.

        With folds, their weights are of shape (folds, rows), and 0 for rows that a fold does not train on.
        """
        check_rows(network, self.X, self.y, "training")
        if not self.folds:
            return Rows(network, self.X, self.y, row_weights(network, self.y, self.sample_weight))
        weights = host.stack([self._weights_of(network, fold) for fold in self.folds])
        return Rows(network, self.X, self.y, weights)

    def _weights_of(self, network: MLP, fold: Fold) -> Floats:
        """The weights of all rows in the loss of a fold's members: 1 on average over all rows."""
        weights = host.zeros(len(self.X))
        # A row may be there several times, as in a bootstrap.
        host.add.at(weights, fold.train, 1 if self.sample_weight is None else self.sample_weight[fold.train])
        result = row_weights(network, self.y, weights)
        assert result is not None, "there are weights"
        return result

    def validation_parts(self, network: MLP) -> list[Rows]:
        """The rows to validate on, checked likewise: none, one part for all members, or one for each fold."""
        if not self.is_validated:
            return []
        if self.validation is not None:
            return [self._part(network, *self.validation)]
        return [
            self._part(network, self.X[fold.validation], self.y[fold.validation], fold) for fold in self.folds
        ]

    def _part(self, network: MLP, X: Floats, y: Array, fold: Fold | None = None) -> Rows:
        weights = self.validation_weight
        if fold is not None:
            weights = None if self.sample_weight is None else self.sample_weight[fold.validation]
        check_rows(network, X, y, "validation")
        return Rows(network, X, y, row_weights(network, y, weights), weights)


class Rows:
    """Checked rows, in the networks' type and on the device.

    Attributes
    ----------
    X : float array of shape (rows, inputs)
    y : array of shape (rows,), or (outputs, 1, rows) without class targets
        Examples are columns in training: see `nas.training.memory`.
    truth : array
        The targets in the form in which they came, as scores read them.
    weights : float array of shape (rows,), optional
        Scaled to 1 on average, on the device.
    score_weights : float array of shape (rows,), optional
        The weights in the form in which they came.
    """

    def __init__(
        self,
        network: MLP,
        X: Floats,
        y: Array,
        weights: Floats | None = None,
        score_weights: Floats | None = None,
    ) -> None:
        dtype = network.parameters.dtype
        # Batches are copied from rows of the same type without conversion. Numbers beyond float32 become
        # infinite here, and are reported as divergence.
        with host.errstate(over="ignore"):
            self.X = to_device(X.astype(dtype, copy=False))
        self.y = to_device(y if network.loss.has_class_targets else y.T[:, host.newaxis])
        self.truth = y
        self.weights = None if weights is None else to_device(weights)
        self.score_weights = score_weights

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
