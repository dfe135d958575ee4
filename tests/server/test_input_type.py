"""``input_type``: the side that makes a text's vector, where queries have a matrix of their own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from server.proxies import NAME, compressor, own_queries, proxy
from server.recorded_upstream import RecordedUpstream, recorded, recorded_upstream, texts
from server.test_compress_endpoint import arrow, rows, sent_arrow
from server.test_drift_and_reload import until
from smec.cli.main import app
from smec.vectors import Float32Array

ASKED = ("query", "search_query")
STORED = ("document", "search_document", "passage", "classification", "clustering")


@pytest.fixture(scope="module")
def own(upstream: RecordedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("own") / "model"
    own_queries().save(folder)
    with proxy(upstream, folder) as (address, _):
        yield f"{address}/v1"


def full(count: int) -> Float32Array:
    return np.array([recorded()[text] for text in texts()[:count]])


def embedded(http: httpx.Client, url: str, count: int = 3, **fields: Any) -> Any:
    body = {"model": NAME, "input": texts()[:count], **fields}
    answer = http.post(f"{url}/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    return np.array([item["embedding"] for item in answer.json()["data"]])


@pytest.mark.parametrize("dim", [96, 48])
def test_each_name_of_a_side_gets_that_side(http: httpx.Client, own: str, dim: int) -> None:
    queries, documents = own_queries().encode_queries(full(3), dim), compressor().encode(full(3), dim)
    assert np.abs(queries - documents).max() > 0.1
    for name in ASKED:
        found = embedded(http, own, dimensions=dim, input_type=name)
        np.testing.assert_allclose(found, queries, atol=1e-6)
    others: list[dict[str, Any]] = [{}, *({"input_type": name} for name in (None, *STORED))]
    for fields in others:
        np.testing.assert_allclose(embedded(http, own, dimensions=dim, **fields), documents, atol=1e-6)


@pytest.mark.parametrize("count", [2, 300])
def test_vectors_of_queries_are_made_small_as_queries(http: httpx.Client, own: str, count: int) -> None:
    vectors, queries = rows(count), own_queries().encode_queries(rows(count), 48)
    body = {"model": NAME, "dimensions": 48, "vectors": vectors.tolist(), "input_type": "query"}
    found = http.post(f"{own}/compress", json=body).json()["vectors"]
    np.testing.assert_allclose(found, queries, atol=1e-6)
    for query, expected in (
        ("&input_type=search_query", queries),
        ("&input_type=document", compressor().encode(vectors, 48)),
        ("", compressor().encode(vectors, 48)),
    ):
        answer = sent_arrow(http, own, arrow(vectors), f"model={NAME}&dimensions=48{query}")
        table = pa.ipc.open_stream(answer.content).read_all()
        np.testing.assert_allclose(np.array(table["vector"].to_pylist()), expected, atol=1e-6)


def test_an_unknown_side_is_refused(http: httpx.Client, own: str) -> None:
    body = {"model": NAME, "input": "x", "vectors": rows(1).tolist(), "input_type": "querry"}
    for path, left_out in (("embeddings", "vectors"), ("compress", "input")):
        given = {name: value for name, value in body.items() if name != left_out}
        answer = http.post(f"{own}/{path}", json=given)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_type")
    answer = sent_arrow(http, own, arrow(rows(2)), f"model={NAME}&input_type=querry")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_type")
    assert "must be one of query, search_query, document" in answer.json()["error"]["message"]


def test_requests_of_both_sides_that_arrive_together_stay_apart(own: str) -> None:
    def ask(number: int) -> Any:
        with httpx.Client(timeout=20) as client:
            return embedded(client, own, input_type="query" if number % 2 else "document")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(16)))
    for number, vectors in enumerate(found):
        encode = own_queries().encode_queries if number % 2 else own_queries().encode
        np.testing.assert_allclose(vectors, encode(full(3)), atol=1e-6)


def test_the_openai_client_sends_it_as_an_extra_field(own: str) -> None:
    with openai.OpenAI(base_url=own, api_key="none") as client:
        answer = client.embeddings.create(
            model=NAME, input=texts()[0], encoding_format="float", extra_body={"input_type": "query"}
        )
        listed = client.models.retrieve(NAME).to_dict()
    np.testing.assert_allclose(answer.data[0].embedding, own_queries().encode_queries(full(1))[0], atol=1e-6)
    assert listed["fingerprint"] == compressor().fingerprint
    assert listed["query_fingerprint"] == own_queries().query_fingerprint


def test_an_upstream_gets_it_only_if_it_takes_it(
    http: httpx.Client, url: str, upstream: RecordedUpstream, tmp_path: Path
) -> None:
    shared = embedded(http, url, input_type="query")  # one matrix: nothing is to choose
    np.testing.assert_allclose(shared, compressor().encode(full(3)), atol=1e-6)
    assert "input_type" not in upstream.asked[-1]
    own_queries().save(tmp_path / "model")
    fields = {"upstream": {"forward": ["input_type"]}}
    with proxy(upstream, tmp_path / "model", **fields) as (address, _):
        found = embedded(http, f"{address}/v1", input_type="search_query")
        assert upstream.asked[-1]["input_type"] == "search_query"
        embedded(http, f"{address}/v1")
        assert "input_type" not in upstream.asked[-1]
    np.testing.assert_allclose(found, own_queries().encode_queries(full(3)), atol=1e-6)


def test_a_request_that_does_not_say_it_is_told_once_in_the_log(
    http: httpx.Client, upstream: RecordedUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_queries().save(tmp_path / "own")
    compressor().save(tmp_path / "model")
    models = {NAME: {"path": str(tmp_path / "own")}, "shared": {"path": str(tmp_path / "model")}}
    with caplog.at_level(logging.WARNING), proxy(upstream, tmp_path / "model", models=models) as (url, _):
        embedded(http, f"{url}/v1", model="shared")
        embedded(http, f"{url}/v1", input_type="document")
        assert "input_type" not in caplog.text
        embedded(http, f"{url}/v1")
        embedded(http, f"{url}/v1")
    (told,) = (record.message for record in caplog.records if "input_type" in record.message)
    assert told.startswith(f"model {NAME}: a request without input_type is taken for documents")


def test_a_second_name_serves_queries_to_clients_that_cannot_say_it(
    http: httpx.Client, upstream: RecordedUpstream, tmp_path: Path
) -> None:
    own_queries().save(tmp_path / "model")
    path = str(tmp_path / "model")
    asking = {"path": path, "upstream_model": NAME, "input_type": "query"}
    with proxy(upstream, tmp_path / "model", models={NAME: {"path": path}, "queries": asking}) as (url, _):
        found = embedded(http, f"{url}/v1", model="queries")
        said = embedded(http, f"{url}/v1", model="queries", input_type="document")
    np.testing.assert_allclose(found, own_queries().encode_queries(full(3)), atol=1e-6)
    np.testing.assert_allclose(said, own_queries().encode(full(3)), atol=1e-6)


def test_an_adapted_compressor_takes_the_place_of_its_parent(http: httpx.Client, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    compressor().save(folder)
    with recorded_upstream() as upstream, proxy(upstream, folder, reload_seconds=0.02) as (url, service):
        before = embedded(http, f"{url}/v1", input_type="document")
        own_queries().save(folder, force=True)
        until(lambda: bool(service.models.named(NAME).compressor.own_queries))
        np.testing.assert_array_equal(embedded(http, f"{url}/v1", input_type="document"), before)
        found = embedded(http, f"{url}/v1", input_type="query")
    np.testing.assert_allclose(found, own_queries().encode_queries(full(3)), atol=1e-6)


def test_the_check_says_that_queries_have_a_matrix_of_their_own(tmp_path: Path) -> None:
    own_queries().save(tmp_path / "model")
    arguments = ["serve", str(tmp_path / "model"), "--upstream", "http://127.0.0.1:1/v1", "--check"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "; queries have a matrix of their own at 96, 48" in result.output.splitlines()[0]
