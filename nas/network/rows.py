"""The rows that networks are trained on: what is refused, and what each counts."""

from __future__ import annotations

from collections.abc import Sequence

from nas.network.arrays import Array, Floats, host
from nas.network.mlp import MLP


def row_weights(
    network: MLP, y: Array, sample_weight: Floats | None, class_weight: Sequence[float] | None
) -> Floats | None:
    """Sample weights times class weights, scaled to 1 on average; None if neither is given."""
    if sample_weight is None and class_weight is None:
        return None
    weights = host.ones(len(y)) if sample_weight is None else host.array(sample_weight, float)
    if weights.shape != (len(y),):
        raise ValueError(f"sample_weight: expected shape ({len(y)},), got {weights.shape}")
    if not host.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"sample_weight: expected finite numbers >= 0, got {_first_bad(weights):g}")
    if class_weight is not None:
        weights = weights * _weights_of_classes(network, y, class_weight)
    if not weights.any():
        raise ValueError("sample_weight, class_weight: expected a row with a weight above 0, got none")
    weights /= weights.max()  # the largest may be too large to be added up
    result: Floats = (weights / weights.mean()).astype(network.parameters.dtype)
    return result


def _first_bad(weights: Floats) -> float:
    return float(weights[~(host.isfinite(weights) & (weights >= 0))][0])


def _weights_of_classes(network: MLP, y: Array, class_weight: Sequence[float]) -> Floats:
    if network.loss.has_class_targets:
        classes, n_classes = y, network.sizes[-1]
    elif network.loss.name == "binary_cross_entropy" and network.sizes[-1] == 1:
        classes, n_classes = y[:, 0].astype(int), 2
    else:
        raise ValueError(f"class_weight: expected a loss over classes, got {network.loss.name}")
    factors: Floats = host.asarray(class_weight, float)
    if factors.shape != (n_classes,) or not host.isfinite(factors).all() or (factors < 0).any():
        raise ValueError(f"class_weight: expected {n_classes} finite numbers >= 0, got {class_weight!r}")
    return factors[classes]


def check_rows(network: MLP, X: Floats, y: Array, part: str) -> None:
    """Raise `ValueError` unless the rows are what the network can be trained on."""
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
        what = array.dtype if isinstance(array, host.ndarray) else type(array).__name__
        raise ValueError(f"{name}: expected an array of real numbers, got {what}")
