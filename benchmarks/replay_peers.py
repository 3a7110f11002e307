"""Other libraries' searches over a stored table: the same questions, one noisy answer each.

Each peer is a function ``peer(table, n_evaluations, seed)`` that returns the rows it asked for, in order.
`play` also keeps what the table answered and counts the seconds that were the algorithm's own. Parameters
in ``table.ordinal`` are passed to the libraries as integers, the others as categories, unless a peer says
otherwise.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Table(Protocol):
    """A grid of configurations, each of which was trained several times; lower answers are better."""

    @property
    def parameters(self) -> dict[str, tuple[Any, ...]]:
        """The choices of each parameter, in order."""

    @property
    def ordinal(self) -> set[str]:
        """Names of the parameters with ordered choices."""

    def ask(self, indices: Sequence[int], rng: np.random.Generator) -> float:
        """One of the repeats of the configuration with these choices."""

    def row(self, indices: Sequence[int]) -> int:
        """Where the configuration with these choices stands in the table."""


Peer = Callable[[Table, int, int], list[int]]


@dataclass(frozen=True)
class Played:
    """A search over a table: the rows asked for, what was answered, the algorithm's own seconds."""

    rows: list[int]
    answers: list[float]
    seconds: float

    def best(self, n_evaluations: int | None = None) -> int:
        """The row with the lowest mean answer among the first evaluations (all, unless said)."""
        answers: dict[int, list[float]] = {}
        for row, answer in zip(self.rows[:n_evaluations], self.answers, strict=False):
            answers.setdefault(row, []).append(answer)
        return min(answers, key=lambda row: float(np.mean(answers[row])))


def play(peer: Peer, table: Table, n_evaluations: int, seed: int) -> Played:
    """Let the peer search the table, and record its answers and its own seconds."""
    watched = _Watched(table)
    since = time.perf_counter()
    rows = peer(watched, n_evaluations, seed)
    return Played(rows, watched.answers, time.perf_counter() - since - watched.seconds)


class _Watched:
    """A table that keeps its answers and the seconds they took."""

    def __init__(self, table: Table):
        self.parameters, self.ordinal, self.row = table.parameters, table.ordinal, table.row
        self.answers: list[float] = []
        self.seconds = 0.0
        self._table = table

    def ask(self, indices: Sequence[int], rng: np.random.Generator) -> float:
        since = time.perf_counter()
        self.answers.append(self._table.ask(indices, rng))
        self.seconds += time.perf_counter() - since
        return self.answers[-1]


def random_search(table: Table, n_evaluations: int, seed: int) -> list[int]:
    """Draw every choice uniformly, whatever the answers."""
    rng = np.random.default_rng(seed)
    sizes = [len(choices) for choices in table.parameters.values()]
    ask = _Questions(table, seed)
    for _ in range(n_evaluations):
        ask(rng.integers(sizes).tolist())
    return ask.rows


def optuna_tpe(table: Table, n_evaluations: int, seed: int) -> list[int]:
    """Optuna's tree-structured Parzen estimator, its default sampler, with its defaults."""
    import optuna

    return _optuna(table, n_evaluations, seed, optuna.samplers.TPESampler(seed=seed))


def optuna_tpe_unordered(table: Table, n_evaluations: int, seed: int) -> list[int]:
    """The same with every parameter as categories: better on some grids, worse on others."""
    import optuna

    return _optuna(table, n_evaluations, seed, optuna.samplers.TPESampler(seed=seed), ordered=False)


def optuna_nsga2(table: Table, n_evaluations: int, seed: int) -> list[int]:
    """Optuna's NSGA-II for one objective, with 20 individuals a generation."""
    import optuna

    return _optuna(table, n_evaluations, seed, optuna.samplers.NSGAIISampler(population_size=20, seed=seed))


def smac(table: Table, n_evaluations: int, seed: int) -> list[int]:
    """SMAC3's facade for hyperparameters: random forests, up to three answers a configuration.

    Both of its forms need about half a second a decision, a hundred times what Optuna needs.
    """
    return _smac(table, n_evaluations, seed, deterministic=False)


def smac_once(table: Table, n_evaluations: int, seed: int) -> list[int]:
    """The same with one answer a configuration: no configuration is evaluated twice."""
    return _smac(table, n_evaluations, seed, deterministic=True)


# SMAC's forms stand last: they take most of the time.
PEERS: dict[str, Peer] = {
    "random": random_search,
    "optuna tpe": optuna_tpe,
    "optuna tpe unordered": optuna_tpe_unordered,
    "optuna nsga-ii": optuna_nsga2,
    "smac": smac,
    "smac once": smac_once,
}


class _Questions:
    """Asks the table, with repeats drawn by a generator of its own, and notes the rows."""

    def __init__(self, table: Table, seed: int):
        self.rows: list[int] = []
        self._table = table
        self._rng = np.random.default_rng([seed, 1])

    def __call__(self, indices: Sequence[int]) -> float:
        self.rows.append(self._table.row(indices))
        return self._table.ask(indices, self._rng)


def _optuna(table: Table, n_evaluations: int, seed: int, sampler: Any, ordered: bool = True) -> list[int]:
    import optuna

    ask = _Questions(table, seed)

    def objective(trial: Any) -> float:
        return ask([_suggested(trial, table, name, ordered) for name in table.parameters])

    with _silent("optuna"):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_evaluations)
    return ask.rows


def _suggested(trial: Any, table: Table, name: str, ordered: bool) -> int:
    last = len(table.parameters[name]) - 1
    if ordered and name in table.ordinal:
        return int(trial.suggest_int(name, 0, last))
    return int(trial.suggest_categorical(name, range(last + 1)))


def _smac(table: Table, n_evaluations: int, seed: int, deterministic: bool) -> list[int]:
    from ConfigSpace import Categorical, ConfigurationSpace, Integer
    from smac import HyperparameterOptimizationFacade, Scenario

    ask = _Questions(table, seed)

    # SMAC prescribes the name `seed`, and concludes from it that answers vary.
    def target(config: Any, seed: int = 0) -> float:
        return ask([int(config[name]) for name in table.parameters])

    space = ConfigurationSpace(seed=seed)
    for name, choices in table.parameters.items():
        indices = list(range(len(choices)))
        ordered = name in table.ordinal
        space.add(Integer(name, (0, indices[-1])) if ordered else Categorical(name, indices))
    with _silent("smac"), tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space,
            output_directory=Path(folder),
            deterministic=deterministic,
            n_trials=n_evaluations,
            seed=seed,
        )
        HyperparameterOptimizationFacade(scenario, target, logging_level=False, overwrite=True).optimize()
    return ask.rows


@contextmanager
def _silent(logger: str) -> Iterator[None]:
    """No warnings, and nothing below an error from this logger."""
    level = logging.getLogger(logger).level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger(logger).setLevel(logging.ERROR)
        try:
            yield
        finally:
            logging.getLogger(logger).setLevel(level)
