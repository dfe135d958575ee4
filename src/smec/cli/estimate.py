"""Time left of a run: the work that is left, at the pace that was measured. Numbers in, numbers out."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from statistics import median

from smec.training.work import Kind

REMEMBERED = 300
"""Latest measurements of a kind that its pace is the mean of."""


class TimeLeft:
    """Estimates seconds from measured ones.

    Parameters
    ----------
    guesses : mapping of str to float, optional
        Seconds of a unit, by its name, until one has been measured.
    """

    def __init__(self, guesses: Mapping[str, float] | None = None) -> None:
        self._guesses = dict(guesses or {})
        self._taken: dict[Kind, deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def took(self, kind: Kind, units: float, seconds: float) -> None:
        """Remember a measurement; no units say nothing."""
        if units > 0:
            self._taken[kind].append((units, seconds))

    def pace(self, kind: Kind) -> float | None:
        """Seconds of one unit: measured, or else of the same unit elsewhere, or guessed; None if neither."""
        if kind in self._taken:
            return _mean(self._taken[kind])
        similar = [_mean(taken) for other, taken in self._taken.items() if other.unit == kind.unit]
        if similar:
            return median(similar)
        return self._guesses.get(kind.unit)

    def seconds(self, work: Mapping[Kind, float]) -> float | None:
        """Seconds that work takes; None where nothing is known of one of its kinds."""
        total = 0.0
        for kind, units in work.items():
            pace = self.pace(kind)
            if pace is None:
                return None
            total += pace * units
        return total


def _mean(taken: deque[tuple[float, float]]) -> float:
    """Mean seconds of a unit, of three or more measurements without the slowest: the first also loads."""
    kept = sorted(taken, key=lambda one: one[1] / one[0])
    kept = kept[:-1] if len(kept) > 2 else kept
    return sum(seconds for _, seconds in kept) / sum(units for units, _ in kept)


def in_words(seconds: float) -> str:
    """Write a time as a person would: "about 40 s", "about 12 min", "about 2 h 10 min"."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s" if seconds < 20 else f"about {5 * round(seconds / 5)} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"about {minutes} min"
    hours, rest = divmod(10 * round(minutes / 10), 60)
    return f"about {hours} h {rest} min" if rest else f"about {hours} h"


def clock_face(seconds: float) -> str:
    """Write a time that has passed: "01:30", or "1:02:30" from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
