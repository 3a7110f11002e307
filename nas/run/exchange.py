"""All-gather between processes: messages, round by round, as files.

A file outlives the process that wrote it, so that a process which crashes and is restarted gathers the same
again.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import SearchError
from nas.evolution import Generation
from nas.genome import Genome
from nas.runtime import strict_json

_POLL = 0.05
"""Seconds between two checks for messages of other processes: short beside a round, which takes seconds."""


@dataclass(frozen=True)
class Message:
    """What a process sends in a round: its elites, the best first, and the state of its search."""

    elites: list[Genome]
    generation: Generation | None

    def to_dict(self) -> dict[str, Any]:
        """The message as plain values for JSON."""
        generation = None if self.generation is None else self.generation.to_dict()
        return {"elites": [genome.to_dict() for genome in self.elites], "generation": generation}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Message:
        """The message that `to_dict` wrote."""
        generation = record["generation"]
        return cls(
            [Genome.from_dict(genome) for genome in record["elites"]],
            None if generation is None else Generation.from_dict(generation),
        )


class Exchange:
    """All-gather of messages between `n` processes of this machine, which it can be sent to.

    What a process receives in a round depends on the round only, never on which process is fast. The sender
    need not be running: a process that crashes and is restarted sends the same messages, and receives the
    same.

    Parameters
    ----------
    folder : Path
        A folder for the messages. Only the driver enters the context, which creates the folder anew and
        removes it at the end.
    n : int
        The number of processes, which are numbered from 0.
    """

    def __init__(self, folder: Path, n: int) -> None:
        self._folder, self._n = folder, n

    def __enter__(self) -> Exchange:
        # Messages of a driver that was killed may be of another space or other data.
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._folder.mkdir()
        except OSError as error:
            raise SearchError(f"{self._folder}: expected room to write, got: {error.strerror}") from None
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def all_gather(self, process: int, round_: int, message: Message) -> list[Message] | None:
        """Send a message, and wait for those of all processes in this round, in the order of the processes.

        None as soon as it is known that a process has left without sending a message in this round.

        Raises
        ------
        SearchError
            If there is no room for the message.
        """
        self._write(self._message_file(process, round_), message)
        while self._folder.is_dir():
            # Check departures first: a departed process sends no more, so a message that is missing after the
            # check will never come.
            departed = [i for i in range(self._n) if self._departure_file(i).exists()]
            files = self._files(round_)
            if None not in files:
                return self._read(files)
            if any(files[i] is None for i in departed):
                return None
            time.sleep(_POLL)
        return None

    def leave(self, process: int, last: Message | None = None) -> None:
        """Take part in no further round; with a last message, that counts in all rounds which follow."""
        if last is not None:
            self._write(self._last_message_file(process), last)
        else:
            # If there is no room, the driver gets the error nevertheless, and ends the other processes.
            with contextlib.suppress(OSError):
                self._departure_file(process).touch()

    def since(self, round_: int) -> list[list[Message]]:
        """The messages of each complete round from this round on with a new message of some process."""
        rounds = []
        while any(self._message_file(i, round_).exists() for i in range(self._n)):
            files = self._files(round_)
            if None in files:
                break
            rounds.append(self._read(files))
            round_ += 1
        return rounds

    def _message_file(self, process: int, round_: int) -> Path:
        return self._folder / f"{process}-{round_}.json"

    def _last_message_file(self, process: int) -> Path:
        return self._folder / f"{process}-last.json"

    def _departure_file(self, process: int) -> Path:
        return self._folder / f"{process}-left"

    def _files(self, round_: int) -> list[Path | None]:
        """The file with each process's message of a round; None where there is none."""
        options = ((self._message_file(i, round_), self._last_message_file(i)) for i in range(self._n))
        return [next((file for file in files if file.exists()), None) for files in options]

    def _read(self, files: list[Path | None]) -> list[Message]:
        return [read_message(file) for file in files if file is not None]

    def _write(self, file: Path, message: Message) -> None:
        """Write a message atomically: a reader sees the whole file or none."""
        unfinished = file.with_suffix(".new")
        try:
            unfinished.write_text(json.dumps(message.to_dict()))
            unfinished.replace(file)
        except OSError as error:
            raise SearchError(f"{file}: expected room to write, got: {error.strerror}") from None


def read_message(file: Path) -> Message:
    """The message in a file; raises `SearchError` if it is damaged."""
    try:
        return Message.from_dict(strict_json(file.read_bytes()))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SearchError(f"{file}: expected the message of a process, got: {error}") from None
