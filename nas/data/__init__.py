"""Tables: where they come from, how they are cut, and how their columns are encoded."""

from nas.data.cuts import Cuts, Split, folds, held_out, in_groups, in_order, n_folds, split
from nas.data.dataset import BUNDLED, Dataset, load_arguments, load_dataset, plain_label
from nas.data.description import Description, describe
from nas.data.files import read_table
from nas.data.preprocessing import Rows, encode_training_rows, fit_preprocessors, settle_kinds

__all__ = [
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
    "load_arguments",
    "load_dataset",
    "n_folds",
    "plain_label",
    "read_table",
    "settle_kinds",
    "split",
]
