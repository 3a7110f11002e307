"""Files that were spoiled, swapped, or cut off by a power cut: refused in a sentence, or read as meant."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nas
from benchmarks import mutation_kinds, mutations
from nas.data import load_dataset
from nas.errors import DataError, RunError
from nas.export.native import save_network
from nas.network import State
from nas.run.weights import Weights
from nas.runtime import load_network
from nas.tracking.archive import RunArchive
from nas.tracking.checksums import Chain
from nas.tracking.journal import Journal, Tail, read_journal

KINDS = (
    *("journal", "config", "result", "generations", "journal, forged", "config, forged", "result, forged"),
    *(
        "generations, forged",
        "model.json",
        "weights.safetensors",
        "model.json, forged",
        "candidate's weights",
    ),
    *("space in TOML", "genomes to start with", "island's message", "CSV", "Parquet"),
)
MUTATIONS = 60


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two searches that are over, of other seeds."""
    return mutation_kinds.prepare(tmp_path_factory.mktemp("spoiled"))


@pytest.fixture
def run(runs: tuple[Path, Path], tmp_path: Path) -> Path:
    """A run that a test may spoil."""
    return Path(shutil.copytree(runs[0], tmp_path / "run"))


def test_every_kind_of_file_is_mutated(runs: tuple[Path, Path], tmp_path: Path) -> None:
    assert tuple(kind.name for kind in mutation_kinds.kinds(*runs, tmp_path)) == KINDS


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_mutated_file_is_refused_or_means_what_it_meant(
    runs: tuple[Path, Path], run: Path, tmp_path: Path, name: str
) -> None:
    (kind,) = [one for one in mutation_kinds.kinds(run, runs[1], tmp_path) if one.name == name]
    tally = mutations.attack(kind, MUTATIONS, seed=1)
    assert not tally.faults
    assert sum(tally.outcomes.values()) == MUTATIONS
    assert tally.outcomes["refused"] > MUTATIONS / 4


# What a run's folder says


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


READERS: dict[str, Callable[[Path], object]] = {
    "report": nas.report,
    "compare": lambda run: nas.compare([run, run]),
    "sync": lambda run: nas.sync(run, tracking_uri=f"sqlite:///{run}/mlflow.db"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("result.json", '"candidates": 8', '"candidates": 7', "expected the content that its checksum is of"),
        ("result.json", '"format": 1', '"format": 2', "format: expected 1, got 2"),
        (
            "config.json",
            '"seed": 0',
            '"seed": 1',
            "if that was meant, delete the keys 'format' and 'checksum'",
        ),
        ("result.json", "{", "[" * 100_000, "expected JSON, got: values nested more than 64 deep"),
        ("config.json", '"seed": 0', f'"seed": {"9" * 10_000}', "a number of 10000 digits, more than 300"),
    ],
)
def test_a_changed_file_is_refused_by_whatever_reads_it(
    run: Path, reader: str, file: str, old: str, new: str, message: str
) -> None:
    change(run / file, old, new)
    with pytest.raises(RunError) as caught:
        READERS[reader](run)
    assert str(caught.value).startswith(f"{run / file}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def unsealed(file: Path, edit: Callable[[Any], object] = lambda record: None) -> None:
    """A file as an earlier version wrote it, without a checksum."""
    record = json.loads(file.read_text())
    for key in ("format", "checksum", "run_id") if file.name == "result.json" else ("format", "checksum"):
        del record[key]
    edit(record)
    file.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r.pop("best"), "best: expected a value, got no such key"),
        (lambda r: r.update(best=7), "best: expected an object, got 7"),
        (
            lambda r: r["best"].update(n_parameters="1"),
            "best.n_parameters: expected a whole number from 0, got",
        ),
        (lambda r: r["best"]["genome"].update(widths=[0]), "best.genome.widths: expected a list of whole"),
        (lambda r: r.update(test_score=[]), "test_score: expected a finite number, got []"),
        (lambda r: r.update(named=5), "named: expected one of 2 finalists, got 5"),
        (lambda r: r["finalists"][0].update(scores=None), "finalists[0].scores: expected a list of finite"),
        (lambda r: r.update(candidates=9000), "expected a journal of the 9000 candidates"),
    ],
)
def test_a_result_is_checked_key_by_key(run: Path, edit: Callable[[Any], object], message: str) -> None:
    unsealed(run / "result.json", edit)
    with pytest.raises(RunError) as caught:
        nas.report(run)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.pop("run_id"), "run_id: expected a value, got no such key"),
        (lambda c: c.update(data=[]), "data: expected an object, got []"),
        (lambda c: c["data"].update(target="y"), "data.target: expected a list, got 'y'"),
        (lambda c: c.update(tracking={"uri": 7}), "tracking.uri: expected text, got 7"),
        (lambda c: c["settings"].pop("space"), "settings.space: expected a value, got no such key"),
        (
            lambda c: c["settings"].update(starts=[{"widths": [4], "dropout": "0"}]),
            "settings.starts[0].dropout",
        ),
        (lambda c: c["settings"].update(more=1), "unexpected keyword argument 'more'"),
        (lambda c: c.update(tracking={"uri": "sqlite:///a", "x": 1}), "unexpected keyword argument 'x'"),
        (lambda c: c["settings"]["space"].update(depth=[1, "2"]), "settings.space.depth: expected two whole"),
    ],
)
def test_a_configuration_is_checked_key_by_key(
    run: Path, edit: Callable[[Any], object], message: str
) -> None:
    unsealed(run / "config.json", edit)
    with pytest.raises(RunError) as caught:
        nas.resume(run, progress=False)
    assert message in str(caught.value)


@pytest.mark.slow
def test_files_of_earlier_versions_are_read(run: Path) -> None:
    before = nas.compare([run, run]).to_dict()
    for name in ("config.json", "result.json"):
        unsealed(run / name)
    lines = (run / "generations.jsonl").read_text().splitlines()
    entries = [{key: value for key, value in json.loads(line).items() if key != "crc"} for line in lines]
    generations = RunArchive(run).generations
    (run / "generations.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    assert nas.compare([run, run]).to_dict() == before
    assert RunArchive(run).generations == generations
    assert nas.report(run).is_file()
    nas.resume(run, progress=False, report=False)
    assert RunArchive(run).generations == generations
    assert all("crc" in json.loads(line) for line in (run / "generations.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("result.json", "expected the result of this run, got that of another"),
        ("generations.jsonl", "line 1, got: another checksum than its own"),
        ("journal.jsonl", "expected a journal of the seed that config.json has, got that of another"),
        ("best", "of this run's journal, got"),
    ],
)
def test_a_file_of_another_run_is_refused(
    runs: tuple[Path, Path], run: Path, name: str, message: str
) -> None:
    if (run / name).is_dir():
        shutil.rmtree(run / name)
        shutil.copytree(runs[1] / name, run / name)
    else:
        shutil.copy(runs[1] / name, run / name)
    with pytest.raises(RunError) as caught:
        nas.report(run)
    assert message in str(caught.value)


def test_a_damaged_winner_is_not_taken_for_a_search_that_has_none(run: Path) -> None:
    file = run / "best" / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    for reader in ("report", "sync"):
        with pytest.raises(
            RunError, match=r"weights\.safetensors with another checksum than it was saved with"
        ):
            READERS[reader](run)


@pytest.mark.slow
def test_a_journal_that_lost_its_end_is_no_shorter_search(run: Path) -> None:
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (run / "journal.jsonl").write_bytes(b"".join(lines[:-2]))
    expected = r"expected a journal of the 8 candidates .* got 6; to try the rest again: nas resume "
    with pytest.raises(RunError, match=expected):
        nas.report(run)
    nas.resume(run, progress=False, report=False)
    assert nas.report(run).is_file()


def test_damaged_curves_are_written_anew_from_the_journal(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = [one for one, _ in RunArchive(run).generations]
    change(run / "generations.jsonl", '"number":1', '"number":3')
    with pytest.raises(RunError, match=r"may be deleted, .*: nas resume "):
        nas.report(run)
    nas.resume(run, progress=False, report=False)
    assert "what follows from the journal is written anew" in caplog.text
    assert [one for one, _ in RunArchive(run).generations] == before


def test_a_line_that_never_ends_is_not_read(run: Path) -> None:
    for name in ("journal.jsonl", "result.json", "generations.jsonl", "config.json"):
        before = (run / name).read_bytes()
        with (run / name).open("r+b") as file:
            file.truncate(2**40)  # sparse: nothing is written
        with pytest.raises(RunError, match=r"expected at most \d+ bytes|line \d+"):
            nas.report(run)
        (run / name).unlink()
        (run / name).write_bytes(before)


def test_a_spoiled_line_of_an_island_is_refused_while_it_is_followed(run: Path) -> None:
    change(run / "journal.jsonl", '"fitness":', '"fitness":[],"more":')
    with pytest.raises(RunError, match="expected a journal's entry at byte"):
        list(Tail(run / "journal.jsonl").new())


# Candidates' weights


def test_weights_of_another_candidate_or_run_are_refused(tmp_path: Path) -> None:
    state = State(np.ones(3, np.float32), (), ("sgd", 0.0), 0, 1)
    Weights(tmp_path, run_id="one").keep(5, (state,))
    shutil.copy(tmp_path / "5.npz", tmp_path / "6.npz")
    assert Weights(tmp_path, run_id="one").of(5)[0].epochs == 1
    with pytest.raises(RunError, match="got a damaged file: weights of candidate 5, not 6"):
        Weights(tmp_path, run_id="one").of(6)
    with pytest.raises(RunError, match="got a damaged file: weights of run 'one', not 'other'"):
        Weights(tmp_path, run_id="other").of(5)


# Tables


@pytest.mark.parametrize(
    ("old", "where"), [(b"green", "column 'color': expected readable values"), (b"size", "")]
)
def test_parquet_that_is_no_utf8_is_refused(tmp_path: Path, old: bytes, where: str) -> None:
    frame = pd.DataFrame({"size": range(40), "color": ["red", "green"] * 20, "kind": ["a", "b"] * 20})
    file = tmp_path / "t.parquet"
    frame.to_parquet(file)
    file.write_bytes(file.read_bytes().replace(old, b"\xff" + old[1:]))
    with pytest.raises(DataError) as caught:
        load_dataset(file, target="kind")
    assert str(caught.value).startswith(f"{file}: ")
    assert where in str(caught.value)


# Power cuts


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files and folders in the order in which they were synced to the disk."""
    names: list[str] = []
    sync = os.fsync

    def note(number: int) -> None:
        names.append(Path(f"/proc/self/fd/{number}").readlink().name)
        sync(number)

    monkeypatch.setattr(os, "fsync", note)
    return names


def test_a_batch_is_on_the_disk_when_it_ends(
    runs: tuple[Path, Path], tmp_path: Path, synced: list[str]
) -> None:
    record = read_journal(runs[0] / "journal.jsonl")
    file = tmp_path / "journal.jsonl"
    file.touch()
    journal = Journal(file)
    journal._chain, journal._n_bytes = Chain(), 0
    (generation, _), *_ = RunArchive(runs[0]).generations
    for pair in list(record.evaluations)[:3]:
        journal.evaluated(*pair)
    assert synced == []
    journal.generation(generation)
    assert synced == ["journal.jsonl"]
    journal.generation(generation)
    assert synced == ["journal.jsonl"]  # nothing was written since
    journal.evaluated(*record.evaluations[3])
    journal.close()


def test_a_saved_network_is_on_the_disk_before_it_has_its_name(
    run: Path, tmp_path: Path, synced: list[str]
) -> None:
    save_network(load_network(run), tmp_path / "saved" / "best")
    assert synced == ["weights.safetensors", "model.json", ".best.unfinished", "saved"]


def test_a_search_syncs_its_configuration_its_journal_its_winner_and_its_result(
    tmp_path: Path, synced: list[str]
) -> None:
    run, _ = mutation_kinds.prepare(tmp_path)
    first = synced[: synced.index(f".result.json.{os.getpid()}") + 2]
    assert first[0] == "config.json"
    assert first[-1] == run.name
    kept = [i for i, name in enumerate(first) if name.endswith(".npz")]
    journals = [i for i, name in enumerate(first) if name == "journal.jsonl"]
    assert kept
    # Weights that are inherited later come before the lines that tell of them.
    assert journals[0] > kept[0]
    assert max(journals[:-1]) < first.index("model.json") < first.index(f".result.json.{os.getpid()}")
