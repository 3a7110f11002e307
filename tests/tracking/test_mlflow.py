"""MLflow's view of a search, read back from real stores."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

import nas
from benchmarks.mlflow_server import Server, late
from nas.errors import RunError, TrackingError
from nas.evaluation import Candidate
from nas.tracking.choice import ChildChoice
from nas.tracking.journal import Journal, read_journal
from nas.tracking.mlflow import MLflowTracker
from nas.tracking.mlflow_entries import genes
from nas.tracking.mlflow_view import View
from nas.tracking.writer import Writer

pytestmark = pytest.mark.slow  # databases and servers take seconds

N = 14


def runs_of(uri: str, experiment: str = "nas-iris") -> tuple[Any, list[Any]]:
    """The parent, and the children by candidate."""
    client = mlflow.MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], max_results=1000)
    (parent,) = [run for run in runs if run.data.tags["nas.kind"] == "search"]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == len(runs) - 1
    return parent, sorted(children, key=lambda run: int(run.data.tags["nas.candidate"]))


def search(runs_dir: Path, **options: Any) -> nas.SearchResult:
    settings: dict[str, Any] = {
        "space": "tiny",
        "n_candidates": N,
        "epochs": 5,
        "folds": 2,
        "members": 1,
        "baseline": False,
        "n_workers": 0,
        "progress": False,
        "report": False,
        "name": "one",
    }
    return nas.search("iris", runs_dir=runs_dir, **(settings | options))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    return search(tmp_path_factory.mktemp("tracked") / "runs", track="all")


def test_there_is_one_parent_and_one_child_a_candidate(result: nas.SearchResult) -> None:
    assert result.tracking_uri is not None
    parent, children = runs_of(result.tracking_uri)
    assert parent.info.run_id == result.mlflow_run_id
    assert len(children) == len(result.history) == N
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}


def test_a_child_holds_genome_curves_and_lineage(result: nas.SearchResult) -> None:
    uri = str(result.tracking_uri)
    client = mlflow.MlflowClient(uri)
    for (candidate, evaluation), run in zip(result.history, runs_of(uri)[1], strict=True):
        assert run.data.params["widths"] == "-".join(map(str, candidate.genome.widths))
        assert run.data.params["depth"] == str(candidate.genome.depth)
        assert run.data.params["width_1"] == str(candidate.genome.widths[0])
        assert run.data.tags["nas.operator"] == candidate.operator
        assert run.data.tags["nas.parents"] == (", ".join(map(str, candidate.parents)) or "none")
        assert run.data.tags["nas.generation"] == str(candidate.generation)
        assert run.info.run_name == (
            f"g{candidate.generation:02d} c{candidate.id:04d} {run.data.params['widths']}"
        )
        assert run.data.metrics["validation_accuracy"] == evaluation.fitness
        assert run.data.metrics["seconds"] == evaluation.seconds
        curve = client.get_metric_history(run.info.run_id, "learning/validation_loss")
        assert [point.value for point in curve] == list(evaluation.validation_losses)
        first = candidate.epochs_done + 1
        assert [point.step for point in curve] == list(range(first, first + len(curve)))
        losses = client.get_metric_history(run.info.run_id, "learning/train_loss")
        assert [point.value for point in losses] == list(evaluation.train_losses)


def test_what_layers_have_of_their_own_is_written_in_a_row() -> None:
    genome = nas.Genome((8, 4), ("relu", "tanh"), dropout=(0.0, 0.25), schedule="cosine")
    written = genes(Candidate(0, genome, 0, 0, "random"))
    assert written["activation"] == "relu,tanh"
    assert written["dropout"] == "0.0,0.25"
    assert written["schedule"] == "cosine"


def test_the_parent_tells_what_was_searched_and_how_it_went(result: nas.SearchResult) -> None:
    uri = str(result.tracking_uri)
    parent, _ = runs_of(uri)
    assert parent.data.params["seed"] == "0"
    assert parent.data.params["space.widths"] == "[4, 8, 16, 32]"
    assert parent.data.params["data.rows"] == "150"
    assert parent.data.tags["version.numpy"] == np.__version__
    assert parent.data.metrics["test_accuracy"] == pytest.approx(result.test.score, rel=1e-5)
    assert parent.data.metrics["temperature"] == pytest.approx(result.temperature, rel=1e-5)
    assert parent.data.tags["nas.best"] == str(result.best.genome)
    client = mlflow.MlflowClient(uri)
    for name in ("fitness/best_accuracy", "fitness/mean_accuracy", "population/diversity"):
        assert [point.step for point in client.get_metric_history(parent.info.run_id, name)] == [0, 1, 2, 3]
    artifacts = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert {"journal.jsonl", "search_space.json", "column_importance.csv"} <= artifacts


def test_the_logged_model_predicts_the_same_without_pickles(
    result: nas.SearchResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    client = mlflow.MlflowClient(str(result.tracking_uri))
    parent, _ = runs_of(str(result.tracking_uri))
    (model,) = client.search_logged_models([parent.info.experiment_id])
    assert model.source_run_id == result.mlflow_run_id
    loaded = mlflow.pyfunc.load_model(model.artifact_location)
    table = nas.load_dataset("iris").table
    assert (loaded.predict(table) == result.network.predict(table)).all()
    chances = loaded.predict(table, params={"probabilities": True})
    assert np.array_equal(chances, result.network.predict_proba(table))
    sets = loaded.predict(table, params={"interval": 0.8})
    expected = result.network.interval_columns(table, 0.8)
    assert {name: cells.tolist() for name, cells in sets.items()} == {
        name: cells.tolist() for name, cells in expected.items()
    }


def test_global_state_of_mlflow_is_left_alone(result: nas.SearchResult) -> None:
    assert not mlflow.is_tracking_uri_set()  # type: ignore[no-untyped-call]
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert mlflow.active_run() is None


def test_artifacts_stay_beside_the_runs(result: nas.SearchResult) -> None:
    assert not Path("mlruns").exists()
    assert (result.run_dir.parent / "artifacts").is_dir()


def test_failures_are_failed_runs_with_their_reason(runs_dir: Path) -> None:
    space = nas.SearchSpace(depth=(1, 1), widths=(4, 8), learning_rate=(0.01, 10.0), optimizer=("sgd",))
    result = search(runs_dir, space=space, n_candidates=4, epochs=30)
    _, children = runs_of(str(result.tracking_uri))
    failed = [run for run in children if run.info.status == "FAILED"]
    assert result.n_failures == len(failed)
    assert all("became" in run.data.tags["nas.error"] for run in failed)
    assert all("validation_accuracy" not in run.data.metrics for run in failed)


@pytest.mark.exhaustive
def test_a_resumed_search_is_one_run_without_repeats(runs_dir: Path) -> None:
    first = search(runs_dir, n_candidates=5, track="all")
    resumed = nas.resume(first.run_dir, n_candidates=N, n_workers=0, progress=False)
    assert resumed.mlflow_run_id == first.mlflow_run_id
    parent, children = runs_of(str(resumed.tracking_uri))
    assert [run.data.tags["nas.candidate"] for run in children] == [str(i) for i in range(N)]
    # Once more, with nothing left to do: nothing is written twice, the model neither.
    again = nas.resume(first.run_dir, n_candidates=N, n_workers=0, progress=False)
    client = mlflow.MlflowClient(str(again.tracking_uri))
    points = client.get_metric_history(parent.info.run_id, "population/candidates")
    assert [(point.step, point.value) for point in points] == [(0, 4), (1, 5), (1, 8), (2, 12), (3, 14)]
    models = client.search_logged_models([parent.info.experiment_id])
    assert len(models) == len({first.best.id, resumed.best.id})


def test_the_logged_model_reads_tables_with_gaps_and_without_what_it_does_not_use(
    runs_dir: Path, table: pd.DataFrame
) -> None:
    whole = table.assign(size=table["size"].fillna(9).round().astype(int), color=table["color"].fillna("red"))
    few: dict[str, Any] = {"n_candidates": 2, "epochs": 5, "folds": 2, "n_finalists": 1, "baseline": False}
    result = nas.search(whole, target="kind", runs_dir=runs_dir, space="tiny", n_workers=0, **few)
    client = mlflow.MlflowClient(str(result.tracking_uri))
    (model,) = client.search_logged_models(
        [runs_of(str(result.tracking_uri), "nas-table")[0].info.experiment_id]
    )
    loaded = mlflow.pyfunc.load_model(model.artifact_location)
    gaps = table.drop(columns=["kind", "constant"])
    assert (loaded.predict(gaps) == result.network.predict(gaps)).all()
    assert len(loaded.input_example.merge(whole.drop(columns="constant"))) >= 5
    assert pd.api.types.is_integer_dtype(loaded.input_example["size"])


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("http://127.0.0.1:9", "expected an MLflow store that answers, got: .*refused"),
        ("sqlite:////proc/nowhere/mlflow.db", "expected an MLflow store that answers"),
        ("sqlite:////dev/null", "expected an MLflow store that answers"),
        ("./mlruns", "got a folder"),
        ("file:///tmp/mlruns", "got a folder"),
        ("http://me:secret@127.0.0.1:9", "store http://127.0.0.1:9: expected an MLflow store that answers"),
        ("nonsense://me:secret@x", "expected sqlite:///PATH, .* got nonsense:"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_before_anything_is_written(
    tmp_path: Path, uri: str, complaint: str
) -> None:
    with pytest.raises(TrackingError, match=complaint) as error:
        search(tmp_path / "runs", tracking_uri=uri)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.exhaustive
def test_a_search_does_not_wait_until_mlflow_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifth = threading.Event()
    connect = View.connect

    def waits(view: View) -> None:
        assert fifth.wait(60), "the search goes on meanwhile"
        connect(view)

    class Tells(MLflowTracker):
        def evaluated(self, candidate: Any, evaluation: Any) -> None:
            super().evaluated(candidate, evaluation)
            if candidate.id == 5:
                fifth.set()

    monkeypatch.setattr(View, "connect", waits)
    monkeypatch.setattr("nas.tracking.mlflow.MLflowTracker", Tells)
    result = search(tmp_path, track="all")
    assert len(runs_of(str(result.tracking_uri))[1]) == N


def test_a_store_that_fails_only_later_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "newer.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('of a later MLflow')")
    with caplog.at_level(logging.WARNING, "nas"):
        result = search(tmp_path / "runs", tracking_uri=f"sqlite:///{file}")
    assert result.mlflow_run_id == result.mlflow_url == ""
    assert any(f"tracking store sqlite:///{file}" in line for line in caplog.messages)
    assert any("nas sync" in line for line in caplog.messages)


def test_a_server_that_is_not_mlflow_is_refused(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            with pytest.raises(TrackingError, match="expected an MLflow store that answers"):
                search(tmp_path / "runs", tracking_uri=f"http://127.0.0.1:{other.server_port}")
        finally:
            other.shutdown()
    assert not list((tmp_path / "runs").iterdir())


@pytest.fixture
def server(tmp_path: Path, runs_dir: Path) -> Iterator[Server]:
    server = Server(tmp_path, runs_dir / "mlflow.db")
    server.start()
    yield server
    if server.is_running:
        server.kill()


@pytest.mark.exhaustive
def test_a_server_is_written_to_and_may_stop_midway(
    server: Server, tmp_path: Path, runs_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Whole first, to a server that lives.
    result = search(tmp_path / "far", tracking_uri=server.uri, track="all")
    parent, children = runs_of(server.uri)
    assert len(children) == N
    assert parent.info.status == "FINISHED"
    assert result.mlflow_url is not None
    assert result.mlflow_url.startswith(server.uri)

    # Then to one that is killed after the third candidate: the search ends as if nothing were.
    class KillsTheServer(MLflowTracker):
        def evaluated(self, candidate: Any, evaluation: Any) -> None:
            if candidate.id == 3:
                server.kill()
            super().evaluated(candidate, evaluation)

    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING, "nas"):
        patch.setattr("nas.tracking.mlflow.MLflowTracker", KillsTheServer)
        since = time.monotonic()
        second = search(tmp_path / "far", name="two", tracking_uri=server.uri)
        assert time.monotonic() - since < 60
    assert [pair[1] for pair in second.history] == [pair[1] for pair in result.history]
    assert (second.model_path / "model.json").is_file()
    assert len(read_journal(second.run_dir / "journal.jsonl").evaluations) == N
    assert "the search goes on" in caplog.text
    assert "were not done; the journal has everything" in caplog.text


@pytest.mark.exhaustive
def test_searches_that_start_together_share_a_new_store(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nas", "search", "iris", "--space", "tiny", "--candidates", "2"]
    command += ["--epochs", "2", "--workers", "0", "--runs-dir", str(tmp_path / "runs"), "--no-baseline"]
    together = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    errors = [process.communicate(timeout=120)[1] for process in together]
    assert [process.returncode for process in together] == [0, 0, 0], errors


def view_of(uri: str) -> tuple[Any, list[Any]]:
    """All that MLflow says of a search but when, and by which names of its own."""
    parent, children = runs_of(uri)
    own = {"mlflow.parentRunId"}

    def plain(run: Any) -> Any:
        client = mlflow.MlflowClient(uri)
        curves = {
            name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        tags = {key: text for key, text in run.data.tags.items() if key not in own}
        return run.info.run_name, run.info.status, run.data.params, curves, tags

    return plain(parent), [plain(child) for child in children]


def test_the_view_is_made_anew_from_the_folder_and_only_once(
    result: nas.SearchResult, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/other.db"
    synced = nas.sync(result.run_dir, tracking_uri=uri)
    assert (synced.n_children, synced.n_candidates) == (N, N)
    whole = view_of(uri)
    live = view_of(str(result.tracking_uri))
    assert whole[1] == live[1]
    for one, other in zip(whole[0][:3], live[0][:3], strict=True):
        assert one == other
    ours, theirs = whole[0][3], live[0][3]
    assert ours.keys() == theirs.keys()
    # Who looks at the clock a moment later sees another pace.
    assert all(ours[name] == theirs[name] for name in ours if name != "population/candidates_per_second")
    assert ours.keys() >= {
        "fitness/best_accuracy",
        "fitness/median_accuracy",
        "population/diversity",
        "population/candidates_per_second",
    }
    again = nas.sync(result.run_dir, tracking_uri=uri)
    assert again == synced
    assert view_of(uri) == whole
    (model,) = mlflow.MlflowClient(uri).search_logged_models([runs_of(uri)[0].info.experiment_id])
    assert model.source_run_id == synced.mlflow_run_id


def test_a_table_has_all_candidates_and_the_data_is_an_input(
    result: nas.SearchResult, tmp_path: Path
) -> None:
    client = mlflow.MlflowClient(str(result.tracking_uri))
    parent, _ = runs_of(str(result.tracking_uri))
    table = pd.read_csv(client.download_artifacts(parent.info.run_id, "candidates.csv", str(tmp_path)))
    assert table["id"].tolist() == [candidate.id for candidate, _ in result.history]
    assert table["fitness"].tolist() == [evaluation.fitness for _, evaluation in result.history]
    (data,) = parent.inputs.dataset_inputs
    assert data.dataset.name == "iris"
    assert data.dataset.digest
    assert json.loads(data.dataset.profile)["rows"] == 150


@pytest.mark.exhaustive
@pytest.mark.parametrize("policy", ["best", "elites"])
def test_a_policy_decides_which_candidates_have_a_run(tmp_path: Path, policy: str) -> None:
    result = search(tmp_path, track=policy, n_candidates=20)
    wanted = ChildChoice(policy)
    expected = [candidate.id for candidate, one in result.history if wanted.add(candidate, one)]
    _, children = runs_of(str(result.tracking_uri))
    assert [int(child.data.tags["nas.candidate"]) for child in children] == expected
    assert len(expected) < 20


@pytest.mark.exhaustive
def test_the_winner_becomes_a_version_of_a_registered_model(tmp_path: Path) -> None:
    result = search(tmp_path, register="irises", n_candidates=4)
    client = mlflow.MlflowClient(str(result.tracking_uri))
    (version,) = client.search_model_versions("name = 'irises'")
    assert version.run_id == result.mlflow_run_id
    search(tmp_path, register="irises", n_candidates=4, name="two")
    assert len(client.search_model_versions("name = 'irises'")) == 2


@pytest.mark.exhaustive
def test_what_an_outage_has_cost_is_caught_up(server: Server, runs_dir: Path, tmp_path: Path) -> None:
    class KillsTheServer(MLflowTracker):
        def generation(self, generation: Any) -> None:
            super().generation(generation)
            if server.is_running:
                server.kill()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.tracking.mlflow.MLflowTracker", KillsTheServer)
        result = search(runs_dir, tracking_uri=server.uri)
    with pytest.raises(TrackingError, match="expected an MLflow store that answers"):
        nas.sync(result.run_dir)
    server.start()
    assert nas.sync(result.run_dir).n_children == N
    whole, children = view_of(server.uri)
    assert whole[1] == "FINISHED"
    assert {status for _, status, *_ in children} == {"FINISHED"}
    assert nas.sync(result.run_dir).n_children == N
    assert view_of(server.uri) == (whole, children)


@pytest.mark.exhaustive
def test_a_store_far_away_does_not_hold_up_the_search(server: Server, runs_dir: Path) -> None:
    # Each candidate's run would take 0.6 s: 50 of them half a minute, in which the search trains them all.
    with late(server.port, 0.2) as address:
        since = time.monotonic()
        result = search(runs_dir, tracking_uri=address, n_candidates=50, space="small")
        assert time.monotonic() - since < 25
    parent, children = runs_of(server.uri)
    assert len(children) == len(result.history)
    assert parent.data.tags["nas.children"] == f"{len(children)} of {len(result.history)}"
    assert nas.sync(result.run_dir, tracking_uri=server.uri).n_children == len(result.history)


def test_an_interrupt_while_the_last_is_written_marks_the_run(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    skip_jobs, heard = Writer.skip_jobs, threading.Event()

    def interrupted(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)  # to the main thread
        assert heard.wait(30)

    def heard_of(writer: Writer[View]) -> None:
        skip_jobs(writer)
        heard.set()
        time.sleep(0.5)  # the thread is through with all jobs before the caller goes on

    monkeypatch.setattr(View, "add_table", interrupted)
    monkeypatch.setattr(Writer, "skip_jobs", heard_of)
    with pytest.raises(KeyboardInterrupt):
        search(runs_dir)
    monkeypatch.undo()
    signal.signal(signal.SIGINT, before)
    uri = f"sqlite:///{runs_dir}/mlflow.db"
    assert runs_of(uri)[0].info.status == "KILLED"
    # What was not written can be.
    assert nas.sync(runs_dir / "one").n_children == N
    assert runs_of(uri)[0].info.status == "FINISHED"


def test_a_run_that_goes_on_is_not_synced(result: nas.SearchResult) -> None:
    journal = Journal(result.run_dir / "journal.jsonl")
    try:
        with pytest.raises(RunError, match="expected a search that is over, got one that still runs"):
            nas.sync(result.run_dir)
    finally:
        journal.close()


def test_a_run_without_tracking_is_synced_to_the_store_beside_it(tmp_path: Path) -> None:
    result = search(tmp_path, tracking=False, n_candidates=4)
    synced = nas.sync(result.run_dir)
    assert synced.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert synced.n_children == 4
