"""The outcome of spoiled files: each kind that the program reads, mutated thousands of times.

    python -m benchmarks.mutations [--mutations 12000] [--seed 0] [--quick] [--json FILE]

A small search is run twice; then one of its files, or a file such as a person writes, is changed: bytes
flipped, cut, deleted, repeated, swapped with those of the other search; keys removed, renamed, of another
type; values nested deeply, numbers of a million digits, NaN. Each is read as the commands read it. It may be
refused in a sentence, or mean what it meant; of a journal also what it meant some lines before its end, as
after a crash. A file that a person writes may become another valid one; so may one whose checksums were
computed anew ("forged"), where only types and structure are left to be checked. All else is a fault. Each
kind is read in a process of its own, so that what it takes of memory is its own, and a crash is noticed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, report
from benchmarks.mutation_kinds import Kind, kinds, prepare
from nas.errors import NASError
from nas.runtime import ModelError, TableError

REFUSALS = (NASError, ModelError, TableError)
"""What is raised on purpose, in one sentence."""

_LONGEST = 60
"""Seconds after which a file counts as one that is never read to its end."""

_SLOW, _LARGE = 2.0, 300.0
"""Seconds and megabytes that no file may take."""


@dataclass
class Tally:
    """What became of the mutated files of a kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    growth: float = 0.0
    faults: list[str] = field(default_factory=list)


def attack(kind: Kind, n: int, seed: int) -> Tally:
    """Read so many mutations of a kind; the file is as it was afterwards."""
    rng = random.Random(f"{kind.name} {seed}")
    original, other, tally = kind.file.read_bytes(), kind.other.read_bytes(), Tally()
    whole = kind.read()
    try:
        for i in range(n):
            # All kinds of mutations in turn: rare ones are not left to chance.
            mutation = kind.mutations[i % len(kind.mutations)]
            content = mutation(original, other, rng)
            kind.file.unlink()  # on some file systems overwriting waits for the disk
            kind.file.write_bytes(content)
            outcome, seconds, growth = _outcome(kind, whole, same_bytes=content == original)
            what = outcome.split(":")[0]
            tally.outcomes[what] += 1
            tally.slowest, tally.growth = max(tally.slowest, seconds), max(tally.growth, growth)
            if what in ("traceback", "another meaning") or seconds > _SLOW or growth > _LARGE:
                name = getattr(mutation, "__name__", "?")
                tally.faults.append(
                    f"{kind.name}, mutation {i} by {name}: {outcome}; {seconds:.1f} s, {growth} MB"
                )
    finally:
        kind.file.write_bytes(original)
    return tally


def _outcome(kind: Kind, whole: Any, *, same_bytes: bool) -> tuple[str, float, float]:
    resident = _forget_peak()
    since = time.perf_counter()
    try:
        with _at_most(_LONGEST):
            found = kind.read()
    except REFUSALS as error:
        words = str(error)
        outcome = "refused" if words.strip() and "\n" not in words else f"traceback: no sentence: {words!r}"
    except BaseException as error:  # noqa: BLE001  # that it is none of these is what is looked for
        outcome = f"traceback: {type(error).__name__}: {str(error)[:200]}"
    else:
        if same_bytes or _same(found, whole) or kind.is_shorter(found, whole):
            outcome = "the same meaning"
        else:
            outcome = "valid input" if kind.may_mean_another else "another meaning"
    return outcome, time.perf_counter() - since, max(0.0, round(_peak() - resident, 1))


def _same(one: Any, other: Any) -> bool:
    # The order of keys means nothing; NaN is no fault of the reader.
    return bool(one == other) or repr(one) == repr(other)


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"not read to its end in {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _forget_peak() -> float:
    """Begin to look for the largest memory anew; that of now in MB, 0 where the system does not say."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return 0.0


def _peak() -> float:
    return _status("VmHWM")


def _status(key: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(key)), 0.0)


def _in_a_process(kind: Kind, n: int, seed: int) -> Tally:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(attack(kind, n, seed)))
    process.start()
    sender.close()
    try:
        tally: Tally = receiver.recv()
    except EOFError:
        tally = Tally(Counter({"traceback": n}), faults=[f"{kind.name}: the process died of its files"])
    process.join()
    return tally


def main(arguments: list[str] | None = None) -> None:
    """Mutate, read, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = kinds(*prepare(folder), folder)
        n = -(-(600 if options.quick else options.mutations) // len(found))
        tallies = {kind.name: _in_a_process(kind, n, options.seed) for kind in found}
    rows: list[dict[str, Any]] = [
        {
            "kind": name,
            "mutations": sum(tally.outcomes.values()),
            "refused in a sentence": tally.outcomes["refused"],
            "the same meaning": tally.outcomes["the same meaning"],
            "valid input": tally.outcomes["valid input"],
            "another meaning": tally.outcomes["another meaning"],
            "traceback": tally.outcomes["traceback"],
            "slowest s": round(tally.slowest, 2),
            "growth MB": tally.growth,
        }
        for name, tally in tallies.items()
    ]
    figures = [
        Figure("mutated files", 10_000, sum(row["mutations"] for row in rows)),
        Figure("tracebacks", 0, sum(row["traceback"] for row in rows), at_most=True),
        Figure("accepted with another meaning", 0, sum(row["another meaning"] for row in rows), at_most=True),
        Figure("slowest, s", _SLOW, max(row["slowest s"] for row in rows), at_most=True),
        Figure("largest growth of memory, MB", _LARGE, max(row["growth MB"] for row in rows), at_most=True),
    ]
    for tally in tallies.values():
        for fault in tally.faults:
            print(fault)
    report(figures, rows, options.json)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--mutations", type=int, default=12_000, metavar="N", help="of all kinds; default: 12000"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--quick", action="store_true", help="600 mutations")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    return parser


if __name__ == "__main__":
    main()
