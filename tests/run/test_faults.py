"""Faults as they happen: processes killed at random, a full disk, memory without end, a clock that jumps."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from searches import assert_same_search, journal_without_times, resume, search, weights

import nas
from nas.tracking.journal import read_journal

# Processes of their own; a number of kills that says something.
pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]

N = 90

OPTIONS: dict[str, Any] = {"space": "small", "epochs": 12, "n_candidates": N, "folds": 1}
"""A search of a quarter of a minute, with halving, inheritance and the model."""

N_SHORT = 70

COMMON = [
    "--space",
    "small",
    "--no-tracking",
    "--no-report",
    "--no-baseline",
    "--finalists",
    "1",
    "--folds",
    "1",
    "--members",
    "1",
    "--epochs",
    "12",
    "--name",
    "one",
]


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nas", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    """The search that nothing happens to."""
    return search("digits", tmp_path_factory.mktemp("whole"), **OPTIONS)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    """The same of fewer candidates."""
    return search("digits", tmp_path_factory.mktemp("short"), **OPTIONS | {"n_candidates": N_SHORT})


def test_ten_kills_of_the_driver_lose_nothing(tmp_path: Path, whole: nas.SearchResult) -> None:
    rng = random.Random(10)
    expected = journal_without_times(whole)
    folder, grown = tmp_path / "one", 0
    for i in range(10):
        # Most without Ray, which only takes longer to start.
        workers = 2 if i % 5 == 4 else 0
        begun = (folder / "config.json").exists()
        how: list[str | Path] = ["search", "digits", *COMMON, "--candidates", str(N), "--runs-dir", tmp_path]
        if begun:
            how = ["resume", folder]
        process = start(*how, "--workers", str(workers))
        # Every fourth while it starts or soon after; the others, on machines of any speed, when they have
        # evaluated a few more than the last, which is far from the end after ten.
        until, begin = grown + rng.randint(1, 5), time.monotonic()
        longest = rng.uniform(0, 2.5) if i % 4 == 0 else 60
        while lines(folder) <= until and time.monotonic() - begin < longest and process.poll() is None:
            time.sleep(rng.uniform(0, 0.02))
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        if folder.exists():
            # What is written is a piece of the same search, and no life has lost or repeated any of it.
            n = len(read_journal(folder / "journal.jsonl").evaluations)
            assert n >= grown
            grown = n
            assert whole_lines(folder) == expected[: n + 1][: len(whole_lines(folder))]
    assert 0 < grown < len(whole.history)
    result = resume(folder)
    assert_same_search(result, whole)


def lines(folder: Path) -> int:
    """Whole lines of the run's journal so far; -1 without one."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / "journal.jsonl").read_bytes().count(b"\n")
    return -1


def whole_lines(folder: Path) -> list[dict[str, Any]]:
    """The journal without times, up to a torn line."""
    content = (folder / "journal.jsonl").read_bytes()
    entries = [json.loads(line) for line in content.split(b"\n")[:-1]]
    for entry in entries:
        del entry["crc"]
        entry.get("evaluation", {}).pop("seconds", None)
    return entries


def test_twenty_kills_of_workers_change_nothing(tmp_path: Path) -> None:
    rng = random.Random(20)
    whole = search("digits", tmp_path / "whole", space="small", epochs=2, n_candidates=300, folds=1)
    how = ("search", "digits", *COMMON, "--epochs", "2", "--candidates", "300", "--workers", "2")
    process = start(*how, "--runs-dir", tmp_path)
    folder, killed = tmp_path / "one", 0
    while killed < 20:
        before = lines(folder)
        time.sleep(rng.uniform(0, 0.1))
        for pid in rng.sample(pids := list(evaluating(process.pid)), len(pids))[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
            # Who is killed again and again counts as the cause, so the next falls some evaluations later:
            # there are 16 under way at most, so that no candidate is hit three times.
            while process.poll() is None and lines(folder) <= before + 8:
                time.sleep(0.02)
        if process.poll() is not None:
            break
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert killed == 20
    assert journal_without_times(tmp_path / "one") == journal_without_times(whole)
    saved = (tmp_path / "one" / "best" / "weights.safetensors").read_bytes()
    assert saved == weights(whole)


def evaluating(driver: int) -> Iterator[int]:
    """Workers of this driver's Ray that evaluate at this moment."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cmdline").read_text().startswith("ray::_evaluate") and driver in ancestors(entry):
                yield int(entry.name)


def ancestors(entry: Path) -> list[int]:
    found = []
    while entry.name not in ("0", "1"):
        parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        found.append(int(parent))
        entry = entry.with_name(parent)
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 200 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems can only be mounted by the superuser")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_search_goes_on_with_more(
    small_disk: Path, short: nas.SearchResult
) -> None:
    other = small_disk / "other"
    other.write_bytes(bytes(199 * 2**20))
    how: list[str | Path] = ["search", "digits", *COMMON, "--candidates", str(N_SHORT), "--workers", "0"]
    process = start(*how, "--runs-dir", small_disk)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "expected room to write, got: No space left on device" in err
    assert "Traceback" not in err
    folder = small_disk / "one"
    n = len(read_journal(folder / "journal.jsonl").evaluations)
    assert 0 < n < len(short.history)
    other.unlink()
    assert_same_search(resume(folder), short)


def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: nas.SearchResult
) -> None:
    real, calls = time.time, iter(range(10**9))

    def jumping() -> float:
        return float(real() + (-1) ** next(calls) * 10**6)

    monkeypatch.setattr(time, "time", jumping)
    options = OPTIONS | {"n_candidates": N_SHORT, "time_budget": 1000, "tracking": True}
    result = search("digits", tmp_path, **options)
    assert_same_search(result, short)
    assert result.stopped == "candidates"
    assert 0 < result.seconds < 300
    assert all(0 <= evaluation.seconds < 300 for _, evaluation in result.history)
