"""Search spaces: which genomes may be tried, in Python and in TOML."""

from nas.space.files import available_spaces, load_space
from nas.space.space import Range, SearchSpace

__all__ = ["Range", "SearchSpace", "available_spaces", "load_space"]
