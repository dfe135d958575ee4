"""Plain lines about a run, for a log file: an early estimate, and a line every 30 seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Protocol

from smec.cli.estimate import clock_face, in_words

Clock = Callable[[], float]
"""Seconds from any moment on."""

FIRST = 3.0
"""Seconds until the first line: what is measured before is little."""
EVERY = 30.0
"""Seconds between two lines."""
SHORT = 10.0
"""Seconds of a run that needs no estimate."""
WRONG = 1.4
"""Factor by which an estimate may differ from the one that was said; beyond, it is said again."""
SOONEST = 5.0
"""Seconds between two lines at least."""


class Display(Protocol):
    """Something that shows a run: a bar, or lines."""

    def update(self, text: str, bar: str, left: float | None) -> None:
        """Take how far it is, for a line and for a bar, and the seconds that are left, if known."""


class Lines:
    """Writes a line when one is due: ``[01:30] training: stage 2/5, 40 %, about 2 min left``.

    Parameters
    ----------
    what : str
        Name of the run.
    write : callable
        Takes a line, without its end.
    clock : callable
    """

    def __init__(self, what: str, write: Callable[[str], None], clock: Clock) -> None:
        self._what, self._write, self._clock = what, write, clock
        self._began = self._at = clock()
        self._text = "starting"
        self._left: float | None = None
        self._said: float | None = None
        self._total: float | None = None
        """Seconds of the whole run, as said last."""
        self._lock = Lock()

    def update(self, text: str, bar: str, left: float | None) -> None:
        """Take how far the run is, and the seconds that are left."""
        with self._lock:
            self._text, self._left, self._at = text, left, self._clock()
        self.beat()

    def beat(self) -> None:
        """Write a line, if one is due."""
        with self._lock:
            now = self._clock()
            passed = now - self._began
            left = None if self._left is None else max(0.0, self._left - (now - self._at))
            if not self._due(passed, left):
                return
            self._said = passed
            self._total = None if left is None else passed + left
            self._write(self._line(passed, left))

    def _due(self, passed: float, left: float | None) -> bool:
        if self._said is None:
            long = left is not None and passed + left > SHORT
            return passed >= EVERY or (passed >= FIRST and long)
        if passed - self._said >= EVERY:
            return True
        if left is None or passed - self._said < SOONEST or passed + left <= SHORT:
            return False
        # What is left is what one waits for: the whole differs less and less.
        before = None if self._total is None else max(0.0, self._total - passed)
        if before is None:
            return True
        return max(before, left) > SHORT and max(before, left) > WRONG * min(before, left)

    def _line(self, passed: float, left: float | None) -> str:
        start = f"[{clock_face(passed)}] {self._what}: {self._text}"
        if left is None:
            return start
        share = 100 * passed / (passed + left) if passed + left else 100
        return f"{start}, {share:.0f} %, {in_words(left)} left"


@contextmanager
def beating(lines: Lines, seconds: float = 1.0) -> Iterator[None]:
    """Let lines look every second whether one is due, as long as the block runs."""
    over = Event()

    def beat() -> None:
        while not over.wait(seconds):
            lines.beat()

    thread = Thread(target=beat, daemon=True, name="smec-progress")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
