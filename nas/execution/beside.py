"""A function in a process of its own, beside the search: its imports and its work take no time from a search.

Run as a program of its own, by path, with nothing but the standard library at first. It never outlives the
process that started it, and a Ctrl-C does not reach it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

_POLL = 0.02
"""Seconds between two checks of whether to go on waiting."""


class BesideError(Exception):
    """The function failed in its process; the last line of its traceback."""


class Beside:
    """A process that imports modules, then calls one function.

    Parameters
    ----------
    modules : sequence of str
        Imported at once, before the function is known.

    Raises
    ------
    OSError
        If no process can be started, or there is no place for temporary files.
    """

    def __init__(self, modules: Sequence[str] = ()) -> None:
        # The process is killed in the end, and removes no temporary files of its own.
        self._scratch = tempfile.TemporaryDirectory(prefix="nas-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "TMPDIR": self._scratch.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._answer: tuple[bool, Any] | None = None
        self._thread: threading.Thread | None = None
        self._send((sys.path, tuple(modules)))

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function, named as ``module:function``, with arguments that can be pickled; once."""
        message = pickle.dumps((function, arguments))
        self._thread = threading.Thread(target=self._exchange, args=(message,), daemon=True)
        self._thread.start()

    def result(self, give_up: Callable[[], bool] = lambda: False) -> Any:
        """Wait for what the function returns, then end the process; None once `give_up()`.

        Raises
        ------
        BesideError
            If the function raised an exception, or its process ended.
        """
        assert self._thread is not None, "call comes first"
        try:
            while self._thread.is_alive():
                if give_up():
                    return None
                self._thread.join(_POLL)
        finally:
            self.close()
        if self._answer is None:
            raise BesideError("its process ended")
        is_result, value = self._answer
        if not is_result:
            raise BesideError(value)
        return value

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._scratch.cleanup()

    def _exchange(self, message: bytes) -> None:
        assert self._process.stdout is not None
        self._send_bytes(message)
        with contextlib.suppress(EOFError, pickle.UnpicklingError, OSError):
            self._answer = pickle.load(self._process.stdout)  # of a process of this program

    def _send(self, message: object) -> None:
        self._send_bytes(pickle.dumps(message))

    def _send_bytes(self, message: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, which is noticed by the missing answer
            self._process.stdin.write(message)
            self._process.stdin.flush()


def serve() -> None:
    """Read what to import and what to call, call it, write its result: the body of the process."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the function prints is not an answer
    sys.path[:], modules = pickle.load(requests)
    for module in modules:
        with contextlib.suppress(Exception):  # the function says so itself
            import_module(module)
    try:
        function, arguments = pickle.load(requests)
    except EOFError:
        return
    threading.Thread(target=_end_with, args=(requests,), daemon=True).start()
    try:
        module, _, name = function.partition(":")
        answer = True, getattr(import_module(module), name)(*arguments)
    except Exception as error:  # noqa: BLE001  # any, for the other process
        answer = False, "".join(traceback.format_exception_only(error)).strip()
    pickle.dump(answer, answers)
    answers.flush()
    os._exit(0)


def _end_with(requests: Any) -> None:
    """End this process when the process that started it closes its end of the pipe, or exits."""
    requests.read()
    os._exit(1)


if __name__ == "__main__":
    serve()
