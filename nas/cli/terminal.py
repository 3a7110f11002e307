"""What a terminal, a log or a pipe can take: other characters are replaced, and a reader may go away."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TextIO

_HANDLER = "nas.legible"

_SIGNS = {"²": "2", "±": "+/-", "…": "...", "“": '"', "”": '"', "’": "'", "–": "-", "−": "-", "×": "x"}
"""Signs of our own sentences, as ASCII writes them."""


def make_legible() -> None:
    """Let standard output and error replace the characters that they cannot hold.

    Signs of ours get their form in ASCII, others an escape that keeps names apart. Bytes of a file's name
    that are no text go out as they came in.
    """
    codecs.register_error(_HANDLER, _legible)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def make_data(stream: TextIO) -> None:
    """Let a stream take data: UTF-8, as in our files, whatever a terminal's own encoding is."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def flush_output() -> None:
    """Write what waits, so that a reader who has gone is noticed here and not at the interpreter's end."""
    if sys.stdout is not None:
        sys.stdout.flush()


def discard_output() -> None:
    """Where standard output takes nothing any more, write to nowhere, or the interpreter would complain."""
    try:
        flush_output()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _legible(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign, following = error.object[error.start], error.start + 1
    if "\udc80" <= sign <= "\udcff":
        return bytes([ord(sign) - 0xDC00]), following  # as "surrogateescape" has it
    return _SIGNS.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii"), following
