"""Checkpoints that children may start from, in files of the run's folder.

::

    runs/<name>/weights/<candidate>.npz

A file exists before its candidate is in the journal, and until no child can start from it any more. The
latest are cached in memory, too: most children follow soon after their parents. A file holds the ids of its
candidate and its run, and its parts have the checksums of a zip archive.
"""

from __future__ import annotations

import io
import json
import math
import struct
from collections import OrderedDict
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np

from nas.errors import RunError, SearchError
from nas.files import sync_path
from nas.network import OPTIMIZERS, State
from nas.network.arrays import Array
from nas.tracking.shown import command

_IN_MEMORY = 2**26
"""Bytes of states that are cached, at most: a few per cent of what a search takes anyway."""


class Weights:
    """The states of candidates, by their ids.

    Parameters
    ----------
    folder : Path
        Created when the first state is kept. A resumed search finds its files in it.
    run_dir : Path, optional
        The folder of the run, if it is not the parent of `folder`.
    run_id : str
        The id of the run, by which files of another run are refused.
    """

    def __init__(self, folder: Path, run_dir: Path | None = None, run_id: str = "") -> None:
        self._folder, self._run_dir, self._run_id = folder, run_dir or folder.parent, run_id
        self._present = {int(file.stem) for file in folder.glob("*.npz") if file.stem.isdecimal()}
        self._pool = ThreadPoolExecutor(1, "weights")  # without a thread until it has something to do
        self._syncing: dict[int, Future[None]] = {}
        self._cache: OrderedDict[int, tuple[State, ...]] = OrderedDict()
        self._n_bytes = 0

    def keep(self, candidate_id: int, states: Sequence[State]) -> None:
        """Write the state of each fold, or a single state; raises `SearchError` if there is no room."""
        arrays, facts = _to_arrays(states)
        # An archive with a damaged directory may seem to have fewer parts.
        facts |= {"candidate": candidate_id, "run": self._run_id, "arrays": list(arrays)}
        file = self._file(candidate_id)
        unfinished = file.with_suffix(".tmp")
        try:
            if not self._present:
                self._folder.mkdir(exist_ok=True)
            # In memory first: zip's many small writes to a file take twice as long.
            archive = io.BytesIO()
            np.savez(archive, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)
            unfinished.write_bytes(archive.getbuffer())
            unfinished.replace(file)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise SearchError(
                f"{file}: expected room to write, got: {error.strerror}; what is written is complete; "
                f"to go on from there: {command('resume', self._run_dir)}"
            ) from None
        self._present.add(candidate_id)
        # Concurrently with the training: in sequence it would take up to two percent of a search's time.
        self._syncing[candidate_id] = self._pool.submit(sync_path, file)
        self._add_to_cache(candidate_id, states)

    def sync(self, candidate_ids: Collection[int]) -> None:
        """Wait until the states of some candidates are on disk, if the file system supports that."""
        pending = [self._syncing.pop(i) for i in candidate_ids if i in self._syncing]
        for future in pending:
            future.result()
        if pending:
            sync_path(self._folder)

    def has(self, candidate_id: int) -> bool:
        """Whether the state is kept."""
        return candidate_id in self._present

    def of(self, candidate_id: int) -> tuple[State, ...]:
        """The states of a candidate, from the cache or its file; `RunError` if that is missing or damaged."""
        if candidate_id in self._cache:
            return self._cache[candidate_id]
        file = self._file(candidate_id)
        try:
            content = file.read_bytes()
        except OSError as error:
            raise RunError(f"{file}: expected trained weights, got: {error.strerror or error}") from None
        try:
            arrays = _arrays_in(content)
            facts = json.loads(str(arrays.pop("facts")))
            for key, value in (("candidate", candidate_id), ("run", self._run_id), ("arrays", list(arrays))):
                if facts.get(key, value) != value:  # earlier versions wrote none of them
                    raise ValueError(f"weights of {key} {facts[key]!r}, not {value!r}")
            return _from_arrays(arrays, facts)
        except _DAMAGE as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RunError(f"{file}: expected trained weights, got a damaged file: {reason}") from None

    def forget(self, n_evaluations: int, keep: Collection[int]) -> None:
        """Delete the states of the first `n_evaluations` candidates, except for `keep`."""
        for candidate_id in [i for i in self._present if i < n_evaluations and i not in keep]:
            self._file(candidate_id).unlink(missing_ok=True)
            self._present.discard(candidate_id)
            self._syncing.pop(candidate_id, None)
            self._drop_from_cache(candidate_id)

    def _add_to_cache(self, candidate_id: int, states: Sequence[State]) -> None:
        # A copy: a worker's arrays are in the memory that all processes share, and would fill it.
        self._drop_from_cache(candidate_id)
        self._cache[candidate_id] = copies = tuple(state.copy() for state in states)
        self._n_bytes += sum(copy.n_bytes for copy in copies)
        while self._n_bytes > _IN_MEMORY:
            self._drop_from_cache(next(iter(self._cache)))

    def _drop_from_cache(self, candidate_id: int) -> None:
        for state in self._cache.pop(candidate_id, ()):
            self._n_bytes -= state.n_bytes

    def _file(self, candidate_id: int) -> Path:
        return self._folder / f"{candidate_id}.npz"


_DAMAGE = (
    *(ValueError, TypeError, LookupError, ArithmeticError, EOFError, OSError, RuntimeError, MemoryError),
    *(BadZipFile, struct.error),
)
"""What `zipfile`, NumPy and JSON raise for a damaged file."""


def _to_arrays(states: Sequence[State]) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of all states by name, and their facts; names of several states begin with a number."""
    if len(states) == 1:
        return states[0].to_arrays()
    arrays: dict[str, Array] = {}
    folds = []
    for i, state in enumerate(states):
        of_state, facts = state.to_arrays()
        arrays |= {f"{i}/{name}": array for name, array in of_state.items()}
        folds.append(facts)
    return arrays, {"folds": folds}


def _from_arrays(arrays: dict[str, Array], facts: dict[str, Any]) -> tuple[State, ...]:
    """The states that `_to_arrays` took apart; raises one of `_DAMAGE` if their types are wrong."""
    parts = [(arrays, facts)]
    if "folds" in facts:
        parts = []
        for i, of_fold in enumerate(facts["folds"]):
            start = f"{i}/"
            own = {
                name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)
            }
            parts.append((own, of_fold))
    for of_state, own_facts in parts:
        _check(of_state, own_facts)
    return tuple(State.from_arrays(of_state, own_facts) for of_state, own_facts in parts)


def _arrays_in(content: bytes) -> dict[str, Array]:
    """The arrays of an archive that `numpy.savez` made, each of the size that its header states."""
    with ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != ZIP_STORED for entry in entries):
            raise ValueError("parts that are compressed")
        if sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("parts that are larger than the file")
        return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}


def _array(content: bytes) -> Array:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"an array of version {version}")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    numbers = content[file.tell() :]
    if is_fortran or dtype.kind not in "fU" or math.prod(shape) * dtype.itemsize != len(numbers):
        raise ValueError(f"an array of {dtype} and shape {shape} in {len(numbers)} bytes")
    return np.frombuffer(numbers, dtype).reshape(shape).copy()


def _check(arrays: dict[str, Array], facts: Any) -> None:
    """Raise `ValueError` or `TypeError` unless facts and arrays have the types of a state."""
    shape = arrays["parameters"].shape
    if facts["best"] is not None:
        parts = {
            name.removeprefix("best."): array for name, array in arrays.items() if name.startswith("best.")
        }
        _check(parts, facts["best"])
        if parts["parameters"].shape != shape:
            raise ValueError("two states of networks of different sizes")
    if len(shape) != 1 or any(array.shape != shape or array.dtype.kind != "f" for array in arrays.values()):
        raise ValueError("arrays that are not of the parameters' shape")
    optimizer, coefficient = facts["rule"]
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"an unknown optimizer {optimizer!r}")
    numbers = [coefficient, facts["steps"], facts["epochs"], *(facts["least"] or ())]
    numbers += [facts[key] for key in ("loss", "score") if facts[key] is not None]
    if any(type(number) not in (int, float) for number in numbers):
        raise TypeError(f"no numbers among {numbers!r}")
    if any(number < 0 for number in numbers[1:3]):
        raise TypeError(f"negative counts among {numbers!r}")
