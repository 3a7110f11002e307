"""The journal: an append-only file with a JSON line for each candidate and its evaluation.

The first line holds the search's identity: everything that decides its results, and nothing else. The
lines after it are in the order of candidate ids; ``seconds`` is their only entry that may differ
between two runs of the same search. A further identity line in between says that another version of
this package continued the search from there. Each line ends with ``crc``, the CRC-32 of all lines up to
and including it, so that a changed, lost or moved line is noticed. The lines of a batch are synced to
the disk when the batch ends: a power cut costs no more than the batch in progress.

::

    {"journal":2,"nas":"0.1.0","data":{...},"metric":"accuracy","space":{...},"seed":0,...,"crc":"81d6f10c"}
    {"candidate":{"id":0,"genome":{...},...},"evaluation":{"fitness":0.91,...},"crc":"5be0c3aa"}
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, overload

import orjson

from nas.errors import RunError, RunningError, SearchError
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.runtime import strict_json
from nas.tracking.checksums import Chain
from nas.tracking.records import PAIR
from nas.tracking.renamed import identity_by_new_names
from nas.tracking.shown import command
from nas.tracking.tracker import Outcome, RunInfo

FORMAT_VERSION = 2
"""Of the file; version 2 added the checksums."""

_LONGEST = 64 * 2**20
"""Bytes of a line; the line of a candidate that was trained for 10,000 epochs is a hundredth of that."""

_KEYS = [field.name for field in fields(Evaluation) if field.name not in ("states", "n_epochs")]
"""Fields of an evaluation that are written: weights have files of their own, epochs follow from curves."""

Pair = tuple[Candidate, Evaluation]
"""A candidate and its evaluation."""


class Evaluations(Sequence[Pair]):
    """Candidates and their evaluations in order, each read from its line of the journal at each access.

    Memory holds the position and the length of each line, 16 bytes a candidate.

    Parameters
    ----------
    path : Path
        The journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts, self._lengths = array("q"), array("l")

    def add_line(self, start: int, n_bytes: int) -> None:
        """Append the line of the next candidate, which begins at byte `start` of the file."""
        self._starts.append(start)
        self._lengths.append(n_bytes)

    def first(self, n: int) -> Evaluations:
        """Return the first `n` evaluations, a snapshot that later lines do not change."""
        snapshot = Evaluations(self._path)
        snapshot._starts, snapshot._lengths = self._starts[:n], self._lengths[:n]
        return snapshot

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        positions = range(len(self))[index]
        if isinstance(positions, range):
            with self.open() as file:
                return [self._read(file, i) for i in positions]
        with self.open() as file:
            return self._read(file, positions)

    def __iter__(self) -> Iterator[Pair]:
        with self.open() as file:
            for i in range(len(self)):
                yield self._read(file, i)

    def open(self) -> BinaryIO:
        """Open the journal for reading; raises `RunError` if there is none."""
        try:
            return self._path.open("rb")
        except OSError:
            raise RunError(
                f"{self._path.parent}: expected a run with a {self._path.name}, got none"
            ) from None

    def _read(self, file: BinaryIO, i: int) -> Pair:
        """Read and parse line `i` of an open journal."""
        file.seek(self._starts[i])
        try:
            # Types were checked when the line was first read.
            return _pair(_read_json(file.read(self._lengths[i])))
        except _WRONG as error:
            raise RunError(f"{self._path}: expected candidate {i} to be as before, got: {error}") from None


@dataclass(frozen=True)
class Record:
    """The contents of a journal.

    Attributes
    ----------
    identity : dict
        What decides the results of the search; empty if the first line is not complete yet.
    evaluations : Evaluations
    n_bytes : int
        Length of the complete lines; a last line that a crash has torn begins there.
    crc : int
        Checksum of the complete lines.
    n_candidates : int
        Number of different networks; a network that was trained further counts once.
    """

    identity: dict[str, Any]
    evaluations: Evaluations
    n_bytes: int
    crc: int = 0
    n_candidates: int = 0


class Journal:
    """The tracker that writes the journal, from which a search is resumed.

    The file is locked before it is read, so that no other process writes in between; it is not changed
    before the search starts.

    Parameters
    ----------
    path : Path
        The file, which exists: empty for a new search.
    run_dir : Path, optional
        The folder of the run, if the file lies in another one.

    Attributes
    ----------
    record : Record
        What the file holds.

    Raises
    ------
    RunError
        If there is no such file, another process writes to it, or it is not a journal.
    """

    def __init__(self, path: Path, run_dir: Path | None = None) -> None:
        self._path, self._run_dir = path, run_dir or path.parent
        self._is_synced = True
        try:
            self._file = path.open("r+b")
        except OSError:
            raise RunError(f"{path.parent}: expected a run with a {path.name}, got none") from None
        try:
            self.record = self._locked_record()
        except BaseException:
            self._file.close()
            raise

    def _locked_record(self) -> Record:
        """Lock the file and read it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = f"{self._path}: expected a search that is over, got one that still runs"
            raise RunningError(message) from None
        return read_journal(self._path)

    def started(self, run: RunInfo) -> None:
        """Cut off a torn last line, and write the search's identity, unless the file ends with the same."""
        self._file.truncate(self.record.n_bytes)
        self._file.seek(self.record.n_bytes)
        self._chain, self._n_bytes = Chain(self.record.crc), self.record.n_bytes
        if self.record.n_bytes == 0 or self.record.identity != run.identity:
            self._write({"journal": FORMAT_VERSION, **run.identity})

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Append a candidate and its evaluation, unless the file holds them."""
        if candidate.id >= len(self.record.evaluations):
            start = self._n_bytes
            self._write({"candidate": candidate.to_dict(), "evaluation": _plain(evaluation)})
            self.record.evaluations.add_line(start, self._n_bytes - start)

    def generation(self, generation: Generation) -> None:
        """Sync the lines of a batch to the disk; generations follow from them and are not written."""
        self._sync()

    def finished(self, outcome: Outcome) -> None:
        """Sync all lines to the disk and close the file."""
        try:
            self._sync()
        finally:
            self.close()

    def _sync(self) -> None:
        """Wait until all lines are on the disk."""
        if self._is_synced or self._file.closed:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._no_room(error) from None
        self._is_synced = True

    def close(self) -> None:
        """Close the file, which releases its lock; may be called repeatedly."""
        with contextlib.suppress(OSError):  # a failure to write was raised when it occurred
            self._file.close()

    def _write(self, entry: Mapping[str, Any]) -> None:
        """Append a line with its checksum, and flush it to the operating system."""
        line = self._chain.closed(_written_json(entry))
        self._is_synced = False
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise self._no_room(error) from None
        self._n_bytes += len(line)

    def _no_room(self, error: OSError) -> SearchError:
        """Make the error for a line that could not be written, with the command that continues."""
        return SearchError(
            f"{self._path}: expected room to write, got: {error.strerror}; what is written is "
            f"complete; to go on from there: {command('resume', self._run_dir)}"
        )


class Tail:
    """A reader of a journal that another process writes to.

    Parameters
    ----------
    path : Path
        The journal.

    Attributes
    ----------
    evaluations : Evaluations
        Everything that `new` has returned so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._n_bytes = 0
        self.evaluations = Evaluations(path)

    def new(self) -> Iterator[Pair]:
        """Yield the candidates of the lines that were completed since the last call; raises `RunError`."""
        # A removed file is not reported here: the process that writes to it fails with a message of its own.
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._n_bytes)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                start = self._n_bytes
                self._n_bytes += len(line)
                try:
                    entry = _read_json(line)
                    pair = None if "journal" in entry else _checked_pair(entry)
                except _WRONG as error:
                    raise RunError(
                        f"{self._path}: expected a journal's entry at byte {start}, got: {error}"
                    ) from None
                if pair is not None:
                    self.evaluations.add_line(start, len(line))
                    yield pair


def read_journal(path: Path) -> Record:
    """Read a journal up to a torn last line; the identity is empty if no line is complete.

    Raises
    ------
    RunError
        If there is no such file, or a line other than the last is not an entry of a journal.
    """
    evaluations = Evaluations(path)
    identity: dict[str, Any] = {}
    n_bytes = n_candidates = 0
    chain = Chain()
    with evaluations.open() as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), 1):
            if not line.endswith(b"\n") and len(line) < _LONGEST:
                break
            try:
                if not line.endswith(b"\n"):
                    raise ValueError(f"a line of more than {_LONGEST} bytes")
                entry = _read_json(line)
                if number == 1 and (version := entry["journal"]) != FORMAT_VERSION:
                    raise RunError(f"{path}: expected journal version {FORMAT_VERSION}, got {version}")
                chain.check(line[:-1])
                if "journal" in entry:
                    header = {key: value for key, value in entry.items() if key not in ("journal", "crc")}
                    identity = identity_by_new_names(header)
                elif (candidate := _checked_pair(entry)[0]).id == len(evaluations):
                    evaluations.add_line(n_bytes, len(line))
                    n_candidates += candidate.epochs_done == 0
                else:
                    raise ValueError(f"candidate {candidate.id} where {len(evaluations)} is due")
            except _WRONG as error:
                raise RunError(f"{path}: expected a journal's entry in line {number}, got: {error}") from None
            n_bytes += len(line)
    return Record(identity, evaluations, n_bytes, chain.crc, n_candidates)


def _written_json(entry: Mapping[str, Any]) -> bytes:
    """Serialize an entry by orjson, or by json where orjson cannot."""
    try:
        return orjson.dumps(entry, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:  # text that is not UTF-8, as in a file's name, or an integer of more than 64 bits
        return json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()


def _read_json(line: bytes) -> Any:
    """Parse an entry; raises `ValueError`."""
    if line.startswith(b'{"journal"'):
        return strict_json(line)  # a seed may have more than 64 bits, which orjson would read as a float
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # strict_json accepts the rest of JSON, or raises a better message
        return strict_json(line)


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    """Return the fields that have a value; raises `ValueError` if a number is NaN or infinite."""
    curves = (evaluation.train_losses, evaluation.validation_losses, evaluation.validation_scores)
    if not math.isfinite(sum(map(sum, curves), evaluation.fitness + evaluation.validation_loss)):
        raise ValueError(f"candidate {evaluation.candidate_id}: expected finite numbers to write, got others")
    values = ((name, getattr(evaluation, name)) for name in _KEYS)
    return {name: value for name, value in values if value is not None and (name != "fold_scores" or value)}


_WRONG = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)
"""Exceptions that reading an entry raises if it is not what a journal holds."""


def _checked_pair(entry: Any) -> Pair:
    """Check an entry against its schema and parse it."""
    PAIR(entry)
    return _pair(entry)


def _pair(entry: Mapping[str, Any]) -> Pair:
    """Parse an entry that was checked."""
    evaluation: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in entry["evaluation"].items()
    }
    return Candidate.from_dict(entry["candidate"]), Evaluation(**evaluation)
