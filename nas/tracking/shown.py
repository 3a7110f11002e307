"""How names of files and commands are shown."""

from __future__ import annotations

import shlex


def as_text(name: str) -> str:
    """A file's name as text that any store takes: bytes that are no UTF-8 get replaced.

    Where Python takes file names for ASCII, all others come as surrogates, which nothing can encode.
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def command(name: str, *arguments: object) -> str:
    """A command of this program as a person pastes it into a shell."""
    return shlex.join(["nas", name, *map(str, arguments)])
