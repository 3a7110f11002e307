"""The settings that decide a search, in groups.

Each group is a frozen dataclass with keyword arguments only; `SearchSettings`, in
`nas.settings.search_settings`, is composed of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nas.errors import InputError
from nas.settings.budget import Budget
from nas.settings.kinds import (
    amounts,
    choice,
    choice_or_object,
    finite,
    flag,
    positive,
    seconds,
    several,
    text,
    text_or_object,
    values_by_name,
    whole,
)
from nas.settings.setting import setting

if TYPE_CHECKING:
    from nas.evolution import Algorithm
    from nas.genome import Genome
    from nas.scoring import Scorer
    from nas.space import SearchSpace


@dataclass(frozen=True, kw_only=True)
class BudgetSettings:
    """When the search ends: at the first limit that is reached."""

    section: ClassVar[str] = "budget"

    n_candidates: int = setting(100, whole(1), "Different networks to train", metavar="N", resumable=True)
    total_epochs: int | None = setting(
        None,
        whole(1),
        "Epochs of training, summed over all candidates",
        unit="epochs",
        former="n_epochs",
        otherwise="no limit",
        metavar="N",
        example=5_000,
    )
    time_budget: float | None = setting(
        None,
        seconds(0.001),
        "Wall time of the whole command in seconds: start, search, last training, report and tracking",
        more="Counted from the start of the process, or from the call in Python. Time only shortens the "
        "sequence of candidates, and what follows it; there is always a network. A resumed search has it "
        "anew.",
        unit="s",
        otherwise="no limit",
        metavar="TIME",
        resumable=True,
        example=600,
    )
    target_score: float | None = setting(
        None,
        finite(),
        "Validation score at which the search ends",
        otherwise="no limit",
        metavar="SCORE",
        example=0.95,
    )
    patience: int | None = setting(
        None,
        whole(1),
        "Candidates in a row without a better validation score, after which the search ends",
        unit="candidates",
        otherwise="no limit",
        metavar="N",
        example=50,
    )

    @property
    def budget(self) -> Budget:
        """The limits of the search."""
        return Budget(
            self.n_candidates, self.total_epochs, self.time_budget, self.target_score, self.patience
        )


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """What a network and its training may cost."""

    section: ClassVar[str] = "limits"

    max_parameters: float | None = setting(
        None,
        positive(),
        "Most weights and biases of a network",
        unit="parameters",
        otherwise="no limit",
        metavar="N",
        example=10_000,
    )
    max_flops: float | None = setting(
        None,
        positive(),
        "Most floating-point operations to predict a row",
        unit="operations",
        otherwise="no limit",
        metavar="N",
        example=100_000,
    )
    max_latency: float | None = setting(
        None,
        positive(),
        "Longest time to predict a row, in microseconds, by estimate",
        more="See `nas.space.Costs`.",
        unit="µs",
        otherwise="no limit",
        metavar="MICROSECONDS",
        example=50,
    )
    epochs: int | None = setting(
        None,
        whole(1),
        "Most epochs of training of a candidate",
        unit="epochs",
        otherwise="by the number of rows",
        metavar="N",
        example=60,
    )
    candidate_time_limit: float = setting(
        600.0,
        seconds(0.001),
        "Seconds of training after which a candidate counts as failed",
        unit="s",
        metavar="TIME",
    )


@dataclass(frozen=True, kw_only=True)
class StrategySettings:
    """How networks are proposed, compared and trained."""

    section: ClassVar[str] = "strategy"

    space: SearchSpace | str | os.PathLike[str] = setting(
        "small",
        text_or_object(
            "SearchSpace, str or path",
            "a name or a path",
            os.PathLike,
            "nas.space:SearchSpace",
            or_objects=", or a SearchSpace",
        ),
        "Search space: the name of a bundled space or a TOML file; see 'nas spaces'",
        metavar="NAME|FILE",
    )
    genes: Mapping[str, Any] | None = setting(
        None,
        values_by_name(),
        "Values to keep of a gene of the space, such as depth=1-2 or activation=relu,tanh; may be repeated",
        more="In Python and in files a mapping from names of genes, ``depth`` and ``widths`` among them, to "
        "a value, several, or a text; see `nas.space.narrowed`.",
        otherwise="all values of the space",
        metavar="GENE=VALUES",
        example={"depth": "1-2", "activation": ["relu", "tanh"]},
    )
    algorithm: Algorithm = setting(
        "auto",
        choice_or_object("auto", registry="nas.evolution:ALGORITHMS", base="nas.evolution:Strategy"),
        "Algorithm that proposes networks",
        more="In Python also a strategy of the caller's own; see `nas.evolution.Strategy`.",
        metavar="NAME",
    )
    seed: int = setting(
        0,
        whole(0),
        "Seed of the split, the genomes, the initial weights and the batches",
        more="The same seed gives the same search for any number of workers.",
        metavar="N",
    )
    population_size: int | None = setting(
        None,
        whole(2),
        "Number of networks that may have children",
        unit="networks",
        otherwise="by the algorithm",
        former_option="--population",
        metavar="N",
        example=20,
    )
    inherit: bool | None = setting(
        None,
        flag(),
        "Whether children start from the trained weights of a parent",
        more="See `nas.evolution.recipe`.",
        otherwise="by the algorithm",
        example=True,
    )
    halving: bool | None = setting(
        None,
        flag(),
        "Whether all candidates are trained for a few epochs and only the best are continued "
        "(successive halving)",
        otherwise="by the algorithm",
        former="racing",
        example=True,
    )
    surrogate: str | None = setting(
        None,
        choice("none", registry="nas.evolution:MODELS"),
        "Model that selects candidates among many children: a Gaussian process, extra-trees or none",
        otherwise="by the algorithm",
        metavar="MODEL",
        former="screening",
        example="none",
    )
    batches_in_flight: int | None = setting(
        None,
        whole(1),
        "Batches of candidates that are evaluated at the same time",
        more="It decides the sequence of candidates. Two batches are work for about four workers; the "
        "generations of plus and comma take 1.",
        unit="batches",
        otherwise="2, or 1 for generations",
        metavar="N",
        former="lag",
        example=4,
    )
    objectives: str | Sequence[str] = setting(
        ("error",),
        several(registry="nas.evolution:OBJECTIVES"),
        "Quantities to minimize, joined by commas, the error first",
        more="Several objectives need the algorithm auto or nsga2.",
        metavar="LIST",
    )
    scoring: str | Scorer | None = setting(
        None,
        text_or_object(
            "str or callable", "a scorer's name", "collections.abc:Callable", or_objects=" or a function"
        ),
        "Validation score to maximize: the name of a scorer of scikit-learn",
        more="In Python also a function ``scorer(estimator, X, y)``; see `nas.scorers.metric_for`.",
        otherwise="accuracy, or r2 for regression",
        metavar="NAME",
        example="balanced_accuracy",
    )
    folds: int | None = setting(
        None,
        whole(1),
        "Folds that candidates are cross-validated on; 1 holds out a fifth of the rows instead",
        more="The folds of a candidate train together; candidates without a chance train on the first only.",
        unit="folds",
        otherwise="5 for fewer than 4,000 rows, else 1",
        metavar="K",
        example=10,
    )
    starts: Iterable[Genome] | str | os.PathLike[str] = setting(
        (),
        text_or_object(
            "iterable of Genome, or path",
            "a run's folder or a JSON file",
            os.PathLike,
            Iterable,
            or_objects=", or genomes",
        ),
        "First candidates: the best genomes of an earlier run's folder, or those listed in a JSON file",
        more="A run's genomes outside of the space are left out. A file lists what `Genome.to_dict` returns.",
        former_option="--start",
        metavar="RUN|FILE",
        example="runs/mine-20261122-172224",
    )


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Where candidates are trained."""

    section: ClassVar[str] = "workers"

    n_workers: int | None = setting(
        None,
        whole(0),
        "Ray worker processes; 0 trains in this process, without Ray",
        unit="processes",
        more="By default, and in budgets up to 20 s, they start only where they save time; meanwhile this "
        "process trains.",
        otherwise="the number of cores, or what a running Ray has room for",
        metavar="N",
        resumable=True,
        example=4,
    )
    ray_address: str = setting(
        "local",
        text("local, auto or HOST:PORT"),
        "Address of a running Ray; auto for the one of this machine, local for a private Ray",
        metavar="HOST:PORT",
        resumable=True,
    )
    resources: Mapping[str, float] | None = setting(
        None,
        amounts(),
        "Resources of Ray that a task needs, such as num_cpus=2,memory=4e9,fast=1",
        more="``num_cpus``, ``num_gpus``, ``memory`` in bytes, or any name of a resource of the cluster.",
        otherwise="a core",
        metavar="LIST",
        resumable=True,
        example={"num_cpus": 2},
    )
    islands: int = setting(
        1,
        whole(1),
        "Engines that evolve side by side and exchange their best networks around a ring",
        more="Each has its share of the candidates. More than one island needs Ray, and pays off where a "
        "single engine is too slow for the number of workers.",
        unit="engines",
        metavar="N",
    )

    def check_workers(self) -> None:
        """Raise `InputError` on settings that need workers without any, and names of Ray's own resources."""
        if self.n_workers == 0 and (self.ray_address != "local" or self.resources):
            raise InputError("n_workers: expected at least 1 with an address or resources of Ray, got 0")
        if self.n_workers == 0 and self.islands > 1:
            raise InputError(f"n_workers: expected at least 1 with {self.islands} islands, got 0")
        for name in self.resources or {}:
            if name in ("CPU", "GPU"):
                raise InputError(f"resources: expected num_{name.lower()}s, got {name}")


@dataclass(frozen=True, kw_only=True)
class SelectionSettings:
    """How the winner is selected, trained and compared."""

    section: ClassVar[str] = "selection"

    n_finalists: int | None = setting(
        None,
        whole(1),
        "Best networks that are scored again on other validation rows before the winner is selected",
        unit="networks",
        otherwise="3 where candidates are cross-validated, else 6",
        example=6,
        metavar="N",
    )
    ensemble: int = setting(
        1,
        whole(1),
        "Most networks of the averaged ensemble, the winner among them; 1 for the winner alone",
        more="See `nas.run.ensemble`.",
        unit="networks",
        metavar="K",
    )
    refit: bool = setting(
        True,
        flag(),
        "Whether the winner is trained once more, on training and validation rows together",
    )
    members: int | None = setting(
        None,
        whole(1, 100),
        "Trainings of the winner, with other initial weights each, of which predictions are the mean",
        more="1 for a single network.",
        unit="networks",
        otherwise="5 for fewer than 10,000 rows of one target without limits or further objectives, else 1",
        metavar="K",
        example=1,
    )
    baseline: bool = setting(
        True,
        flag(),
        "Whether scikit-learn's default network and its gradient-boosted trees are scored beside the winner",
        more="One that would take more than a tenth of the search's time is left out.",
    )
    importance: bool = setting(
        True,
        flag(),
        "Whether the importance of columns is measured, by shuffling each among rows that were held out",
    )
