"""OpenAI-compatible endpoints: right replies in any form, and failures that pass or do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import numpy as np
import openai
import pytest
from sentence_transformers import SentenceTransformer

from integrations.encoders.embedding_server import EmbeddingServer
from smec.embedding.endpoint import EndpointEncoder
from smec.endpoint.client import Retries
from smec.endpoint.pace import Pace, retry_after
from smec.errors import ConfigError, EncoderError

TEXTS = ["what is anaemia?", "how is gout treated?", "who is at risk of glaucoma?"]
Make = Callable[..., EndpointEncoder]
QUICK = Retries(attempts=4, first=0.001, longest=0.002)


@pytest.fixture
def encoder(server: EmbeddingServer) -> Iterator[Make]:
    """Makes encoders of the server's model, and closes them."""
    with ExitStack() as stack:

        def make(**settings: Any) -> EndpointEncoder:
            given = {"url": server.url, "retries": QUICK, **settings}
            made = EndpointEncoder("minilm", **given)
            stack.callback(made.close)
            return made

        yield make


def test_the_server_is_one_for_openais_own_client(
    server: EmbeddingServer, model: SentenceTransformer
) -> None:
    with openai.OpenAI(base_url=server.url, api_key="any") as client:
        reply = client.embeddings.create(model="minilm", input=TEXTS)
    theirs = np.array([item.embedding for item in reply.data])
    np.testing.assert_allclose(theirs, model.encode(TEXTS), atol=1e-6)


@pytest.mark.parametrize("base64", [True, False])
@pytest.mark.parametrize("change", ["", "shuffled", "without index"])
def test_vectors_come_in_the_order_of_the_texts(
    server: EmbeddingServer, encoder: Make, model: SentenceTransformer, base64: bool, change: str
) -> None:
    server.base64 = base64
    server.faults.append(change)
    np.testing.assert_allclose(encoder().embed(TEXTS, "document"), model.encode(TEXTS), atol=1e-6)


@pytest.mark.parametrize("fault", ["429", "500", "520", "cut", "coding"])
def test_failures_that_pass_are_sent_again(server: EmbeddingServer, encoder: Make, fault: str) -> None:
    server.faults += [fault] * (QUICK.attempts - 1)
    one = encoder()
    assert len(one.embed(TEXTS, "document")) == len(TEXTS)
    assert len(server.requests) == QUICK.attempts
    assert one.tokens == sum(len(text.split()) for text in TEXTS)


@pytest.mark.parametrize(
    ("fault", "said", "requests"),
    [
        ("500", "HTTP 500: out of memory; gave up after 4 attempts, run the same command again", 4),
        ("cut", "connection lost .*; gave up after 4 attempts", 4),
        ("429 for long", "HTTP 429: slow down; it asks to wait 86,400 s", 1),
        ("quota", "HTTP 429: you have no credit", 1),
        ("400", "HTTP 400: this model's maximum context length is 8192 tokens", 1),
        ("html", "answers with something else than JSON", 1),
        ("error in 200", "HTTP 200: no such model", 1),
        ("index in a list", "the reply's indices are no whole numbers", 1),
        ("fewer", "the reply has 2 vectors for 3 texts", 1),
        ("one index", "the reply has no vector for text 1 of 3", 1),
        ("words", "the embedding at index 0 is neither numbers nor base64", 1),
    ],
)
def test_failures_that_stay_are_told(
    server: EmbeddingServer, encoder: Make, fault: str, said: str, requests: int
) -> None:
    server.base64 = False
    server.faults += [fault] * 10
    with pytest.raises(EncoderError, match=said) as raised:
        encoder().embed(TEXTS, "document")
    assert str(raised.value).startswith(server.url)
    assert "\n" not in str(raised.value)
    assert len(server.requests) == requests


def test_nobody_at_the_url(server: EmbeddingServer, encoder: Make) -> None:
    one = encoder()
    server.shutdown()
    server.server_close()
    with pytest.raises(EncoderError, match="connection lost"):
        one.embed(TEXTS, "query")


def test_the_key_goes_into_the_header_and_nowhere_else(
    server: EmbeddingServer, encoder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults += ["401", "401"]
    with pytest.raises(EncoderError, match="environment variable SMEC_API_KEY, which is not set"):
        encoder().embed(TEXTS, "query")
    monkeypatch.setenv("SMEC_API_KEY", "secret-key-1")
    one = encoder()
    with pytest.raises(EncoderError, match=r"HTTP 401: Incorrect API key provided: \*\*\*$"):
        one.embed(TEXTS, "query")
    assert server.keys == [None, "Bearer secret-key-1"]
    assert "secret-key-1" not in one.identity("query") + repr(vars(vars(one)["_client"])["_client"].headers)


@pytest.mark.parametrize("key", ["secret-1\nsecret-2", 'secret-1"', "sécret-1"])
def test_what_is_no_key_is_refused_and_not_shown(
    server: EmbeddingServer, encoder: Make, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("SMEC_API_KEY", key)
    with pytest.raises(ConfigError, match="SMEC_API_KEY: holds characters that no key has") as raised:
        encoder()
    assert "cret-" not in str(raised.value)


def test_a_proxy_that_cannot_be_used_is_one_line(
    server: EmbeddingServer, encoder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1:1")
    with pytest.raises(ConfigError, match="the proxy of the environment cannot be used"):
        encoder()


def test_prompts_and_dimensions_are_sent(server: EmbeddingServer, encoder: Make) -> None:
    one = encoder(prompts={"query": "query: "}, dimensions=64)
    assert [len(vector) for vector in one.embed(TEXTS, "query")] == [64] * 3
    one.embed(TEXTS[:1], "document")
    assert [body["input"][0] for body in server.requests] == [f"query: {TEXTS[0]}", TEXTS[0]]
    assert {body["dimensions"] for body in server.requests} == {64}
    assert one.identity("query") != one.identity("document")


@pytest.mark.parametrize("url", ["api.openai.com/v1", "ftp://host/v1", "http://", "http://me:x1y2@host/v1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="endpoint: ") as raised:
        EndpointEncoder("minilm", url=url)
    assert "x1y2" not in str(raised.value)


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sent: list[float] = []

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def send(self, pace: Pace, times: int) -> None:
        for _ in range(times):
            pace.take()
            self.sent.append(self.now)


def test_requests_keep_to_the_rate_and_to_a_pause() -> None:
    clock = Clock()
    pace = Pace(120, clock=lambda: clock.now, wait=clock.wait)
    clock.send(pace, 3)
    pace.pause(10)
    clock.send(pace, 2)
    assert clock.sent == [0, 0.5, 1, 11, 11.5]


def test_a_pause_holds_back_those_who_wait_already() -> None:
    clock = Clock()

    def paused_meanwhile(seconds: float) -> None:
        clock.wait(seconds)
        if clock.now == 0.5:
            pace.pause(10)

    pace = Pace(120, clock=lambda: clock.now, wait=paused_meanwhile)
    clock.send(pace, 3)
    assert clock.sent == [0, 10.5, 11]


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after("2.5") == 2.5
    assert retry_after(None) is None
    assert retry_after("soon") is None
    later = retry_after(format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True))
    assert later is not None and 3500 < later <= 3600
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
