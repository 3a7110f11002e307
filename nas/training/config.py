"""The settings of a training, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from nas.network.architecture import PARAMETRIZATIONS, RATE_FACTOR_BOUNDS
from nas.network.losses import LARGEST_SMOOTHING
from nas.network.optimizers import BETA2, BETA2_BOUNDS, OPTIMIZERS
from nas.network.schedules import SCHEDULES


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of one network's training.

    Parameters
    ----------
    epochs : int
        Passes over the training rows, at most; schedules run over all of these epochs.
    batch_size : int
        Rows of a step; the last step of an epoch takes the rest.
    optimizer : str
        See `nas.network.OPTIMIZERS`.
    learning_rate, momentum : float
        `momentum` is read by the optimizers "momentum" and "nesterov" only.
    beta2 : float
        The share of the mean of squared gradients that a step keeps; read by "adam" and "adamw" only.
    schedule : str
        See `nas.network.SCHEDULES`.
    warmup : float
        The share of all steps over which the rate rises from 0 to its full height.
    regularization_schedule : str
        The schedule of dropout and weight decay, over all steps.
    weight_decay : float
        Adds weight_decay / 2 · ‖weights‖² to the loss; adamw shrinks the weights directly instead.
    label_smoothing : float
        The share s of every class in the targets that training sees, (1 - s) y + s / classes (Szegedy et al.
        2016); 0 for targets that are values.
    front_scaling : float
        The factor of the learning rate for the factors of the inputs, of networks that have such; 0: of none.
    parametric_activation : float
        The same for the blends of parametric activations.
    bias_rate : float
        The same for biases.
    parametrization : str
        See `nas.network.architecture.PARAMETRIZATIONS`.
    dropout : float or tuple of float
        The share of hidden units that each step drops: one number for all hidden layers, or one a layer.
    clip_norm : float, optional
        The largest norm of a network's gradient; longer ones are scaled down to it (Pascanu et al. 2013).
        0 or None: gradients stay as they are.
    patience : int, optional
        Epochs without a better validation score or loss after which training stops; None: never.
    time_limit : float, optional
        Seconds after which training stops, at any batch of an epoch.
    """

    epochs: int = 100
    batch_size: int = 32
    optimizer: str = "adam"
    learning_rate: float = 0.001
    momentum: float = 0.9
    beta2: float = BETA2
    schedule: str = "constant"
    warmup: float = 0.0
    regularization_schedule: str = "constant"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    front_scaling: float = 0.0
    parametric_activation: float = 0.0
    bias_rate: float = 1.0
    parametrization: str = "standard"
    dropout: float | tuple[float, ...] = 0.0
    clip_norm: float | None = None
    patience: int | None = 10
    time_limit: float | None = None

    def __post_init__(self) -> None:
        for name, table in _NAMES:
            if getattr(self, name) not in table:
                raise ValueError(f"{name}: expected one of {', '.join(table)}, got {getattr(self, name)!r}")
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            kinds, noun = (int, "whole number") if name in _WHOLE else ((int, float), "number")
            # NaN fails the comparison too, as it is neither above nor below any bound.
            per_layer = name == "dropout" and isinstance(value, tuple)
            for number in value if per_layer else (value,):
                if not isinstance(number, kinds) or not low <= number <= high:
                    raise ValueError(f"{name}: expected a {noun} from {low:g} to {high:g}, got {number!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, without the defaults of settings that earlier versions lack.

        A training has the same record in all versions that train the same way, so that runs can be resumed.
        """
        record = asdict(self)
        return {key: value for key, value in record.items() if key not in _LATER or value != _LATER[key]}

    def dropouts(self, depth: int) -> tuple[float, ...]:
        """The dropout of each of `depth` hidden layers; `ValueError` if `dropout` is of another depth."""
        if not isinstance(self.dropout, tuple):
            return (self.dropout,) * depth
        if len(self.dropout) != depth:
            raise ValueError(
                f"dropout: expected one rate, or one for each of {depth} hidden layers, "
                f"got {len(self.dropout)}"
            )
        return self.dropout


SHARED = (
    *("epochs", "batch_size", "schedule", "warmup", "regularization_schedule"),
    *("patience", "time_limit"),
)
"""Settings that all networks of a cohort have in common; they may differ in all other settings."""


def shared(config: TrainingConfig) -> tuple[object, ...]:
    """The values of the settings that must be equal in a cohort."""
    return tuple(getattr(config, name) for name in SHARED)


_NAMES: tuple[tuple[str, Collection[str]], ...] = (
    ("optimizer", OPTIMIZERS),
    ("schedule", SCHEDULES),
    ("regularization_schedule", SCHEDULES),
    ("parametrization", PARAMETRIZATIONS),
)
_BOUNDS = (
    ("epochs", 1, math.inf),
    ("batch_size", 1, math.inf),
    ("learning_rate", 1e-12, 1e3),
    ("momentum", 0, 0.9999),
    ("beta2", *BETA2_BOUNDS),
    ("warmup", 0, 1),
    ("weight_decay", 0, 1e3),
    ("label_smoothing", 0, LARGEST_SMOOTHING),
    ("front_scaling", *RATE_FACTOR_BOUNDS),
    ("parametric_activation", *RATE_FACTOR_BOUNDS),
    ("bias_rate", *RATE_FACTOR_BOUNDS),
    ("dropout", 0, 0.99),
    ("clip_norm", 0, math.inf),
    ("patience", 1, math.inf),
    ("time_limit", 0, math.inf),
)
# Settings that came after the first records, with the values that leave training as it was before them.
_LATER = {
    "beta2": BETA2,
    "regularization_schedule": "constant",
    "label_smoothing": 0.0,
    "front_scaling": 0.0,
    "parametric_activation": 0.0,
    "bias_rate": 1.0,
    "parametrization": "standard",
}
_OPTIONAL = ("clip_norm", "patience", "time_limit")
_WHOLE = ("epochs", "batch_size", "patience")
