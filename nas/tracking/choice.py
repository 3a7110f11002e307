"""Where a search is tracked, and which candidates get an MLflow run of their own.

That depends on the candidates alone: not on the clock, nor on how busy the machine or the store is.
"""

from __future__ import annotations

from array import array
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
        All candidates of a search of up to 1,000. Of a larger search the first 1,000, and at its end the
        ten best and the winner.
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

_N_COMPLETE = 1000
"""Candidates up to which "auto" gives a run to each: a few seconds of writing to a database."""


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


class ChildChoice:
    """Which candidates get a run of their own.

    Parameters
    ----------
    policy : str
        A `TrackPolicy` or its text.
    n_expected : int, optional
        The most networks that the search may try, if that is known: with at most 1,000, each candidate is
        chosen as it comes. Otherwise those beyond are decided on at the end.
    """

    def __init__(self, policy: str, n_expected: int | None = None) -> None:
        self._policy = TrackPolicy(policy)
        self._has_all = self._policy == TrackPolicy.ALL or (
            self._policy == TrackPolicy.AUTO and n_expected is not None and n_expected <= _N_COMPLETE
        )
        self._best = Elites(1 if self._policy == TrackPolicy.BEST else _N_ELITES)
        self._n_networks = 0
        self._postponed = array("q")

    def add(self, candidate: Candidate, evaluation: Evaluation) -> bool:
        """Receive an evaluated candidate, and return whether it gets a run now."""
        is_elite = self._best.add(candidate, evaluation)
        self._n_networks += candidate.epochs_done == 0  # a network counts once
        if self._policy != TrackPolicy.AUTO:
            return self._has_all or is_elite
        # By the id: islands report their candidates in no certain order.
        if self._has_all or candidate.id < _N_COMPLETE:
            return True
        self._postponed.append(candidate.id)
        return False

    def rest(self, winner: Candidate | None) -> list[int]:
        """Return the ids of the candidates that get a run at the end of the search; some have one already."""
        # More evaluations than networks: a network may be trained on, by successive halving.
        if self._n_networks <= _N_COMPLETE and self._policy == TrackPolicy.AUTO:
            return self._postponed.tolist()
        return list(dict.fromkeys([*self._best.ids, *([] if winner is None else [winner.id])]))
