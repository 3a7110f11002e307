"""The search engines against stored results of exhaustive grids: no training, so many seeds.

    python -m benchmarks.replay TABLE.npz... [--seeds 20] [--quick] [--smac] [--json FILE] [--plot FILE]

Each TABLE holds every configuration of a grid, trained several times: of FCNet's (Klein & Hutter 2019) or
of HPOBench's networks (Eggensperger et al. 2021), in the format of the arrays that `Table` reads. A
question is answered by one of the repeats at random. After so many questions each contestant returns one
configuration, and its regret is (its mean over the repeats - the best mean) / (the median - the best).

nas keeps 15 of its 100 questions for scoring its five finalists again, three times each, as a search does
with folds at its end, and returns the finalist with the best mean of these; all other contestants return
the configuration with the best mean answer.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np

from benchmarks.harness import Figure, report
from benchmarks.replay_peers import PEERS, play
from nas.evaluation import Evaluation
from nas.evolution import recipe
from nas.genome import Genome
from nas.space import SearchSpace

_N = 100
_FINALISTS, _REPEATS = 5, 3
_ENGINES = ("auto", "steady-state", "aging", "plus", "random")
_SLOW = ("smac", "smac once")

TARGETS = {"fcnet": (0.004, 0.0004), "hpobench_nn": (0.075, 0.065)}
"""Target of the mean and the median regret on each family."""


class Table:
    """A grid with its repeats; answers are losses.

    Parameters
    ----------
    path : Path
        An archive with ``idx`` of shape (rows, parameters), ``param_names``, ``choices_<name>`` and
        ``val`` of shape (rows, repeats): losses for FCNet, scores for HPOBench.
    """

    def __init__(self, path: Path) -> None:
        archive = np.load(path, allow_pickle=False)
        self.name = path.stem
        self.family = next(family for family in TARGETS if path.stem.startswith(family))
        names = [str(name) for name in archive["param_names"]]
        self.parameters = {name: tuple(archive[f"choices_{name}"].tolist()) for name in names}
        self.ordinal = {name for name, values in self.parameters.items() if not isinstance(values[0], str)}
        shape = tuple(map(len, self.parameters.values()))
        sign = 1.0 if self.family == "fcnet" else -1.0
        self._losses = np.empty((*shape, archive["val"].shape[1]))
        self._losses[tuple(archive["idx"].T)] = sign * archive["val"]
        means = self._losses.mean(axis=-1)
        self._best, self._median = float(means.min()), float(np.median(means))
        self._shape = shape

    def ask(self, indices: Sequence[int], rng: np.random.Generator) -> float:
        """One of the repeats of the configuration with these choices."""
        repeats = self._losses[tuple(indices)]
        return float(repeats[rng.integers(len(repeats))])

    def row(self, indices: Sequence[int]) -> int:
        """Return the number of the configuration with these choices."""
        return int(np.ravel_multi_index(tuple(indices), self._shape))

    def regret(self, row: int) -> float:
        """The normalised regret of a configuration."""
        mean = float(self._losses[np.unravel_index(row, self._shape)].mean())
        return (mean - self._best) / (self._median - self._best)

    @property
    def space(self) -> SearchSpace:
        """The grid as a search space."""
        choices = self.parameters
        if self.family == "fcnet":
            return SearchSpace(
                depth=(2, 2),
                widths=choices["n_units_1"],
                activation=choices["activation_fn_1"],
                activation_per_layer=True,
                dropout=choices["dropout_1"],
                dropout_per_layer=True,
                batch_size=choices["batch_size"],
                learning_rate=choices["init_lr"],
                schedule=[_SCHEDULES[name] for name in choices["lr_schedule"]],
            )
        return SearchSpace(
            depth=(choices["depth"][0], choices["depth"][-1]),
            widths=choices["width"],
            equal_widths=True,
            batch_size=choices["batch_size"],
            learning_rate=choices["learning_rate_init"],
            weight_decay=choices["alpha"],
        )

    def indices(self, genome: Genome) -> list[int]:
        """Return the choices of a genome of `space`."""
        values: dict[str, Any] = {"batch_size": genome.batch_size}
        if self.family == "fcnet":
            for i, layer in enumerate(genome.layers, 1):
                values |= {
                    f"n_units_{i}": layer.width,
                    f"activation_fn_{i}": layer.activation,
                    f"dropout_{i}": layer.dropout,
                }
            schedule = next(name for name, schedule in _SCHEDULES.items() if schedule == genome.schedule)
            values |= {"init_lr": genome.learning_rate, "lr_schedule": schedule}
        else:
            values |= {"depth": genome.depth, "width": genome.widths[0]}
            values |= {"learning_rate_init": genome.learning_rate, "alpha": genome.weight_decay}
        return [choices.index(values[name]) for name, choices in self.parameters.items()]


_SCHEDULES = {"const": "constant", "cosine": "cosine"}


def nas_search(algorithm: str, table: Table, seed: int) -> tuple[int, float]:
    """Search a table with an engine of nas: return the row of its result, and the seconds of its own.

    Tables hold no weights, so that all trainings start from scratch.
    """
    rng = np.random.default_rng([seed, 1])
    since, waited = time.perf_counter(), 0.0
    engine = recipe(algorithm, inherit=False, halving=False).engine(table.space, seed, epochs=1)
    n = _N - _FINALISTS * _REPEATS if algorithm == "auto" else _N
    n_told, in_flight = 0, []
    while n_told < n:
        while engine.can_ask and (batch := engine.ask()):
            in_flight += batch
        candidate = in_flight.pop(0)
        before = time.perf_counter()
        loss = table.ask(table.indices(candidate.genome), rng)
        waited += time.perf_counter() - before
        engine.tell(Evaluation(candidate.id, fitness=-loss, validation_loss=loss))
        n_told += 1
    if algorithm == "auto":
        finalists = engine.finalists(_FINALISTS)
        answers = [
            fmean(-table.ask(table.indices(individual.genome), rng) for _ in range(_REPEATS))
            for individual in finalists
        ]
        best = finalists[engine.named(finalists, answers)].genome
    else:
        assert engine.best is not None, "no evaluation of a table fails"
        best = engine.best.genome
    return table.row(table.indices(best)), time.perf_counter() - since - waited


Contestant = Callable[[Table, int], tuple[int, float]]


def contest(tables: Sequence[Table], seeds: Sequence[int], peers: Sequence[str]) -> list[dict[str, Any]]:
    """Every contestant on every table with every seed, in turn."""
    contestants: dict[str, Contestant] = {f"nas {name}": partial(nas_search, name) for name in _ENGINES}
    contestants |= {name: partial(_peer, name) for name in peers}
    rows = []
    for seed in seeds:
        for table in tables:
            for name, search in contestants.items():
                row, seconds = search(table, seed)
                rows.append(
                    {
                        "table": table.name,
                        "family": table.family,
                        "contestant": name,
                        "seed": seed,
                        "regret": table.regret(row),
                        "seconds": round(seconds, 4),
                    }
                )
        print(f"seed {seed} is done", file=sys.stderr, flush=True)
    return rows


def _peer(name: str, table: Table, seed: int) -> tuple[int, float]:
    played = play(PEERS[name], table, _N, seed)
    return played.best(), played.seconds


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each family and contestant: mean with its 95 % interval over seeds, median, seconds."""
    lines = []
    for family in dict.fromkeys(row["family"] for row in rows):
        for name in dict.fromkeys(row["contestant"] for row in rows):
            selected = [row for row in rows if (row["family"], row["contestant"]) == (family, name)]
            if not selected:
                continue
            by_seed = [
                fmean(row["regret"] for row in selected if row["seed"] == seed)
                for seed in dict.fromkeys(row["seed"] for row in selected)
            ]
            half = 1.96 * stdev(by_seed) / len(by_seed) ** 0.5 if len(by_seed) > 1 else float("nan")
            lines.append(
                {
                    "tables": family,
                    "contestant": name,
                    "mean regret, 95 % interval": f"{fmean(by_seed):.4f} ± {half:.4f}",
                    "median": f"{median(row['regret'] for row in selected):.4f}",
                    "own seconds": f"{fmean(row['seconds'] for row in selected):.2f}",
                }
            )
    return lines


def figures(rows: Sequence[dict[str, Any]]) -> list[Figure]:
    """Compare the default search on each family with its targets."""
    targets = []
    for family, (mean, middle) in TARGETS.items():
        regrets = [r["regret"] for r in rows if r["family"] == family and r["contestant"] == "nas auto"]
        if regrets:
            n = f"{_N} evaluations"
            targets.append(Figure(f"{family}, {n}: mean regret of auto", mean, fmean(regrets), at_most=True))
            targets.append(Figure(f"{family}, {n}: median regret", middle, median(regrets), at_most=True))
    return targets


def main() -> None:
    """Run the contest and print its results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.replay", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="default: 20")
    parser.add_argument("--quick", action="store_true", help="three seeds, without SMAC")
    parser.add_argument("--smac", action="store_true", help="with SMAC: a minute a search")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    parser.add_argument("--plot", metavar="FILE", help="draw the regrets")
    options = parser.parse_args()
    tables = [Table(path) for path in options.tables]
    seeds = range(3 if options.quick else options.seeds)
    peers = [name for name in PEERS if name not in _SLOW or (options.smac and not options.quick)]
    rows = contest(tables, seeds, peers)
    report(figures(rows), summary(rows), options.json, rows)
    if options.plot:
        _plot(rows, options.plot)


def _plot(rows: Sequence[dict[str, Any]], file: str) -> None:
    """Each contestant's regrets on each table, as boxes."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row["contestant"] for row in rows))
    tables = list(dict.fromkeys(row["table"] for row in rows))
    size = (3.2 * len(tables), 4)
    figure, axes = plt.subplots(1, len(tables), figsize=size, sharey=True, squeeze=False)
    for axis, table in zip(axes[0], tables, strict=True):
        values = [
            [max(r["regret"], 1e-5) for r in rows if r["table"] == table and r["contestant"] == name]
            for name in names
        ]
        axis.boxplot(values[::-1], orientation="horizontal", tick_labels=names[::-1])
        axis.set_xscale("log")
        axis.set_title(table, fontsize=9)
        axis.set_xlabel("normalised regret")
    figure.tight_layout()
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main()
