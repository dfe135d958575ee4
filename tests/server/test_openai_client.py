"""The proxy behind the official ``openai`` client, unchanged, before recorded embeddings."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from server.proxies import DIMS, NAME, expected
from server.recorded_upstream import RecordedUpstream, texts, tokens_of


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="not-needed", max_retries=0) as made:
        yield made


def vectors(answer: Any) -> np.ndarray[Any, Any]:
    return np.array([item.embedding for item in answer.data], dtype=np.float32)


@pytest.mark.parametrize("encoding", ["float", "base64", None])
@pytest.mark.parametrize("dim", [*DIMS, None])
def test_texts_become_small_vectors(client: openai.OpenAI, encoding: Any, dim: int | None) -> None:
    asked = texts()[:9]
    options: Any = {"encoding_format": encoding} if encoding else {}
    options |= {"dimensions": dim} if dim else {}
    answer = client.embeddings.create(model=NAME, input=asked, **options)
    if encoding == "base64":
        found = np.array([np.frombuffer(base64.b64decode(str(e.embedding)), "<f4") for e in answer.data])
    else:
        found = vectors(answer)
    np.testing.assert_allclose(found, expected(asked, dim or DIMS[0]), atol=1e-6)
    assert [item.index for item in answer.data] == list(range(9))
    assert (answer.object, answer.model, answer.data[0].object) == ("list", NAME, "embedding")


def test_one_string_one_token_list_and_several_mean_what_they_mean_at_openai(client: openai.OpenAI) -> None:
    first, second = texts()[3], texts()[5]
    one = client.embeddings.create(model=NAME, input=first)
    np.testing.assert_allclose(vectors(one), expected([first]), atol=1e-6)
    tokens = client.embeddings.create(model=NAME, input=tokens_of(first))
    np.testing.assert_allclose(vectors(tokens), expected([first]), atol=1e-6)
    lists = client.embeddings.create(model=NAME, input=[tokens_of(first), tokens_of(second)])
    np.testing.assert_allclose(vectors(lists), expected([first, second]), atol=1e-6)


def test_the_upstream_gets_the_request_without_dimensions(
    client: openai.OpenAI, upstream: RecordedUpstream
) -> None:
    text = texts()[0]
    client.embeddings.create(model=NAME, input=text, dimensions=48, user="someone")
    sent = {"model": NAME, "input": [text], "encoding_format": "base64", "user": "someone"}
    assert upstream.asked[-1] == sent
    assert "authorization" not in upstream.headers[-1]  # the caller's token is for the proxy alone


def test_usage_is_what_the_upstream_counted(client: openai.OpenAI) -> None:
    asked = texts()[:2]
    usage = client.embeddings.create(model=NAME, input=asked).usage
    assert usage.prompt_tokens == usage.total_tokens == sum(map(len, asked))


def test_an_upstream_that_knows_no_base64_is_understood(
    client: openai.OpenAI, upstream: RecordedUpstream
) -> None:
    upstream.understands_base64 = False
    asked = texts()[10:14]
    np.testing.assert_allclose(
        vectors(client.embeddings.create(model=NAME, input=asked)), expected(asked), atol=1e-6
    )
    upstream.understands_base64 = True


def test_vectors_are_put_in_the_order_of_their_indices(
    client: openai.OpenAI, upstream: RecordedUpstream
) -> None:
    upstream.faults = ["reordered"]
    asked = texts()[20:25]
    np.testing.assert_allclose(
        vectors(client.embeddings.create(model=NAME, input=asked)), expected(asked), atol=1e-6
    )


def test_a_size_that_is_not_served_is_refused_with_those_that_are(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=NAME, input="x", dimensions=384)
    error: Any = refused.value.body
    assert error["message"] == f"dimensions: model '{NAME}' serves 96, 48; 384 is none of them"
    assert (error["param"], error["type"]) == ("dimensions", "invalid_request_error")
    assert refused.value.code == "invalid_dimensions"


def test_models_are_listed_with_their_sizes(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.object, model.owned_by) == (NAME, "model", "smec")
    assert model.to_dict()["dimensions"] == [96, 48]
    assert client.models.retrieve(NAME).id == NAME
    with pytest.raises(openai.NotFoundError, match="served are all-MiniLM-L6-v2"):
        client.models.retrieve("another")
    with pytest.raises(openai.NotFoundError, match="there is no such model"):
        client.embeddings.create(model="another", input="x")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b'{"model": "m"', "not valid JSON"),
        (b"[1]", "body: "),
        (b'{"input": "x"}', "model: Field required"),
        (b'{"model": "m"}', "input: Field required"),
        (b'{"model": "m", "input": []}', "input: must be a string"),
        (b'{"model": "m", "input": [[]]}', "input: must be a string"),
        (b'{"model": "m", "input": [1, "x"]}', "input: must be a string"),
        (b'{"model": "m", "input": [true]}', "input: must be a string"),
        (b'{"model": "m", "input": [-1]}', "input: must be a string"),
        (b'{"model": "m", "input": {"a": 1}}', "input: must be a string"),
        (b'{"model": "m", "input": "x", "dimensions": "96"}', "dimensions: Input should be a valid integer"),
        (b'{"model": "m", "input": "x", "encoding_format": "hex"}', "encoding_format: Input should be"),
        (b'{"model": "m", "input": "x", "task": "query"}', "task: unknown field"),
        (b'{"model": "m", "input": "x", "input_type": "querry"}', "input_type: Input should be 'query'"),
        (b'{"model": "m", "input": "x", "input_type": 1}', "input_type: Input should be 'query'"),
        (b'{"model": "m", "input": "\\ud800"}', "not valid JSON"),
    ],
)
def test_what_is_no_request_is_refused_in_openais_shape(
    http: httpx.Client, url: str, body: bytes, said: str
) -> None:
    answer = http.post(f"{url}/embeddings", content=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].startswith(said) or said in error["message"]


def test_other_paths_and_methods_are_refused_in_openais_shape(http: httpx.Client, url: str) -> None:
    assert http.get(f"{url}/chat/completions").json()["error"]["code"] == "unknown_url"
    answer = http.get(f"{url}/embeddings")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert "error" in answer.json()


def test_the_description_names_the_paths_and_loads_nothing_from_elsewhere(
    http: httpx.Client, url: str
) -> None:
    base = url.removesuffix("/v1")
    described = http.get(f"{base}/openapi.json").json()
    assert {"/v1/embeddings", "/v1/compress", "/v1/models", "/healthz", "/readyz", "/metrics"} <= set(
        described["paths"]
    )
    page = http.get(f"{base}/docs").text
    assert "POST /v1/embeddings" in page
    assert "http" not in page.replace("http.", "")
