"""``smec inspect``: what a compressor is and where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from smec.cli.options import AsJson, Model
from smec.cli.tables import FLOAT_BYTES, print_adaptation, print_outcome

if TYPE_CHECKING:
    from smec.artefact import BlockRecord
    from smec.compressor import Compressor


def inspect(model: Model, as_json: AsJson = False) -> None:
    """Say what a compressor serves, what it was trained on and what was measured."""
    from smec.compressor import Compressor

    compressor = Compressor.load(model)
    manifest = compressor.manifest
    if as_json:
        known = {"model": str(model), **manifest.model_dump(mode="json")}
        hashes = {name: getattr(compressor, name) for name in ("fingerprint", "query_fingerprint")}
        typer.echo(json.dumps({**known, **hashes, "fallbacks": dict(compressor.fallbacks)}))
        return
    for name, value in _facts(compressor):
        typer.echo(f"{name:<12} {value}")
    typer.echo("")
    print_outcome(compressor)
    if manifest.adaptations:
        print_adaptation(manifest.adaptations[-1])


def _facts(compressor: Compressor) -> list[tuple[str, str]]:
    manifest = compressor.manifest
    labels = "with labels" if manifest.supervised else "without labels"
    sizes = (FLOAT_BYTES * dim for dim in manifest.dims)
    of_queries = [("of queries", compressor.query_fingerprint)] if compressor.own_queries else []
    return [
        ("dims", f"{manifest.input_dim} -> {_listed(manifest.dims)}"),
        ("bytes", f"{FLOAT_BYTES * manifest.input_dim} -> {_listed(sizes)} (float32)"),
        *(("sizes", _nesting(block)) for block in manifest.blocks),
        *(("codecs", f"{dim}: {_listed(names)}") for dim, names in compressor.codecs.items()),
        ("preset", f"{manifest.preset}, {labels}, seed {manifest.training.get('seed', 'unknown')}"),
        ("model", manifest.source_model or "not named"),
        *((f"data.{name}"[:12], value) for name, value in manifest.data.items()),
        *(
            ("adapted", f"{one.learned_from}, from {one.query_fingerprint[:12]}")
            for one in manifest.adaptations
        ),
        ("canaries", _listed(manifest.canary_ids) or "none named"),
        ("smec", manifest.smec_version),
        ("libraries", _listed(f"{name} {version}" for name, version in manifest.libraries.items())),
        ("fingerprint", compressor.fingerprint),
        *of_queries,
        ("sha256", manifest.tensors_sha256),
    ]


def _nesting(block: BlockRecord) -> str:
    sizes = _listed(block.dims)
    text = f"{sizes}: {block.method}"
    text += ", each a prefix of the larger ones" if len(block.dims) > 1 else ""
    text += f", made from stored vectors of {block.head_dim}" if block.head_dim is not None else ""
    return text + ("; queries have a matrix of their own" if block.query is not None else "")


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
