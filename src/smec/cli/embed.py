"""``smec embed``: texts become a dataset folder of embeddings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smec.cli.options import Force
from smec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from smec.embedding import Role, TextEncoder
    from smec.embedding.estimate import Estimate
    from smec.embedding.source import TextSource


def embed(
    model: Annotated[
        str,
        typer.Argument(
            help="A sentence-transformers model, by name or folder; with --endpoint the name it has there.",
            metavar="MODEL_NAME",
        ),
    ],
    corpus: Annotated[
        Path,
        typer.Argument(
            help="BEIR folder: corpus.jsonl, and where there are any queries.jsonl and qrels/*.tsv.",
            metavar="CORPUS",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Dataset folder to write.")],
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="Base URL of an OpenAI-compatible endpoint, as https://api.openai.com/v1. Its key is read "
            "from the environment variable SMEC_API_KEY."
        ),
    ] = None,
    sentences: Annotated[
        int,
        typer.Option(
            help="Draw one sentence or title of so many documents as further training queries, each relevant "
            "to its document.",
            min=0,
        ),
    ] = 0,
    query_prompt: Annotated[
        str | None, typer.Option(help="Put before every query. Default: the model's own, where it has one.")
    ] = None,
    document_prompt: Annotated[
        str | None, typer.Option(help="Put before every document. Default: as for queries.")
    ] = None,
    dimensions: Annotated[
        int | None, typer.Option(help="Dims to ask the model for. Default: all that it has.", min=1)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Texts at once. Default: 32; 64 per request with --endpoint.", min=1)
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Requests at once, with --endpoint. Default: 4.", min=1)
    ] = None,
    requests_per_minute: Annotated[
        float | None,
        typer.Option(help="At most, repeated ones among them, with --endpoint. Default: no limit.", min=0.01),
    ] = None,
    price_per_million_tokens: Annotated[
        float | None, typer.Option(help="For the estimate of the cost, in any currency.", min=0)
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of vectors that are embedded already; kept, for other runs too. Default: "
            "OUTPUT.embedding, removed at the end."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check the texts and print the estimate.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before an endpoint is sent anything.")
    ] = False,
    force: Force = False,
) -> None:
    """Embed the texts of a BEIR folder and write a dataset folder.

    Says first how many texts, characters and tokens there are (a token taken to be 4 bytes of UTF-8) and,
    with --price-per-million-tokens, what they cost. Batches are kept as they come: after a crash the same
    command goes on and embeds nothing twice. Failed requests are repeated, with growing pauses or those
    that the server asks for.
    """
    from smec.atomic import check_free, check_keeps
    from smec.embedding import open_encoder
    from smec.embedding.cache import remove_cache, vector_cache
    from smec.embedding.dataset import embed_dataset
    from smec.embedding.source import TextSource

    check_free(output, force=force or dry_run)
    folder = cache or output.with_name(f"{output.name}.embedding")
    check_keeps(output, corpus, folder)
    source = TextSource.open(corpus)
    if sentences:
        source = _with_sentences(source, sentences)
    of_endpoint = {"concurrency": concurrency, "requests_per_minute": requests_per_minute}
    _check_settings(endpoint, of_endpoint)
    encoder = open_encoder(
        "endpoint" if endpoint else "sentence-transformers",
        model,
        prompts=_prompts(query_prompt, document_prompt),
        dimensions=dimensions,
        **_given(batch_size=batch_size, url=endpoint, **of_endpoint),
    )
    with closing(encoder):
        ahead = _estimate(source, encoder, folder)
        typer.echo(_in_words(ahead, price_per_million_tokens, paid=endpoint is not None))
        if dry_run:
            return
        if endpoint and ahead.calls and not yes:
            _ask(endpoint)
        with vector_cache(folder) as vectors, _counted(ahead) as progress:
            width = embed_dataset(source, encoder, vectors, output, force=force, progress=progress)
    if cache is None:
        remove_cache(folder)
    typer.echo(f"saved: {output} ({ahead.texts:,} texts, {width} dims{_tokens(encoder)})")
    typer.echo(f"next:  smec train {output} -o MY-MODEL{'' if source.qrels else ' --unsupervised'}")


def _with_sentences(source: TextSource, count: int) -> TextSource:
    try:
        from smec.embedding.sentences import with_sentences
    except ModuleNotFoundError as error:
        if error.name != "sentencex":
            raise
        raise MissingExtraError("sentencex", "embed", "--sentences") from error
    found = with_sentences(source, count)
    drawn = len(found.sentences)
    fewer = "" if drawn == count else f" of {count:,} that were asked for: no other document has one to draw"
    typer.echo(f"{drawn:,} sentences{fewer}")
    return found


def _estimate(source: TextSource, encoder: TextEncoder, folder: Path) -> Estimate:
    """Makes no folder: a run that stops here leaves nothing."""
    from smec.embedding.cache import vector_cache
    from smec.embedding.estimate import estimate

    with vector_cache(folder) if folder.exists() else nullcontext(frozenset[bytes]()) as cache:
        return estimate(source, encoder, cache)


def _check_settings(endpoint: str | None, of_endpoint: dict[str, Any]) -> None:
    for name in _given(**of_endpoint):
        if endpoint is None:
            raise ConfigError(f"--{name.replace('_', '-')} is for an endpoint; name one with --endpoint")


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _prompts(query: str | None, document: str | None) -> dict[Role, str]:
    given: dict[Role, str | None] = {"query": query, "document": document}
    return {role: prompt for role, prompt in given.items() if prompt is not None}


def _in_words(ahead: Estimate, price: float | None, *, paid: bool) -> str:
    cached = f", {ahead.cached:,} of them in the cache" if ahead.cached else ""
    said = [
        f"{ahead.texts:,} texts{cached}; to embed: {ahead.characters:,} characters, "
        f"about {ahead.tokens:,} tokens (4 bytes of UTF-8 each)"
    ]
    if paid:
        said.append(f"{ahead.calls:,} requests")
    if price is not None:
        said.append(f"about {ahead.cost(price):,.4f} at {price:g} per million tokens")
    return ", ".join(said)


def _ask(endpoint: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(f"nothing was sent to {endpoint.split('?')[0]}: confirm with --yes")
    typer.confirm("Send them?", abort=True, err=True)


@contextmanager
def _counted(ahead: Estimate) -> Iterator[Callable[[int], None]]:
    from smec.cli.progress import counted_progress

    done = ahead.texts - ahead.missing
    with counted_progress("texts", what="embedding", from_first=True) as show:
        show(done, ahead.texts)

        def add(texts: int) -> None:
            nonlocal done
            done += texts
            show(done, ahead.texts)

        yield add


def _tokens(encoder: TextEncoder) -> str:
    tokens = getattr(encoder, "tokens", 0)
    return f", {tokens:,} tokens used by this run" if tokens else ""
