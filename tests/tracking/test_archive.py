"""The reader of a run's folder: of one part and of several, whole and unfinished."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import nas
from nas.errors import RunError
from nas.tracking.archive import RunArchive
from nas.tracking.folder import RunFolder
from nas.tracking.journal import read_journal

GOLDEN = Path(__file__).parent.parent / "golden" / "run-1"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    return nas.search(
        "iris",
        space="tiny",
        n_candidates=6,
        epochs=4,
        n_workers=0,
        n_finalists=2,
        folds=2,
        baseline=False,
        name="one",
        tracking=False,
        progress=False,
        report=False,
        runs_dir=tmp_path_factory.mktemp("archive"),
    )


def test_an_archive_holds_what_the_search_returned(result: nas.SearchResult) -> None:
    archive = RunArchive(result.run_dir)
    assert list(archive.evaluations) == list(result.history)
    assert archive.pair(3) == result.history[3]
    assert archive.result["validation_score"] == result.evaluation.fitness
    assert archive.identity["metric"] == result.metric
    assert archive.config["run_id"] == archive.run_id
    assert archive.generations[-1][0].evaluated == len(result.history)
    assert archive.winner is not None
    assert archive.winner.candidate == result.best
    archive.check_complete()
    for number in (-1, len(result.history)):
        with pytest.raises(IndexError):
            archive.pair(number)


def test_an_unfinished_run_has_neither_result_nor_winner(result: nas.SearchResult, tmp_path: Path) -> None:
    run = tmp_path / "killed"
    run.mkdir()
    shutil.copy(result.run_dir / "config.json", run)
    journal = (result.run_dir / "journal.jsonl").read_bytes()
    (run / "journal.jsonl").write_bytes(journal[: 2 * len(journal) // 3])
    archive = RunArchive(run)
    assert (archive.result, archive.winner, archive.generations) == ({}, None, [])
    assert 0 < len(archive.evaluations) < len(result.history)
    archive.check_complete()
    (run / "result.json").write_bytes((result.run_dir / "result.json").read_bytes())
    with pytest.raises(RunError, match=r"a journal of the 6 candidates that result\.json counts, got \d"):
        RunArchive(run).check_complete()


def test_an_archive_is_a_snapshot(result: nas.SearchResult, tmp_path: Path) -> None:
    run = tmp_path / "one"
    shutil.copytree(result.run_dir, run)
    archive = RunArchive(run)
    before = archive.result
    (run / "result.json").unlink()
    assert archive.result is before
    assert RunArchive(run).result == {}


def test_candidates_of_several_parts_have_global_ids(result: nas.SearchResult, tmp_path: Path) -> None:
    run = tmp_path / "islands"
    run.mkdir()
    shutil.copy(result.run_dir / "config.json", run)
    journal = result.run_dir / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    for i, n_lines in enumerate((len(lines), 4)):
        (run / "islands" / str(i)).mkdir(parents=True)
        (run / "islands" / str(i) / "journal.jsonl").write_bytes(b"".join(lines[:n_lines]))
    archive = RunArchive(run)
    ids = [candidate.id for candidate, _ in archive.evaluations]
    assert ids == [0, 1, 2, 3, 4, 5, 6, 8, 10]
    assert archive.folder.parts == [RunFolder(run / "islands" / str(i)) for i in range(2)]
    for number in ids:
        candidate, evaluation = archive.pair(number)
        assert candidate.id == evaluation.candidate_id == number
        assert evaluation.fitness == result.history[number // 2][1].fitness
        assert all(parent % 2 == number % 2 for parent in candidate.parents)
    assert archive.identity == RunArchive(result.run_dir).identity


def test_records_that_were_read_under_the_lock_are_not_read_again(result: nas.SearchResult) -> None:
    record = read_journal(result.run_dir / "journal.jsonl")
    assert RunArchive(result.run_dir, [record]).evaluations is record.evaluations


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    archive = RunArchive(tmp_path)
    with pytest.raises(RunError, match=r"expected the folder of a run, got no config\.json"):
        _ = archive.config
    with pytest.raises(RunError, match=r"expected a run with a journal\.jsonl, got none"):
        _ = archive.evaluations


def test_a_run_of_version_0_1_0_is_read(tmp_path: Path) -> None:
    archive = RunArchive(GOLDEN)
    assert archive.winner is not None
    assert archive.winner.candidate == archive.pair(archive.winner.candidate.id)[0]  # type: ignore[union-attr]
    written = json.loads((GOLDEN / "result.json").read_text())
    assert archive.result["candidates"] == written["candidates"] == archive.records[0].n_candidates
