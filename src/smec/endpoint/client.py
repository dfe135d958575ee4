"""A client of JSON over HTTP: retries, a rate limit, and a key that is never shown."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

import httpx
import tenacity

from smec import __version__
from smec.endpoint.pace import Pace, retry_after
from smec.errors import ConfigError, EndpointError

KEY_VARIABLE = "SMEC_API_KEY"
"""The environment variable that holds the key. It is one of smec's own, so that a key for one provider is
not sent to whatever URL is named."""

KEY = re.compile(r"[A-Za-z0-9._~+/=:@-]+")
"""Characters of keys. A key of these alone is spelled alike in JSON, in a header and in Python's own
messages, so that it can be blotted out there."""

TRANSIENT = {408, 409, 425, 429}
"""Status codes below 500 after which a request is sent again."""
TIMEOUT = httpx.Timeout(120, connect=15)
LONGEST_PAUSE = 300.0
"""Seconds of Retry-After that are waited for; a server that asks for more ends the run."""
LONGEST_REASON = 300
ANSWERS = {"data", "results", "choices"}
"""Members of a reply that hold what was asked for; with none of them, ``error`` says why."""


@dataclass(frozen=True)
class Retries:
    """How often a request is sent, and the seconds between: exponential with full jitter."""

    attempts: int = 8
    first: float = 1.0
    longest: float = 60.0


RETRIES = Retries()


class _Transient(Exception):
    """A request failed in a way that may pass."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class EndpointClient:
    """Posts JSON to the paths below a base URL.

    The key is read from the environment variable ``SMEC_API_KEY`` and goes nowhere but into the header.

    Parameters
    ----------
    url : str
        The endpoint's base, as "https://api.openai.com/v1".
    requests_per_minute : float, optional
        At most, repeated ones among them.
    retries : Retries

    Raises
    ------
    ConfigError
        The URL is none, or has a password in it; the key or a proxy in the environment cannot be used.
    """

    def __init__(
        self, url: str, *, requests_per_minute: float | None = None, retries: Retries = RETRIES
    ) -> None:
        self._base = _checked_url(url)
        self._retries = retries
        self._key = _checked_key(os.environ.get(KEY_VARIABLE, "").strip())
        self._stopping = Event()
        self._pace = Pace(requests_per_minute, stopping=self._stopping)
        headers = {"User-Agent": f"smec/{__version__}"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._client = _client(headers)

    @property
    def where(self) -> str:
        """The base URL without its query, which may hold a secret."""
        return str(self._base.copy_with(query=None, fragment=None))

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """One request, sent again where that may help.

        Parameters
        ----------
        path : str
            Below the base, as "embeddings".
        body : mapping
            What JSON can say.

        Returns
        -------
        parsed JSON

        Raises
        ------
        EndpointError
            The endpoint cannot be reached, refuses, keeps failing, or does not answer with JSON.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Transient),
            stop=tenacity.stop_after_attempt(self._retries.attempts)
            | tenacity.stop_when_event_set(self._stopping),
            wait=self._backoff,
            sleep=tenacity.sleep_using_event(self._stopping),
            reraise=True,
        )
        try:
            return retrying(self._send, path, body)
        except _Transient as error:
            raise EndpointError(
                f"{self.where}: {error}; gave up after {self._retries.attempts} attempts, "
                "run the same command again to go on"
            ) from error

    def close(self) -> None:
        """End waiting requests and close connections."""
        self._stopping.set()
        self._client.close()

    def _backoff(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        jitter = tenacity.wait_random_exponential(self._retries.first, self._retries.longest)(state)
        if isinstance(error, _Transient) and error.pause is not None:
            self._pace.pause(max(error.pause, jitter))  # of all threads, as the server means all of them
            return 0.0
        return jitter

    def _send(self, path: str, body: Mapping[str, object]) -> Any:
        self._pace.take()
        url = self._base.copy_with(path=f"{self._base.path.rstrip('/')}/{path}")
        try:
            response = self._client.post(url, json=body)
        except httpx.RequestError as error:
            raise _Transient(
                f"connection lost ({self._hidden(str(error)) or type(error).__name__})"
            ) from error
        if not response.is_success:
            raise self._refusal(response, path)
        try:
            reply = response.json()
        except (ValueError, RecursionError) as error:  # the second: brackets without end
            raise EndpointError(f"{self.where}: answers with something else than JSON") from error
        if isinstance(reply, dict) and "error" in reply and not ANSWERS & reply.keys():
            raise EndpointError(
                f"{self.where}: HTTP {response.status_code}: {self._hidden(_reason(response)[1])}"
            )
        return reply

    def _refusal(self, response: httpx.Response, path: str) -> Exception:
        code, reason = _reason(response)
        said = f"HTTP {response.status_code}" + (f": {self._hidden(reason)}" if reason else "")
        pause = retry_after(response.headers.get("retry-after"))
        if response.status_code in (401, 403) and not self._key:
            said += f"; the key is read from the environment variable {KEY_VARIABLE}, which is not set"
        if response.status_code == 404:
            said += f"; POST {self.where.rstrip('/')}/{path} was asked"
        if response.is_redirect:
            moved = self._hidden(response.headers.get("location", ""))
            said += f"; it points to {moved}, and is not followed: name that address if it is the right one"
        passes = response.status_code in TRANSIENT or response.status_code >= 500
        if not passes or code == "insufficient_quota":
            return EndpointError(f"{self.where}: {said}")
        if pause is not None and not pause <= LONGEST_PAUSE:
            return EndpointError(
                f"{self.where}: {said}; it asks to wait {math.ceil(min(pause, 1e9)):,} s: "
                "run the same command again then"
            )
        return _Transient(said, pause)

    def _hidden(self, text: str) -> str:
        """On one line, and without the key, which some servers repeat."""
        shown = text.replace(self._key, "***") if self._key else text
        return " ".join(shown.split())[:LONGEST_REASON]


def _checked_key(key: str) -> str:
    if key and not KEY.fullmatch(key):
        raise ConfigError(
            f"{KEY_VARIABLE}: holds characters that no key has, such as a line break or a quote"
        )
    return key


def _client(headers: Mapping[str, str]) -> httpx.Client:
    try:
        return httpx.Client(headers=headers, timeout=TIMEOUT)
    except (ImportError, ValueError) as error:  # a proxy that needs a package more, or is no URL
        raise ConfigError(f"endpoint: the proxy of the environment cannot be used: {error}") from error


def _checked_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"endpoint: not a URL: {error}") from error
    if parsed.userinfo:
        raise ConfigError(f"endpoint: name no user or password in the URL; set {KEY_VARIABLE}")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"endpoint: {url!r} is not a URL such as https://api.openai.com/v1")
    return parsed


def _reason(response: httpx.Response) -> tuple[str, str]:
    """The code and the message of an error reply, empty where it has none."""
    try:
        error = response.json()["error"]
        if isinstance(error, str):
            return "", error
        return str(error.get("code", "")), str(error.get("message", ""))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return "", response.text


def used_tokens(reply: Any) -> int:
    """The tokens that the reply says were used; 0 where it does not say."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else 0
