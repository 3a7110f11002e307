"""Output to terminals, logs and pipes: characters that they cannot hold, and pipes that are closed."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TextIO

_HANDLER = "nas.legible"

_SIGNS = {"²": "2", "±": "+/-", "…": "...", "“": '"', "”": '"', "’": "'", "–": "-", "−": "-", "×": "x"}
"""ASCII forms of the signs that this package prints."""


def make_legible() -> None:
    """Let standard output and error replace the characters that their encoding cannot hold.

    Signs that this package prints get their ASCII form, other characters an escape, so that different names
    stay different. Undecodable bytes of a file's name are written unchanged.
    """
    codecs.register_error(_HANDLER, _legible)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def make_data(stream: TextIO) -> None:
    """Let a stream write UTF-8, as files of data are written, whatever the terminal's encoding is."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def wrapped(line: str, indent: int) -> str:
    """A line in as many as a terminal needs, the further ones indented; unchanged for files and pipes."""
    if sys.stdout is None or not sys.stdout.isatty():
        return line
    from shutil import get_terminal_size
    from textwrap import fill

    width = max(2 * indent, get_terminal_size().columns)
    return fill(line, width, subsequent_indent=" " * indent, break_on_hyphens=False)


def flush_output() -> None:
    """Flush standard output, so that a closed pipe is noticed here and not when the interpreter exits."""
    if sys.stdout is not None:
        sys.stdout.flush()


def discard_output() -> None:
    """Redirect a closed standard output to the null device, so that Python prints no error at exit."""
    try:
        flush_output()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _legible(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character, position = error.object[error.start], error.start + 1
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), position  # as "surrogateescape" does
    return _SIGNS.get(character) or character.encode("ascii", "backslashreplace").decode("ascii"), position
