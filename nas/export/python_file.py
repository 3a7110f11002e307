"""The format of a single Python file: a module and a script that need NumPy, but not this package."""

from __future__ import annotations

import base64
import csv
import importlib.util
import io
import json
import keyword
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pandas as pd
from safetensors.numpy import save

from nas import runtime
from nas.errors import ExportError, InputError
from nas.export.check import Predict, at_work, check_printed, with_gaps
from nas.predictions import predictions, table_for
from nas.runtime import Predictor, TableError, arrays_of, model_record, sealed

_USE = '''"""A neural network for tables, in one file: NumPy and nothing else.

As a module::

    {how}
    network.predict(table)        # a data frame, a mapping from columns to values, or rows in order
    network.predict_proba(table)  # for classes
    network.predict_interval(table, 0.9)  # for numbers; predict_set for classes

As a program::

    python {stem}.py data.csv [--proba] [--interval 0.9] > predictions.csv

Empty cells of a CSV are missing values; commas, semicolons, tabs or bars separate cells.
"""

'''

_PROGRAM = '''

_RECORD = json.loads({record})
_NUMBERS = base64.b64decode({numbers})

network = _loaded(_RECORD, _NUMBERS, "the numbers of this file")
"""The network; see `Predictor`."""


def read_csv(path: str) -> dict[str, list[Any]]:
    """The columns of a CSV file with a header; empty cells are missing values."""
    with open(path, encoding=_encoding_of(path), newline="") as file:
        delimiter = _delimiter_of(file.readline())
        file.seek(0)
        rows = csv.reader(file, delimiter=delimiter)
        names = next(rows, [])
        columns: dict[str, list[Any]] = {{name: [] for name in names}}
        for row in rows:
            if row:
                if len(row) != len(names):
                    raise TableError(f"{{path}}: expected {{len(names)}} cells a row, got {{len(row)}}")
                for name, cell in zip(names, row):
                    columns[name].append(cell if cell.strip() else None)
    for column in network.columns:
        if column.kind == "numeric" and not column.parts and column.name in columns:
            columns[column.name] = _booleans_as_numbers(columns[column.name])
    return columns


def _booleans_as_numbers(cells: list[Any]) -> list[Any]:
    """Cells as 1 and 0 where all of them are True and False; others unchanged."""
    numbers = {{"true": 1, "false": 0}}
    if not all(cell is None or cell.strip().lower() in numbers for cell in cells):
        return cells
    return [None if cell is None else numbers[cell.strip().lower()] for cell in cells]


def _encoding_of(path: str) -> str:
    """UTF-16 where the file begins with its mark, else UTF-8, or Windows' Western European."""
    with open(path, "rb") as file:
        content = file.read()
    if content[:2] in (b"\\xff\\xfe", b"\\xfe\\xff"):
        return "utf-16"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _delimiter_of(header: str) -> str:
    """The separator that makes most names of the network's columns out of the first line."""
    known = {{column.name.strip() for column in network.columns}}

    def n_known(delimiter: str) -> int:
        return len(known & {{name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])}})

    return max(",;\\t|", key=n_known)


def main(arguments: list[str]) -> int:
    """Predict for a CSV file, and print a CSV."""
    usage = f"python {{sys.argv[0]}} data.csv [--proba] [--interval 0.9] > predictions.csv"
    purpose = f"Predict {{', '.join(network.target.names)}} for the rows of a CSV file."
    parser = argparse.ArgumentParser(usage=usage, description=purpose)
    parser.add_argument("data", help="a CSV file with a header; columns of other names are ignored")
    parser.add_argument("--proba", action="store_true", help="add the probability of each class")
    parser.add_argument("--interval", type=float, help="add bounds of this coverage, such as 0.9")
    options = parser.parse_args(arguments)
    try:
        table = read_csv(options.data)
        predicted = network.predict(table)
        head = [f"predicted_{{name}}" for name in network.target.names]
        parts = [predicted.reshape(len(predicted), -1)]
        if options.proba and network.task != "regression":
            names = network.target.classes if network.task == "classification" else network.target.names
            head += [f"probability_{{name}}" for name in names]
            parts.append(network.predict_proba(table))
        if options.interval is not None:
            columns = network.interval_columns(table, options.interval)
            head += columns
            parts += [cells.reshape(-1, 1) for cells in columns.values()]
    except (OSError, UnicodeError, csv.Error, ValueError) as error:
        print(f"{{sys.argv[0]}}: {{error}}", file=sys.stderr)
        return 2
    sys.stdout.reconfigure(encoding="utf-8", newline="\\n")  # as the table is read, on every system
    writer = csv.writer(sys.stdout, lineterminator="\\n")
    writer.writerow(head)
    for row in zip(*parts):
        writer.writerow([cell for part in row for cell in part.tolist()])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
'''


def write(network: Predictor, path: Path) -> None:
    """Write a network as a Python file: the source of `nas.runtime`, the record and the weights as text."""
    source = Path(runtime.__file__).read_text(encoding="utf-8")
    _, _, body = source.partition('"""\n\nfrom __future__ import annotations\n')
    imports = "from __future__ import annotations\n\nimport argparse\nimport base64\nimport csv\nimport sys\n"
    weights = save(arrays_of(network))
    record = json.dumps(sealed(model_record(network), weights), allow_nan=False)
    program = _PROGRAM.format(record=repr(record), numbers=_folded(base64.b64encode(weights).decode()))
    how = f"from {path.stem} import network"
    if not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        how = f'network = runpy.run_path("{path.name}")["network"]  # after: import runpy'
    path.write_text(
        _USE.format(stem=path.stem, how=how) + imports + body + program,
        encoding="utf-8",
        errors="surrogateescape",
    )


def _folded(text: str, width: int = 100) -> str:
    """A string literal folded into lines of `width` characters."""
    lines = [text[i : i + width] for i in range(0, len(text), width)]
    return "\n".join(["(", *(f'    "{line}"' for line in lines), ")"])


def load(network: Predictor, path: Path) -> Predict:
    """The predictions of the file, imported as a module: it was written by this process just before."""
    return at_work(network, _module(path).network)


def check_use(network: Predictor, path: Path, rows: pd.DataFrame) -> None:
    """Run the file as a program on a CSV of rows, and compare what it prints with `nas predict`.

    Rows that a CSV file does not hold in a form that can be read again, such as durations in words, are not
    compared: nor does the network read them from a file.

    Raises
    ------
    ExportError
        If the program fails, or prints other predictions.
    """
    if not sys.executable:
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "rows.csv")
        with_gaps(network, rows).to_csv(table, index=False, sep=";")
        is_regression = network.task == "regression"
        try:
            expected = predictions(network, table_for(network, str(table)), probabilities=not is_regression)
        except (TableError, InputError):
            return
        command = [sys.executable, str(path), str(table), *([] if is_regression else ["--proba"])]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        last_line = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise ExportError(f"export: expected a program that reads a CSV file, got: {last_line}")
    printed = list(csv.reader(io.StringIO(done.stdout.decode("utf-8"), newline="")))
    check_printed(network, printed, expected)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("nas_exported", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module
