"""One file names the array library that networks and training run on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nas.network
import nas.training
from nas.network.arrays import ALIGNMENT, zeros

ROOMS = [Path(str(room.__file__)).parent for room in (nas.network, nas.training)]
FILES = sorted(path for room in ROOMS for path in room.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_one_file_names_the_library(path: Path) -> None:
    names = re.search(r"^\s*(import|from) (numpy|cupy)", path.read_text(), re.MULTILINE)
    assert bool(names) == (path.name == "arrays.py")


@given(shape=st.lists(st.integers(0, 9), min_size=1, max_size=3), kind=st.sampled_from("fd"))
def test_zeros_are_aligned_and_writeable(shape: list[int], kind: str) -> None:
    array = zeros(shape, kind)
    assert array.shape == tuple(shape)
    assert array.dtype.char == kind
    assert not array.any()
    assert array.flags.c_contiguous
    assert array.size == 0 or array.ctypes.data % ALIGNMENT == 0
    array += 1


def run(code: str, library: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NAS_ARRAY_LIBRARY": library}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_an_unknown_library_is_refused_by_name() -> None:
    result = run("import nas.network", "abacus")
    assert "NAS_ARRAY_LIBRARY: expected numpy, got 'abacus'" in result.stderr


def trained(library: str) -> str:
    program = Path(__file__).parent / "strict_device.py"
    command = [sys.executable, str(program), library]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_the_engine_runs_on_a_library_as_strict_as_cupy_and_gives_the_same() -> None:
    assert trained("strict") == trained("numpy")


ALLOWED = {
    # Ufuncs, and what makes and fills arrays: all in CuPy under the same names.
    *("abs", "add", "clip", "divide", "exp", "expm1", "greater", "log", "log1p", "maximum", "minimum"),
    *("multiply", "negative", "sqrt", "square", "subtract", "tanh", "cos", "sin", "dot", "matmul"),
    *(
        "arange",
        "asarray",
        "ascontiguousarray",
        "copyto",
        "empty",
        "empty_like",
        "full",
        "isfinite",
        "newaxis",
    ),
    *("ones", "ones_like", "zeros", "zeros_like", "dtype", "float32", "float64", "int64", "uint8"),
}


def test_everything_asked_for_anywhere_is_usual() -> None:
    asked = {
        name
        for path in FILES
        if path.name != "arrays.py"
        for name in re.findall(r"\bxp\.(\w+)", path.read_text())
    }
    assert asked <= ALLOWED
    assert all(hasattr(np, name) for name in ALLOWED)
