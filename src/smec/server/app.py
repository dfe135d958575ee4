"""The web application: its paths, its OpenAPI description, and the life of what serves it.

Starlette serves the paths. FastAPI only describes them: what it does for every request is not needed here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smec import __version__
from smec.server.description import PARAMETERS, REASONS, answers, body, known, page, secured
from smec.server.refusals import JSON, Refusal
from smec.server.service import Handler, Service
from smec.server.settings import ServerSettings, is_loopback
from smec.server.vectors_wire import ARROW, CompressRequest, CompressResponse
from smec.server.wire import EmbeddingResponse, ModelCard, ModelList

HEALTH = ("/healthz", "/readyz")
"""Asked by supervisors, under whatever name they have; they tell nothing but names of models."""

ARROW_BODY = {"schema": {"type": "string", "format": "binary"}}


def create_app(settings: ServerSettings) -> Starlette:
    """The application of one server; its `Service` is ``app.state.service``.

    Raises
    ------
    ArtefactError, ConfigError
        A compressor, a key or certificates cannot be used.
    """
    service = Service(settings)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        service.models.start()
        yield
        await service.close()

    app = Starlette(lifespan=life)
    app.router.redirect_slashes = False  # it would name a host that the client made up
    app.state.service = service
    description = FastAPI(
        title="smec serve",
        version=__version__,
        description="Embeddings of an OpenAI-compatible API, made smaller.",
    )

    def add(method: str, path: str, handler: Handler, summary: str, **more: Any) -> None:
        async def endpoint(request: Request) -> Response:
            return await answer(request)

        answer = service.counted(path, handler)
        route = Route(path, endpoint, methods=[method])
        route.methods = {method}  # not HEAD too
        app.router.routes.append(route)
        description.add_api_route(
            path, endpoint, methods=[method], summary=summary, response_model=None, **more
        )

    add(
        "POST",
        "/v1/embeddings",
        service.embeddings,
        "Embed texts, as small vectors.",
        responses=answers(EmbeddingResponse, 400, 401, 404, 408, 413, 429, 502, 503, 504),
        openapi_extra=body({JSON: {"schema": known(service.request_type, service.models)}}),
    )
    add(
        "POST",
        "/v1/compress",
        service.compress,
        "Make vectors small.",
        responses=answers(CompressResponse, 400, 401, 404, 408, 413, 429, also={ARROW: ARROW_BODY}),
        openapi_extra=body({JSON: {"schema": known(CompressRequest, service.models)}, ARROW: ARROW_BODY})
        | {"parameters": PARAMETERS},
    )
    add(
        "GET",
        "/v1/models",
        service.list_models,
        "The served models and their sizes.",
        responses=answers(ModelList, 401, 429),
    )
    add(
        "GET",
        "/v1/models/{name:path}",
        service.one_model,
        "One served model.",
        responses=answers(ModelCard, 401, 404, 429),
        openapi_extra={
            "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
        },
    )
    add("GET", "/healthz", service.health, "The process answers.")
    add(
        "GET",
        "/readyz",
        service.ready,
        "Whether requests are served.",
        responses={503: {"description": "Not ready"}},
    )
    add("GET", "/metrics", service.metrics_page, "Prometheus metrics.", responses=answers(None, 401))

    async def document(request: Request) -> Response:
        service.check(request)
        return JSONResponse(described)

    async def reading(request: Request) -> Response:
        service.check(request)
        return HTMLResponse(page(described))

    add("GET", "/openapi.json", document, "This description.", responses=answers(None, 401))
    add("GET", "/docs", reading, "This description, as a page.", responses=answers(None, 401))
    described = description.openapi()
    if settings.tokens:
        secured(described)

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = REASONS[405] if status == 405 else f"there is nothing at {request.scope['path']}"
        headers = getattr(error, "headers", None) or {}
        response = Refusal(status, said, code="unknown_url").response()
        response.headers.update(headers)
        return response

    app.add_exception_handler(HTTPException, refused)
    app.add_middleware(_Closing, service=service)
    if not settings.tokens and not settings.open:
        app.add_middleware(_LocalOnly)
    return app


class _LocalOnly:
    """Answers no request that names another host, where everybody on this machine may ask.

    A page in a browser can make its own host's name an alias of this machine (DNS rebinding), and then ask
    as if it were of the same origin; the name in its requests tells.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in HEALTH:
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if not all(map(is_local, hosts)):
                message = "the Host of the request is not this machine: set tokens, or open behind a gateway"
                await Refusal(403, message, code="forbidden_host").response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


@lru_cache(maxsize=64)
def is_local(host: str) -> bool:
    """Whether a ``Host`` header names this machine, with any port."""
    name = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]+)(:\d*)?", host)
    return name is not None and is_loopback(name[1].strip("[]").lower())


class _Closing:
    """While the server drains, every answer tells its client to come back on another connection."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._service.draining:
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, closing)
