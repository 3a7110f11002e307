"""Gradient checks: analytic gradients compared with central differences."""

from __future__ import annotations

from nas.network.arrays import Array, Floats, host
from nas.network.mlp import MLP


def numeric_gradient(
    network: MLP,
    X: Floats,
    y: Array,
    *,
    row_weights: Floats | None = None,
    weight_decay: float = 0.0,
    label_smoothing: float = 0.0,
    step: float = 1e-6,
) -> Floats:
    """Central differences of the loss by each parameter, of the shape of ``network.parameters``.

    Meant for networks in float64, where the error is about step² plus 1e-16 / step, least near 1e-6.

    Parameters
    ----------
    network : MLP
    X, y, row_weights, weight_decay, label_smoothing
        As `MLP.loss_and_gradient` takes them.
    step : float
        Half the distance of the two points of a difference.
    """
    result = host.empty_like(network.parameters)

    def loss() -> float:
        return network.loss_and_gradient(
            X, y, row_weights=row_weights, weight_decay=weight_decay, label_smoothing=label_smoothing
        )[0]

    for i, value in enumerate(network.parameters.copy()):
        network.parameters[i] = value + step
        above = loss()
        network.parameters[i] = value - step
        below = loss()
        network.parameters[i] = value
        result[i] = (above - below) / (2 * step)
    return result


def gradient_error(
    network: MLP,
    X: Floats,
    y: Array,
    *,
    row_weights: Floats | None = None,
    weight_decay: float = 0.0,
    label_smoothing: float = 0.0,
) -> float:
    """The largest difference between analytic and numeric gradient, over the largest numeric entry."""
    _, analytic = network.loss_and_gradient(
        X, y, row_weights=row_weights, weight_decay=weight_decay, label_smoothing=label_smoothing
    )
    numeric = numeric_gradient(
        network, X, y, row_weights=row_weights, weight_decay=weight_decay, label_smoothing=label_smoothing
    )
    # A network without any gradient, such as softmax over one class, has to give 0, not 0 / 0.
    return float(host.abs(analytic - numeric).max() / max(host.abs(numeric).max(), 1e-8))
