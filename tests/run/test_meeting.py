"""Meetings: what is heard depends on the round alone, whoever is late, gone, or there a second time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nas.errors import SearchError
from nas.evolution import Generation
from nas.genome import Genome
from nas.run.meeting import Meeting, Message


def message(*widths: int) -> Message:
    genomes = [Genome((width, 3), ("relu", "tanh"), 1e-3, dropout=0.1) for width in widths]
    generation = (
        Generation(4, 50, 1, 0.9, 0.8, 0.75, 0.1, 1 / 3, genomes[0], (0.5, 0.25)) if genomes else None
    )
    return Message(genomes, generation)


@pytest.fixture
def meeting(tmp_path: Path) -> Iterator[Meeting]:
    with Meeting(tmp_path / "meeting", 3) as found:
        yield found


def test_everybody_hears_everybody_of_a_round(meeting: Meeting) -> None:
    def attend(who: int) -> list[list[Message] | None]:
        heard = []
        for round_ in range(4):
            time.sleep(0.02 * who)
            heard.append(meeting.exchange(who, round_, message(10 * round_ + who + 1)))
        return heard

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(attend, range(3)))
    expected = [[message(10 * round_ + who + 1) for who in range(3)] for round_ in range(4)]
    assert found == [expected] * 3
    assert meeting.since(0) == expected
    assert meeting.since(3) == expected[3:]
    assert meeting.since(4) == []


def test_who_begins_again_hears_the_same(meeting: Meeting, tmp_path: Path) -> None:
    first = [message(1), message(), message(3, 4)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda who: meeting.exchange(who, 0, first[who]), range(3)))
    meeting.leave(1)
    assert Meeting(tmp_path / "meeting", 3).exchange(0, 0, first[0]) == first


def test_who_has_gone_is_not_waited_for(meeting: Meeting) -> None:
    meeting.leave(1)
    assert meeting.exchange(0, 0, message(1)) is None
    assert meeting.since(0) == []


def test_the_last_message_of_who_has_gone_counts_ever_after(meeting: Meeting) -> None:
    meeting.leave(1, message(5))
    meeting.leave(2, message(7))
    for round_ in range(2):
        assert meeting.exchange(0, round_, message(1)) == [message(1), message(5), message(7)]
    # Nobody has anything new to say in the third.
    assert len(meeting.since(0)) == 2


def test_nothing_is_heard_of_an_earlier_meeting_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "meeting"
    with Meeting(folder, 2) as first:
        first.leave(0)
        first.leave(1, message(1))
        left = [file.name for file in folder.iterdir()]
    assert len(left) == 2
    assert not folder.exists()
    folder.mkdir()
    (folder / "1-gone").touch()
    with Meeting(folder, 2) as second, ThreadPoolExecutor() as pool:
        waiting = pool.submit(second.exchange, 0, 0, message(1))
        time.sleep(0.2)
        assert not waiting.done()
        second.leave(1, message(2))
        assert waiting.result() == [message(1), message(2)]


def test_a_meeting_that_is_over_keeps_nobody(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        with Meeting(tmp_path / "meeting", 2) as meeting:
            waiting = pool.submit(meeting.exchange, 0, 0, message(1))
            time.sleep(0.2)
        assert waiting.result(timeout=10) is None
    with pytest.raises(SearchError, match="expected room to write, got: No such file"):
        meeting.exchange(0, 1, message(1))
