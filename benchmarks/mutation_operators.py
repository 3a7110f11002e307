"""Mutations of files: of bytes, of JSON, and of what a person writes (TOML, CSV, names of columns)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from nas.tracking.checksums import Chain, sealed

Mutation = Callable[[bytes, bytes, random.Random], bytes]
"""The bytes of a file, those of the other search's, and a generator: the bytes of the mutated file."""


def _flip(content: bytes, other: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 3])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _replace_byte(content: bytes, other: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return (
        content[:at] + bytes([rng.choice([0, 255, 127, 48, 57, 34, rng.randrange(256)])]) + content[at + 1 :]
    )


def _truncate(content: bytes, other: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def _delete(content: bytes, other: bytes, rng: random.Random) -> bytes:
    start, stop = _range(content, rng)
    return content[:start] + content[stop:]


def _repeat(content: bytes, other: bytes, rng: random.Random) -> bytes:
    start, stop = _range(content, rng)
    return content[:stop] + content[start:stop] + content[stop:]


def _swap(content: bytes, other: bytes, rng: random.Random) -> bytes:
    start, stop = _range(content, rng)
    end = 2 * stop - start
    return content[:start] + content[stop:end] + content[start:stop] + content[end:]


def _zero(content: bytes, other: bytes, rng: random.Random) -> bytes:
    start, stop = _range(content, rng)
    return content[:start] + bytes(stop - start) + content[stop:]


def _no_utf8(content: bytes, other: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    bad = rng.choice([b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80"])
    return content[:at] + bad + content[at + rng.choice([0, len(bad)]) :]


def _insert(content: bytes, other: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + rng.randbytes(rng.choice([1, 8, 100])) + content[at:]


def _lines(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """A line lost, repeated, moved, or taken from the other search."""
    lines, others = content.splitlines(keepends=True), other.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[at])
    elif kind == 2:
        lines.insert(rng.randrange(len(lines)), lines.pop(at))
    else:
        lines[at] = others[min(at, len(others) - 1)]
    return b"".join(lines)


def _other(content: bytes, other: bytes, rng: random.Random) -> bytes:
    return rng.choice(
        [other, other[: len(content)], content + other, b"", b"\0" * 100, b"null", b"[]", b"{}"]
    )


BYTES: tuple[Mutation, ...] = (
    *(_flip, _flip, _flip, _replace_byte, _truncate, _delete, _repeat, _swap, _zero, _no_utf8, _insert),
    *(_lines, _other),
)


def _range(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(content))
    return start, min(len(content), start + rng.choice([1, 2, 10, 100, 1000]))


# Of JSON

_RAW = "@raw@"

HOSTILE: tuple[str, ...] = (
    *(
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "1.5",
        '""',
        '"text"',
        '"\\ud800"',
        "[]",
        "{}",
        "[[]]",
        "[null]",
    ),
    *('{"a": 1}', "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e308", "5e-324", "4294967296"),
    *("18446744073709551616", "9" * 200, "9" * 400, "9" * 5000, "1e" + "9" * 400, "-0.0"),
    *("[" * 60 + "]" * 60, "[" * 900 + "]" * 900, "[" * 100_000, '{"a":' * 50_000, "9" * 1_000_000),
)


def mutated_json(value: Any, rng: random.Random) -> bytes:
    """A value with a change at one place of it, as JSON."""
    # Written and read: a copy is changed.
    value = json.loads(json.dumps(value))
    places = list(_places(value))
    raw = rng.choice(HOSTILE)
    if not places:
        return raw.encode()
    holder, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice([f"{key}s", key[:-1], "", "weights", "__class__"])] = holder.pop(key)
    elif kind == 2 and _is_number(holder[key]):
        holder[key] = rng.choice([holder[key] + 1, -holder[key], holder[key] * 1000, holder[key] / 2])
    elif kind == 3:
        holder[key] = rng.choice([holder[key], [holder[key]], {"value": holder[key]}, str(holder[key])])
    elif kind == 4:
        other_holder, other_key = rng.choice(places)
        holder[key] = (
            json.loads(json.dumps(other_holder[other_key]))
            if other_key in other_holder or isinstance(other_holder, list)
            else None
        )
    else:
        holder[key] = _RAW
    return json.dumps(value).replace(f'"{_RAW}"', raw).encode()


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value as a holder and a key or position in it."""
    for key in (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    ):
        yield value, key
        yield from _places(value[key])


def as_record(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """A JSON record changed at a single place."""
    return mutated_json(json.loads(content), rng)


def as_lines(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """A file of JSON lines with a changed line."""
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = mutated_json(json.loads(lines[at]), rng)
    return b"\n".join([*lines, b""])


def forged_record(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """A changed record with its new checksum, or without any, as an earlier version wrote it."""
    record = {key: value for key, value in json.loads(content).items() if key not in ("format", "checksum")}
    changed = mutated_json(record, rng)
    try:
        return sealed(json.loads(changed)) if rng.randrange(2) else changed
    except (ValueError, TypeError, RecursionError):
        return changed


def forged_lines(seed_of: Callable[[], int]) -> Mutation:
    """A mutation of JSON lines with checksums that fit; `seed_of` gives the seed of their chain."""

    def forge(content: bytes, other: bytes, rng: random.Random) -> bytes:
        entries = [json.loads(line) for line in content.splitlines()]
        at = rng.randrange(len(entries))
        chain, lines = Chain(seed_of()), []
        for i, entry in enumerate(entries):
            del entry["crc"]
            plain = mutated_json(entry, rng) if i == at else json.dumps(entry).encode()
            lines.append(chain.closed(plain) if plain.endswith(b"}") else plain + b"\n")
        return b"".join(lines)

    return forge


# Of what a person writes

_TOML = (
    *(
        "0",
        "-1",
        "1000",
        "100",
        "1.5",
        "nan",
        "inf",
        "true",
        "'text'",
        "[]",
        "{}",
        "[[1]]",
        "1979-05-27",
        "1e400",
    ),
    *(
        "9" * 400,
        "9" * 5000,
        "5e-324",
        "1e-300",
        "[1, 'a']",
        "[" * 5000,
        "[nan]",
        "{min = 1}",
        "'''",
        "0x" + "f" * 300,
    ),
)


def as_toml(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """A search space with a changed value, key or table."""
    lines = content.decode().splitlines()
    at = rng.randrange(len(lines))
    key, equals, _ = lines[at].partition("=")
    kind = rng.randrange(5)
    if kind == 0 and equals:
        lines[at] = f"{key}= {rng.choice(_TOML)}"
    elif kind == 1 and equals:
        lines[at] = f"{rng.choice(['min', 'max', 'scale', 'step', 'values', 'a.b.c'])} = {rng.choice(_TOML)}"
    elif kind == 2:
        lines.insert(at, f"{rng.choice(['min', 'max', 'scale', 'step', 'x'])} = {rng.choice(_TOML)}")
    elif kind == 3:
        lines[at] = rng.choice(
            ["[depth]", "[widths]", "[dropout]", "[['a']]", "[a.b]", "[learning_rate]", ""]
        )
    else:
        lines.append(".".join(["a"] * rng.choice([10, 10_000, 1_000_000])) + " = 1")
    return "\n".join(lines).encode()


def as_csv(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """A table with a hostile cell."""
    rows = [line.split(b",") for line in content.splitlines()]
    row = rng.choice([rows[0], rng.choice(rows)])
    cell = rng.choice(
        [
            b"",
            b'"',
            b'""',
            b"nan",
            b"inf",
            b"1e999",
            b"9" * 5000,
            b"9" * 1_000_000,
            b"\xff\xfe",
            b"\0",
            b"a,b",
            b"x",
        ]
    )
    row[rng.randrange(len(row))] = cell
    return b"\n".join(b",".join(cells) for cells in rows)


def spoiled_names(*names: bytes) -> Mutation:
    """A mutation that makes a name or a value invalid UTF-8, wherever a file has it."""

    def spoil(content: bytes, other: bytes, rng: random.Random) -> bytes:
        name = rng.choice(names)
        at = rng.randrange(len(name))
        bad = name[:at] + rng.choice([b"\xff", b"\x80", b"\0", b"\xc3"]) + name[at + 1 :]
        return content.replace(name, bad, rng.choice([1, 2, -1]))

    return spoil
