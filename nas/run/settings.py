"""Everything about a search but its data, checked once."""

from __future__ import annotations

import functools
import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ParamSpec, TypeVar

from nas.errors import InputError
from nas.evolution import ALGORITHMS, MODELS, OBJECTIVES
from nas.genome import Genome
from nas.run.budget import Budget
from nas.scoring import Scorer, scorer_name
from nas.space import Limits, SearchSpace
from nas.tracking.renamed import SETTINGS as RENAMED

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Parameters
    ----------
    space : SearchSpace
    algorithm : str
        "auto", or one of `nas.evolution.ALGORITHMS`.
    n_candidates : int
        Different networks to train.
    n_epochs : int, optional
        Epochs of training, of all candidates together, at most.
    time_budget : float, optional
        Seconds of searching, after start-up, at most; the first candidate is always finished. The
        search is then a shorter piece of the same sequence.
    target_score : float, optional
        The validation score with which the search ends.
    patience : int, optional
        Candidates in a row without a better score after which the search ends.
    n_workers : int, optional
        Ray worker processes; 0 evaluates in this process. Default: one for each core; of a Ray that runs
        already, as many as it has room for.
    ray_address : str
        "local" for a private Ray on this machine; ``HOST:PORT`` or "auto" for one that runs already.
    resources : mapping of str to float, optional
        What each task asks of Ray: ``num_cpus`` (by default 1), ``num_gpus``, ``memory`` in bytes, or others
        by the names that the cluster has for them.
    islands : int
        Engines that evolve side by side, each with its share of the candidates, and send their best around a
        ring; more than one needs Ray. For so many workers, or candidates so cheap, that a single engine is
        not fast enough for them.
    seed : int
        Decides everything: the split, the genomes, the initial weights, the batches.
    population_size : int, optional
        How many may have children; by default the algorithm's own number.
    inherit, halving : bool, optional
        Whether children start from a parent's trained weights; whether everyone is trained for a few
        epochs first, and the best of them on. By default what suits the algorithm; see
        `nas.evolution.recipe`.
    surrogate : str, optional
        The model that chooses among many children: "process", a Gaussian process, "trees", extra-trees,
        or "none"; by default what suits the algorithm.
    batches_in_flight : int, optional
        Batches of candidates that are under way at once, part of what decides the search; by default 2,
        which is work for about four workers, and always 1 for the generations of plus and comma.
    objectives : sequence of str
        "error", and of "parameters", "flops" and "latency" those that are to be small too. Several ask
        for the algorithm "auto" or "nsga2".
    max_parameters, max_flops, max_latency : float, optional
        The most that a network may have of weights and biases, of floating-point operations for
        predicting a row, and of microseconds for it by estimate; see `nas.space.Costs`.
    scoring : str or callable, optional
        The fitness; see `nas.scorers.metric_for`.
    starts : sequence of Genome
        Candidates to begin with.
    epochs : int, optional
        Epochs of training of a candidate, at most; by default they follow from the number of rows.
    candidate_time_limit : float
        Seconds of training after which a candidate counts as failed.
    n_finalists : int
        How many of the best are scored again before one is named.
    ensemble : int
        Networks of which the outputs are averaged, at most: the winner, and the best beside it; 1 for the
        winner alone. See `nas.run.ensemble`.
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
    algorithm: str = "auto"
    n_candidates: int = 100
    n_epochs: int | None = None
    time_budget: float | None = None
    target_score: float | None = None
    patience: int | None = None
    n_workers: int | None = None
    ray_address: str = "local"
    resources: Mapping[str, float] | None = None
    islands: int = 1
    seed: int = 0
    population_size: int | None = None
    inherit: bool | None = None
    halving: bool | None = None
    surrogate: str | None = None
    batches_in_flight: int | None = None
    objectives: tuple[str, ...] = ("error",)
    max_parameters: float | None = None
    max_flops: float | None = None
    max_latency: float | None = None
    scoring: str | Scorer | None = None
    starts: tuple[Genome, ...] = ()
    epochs: int | None = None
    candidate_time_limit: float = 600.0
    n_finalists: int = 6
    ensemble: int = 1
    refit: bool = True
    baseline: bool = True

    def __post_init__(self) -> None:
        if self.algorithm not in ("auto", *ALGORITHMS):
            names = ", ".join(("auto", *ALGORITHMS))
            raise InputError(f"algorithm: expected one of {names}, got {self.algorithm!r}")
        for name, (kind, least) in _NUMBERS.items():
            value = getattr(self, name)
            good = isinstance(value, kind) and not isinstance(value, bool) and least <= value < 2**32
            if not good and not (value is None and name in _OPTIONAL):
                whole = "a whole number" if kind is int else "a number"
                raise InputError(f"{name}: expected {whole} of at least {least}, below 2**32, got {value!r}")
        if self.surrogate not in (None, "none", *MODELS):
            raise InputError(f"surrogate: expected none, {', '.join(MODELS)}, got {self.surrogate!r}")
        for name in ("inherit", "halving"):
            if getattr(self, name) not in (None, True, False):
                raise InputError(f"{name}: expected true or false, got {getattr(self, name)!r}")
        if self.target_score is not None and not _is_number(self.target_score):
            raise InputError(f"target_score: expected a number, got {self.target_score!r}")
        self._check_batches_in_flight()
        self._check_ray()
        self._check_objectives()
        for genome in self.starts:
            if genome not in self.space:
                raise InputError(f"starts: expected genomes of space {self.space.name}, got {genome}")

    def _check_batches_in_flight(self) -> None:
        if self.algorithm == "auto" or self.batches_in_flight in (None, 1):
            return
        if ALGORITHMS[self.algorithm].default_batches_in_flight == 1:
            raise InputError(
                f"batches_in_flight: expected 1 for the generations of {self.algorithm}, got "
                f"{self.batches_in_flight}"
            )

    def _check_ray(self) -> None:
        if not isinstance(self.ray_address, str) or not self.ray_address.strip():
            raise InputError(f"ray_address: expected local, auto or HOST:PORT, got {self.ray_address!r}")
        if self.n_workers == 0 and (self.ray_address != "local" or self.resources):
            raise InputError("n_workers: expected at least 1 with an address or resources of Ray, got 0")
        if self.n_workers == 0 and self.islands > 1:
            raise InputError(f"n_workers: expected at least 1 with {self.islands} islands, got 0")
        for name, amount in (self.resources or {}).items():
            if name in ("CPU", "GPU"):
                raise InputError(f"resources: expected num_{name.lower()}s, got {name}")
            if not name.strip() or not _is_number(amount) or amount < 0:
                raise InputError(f"resources: expected names with numbers from 0, got {name!r}: {amount!r}")

    def _check_objectives(self) -> None:
        put = object.__setattr__
        names = (self.objectives,) if isinstance(self.objectives, str) else tuple(self.objectives)
        put(self, "objectives", names)
        if any(name not in OBJECTIVES for name in names) or len(set(names)) < len(names) or not names:
            raise InputError(f"objectives: expected some of {', '.join(OBJECTIVES)}, got {', '.join(names)}")
        if names[0] != "error":
            raise InputError(f"objectives: expected error first, got {', '.join(names)}")
        if len(names) == 1 and self.algorithm == "nsga2":
            put(self, "objectives", ("error", "parameters"))
        if len(names) > 1 and self.algorithm not in ("auto", "nsga2"):
            raise InputError(
                f"algorithm: expected auto or nsga2 for the objectives {', '.join(names)}, got "
                f"{self.algorithm}"
            )

    @property
    def budget(self) -> Budget:
        """What the search may spend."""
        return Budget(self.n_candidates, self.n_epochs, self.time_budget, self.target_score, self.patience)

    @property
    def limits(self) -> Limits:
        """What a network may cost."""
        return Limits(self.max_parameters, self.max_flops, self.max_latency)

    @property
    def workers(self) -> int | None:
        """The number of workers; 0 for none, None for as many as there is room for."""
        if self.n_workers is None and self.ray_address == "local":
            return available_cores()
        return self.n_workers

    @property
    def options(self) -> dict[str, Any]:
        """Those that decide no result of the search itself."""
        return {
            "algorithm": self.algorithm,
            **{f"budget.{key}": value for key, value in asdict(self.budget).items()},
            "n_workers": self.workers,
            "ray_address": self.ray_address,
            "n_finalists": self.n_finalists,
            "ensemble": self.ensemble,
            "refit": self.refit,
        }

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values for JSON; of a scoring function its name."""
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        if callable(self.scoring):
            record["scoring"] = {"function": scorer_name(self.scoring)}
        starts = [genome.to_dict() for genome in self.starts]
        return {
            **record,
            "space": self.space.to_dict(),
            "starts": starts,
            "resources": dict(self.resources) if self.resources else None,
            "objectives": list(self.objectives),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], **changes: Any) -> SearchSettings:
        """The settings that `to_dict` wrote, with changes.

        Raises `InputError` where the scoring was a function and is not among the changes.
        """
        values = {**record, **changes}
        if isinstance(values["scoring"], Mapping):
            name = values["scoring"].get("function")
            raise InputError(f"scoring: expected the function {name} that the search had, got none")
        values["starts"] = tuple(Genome.from_dict(start) for start in values["starts"])
        values["objectives"] = tuple(values["objectives"])
        return cls(**{**values, "space": SearchSpace.from_dict(record["space"])})


_NUMBERS: dict[str, tuple[Any, float]] = {
    "n_candidates": (int, 1),
    "n_epochs": (int, 1),
    "patience": (int, 1),
    "n_finalists": (int, 1),
    "ensemble": (int, 1),
    "time_budget": ((int, float), 0.001),
    "n_workers": (int, 0),
    "islands": (int, 1),
    "seed": (int, 0),
    "population_size": (int, 2),
    "batches_in_flight": (int, 1),
    "epochs": (int, 1),
    "candidate_time_limit": ((int, float), 0.001),
}
_OPTIONAL = (
    "n_epochs",
    "time_budget",
    "patience",
    "n_workers",
    "population_size",
    "batches_in_flight",
    "epochs",
)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def by_new_keywords(function: Callable[P, T]) -> Callable[P, T]:
    """A function that takes the settings of earlier versions by their new names, with a FutureWarning."""

    @functools.wraps(function)
    def renaming(*arguments: P.args, **keywords: P.kwargs) -> T:
        for name in RENAMED.keys() & keywords.keys():
            now = RENAMED[name]
            if now in keywords:
                raise InputError(f"{name}: expected {now} alone, which is its name now, got both")
            warnings.warn(f"{name} is now {now}", FutureWarning, stacklevel=2)
            keywords[now] = keywords.pop(name)
        return function(*arguments, **keywords)

    return renaming


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
