"""What a training leaves behind, so that another can go on from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nas.network.arrays import Array, Floats

SETTLED = 40_000
"""Steps after which nothing is left of Adam's bias correction: 0.999 to this power is lost beside 1."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What a network needs to go on training: parameters, the optimizer's memory, and how far it is.

    Attributes
    ----------
    parameters : float array of shape (n,)
        In the network's own order, as `MLP.parameters`.
    moments : tuple of float arrays of shape (n,)
        The optimizer's memory, in the same order; empty where there is none.
    rule : (str, float)
        The optimizer whose memory it is, with its momentum where it has one.
    steps : int
        Steps that it remembers; 0 without moments.
    epochs : int
        Epochs that were trained: the next one is ``epochs + 1``.
    loss, score : float, optional
        On the validation rows, after these epochs.
    least : (float, int), optional
        The least loss there so far, and the epoch after which it was.
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
        """What its arrays take."""
        return sum(array.nbytes for array in self.to_arrays()[0].values())

    def copy(self) -> State:
        """The same with arrays of its own."""
        return replace(
            self,
            parameters=self.parameters.copy(),
            moments=tuple(moment.copy() for moment in self.moments),
            best=None if self.best is None else self.best.copy(),
        )

    def to_arrays(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Its arrays by name, and all else in the types of JSON; see `from_arrays`."""
        arrays = {"parameters": self.parameters}
        arrays |= {f"moments.{i}": moment for i, moment in enumerate(self.moments)}
        best = None
        if self.best is not None:
            its_arrays, best = self.best.to_arrays()
            arrays |= {f"best.{name}": array for name, array in its_arrays.items()}
        facts = {"rule": list(self.rule), "steps": self.steps, "epochs": self.epochs}
        facts |= {"loss": self.loss, "score": self.score, "least": self.least}
        return arrays, {**facts, "best": best}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> State:
        """The state that `to_arrays` took apart."""
        best = None
        if facts["best"] is not None:
            its = {name.removeprefix("best."): array for name, array in arrays.items() if "best." in name}
            best = cls.from_arrays(its, facts["best"])
        n_moments = sum(name.startswith("moments.") for name in arrays)
        optimizer, momentum = facts["rule"]
        return cls(
            arrays["parameters"],
            tuple(arrays[f"moments.{i}"] for i in range(n_moments)),
            (optimizer, momentum),
            facts["steps"],
            facts["epochs"],
            facts["loss"],
            facts["score"],
            None if facts["least"] is None else (facts["least"][0], facts["least"][1]),
            best,
        )
