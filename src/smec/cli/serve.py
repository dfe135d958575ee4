"""``smec serve``: small vectors for any application that calls an embeddings API."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from smec.server.models import ServedModel
    from smec.server.service import Service


def serve(
    model: Annotated[
        Path | None, typer.Argument(help="Folder of the compressor; others by --config.", metavar="MODEL")
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible API to embed with, with its /v1: https://api.openai.com/v1."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="What requests and the upstream call the model. Default: the embedding model that MODEL "
            "names, else the folder's name."
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: 8080.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="JSON file of settings, see docs/serving.md.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read settings, compressors and keys, then exit.")
    ] = False,
    new_token: Annotated[
        str | None,
        typer.Option("--new-token", help="Make a token for a client of this name, print it, and exit."),
    ] = None,
) -> None:
    """Serve small vectors in front of an OpenAI-compatible embeddings API.

    Settings come from --config, then from variables SMEC_SERVE_..., then from these options. The
    upstream's key is SMEC_SERVE_UPSTREAM__KEY. SIGTERM ends it when all accepted requests are answered;
    SIGHUP looks for replaced compressors.
    """
    if not check and new_token is None:
        _keep_alive_on_sighup()
    try:
        from smec.server.lifecycle import Server
        from smec.server.lifecycle import serve as run
        from smec.server.settings import load_settings
        from smec.server.tokens import new_token as make
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("smec"):
            raise
        raise MissingExtraError(error.name, "server", "serving") from error
    if new_token is not None:
        token, settings = make(new_token)
        shown = settings.model_dump_json(exclude_none=True)
        typer.echo(
            f"token, for the client, shown only now:  {token}\nentry of tokens in the settings:  {shown}"
        )
        return
    loaded = load_settings(config, os.environ, _given(model, upstream, name, host, port))
    if not check:
        run(loaded)
        return
    for line in _summary(Server(loaded).service):
        typer.echo(line)


def _keep_alive_on_sighup() -> None:
    """Ignore SIGHUP until the server listens to it: a reload while it starts must not end the process."""
    if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _given(
    model: Path | None, upstream: str | None, name: str | None, host: str | None, port: int | None
) -> dict[str, Any]:
    given: dict[str, Any] = {"host": host, "port": port}
    if upstream is not None:
        given["upstream"] = {"url": upstream}
    if model is not None:
        given["models"] = {name or _usual_name(model): {"path": str(model)}}
    elif name is not None:
        raise ConfigError("--name: belongs to MODEL; in a file the models have their names")
    return {field: value for field, value in given.items() if value is not None}


def _usual_name(model: Path) -> str:
    from smec.compressor import Compressor

    return Compressor.load(model).manifest.source_model or model.resolve().name


def _own_queries(model: ServedModel) -> str:
    sizes = ", ".join(map(str, model.compressor.own_queries))
    return f"; queries have a matrix of their own at {sizes}" if sizes else ""


def _summary(service: Service) -> list[str]:
    settings = service.settings
    lines = [
        f"ok: {model.name}: {model.compressor.input_dim} -> {', '.join(map(str, model.compressor.dims))} "
        f"dims, {model.dim(None)} by default; {model.upstream_model} of {model.upstream.settings.url}; "
        f"{len(model.compressor.manifest.canary_texts)} canary texts{_own_queries(model)}"
        for model in service.models
    ]
    who = json.dumps([token.name for token in settings.tokens]) if settings.tokens else "anybody"
    return [*lines, f"ok: {settings.host}:{settings.port}, {'https' if settings.tls else 'http'}, for {who}"]
