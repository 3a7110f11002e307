"""What a person installs: the wheel, the examples, the README."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import nas
from nas.cli.program import _parser

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel; the build's own environment is this one."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow  # builds a wheel
def test_the_wheel_holds_the_package_and_its_spaces_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    files = {name for name in names if ".dist-info/" not in name}
    expected = {path.relative_to(ROOT).as_posix() for path in (ROOT / "nas").rglob("*.py")} | {"nas/py.typed"}
    spaces = {f"nas/search_spaces/{path.name}" for path in (ROOT / "search_spaces").iterdir()}
    assert files == expected | spaces
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.exhaustive
@pytest.mark.ray  # in an environment of its own
def test_an_installed_wheel_runs_a_search_elsewhere(wheel: Path, tmp_path: Path) -> None:
    # The dependencies are this environment's; the package itself comes from the wheel alone.
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = tmp_path / "venv" / "lib" / version / "site-packages"
    zipfile.ZipFile(wheel).extractall(packages)
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(paths))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [str(python), "-m", "nas", "search", "iris", "--space", "funnel", "--candidates", "3", "--json"]
    command += ["--epochs", "3", "--workers", "1", "--no-tracking"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = subprocess.run(
        [str(python), "-c", "import nas; print(nas.__file__)"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(packages))
    done = subprocess.run(
        command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["candidates"] == 3
    assert nas.load_network(result["model_path"]).task == "classification"


@pytest.mark.exhaustive
@pytest.mark.ray  # and a database
def test_the_quickstart_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("quickstart", ROOT / "examples" / "quickstart.py")
    assert spec is not None
    assert spec.loader is not None
    quickstart = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(quickstart)
    result = quickstart.main(tmp_path / "runs", n_candidates=14)
    assert result.test.score > 0.8
    assert "features of the last hidden layer: (3, " in capsys.readouterr().out


@pytest.mark.exhaustive
@pytest.mark.slow  # half a minute of training
def test_the_engine_benchmark_writes_what_the_others_read(tmp_path: Path) -> None:
    file = tmp_path / "engine.json"
    # In a process of its own, which it keeps to one core; with fewer epochs than say anything of speed.
    options = ["--quick", "--repeats", "1", "--json", str(file)]
    code = f"from benchmarks import engine; engine.EPOCHS = 1; engine.main({options})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    record = json.loads(file.read_text())
    assert set(record) == {"figures", "rows", "machine"}
    assert all(set(figure) == {"name", "asked", "measured", "holds"} for figure in record["figures"])


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_shows_every_command_that_there_is() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in ("search", "resume", "debug", "predict", "ui", "spaces"):
        assert f"nas {command}" in readme


def test_the_example_on_kubernetes_runs_a_command_that_there_is() -> None:
    example = ROOT / "examples" / "kubernetes"
    manifest = (example / "search.yaml").read_text()
    (entrypoint,) = re.findall(r"^  entrypoint: nas (.+)$", manifest, re.MULTILINE)
    options = _parser().parse_args(shlex.split(entrypoint))
    assert options.ray_address == "auto"
    # All nodes must have the Ray that the driver has.
    (version,) = re.findall(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f'rayVersion: "{version}"' in manifest
    assert f"rayproject/ray:{version}-" in (example / "Dockerfile").read_text()


def test_constraints_name_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    constrained = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {re.split(r"[<>=\[]", line)[0] for line in declared} <= constrained


def test_the_citation_names_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [nas.__version__]


def test_a_commit_runs_what_ci_runs_before_its_tests() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    before_tests = (ROOT / ".ci" / "run").read_text().split("failed=0")[0].splitlines()
    commands = [line for line in before_tests if re.match(r"(ruff|mypy)\b", line)]
    assert re.findall(r"entry: (.+)", hooks) == commands == ["ruff check .", "ruff format --check .", "mypy"]
    # Nothing may be downloaded when a commit is made.
    assert set(re.findall(r"repo: (.+)", hooks)) == {"local"}
    assert hooks.count("language: system") == len(commands)


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for attribute in parts[n:]:
            found = getattr(found, attribute, resolves)
        return found is not resolves
    return False


def test_documents_and_docstrings_name_what_there_is() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for file in [*documents, *(ROOT / "nas").rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        for name in set(re.findall(r"(?<!tags\.)`(nas(?:\.[A-Za-z]\w*)+)", text)) - {
            "nas.run_id",
            "nas.inherits",
        }:
            assert resolves(name), f"{file} names {name}"
        if file in documents:
            for path in re.findall(r"`((?:nas|tests|benchmarks|examples|docs)/[\w/.-]+)`", text):
                assert (ROOT / path).exists(), f"{file} names {path}"
