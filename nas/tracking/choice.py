"""Where a search is tracked, and who has a run of their own in a store that takes some tens a second."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nas.errors import InputError
from nas.evaluation import Candidate, Evaluation
from nas.tracking.address import public, with_credentials

POLICIES = ("auto", "all", "elites", "best")
"""All candidates; those who were among the ten best when they came; those who were the best; or, "auto",
all as long as that costs the search next to nothing, the elites in any case."""

_ELITES = 10


@dataclass(frozen=True)
class Tracking:
    """Where a search is tracked in MLflow, and how much of it.

    Parameters
    ----------
    uri : str
        The store's whole address, which may hold a password; see `nas.tracking.address`.
    policy : str
        Who has a run of their own; one of `POLICIES`.
    register : str, optional
        The name of the registered model that the winner becomes the next version of.

    Raises
    ------
    InputError
        On an unknown policy, or a name that is empty.
    """

    uri: str = field(repr=False)
    policy: str = "auto"
    register: str | None = None

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InputError(f"track: expected {', '.join(POLICIES)}, got {self.policy!r}")
        if self.register is not None and (not self.register.strip() or set(self.register) & set("/:")):
            raise InputError(f"register: expected a name without / and :, got {self.register!r}")

    def to_dict(self) -> dict[str, Any]:
        """As a run's folder keeps it, without secrets."""
        return asdict(self) | {"uri": public(self.uri)}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Tracking:
        """What `to_dict` gave, with the credentials that MLflow's variable has for that store."""
        return cls(**{**kept, "uri": with_credentials(kept["uri"])})


class Elites:
    """The best so far, and whether somebody new is one of them.

    Parameters
    ----------
    n : int
        How many they are.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._best: list[tuple[float, int]] = []

    def take_in(self, candidate: Candidate, evaluation: Evaluation) -> bool:
        """Take note of somebody; whether that is one of the best so far, the first of equals first."""
        if evaluation.failed:
            return False
        entry = (-evaluation.fitness, candidate.id)
        insort(self._best, entry)
        del self._best[self._n :]
        return entry in self._best

    @property
    def ids(self) -> list[int]:
        """The best now, the best first."""
        return [number for _, number in self._best]


def elites(policy: str) -> Elites:
    """Those who have a run of their own in any case, where a policy does not give one to all."""
    return Elites(1 if policy == "best" else _ELITES)
