"""Where islands meet in logical time: their messages, round by round, as files that outlive their writers."""

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
"""Seconds between two looks for what the others have said."""


@dataclass(frozen=True)
class Message:
    """What islands tell each other when they meet: their elites, the best first, and where they stand."""

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


class Meeting:
    """A place where so many exchange messages, round by round; may be sent to processes of this machine.

    What somebody hears in a round depends on the round alone, never on who is fast. Nobody has to be alive
    for what was said to be heard: who dies says the same again, and hears the same.

    Parameters
    ----------
    folder : Path
        Its own. Of those who come there only one enters the context: the folder is made anew, and gone in
        the end.
    n : int
        Those who meet, by numbers from 0.
    """

    def __init__(self, folder: Path, n: int) -> None:
        self._folder, self._n = folder, n

    def __enter__(self) -> Meeting:
        # What an earlier life of the search has said may be of another space or other data.
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._folder.mkdir()
        except OSError as error:
            raise SearchError(f"{self._folder}: expected room to write, got: {error.strerror}") from None
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def exchange(self, who: int, round_: int, message: Message) -> list[Message] | None:
        """Everybody's message of a round, once all are there; None once it is known that somebody won't come.

        Raises
        ------
        SearchError
            If there is no room for the message.
        """
        self._write(self._said(who, round_), message)
        while self._folder.is_dir():
            # First: who has gone says nothing any more, so that what is not there then never will be.
            gone = [i for i in range(self._n) if self._gone(i).exists()]
            places = self._places(round_)
            if None not in places:
                return self._read(places)
            if any(places[i] is None for i in gone):
                return None
            time.sleep(_POLL)
        return None

    def leave(self, who: int, last: Message | None = None) -> None:
        """Come no more; with a last message, which then counts in all rounds that follow."""
        if last is not None:
            self._write(self._last(who), last)
        else:
            # Where there is no room, the driver is told all the same, and ends the others.
            with contextlib.suppress(OSError):
                self._gone(who).touch()

    def since(self, round_: int) -> list[list[Message]]:
        """The messages of each complete round from this one on in which anybody has said something new."""
        found = []
        while any(self._said(i, round_).exists() for i in range(self._n)):
            places = self._places(round_)
            if None in places:
                break
            found.append(self._read(places))
            round_ += 1
        return found

    def _said(self, who: int, round_: int) -> Path:
        return self._folder / f"{who}-{round_}.json"

    def _last(self, who: int) -> Path:
        return self._folder / f"{who}-last.json"

    def _gone(self, who: int) -> Path:
        return self._folder / f"{who}-gone"

    def _places(self, round_: int) -> list[Path | None]:
        """Where each one's message of a round is; None where it is not."""
        either = ((self._said(i, round_), self._last(i)) for i in range(self._n))
        return [next((place for place in places if place.exists()), None) for places in either]

    def _read(self, places: list[Path | None]) -> list[Message]:
        return [_message_in(place) for place in places if place is not None]

    def _write(self, place: Path, message: Message) -> None:
        """Write a message, all at once."""
        unfinished = place.with_suffix(".new")
        try:
            unfinished.write_text(json.dumps(message.to_dict()))
            unfinished.replace(place)
        except OSError as error:
            raise SearchError(f"{place}: expected room to write, got: {error.strerror}") from None


def _message_in(file: Path) -> Message:
    try:
        return Message.from_dict(strict_json(file.read_bytes()))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SearchError(f"{file}: expected the message of an island, got: {error}") from None
