"""Where a search is tracked, and which candidates get an MLflow run of their own.

A store takes some tens of runs per second, and a search may evaluate hundreds of candidates.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from nas.errors import InputError
from nas.evaluation import Candidate, Evaluation
from nas.tracking.address import public, with_credentials


class TrackPolicy(StrEnum):
    """Which candidates get an MLflow run of their own.

    Attributes
    ----------
    AUTO
        All candidates as long as that costs the search next to nothing; the elites in any case.
    ALL
        All candidates.
    ELITES
        Candidates that were among the ten best so far when they were evaluated.
    BEST
        Candidates that were the best so far when they were evaluated.
    """

    AUTO = "auto"
    ALL = "all"
    ELITES = "elites"
    BEST = "best"


POLICIES = tuple(policy.value for policy in TrackPolicy)
"""The policies as they are written in options and files."""

_N_ELITES = 10
"""Elites: enough to compare on one page of MLflow's, few enough that they can always be written."""


@dataclass(frozen=True)
class Tracking:
    """Where and how a search is tracked in MLflow.

    Parameters
    ----------
    uri : str
        The store's whole address, which may hold a password; see `nas.tracking.address`.
    policy : str
        Which candidates get a run of their own: a `TrackPolicy` or its text.
    register : str, optional
        The name of the registered model that the winner becomes the next version of.

    Raises
    ------
    InputError
        For an unknown policy, or a name that MLflow does not accept.
    """

    uri: str = field(repr=False)
    policy: str = TrackPolicy.AUTO.value
    register: str | None = None

    def __post_init__(self) -> None:
        """Check the policy and the name; MLflow refuses names with / and :."""
        if self.policy not in POLICIES:
            raise InputError(f"track: expected {', '.join(POLICIES)}, got {self.policy!r}")
        if self.register is not None and (not self.register.strip() or set(self.register) & set("/:")):
            raise InputError(f"register: expected a name without / and :, got {self.register!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values that ``config.json`` holds, without secrets."""
        return asdict(self) | {"uri": public(self.uri), "policy": str(self.policy)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Tracking:
        """Restore what `to_dict` returned, with the credentials that ``MLFLOW_TRACKING_URI`` has for it."""
        return cls(**{**record, "uri": with_credentials(record["uri"])})


class Elites:
    """The `n` best candidates so far.

    Parameters
    ----------
    n : int
        Number of elites.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._best: list[tuple[float, int]] = []

    def add(self, candidate: Candidate, evaluation: Evaluation) -> bool:
        """Add a candidate if it is among the best so far, and return whether it is; equals rank by id."""
        if evaluation.failed:
            return False
        entry = (-evaluation.fitness, candidate.id)
        insort(self._best, entry)
        del self._best[self._n :]
        return entry in self._best

    @property
    def ids(self) -> list[int]:
        """Ids of the elites, the best first."""
        return [number for _, number in self._best]


def elites(policy: str) -> Elites:
    """Return an empty set of the elites that get a run of their own under any policy."""
    return Elites(1 if policy == TrackPolicy.BEST else _N_ELITES)
