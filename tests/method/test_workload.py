"""Work of a training is counted before it starts, and what is done is told piece by piece."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from smec import adapt, extend
from smec.method.trainer import train
from smec.method.workload import CODECS, FEEDBACK, GATE, MIXED, PREPARED
from smec.training.loop import Progress
from smec.training.work import Kind, Work
from training_data import TWO_STAGES, short, small_dataset

PATIENT = {"every": 10, "patience": 100}
"""No stage stops early, so that all that was planned is done."""


def told(**fields: Any) -> list[Work]:
    fields["validation"] = {**PATIENT, **fields.get("validation", {})}
    work: list[Work] = []
    train(small_dataset(), config=short(**fields), work=work.append, device="cpu")
    return work


def units(work: list[Work]) -> Counter[Kind]:
    """Units of every kind that were done."""
    done: Counter[Kind] = Counter()
    for one in work:
        done[one.done] += one.units  # type: ignore[assignment]
    return done


@pytest.mark.parametrize(
    "fields",
    [
        {},
        TWO_STAGES,
        {"candidates": ("unlabelled", "distilled"), "validation": {"folds": 2, "mixtures": (0.5,)}},
        {"supervised": False},
        {"budget": 24},
    ],
    ids=["one training", "two stages", "candidates", "without labels", "budget"],
)
def test_all_that_was_planned_is_done_and_nothing_else(fields: dict[str, Any]) -> None:
    work = told(**fields)
    assert work[0].done == PREPARED
    done = units(work)
    assert done.pop(PREPARED) == 1
    assert done == Counter(work[0].left)
    assert dict(work[-1].left) == {}


def test_the_further_training_of_a_fixed_corpus_is_counted_about() -> None:
    work = told(candidates=("distilled", "tempered"), corpus="fixed", validation={"folds": 2})
    done, planned = units(work), work[0].left
    assert {"unlabelled 1", "new documents 1"} <= {kind.of for kind in planned}
    # Its fold is another one, of about as many queries.
    assert sum(done.values()) - 1 == pytest.approx(sum(planned.values()), rel=0.05)
    assert dict(work[-1].left) == {}


def test_what_is_left_and_what_is_done_make_the_whole() -> None:
    work = told(candidates=("unlabelled", "distilled"), validation={"folds": 2, "mixtures": (0.5,)})
    whole = sum(work[0].left.values())
    done = 0.0
    for one in work[1:]:
        done += one.units
        assert sum(one.left.values()) + done == pytest.approx(whole)


def test_a_training_counts_steps_checks_and_what_follows() -> None:
    left = told(candidates=("unlabelled", "distilled"), validation={"folds": 2, "mixtures": (0.5,)})[0].left
    assert left[Kind("steps", "distilled 1")] == 2 * 30
    assert left[Kind("checks", "distilled 1")] == 2 * 4  # before the first step, and after 10, 20 and 30
    assert left[Kind("starts", "distilled 1")] == 2
    assert left[MIXED] == 2 * 2  # one of each candidate on each fold
    assert min(left[GATE], left[FEEDBACK], left[CODECS]) > 0


def test_a_resumed_training_has_less_left(tmp_path: Path) -> None:
    config = short(candidates=("distilled", "tempered"), validation=PATIENT)
    seen: list[Work] = []

    def stop(progress: Progress) -> None:
        if (progress.stage, progress.step) == (3, 15):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small_dataset(), config=config, checkpoint=tmp_path / "state", progress=stop, device="cpu")
    train(
        small_dataset(),
        config=config,
        checkpoint=tmp_path / "state",
        resume=True,
        work=seen.append,
        device="cpu",
    )
    first = next(one for one in seen if one.done.unit == "steps")
    # Candidate "unlabelled", from which both go on, is done, and so is "distilled".
    assert {kind.of for kind in first.left if kind.unit == "steps"} == {"tempered 1"}
    assert dict(seen[-1].left) == {}


def test_adapting_and_extending_tell_their_work() -> None:
    model = train(small_dataset(), config=short(), device="cpu")
    for run in (adapt, extend):
        work: list[Work] = []
        if run is adapt:
            adapt(model, small_dataset(), work=work.append)
        else:
            extend(model, small_dataset(), 6, work=work.append)
        assert work[0].left and dict(work[-1].left) == {}
        assert {one.done.unit for one in work} == {"preparations", "begins", "starts", "checks", "steps"}
