"""Time as a person sees it: how long the real command takes, and how long nothing moves on the screen.

    python -m benchmarks.budget [DATA...] [--seconds S] [--seeds N] [--quick] [--json FILE]

DATA are names and files as `benchmarks.search_quality` takes them. The command ``nas search`` runs in a
terminal of its own, from the start of its process to its end, with everything that it does by default:
Ray, baselines, a report, MLflow.

Each table is searched with ``--time-budget S``; digits once without, for 100 candidates: the time outside of
searching. The longest stretch is that between two different contents of the screen's last line, from
start to end.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import load
from benchmarks.harness import Figure, report

MANY = 10**6
"""Candidates: more than there is time for."""

TOLERANCE = 0.05
"""Of a budget: 57 to 63 of 60 seconds."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SEARCHED = re.compile(r"tried .* in ([\d.]+) s")


@dataclass(frozen=True)
class Watched:
    """A command that has ended: its seconds, its longest stretch without a change, its output."""

    code: int
    seconds: float
    stretch: float
    stretch_after: str
    output: str

    @property
    def searching(self) -> float:
        """Seconds of the search itself, which the command prints."""
        match = _SEARCHED.search(self.output)
        if match is None:
            raise SystemExit(f"nas search: expected a summary, got: {self.output[-2000:]}")
        return float(match[1])


def watch(command: Sequence[str], folder: Path) -> Watched:
    """Run a command in a terminal, and take down when its screen changes."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
    start = last = time.monotonic()
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=environment, start_new_session=True
    )
    os.close(slave)
    stretch, after, shown, output = 0.0, "", "", b""
    while True:
        ready, _, _ = select.select([master], [], [], 0.05)
        if ready:
            try:
                chunk = os.read(master, 2**16)
            except OSError:  # the other side is closed
                chunk = b""
            if not chunk:
                break
            output += chunk
            line = _last_line(output[-4000:])
            now = time.monotonic()
            if line != shown:
                if now - last > stretch:
                    stretch, after = now - last, shown
                last, shown = now, line
    code = process.wait()
    end = time.monotonic()
    os.close(master)
    if end - last > stretch:
        stretch, after = end - last, shown
    return Watched(code, end - start, stretch, after, output.decode(errors="replace"))


def _last_line(output: bytes) -> str:
    """What the last line of the screen shows, without colours."""
    text = _CONTROL.sub("", output.decode(errors="replace"))
    lines = [line.strip() for line in re.split(r"[\r\n]", text)]
    return next((line for line in reversed(lines) if line), "")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    seconds = options.seconds or (20.0 if options.quick else 60.0)
    seeds = options.seeds or 1
    rows, figures = [], []
    with tempfile.TemporaryDirectory() as folder:
        for data in options.data or ["breast_cancer"]:
            table = _as_file(data, Path(folder))
            for seed in range(seeds):
                budget = ["--time-budget", f"{seconds:g}", "--candidates", str(MANY), "--seed", str(seed)]
                watched = watch(
                    [*_nas(), "search", "-v", str(table), "--target", "target", *budget], Path(folder)
                )
                rows.append(_row(f"{table.stem}, seed {seed}", watched))
                off = abs(watched.seconds - seconds)
                name = f"{table.stem}, seed {seed}: seconds off {seconds:g}"
                figures.append(Figure(name, TOLERANCE * seconds, off, at_most=True))
        watched = watch([*_nas(), "search", "-v", "digits"], Path(folder))
    rows.append(_row("digits, 100 candidates", watched))
    outside = watched.seconds - watched.searching
    figures += [
        Figure("digits: seconds outside of searching", 12, outside, at_most=True),
        Figure("digits: their share of the whole", 0.3, outside / watched.seconds, at_most=True),
        Figure("longest stretch without a change", 2, max(row["stretch"] for row in rows), at_most=True),
    ]
    report(figures, rows, options.json)


def _row(name: str, watched: Watched) -> dict[str, Any]:
    if watched.code:
        raise SystemExit(f"{name}: expected the exit code 0, got {watched.code}: {watched.output[-2000:]}")
    row = {
        "data": name,
        "seconds": watched.seconds,
        "searching": watched.searching,
        "stretch": watched.stretch,
        "after": watched.stretch_after[:40],
    }
    print(row, file=sys.stderr, flush=True)
    return row


def _nas() -> list[str]:
    """The command, as it is installed beside this Python."""
    command = shutil.which("nas", path=str(Path(sys.executable).parent))
    return [sys.executable, "-m", "nas"] if command is None else [command]


def _as_file(data: str, folder: Path) -> Path:
    """A data set as a file that the command reads, with the target last."""
    dataset = load(data)
    table = dataset.table.copy()
    y = dataset.y[:, 0] if dataset.y.ndim == 2 else dataset.y
    table["target"] = y if dataset.task == "regression" else [dataset.classes[code] for code in y]
    table.columns = [str(name) for name in table.columns]
    file = folder / f"{Path(data).stem}.parquet"
    table.to_parquet(file)
    return file


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", metavar="DATA", help="default: breast_cancer")
    parser.add_argument("--seconds", type=float, metavar="S", help="of each budget; default: 60, quick: 20")
    parser.add_argument("--seeds", type=int, metavar="N", help="of each data set; default: 1")
    parser.add_argument("--quick", action="store_true", help="budgets of 20 seconds")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    return parser


if __name__ == "__main__":
    main()
