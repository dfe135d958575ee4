"""Who may ask, and how often: bearer tokens by their hash, and a bucket for each."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from hashlib import sha256

from smec.server.refusals import Refusal
from smec.server.settings import TokenSettings

PREFIX = "smec-"


def new_token(name: str) -> tuple[str, TokenSettings]:
    """A random token of 256 bits, and what the settings hold of it."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, TokenSettings(name=name, sha256=sha256(token.encode()).hexdigest())


class Bucket:
    """Allows so many units a minute, at most a minute's worth at once.

    Parameters
    ----------
    per_minute : int
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._level = self._most
        self._filled = clock()

    def take(self, units: int) -> float:
        """Take units if they are there; else the seconds until they are, 0 meaning taken.

        More than a minute's worth is given when the bucket is full, and owed afterwards.
        """
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._filled) * self._most / 60)
        self._filled = now
        seconds = (min(units, self._most) - self._level) * 60 / self._most
        if seconds <= 0:
            self._level -= units
        return max(0.0, seconds)


class Caller:
    """A client that gave a known token, or anybody where no tokens are set."""

    def __init__(self, name: str, requests: Bucket | None = None, inputs: Bucket | None = None) -> None:
        self.name = name
        self._requests = requests
        self._inputs = inputs

    def spend_request(self) -> None:
        """Count a request; Refusal with 429 where there are too many."""
        _spend(self._requests, 1, "requests")

    def spend_inputs(self, count: int) -> None:
        """Count the inputs of a request; Refusal with 429 where there are too many."""
        _spend(self._inputs, count, "inputs")


def _spend(bucket: Bucket | None, units: int, what: str) -> None:
    seconds = 0.0 if bucket is None else bucket.take(units)
    if seconds > 0:
        raise Refusal(
            429,
            f"this token's {what} per minute are used up; try again in {seconds:.0f} s",
            kind="rate_limit_error",
            code="rate_limit_exceeded",
            retry_after=seconds,
        )


class Gatekeeper:
    """Knows the callers by the hashes of their tokens.

    Parameters
    ----------
    tokens : sequence of TokenSettings
        None of them: everybody may ask.
    """

    def __init__(self, tokens: Sequence[TokenSettings]) -> None:
        self._callers = [(bytes.fromhex(token.sha256), _caller(token)) for token in tokens]
        self._anybody = Caller("anybody")

    def caller(self, authorization: str | None) -> Caller:
        """Who sends this ``Authorization`` header.

        Raises
        ------
        Refusal
            401: no token, or an unknown one.
        """
        if not self._callers:
            return self._anybody
        scheme, _, token = (authorization or "").partition(" ")
        # Always compared with every hash, in constant time: how long it takes tells nothing.
        digest = sha256(token.strip().encode()).digest()
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None or scheme.lower() != "bearer":
            message = "a valid token is needed: Authorization: Bearer TOKEN"
            raise Refusal(401, message, kind="authentication_error", code="invalid_api_key")
        return found


def _caller(token: TokenSettings) -> Caller:
    requests, inputs = (
        None if limit is None else Bucket(limit)
        for limit in (token.requests_per_minute, token.inputs_per_minute)
    )
    return Caller(token.name, requests, inputs)
