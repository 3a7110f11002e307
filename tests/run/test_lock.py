"""One process has a run, from the first moment to the last; the others are refused in a sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from searches import assert_same_search, resume, search

import nas
import nas.run.conclude
import nas.run.execute
from nas.errors import RunningError
from nas.run.report_process import ReportProcess
from nas.tracking.folder import RunFolder
from nas.tracking.generations import GenerationLog
from nas.tracking.journal import Journal
from nas.tracking.lock import LOCK, RunLock, check_is_over

STILL_RUNS = "expected a search that is over, got one that still runs"


def assert_refused(run_dir: Path) -> None:
    """Whatever wants a run which is over is refused."""
    calls: list[Callable[[], object]] = [
        lambda: nas.resume(run_dir),
        lambda: nas.sync(run_dir),
        lambda: nas.export_network(run_dir, "native", run_dir.parent / "exported"),
        lambda: nas.export_network(run_dir / "best", "native", run_dir.parent / "exported"),
    ]
    for call in calls:
        with pytest.raises(RunningError, match=STILL_RUNS) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.exhaustive_except("False")
@pytest.mark.slow
@pytest.mark.parametrize("resumed", [False, True])
def test_a_run_is_held_from_its_first_moment_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: bool
) -> None:
    if resumed:
        search("iris", tmp_path, n_candidates=8)
    tried: list[str] = []

    def trying(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def tries(*arguments: Any, **options: Any) -> Any:
            if name not in tried:
                tried.append(name)
                with pytest.raises(RunningError, match=STILL_RUNS):
                    nas.resume(tmp_path / "one")
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, tries)

    moments = [
        (Journal, "started"),
        (Journal, "evaluated"),
        (nas.run.execute, "select"),
        (nas.run.execute, "final_model"),
        (nas.run.conclude, "save_network"),
        (RunFolder, "keep_result"),
        (ReportProcess, "make"),
        (GenerationLog, "finished"),
    ]
    for owner, name in moments:
        trying(owner, name)
    if resumed:
        resume(tmp_path / "one", n_candidates=16, report=True)
    else:
        search("iris", tmp_path, report=True)
    assert tried == [name for _, name in moments]
    check_is_over(tmp_path / "one")


@pytest.mark.slow
def test_the_kernel_lets_go_for_a_process_that_is_killed(tmp_path: Path) -> None:
    code = "import sys; from nas.tracking.lock import Path, RunLock; lock = RunLock(Path(sys.argv[1]))"
    code += "; print(flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(RunningError, match=STILL_RUNS):
            RunLock(tmp_path)
        with pytest.raises(RunningError, match=STILL_RUNS):
            check_is_over(tmp_path)
        process.kill()
        process.wait()
        check_is_over(tmp_path)
        RunLock(tmp_path).release()


def test_a_run_from_before_there_were_locks_goes_on(tmp_path: Path) -> None:
    whole = search("iris", tmp_path / "whole")
    cut = search("iris", tmp_path / "cut", n_candidates=8)
    (cut.run_dir / LOCK).unlink()
    check_is_over(cut.run_dir)
    assert not (cut.run_dir / LOCK).exists()
    assert_same_search(resume(cut.run_dir, n_candidates=16), whole)
    assert (cut.run_dir / LOCK).exists()


def test_a_copy_of_a_running_search_is_free(tmp_path: Path) -> None:
    lock = RunLock(search("iris", tmp_path, n_candidates=8).run_dir)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    check_is_over(tmp_path / "two")
    assert_refused(tmp_path / "one")
    lock.release()
    check_is_over(tmp_path / "one")


def test_what_is_no_run_gets_no_lock(tmp_path: Path) -> None:
    for call in (nas.resume, nas.sync):
        with pytest.raises(nas.InputError, match=r"expected the folder of a run, got no config\.json in it"):
            call(tmp_path)
    assert not list(tmp_path.iterdir())
