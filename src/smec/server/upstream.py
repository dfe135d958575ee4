"""The client of the embeddings API behind the server: bounded, patient only where that is safe."""

from __future__ import annotations

import asyncio
import io
import random
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp
from pydantic_core import from_json, to_json
from yarl import URL

from smec import __version__
from smec.errors import ConfigError
from smec.server.metrics import Metrics
from smec.server.refusals import Refusal
from smec.server.replies import Embedded, invalid, most_bytes, read_reply
from smec.server.settings import UpstreamSettings
from smec.server.time_limits import time_limit
from smec.server.wire import Inputs

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
"""Seconds; each pause is a random share of the double of the one before."""

MOST_WAIT = 3600.0
"""Seconds that a ``Retry-After`` may ask for: it may say "inf"."""

THE_CLIENTS_FAULT = (400, 404, 413, 422)
"""Statuses that say that the input is at fault, whose message the client gets."""

IDLE_SECONDS = 60.0
"""Time after which a connection that nobody uses is closed."""

LONGEST_LINE = 64 << 10
"""Bytes of a line of an answer's head."""

BY_PARTS = 1 << 20
"""Bytes of a request above which it is handed to the system part by part."""


class _Failure(Exception):
    """One try that failed; another one may be made where ``again`` is set."""

    def __init__(self, refusal: Refusal, kind: str, *, again: bool) -> None:
        super().__init__(kind)
        self.refusal = refusal
        self.kind = kind
        self.again = again


@dataclass(frozen=True)
class Question:
    """The body of a request, ready to be sent: a fraction of the memory of parsed inputs."""

    content: bytes
    count: int
    """Of its inputs."""


class Upstream:
    """Asks one API for embeddings.

    Parameters
    ----------
    settings : UpstreamSettings
    metrics : Metrics

    Raises
    ------
    ConfigError
        The key or the certificates cannot be read.
    """

    def __init__(self, settings: UpstreamSettings, metrics: Metrics) -> None:
        self.settings = settings
        self._metrics = metrics
        self._secret = settings.secret()
        self._places = asyncio.Semaphore(settings.connections)
        self._url = URL(f"{settings.url}/embeddings")
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"smec/{__version__}",
        }
        if self._secret is not None:
            self._headers["Authorization"] = f"Bearer {self._secret}"
        self._ssl = ssl.create_default_context() if settings.ca_file is None else _trusted(settings.ca_file)

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        """Connections that later requests use again; it belongs to the event loop that asks first.

        No variable of the environment names a proxy, no cookie is kept, and the number of connections is that
        of `_places`.
        """
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS, ssl=self._ssl),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.settings.connect_seconds),
            trust_env=False,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )

    def question(self, model: str, inputs: Inputs, forwarded: Mapping[str, Any] | None = None) -> Question:
        """What `embed` sends.

        Parameters
        ----------
        model : str
            What the upstream calls it.
        inputs : list of n str or n lists of int
        forwarded : mapping, optional
            Further fields of the request.
        """
        body = {"model": model, "input": inputs, "encoding_format": self.settings.encoding}
        return Question(to_json({**(forwarded or {}), **body}), len(inputs))

    async def embed(self, question: Question, width: int) -> Embedded:
        """Embed texts or token lists.

        Parameters
        ----------
        question : Question
            With n inputs.
        width : int
            D, which its vectors must have.

        Returns
        -------
        Embedded
            Vectors of shape (n, D).

        Raises
        ------
        Refusal
            It does not answer, answers with an error, or with what cannot be used.
        """
        count, most = question.count, most_bytes(question.count, width)
        async with self._places:
            for tries_left in range(self.settings.retries, -1, -1):
                began = time.perf_counter()
                try:
                    reply = await self._try(question.content, most)
                    embedded = read_reply(reply, count, width)
                except _Failure as failure:
                    self._metrics.upstream_errors.labels(failure.kind).inc()
                    if not (failure.again and tries_left):
                        raise failure.refusal from None
                    pause = self._pause(self.settings.retries - tries_left, failure.refusal.retry_after)
                except Refusal:
                    self._metrics.upstream_errors.labels("invalid").inc()
                    raise
                else:
                    self._metrics.upstream_seconds.observe(time.perf_counter() - began)
                    return embedded
                self._metrics.upstream_retries.inc()
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _try(self, content: bytes, most: int) -> bytes:
        try:
            async with time_limit(self.settings.seconds):
                return await self._ask(content, most)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            refusal = _refusal(502, "the upstream cannot be reached", "upstream_unreachable")
            raise _Failure(refusal, "connect", again=True) from error
        except asyncio.TimeoutError as error:
            message = f"the upstream did not answer within {self.settings.seconds:g} s"
            raise _Failure(_refusal(504, message, "upstream_timeout"), "timeout", again=False) from error
        except (aiohttp.ClientError, OSError) as error:
            refusal = _refusal(502, "the upstream cut the connection", "upstream_cut")
            raise _Failure(refusal, "cut", again=True) from error

    async def _ask(self, content: bytes, most: int) -> bytes:
        data = content if len(content) <= BY_PARTS else io.BytesIO(content)
        async with self._session.post(self._url, data=data, allow_redirects=False) as response:
            good = response.status == 200
            if good and response.headers.get("Content-Encoding", "identity") != "identity":
                raise invalid("it is compressed, which was not asked for")
            received = bytearray()
            while part := await response.content.readany():
                received += part
                if len(received) > most:
                    if not good:
                        break  # its status says enough
                    raise invalid(f"it is longer than {most} bytes")
            if not good:
                raise self._error(response, bytes(received))
            return bytes(received)

    def _error(self, response: aiohttp.ClientResponse, body: bytes) -> _Failure:
        status = response.status
        if status == 429:
            refusal = _refusal(429, "the upstream's rate limit is reached", "upstream_rate_limit")
            refusal.kind = "rate_limit_error"
            refusal.retry_after = _seconds(response.headers.get("Retry-After"))
            return _Failure(refusal, "429", again=True)
        if status in THE_CLIENTS_FAULT:
            said = self._message(body)
            message = f"the upstream refused the request with {status}" + (f": {said}" if said else "")
            code = "upstream_refused"
            return _Failure(Refusal(400, message, code=code, param=None), f"{status}", again=False)
        if status in (401, 403):
            # Not its message: it may quote the key.
            refusal = _refusal(502, "the upstream refused this server's key", "upstream_authentication")
            return _Failure(refusal, f"{status}", again=False)
        refusal = _refusal(502, f"the upstream answered with status {status}", "upstream_failed")
        return _Failure(refusal, f"{status}", again=status >= 500)

    def _message(self, body: bytes) -> str:
        try:
            document = from_json(body)
        except ValueError:
            return ""
        error = document.get("error", document) if isinstance(document, dict) else None
        said = error.get("message") if isinstance(error, dict) else error
        if not isinstance(said, str):
            return ""
        return (said if self._secret is None else said.replace(self._secret, "***"))[:500]

    def _pause(self, tries: int, asked: float | None) -> float:
        longest = min(FIRST_PAUSE * 2**tries, LONGEST_PAUSE)
        # What it asks for is a least time; the random part comes on top, or all would return together.
        return min(asked or 0.0, LONGEST_PAUSE) + random.uniform(0, longest)

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()


def _trusted(file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"upstream.ca_file: {file}: holds no certificates") from error


def _refusal(status: int, message: str, code: str) -> Refusal:
    return Refusal(status, message, kind="upstream_error", code=code)


def _seconds(text: str | None) -> float | None:
    try:
        # In this order NaN becomes 0.
        return min(max(0.0, float(text or "")), MOST_WAIT)
    except ValueError:  # a date, or none: the random pause is enough
        return None
