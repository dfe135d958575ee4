"""``smec judge``: train judgements from a reranker or a language model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smec.cli.options import AsJson, DatasetFolder
from smec.cli.tables import print_sentence
from smec.errors import MissingExtraError

if TYPE_CHECKING:
    from smec.judging.asking import Judge
    from smec.judging.plan import Estimate
    from smec.judging.rules import Rule
    from smec.judging.run import Judged


def judge(
    dataset: DatasetFolder,
    endpoint: Annotated[
        str,
        typer.Option(
            help="Base URL, as https://api.cohere.com/v2. Its key is read from the environment variable "
            "SMEC_API_KEY."
        ),
    ],
    model: Annotated[str, typer.Option(help="The name that the model has there.")],
    kind: Annotated[
        str,
        typer.Option(
            help="Kind of endpoint: rerank (Cohere, Jina, vLLM), voyage or tei at URL/rerank, or chat, an "
            "OpenAI-compatible language model at URL/chat/completions, which gives grades from 0 to 3."
        ),
    ] = "rerank",
    top: Annotated[
        int, typer.Option(help="Documents of each query, the best by the full vectors.", min=1)
    ] = 10,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="The least score or grade that makes a document relevant. Default: calibrated on judged "
            "train queries; without any grade 2 of chat, and of rerankers the best document alone where it "
            "is clearly above the others (a lead of 0.5)."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="The first unjudged queries alone. Default: all.", min=1)
    ] = None,
    concurrency: Annotated[int, typer.Option(help="Requests at once.", min=1)] = 4,
    requests_per_minute: Annotated[
        float | None, typer.Option(help="At most, repeated ones among them. Default: no limit.", min=0.01)
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="File of answers, one a line, which are not asked for again; it is kept. Default: "
            "DATASET/qrels/.judging/answers.jsonl."
        ),
    ] = None,
    remove_cache: Annotated[
        bool, typer.Option("--remove-cache", help="Delete the file of answers when all is written.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the estimate.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge queries that nobody has judged, and write them into the train split.

    Each query without a row in any qrels is sent with its best documents to a reranker or a language model;
    those that score high enough become rows of qrels/train.tsv, behind the rows that are there. What has
    judged them stands in qrels/train.judged.json. Says first what there is to ask. Answers are kept as they
    come: after a crash the same command goes on and asks nothing twice. Failed requests are repeated, with
    growing pauses or those that the server asks for.
    """
    _check_libraries()
    from smec.data import Dataset
    from smec.judging.answers import open_answers, read_answers, remove_answers
    from smec.judging.kinds import kind_of
    from smec.judging.plan import estimate, plan
    from smec.judging.provenance import Provenance
    from smec.judging.questions import TRAIN
    from smec.judging.rules import check_threshold
    from smec.judging.run import check_ids, judge_plan, write
    from smec.judging.train_file import TrainFile

    if threshold is not None:
        check_threshold(threshold, graded=kind_of(kind).graded)
    with _opened_judge(endpoint, model, kind, requests_per_minute) as judging:
        train = TrainFile.open(dataset)
        opened = Dataset.open(dataset)
        provenance = Provenance.open(dataset, opened.qrels.get(TRAIN, {}))
        planned = plan(opened, provenance, top=top, limit=limit, calibrate=threshold is None)
        check_ids(planned, train)
        file = cache or dataset / "qrels" / ".judging" / "answers.jsonl"
        ahead = estimate(planned, judging, read_answers(file))
        _say(_ahead_in_words(ahead), as_json)
        if dry_run:
            if as_json:
                typer.echo(json.dumps(asdict(ahead)))
            return
        with open_answers(file) as answers, _counted(ahead) as progress:
            judged = judge_plan(
                planned,
                opened,
                judging,
                answers,
                concurrency=concurrency,
                threshold=threshold,
                progress=progress,
            )
            written = write(judged, judging, top, train, provenance)
        if remove_cache:
            remove_answers(file)
    if as_json:
        left = {"without": judged.without, "unusable": judged.unusable, "unread": planned.unread}
        typer.echo(json.dumps({**written, **left, "estimate": asdict(ahead)}))
        return
    print_sentence(_rule_in_words(judged.rule, top, judging.kind.graded))
    for sentence in _in_words(judged, planned.unread, train.path):
        print_sentence(sentence)
    if judged.rows:
        typer.echo(f"next:  smec train {dataset} -o MY-MODEL")


@contextmanager
def _opened_judge(endpoint: str, model: str, kind: str, requests_per_minute: float | None) -> Iterator[Judge]:
    """The judge behind an endpoint, whose connections end with the block."""
    from smec.endpoint.client import EndpointClient
    from smec.judging.asking import Judge
    from smec.judging.kinds import kind_of

    asked = kind_of(kind)
    with closing(EndpointClient(endpoint, requests_per_minute=requests_per_minute)) as client:
        yield Judge(client, asked, kind, model)


def _check_libraries() -> None:
    for library in ("httpx", "tenacity"):
        try:
            import_module(library)
        except ModuleNotFoundError as error:
            raise MissingExtraError(library, "embed", "judging") from error


def _say(sentence: str, as_json: bool) -> None:
    if as_json:
        typer.echo(sentence, err=True)
    else:
        print_sentence(sentence)


def _ahead_in_words(ahead: Estimate) -> str:
    count = (
        f"{ahead.queries:,}"
        if ahead.queries == ahead.unjudged
        else f"{ahead.queries:,} of {ahead.unjudged:,}"
    )
    sample = f", and {ahead.sample:,} judged ones for the threshold" if ahead.sample else ""
    answered = f" {ahead.answered:,} of them are answered already." if ahead.answered else ""
    return (
        f"{count} unjudged queries{sample}, each with its {ahead.top} best documents.{answered} "
        f"To ask: {ahead.requests:,} requests, {ahead.documents:,} documents, {ahead.characters:,} "
        f"characters, about {ahead.tokens:,} tokens (4 bytes of UTF-8 each)"
    )


def _rule_in_words(rule: Rule, top: int, graded: bool) -> str:
    if rule.scale == "lead":
        least = (
            f"lead {rule.threshold:.3g} up (how far a document stands above the best other one, where the "
            "way from the best score to the median of the others is 1)"
        )
    else:
        least = f"{'grade' if graded else 'score'} {rule.threshold:.4g} up"
    if rule.name == "given":
        return f"relevant from {least}, as --threshold says. How sure: not measured"
    if rule.name == "default":
        return (
            f"relevant from {least}. How sure: not measured, as too few judged train queries are there; look "
            "at some rows before you train"
        )
    return (
        f"relevant from {least}, calibrated on {rule.sample} judged train queries. How sure: "
        f"{rule.precision:.0%} of what passes is relevant there, and {rule.recall:.0%} of the relevant "
        f"documents among the best {top} pass, on queries that it was not chosen on. Documents that nobody "
        "judged count as not relevant"
    )


def _in_words(judged: Judged, unread: int, path: Path) -> Iterator[str]:
    if judged.without:
        yield f"{judged.without:,} queries stay unjudged: none of their documents is relevant enough"
    if judged.unusable:
        yield f"{judged.unusable:,} queries stay unjudged: their answers could not be used"
    if unread:
        yield f"{unread:,} queries stay unjudged: they have no text, or none of their best documents has some"
    if not judged.rows:
        yield f"nothing was written: no document is relevant enough; {path} stays as it was"
        return
    tokens = f", {judged.tokens:,} tokens used" if judged.tokens else ""
    yield f"saved: {path} ({len(judged.rows):,} new rows of {judged.queries:,} queries{tokens})"


@contextmanager
def _counted(ahead: Estimate) -> Iterator[Callable[[], None]]:
    from smec.cli.progress import counted_progress

    done = ahead.answered
    with counted_progress("queries", what="judging", from_first=True) as show:
        show(done, ahead.answered + ahead.requests)

        def add() -> None:
            nonlocal done
            done += 1
            show(done, ahead.answered + ahead.requests)

        yield add
