"""How sure a network's answers are, by out-of-fold predictions: functions over arrays.

- `temperature`: probabilities that are as often right as they say;
- `conformal`: intervals and sets of classes with a coverage;
- `importance`: which columns matter to the predictions;
- `measurement`: the first two together, as a saved network carries them.
"""

from nas.uncertainty.importance import ColumnEffect, Columns, FoldModel, column_importance
from nas.uncertainty.measurement import measure

__all__ = ["ColumnEffect", "Columns", "FoldModel", "column_importance", "measure"]
