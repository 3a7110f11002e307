"""Files with checksums: JSON objects with a seal, and files of lines with a running checksum.

A seal holds the SHA-256 digest of a whole JSON object: ``config.json`` and ``result.json`` have one. In the
journal and in ``generations.jsonl`` each line ends with the CRC-32 of all lines up to it. They detect damage
and careless editing; they are no protection from forgery.
"""

from __future__ import annotations

import json
import reprlib
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nas.errors import RunError
from nas.runtime import digest_of, strict_json
from nas.tracking.records import Check

_LARGEST = 16 * 2**20
"""Bytes of a file that is one JSON object: a thousand times those of a usual ``config.json``."""

_FORMAT = 1
"""Version of the seal, written beside the checksum."""

_SEALED = ("format", "checksum")


def read_record(
    file: Path, check: Check, by_new_names: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> dict[str, Any]:
    """Read a JSON object from a file, and verify its checksum if it has one, and its schema.

    `by_new_names` renames the keys of earlier versions before the check; see `nas.tracking.renamed`.

    Raises
    ------
    RunError
        If the file does not hold such an object.
    OSError
        If the file cannot be read.
    """
    try:
        n_bytes = file.stat().st_size
        if n_bytes > _LARGEST:
            raise ValueError(f"expected at most {_LARGEST} bytes of JSON, got {n_bytes}")
        record = _json_of(file.read_bytes())
        if not isinstance(record, dict):
            raise ValueError(f"expected an object, got {reprlib.repr(record)}")
        if any(key in record for key in _SEALED):
            _check_seal(record)
        record = by_new_names(record)
        check(record)
    except ValueError as error:
        raise RunError(f"{file}: {' '.join(str(error).split())}") from None
    return {key: value for key, value in record.items() if key not in _SEALED}


def _json_of(content: bytes) -> Any:
    """Parse strict JSON (no NaN, no deep nesting); raises `ValueError`."""
    try:
        return strict_json(content)
    except ValueError as error:
        raise ValueError(f"expected JSON, got: {error}") from None


def sealed(record: Mapping[str, Any]) -> bytes:
    """Serialize a record as JSON with its checksum."""
    whole = {"format": _FORMAT, **record}
    text = json.dumps({**whole, "checksum": digest_of(whole)}, indent=1, allow_nan=False)
    return f"{text}\n".encode()


def _check_seal(record: Mapping[str, Any]) -> None:
    """Raise `ValueError` if the format is unknown or the checksum does not fit the content."""
    if record.get("format") != _FORMAT:
        raise ValueError(f"format: expected {_FORMAT}, got {reprlib.repr(record.get('format'))}")
    if record.get("checksum") != digest_of({key: record[key] for key in record if key != "checksum"}):
        raise ValueError(
            "expected the content that its checksum is of, got another, which was changed since; if that was "
            "meant, delete the keys 'format' and 'checksum' from it"
        )


class Chain:
    """The running checksum of a file of lines: each line ends with the CRC-32 of all lines up to it.

    Parameters
    ----------
    crc : int
        The initial value.
    """

    def __init__(self, crc: int = 0) -> None:
        self.crc = crc

    def closed(self, plain: bytes) -> bytes:
        """Return the line of a JSON object, with its checksum appended as the last key."""
        self.crc = zlib.crc32(plain, self.crc)
        return plain[:-1] + _CRC + b'%08x"}\n' % self.crc

    def check(self, line: bytes) -> None:
        """Verify the next line and advance; raises `ValueError` if its checksum is another."""
        plain, _, rest = line.rpartition(_CRC)
        self.crc = zlib.crc32(plain + b"}", self.crc)
        if rest != b'%08x"}' % self.crc:
            raise ValueError("another checksum than its own; it, or a line before it, was changed or lost")


_CRC = b',"crc":"'
