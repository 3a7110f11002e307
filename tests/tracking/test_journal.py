from __future__ import annotations

import json
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.errors import RunError, SearchError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.space import SearchSpace
from nas.tracking import Outcome, RunInfo
from nas.tracking.journal import Journal, read_journal

SPACE = SearchSpace(depth=(1, 2), widths=(4, 8))
GENOMES = [Genome((4,)), Genome((8, 4), ("relu", "tanh"), learning_rate=0.01), Genome((), optimizer="sgd")]
PAIRS = [
    (
        Candidate(i, genome, 17 * i, i // 2, "random", tuple(range(i))),
        Evaluation(i, 0.5 + i / 10, 0.3, 33, 2, "patience", (0.9, 0.4), (0.8, 0.3), (0.4, 0.5), seconds=0.1),
    )
    for i, genome in enumerate(GENOMES)
]
FAILED = (
    Candidate(3, Genome((8,)), 5, 1, "widen", (0,)),
    Evaluation(3, error="the loss became nan", seconds=2.0),
)


def info(path: Path) -> RunInfo:
    return RunInfo("test", "0", path.parent, SPACE, "accuracy", {"seed": 3, "nas": "0"}, {}, 4)


def write(path: Path, *pairs: tuple[Candidate, Evaluation]) -> None:
    path.touch()
    journal = Journal(path)
    journal.started(info(path))
    for candidate, evaluation in pairs:
        journal.evaluated(candidate, evaluation)
    journal.finished(Outcome("finished"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    path.touch()
    return path


def test_what_is_written_is_read_back(path: Path) -> None:
    write(path, *PAIRS, FAILED)
    record = read_journal(path)
    assert record.identity == {"seed": 3, "nas": "0"}
    assert list(record.evaluations) == [*PAIRS, FAILED]
    assert record.evaluations[-1][1].seconds == 2.0
    assert record.n_bytes == path.stat().st_size


def test_whatever_python_can_say_is_written_and_read_back(path: Path) -> None:
    # What UTF-8 has no code for, and numbers of NumPy's.
    odd = Evaluation(0, error="no such file: \udcff\u00e9")
    numpys = Candidate(1, Genome((4,), learning_rate=np.float64(1e-16)), 2**32 - 1, 0, "random")
    pairs = [(PAIRS[0][0], odd), (numpys, PAIRS[1][1])]
    write(path, *pairs)
    assert list(read_journal(path).evaluations) == pairs


def test_a_seed_of_many_digits_is_read_back_to_the_last(path: Path) -> None:
    identity = {"seed": 2**70 + 1}
    for _ in range(2):
        journal = Journal(path)
        journal.started(replace(info(path), identity=identity))
        journal.close()
        assert read_journal(path).identity == identity
        assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_never_written(path: Path, number: float) -> None:
    write(path, PAIRS[0])
    before = path.read_bytes()
    journal = Journal(path)
    journal.started(info(path))
    for change in ({"fitness": number}, {"validation_loss": number}, {"train_losses": (0.5, number)}):
        with pytest.raises(ValueError, match="candidate 1: expected finite numbers to write"):
            journal.evaluated(PAIRS[1][0], replace(PAIRS[1][1], **change))
    journal.close()
    assert path.read_bytes() == before


def test_evaluations_are_read_when_they_are_asked_for(path: Path) -> None:
    write(path, *PAIRS, FAILED)
    found = read_journal(path).evaluations
    assert (len(found), found[0], found[-1]) == (4, PAIRS[0], FAILED)
    assert found[1:3] == PAIRS[1:3]
    assert list(found.first(2)) == list(found)[:2] == PAIRS[:2]
    assert next(reversed(found)) == FAILED
    with pytest.raises(IndexError):
        found[4]
    path.unlink()
    with pytest.raises(RunError, match="expected a run with a journal"):
        found[0]


def test_a_journal_returns_what_it_has_written(path: Path) -> None:
    journal = Journal(path)
    write_all(journal, path)
    assert list(journal.record.evaluations) == list(read_journal(path).evaluations) == PAIRS


def test_candidates_come_in_order(path: Path) -> None:
    write(path, PAIRS[1])
    with pytest.raises(RunError, match="line 2, got: candidate 1 where 0 is due"):
        read_journal(path)


@pytest.mark.parametrize("torn", range(1, 60, 7))
def test_a_torn_last_line_is_left_out_and_written_anew(path: Path, torn: int) -> None:
    write(path, *PAIRS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-torn])
    journal = Journal(path)
    assert list(journal.record.evaluations) == PAIRS[:-1]
    journal.started(info(path))
    for pair in PAIRS:
        journal.evaluated(*pair)
    journal.finished(Outcome("finished"))
    assert path.read_bytes() == whole


def test_lines_are_on_disk_as_soon_as_they_are_written(path: Path) -> None:
    journal = Journal(path)
    journal.started(info(path))
    journal.evaluated(*PAIRS[0])
    assert list(read_journal(path).evaluations) == PAIRS[:1]
    journal.finished(Outcome("interrupted"))


def test_two_cannot_write_one_journal(path: Path) -> None:
    journal = Journal(path)
    journal.started(info(path))
    with pytest.raises(RunError, match="expected a search that is over, got one that still runs"):
        Journal(path)
    journal.evaluated(*PAIRS[0])
    journal.finished(Outcome("finished"))
    again = Journal(path)
    assert list(again.record.evaluations) == PAIRS[:1]  # read under the lock: nothing is cut off
    again.finished(Outcome("finished"))


@pytest.mark.parametrize("content", ["", '{"journal":1,"se'])
def test_a_search_that_died_before_its_first_line_starts_anew(path: Path, content: str) -> None:
    path.write_text(content)
    journal = Journal(path)
    assert (journal.record.identity, len(journal.record.evaluations), journal.record.n_bytes) == ({}, 0, 0)
    journal.started(info(path))
    journal.finished(Outcome("finished"))
    assert read_journal(path).identity == {"seed": 3, "nas": "0"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"journal":99}\n', "version 2, got 99"),
        ("[]\n", "in line 1"),
        ("5\n", "in line 1"),
        ('{"journal":2,"seed":0}\n', "in line 1, got: another checksum"),
        ("nonsense\n", "in line 1"),
    ],
)
def test_what_is_no_journal_is_refused_by_line(path: Path, content: str, complaint: str) -> None:
    path.write_text(content)
    with pytest.raises(RunError, match=complaint):
        read_journal(path)


@pytest.mark.parametrize("line", [b"", b"5", b'{"candidate":{}}', b'{"candidate":5,"evaluation":5}'])
def test_a_line_that_is_no_entry_is_refused(path: Path, line: bytes) -> None:
    write(path, *PAIRS)
    first, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, line + b"\n", *others]))
    with pytest.raises(RunError, match=r"in line 2"):
        read_journal(path)


def test_whatever_byte_is_changed_is_noticed(path: Path) -> None:
    write(path, *PAIRS, FAILED)
    whole = path.read_bytes()
    for at in range(0, len(whole) - 1, 7):
        changed = bytearray(whole)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(RunError, match=r"journal\.jsonl: expected"):
            read_journal(path)


@pytest.mark.parametrize("order", [(0, 1, 3, 4), (0, 2, 1, 3, 4), (0, 1, 2, 2, 3, 4)])
def test_lines_that_are_lost_moved_or_repeated_are_noticed(path: Path, order: tuple[int, ...]) -> None:
    write(path, *PAIRS, FAILED)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[i] for i in order))
    with pytest.raises(RunError, match=r"in line \d, got: another checksum"):
        read_journal(path)


@pytest.mark.parametrize("read", [read_journal, Journal])
def test_a_missing_journal_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(RunError, match=r"expected a run with a journal\.jsonl, got none"):
        read(tmp_path / "journal.jsonl")


def test_a_journal_that_is_only_opened_is_not_changed(path: Path) -> None:
    write(path, *PAIRS)
    path.write_bytes(path.read_bytes()[:-5])
    before = path.read_bytes()
    Journal(path).close()
    assert path.read_bytes() == before


def test_entries_are_strict_json(path: Path) -> None:
    write(path, *PAIRS, FAILED)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_a_full_disk_is_said_in_a_sentence(path: Path) -> None:
    # No file of this process may grow beyond 900 bytes: the last line does not fit any more.
    journal = Journal(path, Path("runs/one"))
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900, before[1]))
    try:
        with pytest.raises(SearchError) as error:
            write_all(journal, path)
        journal.finished(Outcome("failed"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "expected room to write, got: File too large" in str(error.value)
    assert "to go on from there: nas resume runs/one" in str(error.value)
    assert list(read_journal(path).evaluations) == PAIRS[: len(read_journal(path).evaluations)]
    assert 0 < len(read_journal(path).evaluations) < len(PAIRS)


def write_all(journal: Journal, path: Path) -> None:
    journal.started(info(path))
    for candidate, evaluation in PAIRS:
        journal.evaluated(candidate, evaluation)
