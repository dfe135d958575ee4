"""The fault matrix: whatever the upstream does, the caller gets the right vectors or an honest error."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from server.proxies import NAME, expected, proxy
from server.recorded_upstream import RecordedUpstream, texts, tokens_of

IMPATIENT = {"upstream": {"seconds": 0.5, "retries": 2}, "limits": {"request_seconds": 5}}


@pytest.fixture(scope="module")
def patient(upstream: RecordedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with proxy(upstream, tmp_path_factory.mktemp("faulty") / "model", **IMPATIENT) as (url, _):
        yield url


def asked(http: httpx.Client, url: str, given: list[str]) -> httpx.Response:
    return http.post(f"{url}/v1/embeddings", json={"model": NAME, "input": given})


def check(answer: httpx.Response, given: list[str]) -> None:
    found = np.array([item["embedding"] for item in answer.json()["data"]])
    np.testing.assert_allclose(found, expected(given), atol=1e-6)


PASSING = ["slow", "500", "503", "429", "cut", "reordered"]
LASTING: dict[str, tuple[int, str, int]] = {
    # status, code and how often the upstream was asked
    "hangs": (504, "upstream_timeout", 1),
    "500": (502, "upstream_failed", 3),
    "503": (502, "upstream_failed", 3),
    "compressed 503": (502, "upstream_failed", 3),
    "429": (429, "upstream_rate_limit", 3),
    "400": (400, "upstream_refused", 1),
    "401": (502, "upstream_authentication", 1),
    "redirect": (502, "upstream_failed", 1),
    "cut": (502, "upstream_cut", 3),
    "garbage": (502, "invalid_upstream_response", 1),
    "no data": (502, "invalid_upstream_response", 1),
    "fewer": (502, "invalid_upstream_response", 1),
    "more": (502, "invalid_upstream_response", 1),
    "repeated indices": (502, "invalid_upstream_response", 1),
    "wrong width": (502, "upstream_width_mismatch", 1),
    "nan": (502, "invalid_upstream_response", 1),
    "zero": (502, "invalid_upstream_response", 1),
    "infinite": (502, "invalid_upstream_response", 1),
    "true and false": (502, "invalid_upstream_response", 1),
    "strings": (502, "invalid_upstream_response", 1),
    "bad base64": (502, "invalid_upstream_response", 1),
    "too long": (502, "invalid_upstream_response", 1),
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_not_seen_by_the_caller(
    patient: str, upstream: RecordedUpstream, http: httpx.Client, fault: str
) -> None:
    upstream.faults = [fault]
    given = texts()[30:34]
    check(asked(http, patient, given), given)


@pytest.mark.parametrize("fault", LASTING)
def test_what_lasts_is_an_error_of_its_own(
    patient: str, upstream: RecordedUpstream, http: httpx.Client, fault: str
) -> None:
    status, code, tries = LASTING[fault]
    before = len(upstream.asked)
    upstream.always = fault
    given = texts()[40:43]
    try:
        answer = asked(http, patient, given)
    finally:
        upstream.always = None
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert len(upstream.asked) - before == tries
    check(asked(http, patient, given), given)  # and it is over when the fault is


def test_a_request_of_more_than_a_megabyte_is_sent_whole(
    upstream: RecordedUpstream, tmp_path: Path, http: httpx.Client
) -> None:
    given = texts()[:20] * 350
    tokens = [tokens_of(text) for text in given]
    assert len(json.dumps(tokens, separators=(",", ":"))) > 1 << 20
    with proxy(upstream, tmp_path / "model", limits={"inputs": len(given)}) as (url, _):
        upstream.faults = ["500"]  # and sent again
        answer = http.post(f"{url}/v1/embeddings", json={"model": NAME, "input": tokens})
    check(answer, given)
    assert upstream.asked[-1]["input"] == tokens


def test_no_proxy_of_the_environment_is_asked(
    upstream: RecordedUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with (
        proxy(upstream, tmp_path / "model") as (url, _),
        httpx.Client(timeout=20, trust_env=False) as client,
    ):
        check(asked(client, url, texts()[:2]), texts()[:2])


def test_a_wrong_width_says_both_widths(patient: str, upstream: RecordedUpstream, http: httpx.Client) -> None:
    upstream.faults = ["wrong width"]
    message = asked(http, patient, texts()[:1]).json()["error"]["message"]
    assert "its vectors have 100 dims, but the compressor takes 384" in message


def test_an_upstream_that_is_not_there(tmp_path: Path, http: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = RecordedUpstream()
        gone.url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with proxy(gone, tmp_path / "model", upstream={"retries": 1}) as (url, _):
        answer = asked(http, url, texts()[:1])
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
        assert 'smec_upstream_errors_total{kind="connect"} 2.0' in http.get(f"{url}/metrics").text


def test_a_rate_limit_is_passed_on_with_its_time(
    upstream: RecordedUpstream, tmp_path: Path, http: httpx.Client
) -> None:
    with proxy(upstream, tmp_path / "model", upstream={"retries": 0}) as (url, _):
        upstream.faults = ["429 for long"]
        answer = asked(http, url, texts()[:1])
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        assert answer.json()["error"]["type"] == "rate_limit_error"
        for fault, seconds in (("429 without end", "3600"), ("429 for no number", "1")):
            upstream.faults = [fault]
            answer = asked(http, url, texts()[:1])
            assert (answer.status_code, answer.headers["retry-after"]) == (429, seconds)


@contextmanager
def closing_upstream() -> Iterator[str]:
    """An upstream below HTTP: closes every connection when a request is there, without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.recv(100)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            done.set()
            thread.join()


def test_connections_that_are_closed_without_an_answer(tmp_path: Path, http: httpx.Client) -> None:
    silent = RecordedUpstream()
    with closing_upstream() as silent.url, proxy(silent, tmp_path / "model") as (url, _):
        answer = asked(http, url, texts()[:1])
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_cut")


def test_at_random_faults_under_load_no_vector_is_wrong(
    patient: str, upstream: RecordedUpstream, http: httpx.Client
) -> None:
    rng = np.random.default_rng(4)
    kinds = [*LASTING, "slow", "reordered"]
    kinds.remove("hangs")
    upstream.faults = [kinds[rng.integers(len(kinds))] if rng.random() < 0.5 else "" for _ in range(150)]
    known = texts()
    outcomes: list[int] = []
    failures: list[Any] = []

    def ask(seed: int) -> None:
        draw = np.random.default_rng(seed)
        with httpx.Client(timeout=20) as client:
            for _ in range(20):
                given = [known[n] for n in draw.integers(0, len(known), draw.integers(1, 9))]
                answer = asked(client, patient, given)
                outcomes.append(answer.status_code)
                try:
                    if answer.status_code == 200:
                        check(answer, given)
                except AssertionError as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    upstream.faults = []
    assert not failures
    assert len(outcomes) == 120
    assert set(outcomes) <= {200, 400, 429, 502}
    assert outcomes.count(200) > 20
