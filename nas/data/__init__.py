"""Tables: where they come from, how they are cut, and how their columns are encoded."""

from nas.data.dataset import BUNDLED, Dataset, Split, folds, load_dataset, split
from nas.data.files import read_table
from nas.data.preprocessing import fit_preprocessor

__all__ = ["BUNDLED", "Dataset", "Split", "fit_preprocessor", "folds", "load_dataset", "read_table", "split"]
