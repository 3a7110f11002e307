"""Files that are still there after a power cut: written whole, and synced to the disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_synced(file: Path, content: bytes) -> None:
    """Write a file and wait until its content is on the disk."""
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def sync_path(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk, where its file system can do that."""
    with contextlib.suppress(OSError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def replace_synced(file: Path, content: bytes) -> None:
    """Replace a file, or make it: after a power cut either the old content is there or the new one, whole."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write_synced(unfinished, content)
        unfinished.replace(file)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    sync_path(file.parent)
