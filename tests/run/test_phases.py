"""The phases of the real command: each is on the screen, and can be interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nas
from benchmarks.budget import watch

pytestmark = pytest.mark.slow  # the whole command, with all its imports

COMMAND = [sys.executable, "-m", "nas", "search", "iris", "--candidates", "8", "--name", "one"]

TRACKED = ("checking finalists", "report", "MLflow")
"""Phases that are interrupted with MLflow's tracking on, which takes most of the command's time here."""

PATIENCE = 15.0
"""Seconds until an interrupted command has ended, on a machine that does other things: 5 by itself."""


@pytest.mark.parametrize(
    "line",
    [
        "generation 0",
        "checking finalists",
        "last training",
        "calibration",
        "baselines",
        "report",
        "MLflow",
    ],
)
def test_an_interrupt_leaves_the_best_so_far(tmp_path: Path, line: str) -> None:
    command = COMMAND if line in TRACKED else [*COMMAND, "--no-tracking"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = ""
        for text in process.stderr:
            said += text
            if text.startswith(line):
                break
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, err = process.communicate(timeout=60)
    assert time.monotonic() - start < PATIENCE, said + err
    assert "Traceback" not in said + err
    # A phase may have ended before the signal came; then nothing was left to interrupt.
    assert process.returncode in (130, 0), said + err
    network = nas.load_network(tmp_path / "runs" / "one" / "best")
    assert len(network.predict(nas.load_dataset("iris").table)) == 150
    if line == "report":
        assert "Winner" in out


def test_something_moves_on_the_screen_all_the_time(tmp_path: Path) -> None:
    watched = watch(COMMAND, tmp_path)
    assert watched.code == 0, watched.output
    assert watched.stretch < 5, watched.stretch_after  # 2 s on a machine that does nothing else
    for phase in (
        "nas: starting",
        "reading the data",
        "searching",
        "checking finalists",
        "last training",
        "calibration",
        "baselines",
        "report",
        "MLflow",
        "Winner",
    ):
        assert phase in watched.output, phase
    assert "left" in watched.output
