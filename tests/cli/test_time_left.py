"""Time left of a run: from measured units to seconds, to words, and to the lines of a log file."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from smec.cli.estimate import TimeLeft, clock_face, in_words
from smec.cli.lines import Lines
from smec.cli.progress import counted_progress, training_progress
from smec.training.loop import Progress
from smec.training.work import Kind, Work

STEPS, CHECKS = Kind("steps", "distilled 1"), Kind("checks", "distilled 1")
OTHER = Kind("steps", "tempered 1")


class Hand:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def at(clock: Hand, seconds: float) -> None:
    clock.now = 100.0 + seconds


def test_work_takes_what_its_units_took() -> None:
    left = TimeLeft()
    left.took(STEPS, 10, 1.0)
    left.took(CHECKS, 1, 3.0)
    assert left.seconds({STEPS: 40, CHECKS: 2}) == pytest.approx(4.0 + 6.0)


def test_a_unit_that_was_not_measured_takes_what_it_took_elsewhere() -> None:
    left = TimeLeft()
    left.took(STEPS, 1, 0.5)
    assert left.pace(OTHER) == 0.5
    left.took(OTHER, 1, 0.25)
    assert left.pace(OTHER) == 0.25


def test_nothing_is_said_of_a_kind_of_which_nothing_is_known() -> None:
    left = TimeLeft({"checks": 2.0})
    assert left.seconds({CHECKS: 3}) == 6.0
    assert left.seconds({CHECKS: 3, STEPS: 1}) is None


def test_the_slowest_of_several_measurements_does_not_count() -> None:
    left = TimeLeft()
    for seconds in (9.0, 1.0, 1.5, 0.5):  # the first one also loads libraries
        left.took(STEPS, 1, seconds)
    assert left.pace(STEPS) == pytest.approx(1.0)


def test_a_pace_that_changes_is_followed() -> None:
    left = TimeLeft()
    for seconds in [1.0] * 100 + [3.0] * 300:
        left.took(STEPS, 1, seconds)
    assert left.pace(STEPS) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "about 1 s"),
        (12.4, "about 12 s"),
        (43, "about 45 s"),
        (119, "about 2 min"),
        (3600, "about 60 min"),
        (7800, "about 2 h 10 min"),
        (7170, "about 2 h"),
    ],
)
def test_a_time_is_written_as_a_person_would(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_time_that_has_passed_is_written_as_a_clock_shows_it() -> None:
    assert [clock_face(seconds) for seconds in (4.9, 90, 3750)] == ["00:04", "01:30", "1:02:30"]


def test_a_log_file_gets_an_early_line_and_then_one_every_thirty_seconds() -> None:
    clock, said = Hand(), list[str]()
    lines = Lines("training", said.append, clock)
    for seconds in range(0, 100):
        at(clock, seconds)
        lines.update("stage 2/5", "not for lines", 120.0 - seconds)
    assert said == [
        "[00:03] training: stage 2/5, 2 %, about 2 min left",
        "[00:33] training: stage 2/5, 28 %, about 85 s left",
        "[01:03] training: stage 2/5, 52 %, about 55 s left",
        "[01:33] training: stage 2/5, 78 %, about 25 s left",
    ]


def test_a_run_of_some_seconds_says_nothing() -> None:
    clock, said = Hand(), list[str]()
    lines = Lines("training", said.append, clock)
    for seconds in range(0, 9):
        at(clock, seconds)
        lines.update("stage 1/1", "", 9.0 - seconds)
    assert said == []


def test_a_run_without_an_estimate_still_says_where_it_is() -> None:
    clock, said = Hand(), list[str]()
    lines = Lines("migrating", said.append, clock)
    lines.update("2,048 rows", "", None)
    for seconds in (3, 29, 31, 60, 62):
        at(clock, seconds)
        lines.beat()
    assert said == ["[00:31] migrating: 2,048 rows", "[01:02] migrating: 2,048 rows"]


def test_the_time_left_goes_down_between_two_measurements() -> None:
    clock, said = Hand(), list[str]()
    lines = Lines("report", said.append, clock)
    lines.update("3 of 75 searches", "", 80.0)
    at(clock, 60)
    lines.beat()
    assert said == ["[01:00] report: 3 of 75 searches, 75 %, about 20 s left"]


def test_an_estimate_that_was_wrong_is_said_again_before_thirty_seconds() -> None:
    clock, said = Hand(), list[str]()
    lines = Lines("training", said.append, clock)
    at(clock, 3)
    lines.update("starting", "", 30.0)
    at(clock, 6)
    lines.update("stage 1/12", "", 300.0)  # too soon after the first line
    at(clock, 9)
    lines.update("stage 1/12", "", 297.0)
    at(clock, 20)
    lines.update("stage 2/12", "", 286.0)
    assert said == [
        "[00:03] training: starting, 9 %, about 30 s left",
        "[00:09] training: stage 1/12, 3 %, about 5 min left",
    ]


def test_a_training_weighs_its_parts_by_measured_time() -> None:
    clock, shown = Hand(), io.StringIO()
    with training_progress(Console(file=shown), clock=clock) as callbacks:
        at(clock, 1)
        callbacks.work(Work(Kind("preparations"), 1, {STEPS: 100, CHECKS: 5}))
        at(clock, 11)
        callbacks.work(Work(CHECKS, 1, {STEPS: 100, CHECKS: 4}))
        for step in range(1, 4):
            at(clock, 11 + step / 10)
            callbacks.work(Work(STEPS, 1, {STEPS: 100 - step, CHECKS: 4}))
            callbacks.training(Progress(1, 2, (8,), step, 50, math.nan, None, "ndcg@10"))
    # 4 checks of 10 s and 99 steps of .1 s
    assert shown.getvalue() == "[00:11] training: first steps, 18 %, about 50 s left\n"


def test_rows_that_an_earlier_run_has_made_say_nothing_of_the_pace() -> None:
    clock, shown = Hand(), io.StringIO()
    with counted_progress(
        "rows", what="compressing", from_first=True, console=Console(file=shown), clock=clock
    ) as progress:
        at(clock, 1)
        progress(900, 1000)
        at(clock, 5)
        progress(910, 1000)
    assert shown.getvalue() == "[00:05] compressing: 910 of 1,000 rows, 12 %, about 35 s left\n"


def test_what_follows_the_last_unit_is_not_called_done() -> None:
    clock, shown = Hand(), io.StringIO()
    with counted_progress("rows", what="migrating", console=Console(file=shown), clock=clock) as progress:
        at(clock, 40)
        progress(1000, 1000)
    assert shown.getvalue() == "[00:40] migrating: 1,000 of 1,000 rows; finishing\n"


def test_a_guess_stands_until_steps_were_measured_and_follows_what_is_read() -> None:
    clock, shown = Hand(), io.StringIO()
    with training_progress(Console(file=shown), clock=clock, guess=100.0) as callbacks:
        at(clock, 10)
        callbacks.reading(1000, 4000)  # 30 s of reading are left
        at(clock, 40)
        callbacks.reading(4000, 4000)
        at(clock, 41)
        callbacks.work(Work(Kind("preparations"), 1, {STEPS: 100}))
        at(clock, 71)
        callbacks.work(Work(STEPS, 10, {STEPS: 90}))
    assert shown.getvalue().splitlines() == [
        "[00:10] training: reading 1,000 of 4,000 rows, 7 %, about 2 min left",
        "[00:40] training: reading 4,000 of 4,000 rows, 29 %, about 2 min left",
        "[01:11] training: first steps, 21 %, about 4 min left",
    ]


def test_nothing_is_left_when_all_work_is_done() -> None:
    clock, shown = Hand(), io.StringIO()
    with training_progress(Console(file=shown), clock=clock, guess=500.0) as callbacks:
        at(clock, 1)
        callbacks.work(Work(Kind("preparations"), 1, {Kind("checks", "codecs"): 4}))
        at(clock, 40)
        callbacks.work(Work(Kind("checks", "codecs"), 4, {}))
    assert shown.getvalue() == "[00:40] training: saving, 100 %, about 1 s left\n"
