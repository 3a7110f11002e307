"""``nas ui`` as a person uses it: it opens the right store, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.errors import TrackingError
from nas.tracking.ui import _path

pytestmark = pytest.mark.slow  # MLflow's server takes seconds to start


def search(runs_dir: Path) -> nas.SearchResult:
    few: dict[str, Any] = {"n_candidates": 2, "epochs": 2, "folds": 2, "n_finalists": 1, "members": 1}
    few |= {"n_workers": 0, "baseline": False, "report": False, "progress": False}
    return nas.search("iris", space="tiny", runs_dir=runs_dir, **few)


def in_group(group: int) -> list[int]:
    """Processes of a session, by the kernel's own account."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.exhaustive
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_the_pages_show_the_searches_and_end_with_all_their_processes(
    runs_dir: Path, stop: signal.Signals
) -> None:
    result = search(runs_dir)
    command = [sys.executable, "-m", "nas", "ui", "--runs-dir", str(runs_dir), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    since = time.monotonic()
    said = "".join(process.stderr.readline() for _ in range(2))
    assert time.monotonic() - since < 24  # 4.5 s on a machine that does nothing else
    view = "viewStateShareKey=searches"
    place = re.search(
        rf"MLflow is ready: http://127.0.0.1:(\d+)/nas#/experiments/1/runs\?workflowType=machine_learning&{view}\n",
        said,
    )
    assert place is not None, said
    port = int(place[1])
    found = json.loads(ask(port, "runs/search", {"experiment_ids": ["1"], "max_results": 10}))
    names = {run["info"]["run_name"] for run in found["runs"]}
    assert result.run_dir.name in names
    (reaper,) = children(process.pid)
    (server,) = children(reaper)
    group = os.getpgid(server)
    assert in_group(group)
    os.kill(process.pid, stop)
    process.wait(timeout=30)
    assert process.returncode == (-9 if stop == signal.SIGKILL else 0)
    until = time.monotonic() + 15
    while in_group(group) and time.monotonic() < until:
        assert stop == signal.SIGKILL
        time.sleep(0.1)
    assert in_group(group) == []
    assert process.stderr.read() == ""  # two lines are all that it prints
    process.stderr.close()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database, but a text of more than sixteen bytes")
    command = [sys.executable, "-m", "nas", "ui", "--runs-dir", str(tmp_path), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "expected MLflow's server to start, got:" in done.stderr
    assert "file is not a database" in done.stderr


def ask(port: int, call: str, body: dict[str, object]) -> bytes:
    """What MLflow's interface answers, once it does."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/2.0/mlflow/{call}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    for _ in range(600):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                content: bytes = answer.read()
                return content
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("MLflow's pages did not answer within a minute")


def test_the_page_of_a_run_is_found_in_its_store(runs_dir: Path) -> None:
    result = search(runs_dir)
    page = f"#/experiments/1/runs/{result.mlflow_run_id}?workflowType=machine_learning"
    run_id = json.loads((result.run_dir / "config.json").read_text())["run_id"]
    assert _path(str(result.tracking_uri), run_id) == page
    assert str(result.mlflow_url).endswith(page)
    assert _path(str(result.tracking_uri), None) == (
        "#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=searches"
    )
    with pytest.raises(TrackingError, match="expected the run in it, got none; 'nas sync' puts it there"):
        _path(str(result.tracking_uri), "another")
