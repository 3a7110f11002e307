"""The thread that writes to a store: order, outages, refusals, interrupts."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from nas.errors import TrackingError
from nas.tracking import writer as module
from nas.tracking.writer import Writer, run_concurrently


class Numbers:
    """A store of numbers, which can be switched off."""

    def __init__(self) -> None:
        self.is_on = True
        self.written: list[int] = []

    def answers(self) -> bool:
        return self.is_on

    def write(self, number: int) -> None:
        if not self.is_on:
            raise OSError("no route to the store")
        if number < 0:
            raise ValueError("negative")
        self.written.append(number)


def write(number: int) -> Callable[[Numbers], None]:
    return lambda store: store.write(number)


def writer_to(store: Numbers, *, is_checked: bool = True) -> Writer[Numbers]:
    return Writer(lambda: store, str, is_checked=is_checked)


def test_jobs_run_in_order_and_all_before_it_closes() -> None:
    store = Numbers()
    writer = writer_to(store)
    for i in range(100):
        writer.put(write(i))
    writer.close()
    assert store.written == list(range(100))
    assert writer.n_failed == 0


def test_after_an_outage_jobs_go_on_where_they_stopped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_RETRY_PAUSE", 0.0)
    store = Numbers()
    store.is_on = False
    writer = writer_to(store)
    tried = threading.Event()
    writer.put(write(0))
    writer.put(write(1))
    writer.put(lambda _: tried.set())
    deadline = time.monotonic() + 10
    while "no route to the store; the search goes on" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not tried.is_set()
    store.is_on = True
    writer.put(write(2))
    assert tried.wait(10)
    writer.close()
    assert store.written == [0, 1, 2]
    assert writer.n_failed == 0
    assert caplog.text.count("the search goes on") == 1


def test_a_job_that_the_store_refuses_is_dropped_and_counted() -> None:
    store = Numbers()
    writer = writer_to(store)
    for number in (0, -1, 2):
        writer.put(write(number))
    writer.close()
    assert store.written == [0, 2]
    assert writer.n_failed == 1


def test_jobs_that_still_wait_at_the_end_are_counted() -> None:
    store = Numbers()
    store.is_on = False
    writer = writer_to(store)
    for number in range(3):
        writer.put(write(number))
    writer.close()
    assert writer.n_failed == 3


def test_a_refused_connection_is_raised_to_the_waiting_search() -> None:
    def refuse() -> Numbers:
        raise TrackingError("no such store")

    writer = Writer(refuse, str, is_checked=False)
    with pytest.raises(TrackingError, match="no such store"):
        writer.wait_until_ready()
    writer.close()
    assert writer.store is None


def test_waiting_for_the_store_can_be_interrupted() -> None:
    is_released = threading.Event()

    def connect() -> Numbers:
        assert is_released.wait(10)
        return Numbers()

    def interrupt() -> None:
        raise KeyboardInterrupt

    writer = Writer(connect, str, is_checked=False)
    with pytest.raises(KeyboardInterrupt):
        writer.wait_until_ready(interrupt)
    writer.close(lambda: True)
    is_released.set()
    writer.wait_until_ready()


@pytest.mark.parametrize("is_closed", [False, True])
def test_after_an_interrupt_only_the_last_job_runs(is_closed: bool) -> None:
    store, is_busy, is_released = Numbers(), threading.Event(), threading.Event()

    def slow(store: Numbers) -> None:
        is_busy.set()
        assert is_released.wait(10)
        store.write(0)

    writer = writer_to(store)
    writer.put(slow)
    writer.put(write(1))
    assert is_busy.wait(10)
    if is_closed:
        writer.close(lambda: True)
    threading.Timer(0.05, is_released.set).start()
    writer.close_with(write(9), patience=10)
    assert store.written == [0, 9]


def test_after_an_interrupt_of_waiting_the_last_job_is_waited_for() -> None:
    store, waiting, going_on = Numbers(), threading.Event(), threading.Event()
    writer = writer_to(store)

    def in_between() -> bool:
        waiting.set()
        return False

    def interrupt(_: Numbers) -> None:
        assert waiting.wait(30)
        os.kill(os.getpid(), signal.SIGINT)
        going_on.wait(30)

    def last(store: Numbers) -> None:
        time.sleep(0.5)  # a caller that does not wait has gone on by then
        store.write(2)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        writer.put(interrupt)
        writer.put(write(1))
        with pytest.raises(KeyboardInterrupt):
            writer.close(in_between)
    finally:
        signal.signal(signal.SIGINT, before)
    threading.Timer(0.2, going_on.set).start()
    writer.close_with(last, 30)
    assert store.written == [2]


def test_concurrent_jobs_are_waited_for_and_their_errors_raised() -> None:
    store = Numbers()
    run_concurrently(store, [write(i) for i in range(20)], 4)
    assert sorted(store.written) == list(range(20))
    with pytest.raises(ValueError, match="negative"):
        run_concurrently(store, [partial(Numbers.write, number=-1)], 4)
