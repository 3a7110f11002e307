"""Search spaces in TOML: equal to those in Python, and errors that name the file and the key."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.errors import SpaceError
from nas.genome import GENES, Genome
from nas.space import (
    Limits,
    Range,
    SearchSpace,
    available_spaces,
    check_fits,
    cost_model,
    load_space,
)

BASE = "[depth]\nmin = 1\nmax = 2\n[widths]\nvalues = [4, 8]\n"


def write(folder: Path, text: str | bytes, name: str = "mine.toml") -> Path:
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# Shipped spaces.


def test_seven_spaces_come_with_the_package() -> None:
    assert list(available_spaces()) == ["deep", "funnel", "realmlp", "small", "tables", "tabm", "tiny"]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("tiny", 4 + 4**2),
        ("small", (9 + 9**2 + 9**3) * 4 * 5 * 4 * 2 * 2),
        # 7 widths; C(n + d - 1, d) funnels of depth d.
        ("funnel", (7 + 28 + 84 + 210 + 462) * 3 * 5 * 3 * 2),
        ("tables", sum(11**depth for depth in range(1, 5)) * 4 * 5 * 4 * 3 * 3 * 2 * 2),
        ("tabm", sum(7**depth for depth in range(1, 5)) * 3 * 4 * 4 * 4 * 2 * 2 * 3),
        ("realmlp", sum(6**depth for depth in range(1, 6)) * 3 * 6 * 2 * 3 * 2 * 2 * 2 * 2),
        ("deep", sum((9 * 4) ** depth for depth in range(2, 9)) * 5 * 4 * 2),
    ],
)
def test_a_shipped_space_is_what_it_says(name: str, size: int) -> None:
    space = load_space(name)
    assert space.name == name
    assert space.size() == size
    assert space == load_space(available_spaces()[name])
    rng = random.Random(0)
    for _ in range(50):
        assert space.sample(rng) in space
    check_fits(space, n_rows=1000, n_inputs=100, n_outputs=10)


def test_a_funnel_never_grows() -> None:
    space = load_space("funnel")
    rng = random.Random(0)
    depths = set()
    for _ in range(500):
        widths = space.sample(rng).widths
        depths.add(len(widths))
        assert all(above >= below for above, below in itertools.pairwise(widths))
    assert depths == {1, 2, 3, 4, 5}


def test_a_shipped_name_goes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, BASE, "tiny")
    monkeypatch.chdir(tmp_path)
    assert load_space("tiny") == load_space(available_spaces()["tiny"])


# TOML and Python.


@pytest.mark.parametrize(
    ("toml", "same"),
    [
        (BASE, SearchSpace((1, 2), (4, 8), name="mine")),
        (
            "description = 'all there is'\n"
            "depth = {min = 0, max = 3}\n"
            "widths = {min = 4, max = 16, scale = 'log', step = 2, non_increasing = true, equal = true}\n"
            "activation = {values = ['relu', 'tanh'], per_layer = true}\n"
            "learning_rate = {min = 0.001, max = 0.1, scale = 'log'}\n"
            "batch_size = {min = 10, max = 30, step = 10}\n"
            "weight_decay = {values = [0, 1e-4]}\n"
            "dropout = {min = 0.0, max = 0.5, per_layer = true}\n"
            "optimizer = {values = ['adam', 'sgd']}\n"
            "schedule = {values = ['constant', 'cosine', 'coslog4']}\n"
            "beta2 = {values = [0.999, 0.95]}\n"
            "label_smoothing = {min = 0.0, max = 0.1, step = 0.05}\n"
            "front_scaling = {values = [0, 6]}\n"
            "members = {min = 2, max = 16, scale = 'log'}\n"
            "regularization_schedule = {values = ['flat_cosine']}\n"
            "clip_norm = {values = [1, 0]}\n"
            "bias_rate = {values = [0.1]}\n"
            "parametrization = {values = ['ntk']}\n"
            "initialization = {values = ['data']}\n"
            "layer_norm = {min = 0, max = 1}\n",
            SearchSpace(
                depth=(0, 3),
                widths=Range(4, 16, "log", 2),
                non_increasing=True,
                equal_widths=True,
                activation=("relu", "tanh"),
                activation_per_layer=True,
                learning_rate=Range(0.001, 0.1, "log"),
                batch_size=Range(10, 30, step=10),
                weight_decay=(0, 1e-4),
                dropout=Range(0, 0.5),
                dropout_per_layer=True,
                optimizer=("adam", "sgd"),
                schedule=("constant", "cosine", "coslog4"),
                beta2=(0.95, 0.999),
                label_smoothing=(0.0, 0.05, 0.1),
                front_scaling=(0, 6),
                members=(2, 4, 8, 16),
                regularization_schedule=("flat_cosine",),
                clip_norm=(0, 1),
                bias_rate=(0.1,),
                parametrization=("ntk",),
                initialization=("data",),
                layer_norm=(0, 1),
                name="mine",
            ),
        ),
    ],
)
def test_toml_and_python_give_the_same_space(tmp_path: Path, toml: str, same: SearchSpace) -> None:
    assert load_space(write(tmp_path, toml)) == same
    assert load_space(str(write(tmp_path, toml))) == same


def test_windows_writes_the_same_space(tmp_path: Path) -> None:
    plain = load_space(write(tmp_path, BASE))
    assert load_space(write(tmp_path, b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())) == plain


def toml_of(record: dict[str, Any]) -> str:
    """A space's record as a person would write it."""
    lines = [f"depth = {{min = {record['depth'][0]}, max = {record['depth'][1]}}}"]
    flags = {
        "widths": {"non_increasing": "non_increasing", "equal": "equal_widths"},
        "activation": {"per_layer": "activation_per_layer"},
        "dropout": {"per_layer": "dropout_per_layer"},
    }
    for key in filter(record.get, ("widths", *GENES)):
        words = [f"values = {record[key]!r}"]
        words += [f"{name} = {str(record[field]).lower()}" for name, field in flags.get(key, {}).items()]
        lines.append(f"{key} = {{{', '.join(words)}}}")
    return "\n".join(lines)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    low=st.integers(0, 5),
    more=st.integers(0, 5),
    widths=st.lists(st.integers(1, 65536), min_size=1, max_size=5),
    non_increasing=st.booleans(),
    equal_widths=st.booleans(),
    activation=st.lists(st.sampled_from(["relu", "tanh", "elu"]), min_size=1, max_size=3),
    activation_per_layer=st.booleans(),
    learning_rate=st.lists(st.floats(1e-12, 10), max_size=3),
    dropout=st.lists(st.floats(0, 0.99), min_size=1, max_size=3),
    dropout_per_layer=st.booleans(),
    schedule=st.lists(st.sampled_from(["constant", "step", "cosine"]), max_size=3),
    beta2=st.lists(st.floats(0.5, 0.9999), max_size=3),
    label_smoothing=st.lists(st.floats(0, 0.9), max_size=3),
)
def test_any_space_can_be_written_as_toml(tmp_path: Path, low: int, more: int, **values: Any) -> None:
    space = SearchSpace(depth=(low, low + more), name="mine", **values)
    assert load_space(write(tmp_path, toml_of(space.to_dict()))) == space


def test_a_space_may_list_genomes_to_start_with(tmp_path: Path) -> None:
    toml = BASE + "[activation]\nvalues = ['relu', 'tanh']\n"
    space = load_space(write(tmp_path, toml))
    starts = "[[starts]]\nwidths = [8, 4]\nactivation = 'tanh'\n[[starts]]\nwidths = [4]\n"
    with_starts = load_space(write(tmp_path, toml + starts))
    assert with_starts.starts == (Genome((8, 4), "tanh"), Genome((4,), "relu"))  # the first name is typical
    assert with_starts == space
    assert with_starts.to_dict() == space.to_dict()  # of which genomes there are


# Mistakes.

REFUSED: list[tuple[str, str]] = [
    # unknown keys
    (
        BASE + "[layers]\nmin = 1\n",
        "layers: expected one of activation, batch_size, beta2, bias_rate, clip_norm, depth, description,",
    ),
    ("max_depth = 3\n" + BASE, "max_depth: expected one of"),
    (
        BASE + "[dropout]\nvalue = [0.1]\n",
        "dropout.value: expected one of max, min, per_layer, scale, step, values, got an unknown key",
    ),
    (BASE + "funnel = true\n", "widths.funnel: expected one of"),
    (
        BASE.replace("max = 2", "max = 2\nstep = 1"),
        "depth.step: expected one of max, min, got an unknown key",
    ),
    (BASE + "[schedule]\nper_layer = true\n", "schedule.per_layer: expected one of values, got an unknown"),
    (BASE + "[dropout]\nper_layer = true\n", "dropout: expected values, or min and max, got no min"),
    (BASE + "equal = 'yes'\n", "equal_widths: expected true or false, got 'yes'"),
    (BASE + "[dropout]\nvalues = [0.1]\nper_layer = 1\n", "dropout_per_layer: expected true or false, got 1"),
    (BASE + "[schedule]\nvalues = ['linear']\n", "coslog4, flat_cosine, got 'linear'"),
    (BASE + "[optimizer]\nmin = 1\nmax = 2\n", "optimizer.min: expected one of values, got an unknown key"),
    # what is missing
    ("", "depth: expected a table [depth], got none"),
    ("[widths]\nvalues = [4]\n", "depth: expected a table [depth], got none"),
    ("[depth]\nmin = 1\nmax = 2\n", "widths: expected a table [widths], got none"),
    ("[depth]\nmax = 2\n[widths]\nvalues = [4]\n", "depth.min: expected a whole number, got none"),
    ("[depth]\nmin = 1\n[widths]\nvalues = [4]\n", "depth.max: expected a whole number, got none"),
    ("[depth]\nmin = 1\nmax = 2\n[widths]\n", "widths: expected values, or min and max, got no min"),
    (BASE + "[dropout]\nmin = 0.1\n", "dropout: expected values, or min and max, got no max"),
    # what contradicts itself
    (BASE + "min = 3\n", "widths: expected either values or a range, got values and min"),
    (BASE.replace("max = 2", "max = 0"), "depth: expected min <= max, got min = 1 and max = 0"),
    (BASE + "[dropout]\nmin = 0.5\nmax = 0.1\n", "dropout: expected min <= max, got min = 0.5 and max = 0.1"),
    (BASE + "[activation]\nper_layer = true\n", "activation: expected values, or min and max, got no min"),
    # lists
    (BASE.replace("[4, 8]", "[]"), "widths.values: expected a list with at least one value, got []"),
    (
        BASE + "[activation]\nvalues = []\n",
        "activation.values: expected a list with at least one value, got []",
    ),
    (BASE.replace("[4, 8]", "8"), "widths.values: expected a list with at least one value, got 8"),
    (BASE.replace("[4, 8]", "'48'"), "widths.values: expected a list with at least one value, got '48'"),
    # wrong types
    ("depth = 3\nwidths = {values = [4]}\n", "depth: expected a table [depth], got 3"),
    ("depth = [1, 3]\nwidths = {values = [4]}\n", "depth: expected a table [depth], got [1, 3]"),
    ("widths = [4]\ndepth = {min = 1, max = 2}\n", "widths: expected a table [widths], got [4]"),
    ("dropout = 0.1\n" + BASE, "dropout: expected a table [dropout], got 0.1"),
    (BASE.replace("min = 1", "min = '1'"), "depth.min: expected a whole number from 0 to 100, got '1'"),
    (BASE.replace("min = 1", "min = true"), "depth.min: expected a whole number from 0 to 100, got True"),
    (BASE.replace("min = 1", "min = 0.5"), "depth.min: expected a whole number from 0 to 100, got 0.5"),
    (BASE.replace("4,", "4.5,"), "widths: expected whole numbers from 1 to 65536, got 4.5"),
    (BASE.replace("4,", "'4',"), "widths: expected whole numbers from 1 to 65536, got '4'"),
    (BASE.replace("4,", "1979-05-27,"), "widths: expected whole numbers from 1 to 65536, got datetime.date"),
    (BASE + "non_increasing = 1\n", "non_increasing: expected true or false, got 1"),
    (
        BASE + "[activation]\nvalues = ['relu']\nper_layer = 'yes'\n",
        "per_layer: expected true or false, got 'yes'",
    ),
    (BASE + "[activation]\nvalues = [['relu']]\n", "softplus, got ['relu']"),
    (BASE + "[dropout]\nmin = '0'\nmax = 0.5\n", "dropout.min: expected a number, got '0'"),
    (BASE + "[dropout]\nmin = 0\nmax = [1]\n", "dropout.max: expected a number, got [1]"),
    (BASE + "[dropout]\nmin = 0\nmax = 0.5\nstep = 'a'\n", "dropout.step: expected a number, got 'a'"),
    (
        BASE + "[dropout]\nmin = 0\nmax = 0.5\nscale = 'cubic'\n",
        "dropout: scale: expected 'linear' or 'log', got 'cubic'",
    ),
    (
        BASE + "[dropout]\nmin = 0\nmax = 0.5\nscale = 2\n",
        "dropout: scale: expected 'linear' or 'log', got 2",
    ),
    # wrong values
    (BASE.replace("4,", "0,"), "widths: expected whole numbers from 1 to 65536, got 0"),
    (BASE.replace("4,", "-4,"), "widths: expected whole numbers from 1 to 65536, got -4"),
    (BASE.replace("4,", "nan,"), "widths: expected whole numbers from 1 to 65536, got nan"),
    (BASE.replace("4,", "1" + "0" * 400 + ","), "widths: expected whole numbers from 1 to 65536, got 1000"),
    (BASE.replace("max = 2", "max = -2"), "depth.max: expected a whole number from 0 to 100, got -2"),
    (BASE + "[learning_rate]\nvalues = [nan]\n", "learning_rate: expected numbers from 1e-12 to 10, got nan"),
    (BASE + "[learning_rate]\nvalues = [inf]\n", "learning_rate: expected numbers from 1e-12 to 10, got inf"),
    (BASE + "[learning_rate]\nmin = nan\nmax = 1\n", "learning_rate.min: expected a number, got nan"),
    (BASE + "[dropout]\nvalues = [0.0, 1.0]\n", "dropout: expected numbers from 0 to 0.99, got 1.0"),
    (
        BASE + "[dropout]\nmin = 0\nmax = 0.5\nstep = 0\n",
        "dropout: step: expected more than 0 on the linear scale, got 0",
    ),
    (
        BASE + f"[dropout]\nmin = 0\nmax = 0.5\nstep = -1{'0' * 400}\n",
        "dropout.step: expected a number, got -1000",
    ),
    (
        BASE + "[dropout]\nmin = 0\nmax = 0.5\nstep = 5e-324\n",
        "dropout: expected at most 4096 values, got inf; use a larger step",
    ),
    (
        BASE + "[learning_rate]\nmin = 1e-12\nmax = 10\nscale = 'log'\nstep = 1.00001\n",
        "learning_rate: expected at most 4096 values",
    ),
    (BASE.replace("max = 2", "max = 1000"), "depth.max: expected a whole number from 0 to 100, got 1000"),
    (BASE + '["a\\nb"]\n', r"'a\nb': expected one of"),
    (
        BASE + "[activation]\nvalues = ['swish']\n",
        "activation: expected names among identity, sigmoid, tanh, relu, leaky_relu,",
    ),
    (
        BASE + "[optimizer]\nvalues = ['adamax']\n",
        "optimizer: expected names among sgd, momentum, nesterov, rmsprop, adam, adamw, got 'adamax'",
    ),
    # genomes to start with
    ("starts = 3\n" + BASE, "starts: expected tables [[starts]], got 3"),
    (BASE + "[[starts]]\n", "starts 1.widths: expected a list of whole numbers, got None"),
    (BASE + "[[starts]]\nwidths = ['4']\n", "starts 1.widths: expected a list of whole numbers, got ['4']"),
    (BASE + "[[starts]]\nwidths = [0]\n", "starts 1: expected a genome, got widths: expected whole numbers"),
    (BASE + "[[starts]]\nwidths = [4]\nwidth = 4\n", "starts 1.width: expected one of activation,"),
    (
        BASE + "[[starts]]\nwidths = [4]\n[[starts]]\nwidths = [5]\n",
        "starts 2: expected a genome of the space, got width 5 is not among 4, 8",
    ),
    (
        BASE + "[[starts]]\nwidths = [4]\ndropout = 0.1\n",
        "starts 1: expected a genome of the space, got the space has no dropout",
    ),
]


@pytest.mark.parametrize(("toml", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_mistake_is_named_with_its_file_and_key(tmp_path: Path, toml: str, message: str) -> None:
    path = write(tmp_path, toml)
    assert message in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"just words",
        b"[depth\nmin = 1",
        BASE.encode() + b"[depth]\nmin = 1\n",  # a table twice
        b"{'json': 1}",
        bytes(range(256)),
        b"\0" * 100,
        BASE.encode("utf-16"),
        BASE.encode() + b"# caf\xe9",
        BASE.replace("4,", "1" + "0" * 5000 + ",").encode(),  # more digits than Python reads
        b"a = " + b"[" * 20_000,
        b".".join([b"a"] * 500_000) + b" = 1",  # the parser takes minutes for it
    ],
    ids=range(11),
)
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes) -> None:
    assert "expected a readable TOML file, got: " in refusal(write(tmp_path, content))


@pytest.mark.parametrize("path", ["nowhere.toml", "medium", "", "x" * 5000, "a\0b", "."])
def test_a_space_that_is_not_there_is_named_with_those_that_are(path: str) -> None:
    assert refusal(path).endswith(
        "expected one of deep, funnel, realmlp, small, tables, tabm, tiny or a TOML file, got neither"
    )


def test_what_is_computed_of_the_largest_space_takes_no_time(tmp_path: Path) -> None:
    toml = "[depth]\nmin = 0\nmax = 100\n[widths]\nmin = 1\nmax = 65536\n"
    toml += "[activation]\nvalues = ['relu', 'tanh']\nper_layer = true\n"
    since = time.perf_counter()
    space = load_space(write(tmp_path, toml))
    assert space.summary().endswith("about 5.6e511 genomes")
    Limits().smallest(space, cost_model(4, 3))
    assert time.perf_counter() - since < 2


def refusal(path: Path | str) -> str:
    """Return the message of the error for a file, which begins with its name."""
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    message = str(caught.value)
    assert message.startswith(f"search space {path}: ")
    assert "\n" not in message
    return message
