"""Progress on stderr: a bar on a terminal, elsewhere a plain line now and then, both with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from smec.cli.estimate import TimeLeft
from smec.cli.lines import Clock, Display, Lines, beating
from smec.training.work import Kind, Work

if TYPE_CHECKING:
    from rich.console import Console

    from smec.training.loop import Progress


@dataclass(frozen=True)
class Shown:
    """The callbacks that show a training."""

    training: Callable[[Progress], None]
    reading: Callable[[int, int], None]
    work: Callable[[Work], None]


@contextmanager
def training_progress(
    console: Console | None = None,
    *,
    silent: bool = False,
    what: str = "training",
    guess: float | None = None,
    reading: float = 0.0,
    clock: Clock = time.monotonic,
) -> Iterator[Shown]:
    """Yield the callbacks that show a training, unless ``silent``; the time left is that of the whole run.

    ``guess`` is what it takes in seconds, and ``reading`` what reading takes, until they have been measured.
    """
    with _display(console, what, silent=silent, clock=clock) as display:
        training = _Training(display, clock, guess, reading)
        yield Shown(training.step, training.read, training.work)


class _Training:
    """Measures what a training does, and shows where it is."""

    def __init__(self, display: Display, clock: Clock, guess: float | None, reading: float) -> None:
        self._display, self._clock, self._guess = display, clock, guess
        self._left = TimeLeft()
        self._began = self._last = clock()
        self._read = 0
        self._ahead: Mapping[Kind, float] | None = None
        self._text = self._bar = "starting"
        display.update(self._text, self._bar, None if guess is None else guess + reading)

    def read(self, done: int, rows: int) -> None:
        """Show how much of a corpus is read."""
        self._took(Kind("rows"), done - self._read)
        self._read, text = done, f"reading {done:,} of {rows:,} rows"
        self._began = self._clock()  # what was guessed follows it
        ahead = self._left.seconds({Kind("rows"): rows - done})
        after = None if self._guess is None or ahead is None else ahead + self._guess
        self._display.update(text, text, after)

    def work(self, work: Work) -> None:
        """Measure what was done since the call before."""
        self._took(work.done, work.units)
        self._ahead = work.left
        if work.done.unit not in ("steps", "checks", "starts", "begins"):
            self._text = self._bar = "first steps"
        elif not any(kind.unit == "steps" for kind in work.left):
            self._text = self._bar = next((kind.of for kind in work.left), "saving")
        self._show()

    def step(self, progress: Progress) -> None:
        """Show the stage, its loss and its score."""
        self._text, self._bar = f"stage {progress.stage}/{progress.stages}", describe(progress)
        self._show()

    def _show(self) -> None:
        left = None if self._ahead is None else self._left.seconds(self._ahead)
        if left is None and self._guess is not None:
            left = max(0.0, self._guess - (self._clock() - self._began))
        self._display.update(self._text, self._bar, left)

    def _took(self, kind: Kind, units: float) -> None:
        now = self._clock()
        self._left.took(kind, units, now - self._last)
        self._last = now


@contextmanager
def counted_progress(
    unit: str,
    size: int | None = None,
    *,
    what: str,
    guess: float | None = None,
    from_first: bool = False,
    silent: bool = False,
    console: Console | None = None,
    clock: Clock = time.monotonic,
) -> Iterator[Counted]:
    """Yield the callback that takes how many units are done, and of how many.

    Parameters
    ----------
    unit : str
        Name of the units, in the plural.
    size : int, optional
        Bytes of all of them.
    what : str
        Name of the work, for plain lines.
    guess : float, optional
        Seconds of the whole, until units were measured.
    from_first : bool
        Measure from the first call on: before it, other things are done, or an earlier run did the units.
    silent : bool
        Show nothing.
    """
    with _display(console, what, silent=silent, clock=clock) as display:
        counted = Counted(display, clock, unit, size, guess, from_first)
        display.update("starting", "starting", guess)
        yield counted


class Counted:
    """Measures units of work, and shows how many are done."""

    def __init__(
        self,
        display: Display,
        clock: Clock,
        unit: str,
        size: int | None,
        guess: float | None,
        from_first: bool,
    ) -> None:
        self._display, self._clock, self._unit, self._size = display, clock, unit, size
        self._left = TimeLeft()
        self._guess, self._from_first = guess, from_first
        self._began = self._last = clock()
        self._done = self._read = 0

    def reading(self, done: int, total: int) -> None:
        """Measure the rows that are read before the work, and show how many are."""
        now = self._clock()
        self._left.took(Kind("rows"), done - self._read, now - self._last)
        self._last = self._began = now  # what was guessed follows it
        self._read, text = done, f"reading {done:,} of {total:,} rows"
        ahead = self._left.seconds({Kind("rows"): total - done})
        after = None if self._guess is None or ahead is None else ahead + self._guess
        self._display.update(text, text, after)

    def __call__(self, done: int, total: int | None) -> None:
        """Measure the units since the call before, and show what is done."""
        now, kind = self._clock(), Kind(self._unit)
        if not self._from_first:
            self._left.took(kind, done - self._done, now - self._last)
        self._last, self._done, self._from_first = now, done, False
        of = "" if total is None else f" of {total:,}"
        text = f"{done:,}{of} {self._unit}"
        left = None if total is None else self._left.seconds({kind: total - done})
        if left is None and self._guess is not None:
            left = max(0.0, self._guess - (now - self._began))
        if done == total:  # what follows is not counted
            text, left = f"{text}; finishing", None
        self._display.update(text, f"{text}  {self._speed(total)}", left)

    def _speed(self, total: int | None) -> str:
        """Units and, where their bytes are known, GB per second."""
        pace = self._left.pace(Kind(self._unit))
        if not pace:
            return ""
        bytes_ = f" {self._size / total / pace / 1e9:.2f} GB/s" if self._size and total else ""
        return f"{1 / pace:,.0f}/s{bytes_}"


@contextmanager
def _display(
    console: Console | None, what: str, *, silent: bool = False, clock: Clock = time.monotonic
) -> Iterator[Display]:
    from rich.console import Console

    console = console or Console(stderr=True)
    if silent:
        yield _Nothing()
    elif console.is_terminal:
        with _bar(console, clock) as bar:
            yield bar
    else:
        stream = console.file
        lines = Lines(what, lambda line: typer.echo(line, file=stream), clock)
        # A clock that is moved by hand needs nobody to look at it.
        with beating(lines) if clock is time.monotonic else nullcontext():
            yield lines


class _Nothing:
    def update(self, text: str, bar: str, left: float | None) -> None:
        """Show nothing."""


@contextmanager
def _bar(console: Console, clock: Clock) -> Iterator[Display]:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    from smec.cli.estimate import in_words

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    began = clock()
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("starting", total=None, left="")

        class Bar:
            def update(self, text: str, bar: str, left: float | None) -> None:
                passed = clock() - began
                total = None if left is None else passed + left
                words = "" if left is None else f"{in_words(left)} left"
                bars.update(task, description=bar, completed=passed, total=total, left=words)

        yield Bar()


def describe(progress: Progress) -> str:
    """Stage, its sizes, the loss and the last validation score on one line."""
    sizes = ",".join(map(str, progress.sizes))
    text = f"stage {progress.stage}/{progress.stages} (dims {sizes})  loss {progress.loss:.4f}"
    return text if progress.score is None else f"{text}  {progress.metric} {progress.score:.4f}"
