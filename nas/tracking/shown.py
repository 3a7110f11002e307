"""File names and commands as text for messages and pages."""

from __future__ import annotations

import shlex


def as_text(name: str) -> str:
    """Return a file's name as valid text: bytes that are not UTF-8 are replaced.

    Python decodes such bytes to surrogates, which cannot be encoded: no store or page takes them.
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def command(name: str, *arguments: object) -> str:
    """Return a command of this program, quoted so that it can be pasted into a shell."""
    return shlex.join(["nas", name, *map(str, arguments)])
