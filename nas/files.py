"""Durable writing of files: each is written completely and synced, so that a power cut cannot spoil it.

The recipe (write, fsync, rename, fsync of the folder) follows Pillai et al. 2014, "All file systems are not
created equal".
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_synced(file: Path, content: bytes) -> None:
    """Write a file and wait until its content is on the disk; raises `OSError`."""
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def sync_path(path: Path) -> None:
    """Wait until a file or the entries of a folder are on the disk, if the file system supports that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_synced(file: Path, content: bytes) -> None:
    """Create or replace a file atomically: after a power cut it holds either the old or the new content.

    Raises `OSError` where there is no room or no permission; the old content then stays.
    """
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write_synced(unfinished, content)
        unfinished.replace(file)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    sync_path(file.parent)
