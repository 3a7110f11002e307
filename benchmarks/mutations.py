"""The outcome of spoiled files: each kind that the program reads, mutated thousands of times.

    python -m benchmarks.mutations [--mutations 12000] [--seed 0] [--quick] [--json FILE]

A small search is run twice; then one of its files, or a file such as a person writes, is changed: bytes
flipped, cut, deleted, repeated, swapped with those of the other search; keys removed, renamed, of another
type; values nested deeply, numbers of a million digits, NaN. Each is read as the commands read it. It may be
refused in a sentence, or mean what it meant; of a journal also what it meant some lines before its end, as
after a crash. A file that a person writes may become another valid one; so may one whose checksums were
computed anew ("forged"), where only types and structure are left to be checked. All else is a fault. Each
kind is read in a process of its own, so that what it takes of memory is its own, and a crash is noticed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import signal
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import nas
from benchmarks.harness import Figure, report
from benchmarks.mutation_operators import (
    BYTES,
    Mutation,
    as_csv,
    as_lines,
    as_record,
    as_toml,
    forged_lines,
    forged_record,
    mutated_json,
    spoiled_names,
)
from nas.data import load_dataset
from nas.errors import NASError
from nas.reporting.comparison import compare
from nas.reporting.history import read_history
from nas.reporting.panels import panels
from nas.run.exchange import read_message
from nas.run.resuming import restored
from nas.run.starts import genomes_to_start_with
from nas.run.weights import Weights
from nas.runtime import ModelError, TableError, load_network
from nas.runtime import sealed as sealed_model
from nas.space import Limits, cost_model, load_space
from nas.tracking.archive import RunArchive

REFUSALS = (NASError, ModelError, TableError)
"""What is raised on purpose, in one sentence."""

_LONGEST = 60
"""Seconds after which a file counts as one that is never read to its end."""

_SLOW, _LARGE = 2.0, 300.0
"""Seconds and megabytes that no file may take."""


@dataclass(frozen=True)
class Kind:
    """A kind of file: which it is, how it is changed, and what it means.

    Attributes
    ----------
    name : str
    file, other : Path
        The file, and the same one of the other search.
    read : function without arguments
        What the file means, as text or bytes.
    mutations : tuple of Mutation
    may_mean_another : bool
        Whether it may become another valid file.
    is_shorter : function of two meanings, optional
        Whether the first is what the second was before it was complete.
    """

    name: str
    file: Path
    other: Path
    read: Callable[[], Any]
    mutations: tuple[Mutation, ...]
    may_mean_another: bool = False
    is_shorter: Callable[[Any, Any], bool] = lambda one, other: False


@dataclass
class Tally:
    """What became of the mutated files of a kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    growth: float = 0.0
    faults: list[str] = field(default_factory=list)


def prepare(folder: Path) -> tuple[Path, Path]:
    """Two runs that are over, of the same table with other seeds."""
    runs = []
    for seed in (0, 1):
        result = nas.search(
            "iris",
            space="tiny",
            n_candidates=8,
            n_workers=0,
            seed=seed,
            epochs=6,
            n_finalists=2,
            runs_dir=folder,
            name=f"run-{seed}",
            tracking=False,
            progress=False,
            baseline=False,
            report=False,
        )
        runs.append(result.run_dir)
    return runs[0], runs[1]


def kinds(run: Path, other: Path, folder: Path) -> list[Kind]:
    """Every kind of file that the program reads, in a run of its own."""
    return [*_of_run(run, other), *_of_network(run, other), *_of_person(folder)]


def _of_run(run: Path, other: Path) -> list[Kind]:
    crc = _crc_of_run(run)

    def journal() -> Any:
        archive = RunArchive(run)
        return archive.identity, list(map(repr, archive.evaluations))

    def generations() -> Any:
        return list(map(repr, RunArchive(run).generations))

    def begins(one: Any, whole: Any) -> bool:
        same = one[0] == whole[0] or not one[1]
        return same and one[1] == whole[1][: len(one[1])]

    def config() -> Any:
        archive = RunArchive(run)
        restored(archive.folder, None, {})
        # The configuration has to fit the journal and the result.
        _ = archive.identity, archive.result
        return archive.config

    def result() -> Any:
        return RunArchive(run).result, str(compare([run, other]))

    def history() -> Any:
        found = read_history(run)
        return repr((found.identity, found.result, found.networks, found.generations, panels(found)[0].text))

    of_record, of_lines = (*BYTES, *[as_record] * 6), (*BYTES, *[as_lines] * 6)
    found = [
        Kind("journal", run / "journal.jsonl", other / "journal.jsonl", journal, of_lines, is_shorter=begins),
        Kind("config", run / "config.json", other / "config.json", config, of_record),
        Kind("result", run / "result.json", other / "result.json", result, of_record),
        Kind(
            "generations",
            run / "generations.jsonl",
            other / "generations.jsonl",
            generations,
            of_lines,
            is_shorter=lambda one, whole: one == whole[: len(one)],
        ),
    ]
    forged: Iterable[tuple[str, Callable[[], Any], Mutation]] = [
        ("journal.jsonl", history, forged_lines(lambda: 0)),
        ("config.json", lambda: (config(), history()), forged_record),
        ("result.json", lambda: (result(), history()), forged_record),
        ("generations.jsonl", history, forged_lines(lambda: crc)),
    ]
    for name, read, mutation in forged:
        title = f"{name.split('.')[0]}, forged"
        found.append(Kind(title, run / name, other / name, read, (mutation,), may_mean_another=True))
    return found


def _crc_of_run(run: Path) -> int:
    return zlib.crc32(RunArchive(run).run_id.encode())


def _of_network(run: Path, other: Path) -> list[Kind]:
    rows = load_dataset("iris").table.iloc[:20]

    def network() -> Any:
        found = load_network(run)
        return found.predict_proba(rows).tobytes(), repr(found.columns), repr(found.provenance)

    def forged(content: bytes, other: bytes, rng: random.Random) -> bytes:
        record = json.loads(content)
        changed = mutated_json(record, rng)
        try:
            return json.dumps(sealed_model(json.loads(changed), weights)).encode()
        except (ValueError, TypeError, AttributeError, RecursionError):
            return changed

    best, its = run / "best", other / "best"
    weights = (best / "weights.safetensors").read_bytes()
    kept = sorted((run / "weights").glob("*.npz"), key=lambda file: int(file.stem))
    number = int(kept[0].stem)
    run_id = RunArchive(run).run_id

    def state() -> Any:
        states = [state.to_arrays() for state in Weights(run / "weights", run_id=run_id).of(number)]
        return [
            ({name: array.tobytes() for name, array in arrays.items()}, facts) for arrays, facts in states
        ]

    def header(content: bytes, other: bytes, rng: random.Random) -> bytes:
        length = int.from_bytes(content[:8], "little")
        changed = mutated_json(json.loads(content[8 : 8 + length]), rng)
        return len(changed).to_bytes(8, "little") + changed + content[8 + length :]

    return [
        Kind("model.json", best / "model.json", its / "model.json", network, (*BYTES, *[as_record] * 6)),
        Kind(
            "weights.safetensors",
            best / "weights.safetensors",
            its / "weights.safetensors",
            network,
            (*BYTES, *[header] * 4),
        ),
        Kind(
            "model.json, forged",
            best / "model.json",
            its / "model.json",
            network,
            (forged,),
            may_mean_another=True,
        ),
        Kind(
            "candidate's weights",
            kept[0],
            kept[-1],
            state,
            (*BYTES, spoiled_names(b"best", b"parameters", b"rule")),
        ),
    ]


def _of_person(folder: Path) -> list[Kind]:
    space = folder / "space.toml"
    shutil.copy(nas.space.available_spaces()["small"], space)
    other_space = nas.space.available_spaces()["deep"]
    starts, message = folder / "starts.json", folder / "0-0.json"
    genome = {"widths": [16, 8], "activation": ["relu", "tanh"], "learning_rate": 0.01, "dropout": 0.1}
    starts.write_text(json.dumps([{"widths": [8]}, genome]))
    generation: dict[str, Any] = {"best_genome": genome, "heredity": [0.5]}
    generation |= dict.fromkeys(("number", "evaluated", "failures"), 1)
    generation |= dict.fromkeys(("best", "median", "mean", "std", "diversity"), 0.5)
    message.write_text(json.dumps({"elites": [genome], "generation": generation}))
    rng = np.random.default_rng(0)
    colors = rng.choice(["red", "blue", "green"], 60)
    frame = pd.DataFrame(
        {"size": rng.normal(size=60), "color": colors, "kind": np.where(colors == "red", "a", "b")}
    )
    frame.to_csv(folder / "table.csv", index=False)
    frame.to_parquet(folder / "table.parquet")
    frame.iloc[:10].to_csv(folder / "other.csv", index=False)
    frame.iloc[:10].to_parquet(folder / "other.parquet")
    small = load_space("small")

    def of_space() -> Any:
        found = load_space(space)
        Limits().smallest(found, cost_model(4, 3))
        found.check_fits(100_000_000, 4, 3)
        return found.to_dict(), found.summary()

    def table(name: str) -> Callable[[], Any]:
        def read() -> Any:
            dataset = load_dataset(folder / name, target="kind")
            return dataset.describe(), dataset.digest()

        return read

    def person(name: str, file: Path, other: Path, read: Callable[[], Any], *more: Mutation) -> Kind:
        return Kind(name, file, other, read, (*BYTES, *more), may_mean_another=True)

    return [
        person("space in TOML", space, other_space, of_space, *[as_toml] * 12),
        person(
            "genomes to start with",
            starts,
            message,
            lambda: genomes_to_start_with(str(starts), small),
            *[as_record] * 8,
        ),
        person("island's message", message, starts, lambda: repr(read_message(message)), *[as_record] * 8),
        person("CSV", folder / "table.csv", folder / "other.csv", table("table.csv"), *[as_csv] * 8),
        person(
            "Parquet",
            folder / "table.parquet",
            folder / "other.parquet",
            table("table.parquet"),
            *[spoiled_names(b"size", b"color", b"kind", b"green", b"red", b"pandas", b"columns")] * 4,
        ),
    ]


def attack(kind: Kind, n: int, seed: int) -> Tally:
    """Read so many mutations of a kind; the file is as it was afterwards."""
    rng = random.Random(f"{kind.name} {seed}")
    original, other, tally = kind.file.read_bytes(), kind.other.read_bytes(), Tally()
    whole = kind.read()
    try:
        for i in range(n):
            # All kinds of mutations in turn: rare ones are not left to chance.
            mutation = kind.mutations[i % len(kind.mutations)]
            content = mutation(original, other, rng)
            kind.file.unlink()  # on some file systems overwriting waits for the disk
            kind.file.write_bytes(content)
            outcome, seconds, growth = _outcome(kind, whole, same_bytes=content == original)
            what = outcome.split(":")[0]
            tally.outcomes[what] += 1
            tally.slowest, tally.growth = max(tally.slowest, seconds), max(tally.growth, growth)
            if what in ("traceback", "another meaning") or seconds > _SLOW or growth > _LARGE:
                name = getattr(mutation, "__name__", "?")
                tally.faults.append(
                    f"{kind.name}, mutation {i} by {name}: {outcome}; {seconds:.1f} s, {growth} MB"
                )
    finally:
        kind.file.write_bytes(original)
    return tally


def _outcome(kind: Kind, whole: Any, *, same_bytes: bool) -> tuple[str, float, float]:
    resident = _forget_peak()
    since = time.perf_counter()
    try:
        with _at_most(_LONGEST):
            found = kind.read()
    except REFUSALS as error:
        words = str(error)
        outcome = "refused" if words.strip() and "\n" not in words else f"traceback: no sentence: {words!r}"
    except BaseException as error:  # noqa: BLE001  # that it is none of these is what is looked for
        outcome = f"traceback: {type(error).__name__}: {str(error)[:200]}"
    else:
        if same_bytes or _same(found, whole) or kind.is_shorter(found, whole):
            outcome = "the same meaning"
        else:
            outcome = "valid input" if kind.may_mean_another else "another meaning"
    return outcome, time.perf_counter() - since, max(0.0, round(_peak() - resident, 1))


def _same(one: Any, other: Any) -> bool:
    # The order of keys means nothing; NaN is no fault of the reader.
    return bool(one == other) or repr(one) == repr(other)


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"not read to its end in {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _forget_peak() -> float:
    """Begin to look for the largest memory anew; that of now in MB, 0 where the system does not say."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return 0.0


def _peak() -> float:
    return _status("VmHWM")


def _status(key: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(key)), 0.0)


def _in_a_process(kind: Kind, n: int, seed: int) -> Tally:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(attack(kind, n, seed)))
    process.start()
    sender.close()
    try:
        tally: Tally = receiver.recv()
    except EOFError:
        tally = Tally(Counter({"traceback": n}), faults=[f"{kind.name}: the process died of its files"])
    process.join()
    return tally


def main(arguments: list[str] | None = None) -> None:
    """Mutate, read, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = kinds(*prepare(folder), folder)
        n = -(-(600 if options.quick else options.mutations) // len(found))
        tallies = {kind.name: _in_a_process(kind, n, options.seed) for kind in found}
    rows: list[dict[str, Any]] = [
        {
            "kind": name,
            "mutations": sum(tally.outcomes.values()),
            "refused in a sentence": tally.outcomes["refused"],
            "the same meaning": tally.outcomes["the same meaning"],
            "valid input": tally.outcomes["valid input"],
            "another meaning": tally.outcomes["another meaning"],
            "traceback": tally.outcomes["traceback"],
            "slowest s": round(tally.slowest, 2),
            "growth MB": tally.growth,
        }
        for name, tally in tallies.items()
    ]
    figures = [
        Figure("mutated files", 10_000, sum(row["mutations"] for row in rows)),
        Figure("tracebacks", 0, sum(row["traceback"] for row in rows), at_most=True),
        Figure("accepted with another meaning", 0, sum(row["another meaning"] for row in rows), at_most=True),
        Figure("slowest, s", _SLOW, max(row["slowest s"] for row in rows), at_most=True),
        Figure("largest growth of memory, MB", _LARGE, max(row["growth MB"] for row in rows), at_most=True),
    ]
    for tally in tallies.values():
        for fault in tally.faults:
            print(fault)
    report(figures, rows, options.json)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--mutations", type=int, default=12_000, metavar="N", help="of all kinds; default: 12000"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--quick", action="store_true", help="600 mutations")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    return parser


if __name__ == "__main__":
    main()
