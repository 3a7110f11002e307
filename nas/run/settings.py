"""Everything about a search but its data, checked once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nas.errors import InputError
from nas.evolution import ALGORITHMS
from nas.space import SearchSpace


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Parameters
    ----------
    space : SearchSpace
    algorithm : str
        "evolution" or "random".
    n_candidates : int
        Different networks to train.
    time_budget : float, optional
        Seconds of searching, after start-up, at most; the first candidate is always finished. The
        search is then a shorter piece of the same sequence.
    n_workers : int, optional
        Ray worker processes; 0 evaluates in this process. Default: one for each core.
    seed : int
        Decides everything: the split, the genomes, the initial weights, the batches.
    population_size : int
        Candidates a generation.
    epochs : int, optional
        Epochs of training, at most; by default they follow from the number of rows.
    candidate_time_limit : float
        Seconds of training after which a candidate counts as failed.
    refit : bool
        Whether the winner is trained once more on training and validation rows together.
    baseline : bool
        Whether scikit-learn's default network is scored beside the winner.

    Raises
    ------
    InputError
        On a value out of its bounds; the message names the setting.
    """

    space: SearchSpace
    algorithm: str = "evolution"
    n_candidates: int = 100
    time_budget: float | None = None
    n_workers: int | None = None
    seed: int = 0
    population_size: int = 12
    epochs: int | None = None
    candidate_time_limit: float = 600.0
    refit: bool = True
    baseline: bool = True

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise InputError(f"algorithm: expected one of {', '.join(ALGORITHMS)}, got {self.algorithm!r}")
        for name, (kind, least) in _NUMBERS.items():
            value = getattr(self, name)
            good = isinstance(value, kind) and not isinstance(value, bool) and least <= value < 2**32
            if not good and not (value is None and name in _OPTIONAL):
                whole = "a whole number" if kind is int else "a number"
                raise InputError(f"{name}: expected {whole} of at least {least}, below 2**32, got {value!r}")

    @property
    def workers(self) -> int:
        """The number of workers; 0 for none."""
        return available_cores() if self.n_workers is None else self.n_workers

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values for JSON."""
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**record, "space": self.space.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> SearchSettings:
        """The settings that `to_dict` wrote."""
        return cls(**{**record, "space": SearchSpace.from_dict(record["space"])})


_NUMBERS: dict[str, tuple[Any, float]] = {
    "n_candidates": (int, 1),
    "time_budget": ((int, float), 0.001),
    "n_workers": (int, 0),
    "seed": (int, 0),
    "population_size": (int, 2),
    "epochs": (int, 1),
    "candidate_time_limit": ((int, float), 0.001),
}
_OPTIONAL = ("time_budget", "n_workers", "epochs")


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
