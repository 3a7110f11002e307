"""Which of NumPy and the loops is chosen, and what happens where the loops cannot be had."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bits import environment

from nas import kernels
from nas.cli.searches import _mention_loops
from nas.errors import InputError
from nas.kernels import reading

with_numba = pytest.mark.skipif(not reading.is_installed(), reason='needs numba: pip install -e ".[fast]"')


@pytest.fixture(autouse=True)
def _unloaded() -> Iterator[None]:
    yield
    kernels.unload()


def test_numpy_does_the_work_where_it_is_asked_for() -> None:
    with environment("numpy"):
        assert not kernels.is_loaded()
        assert not kernels.is_missing()
        kernels.prepare()
        assert kernels.call("relu") is None


def test_another_word_is_refused_with_both_that_are_known() -> None:
    with (
        pytest.raises(InputError, match=r"^NAS_KERNELS: expected numpy or numba, got 'fast'$"),
        environment("fast"),
    ):
        pass


def test_without_numba_there_is_a_way_out_where_loops_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "is_installed", lambda: False)
    with environment(None):
        assert not kernels.is_loaded()
        assert kernels.is_missing()
    with (
        pytest.raises(InputError, match=r'^NAS_KERNELS: expected numba .* pip install "evonas\[fast\]"$'),
        environment("numba"),
    ):
        pass


def test_importing_networks_loads_no_compiler() -> None:
    code = "import sys, nas.training; print(*{'numba', 'llvmlite'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("options", "stream", "is_installed", "is_named"),
    [
        ({}, Terminal(), False, True),
        ({}, Terminal(), True, False),
        ({}, io.StringIO(), False, False),
        ({"json": True}, Terminal(), False, False),
        ({"progress": False}, Terminal(), False, False),
        ({"quiet": True}, Terminal(), False, False),
    ],
    ids=["terminal", "installed", "file", "json", "no progress", "quiet"],
)
def test_the_extra_is_named_in_one_line_on_a_terminal_where_it_is_missing(
    options: dict[str, bool],
    stream: io.StringIO,
    is_installed: bool,
    is_named: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NAS_KERNELS", raising=False)
    monkeypatch.setattr(reading, "is_installed", lambda: is_installed)
    monkeypatch.setattr(sys, "stderr", stream)
    _mention_loops(argparse.Namespace(**({"json": False, "quiet": False} | options)))
    lines = stream.getvalue().splitlines()
    assert len(lines) == is_named
    assert all('pip install "evonas[fast]"' in line for line in lines)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@with_numba
def test_a_cache_that_cannot_be_written_is_replaced_by_a_private_temporary_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "cache").write_text("a file where the folder would be")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(home))
    file, _ = reading.code_files()
    assert file.parent == home / f"evonas-{os.getuid()}"
    assert file.parent.stat().st_mode & 0o777 == 0o700


@with_numba
def test_machine_code_is_read_from_no_folder_that_others_can_write_to(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(home))
    for folder in (home / "cache" / "evonas", home / f"evonas-{os.getuid()}"):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    with pytest.raises(OSError, match="expected a folder that only this user can write"):
        reading.code_files()
    with environment(None):
        assert not kernels.is_loaded()


@with_numba
def test_until_the_loops_are_compiled_numpy_does_the_work(home: Path) -> None:
    with environment(None):
        assert not kernels.is_loaded()
        assert not kernels.is_missing()


@with_numba
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", reading.sealed(b"code")[:-1]], ids=["empty", "other", "cut"]
)
def test_a_spoilt_file_is_not_executed(home: Path, content: bytes) -> None:
    reading.code_files()[0].write_bytes(content)
    with environment(None):
        assert not kernels.is_loaded()
