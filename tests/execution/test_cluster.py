"""Searches in a Ray that runs already, of several nodes, as people start them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import nas

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]

# Nodes on one machine need no secret between them.
ENVIRONMENT = {**os.environ, "RAY_AUTH_MODE": "disabled"}

SEARCH = [
    "--candidates",
    "40",
    "--epochs",
    "8",
    "--no-tracking",
    "--no-report",
    "--no-baseline",
    "--finalists",
    "1",
]


class Nodes:
    """A running cluster."""

    def __init__(self, environment: Mapping[str, str] = ENVIRONMENT) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("cluster.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self.address = self._answer()

    def tell(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            # Ray may have something to say, too.
            if line.strip().replace(":", "").replace(".", "").isdigit():
                return line.strip()
        raise AssertionError("the cluster is gone")

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    cluster = Nodes()
    for _ in range(3):
        cluster.tell("add num_cpus=1")
    yield cluster
    cluster.end()


def start(
    runs: Path, name: str, *options: str, environment: Mapping[str, str] = ENVIRONMENT
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nas", "search", "wine", *SEARCH, "--name", name, *options]
    return subprocess.Popen(
        [*command, "--runs-dir", str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def journal(runs: Path, name: str) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (runs / name / "journal.jsonl").read_text().splitlines()]
    for entry in entries:
        del entry["crc"]
        entry.get("evaluation", {}).pop("seconds", None)
    return entries


def wait_for(runs: Path, name: str, n: int, process: subprocess.Popen[str]) -> None:
    file = runs / name / "journal.jsonl"
    while not file.exists() or file.read_bytes().count(b"\n") <= n:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The journal of the search in one process."""
    runs = tmp_path_factory.mktemp("serial")
    assert start(runs, "serial", "--workers", "0").wait() == 0
    return journal(runs, "serial")


def test_three_nodes_search_as_one_process_does(
    tmp_path: Path, nodes: Nodes, serial: list[dict[str, Any]]
) -> None:
    process = start(tmp_path, "three", "--ray-address", nodes.address)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Winner" in out
    assert journal(tmp_path, "three") == serial


def test_a_node_that_dies_and_one_that_joins_change_nothing(
    tmp_path: Path, nodes: Nodes, serial: list[dict[str, Any]]
) -> None:
    process = start(tmp_path, "fewer", "--ray-address", nodes.address)
    wait_for(tmp_path, "fewer", 5, process)
    nodes.tell("kill")
    wait_for(tmp_path, "fewer", 15, process)
    nodes.tell("add num_cpus=1")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert journal(tmp_path, "fewer") == serial


def test_tasks_wait_for_a_node_that_has_what_they_ask_for(
    tmp_path: Path, nodes: Nodes, serial: list[dict[str, Any]]
) -> None:
    process = start(tmp_path, "fast", "--ray-address", nodes.address, "--resources", "num_cpus=1,fast=1")
    wait_for(tmp_path, "fast", 0, process)
    time.sleep(1)
    assert len(journal(tmp_path, "fast")) == 1
    nodes.tell("add num_cpus=1 fast=1")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "resources: waiting for a node of the cluster with more than fast 0 of 1" in err
    assert journal(tmp_path, "fast") == serial


def test_an_interrupted_search_leaves_the_cluster_free(tmp_path: Path, nodes: Nodes) -> None:
    process = start(tmp_path, "cut", "--ray-address", nodes.address, "--epochs", "3000", "--no-halving")
    wait_for(tmp_path, "cut", 2, process)
    since = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - since < 15
    assert ": interrupted." in out
    assert nas.load_network(tmp_path / "cut").provenance["test_score"] > 0
    # Whoever comes next is not held up by it.
    assert start(tmp_path, "next", "--ray-address", nodes.address).wait(timeout=120) == 0


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.1:1", "[Errno 111] Connection refused"), ("head", "no HOST:PORT")],
)
def test_an_address_without_a_cluster_is_refused(tmp_path: Path, address: str, why: str) -> None:
    process = start(tmp_path, "none", "--ray-address", address)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert f"ray_address: expected a Ray that can be joined at {address}, got: {why}" in err
    assert "Traceback" not in err


def test_this_machine_has_not_what_is_asked_for(tmp_path: Path) -> None:
    process = start(tmp_path, "none", "--resources", "fast=1")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert "resources: expected what this machine has, got fast 0 of 1" in err
    assert not (tmp_path / "none").exists()


def test_a_cluster_with_a_token_takes_drivers_with_it(tmp_path: Path, serial: list[dict[str, Any]]) -> None:
    ours = {**ENVIRONMENT, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    nobodys = {**ENVIRONMENT, "RAY_AUTH_MODE": "token", "HOME": str(tmp_path)}
    cluster = Nodes(ours)
    try:
        cluster.tell("add num_cpus=2")
        where = ("--ray-address", cluster.address)
        assert start(tmp_path, "ours", *where, environment=ours).wait(timeout=120) == 0
        assert journal(tmp_path, "ours") == serial
        for other in (nobodys, {**ours, "RAY_AUTH_TOKEN": "b" * 64}):
            process = start(tmp_path, "others", *where, environment=other)
            out, err = process.communicate(timeout=120)
            assert (process.returncode, out) == (2, "")
            assert f"nas: ray_address: expected a Ray that can be joined at {cluster.address}" in err
            assert "asks for RAY_AUTH_MODE=token and the same token" in err
            assert "Traceback" not in err
    finally:
        cluster.end()
