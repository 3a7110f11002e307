"""Files of earlier versions with the names that they had: `tests/golden/run-1` is of version 0.1.0."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import nas
from nas.errors import InputError, RunError
from nas.tracking.archive import RunArchive

GOLDEN = Path(__file__).parent.parent / "golden" / "run-1"


def test_a_run_of_an_earlier_version_is_read_by_new_names() -> None:
    archive = RunArchive(GOLDEN)
    settings = archive.config["settings"]
    assert settings.keys() >= {"halving", "surrogate", "batches_in_flight", "total_epochs"}
    assert not settings.keys() & {"racing", "screening", "lag", "n_epochs"}
    assert settings["batches_in_flight"] == 2
    assert "selection_bias" in archive.result
    assert archive.identity["recipe"]["halving"] is True
    assert archive.generations[0][0].std >= 0


def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "old")
    result = nas.resume(tmp_path / "old", n_candidates=10, progress=False, report=False)
    assert result.n_candidates == 10
    # The journal has one identity: what goes on is the same search.
    assert (tmp_path / "old" / "journal.jsonl").read_text().count('"journal"') == 1


@pytest.mark.parametrize(
    ("name", "where", "former", "now"),
    [
        ("config.json", "settings", "racing", "halving"),
        ("result.json", None, "optimism", "selection_bias"),
    ],
)
def test_both_names_of_a_key_are_refused(
    tmp_path: Path, name: str, where: str | None, former: str, now: str
) -> None:
    shutil.copytree(GOLDEN, tmp_path / "old")
    file = tmp_path / "old" / name
    record = json.loads(file.read_text())
    (record if where is None else record[where])[now] = None
    file.write_text(json.dumps({key: record[key] for key in record if key not in ("format", "checksum")}))
    with pytest.raises(RunError, match=f"{name}: {former}: expected {now} alone, .* got both"):
        _ = RunArchive(tmp_path / "old").config, RunArchive(tmp_path / "old").result


def test_both_names_of_a_curve_are_refused(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "old")
    file = tmp_path / "old" / "generations.jsonl"
    record = {
        key: value for key, value in json.loads(file.read_text().splitlines()[0]).items() if key != "crc"
    }
    file.write_text(json.dumps({**record, "std": 0.0}) + "\n")
    with pytest.raises(RunError, match="spread: expected std alone"):
        _ = RunArchive(tmp_path / "old").generations


def test_a_curve_that_is_no_object_is_refused_and_written_anew(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "old")
    for line in ("[1]", "7", "null", "[]"):
        (tmp_path / "old" / "generations.jsonl").write_text(f"{line}\n")
        with pytest.raises(RunError, match="expected a generation in line 1, got: expected an object"):
            _ = RunArchive(tmp_path / "old").generations
    nas.resume(tmp_path / "old", n_candidates=9, progress=False, report=False)
    assert RunArchive(tmp_path / "old").generations


def test_keywords_of_earlier_versions_are_understood_with_a_warning() -> None:
    with (
        pytest.warns(FutureWarning, match="lag is now batches_in_flight"),
        pytest.raises(InputError, match="batches_in_flight: expected a whole number of at least 1"),
    ):
        nas.search("iris", lag=0)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="lag: expected batches_in_flight alone"):
        nas.search("iris", lag=2, batches_in_flight=2)  # type: ignore[call-arg]
