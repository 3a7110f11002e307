"""Trained weights that children may inherit, in files of the run's folder.

::

    runs/<name>/weights/<candidate>.npz

A file is there before the journal tells of its candidate, and until nobody can need it any more. The
latest are in memory, too: most children are born soon after their parents.
"""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from nas.errors import RunError, SearchError
from nas.network import State
from nas.tracking.folder import command

_IN_MEMORY = 2**26
"""Bytes of states that are remembered, at most."""


class Weights:
    """The states of candidates, by their ids.

    Parameters
    ----------
    folder : Path
        Made when the first state is kept; what is in it already belongs to an earlier life of the search.
    run_dir : Path, optional
        The folder of the run, if it is not the one that the folder is in.
    """

    def __init__(self, folder: Path, run_dir: Path | None = None) -> None:
        self._folder, self._run_dir = folder, run_dir or folder.parent
        self._present = {int(file.stem) for file in folder.glob("*.npz") if file.stem.isdecimal()}
        self._remembered: OrderedDict[int, State] = OrderedDict()
        self._n_bytes = 0

    def keep(self, candidate_id: int, state: State) -> None:
        """Write a state; raises `SearchError` where there is no room."""
        arrays, facts = state.to_arrays()
        file = self._file(candidate_id)
        unfinished = file.with_suffix(".tmp")
        try:
            if not self._present:
                self._folder.mkdir(exist_ok=True)
            # At once: zip's many small writes take twice as long.
            whole = io.BytesIO()
            np.savez(whole, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)
            unfinished.write_bytes(whole.getbuffer())
            unfinished.replace(file)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise SearchError(
                f"{file}: expected room to write, got: {error.strerror}; what is written is complete; "
                f"to go on from there: {command('resume', self._run_dir)}"
            ) from None
        self._present.add(candidate_id)
        self._remember(candidate_id, state)

    def has(self, candidate_id: int) -> bool:
        """Whether the state is kept."""
        return candidate_id in self._present

    def of(self, candidate_id: int) -> State:
        """A state, from memory or from its file; raises `RunError` if that is not there or not whole."""
        if candidate_id in self._remembered:
            return self._remembered[candidate_id]
        file = self._file(candidate_id)
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return State.from_arrays(arrays, json.loads(str(arrays.pop("facts"))))
        except OSError as error:
            raise RunError(f"{file}: expected trained weights, got: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise RunError(f"{file}: expected trained weights, got a damaged file: {error}") from None

    def forget(self, told: int, keep: Collection[int]) -> None:
        """Delete those of the first `told` candidates that are not among `keep`."""
        for candidate_id in [i for i in self._present if i < told and i not in keep]:
            self._file(candidate_id).unlink(missing_ok=True)
            self._present.discard(candidate_id)
            self._forget(candidate_id)

    def _remember(self, candidate_id: int, state: State) -> None:
        # A copy: what comes from a worker lies in memory that all share, and would fill it.
        self._forget(candidate_id)
        self._remembered[candidate_id] = copy = state.copy()
        self._n_bytes += copy.n_bytes
        while self._n_bytes > _IN_MEMORY:
            self._forget(next(iter(self._remembered)))

    def _forget(self, candidate_id: int) -> None:
        state = self._remembered.pop(candidate_id, None)
        if state is not None:
            self._n_bytes -= state.n_bytes

    def _file(self, candidate_id: int) -> Path:
        return self._folder / f"{candidate_id}.npz"
