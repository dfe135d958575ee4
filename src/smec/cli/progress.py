"""Progress bars on stderr: silent where stderr is not a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from smec.training.loop import Progress


@dataclass(frozen=True)
class Shown:
    """The callbacks that move the bar of a training."""

    training: Callable[[Progress], None]
    reading: Callable[[int, int], None]


@contextmanager
def training_progress(console: Console | None = None, *, silent: bool = False) -> Iterator[Shown]:
    """Yield the callbacks that move the bar, unless ``silent``; the time left is that of all stages."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
    disable = silent or not console.is_terminal
    with Bars(*columns, console=console, transient=True, disable=disable) as bars:
        task = bars.add_task("reading", total=None)

        def show(progress: Progress) -> None:
            done = progress.stage - 1 + progress.step / progress.steps
            bars.update(task, description=describe(progress), completed=done, total=progress.stages)

        def read(done: int, rows: int) -> None:
            bars.update(task, description=f"reading {done:,} of {rows:,} rows", completed=done, total=rows)

        yield Shown(show, read)


@contextmanager
def counted_progress(unit: str, size: int | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """Yield the callback that takes how many units are done, and of how many; all have ``size`` bytes."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Speed(ProgressColumn):
        """Units and, where their bytes are known, GB per second."""

        def render(self, task: Task) -> Text:
            if not task.speed:
                return Text("")
            bytes_ = f" {task.speed * size / task.total / 1e9:.2f} GB/s" if size and task.total else ""
            return Text(f"{task.speed:,.0f}/s{bytes_}")

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), unit, Speed(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(unit, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def describe(progress: Progress) -> str:
    """Stage, its sizes, the loss and the last validation score on one line."""
    sizes = ",".join(map(str, progress.sizes))
    text = f"stage {progress.stage}/{progress.stages} (dims {sizes})  loss {progress.loss:.4f}"
    return text if progress.score is None else f"{text}  {progress.metric} {progress.score:.4f}"
