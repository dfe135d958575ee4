"""From the answers of a judge to the train split of a dataset folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from smec import __version__
from smec.data import Dataset
from smec.errors import EndpointError
from smec.judging.answers import Answers
from smec.judging.asking import Asking, Judge
from smec.judging.plan import Plan
from smec.judging.provenance import IDS, Provenance
from smec.judging.questions import TRAIN
from smec.judging.rules import Rule, Scored, calibrated, default_rule
from smec.judging.train_file import Row, TrainFile


@dataclass(frozen=True)
class Judged:
    """Outcome of a run.

    Parameters
    ----------
    rule : Rule
        What made a document relevant.
    rows : tuple of Row
        The new judgements, grades above 0 alone.
    queries : int
        Queries with at least one of these.
    without : int
        Queries without a document that is relevant enough.
    unusable : int
        Queries whose answers could not be used.
    tokens : int
        Tokens that all the answers took, also those of earlier runs; 0 where the endpoint does not say.
    """

    rule: Rule
    rows: tuple[Row, ...]
    queries: int
    without: int
    unusable: int
    tokens: int


def judge_plan(
    planned: Plan,
    dataset: Dataset,
    judge: Judge,
    answers: Answers,
    *,
    concurrency: int = 4,
    threshold: float | None = None,
    progress: Callable[[], None] | None = None,
) -> Judged:
    """Ask what is not answered yet, and judge by the answers; nothing but ``answers`` is written.

    Parameters
    ----------
    planned : Plan
    dataset : Dataset
    judge : Judge
    answers : Answers
    concurrency : int
        Requests at once.
    threshold : float, optional
        The least score that counts; without it one is calibrated, or a fixed rule is used.
    progress : callable, optional
        Called with nothing after each answer.

    Raises
    ------
    EndpointError
        The endpoint fails, or its answers cannot be used.
    """
    asking = Asking(judge, answers, concurrency, progress)
    asking.ask(planned.questions)
    found = [(question, answers.get(question.key(judge.identity))) for question in planned.questions]
    scored = {question.query: answer for question, answer in found if answer is not None}
    usable = [question for question in planned.open if question.query in scored]
    if not usable:
        raise EndpointError(f"{judge.client.where}: none of its answers could be used; try another model")
    train = dataset.qrels.get(TRAIN, {})
    rule = _rule(
        [
            (scored[question.query].scores, [train[question.query].get(d, 0) > 0 for d in question.documents])
            for question in planned.sample
            if question.query in scored
        ],
        threshold,
        graded=judge.kind.graded,
    )
    rows = [
        Row(
            question.query,
            question.documents[place],
            int(scores[place]) if judge.kind.graded else planned.grade,
        )
        for question in usable
        for scores in [scored[question.query].scores]
        for place in rule.passing(scores)
    ]
    queries = len({row.query for row in rows})
    return Judged(
        rule=rule,
        rows=tuple(rows),
        queries=queries,
        without=len(usable) - queries,
        unusable=len(planned.open) - len(usable),
        tokens=sum(answer.tokens for answer in scored.values()),
    )


def write(judged: Judged, judge: Judge, top: int, train: TrainFile, provenance: Provenance) -> dict[str, Any]:
    """Append the judgements to the train split, and say beside it where they come from.

    Returns
    -------
    dict
        The provenance, without the ids of the queries.

    Raises
    ------
    OutputError
        The train split has changed meanwhile, or the disk refuses.
    """
    run = {
        "endpoint": judge.client.where,
        "model": judge.model,
        "kind": judge.kind_name,
        "prompt": judge.kind.prompt,
        "top": top,
        "rule": asdict(judged.rule),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "smec_version": __version__,
        "queries": judged.queries,
        "rows": len(judged.rows),
        "tokens": judged.tokens or None,
    }
    if judged.rows:
        train.check_unchanged()
        # First: rows without a source would be taken for a person's, a source without rows is dropped.
        provenance.add({**run, IDS: list(dict.fromkeys(row.query for row in judged.rows))})
        train.append(judged.rows)
    return run


def check_ids(planned: Plan, train: TrainFile) -> None:
    """Raise DataError where an id would break a row of the file: before anything is asked."""
    for question in planned.open:
        train.check_ids([question.query, *question.documents])


def _rule(sample: Sequence[Scored], threshold: float | None, *, graded: bool) -> Rule:
    if threshold is not None:
        return Rule("given", "score", threshold)
    return calibrated(sample, graded=graded) or default_rule(graded=graded)
