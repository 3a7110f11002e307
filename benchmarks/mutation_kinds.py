"""The kinds of files that `benchmarks.mutations` changes: of a run, of a network, and of a person."""

from __future__ import annotations

import json
import random
import shutil
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import nas
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
from nas.reporting.comparison import compare
from nas.reporting.history import read_history
from nas.reporting.panels import panels
from nas.run.exchange import read_message
from nas.run.resuming import restored
from nas.run.starts import genomes_to_start_with
from nas.run.weights import Weights
from nas.runtime import load_network
from nas.runtime import sealed as sealed_model
from nas.space import Limits, check_fits, cost_model, load_space
from nas.tracking.archive import RunArchive


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
        check_fits(found, 100_000_000, 4, 3)
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
