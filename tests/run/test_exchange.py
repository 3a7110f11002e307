"""All-gather between islands: what is received depends on the round only, after restarts, too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nas.errors import SearchError
from nas.evolution import Generation
from nas.genome import Genome
from nas.run.exchange import Exchange, Message


def message(*widths: int) -> Message:
    genomes = [Genome((width, 3), ("relu", "tanh"), 1e-3, dropout=0.1) for width in widths]
    generation = (
        Generation(4, 50, 1, 0.9, 0.8, 0.75, 0.1, 1 / 3, genomes[0], (0.5, 0.25)) if genomes else None
    )
    return Message(genomes, generation)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    with Exchange(tmp_path / "exchange", 3) as found:
        yield found


def test_each_island_receives_the_messages_of_all_in_a_round(exchange: Exchange) -> None:
    def attend(who: int) -> list[list[Message] | None]:
        heard = []
        for round_ in range(4):
            time.sleep(0.02 * who)
            heard.append(exchange.all_gather(who, round_, message(10 * round_ + who + 1)))
        return heard

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(attend, range(3)))
    expected = [[message(10 * round_ + who + 1) for who in range(3)] for round_ in range(4)]
    assert found == [expected] * 3
    assert exchange.since(0) == expected
    assert exchange.since(3) == expected[3:]
    assert exchange.since(4) == []


def test_a_restarted_island_receives_the_same(exchange: Exchange, tmp_path: Path) -> None:
    first = [message(1), message(), message(3, 4)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda who: exchange.all_gather(who, 0, first[who]), range(3)))
    exchange.leave(1)
    assert Exchange(tmp_path / "exchange", 3).all_gather(0, 0, first[0]) == first


def test_a_departed_island_is_not_waited_for(exchange: Exchange) -> None:
    exchange.leave(1)
    assert exchange.all_gather(0, 0, message(1)) is None
    assert exchange.since(0) == []


def test_the_last_message_of_a_departed_island_counts_in_all_rounds_after(exchange: Exchange) -> None:
    exchange.leave(1, message(5))
    exchange.leave(2, message(7))
    for round_ in range(2):
        assert exchange.all_gather(0, round_, message(1)) == [message(1), message(5), message(7)]
    # There is no new message in the third.
    assert len(exchange.since(0)) == 2


def test_messages_of_an_earlier_driver_are_removed_and_no_file_stays(tmp_path: Path) -> None:
    folder = tmp_path / "exchange"
    with Exchange(folder, 2) as first:
        first.leave(0)
        first.leave(1, message(1))
        left = [file.name for file in folder.iterdir()]
    assert len(left) == 2
    assert not folder.exists()
    folder.mkdir()
    (folder / "1-left").touch()
    with Exchange(folder, 2) as second, ThreadPoolExecutor() as pool:
        waiting = pool.submit(second.all_gather, 0, 0, message(1))
        time.sleep(0.2)
        assert not waiting.done()
        second.leave(1, message(2))
        assert waiting.result() == [message(1), message(2)]


def test_no_island_waits_once_the_driver_has_left(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        with Exchange(tmp_path / "exchange", 2) as exchange:
            waiting = pool.submit(exchange.all_gather, 0, 0, message(1))
            time.sleep(0.2)
        assert waiting.result(timeout=10) is None
    with pytest.raises(SearchError, match="expected room to write, got: No such file"):
        exchange.all_gather(0, 1, message(1))
