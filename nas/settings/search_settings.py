"""`SearchSettings`: the settings that decide a search, checked once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nas.errors import InputError
from nas.evolution import ParetoArchive, name_of, strategy_of
from nas.genome import Genome
from nas.scoring import scorer_name
from nas.settings.groups import (
    BudgetSettings,
    LimitSettings,
    SelectionSettings,
    StrategySettings,
    WorkerSettings,
)
from nas.settings.kinds import duration
from nas.settings.schema import settings_of
from nas.space import Limits, SearchSpace, misfits, narrowed

SEARCH_GROUPS = (BudgetSettings, LimitSettings, StrategySettings, WorkerSettings, SelectionSettings)
"""The groups that `SearchSettings` is composed of."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings(SelectionSettings, WorkerSettings, StrategySettings, LimitSettings, BudgetSettings):
    """Budget, limits, strategy, workers and selection of a search, as attributes of a single object.

    `nas.settings.groups` describes each setting. Space and starts are the objects that names and paths
    stand for, and the space is narrowed to `genes`, which are None then. ``config.json`` of a run's folder
    holds what `to_dict` returns.

    Raises
    ------
    InputError
        On a value out of bounds, or values that contradict each other; the message names the setting.
    """

    # Narrower types than in the group, where a name, a path or a text may stand for the value.
    space: SearchSpace = field()
    objectives: tuple[str, ...] = ("error",)
    starts: tuple[Genome, ...] = ()

    def __post_init__(self) -> None:
        for setting in settings_of(*SEARCH_GROUPS):
            value = getattr(self, setting.name)
            setting.check(value)
            if isinstance(value, str) and setting.kind.parse is duration:
                object.__setattr__(self, setting.name, duration(value))
        object.__setattr__(self, "space", narrowed(self.space, self.genes or {}))
        object.__setattr__(self, "genes", None)
        self._check_batches_in_flight()
        self.check_workers()
        self._check_objectives()
        for genome in self.starts:
            if genome not in self.space:
                reasons = ", ".join(misfits(genome, self.space)) or "it lacks genes of the space"
                raise InputError(
                    f"starts: expected genomes of space {self.space.name}, got {genome}: {reasons}"
                )

    def _check_batches_in_flight(self) -> None:
        if self.algorithm == "auto" or self.batches_in_flight in (None, 1):
            return
        if strategy_of(self.algorithm).default_batches_in_flight == 1:
            raise InputError(
                f"batches_in_flight: expected 1 for the generations of {name_of(self.algorithm)}, got "
                f"{self.batches_in_flight}"
            )

    def _check_objectives(self) -> None:
        listed = self.objectives
        names = tuple(listed.split(",") if isinstance(listed, str) else listed)
        object.__setattr__(self, "objectives", names)
        if names[0] != "error":
            raise InputError(f"objectives: expected error first, got {', '.join(names)}")
        if self.algorithm == "auto":
            return
        if len(names) == 1:
            object.__setattr__(self, "objectives", strategy_of(self.algorithm).default_objectives)
        elif not issubclass(strategy_of(self.algorithm).archive, ParetoArchive):
            raise InputError(
                f"algorithm: expected auto or nsga2 for the objectives {', '.join(names)}, got "
                f"{name_of(self.algorithm)}"
            )

    @property
    def limits(self) -> Limits:
        """The limits of a network."""
        return Limits(self.max_parameters, self.max_flops, self.max_latency)

    @property
    def workers(self) -> int | None:
        """The number of workers; 0 without Ray, None for as many as a running Ray has room for."""
        if self.n_workers is None and self.ray_address == "local":
            return available_cores()
        return self.n_workers

    @property
    def options(self) -> dict[str, Any]:
        """Settings that do not decide the scores of candidates; the journal's identity holds the others."""
        return {
            "algorithm": name_of(self.algorithm),
            **{f"budget.{key}": value for key, value in asdict(self.budget).items()},
            "n_workers": self.workers,
            "ray_address": self.ray_address,
            "n_finalists": self.n_finalists,
            "ensemble": self.ensemble,
            "refit": self.refit,
        }

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values for JSON; functions and strategies are represented by names."""
        record = {
            declared.name: getattr(self, declared.name)
            for declared in fields(self)
            if declared.name != "genes"
        }
        if callable(self.scoring):
            record["scoring"] = {"function": scorer_name(self.scoring)}
        if not isinstance(self.algorithm, str):
            record["algorithm"] = {"strategy": name_of(self.algorithm)}
        return {
            **record,
            "space": self.space.to_dict(),
            "starts": [genome.to_dict() for genome in self.starts],
            "resources": dict(self.resources) if self.resources else None,
            "objectives": list(self.objectives),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], **changes: Any) -> SearchSettings:
        """The settings that `to_dict` returned, with changes.

        Raises `InputError` if the scoring was a function, or the algorithm a strategy of the caller's own,
        which a file cannot hold, and it is not among the changes.
        """
        # A record without these keys is of an earlier version: a single split, and a single last training.
        values = {"folds": 1, "members": 1, **record, **changes}
        if isinstance(values["scoring"], Mapping):
            name = values["scoring"].get("function")
            raise InputError(f"scoring: expected the function {name} that the search had, got none")
        if isinstance(values.get("algorithm"), Mapping):
            name = values["algorithm"].get("strategy")
            raise InputError(f"algorithm: expected the strategy {name} that the search had, got none")
        values["starts"] = tuple(Genome.from_dict(start) for start in values["starts"])
        values["objectives"] = tuple(values["objectives"])
        return cls(**{**values, "space": SearchSpace.from_dict(record["space"])})


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
