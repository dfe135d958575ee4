"""Work of a training in units that take time: what has been done, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Kind(NamedTuple):
    """Kind of work whose units take about the same time."""

    unit: str
    """Name of the unit: "steps", "checks", "starts", ..."""
    of: str = ""
    """Part of the training. Units of one name take a similar time in other parts."""


@dataclass(frozen=True)
class Work:
    """Work that has been done since the call before, and what is left.

    Attributes
    ----------
    done : Kind
        Work that the time since the call before went to.
    units : float
        Its number of units.
    left : mapping of Kind to float
        Units of every kind that are planned still. A stage that stops early does not take all of them.
    """

    done: Kind
    units: float
    left: Mapping[Kind, float]


OnWork = Callable[[Work], None]
