"""The curves of a search: a line for each generation, for whoever draws them later.

They follow from the journal, all but the pace; this saves going through the whole search again. Lines have
checksums as those of the journal, of a chain that begins with the run's id.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from nas.errors import RunError
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.runtime import strict_json
from nas.tracking.records import GENERATION, Chain
from nas.tracking.renamed import generation_by_new_names
from nas.tracking.shown import command
from nas.tracking.tracker import Outcome, RunInfo

FILE = "generations.jsonl"

Paced = tuple[Generation, float | None]
"""A generation, and the candidates a second since the one before, where that is known."""

_LONGEST = 2**20
"""Bytes of a line."""

_log = logging.getLogger(__name__)


class Pace:
    """Candidates a second, from one generation to the next."""

    def __init__(self) -> None:
        self._before = (0.0, 0)
        self._n_recorded = 0

    def started(self, run: RunInfo) -> None:
        """The search starts."""
        self._before = (time.monotonic(), run.n_evaluated)
        self._n_recorded = run.n_evaluated

    def of(self, generation: Generation) -> float | None:
        """The pace since the generation before this one; None for those of an earlier life."""
        if generation.evaluated <= self._n_recorded:
            return None
        since, n = self._before
        self._before = (time.monotonic(), generation.evaluated)
        return round((generation.evaluated - n) / max(self._before[0] - since, 1e-3), 3)


class GenerationLog:
    """The tracker that writes them into the run's folder.

    It loses nothing that the journal does not have: where there is no room, it says so once.
    """

    def __init__(self) -> None:
        self._pace = Pace()
        self._known: set[tuple[int, int]] = set()
        self._file: BinaryIO | None = None

    def started(self, run: RunInfo) -> None:
        """Open the file, and drop a line that a crash has torn."""
        path = run.run_dir / FILE
        self._pace.started(run)
        known, damage = _read(path, run.run_id)
        if damage is not None:
            _log.warning("%s; what follows from the journal is written anew", damage)
        self._chain = Chain(zlib.crc32(run.run_id.encode()))
        self._known = {(one.number, one.evaluated) for one, _ in known}
        with self._or_without():
            self._file = path.open("wb")
        for one in known:
            self._write(one)

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Nothing: that is the journal's."""

    def generation(self, generation: Generation) -> None:
        """Add a line, unless it is there from an earlier life."""
        pace = self._pace.of(generation)
        if (generation.number, generation.evaluated) not in self._known:
            self._write((generation, pace))

    def finished(self, outcome: Outcome) -> None:
        """Close the file."""
        if self._file is not None:
            with self._or_without():
                self._file.close()

    def _write(self, paced: Paced) -> None:
        if self._file is None:
            return
        generation, pace = paced
        record = generation.to_dict() | {"pace": pace}
        with self._or_without():
            self._file.write(self._chain.closed(json.dumps(record, separators=(",", ":")).encode()))
            self._file.flush()

    @contextlib.contextmanager
    def _or_without(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _log.warning("%s: %s; the journal has everything", FILE, error.strerror)
            file, self._file = self._file, None
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()


def read_generations(path: Path, run_id: str) -> list[Paced]:
    """Those in a file, up to a last line that was torn; none where there is no file.

    Raises
    ------
    RunError
        If another line is not what was written, or the file is that of another run.
    """
    found, damage = _read(path, run_id)
    if damage is not None:
        raise RunError(
            f"{damage}; it may be deleted, as this writes it anew: {command('resume', path.parent)}"
        )
    return found


def _read(path: Path, run_id: str) -> tuple[list[Paced], str | None]:
    """The generations up to the first line that is not what was written, and what is wrong with that."""
    found: list[Paced] = []
    chain = Chain(zlib.crc32(run_id.encode()))
    has_checksums = None
    try:
        with path.open("rb") as file:
            for line in iter(lambda: file.readline(_LONGEST), b""):
                if not line.endswith(b"\n"):
                    if len(line) == _LONGEST:
                        raise ValueError(f"a line of more than {_LONGEST} bytes")
                    break
                record = generation_by_new_names(strict_json(line))
                GENERATION(record)
                # Earlier versions wrote none.
                has_checksums = "crc" in record if has_checksums is None else has_checksums
                if has_checksums:
                    chain.check(line[:-1])
                    del record["crc"]
                pace = record.pop("pace")
                found.append((Generation.from_dict(record), pace))
    except FileNotFoundError:
        pass
    except OSError as error:
        return found, f"{path}: expected a file that can be read, got: {error.strerror}"
    except (ValueError, TypeError, KeyError) as error:
        return found, f"{path}: expected a generation in line {len(found) + 1}, got: {error}"
    return found, None
