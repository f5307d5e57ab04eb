"""Tables of figures, a line for each group of pictures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

Row = Mapping[str, float]

WIDTH = 15


def print_table(title: str, groups: Mapping[str, Sequence[Row]]) -> None:
    """A line for each group: means over its rows that have the figure, and the largest of a column named "max"."""
    columns = list(next(row for rows in groups.values() for row in rows))
    print(f"  {title}\n  {'':{WIDTH}}" + "".join(f"{name:>{WIDTH}}" for name in columns))
    for name, rows in groups.items():
        print(f"  {name:{WIDTH}}" + "".join(f"{_summary(column, rows):{WIDTH}.4f}" for column in columns), flush=True)


def _summary(column: str, rows: Sequence[Row]) -> float:
    values = [row[column] for row in rows if not math.isnan(row[column])]
    if not values:
        return math.nan
    return max(values) if column.startswith("max") else statistics.fmean(values)
