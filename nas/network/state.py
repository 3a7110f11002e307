"""The state of a training: parameters and optimizer, so that training can continue from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nas.network.arrays import Array, Floats
from nas.network.optimizers import BETA2, OPTIMIZERS

SETTLED = 400_000
"""Steps after which Adam's bias correction is 1 in float64: 0.9999 (the largest beta2) to this is 4e-18."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Parameters of a network, the moments of its optimizer, and its progress.

    Attributes
    ----------
    parameters : float array of shape (n,)
        In the order of `MLP.parameters`.
    moments : tuple of float arrays of shape (n,)
        The optimizer's moments, in the same order; empty if there are none.
    rule : (str, float)
        The optimizer of these moments, with the setting that they depend on: momentum, or beta2; 0 for
        optimizers without such a setting. See `nas.network.optimizers.Optimizer.setting`.
    steps : int
        Steps that the moments are means over; 0 without moments.
    epochs : int
        Epochs trained so far: the next epoch is ``epochs + 1``.
    loss, score : float, optional
        Validation loss and score after these epochs.
    least : (float, int), optional
        The least validation loss so far, and its epoch.
    best : State, optional
        An earlier state of the same training that was better on the validation rows.
    """

    parameters: Floats
    moments: tuple[Floats, ...]
    rule: tuple[str, float]
    steps: int
    epochs: int
    loss: float | None = None
    score: float | None = None
    least: tuple[float, int] | None = None
    best: State | None = None

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return sum(array.nbytes for array in self.to_arrays()[0].values())

    def copy(self) -> State:
        """A copy that shares no array with this state."""
        return replace(
            self,
            parameters=self.parameters.copy(),
            moments=tuple(moment.copy() for moment in self.moments),
            best=None if self.best is None else self.best.copy(),
        )

    def to_arrays(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """The arrays by name, and all other attributes in the types of JSON; see `from_arrays`."""
        # Flat names, with a dot for each level: a file format of arrays by name has no nesting.
        arrays = {"parameters": self.parameters}
        arrays |= {f"moments.{i}": moment for i, moment in enumerate(self.moments)}
        best = None
        if self.best is not None:
            best_arrays, best = self.best.to_arrays()
            arrays |= {f"best.{name}": array for name, array in best_arrays.items()}
        facts = {"rule": list(self.rule), "steps": self.steps, "epochs": self.epochs}
        facts |= {"loss": self.loss, "score": self.score, "least": self.least}
        return arrays, {**facts, "best": best}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> State:
        """The state that `to_arrays` took apart."""
        best = None
        if facts["best"] is not None:
            best_arrays = {
                name.removeprefix("best."): array for name, array in arrays.items() if "best." in name
            }
            best = cls.from_arrays(best_arrays, facts["best"])
        n_moments = sum(name.startswith("moments.") for name in arrays)
        optimizer, coefficient = facts["rule"]
        return cls(
            arrays["parameters"],
            tuple(arrays[f"moments.{i}"] for i in range(n_moments)),
            (optimizer, _coefficient(optimizer, coefficient)),
            facts["steps"],
            facts["epochs"],
            facts["loss"],
            facts["score"],
            None if facts["least"] is None else (facts["least"][0], facts["least"][1]),
            best,
        )


def _coefficient(optimizer: str, recorded: float) -> float:
    """The setting of a recorded rule; earlier versions, which had no setting for beta2, have written 0."""
    return BETA2 if OPTIMIZERS[optimizer].setting == "beta2" and recorded == 0 else recorded
