"""Loops in place of several NumPy operations each, where numba is installed; they change no bit of a result.

``pip install "evonas[fast]"`` brings numba, which compiles the loops once on a machine, in a process beside
the first search. Until they are ready, and without numba, NumPy does the work. As both give the same bits,
the change may come at any moment.

NAS_KERNELS of the environment decides otherwise: "numpy" uses no loops, "numba" waits until they are
compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nas.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from nas.kernels.reading import Call, Library

__all__ = [
    "PROSPECT",
    "call",
    "disabled",
    "is_loaded",
    "is_missing",
    "load",
    "prepare",
    "unload",
    "with_gaps",
]

PROSPECT = 'pip install "evonas[fast]": same results, trainings in 0.6 to 0.85 of the time'
"""What installing numba brings: measured by ``python -m benchmarks.engine``."""

_VARIABLE = "NAS_KERNELS"

_library: Library | None = None
_libraries: dict[tuple[Path, ...], Library] = {}
"""All that were loaded, by their files, as calls may still hold their addresses."""
_files: tuple[Path, ...] = ()
"""The files for float32 and float64; none: not looked for, or they cannot be had."""
_is_off = False
_compilations: list[subprocess.Popen[bytes]] = []


def call(name: str, *arguments: Any) -> Call | None:
    """A call of a loop, by its name in `nas.kernels.loops`, with arrays and counts as its arguments.

    None where NumPy has to do the work: the loops are not loaded, or the arrays are not of the kind that
    they work on.
    """
    return None if _library is None else _library.call(name, *arguments)


def with_gaps(matrices: Any) -> tuple[Any, int]:
    """Matrices, of shape (matrices, rows, columns), as the flat memory from the first to the last number.

    Returns
    -------
    memory : array of shape (numbers,), or None
        None where there are gaps inside of a matrix, or the array is not NumPy's.
    step : int
        Numbers from the start of a matrix to that of the next.
    """
    from numpy import ndarray
    from numpy.lib.stride_tricks import as_strided

    if type(matrices) is not ndarray:
        return None, 0
    n, n_rows, n_columns = matrices.shape
    size = matrices.dtype.itemsize
    step = matrices.strides[0] // size
    if matrices.strides[1:] != (n_columns * size, size):
        return None, step
    return as_strided(matrices, (step * (n - 1) + n_rows * n_columns,), (size,)), step


def is_loaded() -> bool:
    """Whether `call` returns calls."""
    return _library is not None


def is_missing() -> bool:
    """Whether installing numba would bring the loops."""
    from nas.kernels.reading import is_installed

    return _choice() != "numpy" and not is_installed()


def prepare() -> None:
    """Start compiling in a process beside this one, unless that was done on this machine before.

    Only the loops for float32: searches train no other networks.
    """
    from nas.kernels.reading import opened

    if _library is not None or not (files := _located()) or opened(files[0]) is not None:
        return
    if not any(process.poll() is None for process in _compilations):
        _compilations.append(_compilation(files[:1]))


def load() -> None:
    """Load the loops if they are ready: 0.1 s the first time, and no time later.

    Raises `InputError` where NAS_KERNELS asks for loops that cannot be had.
    """
    global _library
    if _library is not None or not (files := _located()):
        return
    from nas.kernels.reading import Library, opened

    codes = [opened(file) for file in files]
    if None in codes and _choice() == "numba":
        _compilation(files).wait()
        codes = [opened(file) for file in files]
        if None in codes:
            raise InputError(f"{_VARIABLE}: expected loops in {files[0]}, got no file; unset {_VARIABLE}")
    ready = tuple(file for file, code in zip(files, codes, strict=True) if code is not None)
    if not ready:
        return
    if ready not in _libraries:
        _libraries[ready] = Library([code for code in codes if code is not None])
    _library = _libraries[ready]
    for process in _compilations:
        process.poll()  # reads its exit status: otherwise the system keeps a record of it


def unload() -> None:
    """Let NumPy do the work, until the next `load`."""
    global _library, _files, _is_off
    _library, _files, _is_off = None, (), False


@contextmanager
def disabled() -> Iterator[None]:
    """Within this context NumPy does the work; for comparisons."""
    global _library, _is_off
    before = _library, _is_off
    _library, _is_off = None, True
    try:
        yield
    finally:
        _library, _is_off = before


def _choice() -> str | None:
    choice = os.environ.get(_VARIABLE) or None
    if choice not in (None, "numpy", "numba"):
        raise InputError(f"{_VARIABLE}: expected numpy or numba, got {choice!r}")
    return choice


def _located() -> tuple[Path, ...]:
    """The files of the loops, whether they exist or not; none where NumPy does the work."""
    global _files, _is_off
    if not _files and not _is_off:
        _files = _locate()
        _is_off = not _files
    return () if _is_off else _files


def _locate() -> tuple[Path, ...]:
    from nas.kernels.reading import code_files, is_installed

    choice = _choice()
    if choice == "numpy":
        return ()
    if not is_installed():
        if choice == "numba":
            raise InputError(f'{_VARIABLE}: expected numba to be installed; pip install "evonas[fast]"')
        return ()
    try:
        return code_files()
    except (ImportError, OSError, RuntimeError) as error:  # an incomplete installation; no folder
        if choice == "numba":
            raise InputError(f"{_VARIABLE}: expected loops of numba, got: {error}") from error
        return ()


def _compilation(files: tuple[Path, ...]) -> subprocess.Popen[bytes]:
    """A process that compiles the loops into these files; it outlives this one."""
    code = (
        "import sys; sys.path[:] = sys.argv[3:]; from nas.kernels.compiling import main; main(sys.argv[1:3])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, (*files, files[0])[:2]), *sys.path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
