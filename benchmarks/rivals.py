"""nas beside other estimators for tables, all with their defaults: errors, ranks, and total seconds.

    python -m benchmarks.rivals [DATA...] [--data DIR] [--seconds S] [--seeds N] [--first-seed N] [--quick]
                                [--contestants A,B] [--variant NAME=OPTIONS] [--rows FILE] [--json FILE]
    python -m benchmarks.rivals --merge FILE... [--json FILE]

DATA are names of bundled sets, .npz files as of `benchmarks.data`, or names of such files in DIR. For each
set and seed all contestants run one after the other on the same rows: ``nas search --seed N --time-budget S``
leaves a fifth of the rows for the test, and the peers fit the other four fifths and predict that fifth.

Each runs in a process of its own. The total seconds are from its start to its end, imports included alike;
in the total of nas are its report, its baseline and MLflow, which are on by default. The seconds of fitting
and predicting alone are shown beside. The peers take the time that they take: S is given to nas only, so that
their rows go with rows of nas for any S.

The error is 1 − accuracy, or the root mean squared error in standard deviations of the test rows' targets.
Differences are paired by seed, and errors over the best of the others are of the seeds that both have; ranks
are of the contestants with all seeds of nas on all sets. Differences are sums of what the split, the training
and the test rows bring, and with three seeds their standard errors are rough.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.command import Command, CommandError, run_search, test_predictions
from benchmarks.comparison import (
    Errors,
    Paired,
    errors_of,
    mean_ranks,
    median_or_nan,
    paired,
    ratio_to_best,
)
from benchmarks.data import Table, command_split, load_table, resolve
from benchmarks.harness import Figure, report, table
from benchmarks.rivals_peers import PEERS, Answer, PeerError, Task, ask
from benchmarks.rows import Row, Rows, add_options, read_rows, same_seconds
from nas.network.arrays import Array, Floats, Ints

BUNDLED = ("diabetes", "breast_cancer", "digits")
SMALL = ("uci_yacht", "uci_energy", "vehicle", "credit_g", "uci_concrete", "car")
LARGER = ("segment", "splice", "satimage", "uci_power_plant", "magic_telescope", "adult")
"""The default sets: those of `BUNDLED` and `SMALL` have up to 2,000 rows, which is nine of fifteen."""

SMALL_ROWS = 2_000
NAS = "nas"
_QUICK_SETS, _QUICK_PEERS = ("wine", "diabetes"), ("mlp", "hgb")
_KEYS = ("data", "seed", "contestant")
_TINY = 1e-12
"""Probability that stands for zero in a log loss."""

_TOTAL = 1.05
"""Total seconds of nas over the seconds asked for, at most."""


def main(arguments: list[str] | None = None) -> None:
    """Measure or merge, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    rows = Rows(_KEYS, options.rows)
    for file in options.merge or ():
        rows.merge(read_rows(file))
    if not options.merge:
        _measure(options, rows)
    raw = rows.all
    if not raw:
        raise SystemExit("rows: expected some, got none; the lines above say why")
    timed = [row for row in raw if row["contestant"] not in PEERS]
    seconds = same_seconds(timed) if timed else math.nan
    print()
    print(table(set_rows(raw)))
    print()
    losses = losses_of(raw)
    print("\n".join(losses) if losses else "nas loses to no peer by more than a standard error")
    print()
    report(figures(raw, seconds), peer_rows(raw) or [{"peers": "none"}], options.json, raw)
    print(f"nas: --time-budget {seconds:g}; seeds: {len({row['seed'] for row in raw})}")


def _measure(options: argparse.Namespace, rows: Rows) -> None:
    variants = _variants(options.variant)
    names = _contestants(options, variants)
    seconds = options.seconds or (10.0 if options.quick else 60.0)
    seeds = options.seeds or (1 if options.quick else 3)
    for data in resolve(options.data or _default_sets(options), options.data_dir):
        contents = load_table(data)
        for seed in range(options.first_seed, options.first_seed + seeds):
            missing = [
                name for name in names if rows.get(data=contents.name, seed=seed, contestant=name) is None
            ]
            for row in _contest(contents, seed, seconds, missing, variants, options.limit):
                print(
                    f"{row['data']}, seed {seed}, {row['contestant']}: error {row['error']:.4f}, "
                    f"{row['total_seconds']:.1f} s",
                    file=sys.stderr,
                    flush=True,
                )
                rows.add(row)


def _default_sets(options: argparse.Namespace) -> Sequence[str]:
    if options.quick:
        return _QUICK_SETS
    return [*BUNDLED, *SMALL, *LARGER] if options.data_dir else BUNDLED


def _variants(given: Sequence[str]) -> dict[str, list[str]]:
    """Options of ``nas search`` by the contestant's name; nas itself has none."""
    variants: dict[str, list[str]] = {NAS: []}
    for variant in given:
        name, equals, line = variant.partition("=")
        if not name or not equals or name in PEERS:
            raise SystemExit(
                f"--variant: expected NAME=OPTIONS with a name that is no peer's, got {variant!r}"
            )
        variants[name] = shlex.split(line)
    return variants


def _contestants(options: argparse.Namespace, variants: Mapping[str, Sequence[str]]) -> list[str]:
    peers = _QUICK_PEERS if options.quick else tuple(PEERS)
    names = options.contestants.split(",") if options.contestants else [*variants, *peers]
    if unknown := [name for name in names if name not in variants and name not in PEERS]:
        known = ", ".join([*variants, *PEERS])
        raise SystemExit(f"--contestants: expected some of {known}, got {', '.join(unknown)}")
    for name in [name for name in names if name in PEERS and not PEERS[name].is_installed]:
        peer = PEERS[name]
        print(
            f"{peer.label} is left out: it is not installed; pip install -c constraints.txt "
            f"{peer.distribution} adds it, and '.[rivals]' adds all",
            file=sys.stderr,
        )
        names.remove(name)
    return names


def _contest(
    contents: Table,
    seed: int,
    seconds: float,
    names: Sequence[str],
    variants: Mapping[str, Sequence[str]],
    limit: float,
) -> Iterator[Row]:
    """Rows of the contestants on one set with one seed; failed contestants are reported and left out."""
    if not names:
        return
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / f"{contents.name}.csv"
        contents.write(file)
        dataset, train, validation, test = command_split(file, contents.task, seed)
        rest = np.sort(np.concatenate([train, validation]))
        task = Task.of(contents.X, contents.y, rest, test, regression=contents.regression, seed=seed)
        base = {"data": contents.name, "rows": len(contents.y), "seed": seed, "seconds": seconds}
        for name in names:
            try:
                if name in variants:
                    folder = Path(place) / name
                    folder.mkdir()
                    command = run_search(file, contents.task, seconds, seed, folder, variants[name])
                    answer = _answer(
                        command, test_predictions(command, dataset, test), dataset.table.iloc[test]
                    )
                else:
                    answer = ask(name, task, limit)
            except (PeerError, CommandError) as error:
                print(
                    f"{contents.name}, seed {seed}, {name} is left out: {error}", file=sys.stderr, flush=True
                )
                continue
            yield (
                base
                | {"contestant": name}
                | _scored(answer, contents.y[test], regression=contents.regression)
            )


def _answer(command: Command, predictions: Array, inputs: Any) -> Answer:
    network = command.network
    probabilities = network.predict_proba(inputs) if predictions.ndim == 1 else None
    return Answer(predictions.reshape(-1), probabilities, command.seconds, command.seconds)


def _scored(answer: Answer, y: Array, *, regression: bool) -> Row:
    """A row's errors and seconds."""
    times = {"total_seconds": round(answer.seconds, 2), "fit_seconds": round(answer.fit_seconds, 2)}
    if regression:
        rmse = float(np.sqrt(np.mean((answer.predictions - y) ** 2)))
        return {"error": rmse / float(np.std(y)), "rmse": rmse, "log_loss": None, **times}
    assert answer.probabilities is not None
    loss = _log_loss(answer.probabilities, y)
    return {"error": float(np.mean(answer.predictions != y)), "rmse": None, "log_loss": loss, **times}


def _log_loss(probabilities: Floats, y: Ints) -> float:
    """The mean of −log of the probability of the right class."""
    return -float(np.log(np.clip(probabilities[np.arange(len(y)), y], _TINY, 1)).mean())


def _names(raw: Sequence[Row]) -> list[str]:
    """All contestants: nas and its variants first, then the peers in their order."""
    names = dict.fromkeys(row["contestant"] for row in raw)
    return [*(name for name in names if name not in PEERS), *(name for name in PEERS if name in names)]


def set_rows(raw: Sequence[Row]) -> list[Row]:
    """A row for each set and contestant."""
    errors, table_rows = errors_of(raw), []
    for data in errors:
        for name in [name for name in _names(raw) if name in errors[data]]:
            rows = [row for row in raw if (row["data"], row["contestant"]) == (data, name)]
            gap = paired(errors, data, NAS, name) if name != NAS else Paired.of([])
            table_rows.append(
                {
                    "data": data,
                    "rows": rows[0]["rows"],
                    "contestant": name,
                    "seeds": len(rows),
                    "error": fmean(row["error"] for row in rows),
                    "RMSE or log loss": fmean(_second(row) for row in rows),
                    "/ best other": ratio_to_best(errors, data, name, PEERS),
                    "less nas's": gap.mean,
                    "±": gap.error,
                    "nas": gap.outcome if gap.n else "",
                    "total s": fmean(row["total_seconds"] for row in rows),
                    "fit + predict s": fmean(row["fit_seconds"] for row in rows),
                }
            )
    return table_rows


def _second(row: Row) -> float:
    return float(row["log_loss"] if row["rmse"] is None else row["rmse"])


def peer_rows(raw: Sequence[Row]) -> list[Row]:
    """A row for each contestant: nas against it over all sets."""
    errors, names, table_rows = errors_of(raw), _names(raw), []
    ranked = mean_ranks(errors, NAS)
    for name in names:
        gaps = [gap for data in errors if (gap := paired(errors, data, NAS, name)).n and name != NAS]
        outcomes = [gap.outcome for gap in gaps]
        overall = Paired.over(gaps)
        table_rows.append(
            {
                "contestant": name,
                "sets": sum(name in errors[data] for data in errors),
                "mean rank": ranked.get(name, float("nan")),
                "/ best other (median)": median_or_nan(_ratios(errors, name)),
                "nas wins": outcomes.count("win"),
                "even": outcomes.count("even"),
                "nas loses": outcomes.count("loss"),
                "less nas's (mean)": overall.mean,
                "±": overall.error,
                "total s (median)": median(row["total_seconds"] for row in raw if row["contestant"] == name),
            }
        )
    return table_rows


def _ratios(errors: Errors, name: str) -> list[float]:
    return [ratio_to_best(errors, data, name, PEERS) for data in errors]


def losses_of(raw: Sequence[Row]) -> list[str]:
    """A line for each set on which nas loses to a peer: by how much, the largest difference first."""
    errors, lines = errors_of(raw), []
    for data in errors:
        gaps = {name: paired(errors, data, NAS, name) for name in errors[data] if name in PEERS}
        lost = sorted((gap.mean, name) for name, gap in gaps.items() if gap.n and gap.outcome == "loss")
        if lost:
            peers = ", ".join(f"{PEERS[name].label} by {-gap:.4f} {_doubt(gaps[name])}" for gap, name in lost)
            lines.append(f"{data}: nas loses to {peers}")
    return lines


def _doubt(gap: Paired) -> str:
    return f"± {gap.error:.4f}" if gap.n > 1 else "(one seed)"


def figures(raw: Sequence[Row], seconds: float) -> list[Figure]:
    """What nas is asked for: to be as good as the best of the peers, in the time that it was given."""
    errors = errors_of(raw)
    small = {row["data"] for row in raw if row["rows"] <= SMALL_ROWS}
    ratios = {data: ratio_to_best(errors, data, NAS, PEERS) for data in errors}
    asked = [
        Figure(
            "error of nas over the best peer's (median of sets)",
            1.0,
            median_or_nan(ratios.values()),
            at_most=True,
        ),
        Figure(
            f"likewise, sets of up to {SMALL_ROWS:,} rows",
            1.0,
            median_or_nan(ratio for data, ratio in ratios.items() if data in small),
            at_most=True,
        ),
    ]
    without_variants = {
        data: {name: seeds for name, seeds in contestants.items() if name == NAS or name in PEERS}
        for data, contestants in errors.items()
    }
    ranked = mean_ranks(without_variants, NAS)
    if NAS in ranked and len(ranked) > 1:
        best = min(rank for name, rank in ranked.items() if name != NAS)
        asked.append(Figure("mean rank of nas less the best peer's", 0.0, ranked[NAS] - best, at_most=True))
    totals = [row["total_seconds"] for row in raw if row["contestant"] == NAS]
    if totals:
        name = "total seconds of nas over --seconds (longest)"
        asked.append(Figure(name, _TOTAL, max(totals) / seconds, at_most=True))
    return [figure for figure in asked if figure.measured == figure.measured]  # without contestants: NaN


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals", description=__doc__.splitlines()[0])
    parser.add_argument(
        "data",
        nargs="*",
        metavar="DATA",
        help=f"default: {', '.join(BUNDLED)}, and with --data {len(SMALL)} "
        f"further sets of up to {SMALL_ROWS:,} rows and {len(LARGER)} larger ones",
    )
    parser.add_argument("--data", dest="data_dir", metavar="DIR", help="folder of .npz files")
    parser.add_argument("--seconds", type=float, metavar="S", help="total, of nas; default: 60, quick: 10")
    parser.add_argument(
        "--limit",
        type=float,
        default=1800.0,
        metavar="S",
        help="of a peer, after which it is left out; default: 1800",
    )
    parser.add_argument(
        "--quick", action="store_true", help="two sets, one seed, 10 seconds, scikit-learn's peers"
    )
    parser.add_argument(
        "--contestants", metavar="A,B", help=f"some of {NAS}, {', '.join(PEERS)}; default: all"
    )
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=OPTIONS",
        help="one more contestant: nas search with these options; the name nas gives them to nas",
    )
    add_options(parser, seeds=3)
    return parser


if __name__ == "__main__":
    main()
