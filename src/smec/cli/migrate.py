"""``smec migrate``: a collection of a vector database, made smaller in the same or another one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smec.cli.options import AsJson

if TYPE_CHECKING:
    from smec.databases.comparison import Side
    from smec.databases.migration import Migrated


def migrate(
    source: Annotated[
        str,
        typer.Argument(
            help="Collection to read: lancedb:///FOLDER#TABLE, qdrant:///FOLDER#COLLECTION or "
            "qdrant://HOST:6333#COLLECTION, postgresql://USER@HOST/BASE#TABLE, chroma:///FOLDER#COLLECTION. "
            "?vector=COLUMN&id=COLUMN may follow.",
            metavar="SOURCE",
        ),
    ],
    target: Annotated[
        str, typer.Argument(help="Collection to make, in any of these databases.", metavar="TARGET")
    ],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of the compressor.")],
    dim: Annotated[int | None, typer.Option(help="Size to write. Default: the largest.")] = None,
    codec: Annotated[
        str,
        typer.Option(
            help="How a vector is stored: float32 (pgvector's vector); float16 (halfvec; LanceDB, Qdrant); "
            "binary (bit; LanceDB), searched by Hamming distance."
        ),
    ] = "float32",
    resume: Annotated[
        bool, typer.Option("--resume", help="Write the rows that an earlier run has not written.")
    ] = False,
    any_data: Annotated[
        bool,
        typer.Option(
            "--any-data", help="Take rows too that do not look like what MODEL was trained on, at your risk."
        ),
    ] = False,
    batch: Annotated[int, typer.Option(help="Rows read, and rows written, together.", min=1)] = 2048,
    as_json: AsJson = False,
) -> None:
    """Compress a collection of a vector database into a new one, with ids and payload.

    The target is stamped with the compressor's fingerprint, and vectors of another compressor or size are
    never mixed into it. At the end rows are counted, a sample is read back, and the same queries, rows of
    the source, are asked of both: what the ten nearest have in common, the time, and the bytes on disk.
    """
    from smec.cli.progress import counted_progress
    from smec.compressor import Compressor
    from smec.databases.migration import migrate as run

    compressor = Compressor.load(model)
    with counted_progress("rows", what="migrating") as progress:
        migrated = run(
            compressor,
            source,
            target,
            dim=dim,
            codec=codec,
            resume=resume,
            any_data=any_data,
            page_rows=batch,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(migrated)))
        return
    _print(migrated)


def _print(migrated: Migrated) -> None:
    from smec.cli.tables import print_table

    header = ["", "dims", "codec", "bytes/vector", "index", "on disk", "query (median)"]
    print_table(header, [[_row("source", migrated.source), _row("target", migrated.target)]])
    again = f", {migrated.reused:,} of them from before" if migrated.reused else ""
    typer.echo(
        f"{migrated.target.name}: {migrated.rows:,} rows{again}; {migrated.verified} read back and right"
    )
    typer.echo(
        f"top-10 overlap with the source: {100 * migrated.overlap:.1f} % over {migrated.queries} of its own "
        "rows as queries"
    )


def _row(role: str, side: Side) -> list[str]:
    sizes = [_bytes(side.size.index), _bytes(side.size.whole)]
    return [role, str(side.dim), side.codec, f"{side.bytes_per_vector:,}", *sizes, f"{side.query_ms:.1f} ms"]


def _bytes(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.2f} MB"
