"""The kinds of endpoints that judge: what each is asked, and how its replies are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from smec.errors import ConfigError, EndpointError
from smec.judging import chat

LARGEST = 1e30
"""Scores beyond it are taken for a fault: sums and midpoints of them would overflow."""


@dataclass(frozen=True)
class Kind:
    """One way to ask.

    Parameters
    ----------
    path : str
        Below the endpoint's base URL.
    body : callable
        Model, query and documents to what is posted.
    scores : callable
        A parsed reply and the number of documents to one score for each document, in their order.
        EndpointError where the reply is none; `smec.judging.chat.UnusableAnswer` where only this answer is.
    graded : bool
        Scores are grades of `smec.judging.chat.GRADES`, whole numbers.
    prompt : str, optional
        The version of the prompt, for kinds that have one.
    """

    path: str
    body: Callable[[str, str, Sequence[str]], dict[str, object]]
    scores: Callable[[Any, int], list[float]]
    graded: bool = False
    prompt: str | None = None


def kind_of(name: str) -> Kind:
    """The kind of this name; ConfigError where there is none."""
    if name not in KINDS:
        raise ConfigError(f"kind {name!r} is not known; use one of {', '.join(KINDS)}")
    return KINDS[name]


def _rerank(model: str, query: str, documents: Sequence[str]) -> dict[str, object]:
    return {"model": model, "query": query, "documents": list(documents), "top_n": len(documents)}


def _voyage(model: str, query: str, documents: Sequence[str]) -> dict[str, object]:
    return {"model": model, "query": query, "documents": list(documents), "top_k": len(documents)}


def _tei(model: str, query: str, documents: Sequence[str]) -> dict[str, object]:
    # A TEI server has one model; without "truncate" a long document would end the run.
    return {"query": query, "texts": list(documents), "truncate": True}


def rerank_scores(reply: Any, count: int) -> list[float]:
    """The scores of a parsed reply to ``count`` documents, whatever order its items come in.

    Parameters
    ----------
    reply : parsed JSON
        A list of items with ``index`` and ``relevance_score`` or ``score``: bare, or the member
        ``results`` or ``data`` of an object.
    count : int

    Raises
    ------
    EndpointError
        Not such a reply, not exactly one item for each document, or a score that is no usable number.
    """
    items = reply.get("results", reply.get("data")) if isinstance(reply, dict) else reply
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise EndpointError("the reply has no list 'results' or 'data' of scores")
    if len(items) != count:
        raise EndpointError(f"the reply has {len(items)} scores for {count} documents")
    scores: dict[int, float] = {}
    for item in items:
        place = item.get("index")
        if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < count:
            raise EndpointError(f"the reply has index {place!r}, where 0 to {count - 1} were asked")
        if place in scores:
            raise EndpointError(f"the reply has index {place} twice")
        scores[place] = _score(item, place)
    return [scores[place] for place in range(count)]


def _score(item: dict[str, Any], place: int) -> float:
    score = item.get("relevance_score", item.get("score"))
    if not isinstance(score, int | float) or isinstance(score, bool):
        raise EndpointError(f"the score at index {place} is no number, but {str(score)[:40]!r}")
    if not abs(score) <= LARGEST:  # NaN too
        raise EndpointError(f"the score at index {place} is {str(score)[:40]}, out of range")
    return float(score)


KINDS = {
    "rerank": Kind("rerank", _rerank, rerank_scores),
    "voyage": Kind("rerank", _voyage, rerank_scores),
    "tei": Kind("rerank", _tei, rerank_scores),
    "chat": Kind("chat/completions", chat.body, chat.scores, graded=True, prompt=chat.PROMPT_VERSION),
}
