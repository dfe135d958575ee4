"""Plan of a run of judging: its questions, and how much they take, before it starts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from smec.data import Dataset
from smec.endpoint import BYTES_PER_TOKEN
from smec.errors import DataError
from smec.judging.answers import Answers
from smec.judging.asking import Judge
from smec.judging.provenance import Provenance
from smec.judging.questions import TRAIN, Question, calibration_ids, questions, readable, unjudged

SAMPLE = 100
"""Judged train queries that a threshold is calibrated on, at most."""


@dataclass(frozen=True)
class Plan:
    """The questions of a run.

    Parameters
    ----------
    top : int
        Documents of a query, at most.
    unjudged : int
        Queries without a row in any split.
    unread : int
        Queries that this run looks at, and that have no text or no document with some.
    open : tuple of Question
        On unjudged queries.
    sample : tuple of Question
        On judged train queries, for the threshold.
    grade : int
        What people have given most often in the train split, so that new rows weigh as much; 1 without any.
    """

    top: int
    unjudged: int
    unread: int
    open: tuple[Question, ...]
    sample: tuple[Question, ...]
    grade: int

    @property
    def questions(self) -> tuple[Question, ...]:
        """All, those of the sample first."""
        return (*self.sample, *self.open)


@dataclass(frozen=True)
class Estimate:
    """How much there is to ask.

    Parameters
    ----------
    unjudged, queries, sample, top, unread : int
        Those of the plan; ``queries`` are to be judged, ``sample`` to be asked for the threshold.
    answered : int
        Queries among these whose answers an earlier run has left.
    requests, documents : int
        What is asked for the others, each request with one query and its documents.
    characters, tokens : int
        Sent with them; a token is taken to be `smec.endpoint.BYTES_PER_TOKEN` bytes of UTF-8.
    """

    unjudged: int
    queries: int
    sample: int
    top: int
    unread: int
    answered: int
    requests: int
    documents: int
    characters: int
    tokens: int


def plan(
    dataset: Dataset, provenance: Provenance, *, top: int, limit: int | None = None, calibrate: bool = True
) -> Plan:
    """Find the questions of a run.

    Parameters
    ----------
    dataset : Dataset
    provenance : Provenance
        Earlier runs of judges on it.
    top : int
        Documents of a query, at most.
    limit : int, optional
        The first unjudged queries, at most so many.
    calibrate : bool
        Ask on a sample of judged train queries too, where there are any.

    Raises
    ------
    DataError
        Nothing can be judged: no texts, no unjudged queries, or unusable train judgements.
    """
    queries = readable(dataset)
    ids = unjudged(dataset, queries)
    looked_at = ids[:limit]
    asked = questions(dataset, queries, looked_at, top)
    if not asked:
        raise DataError(
            f"{queries.name}: none of {len(looked_at):,} unjudged queries has a text and documents with text"
        )
    judged = calibration_ids(dataset, SAMPLE, provenance.queries)  # checks the train split in any case
    sample = judged if calibrate else []
    return Plan(
        top=top,
        unjudged=len(ids),
        unread=len(looked_at) - len(asked),
        open=tuple(asked),
        sample=tuple(questions(dataset, queries, sample, top)),
        grade=_usual_grade(dataset, provenance),
    )


def _usual_grade(dataset: Dataset, provenance: Provenance) -> int:
    grades = Counter(
        grade
        for query, judged in dataset.qrels.get(TRAIN, {}).items()
        if query not in provenance.queries
        for grade in judged.values()
        if grade > 0
    )
    return grades.most_common(1)[0][0] if grades else 1


def estimate(planned: Plan, judge: Judge, answers: Answers) -> Estimate:
    """Count what is not answered yet.

    Raises
    ------
    DataError
        A query or a document holds what cannot be sent.
    """
    requests = documents = characters = bytes_ = 0
    for question in planned.questions:
        if question.key(judge.identity) in answers:
            continue
        body = judge.kind.body(judge.model, question.text, question.texts)
        sent = json.dumps(body, ensure_ascii=False)
        requests += 1
        documents += len(question.documents)
        characters += len(sent)
        bytes_ += _utf8(sent, question.query)
    return Estimate(
        unjudged=planned.unjudged,
        queries=len(planned.open),
        sample=len(planned.sample),
        top=planned.top,
        unread=planned.unread,
        answered=len(planned.questions) - requests,
        requests=requests,
        documents=documents,
        characters=characters,
        tokens=-(-bytes_ // BYTES_PER_TOKEN),
    )


def _utf8(sent: str, query: str) -> int:
    """Bytes of what is sent for a query."""
    try:
        return len(sent.encode())
    except UnicodeEncodeError as error:  # JSON can spell what is no text: "\\ud800" alone
        raise DataError(
            f"query {query!r}, or one of its documents, holds half of a surrogate pair; repair or drop it"
        ) from error
