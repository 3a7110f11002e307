"""The command line: what it prints where, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nas
from nas.cli import main
from nas.cli.terminal import wrapped
from nas.data import BUNDLED
from nas.tracking.journal import read_journal

QUICK = ["--space", "tiny", "--candidates", "6", "--epochs", "5", "--workers", "0", "--name", "one"]
QUICK += ["--folds", "2", "--finalists", "2", "--no-report", "--no-baseline"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        code = main(arguments)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def rows(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "y": np.arange(n) % 2})


def csv(frame: pd.DataFrame) -> str:
    frame.to_csv("mine.csv", index=False)
    return "mine.csv"


@pytest.mark.slow
def test_json_is_all_there_is_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "search", "iris", *QUICK, "--baseline", "--no-tracking", "--json")
    assert code == 0
    result = json.loads(out)
    assert set(result) >= {
        "run_dir",
        "task",
        "metric",
        "best",
        "validation_score",
        "test_score",
        "baseline_test_score",
        "candidates",
        "failures",
        "seconds",
        "tracking_uri",
        "mlflow_run_id",
        "model_path",
    }
    assert set(result["best"]) == {"id", "genome", "widths", "fitness", "n_parameters"}
    assert result["candidates"] == 6
    assert result["best"]["widths"] == result["best"]["genome"]["widths"]
    assert "6/6 candidates" in err
    phases = [line.partition(",")[0] for line in err.splitlines()[-4:]]
    assert phases == ["checking finalists", "last training", "calibration", "baselines"]


@pytest.mark.slow
def test_a_person_reads_what_won_and_how_sure_that_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "search", "iris", *QUICK, "--baseline", "--no-tracking")
    assert code == 0
    lines = out.splitlines()
    assert 4 <= len(lines) <= 8
    assert all(len(line) <= 80 for line in lines)
    assert [line[:21].strip() for line in lines] == [
        *("Winner", "Test accuracy", "vs 100-unit MLP", "vs gradient boosting", "Cross-validated", ""),
        *("Saved", "More"),
    ]
    assert "held-out test set, 30 rows" in lines[1]
    assert "used to choose among 6 candidates" in lines[4]
    assert "selection bias" in lines[5]
    code, shown, err = run(capsys, "show", "runs/one")
    assert (code, err) == (0, "")
    assert shown.startswith(out)
    details = " ".join(shown.removeprefix(out).split())
    for words in (
        "the search's own score: optimistic",
        "best of 2",
        "one layer of 100",
        "nas predict runs/one",
    ):
        assert words in details


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["my run (1)", "it's", "$HOME", "-rf", "a;b & c", 'say "so"', "`id`"])
def test_printed_commands_are_read_back_by_a_shell(capsys: pytest.CaptureFixture[str], name: str) -> None:
    options = ["iris", *QUICK, "--candidates", "2", "--no-tracking", f"--name={name}"]
    place = str(Path("runs", name).absolute())
    _, out, _ = run(capsys, "search", *options, "-v")
    (printed,) = [line for line in out.splitlines() if line.startswith("predict")]
    assert shlex.split(printed.removeprefix("predict")) == ["nas", "predict", f"runs/{name}", "DATA.csv"]
    code, _, err = run(capsys, "search", *options)
    assert code == 2
    assert shlex.split(err.rpartition(": ")[2]) == ["nas", "resume", place]


def printed(monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: str) -> bytes:
    """What a command that succeeds writes to a standard output of some encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(arguments) == 0
    return bytes(stream.buffer.getvalue())


def test_an_ascii_terminal_gets_signs_in_ascii_and_other_letters_as_escapes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = [*QUICK, "--candidates", "2", "--no-tracking", "--name=größe"]
    out = printed(monkeypatch, "ascii", "search", "diabetes", *options).decode("ascii")
    assert "R2 " in out
    assert " +/- " in out
    assert r"runs/gr\xf6\xdfe" in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_predictions_are_utf_8_on_any_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], encoding: str
) -> None:
    frame = rows().assign(y=np.where(rows()["y"] == 1, "groß", "κλεινό"))
    run(capsys, "search", csv(frame), *QUICK, "--candidates", "2", "--no-tracking")
    assert run(capsys, "predict", "runs/one", "mine.csv", "--output", "written.csv")[0] == 0
    out = printed(monkeypatch, encoding, "predict", "runs/one", "mine.csv")
    assert out == Path("written.csv").read_bytes()
    assert "groß".encode() in out


@pytest.mark.slow
def test_names_of_files_that_are_no_text_are_shown_and_written_as_such(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.fsdecode(b"d\xffta.csv")
    Path(csv(rows())).rename(name)
    options = [name, *QUICK, "--candidates", "2", "--no-tracking"]
    assert run(capsys, "search", *options)[0] == 0
    printed(monkeypatch, "utf-8", "report", "runs/one")
    assert "d\ufffdta" in Path("runs/one/report.html").read_text(encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream := io.TextIOWrapper(io.BytesIO(), "utf-8"))
        assert main(["search", name + "x"]) == 2
    stream.flush()
    assert b"d\xffta.csvx" in stream.buffer.getvalue()


@pytest.mark.parametrize("command", ["--help", "spaces"])
def test_a_reader_that_goes_away_gets_no_traceback(command: str) -> None:
    read, write_end = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "nas", command], stdout=write_end, stderr=subprocess.PIPE, text=True
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_search_outlives_the_reader_of_its_progress() -> None:
    read, write_end = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "nas", "search", "iris", *QUICK, "--no-tracking"]
    done = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, stderr=write_end)
    os.close(write_end)
    assert done.returncode == 0
    assert json.loads(done.stdout)["candidates"] == 6


@pytest.mark.exhaustive
@pytest.mark.parametrize("home", ["/proc", "home"])
def test_a_report_leaves_nothing_in_the_home_and_can_do_without_it(home: str, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "MPL"))}
    environment = kept | {"HOME": str(tmp_path / home), "TMPDIR": str(tmp_path / "scratch")}
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-m", "nas", "search", "iris", *QUICK, "--candidates=2", "--no-tracking"]
    command.remove("--no-report")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert Path("runs/one/report.html").is_file()
    expected = (
        "nas: iris: ",
        "generation ",
        "checking finalists",
        "last training",
        "calibration",
        "test scores",
    )
    assert all(line.startswith((*expected, "report")) for line in done.stderr.splitlines()), done.stderr
    assert not list((tmp_path / "home").iterdir())
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.slow  # a database is made
def test_the_link_to_mlflow_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "search", "iris", *QUICK, "-v")
    assert code == 0
    assert "nas ui runs/one, then http://127.0.0.1:5000/#/experiments/1/runs/" in out
    assert Path("runs/mlflow.db").is_file()
    assert sorted(path.name for path in Path().iterdir()) == ["runs"]


def test_from_a_table_to_predictions(capsys: pytest.CaptureFixture[str], table: pd.DataFrame) -> None:
    assert run(capsys, "search", csv(table), "--target", "kind", *QUICK, "--no-tracking")[0] == 0
    table.drop(columns=["kind", "constant"])[::-1].to_csv("new.csv", index=False)
    code, out, err = run(capsys, "predict", "runs/one", "new.csv", "--proba")
    assert (code, err) == (0, "")
    Path("out.csv").write_text(out)
    predicted = pd.read_csv("out.csv")
    assert list(predicted) == ["predicted_kind", "probability_big", "probability_small"]
    assert len(predicted) == len(table)
    assert np.allclose(predicted["probability_big"] + predicted["probability_small"], 1)
    code, out, _ = run(capsys, "predict", "runs/one/best", "new.csv", "--output", "predicted.csv")
    assert (code, out) == (0, "")
    assert (pd.read_csv("predicted.csv")["predicted_kind"] == predicted["predicted_kind"]).all()


@pytest.mark.slow
def test_a_saved_search_is_listed_shown_scored_and_not_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    frame = rows(90).assign(id=[f"{i:04d}" for i in range(90)], patient=[i // 6 for i in range(90)])
    options = [
        "--target",
        "y",
        "--groups",
        "patient",
        "--ignore",
        "id",
        "--no-tracking",
        "--no-baseline",
        "-q",
    ]
    objectives = ["--objectives", "error,parameters"]
    code, summary, err = run(capsys, "search", csv(frame), *QUICK, *options, *objectives)
    assert (code, err) == (0, "")
    assert run(capsys, "show", "runs/one")[1].startswith(summary)
    code, out, _ = run(capsys, "list", "--json")
    (listed,) = json.loads(out)
    assert (code, listed["name"], listed["status"], listed["data"]) == (0, "one", "finished", "mine")

    before = Path("runs/one/journal.jsonl").read_bytes()
    code, out, err = run(capsys, "resume", "runs/one")
    assert (code, out) == (0, summary)
    assert err == (
        "nas: this search is finished, with 6 candidates; for more of them: "
        "nas resume runs/one --candidates 12\n"
    )
    assert Path("runs/one/journal.jsonl").read_bytes() == before

    result = json.loads(Path("runs/one/result.json").read_text())
    other = next(i for i in range(6) if i != result["best"]["id"])
    code, out, _ = run(capsys, "predict", "runs/one", "mine.csv", "--keep", "id", "--candidate", str(other))
    assert out.splitlines()[1].startswith("0000,")
    assert nas.load_network(f"runs/one/candidates/{other}").provenance["candidate"]["id"] == other
    assert run(capsys, "predict", "runs/one", "mine.csv", "--keep", "ids")[::2] == (
        2,
        "nas: --keep: expected names of columns of mine.csv, got 'ids'; did you mean id?\n",
    )
    assert run(capsys, "show", "runs/one", "--candidate", str(other))[1].startswith(
        f"candidate         {other}: "
    )
    code, _, err = run(
        capsys, "export", "runs/one", "--candidate", "99", "--format", "native", "--output", "n"
    )
    assert (code, err.count("\n")) == (2, 1)
    assert "--candidate 99: expected the id of a candidate that the run has evaluated" in err

    code, out, _ = run(capsys, "evaluate", "runs/one", "mine.csv", "--json")
    scores = json.loads(out)
    predicted = nas.load_network("runs/one").predict(frame)
    assert scores["scores"]["accuracy"][0] == pytest.approx(np.mean(predicted == frame["y"]))
    assert scores["own_table"]
    frame.drop(columns="y").to_csv("unlabelled.csv", index=False)
    code, _, err = run(capsys, "evaluate", "runs/one", "unlabelled.csv")
    assert code == 2
    assert "unlabelled.csv: expected a column 'y' with the true values, got none" in err
    frame.assign(y=7).to_csv("other.csv", index=False)
    assert (
        "expected one of the classes 0, 1, got '7' in row 1"
        in run(capsys, "evaluate", "runs/one", "other.csv")[2]
    )


@pytest.mark.slow
@pytest.mark.parametrize("codes", [("01", "02", "x"), ("1.0", "2.0", "x"), ("true", "false", "maybe")])
def test_a_category_is_the_same_whatever_else_is_in_the_file(
    capsys: pytest.CaptureFixture[str], codes: tuple[str, ...]
) -> None:
    n = 120
    frame = rows(n).assign(code=[codes[i % 3] for i in range(n)], y=[f"kind {i % 3}" for i in range(n)])
    run(capsys, "search", csv(frame), "--target", "y", *QUICK, "--epochs", "60", "--no-tracking")
    frame[["a", "b", "code"]].iloc[0:2].to_csv("new.csv", index=False)  # no text left among them
    code, out, _ = run(capsys, "predict", "runs/one", "new.csv")
    assert (code, out.split()[1:]) == (0, ["kind", "0", "kind", "1"])


def test_a_parquet_file_goes_the_same_way(capsys: pytest.CaptureFixture[str], table: pd.DataFrame) -> None:
    table.to_parquet("mine.parquet")
    assert run(capsys, "search", "mine.parquet", *QUICK, "--no-tracking")[0] == 0
    assert run(capsys, "predict", "runs/one", "mine.parquet")[0] == 0


@pytest.mark.slow
def test_a_search_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "search", "iris", *QUICK, "--no-tracking", "--json")
    first = json.loads(Path("runs/one/result.json").read_text())
    code, out, _ = run(capsys, "resume", "runs/one", "--candidates", "9", "--workers", "0", "--json")
    assert code == 0
    result = json.loads(out)
    assert result["candidates"] == 9
    if result["best"]["genome"] == first["best"]["genome"]:
        assert "earlier" not in result
    else:
        assert result["earlier"]["test_score"] == pytest.approx(first["test_score"])
        assert nas.load_network("runs/one/best-6").provenance["test_score"] == first["test_score"]


def test_a_candidate_is_trained_again(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "search", "iris", *QUICK, "--no-tracking")
    code, out, err = run(capsys, "debug", "runs/one", "1")
    assert (code, err) == (0, "")
    lines = {line[:18].strip(): line[18:] for line in out.splitlines()}
    assert list(lines) == ["candidate", "made by", "recorded", "again, solo"]
    assert lines["candidate"].startswith("1: ")
    assert " at epoch " in lines["recorded"]
    code, out, err = run(capsys, "debug", "runs/one", "7")
    assert (code, out) == (2, "")
    assert "candidate: expected one that the run has evaluated, got 7 of 0 to" in err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--total-epochs", "12"], "epochs"),
        (["--target-score", "0.01"], "target"),
        (["--patience", "1"], "patience"),
        (["--time-budget", "0.001"], "time"),
        (["--candidates", "500"], "exhausted"),
        ([], "candidates"),
    ],
)
def test_the_reason_that_ended_the_search_is_printed(
    capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    code, out, _ = run(capsys, "search", "iris", *QUICK, *options, "--no-tracking", "--json")
    assert code == 0
    assert json.loads(out)["stopped"] == why


@pytest.mark.slow
def test_options_reach_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--algorithm",
        "aging",
        "--batches-in-flight",
        "3",
        "--inherit",
        "--halving",
        "--surrogate",
        "trees",
        "--population-size",
        "4",
    ]
    options += ["--scoring", "neg_log_loss", "--max-parameters", "900", "--max-flops", "2000", "--seed", "3"]
    options += ["--max-latency", "20", "--no-refit", "--no-tracking", "--no-baseline", "--json"]
    code, out, _ = run(capsys, "search", "iris", *QUICK, *options)
    assert code == 0
    result = json.loads(out)
    assert result["metric"] == "neg_log_loss"
    settings = json.loads(Path("runs/one/config.json").read_text())["settings"]
    expected = {
        "algorithm": "aging",
        "inherit": True,
        "halving": True,
        "surrogate": "trees",
        "batches_in_flight": 3,
        "population_size": 4,
        "scoring": "neg_log_loss",
        "max_parameters": 900,
        "max_flops": 2000,
        "max_latency": 20,
        "seed": 3,
        "refit": False,
        "baseline": False,
        "n_finalists": 2,
    }
    assert {key: settings[key] for key in expected} == expected


def test_several_objectives_and_a_front(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--objectives", "error,parameters", "--no-tracking", "--no-baseline", "--json"]
    code, out, _ = run(capsys, "search", "iris", *QUICK, *options)
    assert code == 0
    front = json.loads(out)["front"]
    assert [one["fitness"] for one in front] == sorted((one["fitness"] for one in front), reverse=True)
    assert json.loads(Path("runs/one/config.json").read_text())["settings"]["objectives"] == [
        "error",
        "parameters",
    ]
    assert read_journal(Path("runs/one/journal.jsonl")).identity["recipe"]["algorithm"] == "nsga2"


def test_a_search_begins_with_an_earlier_one(capsys: pytest.CaptureFixture[str]) -> None:
    quick = [*QUICK, "--no-tracking"]
    run(capsys, "search", "iris", *quick)
    code, _, _ = run(capsys, "search", "iris", *quick, "--name", "two", "--starts", "runs/one")
    assert code == 0
    first, second = (
        [json.loads(line)["candidate"] for line in Path(journal).read_text().splitlines()[1:]]
        for journal in ("runs/one/journal.jsonl", "runs/two/journal.jsonl")
    )
    assert second[0]["operator"] == "start"
    genomes = [one["genome"] for one in first]
    assert all(one["genome"] in genomes for one in second if one["operator"] == "start")


def test_a_narrowed_space_is_what_the_run_records_resumes_and_reports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine.toml").write_text("[strategy]\ngenes = { depth = 2 }\n")
    quick = [*QUICK, "--no-tracking", "--config", "mine.toml"]
    quick += ["--genes", "depth=1", "--genes=widths=8,16-32", "--candidates", "2"]
    assert run(capsys, "search", "iris", *quick)[0] == 0
    space = json.loads(Path("runs/one/config.json").read_text())["settings"]["space"]
    assert (space["name"], space["depth"]) == ("tiny[depth=1 widths=8,16,32]", [1, 1])
    code, out, _ = run(capsys, "resume", "runs/one", "--candidates", "4", "--no-report", "--json")
    assert code == 0
    record = read_journal(Path("runs/one/journal.jsonl"))
    assert record.identity["space"] == space
    assert [json.loads(out)["candidates"]] * 2 == [len(record.evaluations), 3]  # all of the space
    assert {candidate.genome.widths for candidate, _ in record.evaluations} == {(8,), (16,), (32,)}


def test_a_search_begins_with_genomes_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.json").write_text('[{"widths": [32, 8]}, {"widths": [4]}]')
    quick = [*QUICK, "--no-tracking", "--starts", "mine.json"]
    code, _, _ = run(capsys, "search", "iris", *quick)
    assert code == 0
    lines = Path("runs/one/journal.jsonl").read_text().splitlines()[1:]
    candidates = [json.loads(line)["candidate"] for line in lines]
    started = [one["genome"]["widths"] for one in candidates if one["operator"] == "start"]
    assert started == [[32, 8], [4]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "got: no list of them"),
        ('{"widths": [4]}', "got: no list of them"),
        ("[4]", "got: "),
        ('[{"widths": [0]}]', "got: [0].widths: expected a list of whole numbers from 1, got [0]"),
        ('[{"width": [4]}]', "got: [0].widths: expected a value, got no such key"),
        ('[{"widths": [4], "activation": 7}]', "got: [0].activation: expected one of identity, sigmoid,"),
        ('[{"widths": [4], "dropout": 1e999}]', "got: '1e999' where a finite number belongs"),
        ("[" * 100_000, "got: values nested more than 64 deep"),
        ("[{", "got: Expecting property name"),
        ('[{"widths": [5]}]', "starts: expected genomes of space tiny, got 5: width 5 is not among 4, 8"),
    ],
)
def test_files_that_hold_no_genomes_are_refused(
    capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    Path("mine.json").write_text(text)
    code, out, err = run(capsys, "search", "iris", *QUICK, "--no-tracking", "--starts", "mine.json")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert why in err
    assert not Path("runs").exists()


def test_weights_that_are_gone_are_said_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "search", "iris", *QUICK, "--no-tracking")
    for file in Path("runs/one/weights").iterdir():
        file.unlink()
    code, out, err = run(capsys, "resume", "runs/one", "--candidates", "18", "--workers", "0")
    assert (code, out) == (2, "")
    assert "expected trained weights, got: No such file or directory" in err.splitlines()[-1]


def test_spaces_are_listed_with_their_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "spaces")
    assert code == 0
    for name in nas.available_spaces():
        assert name in out
    assert "20 genomes" in out


def test_a_long_line_is_wrapped_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "small    " + "; ".join(["widths 16, 32"] * 9)
    assert wrapped(line, 9) == line
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    first, *others = wrapped(line, 9).splitlines()
    assert first.startswith("small    widths")
    assert all(len(other) <= 40 and other.startswith(" " * 9) for other in others)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"nas {nas.__version__}\n", "")


def test_a_shell_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "completion", "bash")
    assert code == 0

    def completed(*words: str) -> list[str]:
        line = f"COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}; _nas; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", f"{out}\n{line}"], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("nas", "se") == ["search"]
    assert completed("nas", "search", "--time") == ["--time-budget", "--time-order"]
    assert completed("nas", "predict", "--ke") == ["--keep"]
    code, out, _ = run(capsys, "completion", "fish")
    assert code == 0
    assert "complete -c nas -n '__fish_seen_subcommand_from predict' -l keep\n" in out
    assert re.search(
        r"^complete -c nas -n __fish_use_subcommand -a 'search init .* completion' -f$", out, re.M
    )


def test_an_empty_folder_names_the_first_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "list") == (0, "no searches in runs; to begin: nas search digits\n", "")


def test_without_a_command_the_help_is_printed_below_the_first_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert out.endswith(run(capsys, "--help")[1])
    assert out.splitlines()[:2] == [
        "To begin:",
        "  nas search digits         a network for a bundled data set: about a minute",
    ]


def test_help_names_the_bundled_sets(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "search", "--help")[1]
    assert ", ".join(BUNDLED) in " ".join(out.split())


def test_help_answers_in_under_half_a_second() -> None:
    command = [sys.executable, "-m", "nas", "--help"]
    times = []
    for _ in range(5):
        since = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - since)
    assert min(times) < 0.5  # the best of five: the machine may be busy otherwise


def bad_tables() -> dict[str, tuple[str, list[str], str]]:
    """What is wrong: the content of mine.csv, further options, and what is said of it."""
    frame = rows()

    def text(**columns: Any) -> str:
        return frame.assign(**columns).to_csv(index=False)

    names = frame["y"].map({0: "no", 1: "yes"})
    numbers = frame["a"].astype(str)
    numbers[17] = "oops"
    return {
        "unknown target": (text(), ["--target", "z"], "'z'"),
        "empty file": ("", [], "mine.csv"),
        "header only": ("a,b,y\n", [], "mine.csv"),
        "single class": (text(y="yes"), [], "target 'y': expected at least two classes, got only 'yes'"),
        "class with one row": (text(y=["rare", *names[1:]]), [], "got 1 of class 'rare'"),
        "text in a numeric column": (
            text(a=numbers),
            [],
            "column 'a': expected numbers, got 'oops' in row 18",
        ),
        "all constant": (text(a=1, b="x"), [], "expected at least one column that varies"),
        "all missing": (text(a=None, b=None), [], "expected at least one column that varies"),
        "NaN in the target": (
            text(y=[None, *frame["y"][1:]]),
            [],
            "target 'y': expected a value in every row",
        ),
        "infinity in the target": (text(y=[np.inf, *frame["a"][1:]]), [], "expected numbers, got 'inf'"),
        "infinity in a column": (
            text(a=[np.inf, *frame["a"][1:]]),
            [],
            "column 'a': expected finite numbers",
        ),
        "too few rows": (frame[:5].to_csv(index=False), [], "expected at least 10 rows, got 5"),
        "only a target": (frame[["y"]].to_csv(index=False), [], "expected columns beside the target"),
        "more classes than rows allow": (
            text(y=[f"class {i % 20}" for i in range(60)]),
            [],
            "expected at most 9 classes",
        ),
        "identifiers as target": (
            text(y=[f"id {i}" for i in range(60)]),
            [],
            "expected at least 3 rows of each",
        ),
        "text to be regressed": (
            text(y=names),
            ["--task", "regression"],
            "target 'y': expected numbers, got 'no'",
        ),
        "ragged rows": ("a,b,y\n" + "1,2,0\n" * 20 + "1,2,3,4,5\n", [], "mine.csv"),
        "constant to be regressed": (
            text(y=1.5),
            ["--task", "regression"],
            "expected values that vary, got 1.5",
        ),
        "unknown category column": (
            text(),
            ["--categorical", "z"],
            "--categorical: expected names of the columns",
        ),
    }


@pytest.mark.parametrize("case", bad_tables())
def test_a_bad_table_gets_one_sentence_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], case: str
) -> None:
    content, options, complaint = bad_tables()[case]
    code, out, err = run(capsys, "search", write("mine.csv", content), *options, *QUICK, "--json")
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.startswith("nas: ")
    assert err.count("\n") == 1
    assert not list(Path().glob("runs/*"))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["search"], "required: DATA"),
        (["search", "missing.csv"], "missing.csv: expected a CSV or Parquet file, got no such file"),
        (["search", "nonsense"], "nonsense: expected a CSV or Parquet file or one of digits"),
        (["search", "notes.docx"], "notes.docx"),
        (["search", "iris", "--space", "missing.toml"], "search space missing.toml"),
        (["search", "iris", "--candidates", "many"], "--candidates"),
        (["search", "iris", "--candidates", "0"], "n_candidates"),
        (["search", "iris", "--workers", "-2"], "n_workers"),
        (["search", "iris", "--workers", "0", "--ray-address", "auto"], "n_workers: expected at least 1"),
        (["search", "iris", "--ray-address", " "], "ray_address: expected local, auto or HOST:PORT"),
        (["search", "iris", "--resources", "fast"], "--resources: expected NAME=NUMBER,..., got 'fast'"),
        (
            ["search", "--", "iris", "--seed", "1"],
            "--seed after '--', where only names stand; options come first",
        ),
        (["search", "iris", "--genes", "depth"], "--genes: expected NAME=VALUES, got 'depth'"),
        (
            ["search", "iris", "--genes", "depth=1-9"],
            "genes: depth: expected values of space small (1 to 3), got",
        ),
        (["search", "iris", "--resources", "CPU=1"], "resources: expected num_cpus, got CPU"),
        (["search", "iris", "--resources", "num_cpus=-1"], "resources: expected names with numbers from 0"),
        (["search", "iris", "--algorithm", "magic"], "algorithm"),
        (["search", "iris", "--algorithm", "evolution"], "algorithm: expected one of auto, plus, comma"),
        (["search", "iris", "--scoring", "magic"], "scoring: expected accuracy, r2, or a scorer's name"),
        (["search", "iris", "--scoring", "r2"], "scoring: expected a score for classification, got 'r2'"),
        (["search", "diabetes", "--scoring", "roc_auc"], "scoring: roc_auc: tried out on made-up"),
        (["search", "iris", "--max-parameters", "3"], "got none; the least there is: 131 parameters"),
        (["search", "iris", "--max-latency", "-1"], "max_latency: expected a number above 0, got -1.0"),
        (["search", "iris", "--objectives", "parameters"], "objectives: expected error first"),
        (["search", "iris", "--surrogate", "magic"], "surrogate: expected one of none, process, trees"),
        (["search", "iris", "--starts", "nowhere"], "nowhere: expected a run with a journal.jsonl"),
        (["search", "iris", "--finalists", "0"], "n_finalists: expected a whole number of at least 1"),
        (["search", "iris", "--runs-dir", "/proc/runs"], "--runs-dir /proc/runs"),
        (["search", "iris", "--workers", "0", "--tracking-uri", "http://127.0.0.1:9"], "http://127.0.0.1:9"),
        (["resume", "runs/none"], "runs/none"),
        (["predict", "runs/none", "x.csv"], "runs/none"),
        (["ui", "--runs-dir", "nowhere"], "nowhere/mlflow.db"),
        (["serach", "iris"], "got 'serach'; did you mean search?"),
        (
            ["search", "iris", "--candidats", "5"],
            "unrecognized arguments: --candidats; did you mean --candidates?",
        ),
        (["search", "iris", "--nonsense"], "unrecognized arguments: --nonsense; see"),
        (
            ["search", "iris", "--time-budget", "5 weeks"],
            "or a duration such as 90s, 5m or 1h, got '5 weeks'",
        ),
        (["search", "iris", "-q", "-v"], "not allowed with argument"),
        (["list", "nowhere"], "nowhere: expected a folder of searches"),
        (["show", "runs/none"], "runs/none: expected the folder of a run"),
        (["evaluate", "runs/none", "x.csv"], "runs/none: expected a folder with model.json"),
    ],
)
def test_a_wrong_command_gets_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


def test_a_search_in_which_nothing_can_be_trained_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    space = write(
        "wild.toml",
        "depth = {min = 1, max = 1}\nwidths = {values = [4]}\n"
        "learning_rate = {values = [10.0]}\noptimizer = {values = ['sgd']}\n",
    )
    options = [*QUICK, "--space", space, "--epochs", "50", "--no-tracking"]
    code, out, err = run(capsys, "search", "diabetes", *options)
    assert (code, out) == (1, "")
    assert "expected at least one of 1 candidates to be trained, got none" in err


def test_prediction_names_what_does_not_fit(capsys: pytest.CaptureFixture[str], table: pd.DataFrame) -> None:
    run(capsys, "search", csv(table), *QUICK, "--no-tracking")
    table.drop(columns="size").to_csv("less.csv", index=False)
    code, out, err = run(capsys, "predict", "runs/one", "less.csv")
    assert (code, out) == (2, "")
    assert "expected a column 'size'" in err
    table.assign(size="large").to_csv("text.csv", index=False)
    code, _, err = run(capsys, "predict", "runs/one", "text.csv")
    assert code == 2
    assert "column 'size': expected numbers, got 'large'" in err
    code, _, err = run(capsys, "predict", "runs/one", "mine.csv", "--output", "no/such/folder.csv")
    assert code == 2
    assert "no/such/folder.csv" in err


@pytest.mark.exhaustive_except("2")
@pytest.mark.ray  # processes of their own
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_search_keeps_the_best_so_far(stop: signal.Signals) -> None:
    command = [sys.executable, "-m", "nas", "search", "digits", "--name", "one", "--workers", "2"]
    command += ["--candidates", "5000", "--no-tracking", "--no-baseline", "--json", "--epochs", "20"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    journal = Path("runs/one/journal.jsonl")
    while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, stop)
    since = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - since < 15
    assert process.returncode == 130, err
    result = json.loads(out)
    assert result["stopped"] == "interrupted"
    assert nas.load_network("runs/one").provenance["test_score"] == result["test_score"]
    assert len(journal.read_bytes().splitlines()) == result["candidates"] + 1


@pytest.mark.exhaustive
@pytest.mark.slow  # processes of their own
@pytest.mark.parametrize(
    ("library", "stop"), [("_multiarray_umath", signal.SIGINT), ("_raylet", signal.SIGTERM)]
)
def test_a_signal_while_modules_are_imported_is_one_line(library: str, stop: signal.Signals) -> None:
    command = [sys.executable, "-m", "nas", "search", "digits", "--no-tracking", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while library not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    os.kill(process.pid, stop)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "nas: interrupted\n")


def test_an_interrupt_clears_the_live_line_of_a_terminal() -> None:
    code = """
import os, sys
from nas.cli.signals import Signals
os.write(2, b"nas: starting")
with Signals(is_program=True) as signals:
    os.kill(os.getpid(), 2)
"""
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment)
    assert process.wait(60) == 130
    assert os.read(ours, 100) == b"nas: starting\r\x1b[K\x1b[?25hnas: interrupted\r\n"
    os.close(ours)
    os.close(theirs)


@pytest.mark.slow
def test_the_second_signal_ends_the_program_whatever_it_is_at() -> None:
    code = """
import time
from nas.cli.signals import Signals
with Signals(is_program=True) as signals:
    signals.raise_on_signal()
    signals.hint = ": here is how"
    said = "ready"
    while True:
        try:
            print(said, flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            said = "heard"
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "heard\n"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == "nas: interrupted: here is how\n"
    assert process.returncode == 130


def test_a_command_in_anothers_process_leaves_its_handlers(capsys: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run(capsys, "spaces")[0] == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_options_of_earlier_versions_are_understood_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--candidates", "2", "--epochs", "1", "--finalists", "1", "--space", "tiny", "--workers", "0"]
    few += ["--folds", "2", "--no-baseline"]
    places = ["--runs-dir", str(tmp_path), "--name", "old", "--no-tracking", "--no-report"]
    assert main(["search", "iris", *few, *places, "--no-racing", "--screening=none", "--lag", "3"]) == 0
    noted = capsys.readouterr().err
    assert "nas: --no-racing is now --no-halving" in noted
    assert "nas: --screening is now --surrogate" in noted
    settings = json.loads((tmp_path / "old" / "config.json").read_text())["settings"]
    assert (settings["halving"], settings["surrogate"], settings["batches_in_flight"]) == (False, "none", 3)


def test_a_file_with_numbered_names_has_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"column1": np.arange(30) % 7, "column2": np.arange(30) % 5})
    rows.assign(target=["a", "b", "c"] * 10).to_csv("named.csv", index=False)
    few = ["--space", "tiny", "--candidates", "1", "--epochs", "1", "--finalists", "1", "--workers", "0"]
    few += ["--folds", "2", "--no-baseline"]
    assert main(["search", "named.csv", *few, "--name", "one", "--no-tracking", "--no-report"]) == 0
    assert main(["predict", "runs/one", "named.csv", "--output", "predicted.csv"]) == 0
    assert len(pd.read_csv("predicted.csv")) == 30
    rows.to_csv("bare.csv", index=False, header=False)
    assert main(["predict", "runs/one", "bare.csv", "--output", "predicted.csv"]) == 0
    assert len(pd.read_csv("predicted.csv")) == 30
