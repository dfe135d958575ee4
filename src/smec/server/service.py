"""What the endpoints do, from a request to its answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast, get_args

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from smec.compressor import Compressor
from smec.errors import DataError
from smec.server.admission import RETRY_SECONDS, Admission
from smec.server.batching import Batcher
from smec.server.metrics import CONTENT_TYPE, Metrics
from smec.server.models import Models, ServedModel
from smec.server.refusals import JSON, Refusal
from smec.server.replies import Embedded
from smec.server.settings import ServerSettings
from smec.server.time_limits import time_limit
from smec.server.tokens import Caller, Gatekeeper
from smec.server.vectors_wire import ARROW, CompressRequest, arrow_rows, compress_arrow, compress_response
from smec.server.wire import (
    INPUT_TYPE,
    Encoding,
    InputType,
    ModelList,
    embedding_response,
    parse,
    request_type,
)
from smec.vectors import Float32Array

logger = logging.getLogger("smec.server")

INLINE_BYTES = 256 << 10
"""Up to so many bytes of numbers, reading them costs less than what others may wait."""

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class _Given:
    """A JSON request to ``/v1/compress``."""

    model: ServedModel
    compressor: Compressor
    dim: int
    queries: bool
    encoding: Encoding | None
    rows: Float32Array


class Service:
    """The endpoints of one server.

    Parameters
    ----------
    settings : ServerSettings

    Raises
    ------
    ArtefactError, ConfigError
        A compressor, a key or certificates cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.draining = False
        self.metrics = Metrics()
        self.models = Models(settings, self.metrics)
        self._gatekeeper = Gatekeeper(settings.tokens)
        self._admission = Admission(settings.limits, self.metrics)
        self._batcher = Batcher(self.metrics)
        forward = {f for name in settings.models for f in settings.upstream_of(name).forward}
        self.request_type = request_type(sorted(forward))

    async def embeddings(self, request: Request) -> Response:
        """``POST /v1/embeddings``."""
        caller, limits = self._caller(request), self.settings.limits
        with self._admission.place(request, limits.body_bytes) as most:
            wanted = parse(self.request_type, await self._admission.body(request, most))
            model = self._model(request, wanted.model)
            dim, encoding = model.dim(wanted.dimensions), wanted.encoding_format
            queries = model.for_queries(wanted.input_type, dim)
            inputs, forwarded = wanted.inputs(limits), wanted.forwarded(model.upstream.settings.forward)
            self._spend(request, caller, len(inputs))
            _raise(model.watch.refusal())
            compressor = model.compressor  # a reload from here on does not concern this request
            question = model.upstream.question(model.upstream_model, inputs, forwarded)
            # It may wait for long, and parsed inputs are many times the bytes that `limits` count.
            del wanted, inputs, forwarded
            embedded = await self._in_time(model.upstream.embed(question, compressor.input_dim))
            try:
                small = await self._batcher.encode(compressor, embedded.vectors, dim, queries)
            except DataError as error:
                raise Refusal(502, str(error), kind="upstream_error", code="unusable_embedding") from error
            return Response(embedding_response(small, model.name, encoding, embedded.usage), media_type=JSON)

    async def compress(self, request: Request) -> Response:
        """``POST /v1/compress``."""
        caller, limits = self._caller(request), self.settings.limits
        kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        bulk = kind == ARROW
        with self._admission.place(request, limits.bulk_bytes if bulk else limits.body_bytes) as most:
            try:
                if bulk:
                    return await self._arrow(request, caller, await self._admission.bulk_body(request, most))
                return await self._rows(request, caller, await self._admission.body(request, most))
            except DataError as error:
                raise Refusal(400, str(error), code="invalid_value", param="vectors") from error

    async def _rows(self, request: Request, caller: Caller, body: bytearray) -> Response:
        long = len(body) > INLINE_BYTES
        given = await self._batcher.run(self._given, request, body) if long else self._given(request, body)
        body.clear()
        self._spend(request, caller, len(given.rows))
        small = await self._batcher.encode(given.compressor, given.rows, given.dim, given.queries)
        return Response(compress_response(small, given.model.name, given.encoding), media_type=JSON)

    def _given(self, request: Request, body: bytearray) -> _Given:
        """What a JSON request holds, as an array: the parsed numbers are many times its bytes."""
        wanted = parse(CompressRequest, body)
        model = self._model(request, wanted.model)
        dim, compressor = model.dim(wanted.dimensions), model.compressor
        queries, rows = model.for_queries(wanted.input_type, dim), wanted.matrix(compressor.input_dim)
        return _Given(model, compressor, dim, queries, wanted.encoding_format, rows)

    async def _arrow(self, request: Request, caller: Caller, body: memoryview) -> Response:
        model = self._model(request, request.query_params.get("model", ""))
        dim, compressor = model.dim(_whole(request.query_params.get("dimensions"))), model.compressor
        queries = model.for_queries(_side(request.query_params.get(INPUT_TYPE)), dim)
        self._spend(request, caller, max(1, await self._batcher.run(arrow_rows, body)))
        small = await self._batcher.run(compress_arrow, body, compressor, dim, queries)
        return Response(memoryview(small), media_type=ARROW)

    async def list_models(self, request: Request) -> Response:
        """``GET /v1/models``."""
        self._caller(request)
        listed = ModelList(object="list", data=[model.card() for model in self.models])
        return Response(listed.model_dump_json(), media_type=JSON)

    async def one_model(self, request: Request) -> Response:
        """``GET /v1/models/NAME``."""
        self._caller(request)
        card = self.models.named(request.path_params["name"]).card()
        return Response(card.model_dump_json(), media_type=JSON)

    async def health(self, request: Request) -> Response:
        """``GET /healthz``: the process answers."""
        return Response(to_json({"status": "ok"}), media_type=JSON)

    async def ready(self, request: Request) -> Response:
        """``GET /readyz``: a model is served, and the server is not about to end."""
        models = {model.name: model.watch.state.value for model in self.models}
        serving = any(model.watch.refusal() is None for model in self.models)
        ready = serving and not self.draining
        status = "draining" if self.draining else "ready" if ready else "no model is served"
        return Response(to_json({"status": status, "models": models}), 200 if ready else 503, media_type=JSON)

    async def metrics_page(self, request: Request) -> Response:
        """``GET /metrics``."""
        self.check(request)
        return Response(self.metrics.page(), headers={"Content-Type": CONTENT_TYPE})

    def check(self, request: Request) -> None:
        """Refusal with 401 where a token is needed and none, or a wrong one, is given."""
        self._gatekeeper.caller(request.headers.get("authorization"))

    async def close(self) -> None:
        """End everything, when the last request is answered."""
        await self.models.close()
        self._batcher.close()

    def counted(self, endpoint: str, handler: Handler) -> Handler:
        """``handler`` with its errors as answers, and all answers counted."""
        seconds = self.metrics.seconds.labels(endpoint)

        async def answer(request: Request) -> Response:
            began = time.perf_counter()
            try:
                response = await handler(request)
            except Refusal as refusal:
                response = refusal.response()
            except asyncio.CancelledError:
                # Nothing cancels a request but the end of ``shutdown_seconds``.
                message = "the server is ending; send the request again"
                response = Refusal(
                    503, message, kind="server_error", code="ending", retry_after=RETRY_SECONDS
                ).response()
            except Exception as error:
                # Not its message, which might hold what the client sent.
                place = error.__traceback__
                while place is not None and place.tb_next is not None:
                    place = place.tb_next
                line = "" if place is None else f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
                logger.error("%s: unexpected %s at %s", endpoint, type(error).__name__, line)
                message = "the server failed on this request"
                response = Refusal(500, message, kind="server_error", code="internal").response()
            model, caller = (getattr(request.state, name, "") for name in ("model", "caller"))
            self.metrics.requests.labels(endpoint, model, caller, response.status_code).inc()
            seconds.observe(time.perf_counter() - began)
            return response

        return answer

    def _caller(self, request: Request) -> Caller:
        caller = self._gatekeeper.caller(request.headers.get("authorization"))
        request.state.caller = caller.name
        caller.spend_request()
        return caller

    def _model(self, request: Request, name: str) -> ServedModel:
        model = self.models.named(name)
        request.state.model = model.name  # known names only: each makes a line of the metrics
        return model

    def _spend(self, request: Request, caller: Caller, count: int) -> None:
        caller.spend_inputs(count)
        self.metrics.inputs.labels(request.scope["path"]).observe(count)

    async def _in_time(self, work: Awaitable[Embedded]) -> Embedded:
        seconds = self.settings.limits.request_seconds
        try:
            async with time_limit(seconds):
                return await work
        except asyncio.TimeoutError:
            message = f"no answer within {seconds:g} s"
            raise Refusal(504, message, kind="server_error", code="timeout") from None


def _raise(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise refusal


def _side(text: str | None) -> InputType | None:
    known = get_args(InputType)
    if text is not None and text not in known:
        message = f"{INPUT_TYPE}: must be one of {', '.join(known)}"
        raise Refusal(400, message, code="invalid_value", param=INPUT_TYPE)
    return cast("InputType | None", text)


def _whole(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Refusal(400, "dimensions: must be a whole number", code="invalid_value", param="dimensions")
    return int(text)
