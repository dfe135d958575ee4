"""One run at a time in an output folder: a lock on a file here, a lease in a store."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from filelock import FileLock, Timeout

from smec.data.places import Location, Place, reason
from smec.errors import OutputError

LOCK = ".lock"

BEAT = 5.0
"""Seconds between two signs of life in a lease."""

PATIENCE = 4
"""Beats without a sign of life after which a lease is stale."""

Check = Callable[[], None]
"""Raises OutputError when the folder is another run's by now."""


@contextmanager
def locked(output: Location) -> Iterator[Check]:
    """Hold a folder, which is made if it is not there.

    Here the operating system keeps the lock, and frees it whatever ends the run. In a store it is a
    lease: the object ``.lock`` with a random token and a number that grows every `BEAT` seconds. A run
    that finds one watches it: if it changes, another run is at work; if it does not for `PATIENCE` beats,
    its run is dead and the lease is taken over. No clocks are compared.

    pyarrow offers no write that fails when another was first. So a run reads its lease back, and again
    after every shard, and ends when it is another's. What remains: a run whose check and write are torn
    apart by the other's, or that was halted for the whole of the patience, works on until its next shard
    is done. Runs of one job write the same bytes, so only those of different jobs can do harm by that.

    Raises
    ------
    OutputError
        Another run is at work, or the folder cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        if isinstance(output, Path):
            with FileLock(output / LOCK, timeout=0):
                yield lambda: None
        else:
            with _leased(output) as check:
                yield check
    except Timeout as error:
        raise _refused(output) from error
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {reason(error)}") from error


def _refused(output: Location) -> OutputError:
    return OutputError(f"{output}: another run is at work there; wait for it, or stop it")


@contextmanager
def _leased(output: Place) -> Iterator[Check]:
    lease = output / LOCK
    _watch(output, _read(lease))
    token = uuid.uuid4().hex
    _write(lease, token, 0)
    if _token(lease) != token:
        raise _refused(output)
    ended = Event()
    beating = Thread(target=_beat, args=(lease, token, ended), daemon=True)
    beating.start()

    def check() -> None:
        if _token(lease) != token:
            raise OutputError(
                f"{output}: another run has taken over; see that there is only one, and --resume"
            )

    try:
        yield check
    finally:
        ended.set()
        beating.join()
        if _token(lease) == token:
            lease.delete()


def _watch(output: Place, found: str | None) -> None:
    """Raise OutputError if the lease that was found changes within the patience."""
    for _ in range(PATIENCE if found is not None else 0):
        time.sleep(BEAT)
        now = _read(output / LOCK)
        if now is None:
            return
        if now != found:
            raise _refused(output)


def _beat(lease: Place, token: str, ended: Event) -> None:
    number = 0
    while not ended.wait(BEAT):
        number += 1
        try:
            if _token(lease) != token:
                return
            _write(lease, token, number)
        except OSError:
            continue  # a store that does not answer now may at the next beat


def _read(lease: Place) -> str | None:
    try:
        return lease.read_text()
    except FileNotFoundError:
        return None


def _token(lease: Place) -> str | None:
    return (_read(lease) or "").partition(" ")[0] or None


def _write(lease: Place, token: str, beat: int) -> None:
    with tempfile.TemporaryDirectory(prefix="smec-") as folder:
        file = Path(folder) / lease.name
        file.write_text(f"{token} {beat}", encoding="utf-8")
        lease.upload(file)
