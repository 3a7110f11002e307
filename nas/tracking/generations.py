"""The curves of a search: a line for each generation, for whoever draws them later.

They follow from the journal, all but the pace; this saves going through the whole search again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.tracking.tracker import Outcome, RunInfo

FILE = "generations.jsonl"

Paced = tuple[Generation, float | None]
"""A generation, and the candidates a second since the one before, where that is known."""

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
        self._file: TextIO | None = None

    def started(self, run: RunInfo) -> None:
        """Open the file, and drop a line that a crash has torn."""
        path = run.run_dir / FILE
        self._pace.started(run)
        known = read_generations(path)
        self._known = {(one.number, one.evaluated) for one, _ in known}
        with self._or_without():
            self._file = path.open("w", encoding="utf-8")
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
            self._file.write(json.dumps(record) + "\n")
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


def read_generations(path: Path) -> list[Paced]:
    """Those in a file, up to a line that is not whole; none where there is no file."""
    found: list[Paced] = []
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            pace = record.pop("pace")
            found.append((Generation.from_dict(record), pace))
    return found
