"""What MLflow has of a search, read back from real stores: who, what, in which sign, to which end."""

from __future__ import annotations

import getpass
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

import nas
from nas.metric_names import metric_key
from nas.run.synchronization import _info
from nas.tracking import Outcome
from nas.tracking.archive import RunArchive
from nas.tracking.candidate_runs import CandidateRuns
from nas.tracking.mlflow_children import ChildRuns
from nas.tracking.mlflow_view import View
from nas.tracking.pages import saved_views, view_tag

pytestmark = pytest.mark.slow  # databases take seconds

N = 8


def search(runs_dir: Path, **options: Any) -> nas.SearchResult:
    settings: dict[str, Any] = {"space": "tiny", "n_candidates": N, "epochs": 6, "folds": 2, "members": 1}
    settings |= {"baseline": False, "n_workers": 0, "progress": False, "report": False, "name": "one"}
    return nas.search("iris", runs_dir=runs_dir, **(settings | options))


def store_of(uri: str) -> tuple[mlflow.MlflowClient, Any, Any, list[Any]]:
    """A client, the experiment, the only search in it, and its children by candidate."""
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("nas-iris")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    (parent,) = [run for run in runs if run.data.tags["nas.kind"] == "search"]
    children = [run for run in runs if run.data.tags["nas.kind"] == "candidate"]
    return client, experiment, parent, sorted(children, key=lambda run: int(run.data.tags["nas.candidate"]))


@pytest.fixture(scope="module")
def by_loss(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    """A search by a loss, which is maximized with a minus sign."""
    return search(tmp_path_factory.mktemp("loss") / "runs", scoring="neg_log_loss", algorithm="random")


def test_losses_have_their_own_name_and_sign(by_loss: nas.SearchResult) -> None:
    client, _, parent, children = store_of(str(by_loss.tracking_uri))
    for (_, evaluation), run in zip(by_loss.history, children, strict=True):
        assert evaluation.fitness < 0
        assert run.data.metrics["validation_log_loss"] == -evaluation.fitness
        curve = client.get_metric_history(run.info.run_id, "learning/validation_log_loss")
        assert [point.value for point in curve] == [-score for score in evaluation.validation_scores]
    best = [point.value for point in client.get_metric_history(parent.info.run_id, "fitness/best_log_loss")]
    assert best == sorted(best, reverse=True)
    assert best[-1] == pytest.approx(min(-evaluation.fitness for _, evaluation in by_loss.history), rel=1e-5)
    assert by_loss.test.score is not None
    assert parent.data.metrics["test_log_loss"] == pytest.approx(-by_loss.test.score, rel=1e-5)
    for run in (parent, *children):
        assert not any("neg_" in name for name in run.data.metrics)
        assert all(value >= 0 for name, value in run.data.metrics.items() if "loss" in name)
    assert "test log loss" in parent.data.tags["mlflow.note.content"]


def test_names_of_metrics_are_what_a_store_takes() -> None:
    assert metric_key("neg_root_mean_squared_error") == "root_mean_squared_error"
    assert metric_key("accuracy") == "accuracy"
    assert metric_key("<lambda>") == "_lambda_"


def test_runs_say_who_started_them_and_from_where(by_loss: nas.SearchResult) -> None:
    _, _, parent, children = store_of(str(by_loss.tracking_uri))
    for run in (parent, children[0]):
        assert run.info.user_id == run.data.tags["mlflow.user"] == getpass.getuser()
        assert run.data.tags["mlflow.source.name"]
        assert run.data.tags["mlflow.source.type"] == "LOCAL"


def test_the_source_is_the_program_with_its_commit(tmp_path: Path) -> None:
    for words in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty"]):
        command = ["git", "-C", str(tmp_path), *words, *(["-q", "-m", "first"] if "commit" in words else [])]
        subprocess.run(command, check=True)
    revision = ["git", "-C", str(tmp_path), "rev-parse", "HEAD"]
    commit = subprocess.run(revision, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / "study.py").write_text(
        "import nas\n"
        "nas.search('iris', space='tiny', n_candidates=2, epochs=2, folds=2, members=1, n_finalists=1,\n"
        "           baseline=False, n_workers=0, progress=False, report=False)\n"
    )
    subprocess.run([sys.executable, "study.py"], cwd=tmp_path, check=True, timeout=120, capture_output=True)
    tags = store_of(f"sqlite:///{tmp_path}/runs/mlflow.db")[2].data.tags
    assert tags["mlflow.source.name"] == "study.py"
    assert tags["mlflow.source.git.commit"] == commit


def test_the_winner_is_a_param_with_its_curves_and_no_param_is_empty(by_loss: nas.SearchResult) -> None:
    client, _, parent, children = store_of(str(by_loss.tracking_uri))
    assert parent.data.params["winner"] == str(by_loss.best.genome)
    curve = client.get_metric_history(parent.info.run_id, "learning/train_loss")
    steps = [point.step for point in curve]
    # From the first epoch on, also of a training in several rungs.
    assert steps == list(range(1, len(steps) + 1))
    assert [point.value for point in curve][-by_loss.evaluation.n_epochs :] == list(
        by_loss.evaluation.train_losses
    )
    for run in (parent, *children):
        assert not [name for name, text in run.data.params.items() if text in ("", "None", "[]", "{}", "()")]
    sections = sorted({name.partition("/")[0] for name in parent.data.metrics if "/" in name})
    assert sections == ["fitness", "learning", "population"]


def test_the_model_has_its_genes_scores_data_and_description(by_loss: nas.SearchResult) -> None:
    client, experiment, parent, _ = store_of(str(by_loss.tracking_uri))
    (model,) = client.search_logged_models([experiment.experiment_id])
    assert model.metrics is not None
    scores = {metric.key: metric for metric in model.metrics}
    assert scores["test_log_loss"].value == parent.data.metrics["test_log_loss"]
    (data,) = parent.inputs.dataset_inputs
    assert {(metric.dataset_name, metric.dataset_digest) for metric in model.metrics} == {
        ("iris", data.dataset.digest)
    }
    assert model.params["genome"] == str(by_loss.best.genome)
    assert model.tags["mlflow.user"] == getpass.getuser()
    assert f"models:/{model.model_id}" in model.tags["mlflow.note.content"]
    table = nas.load_dataset("iris").table
    loaded = mlflow.pyfunc.load_model(model.artifact_location)
    chances = loaded.predict(table, params={"probabilities": True})
    assert list(chances.columns) == ["setosa", "versicolor", "virginica"]
    assert len(loaded.input_example.merge(table)) >= len(loaded.input_example) == 5


def test_an_experiment_has_views_of_searches_and_of_candidates(tmp_path: Path) -> None:
    result = search(tmp_path, n_candidates=2)
    search(tmp_path, n_candidates=2, name="two", scoring="neg_log_loss")
    client = mlflow.MlflowClient(str(result.tracking_uri))
    experiment = client.get_experiment_by_name("nas-iris")
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    view = json.loads(experiment.tags[view_tag()])
    state = json.loads(view["state"])
    found = client.search_runs([experiment.experiment_id], state["searchFilter"])
    assert {run.info.run_name for run in found} == {"one", "two"}
    columns = state["selectedColumns"]
    assert {"params.`winner`", "metrics.`test_accuracy`", "metrics.`test_log_loss`"} <= set(columns)
    ranked = json.loads(json.loads(experiment.tags["mlflow.sharedViewState.candidates"])["state"])
    order = f"{ranked['orderByKey']} {'ASC' if ranked['orderByAsc'] else 'DESC'}"
    runs = client.search_runs([experiment.experiment_id], ranked["searchFilter"], order_by=[order])
    losses = [run.data.metrics.get("validation_log_loss") for run in runs]
    assert losses[:2] == sorted(loss for loss in losses if loss is not None)


def test_a_view_that_is_damaged_is_written_anew() -> None:
    for text in ("", "{}", "[]", '{"state": "{"}', '{"state": 3}', '{"state": "[]"}'):
        assert json.loads(saved_views("r2", {view_tag(): text})[view_tag()])["name"] == "Searches"


def plain(uri: str) -> list[Any]:
    """All that the children of a store hold, but their ids and their parent's."""
    client, _, _, children = store_of(uri)
    contents = []
    for child in children:
        curves = {
            name: [(point.step, point.value) for point in client.get_metric_history(child.info.run_id, name)]
            for name in child.data.metrics
        }
        info = {key: text for key, text in dict(child.info).items() if key in ("status", "user_id")}
        info["seconds"] = child.info.end_time - child.info.start_time
        info["place"] = child.info.artifact_uri.replace(child.info.run_id, "ID")
        tags = {key: text for key, text in child.data.tags.items() if key != "mlflow.parentRunId"}
        contents.append((child.info.run_name, info, child.data.params, child.data.metrics, curves, tags))
    return contents


def test_rows_in_a_database_are_what_calls_write(
    by_loss: nas.SearchResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    by_call = ChildRuns._call

    def counted(runs: ChildRuns, run: Any) -> None:
        calls.append(run.number)
        by_call(runs, run)

    monkeypatch.setattr(ChildRuns, "_call", counted)
    nas.sync(by_loss.run_dir, tracking_uri=f"sqlite:///{tmp_path}/rows.db")
    assert calls == []
    # A later version of MLflow with other tables.
    monkeypatch.setattr("nas.tracking.mlflow_children._rows", lambda *_: {None: [{"column": 1}]})
    nas.sync(by_loss.run_dir, tracking_uri=f"sqlite:///{tmp_path}/calls.db")
    assert calls == list(range(len(by_loss.history)))
    assert plain(f"sqlite:///{tmp_path}/rows.db") == plain(f"sqlite:///{tmp_path}/calls.db")


def test_a_run_that_the_store_refuses_is_not_in_the_way_of_others_and_no_run_is_written_twice(
    by_loss: nas.SearchResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = RunArchive(by_loss.run_dir)
    view = View(uri := f"sqlite:///{tmp_path}/own.db", "nas-iris", tmp_path)
    view.connect()
    view.start(info := _info(archive))
    monkeypatch.setattr(ChildRuns, "_insert", lambda *_: False)  # as on a server
    monkeypatch.setattr("nas.tracking.candidate_runs.BATCH", 3)
    by_call, refused = ChildRuns._call, 1

    def refusing(runs: ChildRuns, run: Any) -> None:
        if run.number == refused:
            raise ConnectionError("refused")
        by_call(runs, run)

    monkeypatch.setattr(ChildRuns, "_call", refusing)
    runs = CandidateRuns("all")
    runs.started(replace(info, pair=archive.pair))
    for pair in archive.evaluations:
        runs.evaluated(*pair)
    numbers = [candidate.id for candidate, _ in archive.evaluations]
    for _ in numbers:
        with pytest.raises(ConnectionError):
            runs.write(view)
    others = [number for number in numbers if number != refused]
    assert [int(run.data.tags["nas.candidate"]) for run in store_of(uri)[3]] == others
    refused = -1
    runs.write(view)
    assert [int(run.data.tags["nas.candidate"]) for run in store_of(uri)[3]] == numbers
    assert view.n_children == len(numbers)


@pytest.mark.exhaustive
def test_every_candidate_has_its_run_however_slow_the_store_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = View.add_children

    def slowly(view: View, pairs: Any) -> None:
        time.sleep(0.5)
        add(view, pairs)

    monkeypatch.setattr(View, "add_children", slowly)
    result = search(tmp_path, n_candidates=120, space="small", epochs=2)
    children = store_of(str(result.tracking_uri))[3]
    assert [int(run.data.tags["nas.candidate"]) for run in children] == list(range(len(result.history)))


def test_another_winner_after_a_resume_has_names_of_its_own(
    by_loss: nas.SearchResult, tmp_path: Path
) -> None:
    archive = RunArchive(by_loss.run_dir)
    view = View(f"sqlite:///{tmp_path}/own.db", "nas-iris", tmp_path)
    view.connect()
    view.start(_info(archive))
    first, second = (pair[0] for pair in list(archive.evaluations)[:2])
    view.conclude(Outcome("interrupted", best=second), 4)
    view.conclude(Outcome("finished", best=first), 4)
    view.conclude(Outcome("finished", best=second), 8)
    again = View(f"sqlite:///{tmp_path}/own.db", "nas-iris", tmp_path)
    again.connect()
    again.start(_info(archive))
    again.conclude(Outcome("finished", best=second), 8)
    client, _, parent, _ = store_of(f"sqlite:///{tmp_path}/own.db")
    assert parent.data.params["winner"] == str(first.genome)
    assert parent.data.params["winner_of_8"] == str(second.genome)
    for candidate, section in ((first, "learning"), (second, f"learning_c{second.id:04d}")):
        curve = client.get_metric_history(parent.info.run_id, f"{section}/train_loss")
        assert [point.value for point in curve] == list(archive.pair(candidate.id)[1].train_losses)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_is_killed_and_finished_after_its_resume(
    tmp_path: Path, stop: signal.Signals
) -> None:
    command = [sys.executable, "-m", "nas", "search", "iris", "--space", "small", "--name", "one"]
    command += ["--candidates", "3000", "--workers", "0", "--no-baseline", "--no-report"]
    uri = f"sqlite:///{tmp_path}/runs/mlflow.db"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        since = time.monotonic()
        for line in process.stderr:
            # MLflow is imported and has made its tables; a later signal finds the run in them.
            if line.startswith("generation") and time.monotonic() - since > 8:
                break
        process.send_signal(stop)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 130, err
    parent = store_of(uri)[2]
    assert parent.info.status == "KILLED"
    assert parent.data.tags["mlflow.source.name"] == "nas"
    n = len(RunArchive(tmp_path / "runs" / "one").evaluations)

    statuses: list[str] = []

    class Watch:
        def started(self, run: object) -> None:
            pass

        def evaluated(self, candidate: Any, evaluation: object) -> None:
            if candidate.id == n:  # the first new candidate; the store may be a moment late
                until = time.monotonic() + 20
                while time.monotonic() < until and store_of(uri)[2].info.status != "RUNNING":
                    time.sleep(0.1)
                statuses.append(store_of(uri)[2].info.status)

        def generation(self, generation: object) -> None:
            pass

        def finished(self, outcome: object) -> None:
            pass

    nas.resume(
        tmp_path / "runs" / "one", n_candidates=n + 20, n_workers=0, progress=False, trackers=[Watch()]
    )
    assert statuses == ["RUNNING"]
    assert store_of(uri)[2].info.status == "FINISHED"
