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

__all__ = ["PROSPECT", "call", "disabled", "is_loaded", "is_missing", "load", "prepare", "unload"]

PROSPECT = 'pip install "evonas[fast]": the same results, trainings in 0.5 to 0.75 of the time'
"""What installing numba brings: measured by ``python -m benchmarks.engine``."""

_VARIABLE = "NAS_KERNELS"

_library: Library | None = None
_libraries: dict[Path, Library] = {}
"""All that were loaded, as calls may still hold their addresses."""
_file: Path | None = None
"""The file of the loops; None: not looked for, or they cannot be had."""
_is_off = False
_compilations: list[subprocess.Popen[bytes]] = []


def call(name: str, *arguments: Any) -> Call | None:
    """A call of a loop, by its name in `nas.kernels.loops`, with arrays and counts as its arguments.

    None where NumPy has to do the work: the loops are not loaded, or the arrays are not of the kind that
    they work on.
    """
    return None if _library is None else _library.call(name, *arguments)


def is_loaded() -> bool:
    """Whether `call` returns calls."""
    return _library is not None


def is_missing() -> bool:
    """Whether installing numba would bring the loops."""
    from nas.kernels.reading import is_installed

    return _choice() != "numpy" and not is_installed()


def prepare() -> None:
    """Start compiling in a process beside this one, unless that was done on this machine before."""
    from nas.kernels.reading import opened

    if _library is not None or (file := _located()) is None or opened(file) is not None:
        return
    if not any(process.poll() is None for process in _compilations):
        _compilations.append(_compilation(file))


def load() -> None:
    """Load the loops if they are ready: 0.1 s the first time, and no time later.

    Raises `InputError` where NAS_KERNELS asks for loops that cannot be had.
    """
    global _library
    if _library is not None or (file := _located()) is None:
        return
    from nas.kernels.reading import Library, opened

    if file not in _libraries:
        code = opened(file)
        if code is None and _choice() == "numba":
            _compilation(file).wait()
            code = opened(file)
            if code is None:
                raise InputError(f"{_VARIABLE}: expected loops in {file}, got no file; unset {_VARIABLE}")
        if code is None:
            return
        _libraries[file] = Library(code)
    _library = _libraries[file]
    for process in _compilations:
        process.poll()  # its exit is noticed, so that the system can forget it


def unload() -> None:
    """Let NumPy do the work, until the next `load`."""
    global _library, _file, _is_off
    _library, _file, _is_off = None, None, False


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


def _located() -> Path | None:
    """The file of the loops, whether it exists or not; None where NumPy does the work."""
    global _file, _is_off
    if _file is None and not _is_off:
        _file = _locate()
        _is_off = _file is None
    return None if _is_off else _file


def _locate() -> Path | None:
    from nas.kernels.reading import code_file, is_installed

    choice = _choice()
    if choice == "numpy":
        return None
    if not is_installed():
        if choice == "numba":
            raise InputError(f'{_VARIABLE}: expected numba to be installed; pip install "evonas[fast]"')
        return None
    try:
        return code_file()
    except (ImportError, OSError, RuntimeError) as error:  # an incomplete installation; no folder
        if choice == "numba":
            raise InputError(f"{_VARIABLE}: expected loops of numba, got: {error}") from error
        return None


def _compilation(file: Path) -> subprocess.Popen[bytes]:
    """A process that compiles the loops into a file; it outlives this one."""
    code = (
        "import sys; sys.path[:] = sys.argv[2:]; from nas.kernels.compiling import main; main(sys.argv[1:2])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(file), *sys.path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
