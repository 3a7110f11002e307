"""Quality of search: what nas and other searches find in the same total time on the same rows and cores.

    python -m benchmarks.search_quality [DATA...] [--data DIR] [--seconds S] [--seeds N] [--first-seed N]
                                        [--quick] [--contestants A,B] [--rows FILE] [--json FILE]
                                        [--plot FILE]
    python -m benchmarks.search_quality --merge FILE... [--json FILE] [--plot FILE]

DATA are names and files that `nas.load_dataset` takes, .npz files as of `benchmarks.data`, or names of such
files in DIR. For each seed all contestants run one after the other, on two cores, with the same cut: nas,
other searches (see `search_peers`), and scikit-learn's default network, which has only a test score. Two
contestants search by score and size.

nas is its command in a process of its own, with ``--time-budget S``, without baseline, report and MLflow,
which the others do not have. Its total is what it takes from its start to its end, whatever S was; each
other search then has the same total, from reading the table to the predictions for the test rows:
processes, imports and the last training are in it. Search curves count from the start, too.

All read standardized numbers and one-hot categories. The peers judge by a fifth of the rows that are not
for the test, at the best of a training's epochs; validation scores compare only as far as nas judges by the
same rows. Test scores are compared, with differences paired by test row: their standard errors tell of
the rows, not of the cuts. Rows of peers are measured again when nas was, as their total is another then.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import search_peers
from benchmarks.command import Command, CommandError, run_search, test_predictions
from benchmarks.data import Table, command_split, load_table, resolve
from benchmarks.harness import report
from benchmarks.rows import Row, Rows, add_options, read_rows, same_seconds
from benchmarks.search_figures import LABELS, Points, figures, summary, validation
from benchmarks.search_methods import METHODS
from benchmarks.search_peers import PROCESSES, Clock, Task
from benchmarks.search_plot import plot
from nas.data import BUNDLED
from nas.network.arrays import Array, Floats
from nas.space import SearchSpace, available_spaces, load_space
from nas.tracking.archive import RunArchive

SETS = ("vehicle", "credit_g", "car", "segment", "splice", "satimage", "magic_telescope", "adult")
"""The default sets, from the folder that `--data` names."""

DEFAULT = ("nas", "tpe", "nsga2", "default")
"""The contestants unless others are asked for."""

_NEEDS = {
    "genetic": "sklearn_genetic",
    "tpe": "optuna",
    "nsga2": "optuna",
    "random": "optuna",
    "pareto": "optuna",
}
_KEYS = ("data", "seed", "contestant")
_ALIKE = (
    "--no-baseline",
    "--no-importance",
    "--no-tracking",
    "--no-report",
    "--no-progress",
    "--workers",
    str(PROCESSES),
)
_NAS_OPTIONS = {"nas": _ALIKE, "nas-pareto": (*_ALIKE, "--objectives", "error,parameters")}


def main(arguments: list[str] | None = None) -> None:
    """Measure or merge, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    rows = Rows(_KEYS, options.rows)
    for file in options.merge or ():
        rows.merge(read_rows(file))
    if not options.merge:
        _measure(options, rows)
    raw = rows.all
    seconds = same_seconds(raw)
    print()
    report(figures(raw, seconds), summary(raw), options.json, raw)
    print(f"{seconds:g} s, means over {len({row['seed'] for row in raw})} seeds")
    if options.plot:
        plot(raw, options.plot)


def _measure(options: argparse.Namespace, rows: Rows) -> None:
    names = _contestants(options.contestants.split(",") if options.contestants else DEFAULT)
    seconds = options.seconds or (10.0 if options.quick else 60.0)
    seeds = options.seeds or (1 if options.quick else 5)
    for data in resolve(options.data or (SETS if options.data_dir else BUNDLED), options.data_dir):
        contents = load_table(data)
        for seed in range(options.first_seed, options.first_seed + seeds):
            for row in _contest(contents, names, seconds, seed, rows):
                rows.add(row)
                print(
                    f"{row['data']}, seed {seed}, {row['contestant']}: {row['networks']} networks, "
                    f"validation {validation(row):.4f}, test {row['test']:.4f}, total {row['total']:.1f} s",
                    file=sys.stderr,
                    flush=True,
                )


def _contestants(given: Sequence[str]) -> list[str]:
    """Their names, nas first, as the others have its total; without libraries that are not installed."""
    if unknown := set(given) - set(LABELS):
        raise SystemExit(f"--contestants: expected some of {', '.join(LABELS)}, got {', '.join(unknown)}")
    names = [name for name in LABELS if name in given]
    order = sorted(names, key=lambda name: name not in _NAS_OPTIONS)
    for name in [name for name in order if name in _NEEDS and not importlib.util.find_spec(_NEEDS[name])]:
        print(
            f"{LABELS[name]} is left out: it is not installed; "
            "pip install -c constraints.txt '.[bench]' adds it",
            file=sys.stderr,
        )
        order.remove(name)
    return order


def _contest(contents: Table, names: Sequence[str], seconds: float, seed: int, rows: Rows) -> Iterator[Row]:
    """Rows of the contestants on one set with one seed, but for rows that are measured already."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / f"{contents.name}.csv"
        contents.write(file)
        for name in names:
            known = rows.get(data=contents.name, seed=seed, contestant=name)
            total = (
                seconds if name in _NAS_OPTIONS else _total_of_nas(contents.name, name, seconds, seed, rows)
            )
            if known is not None and known["allowed"] == total:
                continue
            base = {
                "data": contents.name,
                "contestant": name,
                "seed": seed,
                "seconds": seconds,
                "allowed": total,
            }
            if name in _NAS_OPTIONS:
                folder = Path(place) / name
                folder.mkdir()
                found = _nas_row(name, file, contents.task, seconds, seed, folder)
            else:
                found = _peer_row(name, file, contents.task, total, seed)
            if found is None:
                print(f"{contents.name}, seed {seed}, {name}: nothing in time", file=sys.stderr)
                continue
            yield base | found


def _total_of_nas(data: str, name: str, seconds: float, seed: int, rows: Rows) -> float:
    """The total seconds of nas with the same objectives; the seconds asked for where it did not run."""
    row = rows.get(data=data, seed=seed, contestant="nas-pareto" if name == "pareto" else "nas")
    return float(row["total"]) if row is not None else seconds


def _nas_row(name: str, file: Path, task: str, seconds: float, seed: int, folder: Path) -> Row | None:
    """The command's row; None if it ended with an error, which is printed."""
    space, space_file = space_of_all(folder)
    options = [*_NAS_OPTIONS[name], "--space", str(space_file)]
    try:
        command = run_search(file, task, seconds, seed, folder, options)
        dataset, _, _, test = command_split(file, task, seed)
        predictions = test_predictions(command, dataset, test)
    except CommandError as error:
        print(error, file=sys.stderr)
        return None
    curve, sizes = _curves(command)
    began = command.line_seconds[0] if command.line_seconds else 0.0
    its_task = Task.read(file, task, seed, space)
    return _row(its_task, command.seconds, began, curve, sizes, merits(task, dataset.y[test], predictions))


def space_of_all(folder: Path) -> tuple[SearchSpace, Path]:
    """The space `small` and its file, without scaling: the others read standardized numbers only."""
    text = available_spaces()["small"].read_text()
    file = folder / "small.toml"
    file.write_text(re.sub(r"^\[scaling\]$.*?(?=^\[|\Z)", "", text, flags=re.MULTILINE | re.DOTALL))
    return load_space(file), file


def _curves(command: Command) -> tuple[Points, Points]:
    """Seconds and scores, errors and sizes, of the candidates."""
    evaluations = [evaluation for _, evaluation in RunArchive(command.run_dir).evaluations]
    finished = list(zip(command.line_seconds[1:], evaluations, strict=True))
    curve = [(seconds, evaluation.fitness) for seconds, evaluation in finished if not evaluation.failed]
    sizes = [(1 - each.fitness, float(each.n_parameters)) for each in evaluations if not each.failed]
    return curve, sizes


def _peer_row(name: str, file: Path, task: str, total: float, seed: int) -> Row | None:
    """A peer's row; None if it had no network in time."""
    now = time.monotonic()
    clock = Clock(now, now + total)
    with tempfile.TemporaryDirectory() as folder:
        space, _ = space_of_all(Path(folder))
    its_task = Task.read(file, task, seed, space)
    curve: Points = []
    sizes: Points = []
    began = 0.0
    if name == "default":
        predictions = search_peers.default(its_task, seed)
    else:
        # Different for all, or a lucky first draw would be that of several.
        first_seed = 1000 * list(METHODS).index(name) + PROCESSES * seed
        found = search_peers.search(METHODS[name], its_task, first_seed, clock)
        if found is None:
            return None
        curve = [(network.finished, network.score) for network in found.tried]
        sizes = [(1 - network.score, float(network.n_parameters)) for network in found.tried]
        predictions, began = found.predictions, found.began
    taken = clock.seconds
    # R² is the same for a target that is standardized.
    return _row(its_task, taken, began, curve, sizes, merits(task, its_task.y_test, predictions))


def _row(task: Task, total: float, began: float, curve: Points, sizes: Points, its_merits: Floats) -> Row:
    return {
        "total": round(total, 2),
        "began": round(began, 2),
        "networks": len(curve),
        "curve": _rising(curve),
        "front": _front(sizes),
        "reference": _reference(task),
        "test": float(its_merits.mean()),
        "merits": ",".join(f"{merit:.6g}" for merit in its_merits),
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


def merits(task: str, y: Array, predictions: Array) -> Floats:
    """One number a test row whose mean is the score: right or wrong; or the row's part in R²."""
    if task == "classification":
        right: Floats = np.equal(predictions, y).astype(float)
        return right
    y = y.reshape(-1).astype(float)
    parts: Floats = 1 - np.square(y - predictions.reshape(-1)) / y.var()
    return parts


def _reference(task: Task) -> tuple[float, float]:
    """The error of the most frequent class, or of the mean, and the parameters of the largest network."""
    widest = [max(task.space.widths_tuple)] * max(task.space.depths)
    size = search_peers.n_parameters(task, {"hidden_layer_sizes": widest})
    if task.metric == "r2":
        return 1.0, float(size)
    return float(np.mean(task.y_validation != np.bincount(task.y_train).argmax())), float(size)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_quality", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "data",
        nargs="*",
        metavar="DATA",
        help=f"default: with --data {', '.join(SETS)}; else {', '.join(BUNDLED)}",
    )
    parser.add_argument("--data", dest="data_dir", metavar="DIR", help="folder of .npz files")
    parser.add_argument("--seconds", type=float, metavar="S", help="total, of nas; default: 60, quick: 10")
    parser.add_argument("--quick", action="store_true", help="one seed, 10 seconds")
    parser.add_argument(
        "--contestants", metavar="A,B", help=f"some of {', '.join(LABELS)}; default: {','.join(DEFAULT)}"
    )
    parser.add_argument("--plot", metavar="FILE", help="draw validation scores over time")
    add_options(parser, seeds=5)
    return parser


if __name__ == "__main__":
    main()
