"""Quality of search: what nas and other searches find in the same time on the same rows and cores.

    python -m benchmarks.search_quality DATA... [--seconds S] [--seeds N] [--first-seed N] [--quick]
                                        [--contestants A,B] [--json FILE] [--plot FILE]
    python -m benchmarks.search_quality --merge FILE... [--json FILE] [--plot FILE]

DATA are names and files that `nas.load_dataset` takes, and .npz files with `X`, `y`, `task` (clf or
reg), and, where there are any, `feature_names` and `cat_mask`. For each seed all contestants run one
after the other, on two cores, with the same split: nas, four other searches (see `search_peers`), and
scikit-learn's default network, which has only a test score. A sixth search is Optuna's NSGA-II over
score and size.

Each has S seconds from when its first network can begin; starting processes, imports and the last
training of the winner are not counted. All validation scores are the best over a training's epochs.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import math
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import moocore
import numpy as np

import nas
from benchmarks import search_peers
from benchmarks.data import load
from benchmarks.harness import Figure, report
from benchmarks.search_peers import PROCESSES, Task
from nas.data import BUNDLED, Dataset
from nas.network.arrays import Array, Floats
from nas.run.preparation import Prepared, prepare
from nas.space import load_space

SPACE = replace(load_space("small"), scaling=())
"""The default, but for what the others do not do either: all read the same arrays."""

LABELS = {
    "nas": "nas",
    "tpe": "Optuna, TPE and Hyperband",
    "nsga2": "Optuna, NSGA-II",
    "random": "Optuna, random",
    "genetic": "sklearn-genetic-opt",
    "default": "scikit-learn's default",
    "nas-pareto": "nas, score and size",
    "pareto": "Optuna, NSGA-II, score and size",
}
NEEDS = {
    "genetic": "sklearn_genetic",
    "tpe": "optuna",
    "nsga2": "optuna",
    "random": "optuna",
    "pareto": "optuna",
}
RIVALS = ("tpe", "nsga2", "random", "genetic", "default")
"""Whose test scores are compared with that of nas."""

LINES = [
    ("nas", "curve", "nas", "#0072B2", "-"),
    ("tpe", "curve", LABELS["tpe"], "#D55E00", "-"),
    ("nsga2", "curve", LABELS["nsga2"], "#009E73", "--"),
    ("random", "curve", LABELS["random"], "#777777", ":"),
    ("genetic", "curve", LABELS["genetic"], "#CC79A7", "-."),
]
"""Okabe and Ito's colours, which the colour-blind can tell apart."""

TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)

MANY = 10**6
"""Candidates of nas: more than it has time for."""

Row = dict[str, Any]
"""What one contestant came to on one data set with one seed."""

Points = list[tuple[float, float]]


def main(arguments: list[str] | None = None) -> None:
    """Measure or merge, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    if options.merge:
        raw = [row for file in options.merge for row in json.loads(Path(file).read_text())["rows"]]
    else:
        raw = list(_contest(options))
    if len({row["seconds"] for row in raw}) > 1:
        raise SystemExit("rows: expected one number of seconds in all, got several")
    print()
    report(_figures(raw), _summary(raw), options.json, raw)
    print(f"{raw[0]['seconds']:g} s, means over {len({row['seed'] for row in raw})} seeds")
    if options.plot:
        _plot(raw, options.plot)


def _contest(options: argparse.Namespace) -> Iterator[Row]:
    names = options.contestants.split(",") if options.contestants else list(LABELS)
    if unknown := set(names) - set(LABELS):
        raise SystemExit(f"--contestants: expected some of {', '.join(LABELS)}, got {', '.join(unknown)}")
    names = [name for name in names if name not in NEEDS or importlib.util.find_spec(NEEDS[name])]
    seconds = options.seconds or (10.0 if options.quick else 60.0)
    seeds = options.seeds or (1 if options.quick else 3)
    for data in options.data or BUNDLED:
        dataset = load(data)
        for seed in range(options.first_seed, options.first_seed + seeds):
            prepared = prepare(dataset, seed)
            for name in names:
                row = _run(name, prepared, seconds, seed)
                if row is None:
                    print(f"{dataset.name}, seed {seed}, {name}: nothing in time", file=sys.stderr)
                    continue
                print(
                    f"{row['data']}, seed {seed}, {name}: {row['networks']} networks, validation "
                    f"{_validation(row):.4f}, test {row['test']:.4f}",
                    file=sys.stderr,
                    flush=True,
                )
                yield row


def _run(name: str, prepared: Prepared, seconds: float, seed: int) -> Row | None:
    """One contestant's search on one data set with one seed; None if it finished no network."""
    task = Task.of(prepared, SPACE)
    row: Row = {"data": prepared.dataset.name, "contestant": name, "seed": seed, "seconds": seconds}
    if name == "nas":
        result, times = _nas(prepared.dataset, seconds, seed)
        row |= _searched(_nas_curve(result, times, seconds), _nas_sizes(result, times, seconds))
        predictions = _nas_predictions(prepared, result)
    elif name == "nas-pareto":
        result, times = _nas(prepared.dataset, seconds, seed, objectives=("error", "parameters"))
        row |= _searched(_nas_curve(result, times, seconds), _nas_sizes(result, times, seconds))
        predictions = _nas_predictions(prepared, result)
    elif name == "default":
        row |= _searched([], [])
        predictions = _unscaled(prepared, search_peers.default(task, seed))
    else:
        found = search_peers.search(name, task, seconds, seed)
        if found is None:
            return None
        row |= _searched(
            [(one.finished, one.score) for one in found.tried],
            [(1 - one.score, float(one.n_parameters)) for one in found.tried],
        )
        predictions = _unscaled(prepared, found.predictions)
    merits = _merits(prepared, predictions)
    return row | {
        "reference": _reference(task),
        "test": float(merits.mean()),
        "merits": ",".join(f"{merit:.6g}" for merit in merits),
    }


def _searched(curve: Points, sizes: Points) -> Row:
    """A row's part about the search: `curve` of seconds and scores, `sizes` of errors and parameters."""
    return {
        "networks": len(curve),
        "curve": _rising(curve),
        "front": _front(sizes),
    }


def _rising(curve: Points) -> Points:
    """The points at which the score was better than all before."""
    best, kept = -math.inf, []
    for seconds, score in curve:
        if score > best:
            best = score
            kept.append((round(seconds, 3), score))
    return kept


def _front(points: Points) -> Points:
    """Errors and sizes of which no other has both smaller, the largest first."""
    smallest, kept = math.inf, []
    for error, size in sorted(points):
        if size < smallest:
            smallest = size
            kept.append((round(error, 6), size))
    return kept


def _nas(
    dataset: Dataset, seconds: float, seed: int, objectives: tuple[str, ...] = ("error",)
) -> tuple[nas.SearchResult, list[float]]:
    """What nas finds, and after how many seconds each of its candidates was known."""
    with tempfile.TemporaryDirectory() as folder, _workers(), _Watch(Path(folder)) as watch:
        result = nas.search(
            dataset,
            space=SPACE,
            objectives=objectives,
            seed=seed,
            n_candidates=MANY,
            time_budget=seconds,
            n_workers=PROCESSES,
            baseline=False,
            tracking=False,
            progress=False,
            report=False,
            runs_dir=folder,
        )
        result = replace(result, history=list(result.history))  # it lies in the folder
    since, *times = watch.times
    return result, [moment - since for moment in times]


@contextmanager
def _workers() -> Iterator[None]:
    """Ray with workers that have searched before, as the start of processes is not counted."""
    importlib.import_module("nas.execution.ray")  # sets what Ray reads when it is imported
    import ray

    ray.init(
        address="local",
        num_cpus=PROCESSES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=2**30,
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            nas.search(
                "iris",
                n_candidates=4 * PROCESSES,
                epochs=2,
                n_workers=PROCESSES,
                baseline=False,
                tracking=False,
                progress=False,
                report=False,
                runs_dir=folder,
            )
        yield
    finally:
        ray.shutdown()


class _Watch(threading.Thread):
    """Takes down, to a 50th of a second, when each line of the journal in a folder of runs was written.

    The first is written when the search begins, each of the others with a candidate.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.times: list[float] = []
        self._folder, self._over, self._n_bytes = folder, threading.Event(), 0

    def run(self) -> None:
        """Look until it is over, and then once more."""
        while not self._over.wait(0.02):
            self._look()
        self._look()

    def _look(self) -> None:
        # Not a folder that is still being made, which has another name a moment later.
        for path in self._folder.glob("[!.]*/journal.jsonl"):
            with path.open("rb") as file:
                file.seek(self._n_bytes)
                new = file.read()
            self._n_bytes += len(new)
            self.times += [time.monotonic()] * new.count(b"\n")

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self.join()


def _nas_curve(result: nas.SearchResult, times: Sequence[float], seconds: float) -> Points:
    """When each candidate's score was known."""
    return [
        (finished, evaluation.fitness)
        for (_, evaluation), finished in zip(result.history, times, strict=True)
        if finished <= seconds and not evaluation.failed
    ]


def _nas_sizes(result: nas.SearchResult, times: Sequence[float], seconds: float) -> Points:
    """Errors and sizes of the candidates."""
    return [
        (1 - evaluation.fitness, float(evaluation.n_parameters))
        for (_, evaluation), finished in zip(result.history, times, strict=True)
        if finished <= seconds and not evaluation.failed
    ]


def _nas_predictions(prepared: Prepared, result: nas.SearchResult) -> Array:
    """What the winner predicts for the test rows, in the form of ``Dataset.y``."""
    dataset = prepared.dataset
    predictions = result.network.predict(dataset.table.iloc[prepared.split.test])
    if dataset.task == "classification":
        codes = {label: code for code, label in enumerate(dataset.classes)}
        return np.array([codes[label] for label in predictions.tolist()])
    return predictions.reshape(len(predictions), -1)


def _unscaled(prepared: Prepared, predictions: Array) -> Array:
    """Predictions of the standardized target in the form of ``Dataset.y``; classes are in it already."""
    if prepared.dataset.task == "classification":
        return predictions
    target = prepared.target
    unscaled: Array = predictions.reshape(len(predictions), -1) * target.scale + target.mean
    return unscaled


def _merits(prepared: Prepared, predictions: Array) -> Floats:
    """One number a test row whose mean is the score: right or wrong; or the row's part in R²."""
    y = prepared.dataset.y[prepared.split.test]
    if prepared.dataset.task == "classification":
        right: Floats = np.equal(predictions, y).astype(float)
        return right
    parts: Floats = (1 - np.square(y - predictions) / y.var(axis=0)).mean(axis=1)
    return parts


def _reference(task: Task) -> tuple[float, float]:
    """The error of the most frequent class, or of the mean, and the parameters of the largest network."""
    widest = [max(task.space.widths_tuple)] * max(task.space.depths)
    size = search_peers.n_parameters(task, {"hidden_layer_sizes": widest})
    if task.metric == "r2":
        return 1.0, float(size)
    return float(np.mean(task.y_validation != np.bincount(task.y_train).argmax())), float(size)


def _hypervolume(row: Row) -> float:
    """What the front dominates, of errors and logarithms of parameters below the row's reference."""
    if not row["front"]:
        return math.nan
    (reference,) = _points([row["reference"]])
    return float(moocore.hypervolume(_points(row["front"]), ref=reference))


def _dominated(mine: Row, its: Row) -> float:
    """The hypervolume of one front as a share of the other's.

    The reference is a tenth beyond the worst of both fronts (Ishibuchi et al. 2018). Below that of
    `_hypervolume`, the error of who knows nothing and the largest network, nearly all of the space is
    dominated by any front, and all fronts come out alike.
    """
    if not mine["front"] or not its["front"]:
        return math.nan
    one, other = _points(mine["front"]), _points(its["front"])
    both = np.vstack([one, other])
    best, worst = both.min(axis=0), both.max(axis=0)
    reference = worst + 0.1 * np.where(worst > best, worst - best, 1.0)
    volumes = [float(moocore.hypervolume(points, ref=reference)) for points in (one, other)]
    return volumes[0] / volumes[1]


def _points(pairs: Points) -> Floats:
    """Errors and logarithms of parameters; float array of shape (points, 2)."""
    points: Floats = np.array(pairs, float)
    points[:, 1] = np.log10(points[:, 1])
    return points


def _validation(row: Row) -> float:
    """The best validation score; NaN for who does not search."""
    return float(row["curve"][-1][1]) if row["curve"] else math.nan


def _reached(row: Row, score: float) -> float:
    """Seconds until the validation score was at least this; infinity if it never was."""
    return next((seconds for seconds, its in row["curve"] if its >= score), math.inf)


def _difference(pairs: Sequence[tuple[Row, Row]]) -> tuple[float, float]:
    """Mean test score of the first less that of the second, and its standard error over paired rows."""
    gaps = [_numbers(mine["merits"]) - _numbers(its["merits"]) for mine, its in pairs]
    errors = [gap.var(ddof=1) / len(gap) for gap in gaps]
    return mean(float(gap.mean()) for gap in gaps), math.sqrt(sum(errors)) / len(gaps)


def _numbers(text: str) -> Floats:
    return np.array(text.split(","), float)


def _pairs(raw: Sequence[Row], one: str, other: str, data: str | None = None) -> list[tuple[Row, Row]]:
    """Rows of two contestants on the same data with the same seed."""
    rows = {(row["contestant"], row["data"], row["seed"]): row for row in raw}
    return [
        (row, rows[other, row["data"], row["seed"]])
        for row in raw
        if row["contestant"] == one
        and (other, row["data"], row["seed"]) in rows
        and data in (None, row["data"])
    ]


def _summary(raw: Sequence[Row]) -> list[Row]:
    """A row for each data set and contestant."""
    summary = []
    for data in dict.fromkeys(row["data"] for row in raw):
        for name in LABELS:
            rows = [row for row in raw if (row["data"], row["contestant"]) == (data, name)]
            if not rows:
                continue
            versus, reached = _pairs(raw, "nas", name, data), _pairs(raw, name, "tpe", data)
            searches = bool(rows[0]["curve"])
            gap, error = _difference(versus) if versus and name != "nas" else (math.nan, math.nan)
            summary.append(
                {
                    "data": data,
                    "contestant": name,
                    "seeds": len(rows),
                    "networks": mean(row["networks"] for row in rows),
                    "validation": mean(map(_validation, rows)),
                    "test": mean(row["test"] for row in rows),
                    "nas less it": gap,
                    "±": error,
                    "reaches tpe (s)": median(_reached(mine, _validation(tpe)) for mine, tpe in reached)
                    if reached and searches
                    else math.nan,
                    "hypervolume": mean(map(_hypervolume, rows)),
                    "× its": _median([_dominated(*pair) for pair in _pairs(raw, name, "pareto", data)])
                    if name == "nas-pareto"
                    else math.nan,
                }
            )
    return summary


def _figures(raw: Sequence[Row]) -> list[Figure]:
    """The figures that the search is asked for."""
    seconds = raw[0]["seconds"]
    figures = [_speed(raw, seconds)]
    ahead = []
    for data in dict.fromkeys(row["data"] for row in raw):
        rivals = {name: pairs for name in RIVALS if (pairs := _pairs(raw, "nas", name, data))}
        if not rivals:
            continue
        best = max(rivals, key=lambda name: mean(its["test"] for _, its in rivals[name]))
        gap, error = _difference(rivals[best])
        ahead.append(gap > 0)
        gap /= error or math.inf  # no error: they are right on the same rows
        figures.append(Figure(f"{data}: test score less that of {best}, in its errors", -1, gap))
    if ahead:
        figures.append(Figure("sets with a better test score than any", len(ahead) // 2 + 1, sum(ahead)))
    ratios = [_dominated(*pair) for pair in _pairs(raw, "nas-pareto", "pareto")]
    figures.append(Figure("hypervolume / Optuna's NSGA-II (median)", 1.1, _median(ratios)))
    return [figure for figure in figures if figure.measured == figure.measured]  # without contestants: NaN


def _speed(raw: Sequence[Row], seconds: float) -> Figure:
    times = [_reached(mine, _validation(its)) for mine, its in _pairs(raw, "nas", "tpe")]
    name = f"seconds until as good as Optuna's TPE after {seconds:g} s (median)"
    return Figure(name, seconds / 10, _median(times), at_most=True)


def _median(values: Sequence[float]) -> float:
    return median(values) if values else math.nan


def _plot(raw: Sequence[Row], file: str) -> None:
    import matplotlib.pyplot as plt

    sets = list(dict.fromkeys(row["data"] for row in raw))
    seconds, n_columns = raw[0]["seconds"], min(3, len(sets))
    n_rows = math.ceil(len(sets) / n_columns)
    width = 4 * n_columns + 1
    figure, panels = plt.subplots(
        n_rows, n_columns, figsize=(width, 3.2 * n_rows + 0.8), layout="constrained", squeeze=False
    )
    for panel in panels.flat[len(sets) :]:
        panel.set_visible(False)
    first = min(row["curve"][0][0] for row in raw if row["curve"])
    times = np.geomspace(max(0.05, 0.9 * first), seconds, 500)
    for data, axes in zip(sets, panels.flat, strict=False):
        _draw(axes, [row for row in raw if row["data"] == data], times)
        axes.set_title(data)
    figure.supxlabel("seconds", fontsize=10)
    figure.supylabel("best validation score (accuracy or R²)", fontsize=10)
    drawn = {line.get_label(): line for axes in panels.flat for line in axes.lines}
    lines = {label: drawn[label] for _, _, label, *_ in LINES if label in drawn}
    figure.legend(
        lines.values(),
        lines.keys(),
        loc="outside upper center",
        ncols=int(width // 2.1),
        fontsize=9,
        frameon=False,
    )
    figure.savefig(file, dpi=150)


def _draw(axes: Any, rows: Sequence[Row], times: Floats) -> None:
    """One set's curves: means over seeds, in bands from the worst to the best seed."""
    middles = []
    for name, curve, label, color, style in LINES:
        scores = np.array([_at(row[curve], times) for row in rows if row["contestant"] == name])
        if not len(scores):
            continue
        middles.append(scores.mean(axis=0))
        is_ours = (name, curve) == ("nas", "curve")
        look = {"linewidth": 2.4 if is_ours else 1.4, "zorder": 3 if is_ours else 2, "color": color}
        axes.step(times, middles[-1], style, where="post", label=label, **look)
        if len(scores) > 1 and curve == "curve":
            low, high = scores.min(axis=0), scores.max(axis=0)
            axes.fill_between(times, low, high, step="post", color=color, alpha=0.12, linewidth=0)
    # Leave out how bad the first networks were.
    late = np.array(middles)[:, times >= times[-1] / 20]
    low, high = np.nanmin(late), np.nanmax(late)
    span = (high - low) or 0.01
    axes.set_ylim(low - 0.3 * span, high + 0.1 * span)
    ticks = [tick for tick in TICKS if times[0] <= tick <= times[-1]]
    axes.set(xscale="log", xlim=(times[0], times[-1]))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(linewidth=0.3)


def _at(curve: Points, times: Floats) -> Floats:
    """The best score at these times; NaN before the first."""
    moments, scores = np.array([(0.0, math.nan), *curve]).T
    known: Floats = scores[np.searchsorted(moments, times, side="right") - 1]
    return known


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_quality", description=__doc__.splitlines()[0]
    )
    parser.add_argument("data", nargs="*", metavar="DATA", help=f"default: {', '.join(BUNDLED)}")
    parser.add_argument("--seconds", type=float, metavar="S", help="of each search; default: 60, quick: 10")
    parser.add_argument("--seeds", type=int, metavar="N", help="default: 3, quick: 1")
    parser.add_argument(
        "--first-seed", type=int, default=0, metavar="N", help="of --seeds in a row; default: 0"
    )
    parser.add_argument("--quick", action="store_true", help="one seed, 10 seconds")
    parser.add_argument("--contestants", metavar="A,B", help=f"some of {', '.join(LABELS)}")
    parser.add_argument("--merge", nargs="+", metavar="FILE", help="JSON of earlier runs, instead of a run")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    parser.add_argument("--plot", metavar="FILE", help="draw validation scores over time")
    return parser


if __name__ == "__main__":
    main()
