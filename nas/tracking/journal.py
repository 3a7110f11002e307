"""The journal: every candidate and its evaluation, one JSON line each, only ever appended to.

The first line says what search this is: everything that decides its results, and nothing else. The
lines after it are in the order of candidate ids; ``seconds`` is the only entry in them that may
differ between two runs of the same search. A line like the first among them says that from there on
another version of this package went on. Each line ends with ``crc``, the CRC-32 of all lines up to
and with its own, so that a line that was changed, lost or put elsewhere is noticed. What a batch has
added is on the disk when the batch ends: a power cut costs no more than the batch under way.
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
from nas.tracking.records import PAIR, Chain
from nas.tracking.renamed import identity_by_new_names
from nas.tracking.shown import command
from nas.tracking.tracker import Outcome, RunInfo

FORMAT_VERSION = 2

_LONGEST = 64 * 2**20
"""Bytes of a line; those of a candidate that was trained for 10,000 epochs are a hundredth of that."""

_WRITTEN = [field.name for field in fields(Evaluation) if field.name not in ("state", "n_epochs")]

Pair = tuple[Candidate, Evaluation]


class Evaluations(Sequence[Pair]):
    """Candidates and their evaluations, in order, each read from its line of a journal when it is asked for.

    Of each of them only where its line lies is held in memory.

    Parameters
    ----------
    path : Path
        The journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts, self._lengths = array("q"), array("l")

    def add_line(self, start: int, n_bytes: int) -> None:
        """Know of the next one's line."""
        self._starts.append(start)
        self._lengths.append(n_bytes)

    def first(self, n: int) -> Evaluations:
        """The first `n` of them, whatever is written later."""
        chosen = Evaluations(self._path)
        chosen._starts, chosen._lengths = self._starts[:n], self._lengths[:n]
        return chosen

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
        """The file, to be read; raises `RunError` if it is not there."""
        try:
            return self._path.open("rb")
        except OSError:
            raise RunError(
                f"{self._path.parent}: expected a run with a {self._path.name}, got none"
            ) from None

    def _read(self, file: BinaryIO, i: int) -> Pair:
        file.seek(self._starts[i])
        try:
            # Its types were checked when the line was first read.
            return _pair(_read_json(file.read(self._lengths[i])))
        except _WRONG as error:
            raise RunError(f"{self._path}: expected candidate {i} to be as before, got: {error}") from None


@dataclass(frozen=True)
class Record:
    """What a journal holds: the search's identity and the evaluations so far.

    `n_bytes` is the length of what could be read: a last line that was torn by a crash lies
    behind it. `crc` is the checksum of all lines before that. `n_candidates` counts different networks:
    who went on counts once.
    """

    identity: dict[str, Any]
    evaluations: Evaluations
    n_bytes: int
    crc: int = 0
    n_candidates: int = 0


class Journal:
    """The tracker that a search is resumed from.

    The file is locked first and read then, so that nothing is written between the two; it is not
    changed before the search starts.

    Parameters
    ----------
    path : Path
        The file, which is there: empty for a new search.
    run_dir : Path, optional
        The folder of the run, if it is not the one that the file is in.

    Attributes
    ----------
    record : Record
        What the file holds already.

    Raises
    ------
    RunError
        If there is no such file, another process writes it, or it is not a journal.
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
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = f"{self._path}: expected a search that is over, got one that still runs"
            raise RunningError(message) from None
        return read_journal(self._path)

    def started(self, run: RunInfo) -> None:
        """Cut off a torn last line, and write what search this is, unless it is there already."""
        self._file.truncate(self.record.n_bytes)
        self._file.seek(self.record.n_bytes)
        self._chain, self._n_bytes = Chain(self.record.crc), self.record.n_bytes
        if self.record.n_bytes == 0 or self.record.identity != run.identity:
            self._write({"journal": FORMAT_VERSION, **run.identity})

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Append a candidate and its evaluation, unless they were read from this file."""
        if candidate.id >= len(self.record.evaluations):
            start = self._n_bytes
            self._write({"candidate": candidate.to_dict(), "evaluation": _plain(evaluation)})
            self.record.evaluations.add_line(start, self._n_bytes - start)

    def generation(self, generation: Generation) -> None:
        """Wait until the lines of a batch are on the disk; generations follow from them."""
        self._sync()

    def finished(self, outcome: Outcome) -> None:
        """Close the file, with all lines on the disk."""
        try:
            self._sync()
        finally:
            self.close()

    def _sync(self) -> None:
        if self._is_synced or self._file.closed:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._no_room(error) from None
        self._is_synced = True

    def close(self) -> None:
        """Let go of the file; more than once does no harm."""
        with contextlib.suppress(OSError):  # what could not be written has been said already
            self._file.close()

    def _write(self, entry: Mapping[str, Any]) -> None:
        line = self._chain.closed(_written_json(entry))
        self._is_synced = False
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise self._no_room(error) from None
        self._n_bytes += len(line)

    def _no_room(self, error: OSError) -> SearchError:
        return SearchError(
            f"{self._path}: expected room to write, got: {error.strerror}; what is written is "
            f"complete; to go on from there: {command('resume', self._run_dir)}"
        )


class Tail:
    """What is new in a journal that another process writes.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    evaluations : Evaluations
        What was new up to now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._n_bytes = 0
        self.evaluations = Evaluations(path)

    def new(self) -> Iterator[Pair]:
        """Candidates whose lines have been written since the last time, the first time all."""
        # Where there is no file any more, whoever writes it has more to say.
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
    """The record of a journal, up to a torn last line; its identity is empty if nothing is whole.

    Raises
    ------
    RunError
        If there is no such file, or a line other than the last is not what a journal holds.
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
                elif (found := _checked_pair(entry)[0]).id == len(evaluations):
                    evaluations.add_line(n_bytes, len(line))
                    n_candidates += found.epochs_done == 0
                else:
                    raise ValueError(f"candidate {found.id} where {len(evaluations)} is due")
            except _WRONG as error:
                raise RunError(f"{path}: expected a journal's entry in line {number}, got: {error}") from None
            n_bytes += len(line)
    return Record(identity, evaluations, n_bytes, chain.crc, n_candidates)


def _written_json(entry: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(entry, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:  # what is no UTF-8, as in the name of a file, or a number of more than 64 bits
        return json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()


def _read_json(line: bytes) -> Any:
    if line.startswith(b'{"journal"'):
        return strict_json(line)  # a person's seed may have more than 64 bits, which orjson makes a float
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # the same; else this says what is wrong
        return strict_json(line)


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    curves = (evaluation.train_losses, evaluation.validation_losses, evaluation.validation_scores)
    if not math.isfinite(sum(map(sum, curves), evaluation.fitness + evaluation.validation_loss)):
        raise ValueError(f"candidate {evaluation.candidate_id}: expected finite numbers to write, got others")
    values = ((name, getattr(evaluation, name)) for name in _WRITTEN)
    return {name: value for name, value in values if value is not None}


_WRONG = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)
"""What reading an entry raises if it is not one."""


def _checked_pair(entry: Any) -> Pair:
    PAIR(entry)
    return _pair(entry)


def _pair(entry: Mapping[str, Any]) -> Pair:
    evaluation: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in entry["evaluation"].items()
    }
    return Candidate.from_dict(entry["candidate"]), Evaluation(**evaluation)
