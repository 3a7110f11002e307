"""The compiled loops of this machine: their file, and calls of them with arrays as arguments.

The file is in the user's cache folder, or in a private temporary folder where the cache folder cannot be
written. Its name follows from all that the machine code depends on: the loops are compiled once for each
kind of processor, version of numba and version of the loops.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

Call = tuple[Callable[..., object], tuple[Any, ...]]
"""As `nas.network.calls.Call`."""

_DIGEST_BYTES = 32
"""Of SHA-256, in front of the machine code."""


def is_installed() -> bool:
    """Whether numba and the library that it compiles with are installed."""
    return all(find_spec(package) for package in ("numba", "llvmlite"))


def code_files() -> tuple[Path, ...]:
    """The files of this processor's machine code, for float32 and for float64."""
    # Where numba is missing this import would be the longest part of a start.
    from importlib.metadata import version

    import llvmlite.binding as llvm

    folder = Path(__file__).parent
    parts = [
        *((folder / name).read_text() for name in ("loops.py", "compiling.py")),
        *(version(package) for package in ("numba", "llvmlite")),
        sys.version,
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
    ]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return tuple(_folder() / f"{key}-{real}.o" for real in ("float32", "float64"))


def _folder() -> Path:
    """The first folder that this user can write, and other users cannot: machine code is read from it."""
    folders = [Path(tempfile.gettempdir(), f"evonas-{os.getuid()}")]
    with contextlib.suppress(RuntimeError):  # the user has no home folder
        folders.insert(0, Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "evonas"))
    for folder in folders:
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK) and _is_private(folder):
            return folder
    raise OSError(f"{folders[0]}: expected a folder that only this user can write, for compiled loops")


def _is_private(path: Path) -> bool:
    """Whether only this user, or root, can have written the file or folder."""
    status = path.stat()
    return status.st_uid in (os.getuid(), 0) and not status.st_mode & 0o022


def sealed(code: bytes) -> bytes:
    """The content of a file with this machine code, by which `opened` tells that it is complete."""
    return hashlib.sha256(code).digest() + code


def opened(file: Path) -> bytes | None:
    """The machine code in a file; None if there is none, or it is not whole."""
    try:
        content = file.read_bytes() if _is_private(file) else b""
    except OSError:
        return None
    code = content[_DIGEST_BYTES:]
    return code if content and sealed(code) == content else None


def host_machine() -> Any:
    """LLVM's description of this processor."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="default",
        codemodel="jitdefault",
    )


def symbol(name: str, itemsize: int) -> str:
    """The name of a loop for numbers of so many bytes in the machine code."""
    return f"nas_{name}_{itemsize}"


class _Address(ctypes.c_void_p):
    """The address of an array's numbers, which keeps the array alive."""

    array: object


class Library:
    """The loops in memory, which stay there: calls hold their addresses.

    Parameters
    ----------
    codes : sequence of bytes
        Object files for this processor, one for each type of numbers.
    """

    def __init__(self, codes: Sequence[bytes]) -> None:
        import llvmlite.binding as llvm

        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), host_machine())
        for code in codes:
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self._functions: dict[str, Any] = {}
        # numba's functions have two addresses first, for a result and an exception; loops use neither.
        self._room = ctypes.create_string_buffer(64)
        self._unused = (ctypes.c_void_p(ctypes.addressof(self._room)),) * 2

    def call(self, name: str, *arguments: np.ndarray[Any, Any] | int) -> Call | None:
        """A call of a loop with arrays and counts; None if the loop cannot work on one of the arrays.

        Arrays are of one type, float32 or float64, or of 64-bit whole numbers, and have no gaps. A call
        starts in 0.4 microseconds, as its arguments are ready for C.
        """
        ready: list[object] = []
        types = set()
        for argument in arguments:
            if isinstance(argument, int):
                ready.append(ctypes.c_ssize_t(argument))
                continue
            if type(argument) is not np.ndarray or not argument.flags.c_contiguous:
                return None
            if argument.dtype != np.int64:
                types.add(argument.dtype.char)
            address = _Address(argument.ctypes.data)
            address.array = argument
            ready.append(address)
        if types not in ({"f"}, {"d"}):
            return None
        function = self._function(symbol(name, 4 if types == {"f"} else 8))
        return None if function is None else (function, (*self._unused, *ready))

    def _function(self, name: str) -> Any:
        """The function of this name; None if it is not compiled for this type of numbers."""
        if name not in self._functions:
            address = self._engine.get_function_address(name)
            # Python's lock is kept: to release it takes as long as a short loop.
            self._functions[name] = ctypes.PYFUNCTYPE(None)(address) if address else None
        return self._functions[name]
