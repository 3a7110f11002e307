"""A function in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.execution.beside import Beside, BesideError


def test_the_function_is_called_in_another_process() -> None:
    process = Beside(["json"])
    process.call("os:getpid")
    pid = process.result()
    assert pid == process.pid != os.getpid()


def test_an_exception_arrives_as_its_last_line() -> None:
    process = Beside()
    process.call("json:loads", "{")
    with pytest.raises(BesideError, match="Expecting property name"):
        process.result()


def test_a_process_that_ends_says_so() -> None:
    process = Beside()
    process.call("os:abort")
    with pytest.raises(BesideError, match="its process ended"):
        process.result()


def test_what_takes_too_long_is_ended() -> None:
    process, start = Beside(), time.monotonic()
    process.call("time:sleep", 60)
    assert process.result(lambda: time.monotonic() - start > 0.3) is None
    assert time.monotonic() - start < 20
    assert not Path(f"/proc/{process.pid}").exists()


def test_it_does_not_outlive_the_process_that_started_it() -> None:
    code = "import time; from nas.execution.beside import Beside; process = Beside(); "
    code += "process.call('time:sleep', 60); print(process.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
