"""Tables: where they come from, how they are cut, and how their columns are encoded.

The way of a table: `load_dataset` reads it from a source and decides the meaning of its columns and the task
(`Dataset`); `split` or other `Cuts` divide its rows; `fit_preprocessors` fits the encoding of columns on
training rows, which `encode_training_rows` and `nas.runtime.Preprocessor` apply.
"""

from nas.data.cuts import (
    Cuts,
    Split,
    folds,
    held_out,
    in_groups,
    in_order,
    n_folds,
    n_folds_of_candidates,
    split,
)
from nas.data.dataset import Dataset, load_arguments, load_dataset
from nas.data.description import Description, describe
from nas.data.files import read_table
from nas.data.numbers import BINS
from nas.data.preprocessing import (
    Rows,
    encode_training_rows,
    fit_preprocessors,
    is_target_encoded,
    settle_kinds,
    with_target_means,
)
from nas.data.sources import BUNDLED
from nas.data.table_cuts import table_cuts
from nas.data.targets import plain_label

__all__ = [
    "BINS",
    "BUNDLED",
    "Cuts",
    "Dataset",
    "Description",
    "Rows",
    "Split",
    "describe",
    "encode_training_rows",
    "fit_preprocessors",
    "folds",
    "held_out",
    "in_groups",
    "in_order",
    "is_target_encoded",
    "load_arguments",
    "load_dataset",
    "n_folds",
    "n_folds_of_candidates",
    "plain_label",
    "read_table",
    "settle_kinds",
    "split",
    "table_cuts",
    "with_target_means",
]
