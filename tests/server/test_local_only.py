"""Who is answered where everybody on this machine may ask, and what strange paths and hosts are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from server.proxies import NAME, compressor, document, proxy
from server.recorded_upstream import RecordedUpstream, texts
from smec.config import parsed
from smec.errors import ConfigError
from smec.server.lifecycle import Server
from smec.server.settings import ServerSettings


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1", 200),
        ("127.1.2.3:80", 200),
        ("[::1]", 200),
        ("[::1]:8080", 200),
        ("attacker.example", 403),
        ("attacker.example:8080", 403),
        ("localhost.attacker.example", 403),
        ("127.0.0.1.attacker.example", 403),
        ("localhost@attacker.example", 403),
        ("10.0.0.1", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_another_host_is_not_answered(url: str, http: httpx.Client, host: str, status: int) -> None:
    body = {"model": NAME, "input": texts()[0]}
    answer = http.post(f"{url}/embeddings", json=body, headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"]["code"] == "forbidden_host"
    assert http.get(f"{url}/models", headers={"Host": host}).status_code == status
    for path in ("healthz", "readyz"):
        assert http.get(url.replace("/v1", f"/{path}"), headers={"Host": host}).status_code == 200


def test_behind_a_gateway_every_host_is_answered(
    upstream: RecordedUpstream, tmp_path: Path, http: httpx.Client
) -> None:
    with proxy(upstream, tmp_path / "model", open=True) as (url, _):
        assert http.get(f"{url}/v1/models", headers={"Host": "api.example"}).status_code == 200


@pytest.mark.parametrize("host", ["[", "a/b", "h?x"])
def test_a_strange_host_is_not_taken_for_a_path(
    upstream: RecordedUpstream, tmp_path: Path, http: httpx.Client, host: str
) -> None:
    with proxy(upstream, tmp_path / "model", open=True) as (url, _):
        answer = http.get(f"{url}/nothing", headers={"Host": host})
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            404,
            "there is nothing at /nothing",
        )
        body = {"model": NAME, "input": texts()[0]}
        assert http.post(f"{url}/v1/embeddings", json=body, headers={"Host": host}).status_code == 200
        page = http.get(f"{url}/metrics").text
    counted = [line for line in page.splitlines() if line.startswith("smec_request_inputs_count")]
    assert counted == ['smec_request_inputs_count{endpoint="/v1/embeddings"} 1.0']


def test_nobody_is_sent_to_a_host_of_the_clients_choice(url: str, http: httpx.Client) -> None:
    answer = http.post(f"{url}/embeddings/", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")


@pytest.mark.parametrize("name", ["inputs", "input", "model", "dimensions", "model_copy", "_private", ""])
def test_a_field_that_means_something_here_cannot_be_passed_on(tmp_path: Path, name: str) -> None:
    compressor().save(tmp_path / "model")
    behind = RecordedUpstream()
    behind.url = "http://127.0.0.1:1/v1"
    fields: Any = document(behind, tmp_path / "model", upstream={"forward": [name]})
    with pytest.raises(ConfigError, match=r"upstream\.forward: .* cannot be passed on"):
        Server(parsed(ServerSettings, fields, "test"))


@pytest.mark.parametrize("given", ["", [""], ["x", ""]])
def test_empty_texts_are_refused(url: str, http: httpx.Client, given: Any) -> None:
    answer = http.post(f"{url}/embeddings", json={"model": NAME, "input": given})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
    assert "none empty" in answer.json()["error"]["message"]
