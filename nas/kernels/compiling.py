"""Compiling the loops with numba into one file of machine code, as a command of its own.

    python -m nas.kernels.compiling FILE

Only this process imports numba, which takes a second; all others read the file with llvmlite alone.
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
"""Pairs of arrays that are checked for an overlap before a loop that works on many numbers at once: an
optimizer has up to 18 such pairs, and LLVM's own limit of 8 would leave it one number at a time."""


def main(arguments: list[str] | None = None) -> None:
    """Compile all loops, and put the file in place."""
    (name,) = sys.argv[1:] if arguments is None else arguments
    file = Path(name)
    os.umask(0o077)
    # One process compiles; all others wait, and find it done.
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if opened(file) is None:
            replace_synced(file, sealed(machine_code()))


def machine_code() -> bytes:
    """All loops for float32 and float64, as an object file for this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.set_option("", f"-runtime-memory-check-threshold={_CHECKS}")
    module = llvm.parse_assembly("")
    all_loops = loops(numba.njit(error_model="numpy", inline="always"))
    for real in (types.float32, types.float64):
        for name, loop in all_loops.items():
            module.link_in(_compiled(loop, symbol(name, real.bitwidth // 8), real))
    result: bytes = host_machine().emit_object(module)
    return result


def _compiled(loop: Callable[..., None], name: str, real: Any) -> Any:
    """A module with one public function of this name: the loop for numbers of one type."""
    kinds = {"Reals": types.CPointer(real), "Places": types.CPointer(types.int64), "int": types.intp}
    parameters = inspect.signature(loop).parameters.values()
    signature = types.void(*(kinds[parameter.annotation] for parameter in parameters))
    # Without `fastmath`, every operation rounds as it is written.
    compiled = numba.cfunc(signature, error_model="numpy")(loop)
    module = llvm.parse_assembly(compiled.inspect_llvm())
    # Around the loop are a function that C calls, and what it does with exceptions, which need Python and numba.
    own = [f for f in module.functions if not f.is_declaration and f.name.startswith("_Z")]
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "internal"
    (function,) = own
    function.linkage = "external"
    function.name = name
    machine = host_machine()
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return module


if __name__ == "__main__":
    main()
