"""Searches on several islands: what the whole contract of a search means there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from searches import COPIES, QUICK, assert_same_result, weights

import nas
from nas.cli import main
from nas.errors import InputError, RunningError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.tracking.parts import AllEvaluations, recorded_evaluations, to_global_ids

N = 3

OPTIONS: dict[str, Any] = QUICK | {
    "space": "small",
    "epochs": 12,
    "islands": N,
    "n_workers": 2,
    "n_candidates": 195,
    "folds": 1,
    "time_budget": None,
}
"""Of each island a migration, and some candidates after it; with halving and inheritance."""

COMMAND = ["--space", "small", "--epochs", "12", "--islands", str(N), "--candidates", "195", "--name", "one"]
COMMAND += [
    "--no-tracking",
    "--no-report",
    "--no-baseline",
    "--finalists",
    "1",
    "--members",
    "1",
    "--folds",
    "1",
]


def search(runs_dir: Path, **options: Any) -> nas.SearchResult:
    return nas.search("iris", runs_dir=runs_dir, **(OPTIONS | options))


def journals(run_dir: Path) -> list[list[dict[str, Any]]]:
    """Each island's journal without times."""
    found = []
    for i in range(N):
        lines = (run_dir / "islands" / str(i) / "journal.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        for entry in entries:
            del entry["crc"]
            entry.get("evaluation", {}).pop("seconds", None)
        found.append(entries)
    return found


def n_lines(run_dir: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in run_dir.glob("islands/*/journal.jsonl"))


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nas", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(run_dir: Path, n: int, process: subprocess.Popen[str]) -> None:
    while n_lines(run_dir) < n:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, running_ray: None) -> nas.SearchResult:
    """The search that nothing happens to."""
    return search(tmp_path_factory.mktemp("whole"))


@pytest.mark.ray
@pytest.mark.exhaustive
class TestAWholeSearch:
    @pytest.mark.slow
    def test_each_island_has_its_share_and_a_journal_of_its_own(self, whole: nas.SearchResult) -> None:
        entries = journals(whole.run_dir)
        assert [one[0]["island"] for one in entries] == list(range(N))
        fresh = [sum(not one["candidate"]["epochs_done"] for one in island[1:]) for island in entries]
        # Who waits in vain for one that has ended asks for nothing more.
        assert all(50 <= n <= 65 for n in fresh)
        assert max(fresh) == 65
        assert whole.n_candidates == sum(fresh)
        assert whole.stopped == "candidates"
        first = [island[1]["candidate"]["genome"] for island in entries]
        assert len({json.dumps(genome) for genome in first}) == N

    def test_migrants_are_elites_of_the_island_before(self, whole: nas.SearchResult) -> None:
        entries = journals(whole.run_dir)
        for i in range(N):
            before = entries[(i - 1) % N][1:]
            known = {json.dumps(one["candidate"]["genome"]): one["evaluation"]["fitness"] for one in before}
            came = [one["candidate"] for one in entries[i][1:] if one["candidate"]["operator"] == "migrant"]
            assert 1 <= len(came) <= 2
            scores = sorted(known.values())
            for one in came:
                assert known[json.dumps(one["genome"])] >= scores[len(scores) // 2]
                assert (one["parents"], one["inherits"]) == ([], None)

    def test_the_result_is_of_all_of_them(self, whole: nas.SearchResult) -> None:
        entries = journals(whole.run_dir)
        history = list(whole.history)
        assert len(whole.history) == len(history) == sum(len(island) - 1 for island in entries)
        ids = [candidate.id for candidate, _ in history]
        assert ids == sorted(set(ids))
        assert (whole.best, whole.evaluation) in history
        assert whole.evaluation.fitness == max(evaluation.fitness for _, evaluation in history)
        assert len(whole.to_frame()) == len(history)
        assert len(whole.heredity) >= 1
        for make in COPIES.values():
            assert_same_result(make(whole), whole, nas.load_dataset("iris").table)

    @pytest.mark.slow
    def test_the_number_of_workers_changes_nothing(self, tmp_path: Path, whole: nas.SearchResult) -> None:
        other = search(tmp_path, n_workers=5)
        assert journals(other.run_dir) == journals(whole.run_dir)
        assert (other.best, other.test, weights(other)) == (whole.best, whole.test, weights(whole))

    @pytest.mark.slow
    def test_a_longer_search_begins_with_a_shorter_one(self, tmp_path: Path, whole: nas.SearchResult) -> None:
        short = search(tmp_path, n_candidates=120)
        for long_one, short_one in zip(journals(whole.run_dir), journals(short.run_dir), strict=True):
            assert short_one == long_one[: len(short_one)]
        longer = nas.resume(short.run_dir, n_candidates=195, progress=False)
        assert journals(longer.run_dir) == journals(whole.run_dir)
        assert weights(longer) == weights(whole)

    @pytest.mark.slow
    def test_a_killed_driver_loses_nothing(self, tmp_path: Path, whole: nas.SearchResult) -> None:
        folder = tmp_path / "one"
        process = start("search", "iris", *COMMAND, "--workers", "2", "--runs-dir", tmp_path)
        wait_for(folder, 130, process)
        process.kill()
        process.communicate()
        before = n_lines(folder)
        # At once: the islands outlive the driver for a moment, which is waited for.
        result = nas.resume(folder, progress=False)
        assert before >= 130
        assert journals(folder) == journals(whole.run_dir)
        assert weights(result) == weights(whole)

    @pytest.mark.slow
    def test_islands_that_are_killed_are_restarted(self, tmp_path: Path, whole: nas.SearchResult) -> None:
        folder = tmp_path / "one"
        process = start("search", "iris", *COMMAND, "--workers", "2", "--runs-dir", tmp_path)
        while not folder.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        assert n_lines(folder) == 0  # the islands are starting
        assert_held(folder)
        for n in (40, 110, 190):
            wait_for(folder, n, process)
            assert_held(folder, "resume", "sync")
            victims = list(islands())
            assert victims
            with contextlib.suppress(ProcessLookupError):
                os.kill(victims[0], signal.SIGKILL)
        while (folder / "exchange").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        assert_held(folder)  # while the winner is named
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        assert journals(folder) == journals(whole.run_dir)
        assert (folder / "best" / "weights.safetensors").read_bytes() == weights(whole)

    @pytest.mark.slow
    def test_an_interrupted_one_keeps_the_best_so_far(self, tmp_path: Path, whole: nas.SearchResult) -> None:
        folder = tmp_path / "one"
        process = start("search", "iris", *COMMAND, "--workers", "2", "--runs-dir", tmp_path)
        wait_for(folder, 60, process)
        since = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert time.monotonic() - since < 12  # of which half is Ray's own end
        assert ": interrupted." in out
        assert nas.load_network(folder).provenance["test_score"] > 0
        for long_one, short_one in zip(journals(whole.run_dir), journals(folder), strict=True):
            assert short_one == long_one[: len(short_one)]

    @pytest.mark.slow
    def test_mlflow_shows_one_parent_with_all_children(self, tmp_path: Path) -> None:
        result = search(tmp_path, n_candidates=30, tracking=True, track="all")
        client = mlflow.MlflowClient(result.tracking_uri)
        runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
        parents = [run for run in runs if run.data.tags["nas.kind"] == "search"]
        children = [run for run in runs if run.data.tags["nas.kind"] == "candidate"]
        assert [run.info.run_id for run in parents] == [result.mlflow_run_id]
        numbers = sorted(int(run.data.tags["nas.candidate"]) for run in children)
        assert numbers == [candidate.id for candidate, _ in result.history]
        assert parents[0].data.metrics["population/candidates"] == len(result.history)
        assert len(client.list_artifacts(parents[0].info.run_id, "islands/2")) == 1
        # A candidate is known by the same number everywhere.
        candidate, evaluation = result.history[7]
        again = nas.debug(result.run_dir, candidate.id)
        assert (again.candidate, again.recorded) == (candidate, evaluation)
        assert again.repeated.n_parameters == evaluation.n_parameters
        for number in (-1, 3 * len(result.history)):
            with pytest.raises(InputError, match=f"expected one that the run has evaluated, got {number}"):
                nas.debug(result.run_dir, number)
        second = search(tmp_path, n_candidates=12, starts=result.run_dir, name="two")
        assert any(one.operator == "start" for one, _ in second.history)


def assert_held(run_dir: Path, *commands: str) -> None:
    for command in commands:
        assert main([command, str(run_dir)]) == 2
    with pytest.raises(RunningError, match="expected a search that is over, got one that still runs"):
        nas.resume(run_dir)


def islands() -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cmdline").read_text().startswith("ray::_Process.call"):
                found.append(int(entry.name))
    return found


def test_islands_need_workers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="n_workers: expected at least 1 with 3 islands, got 0"):
        search(tmp_path, n_workers=0)
    with pytest.raises(InputError, match="islands: expected a whole number of at least 1"):
        search(tmp_path, islands=0)
    assert not list(tmp_path.iterdir())


def test_the_archive_is_in_the_order_of_its_ids() -> None:
    genome = Genome((4,))
    parts = [
        [(Candidate(k, genome, 10 * i + k, 0, "x", (k - 1,), k - 1), Evaluation(k)) for k in range(n)]
        for i, n in enumerate((3, 1, 2))
    ]
    found = AllEvaluations(parts)
    assert [candidate.id for candidate, _ in found] == [0, 1, 2, 3, 5, 6]
    assert [candidate.seed for candidate, _ in found] == [0, 10, 20, 1, 21, 2]
    assert (len(found), found[4], found[-1]) == (6, list(found)[4], list(found)[5])
    assert found[1:3] == list(found)[1:3]
    candidate, evaluation = found[4]
    assert (candidate.parents, candidate.inherits, evaluation.candidate_id) == ((2,), 2, 5)
    assert found.of(5) == evaluation
    assert to_global_ids(parts[0][1], 0, 1) == parts[0][1]
    assert recorded_evaluations(parts[:1]) is parts[0]
