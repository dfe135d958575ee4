"""Tokens, limits, and what is never told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from server.proxies import NAME, expected, proxy
from server.recorded_upstream import RecordedUpstream, texts
from server.test_compress_endpoint import arrow
from smec.server.tokens import Bucket, new_token
from smec.server.vectors_wire import ARROW

SECRET = "sk-upstream-secret"
TOKEN = "smec-a-test-token"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def token(secret: str = TOKEN, name: str = "app", **limits: int) -> dict[str, Any]:
    return {"name": name, "sha256": sha256(secret.encode()).hexdigest(), **limits}


@pytest.fixture(scope="module")
def guarded(upstream: RecordedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    fields: dict[str, Any] = {"upstream": {"key": SECRET}, "tokens": [token(), token("smec-2", "second")]}
    with proxy(upstream, tmp_path_factory.mktemp("guarded") / "model", **fields) as (url, _):
        yield url


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        b"Bearer \xff",
    ],
)
def test_without_a_valid_token_nothing_is_told(guarded: str, http: httpx.Client, header: Any) -> None:
    headers: Any = {} if header is None else {"Authorization": header}
    body = {"model": NAME, "input": "x"}
    answers = [
        http.post(f"{guarded}/v1/{path}", json=body, headers=headers) for path in ("embeddings", "compress")
    ]
    for path in ("v1/models", "v1/models/x", "metrics", "openapi.json", "docs"):
        answers.append(http.get(f"{guarded}/{path}", headers=headers))
    assert {answer.status_code for answer in answers} == {401}
    assert answers[0].json()["error"]["code"] == "invalid_api_key"
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert NAME not in "".join(answer.text for answer in answers)


def test_requests_are_counted_by_token(guarded: str, http: httpx.Client) -> None:
    http.post(f"{guarded}/v1/embeddings", json={"model": NAME, "input": texts()[0]}, headers=HEADERS)
    page = http.get(f"{guarded}/metrics", headers=HEADERS).text
    labels = f'caller="app",endpoint="/v1/embeddings",model="{NAME}",status="200"'
    assert f"smec_requests_total{{{labels}}}" in page


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", "Bearer smec-2"])
def test_every_known_token_is_served(guarded: str, http: httpx.Client, header: str) -> None:
    answer = http.get(f"{guarded}/v1/models", headers={"Authorization": header})
    assert answer.status_code == 200


def test_health_needs_no_token(guarded: str, http: httpx.Client) -> None:
    assert http.get(f"{guarded}/healthz").json() == {"status": "ok"}
    assert http.get(f"{guarded}/readyz").status_code == 200


def test_the_upstream_gets_its_key_and_not_the_callers(
    guarded: str, upstream: RecordedUpstream, http: httpx.Client
) -> None:
    http.post(f"{guarded}/v1/embeddings", json={"model": NAME, "input": texts()[0]}, headers=HEADERS)
    assert upstream.headers[-1]["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("fault", ["400", "401", "429", "500", "garbage", "fewer"])
def test_key_texts_and_vectors_are_in_no_log_answer_or_metric(
    guarded: str, upstream: RecordedUpstream, http: httpx.Client, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # as `serve` does
    upstream.faults = [fault] * 3
    text = texts()[7]
    answer = http.post(f"{guarded}/v1/embeddings", json={"model": NAME, "input": text}, headers=HEADERS)
    assert answer.status_code in (400, 429, 502)
    told = answer.text + http.get(f"{guarded}/metrics", headers=HEADERS).text
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("smec"))
    for secret in (SECRET, TOKEN, text):
        assert secret not in told + logged
    upstream.faults = []


def test_an_error_of_ours_does_not_quote_what_was_sent(
    upstream: RecordedUpstream, tmp_path: Path, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with proxy(upstream, tmp_path / "model") as (url, service):
        service.models.named(NAME).upstream.settings = None  # type: ignore[assignment]  # breaks the handler
        answer = http.post(f"{url}/v1/embeddings", json={"model": NAME, "input": "a secret text"})
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "the server failed on this request"
    assert "unexpected AttributeError at" in caplog.text
    assert "a secret text" not in caplog.text


def test_a_redirect_is_not_followed(guarded: str, upstream: RecordedUpstream, http: httpx.Client) -> None:
    upstream.faults = ["redirect"]
    answer = http.post(f"{guarded}/v1/embeddings", json={"model": NAME, "input": texts()[0]}, headers=HEADERS)
    assert answer.json()["error"]["message"] == "the upstream answered with status 307"


def test_a_request_cannot_choose_where_it_is_embedded(
    guarded: str, upstream: RecordedUpstream, http: httpx.Client
) -> None:
    before = len(upstream.asked)
    for field in ("base_url", "api_base", "url", "upstream"):
        body = {"model": NAME, "input": "x", field: "http://127.0.0.1:1/"}
        answer = http.post(f"{guarded}/v1/embeddings", json=body, headers=HEADERS)
        assert answer.json()["error"]["code"] == "unknown_parameter"
    body = {"model": "http://127.0.0.1:1/", "input": "x"}
    assert http.post(f"{guarded}/v1/embeddings", json=body, headers=HEADERS).status_code == 404
    assert len(upstream.asked) == before


def test_rates_are_limited_for_each_token(
    upstream: RecordedUpstream, tmp_path: Path, http: httpx.Client
) -> None:
    tokens = [token(requests_per_minute=3), token("smec-2", "second", inputs_per_minute=10)]
    with proxy(upstream, tmp_path / "model", tokens=tokens) as (url, _):

        def ask(count: int, secret: str) -> httpx.Response:
            body = {"model": NAME, "input": texts()[:count]}
            return http.post(f"{url}/v1/embeddings", json=body, headers={"Authorization": f"Bearer {secret}"})

        assert [ask(1, TOKEN).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert [ask(6, "smec-2").status_code for _ in range(2)] == [200, 429]
        refused = ask(6, "smec-2")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"


def test_rows_of_arrow_are_counted_as_they_are(
    upstream: RecordedUpstream, tmp_path: Path, http: httpx.Client
) -> None:
    vectors = np.random.default_rng(0).standard_normal((60, 384)).astype(np.float32)
    with proxy(upstream, tmp_path / "model", tokens=[token(inputs_per_minute=100)]) as (url, _):

        def send(count: int, **columns: Any) -> int:
            query, headers = {"model": NAME}, {**HEADERS, "Content-Type": ARROW}
            body = arrow(vectors[:count], **columns)
            return http.post(f"{url}/v1/compress", params=query, content=body, headers=headers).status_code

        assert send(1, text=pa.array([b"x" * 200_000])) == 200  # the bytes of 260 rows of float16
        assert [send(60), send(30), send(60)] == [200, 200, 429]
        page = http.get(f"{url}/metrics", headers=HEADERS).text
    assert 'smec_request_inputs_sum{endpoint="/v1/compress"} 91.0' in page


def test_a_bucket_fills_with_time() -> None:
    now = 0.0
    bucket = Bucket(60, clock=lambda: now)
    assert bucket.take(60) == 0
    assert bucket.take(1) == pytest.approx(1)
    now = 30.0
    assert bucket.take(20) == 0
    assert bucket.take(20) == pytest.approx(10)
    now = 1000.0
    assert bucket.take(90) == 0  # more than a minute's worth: given when full, owed afterwards
    assert bucket.take(1) == pytest.approx(31)


def test_new_tokens_are_long_random_and_kept_as_a_hash() -> None:
    made = [new_token("app") for _ in range(3)]
    assert len({secret for secret, _ in made}) == 3
    for secret, settings in made:
        assert len(secret) == len("smec-") + 43
        assert settings.sha256 == sha256(secret.encode()).hexdigest()
        assert secret not in repr(settings)


@pytest.fixture(scope="module")
def small(upstream: RecordedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    limits = {"body_bytes": 2000, "inputs": 3, "tokens": 5, "characters": 200, "body_seconds": 0.5}
    folder = tmp_path_factory.mktemp("small") / "model"
    with proxy(upstream, folder, limits=limits) as (url, _):
        yield url


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["x"] * 4, "has 4 inputs, allowed are 3 in a request"),
        ("x" * 201, "has an input of 201 characters, allowed are 200 characters"),
        ([1] * 6, "has an input of 6 tokens, allowed are 5 tokens"),
        ([[1], [1] * 6], "has an input of 6 tokens, allowed are 5 tokens"),
    ],
)
def test_inputs_have_limits(small: str, http: httpx.Client, given: Any, said: str) -> None:
    answer = http.post(f"{small}/v1/embeddings", json={"model": NAME, "input": given})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, f"input: {said}")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_body_is_refused(small: str, http: httpx.Client, chunked: bool) -> None:
    parts = (b"x" * 500 for _ in range(100))
    answer = http.post(f"{small}/v1/embeddings", content=parts if chunked else b"".join(parts))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_long")


def test_a_text_within_the_limits_is_still_right(small: str, http: httpx.Client) -> None:
    given = texts()[:2]
    answer = http.post(f"{small}/v1/embeddings", json={"model": NAME, "input": given})
    found = np.array([item["embedding"] for item in answer.json()["data"]])
    np.testing.assert_allclose(found, expected(given), atol=1e-6)
