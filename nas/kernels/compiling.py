"""Compiling the loops with numba into files of machine code, as a command of its own.

    python -m nas.kernels.compiling FILE-float32.o [FILE-float64.o]

Only this process imports numba, which takes a second and a half; all others read the files with llvmlite,
which takes a tenth of a second.
"""

from __future__ import annotations

import fcntl
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core import types

from nas.files import replace_synced
from nas.kernels.loops import loops
from nas.kernels.reading import host_machine, opened, sealed, symbol

_CHECKS = 64
"""Pairs of arrays that are checked for an overlap before a loop works on many numbers at once. An optimizer
has up to 18 such pairs; with LLVM's own limit of 8 its loop would work on one number at a time."""

_NICENESS = 10
"""Compiling takes seconds of a processor, which the search beside it needs."""


def main(arguments: list[str] | None = None) -> None:
    """Compile all loops into files, each for the type of numbers that it is named after."""
    os.umask(0o077)
    os.nice(_NICENESS)
    for name in sys.argv[1:] if arguments is None else arguments:
        file = Path(name)
        # The first process compiles; all others wait, and find the file.
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if opened(file) is None:
                replace_synced(file, sealed(machine_code(getattr(types, file.stem.split("-")[-1]))))


def machine_code(real: Any) -> bytes:
    """All loops for numbers of this type of numba's, as an object file for this processor."""
    machine = host_machine()
    llvm.set_option("", f"-runtime-memory-check-threshold={_CHECKS}")
    module = llvm.parse_assembly("")
    for name, loop in loops(numba.njit(error_model="numpy", inline="always")).items():
        module.link_in(_compiled(loop, symbol(name, real.bitwidth // 8), real))
    result: bytes = machine.emit_object(module)
    return result


def _compiled(loop: Callable[..., None], name: str, real: Any) -> Any:
    """A module with one public function of this name: the loop for numbers of one type."""
    kinds = {"Reals": types.CPointer(real), "Places": types.CPointer(types.int64), "int": types.intp}
    parameters = inspect.signature(loop).parameters.values()
    signature = types.void(*(kinds[parameter.annotation] for parameter in parameters))
    # Without `fastmath`, every operation rounds as it is written.
    compiled = numba.cfunc(signature, error_model="numpy")(loop)
    module = llvm.parse_assembly(compiled.inspect_llvm())
    # Beside the loop there are a function for calls from C and its handling of exceptions, which need numba.
    (public,) = (f for f in module.functions if not f.is_declaration and f.name.startswith("_Z"))
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "internal"
    public.linkage = "external"
    public.name = name
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(host_machine(), llvm.create_pipeline_tuning_options()))
    return module


if __name__ == "__main__":
    main()
