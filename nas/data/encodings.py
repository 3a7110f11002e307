"""The encoding of a text file, and errors for bytes that are no text in it."""

from __future__ import annotations

import codecs
import gzip
import io
import re
from pathlib import Path
from typing import IO, Any, cast

from nas.errors import DataError

_BLOCK = 1 << 20
"""Bytes that are read at once, so many that the search for zero bytes in them costs little."""

_HEAD = 4096
"""Bytes by which binary files are recognized."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY = (
    (b"PK\x03\x04", "a spreadsheet or zip archive (save the table as CSV)"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (save the table as CSV)"),
    (b"PAR1", "Parquet (let its name end in .parquet)"),
    (b"\x1f\x8b", "a gzip archive (let its name end in .csv.gz)"),
    (b"BZh", "a bzip2 archive (unpack it)"),
    (b"\xfd7zXZ", "an xz archive (unpack it)"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive (unpack it)"),
    (b"7z\xbc\xaf", "a 7z archive (unpack it)"),
    (b"ARROW1", "an Arrow file (save the table as Parquet or CSV)"),
    (b"\x89HDF", "HDF5 (save the table as Parquet or CSV)"),
    (b"SQLite format 3", "an SQLite database (save the table as CSV)"),
    (b"\x93NUMPY", "a NumPy array (save the table as CSV)"),
    (b"%PDF", "a PDF document (save the table as CSV)"),
)


class NulByteError(ValueError):
    """A zero byte in a text file."""


class _WithoutNul(io.RawIOBase):
    """A stream of bytes that raises `NulByteError` at a zero, at which pandas would silently end a cell."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._file.read(len(buffer))
        if 0 in block:
            raise NulByteError("a zero byte")
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._file.close()
        super().close()


def _open_bytes(path: Path) -> IO[bytes]:
    is_zipped = path.suffix.lower() == ".gz"
    return cast("IO[bytes]", gzip.open(path, "rb")) if is_zipped else path.open("rb")


def open_text(path: Path, encoding: str, mark: int) -> io.TextIOWrapper:
    """Open the text behind the byte order mark, with line breaks unchanged."""
    file = _open_bytes(path)
    file.read(mark)
    raw = file if encoding != "utf-8" else io.BufferedReader(_WithoutNul(file), _BLOCK)
    return io.TextIOWrapper(raw, encoding=encoding, newline="")


def find_encoding(path: Path) -> tuple[str, int]:
    """The encoding of a text file and the length of its byte order mark; `DataError` on binary files."""
    with _open_bytes(path) as file:
        head = file.read(_HEAD)
    for start, content in _BINARY:
        if head.startswith(start):
            raise DataError(f"{path}: expected text, got {content}")
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    n_zeros = head.count(0)
    if n_zeros > len(head) // 4:
        wide = max(head[::2].count(0), head[1::2].count(0)) > 0.9 * n_zeros and n_zeros < 0.6 * len(head)
        if wide:
            likely = "utf-16-be" if head[0] == 0 else "utf-16-le"
            raise DataError(
                f"{path}: expected text in UTF-8, got zero bytes from line 1 on, likely UTF-16 without a "
                f"byte order mark; save it as UTF-8, e.g. iconv -f {likely} -t utf-8"
            )
        raise DataError(f"{path}: expected text, got binary data (zero bytes from line 1 on)")
    return "utf-8", 0


def encoding_error(path: Path) -> DataError:
    """The error of a file with bytes that are no text in its encoding: the line, and the likely encoding."""
    encoding, mark = find_encoding(path)
    if encoding != "utf-8":
        return DataError(f"{path}: expected text in {encoding} as its first bytes say, got other bytes")
    with _open_bytes(path) as file:
        file.read(mark)
        for number, line in enumerate(file, 1):
            if 0 in line and _is_binary(line):
                break
            if 0 in line:
                return DataError(
                    f"{path}: expected text, got a zero byte in line {number}; take it out, e.g. tr -d '\\0'"
                )
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                if error.reason == "unexpected end of data":
                    return DataError(
                        f"{path}: expected text in UTF-8, got a last line ({number}) that ends within a "
                        "character; the file is cut off, or was saved in another encoding"
                    )
                return _not_utf8(path, line, number, error.start)
    return DataError(f"{path}: expected text in UTF-8, got binary data")


def _is_binary(line: bytes) -> bool:
    return re.search(rb"[\x01-\x08\x0e-\x1f]", line) is not None


def _not_utf8(path: Path, line: bytes, number: int, place: int) -> DataError:
    where = f"byte 0x{line[place]:02x} in line {number}"
    if _is_binary(line):
        return DataError(f"{path}: expected text in UTF-8, got {where} among binary data")
    try:
        line.decode("cp1252")
        likely = "cp1252"
    except UnicodeDecodeError:
        likely = "latin-1"
    before = re.search(rb"[\w\x80-\xff]*\Z", line[max(0, place - 12) : place])
    after = re.match(rb"[\w\x80-\xff]*", line[place : place + 12])
    assert before is not None
    assert after is not None
    word = (before[0] + after[0]).decode(likely, errors="replace")
    return DataError(
        f"{path}: expected text in UTF-8, got {where}, likely {likely} ({word!r}); "
        f"save it as UTF-8, e.g. iconv -f {likely} -t utf-8"
    )
