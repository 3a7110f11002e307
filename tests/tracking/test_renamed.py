"""Files of earlier versions with the names that they had: `tests/golden/run-1` is of version 0.1.0."""

from __future__ import annotations

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
    assert settings.keys() >= {"halving", "surrogate", "batches_in_flight"}
    assert not settings.keys() & {"racing", "screening", "lag"}
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


def test_both_names_of_a_key_are_refused(tmp_path: Path) -> None:
    text = (GOLDEN / "config.json").read_text()
    head, _, rest = text.partition('"racing"')
    lines = [line for line in f'{head}"halving": true, "racing"{rest}'.splitlines() if "checksum" not in line]
    without_seal = "\n".join(lines).replace('"format": 1,', "")
    (tmp_path / "config.json").write_text("}".join(without_seal.rsplit(",", 1)).rstrip())
    with pytest.raises(RunError):
        nas.resume(tmp_path)


def test_keywords_of_earlier_versions_are_understood_with_a_warning() -> None:
    with (
        pytest.warns(FutureWarning, match="lag is now batches_in_flight"),
        pytest.raises(InputError, match="batches_in_flight: expected a whole number of at least 1"),
    ):
        nas.search("iris", lag=0)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="lag: expected batches_in_flight alone"):
        nas.search("iris", lag=2, batches_in_flight=2)  # type: ignore[call-arg]
