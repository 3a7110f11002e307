"""Callbacks: a user's code that is called during a search, and may stop it.

::

    class Plateau(nas.Callback):
        def generation(self, context, generation):
            return generation.std < 1e-3  # True: stop

    nas.search("digits", callbacks=[Plateau()])

A tracker (`nas.tracking.tracker.Tracker`) records a search from its start to its outcome, and changes
nothing; a callback may stop it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from nas.errors import InputError
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.tracking.tracker import Outcome, RunInfo, Tracker


class CallbackContext:
    """The running search, as callbacks see it.

    Attributes
    ----------
    run_dir : Path
        The run's folder.
    metric : str
        The name of the score that is maximized, which is the fitness of an evaluation.
    n_recorded : int
        Evaluations in the journal when the search was resumed: callbacks are called with these again.
    n_evaluations : int
        Evaluations that callbacks were called with so far.
    """

    def __init__(self, info: RunInfo) -> None:
        self.run_dir: Path = info.run_dir
        self.metric = info.metric
        self.n_recorded = info.n_evaluated
        self.n_evaluations = 0
        self._stop_requested = False

    @property
    def stop_requested(self) -> bool:
        """Whether a callback has asked to stop."""
        return self._stop_requested

    def stop(self) -> None:
        """End the search after the batch that is being evaluated, as if a callback had returned True."""
        self._stop_requested = True


class Callback(Protocol):
    """Called with each evaluation and each generation; may stop the search.

    Subclasses override either method or both. Either may return True, or call ``context.stop()``: the search
    then ends after the batch of candidates that is being evaluated, with the stop reason "callback", and its
    winner is selected, trained and saved as at any other end. `nas.resume` goes on from there.

    Callbacks are called in the process that called `nas.search`, after the evaluation has been written to the
    journal, in the journal's order. With several islands, each of which is a process, they are called in the
    order of each island's journal, a fraction of a second later; each island then ends after its batch. A
    resumed search calls its callbacks first with everything that its journal holds, and does not stop before
    all of that was replayed. An exception of a callback ends the search, which can be resumed.
    """

    def evaluated(
        self, context: CallbackContext, candidate: Candidate, evaluation: Evaluation
    ) -> bool | None:
        """A candidate was evaluated."""
        return None

    def generation(self, context: CallbackContext, generation: Generation) -> bool | None:
        """A batch of candidates was evaluated, and the engine has selected its population."""
        return None


class CallbackTracker:
    """The tracker that calls callbacks, and holds whether a callback has asked to stop.

    Parameters
    ----------
    callbacks : sequence of Callback
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = callbacks
        self._context: CallbackContext | None = None

    def stop_requested(self) -> bool:
        """Whether a callback has asked to stop."""
        return self._context is not None and self._context.stop_requested

    def started(self, run: RunInfo) -> None:
        """See `Tracker.started`."""
        self._context = CallbackContext(run)

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """See `Tracker.evaluated`."""
        assert self._context is not None, "the search has started"
        self._context.n_evaluations += 1
        for callback in self._callbacks:
            if callback.evaluated(self._context, candidate, evaluation):
                self._context.stop()

    def generation(self, generation: Generation) -> None:
        """See `Tracker.generation`."""
        assert self._context is not None, "the search has started"
        for callback in self._callbacks:
            if callback.generation(self._context, generation):
                self._context.stop()

    def finished(self, outcome: Outcome) -> None:
        """See `Tracker.finished`."""


def check_callbacks(callbacks: Sequence[Callback], trackers: Sequence[Tracker]) -> None:
    """Raise `InputError` unless the objects have the methods that a search calls."""
    _check("callbacks", callbacks, ("evaluated", "generation"))
    _check("trackers", trackers, ("started", "evaluated", "generation", "finished"))


def _check(option: str, objects: Sequence[object], methods: Sequence[str]) -> None:
    if not isinstance(objects, Sequence):
        raise InputError(f"{option}: expected a list of objects, got {objects!r}")
    for number, instance in enumerate(objects):
        # A class has the methods, too, but they lack their instance.
        lacking = [name for name in methods if not callable(getattr(instance, name, None))]
        if lacking or isinstance(instance, type):
            expected = f"expected an object with the methods {', '.join(methods)}"
            raise InputError(f"{option}[{number}]: {expected}, got {instance!r}")
