"""Progress in a notebook: one output with a bar, which is replaced while the search goes on."""

from __future__ import annotations

import html
import io
import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from nas.tracking.progress import Left, ProgressDisplay, duration

_PERIOD = 0.5
"""Seconds between two changes of the output."""


def notebook_output() -> Callable[..., Any] | None:
    """IPython's `display`, if this process is the kernel of a notebook."""
    # Not imported: without IPython in the process there is no notebook.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return ipython.display.display if ipython is not None and hasattr(shell, "kernel") else None


class Html:
    """Text that a notebook shows as HTML; other front ends get the plain text."""

    def __init__(self, markup: str, text: str) -> None:
        self._markup, self._text = markup, text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._markup


class NotebookDisplay(ProgressDisplay):
    """As `ProgressDisplay`, in an output of a notebook; its last state, one line, stays there.

    Parameters
    ----------
    show : callable
        IPython's `display`; it returns a handle, which replaces what was shown.
    """

    def __init__(self, show: Callable[..., Any]) -> None:
        super().__init__(io.StringIO())
        self._display = show
        self._handle: Any = None
        self._begin = time.monotonic()
        self._name = ""
        self._total: float | None = None
        self._left: Left | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="nas-notebook", daemon=True)

    def close(self) -> None:
        """Leave one line about the search, or nothing where none has started."""
        self._ended.set()
        if self._handle is not None:
            self._thread.join()
            line = self._summary() if self._has_started else ""
            self._handle.update(Html(html.escape(line), line))
            self._handle = None

    def _show(
        self, name: str, *, total: float | None = None, left: Left | None = None, best: str = ""
    ) -> None:
        self._name, self._total, self._left = name, total, left
        if self._handle is not None:
            self._handle.update(self._state())
        elif not self._ended.is_set():
            self._handle = self._display(self._state(), display_id=True)
            self._thread.start()

    def _print(self, line: str) -> None:
        pass  # the output says the same

    def _refresh(self) -> None:
        while not self._ended.wait(_PERIOD):
            self._handle.update(self._state())

    def _state(self) -> Html:
        """The phase, a bar, counts and times; below it the best network so far."""
        counts, bar = "", "<progress></progress>"  # without a value it moves by itself
        if self._total:
            counts = f"{self._n_networks}/{self._total:.0f} candidates, "
            bar = f'<progress value="{self._n_networks}" max="{self._total:.0f}"></progress>'
        times = duration(time.monotonic() - self._begin)
        seconds = math.nan if self._left is None else self._left()
        if math.isfinite(seconds):
            times += f", {duration(seconds)} left"
        lines = [f"{self._name}: {counts}{times}", self._best_so_far() if self._has_started else ""]
        first, second = map(html.escape, lines)
        return Html(f"<div>{bar} {first}<br><small>{second}</small></div>", "\n".join(lines))

    def _best_so_far(self) -> str:
        failed = f", {self._failures} failed" if self._failures else ""
        return f"best {self._best_text}{failed}"

    def _summary(self) -> str:
        seconds = duration(time.monotonic() - self._begin)
        return f"{self._n_networks} candidates in {seconds}, {self._best_so_far()}"
