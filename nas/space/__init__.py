"""Search spaces: which genomes may be tried, in Python and in TOML, and what they cost."""

from nas.space.costs import COSTS, CostModel, Costs, Limits, cost_model
from nas.space.files import available_spaces, load_space
from nas.space.fitting import completed, misfits
from nas.space.narrowing import narrowed
from nas.space.space import DOMAINS, SearchSpace, check_fits, encodings_of
from nas.space.values import Domain, Names, Numbers, Range

__all__ = [
    "COSTS",
    "DOMAINS",
    "CostModel",
    "Costs",
    "Domain",
    "Limits",
    "Names",
    "Numbers",
    "Range",
    "SearchSpace",
    "available_spaces",
    "check_fits",
    "completed",
    "cost_model",
    "encodings_of",
    "load_space",
    "misfits",
    "narrowed",
]
