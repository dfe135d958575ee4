"""When the next request may go out: a rate limit, and pauses that a server asks for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from threading import Event, Lock


class Pace:
    """Spaces requests of several threads evenly, and holds all of them back while a pause lasts.

    Parameters
    ----------
    per_minute : float, optional
        Requests at most; without it they go out at once.
    stopping : threading.Event, optional
        Ends every wait when it is set.
    clock, wait : callable, optional
        Seconds that never go back, and what sleeps for so many and returns true when it is to end.
    """

    def __init__(
        self,
        per_minute: float | None = None,
        *,
        stopping: Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._interval = 60 / per_minute if per_minute else 0.0
        self._clock = clock
        self._wait = wait or (stopping or Event()).wait
        self._lock = Lock()
        self._next = clock()
        self._resume = -math.inf

    def take(self) -> None:
        """Wait for this request's turn."""
        while True:
            with self._lock:
                turn = max(self._next, self._clock())
                self._next = turn + self._interval
            if (seconds := turn - self._clock()) > 0 and self._wait(seconds):
                return  # stopping
            with self._lock:
                if turn >= self._resume:  # else a pause came while it waited: a new turn, after that
                    return

    def pause(self, seconds: float) -> None:
        """Let no request go out for so many seconds from now."""
        with self._lock:
            self._resume = max(self._resume, self._clock() + seconds)
            self._next = max(self._next, self._resume)


def retry_after(header: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for: a number, or the time until a date.

    None where there is no such header, or it says nothing that can be read.
    """
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
