"""The curves of a search: a file with a JSON line for each generation, from which reports are drawn.

All but the pace follows from the journal; the file saves replaying the whole search. Its lines have
checksums as the journal's lines have, in a chain that begins with the run's id.
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
from nas.tracking.checksums import Chain
from nas.tracking.records import AN_OBJECT, GENERATION
from nas.tracking.renamed import generation_by_new_names
from nas.tracking.shown import command
from nas.tracking.tracker import Outcome, RunInfo

FILE = "generations.jsonl"

Paced = tuple[Generation, float | None]
"""A generation, and the candidates per second since the previous generation, None where unknown."""

_LONGEST = 2**20
"""Bytes of a line; the line of a generation with ten layers takes a thousandth of that."""

_log = logging.getLogger(__name__)


class Pace:
    """A clock that measures candidates per second from one generation to the next."""

    def __init__(self) -> None:
        self._before = (0.0, 0)
        self._n_recorded = 0

    def started(self, run: RunInfo) -> None:
        """Start the clock."""
        self._before = (time.monotonic(), run.n_evaluated)
        self._n_recorded = run.n_evaluated

    def of(self, generation: Generation) -> float | None:
        """Return candidates per second since the previous generation; None if it precedes a resume."""
        if generation.evaluated <= self._n_recorded:
            return None
        since, n = self._before
        self._before = (time.monotonic(), generation.evaluated)
        return round((generation.evaluated - n) / max(self._before[0] - since, 1e-3), 3)


class GenerationLog:
    """The tracker that writes ``generations.jsonl``.

    The file holds nothing essential that the journal lacks: where there is no room to write, a warning is
    logged once and the search goes on.
    """

    def __init__(self) -> None:
        self._pace = Pace()
        self._keys: set[tuple[int, int]] = set()
        self._file: BinaryIO | None = None

    def started(self, run: RunInfo) -> None:
        """Open the file, and write it anew up to the first line that is torn or damaged."""
        path = run.run_dir / FILE
        self._pace.started(run)
        generations, damage = _read(path, run.run_id)
        if damage is not None:
            _log.warning("%s; what follows from the journal is written anew", damage)
        self._chain = Chain(zlib.crc32(run.run_id.encode()))
        self._keys = {(generation.number, generation.evaluated) for generation, _ in generations}
        with self._or_without():
            self._file = path.open("wb")
        for paced in generations:
            self._write(paced)

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Do nothing: evaluations are in the journal."""

    def generation(self, generation: Generation) -> None:
        """Append a line, unless the file holds the generation from before a resume."""
        pace = self._pace.of(generation)
        if (generation.number, generation.evaluated) not in self._keys:
            self._write((generation, pace))

    def finished(self, outcome: Outcome) -> None:
        """Close the file."""
        if self._file is not None:
            with self._or_without():
                self._file.close()

    def _write(self, paced: Paced) -> None:
        """Append a line with its checksum."""
        if self._file is None:
            return
        generation, pace = paced
        record = generation.to_dict() | {"pace": pace}
        with self._or_without():
            self._file.write(self._chain.closed(json.dumps(record, separators=(",", ":")).encode()))
            self._file.flush()

    @contextlib.contextmanager
    def _or_without(self) -> Iterator[None]:
        """Close the file and warn where it cannot be written to."""
        try:
            yield
        except OSError as error:
            _log.warning("%s: %s; the journal has everything", FILE, error.strerror)
            file, self._file = self._file, None
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()


def read_generations(path: Path, run_id: str) -> list[Paced]:
    """Read the generations of a file up to a torn last line; empty where there is no file.

    Raises
    ------
    RunError
        If another line is damaged, or the file belongs to another run.
    """
    generations, damage = _read(path, run_id)
    if damage is not None:
        raise RunError(
            f"{damage}; it may be deleted, as this writes it anew: {command('resume', path.parent)}"
        )
    return generations


def _read(path: Path, run_id: str) -> tuple[list[Paced], str | None]:
    """Return the generations before the first damaged line, and a description of the damage or None."""
    generations: list[Paced] = []
    chain = Chain(zlib.crc32(run_id.encode()))
    has_checksums = None
    try:
        with path.open("rb") as file:
            for line in iter(lambda: file.readline(_LONGEST), b""):
                if not line.endswith(b"\n"):
                    if len(line) == _LONGEST:
                        raise ValueError(f"a line of more than {_LONGEST} bytes")
                    break
                record = strict_json(line)
                AN_OBJECT(record)
                record = generation_by_new_names(record)
                GENERATION(record)
                # Earlier versions wrote no checksums.
                has_checksums = "crc" in record if has_checksums is None else has_checksums
                if has_checksums:
                    chain.check(line[:-1])
                    del record["crc"]
                pace = record.pop("pace")
                generations.append((Generation.from_dict(record), pace))
    except FileNotFoundError:
        pass
    except OSError as error:
        return generations, f"{path}: expected a file that can be read, got: {error.strerror}"
    except (ValueError, TypeError, KeyError) as error:
        return generations, f"{path}: expected a generation in line {len(generations) + 1}, got: {error}"
    return generations, None
