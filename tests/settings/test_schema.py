"""The schema of settings: the same names and defaults in Python, options, files and documents."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.cli.program import _parser
from nas.data.targets import TASKS
from nas.errors import InputError
from nas.settings import GROUPS, SETTINGS, Setting
from nas.settings.explanation import description, document, explained, parameters
from nas.settings.former import FORMER_NAMES, former_flags
from nas.settings.search_settings import SearchSettings
from nas.space import load_space
from nas.tracking.choice import POLICIES

ROOT = Path(__file__).parent.parent.parent


def defaults_of(function: Any) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def test_the_signature_of_search_has_the_names_and_defaults_of_the_schema() -> None:
    objects = {"callbacks": (), "trackers": ()}  # of the calling program, so not in any file
    assert defaults_of(nas.search) == {name: each.default for name, each in SETTINGS.items()} | objects


def test_resume_takes_the_resumable_settings() -> None:
    own = {"data", "scoring", "algorithm", "force", "progress", "report", "callbacks", "trackers"}
    resumable = {each.name for each in SETTINGS.values() if each.resumable}
    assert set(defaults_of(nas.resume)) == own | resumable


def test_estimators_have_the_defaults_of_the_schema_where_names_agree() -> None:
    # A fit leaves nothing behind unless it is asked to, so that these two differ on purpose.
    own = {"tracking": False, "runs_dir": None}
    for estimator in (nas.NASClassifier, nas.NASRegressor):
        shared = {name: default for name, default in defaults_of(estimator).items() if name in SETTINGS}
        assert len(shared) > 10
        assert shared == {name: own.get(name, SETTINGS[name].default) for name in shared}


def option(setting: Setting) -> list[str]:
    """A line of arguments that gives a setting its example or default."""
    value = setting.default if setting.example is None else setting.example
    if setting.kind.is_flag:
        return [setting.flag if value else f"--no-{setting.flag[2:]}"]
    if isinstance(value, dict):
        value = [f"{name}={amount}" for name, amount in value.items()]
    return [f"{setting.flag}={','.join(value) if isinstance(value, (list, tuple)) else value}"]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_an_option_that_reaches_the_name_of_the_schema(name: str) -> None:
    setting = SETTINGS[name]
    options = vars(_parser().parse_args(["search", "iris", *option(setting)]))
    assert options.keys() & SETTINGS.keys() == {name}  # no other has a value: its default is Python's
    value = options[name]
    assert setting.kind.holds(value)
    if setting.kind.type_name in ("int", "float", "bool", "mapping of str to float"):
        assert value == (setting.default if setting.example is None else setting.example)


@pytest.mark.parametrize("name", SETTINGS)
def test_help_explains_every_setting(name: str) -> None:
    assert nas.search.__doc__ is not None
    setting = SETTINGS[name]
    text = " ".join(nas.search.__doc__.split())
    assert f"{name} : {setting.type_name} {' '.join(description(setting).split())}" in text


@pytest.mark.parametrize("indent", ["", "    "])  # Python 3.13 removes the indentation
def test_each_setting_is_an_entry_of_its_own(indent: str) -> None:
    def function() -> None: ...

    lines = [
        "Search.",
        "",
        "Parameters",
        "----------",
        "data",
        "    A table.",
        "...",
        "    To be replaced.",
        "end",
    ]
    function.__doc__ = f"\n{indent}".join(lines) + "\n"
    text = inspect.getdoc(explained(parameters(SETTINGS.values()))(function))
    assert text is not None
    assert "To be replaced" not in text
    for name in SETTINGS:
        assert f"\n{name} : " in text
    assert text.endswith("\nend")


def test_no_placeholder_is_left_in_a_docstring() -> None:
    for documented in (nas.search, nas.NASClassifier, nas.NASRegressor):
        assert documented.__doc__ is not None
        assert not re.search(r"^ *\.\.\.$", documented.__doc__, re.MULTILINE)


def test_the_document_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == document(), "python -m nas.settings > docs/settings.md"


def test_the_document_is_what_the_command_prints() -> None:
    command = [sys.executable, "-m", "nas.settings"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    assert printed.decode("utf-8") == document()


@pytest.mark.parametrize("name", SETTINGS)
def test_metadata_are_complete(name: str) -> None:
    setting = SETTINGS[name]
    assert not setting.help.endswith(".")
    assert setting.kind.is_flag or setting.metavar
    setting.check(setting.default)
    if setting.default is None:
        assert setting.otherwise
        assert setting.example is not None
    if setting.example is not None:
        setting.check(setting.example)
        setting.check_in_file(setting.example)


def test_numbers_have_bounds_and_units() -> None:
    numbers = [each for each in SETTINGS.values() if each.kind.type_name in ("int", "float")]
    assert {each.name for each in numbers if not each.kind.bounds} == {
        "target_score"
    }  # any number is a score
    assert {each.name for each in numbers if not each.unit} == {"n_candidates", "target_score", "seed"}


def test_options_and_names_are_distinct() -> None:
    flags = [each.flag for each in SETTINGS.values()]
    assert len(set(flags)) == len(flags)
    assert len(SETTINGS) == sum(len(group.__dataclass_fields__) - 1 for group in GROUPS)  # but `section`


def test_names_listed_here_are_those_of_their_rooms() -> None:
    choices = {name: SETTINGS[name].kind.choices for name in ("task", "track")}
    assert choices["task"] is not None
    assert choices["track"] is not None
    assert set(choices["task"].names) == set(TASKS)
    assert choices["track"].names == POLICIES


def test_former_names_lead_to_settings() -> None:
    assert FORMER_NAMES == {
        "n_epochs": "total_epochs",
        "racing": "halving",
        "screening": "surrogate",
        "lag": "batches_in_flight",
    }
    assert former_flags() == {
        "--n-epochs": "--total-epochs",
        "--population": "--population-size",
        "--racing": "--halving",
        "--no-racing": "--no-halving",
        "--screening": "--surrogate",
        "--lag": "--batches-in-flight",
        "--start": "--starts",
    }


def test_every_option_is_the_parameter_with_dashes_and_without_a_leading_n() -> None:
    functions: dict[str, Callable[..., Any]] = {
        "search": nas.search,
        "resume": nas.resume,
        "describe": nas.search,
        "evaluate": nas.evaluate,
        "export": nas.export_network,
        "report": nas.report,
        "sync": nas.sync,
    }
    of_the_terminal = {"--help", "--quiet", "--verbose", "--json", "--config"}
    of_a_run = {"--candidate"}  # of a function, the model is another one then
    (commands,) = (
        action for action in _parser()._actions if action.dest == "==SUPPRESS==" and action.choices
    )
    parsers: Any = commands.choices
    for name, function in functions.items():
        parsers[name].declare_all()
        flags = [flag for action in parsers[name]._actions for flag in action.option_strings]
        options = {flag for flag in flags if flag.startswith("--") and not flag.startswith("--no-")}
        parameters_of = inspect.signature(function).parameters
        expected = {"--" + each.removeprefix("n_").replace("_", "-") for each in parameters_of}
        assert options - expected <= of_the_terminal | of_a_run, name


def test_estimators_have_the_names_of_the_schema_or_of_scikit_learn() -> None:
    of_scikit_learn = {
        *("cv", "validation_fraction", "categorical_features", "class_weight"),
        *("n_jobs", "random_state", "verbose"),
    }
    for estimator in (nas.NASClassifier, nas.NASRegressor):
        assert set(inspect.signature(estimator).parameters) <= set(SETTINGS) | of_scikit_learn


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("refit", "no", "refit: expected true or false, got 'no'"),
        ("inherit", 1, "inherit: expected true or false, got 1"),
        ("n_candidates", None, "n_candidates: expected a whole number of at least 1, below 2**32, got None"),
        ("n_candidates", True, "n_candidates: expected a whole number of at least 1, below 2**32, got True"),
        ("max_flops", 0, "max_flops: expected a number above 0, got 0"),
        (
            "time_budget",
            float("nan"),
            "time_budget: expected a number of at least 0.001, below 2**32, got nan",
        ),
        ("surrogate", "magic", "surrogate: expected one of none, process, trees, got 'magic'"),
        ("ray_address", " ", "ray_address: expected local, auto or HOST:PORT, got ' '"),
        ("resources", {"memory": -1}, "resources: expected names with numbers from 0, got {'memory': -1}"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        SearchSettings(space=nas.load_space("tiny"), **{name: value})
    assert str(caught.value) == message


def test_wrong_settings_of_tracking_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="report: expected true or false, got 'no'"):
        nas.search("iris", report="no", runs_dir=tmp_path)  # type: ignore[arg-type] # wrong on purpose
    assert not list(tmp_path.iterdir())


def test_the_record_of_settings_is_flat_and_read_back() -> None:
    settings = SearchSettings(space=nas.load_space("tiny"), seed=3, resources={"num_cpus": 2})
    record = settings.to_dict()
    assert set(record) == {
        *("space", "algorithm", "n_candidates", "total_epochs", "time_budget", "target_score", "patience"),
        *(
            "n_workers",
            "ray_address",
            "resources",
            "islands",
            "seed",
            "population_size",
            "folds",
            "members",
            "inherit",
            "halving",
        ),
        *("surrogate", "batches_in_flight", "objectives", "max_parameters", "max_flops", "max_latency"),
        *(
            "scoring",
            "starts",
            "epochs",
            "candidate_time_limit",
            "n_finalists",
            "ensemble",
            "refit",
            "baseline",
            "importance",
        ),
    }  # the keys of config.json, which earlier versions wrote and later ones read
    assert SearchSettings.from_dict(record) == settings


def test_the_schema_needs_no_library() -> None:
    code = (
        "import sys, nas.cli.program, nas.settings.config_file, nas.settings.explanation; "
        "print(*{'numpy', 'pandas', 'sklearn', 'deap', 'ray', 'mlflow'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == ""


def test_the_list_of_commands_needs_no_schema() -> None:
    code = "import sys; from nas.cli.program import _parser; _parser().format_help(); "
    code += "print('dataclasses' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "False"


def test_objectives_are_joined_by_commas_everywhere() -> None:
    settings = SearchSettings(space=load_space("tiny"), objectives="error,flops")  # type: ignore[arg-type]
    assert settings.objectives == ("error", "flops")


def test_settings_of_the_table_are_checked() -> None:
    with pytest.raises(InputError, match="header: expected true or false, got 'no'"):
        nas.search("iris", header="no")  # type: ignore[arg-type] # wrong on purpose


def test_durations_may_have_a_unit() -> None:
    for value, seconds in (
        ("90s", 90),
        ("5m", 300),
        ("1.5h", 5400),
        ("2 min", 120),
        (" 7 ", 7),
        ("1e2", 100),
    ):
        assert SearchSettings(space=load_space("tiny"), time_budget=value).time_budget == seconds  # type: ignore[arg-type]
    for wrong in ("", "5 weeks", "m", "-5m", "0s", "nan", "infh"):
        with pytest.raises(InputError, match="time_budget: expected a number of at least"):
            SearchSettings(space=load_space("tiny"), time_budget=wrong)  # type: ignore[arg-type]
