"""``POST /v1/compress``: vectors in, small vectors out."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.proxies import NAME, compressor
from server.recorded_upstream import WIDTH, recorded
from smec.errors import DataError
from smec.server.vectors_wire import ARROW
from smec.vectors import Float32Array


def rows(count: int = 5) -> Float32Array:
    return np.array(list(recorded().values())[:count])


def arrow(vectors: Any, options: pa.ipc.IpcWriteOptions | None = None, **columns: Any) -> bytes:
    kind = pa.from_numpy_dtype(vectors.dtype)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), kind), vectors.shape[1])
    table = pa.table({**columns, "vector": column})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=3)
    return bytes(sink.getvalue())


def sent_arrow(
    http: httpx.Client, url: str, body: bytes, query: str = f"model={NAME}&dimensions=48"
) -> httpx.Response:
    return http.post(f"{url}/compress?{query}", content=body, headers={"Content-Type": ARROW})


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize("count", [1, 5, 300])
def test_json_and_base64(http: httpx.Client, url: str, encoding: str, count: int) -> None:
    vectors = rows(count)
    coded = base64.b64encode(vectors.astype("<f4").tobytes()).decode()
    for given_ in (vectors.tolist(), coded):
        body = {"model": NAME, "dimensions": 48, "encoding_format": encoding, "vectors": given_}
        answer = http.post(f"{url}/compress", json=body).json()
        found = answer["vectors"]
        if encoding == "base64":
            found = np.frombuffer(base64.b64decode(found), "<f4").reshape(count, 48)
        np.testing.assert_allclose(found, compressor().encode(vectors, 48), atol=1e-6)
        assert (answer["count"], answer["dimensions"], answer["model"]) == (count, 48, NAME)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_arrow_keeps_the_other_columns(http: httpx.Client, url: str, kind: Any) -> None:
    vectors = rows(8).astype(kind)
    answer = sent_arrow(http, url, arrow(vectors, id=pa.array([f"d{n}" for n in range(8)])))
    assert answer.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table["id"].to_pylist() == [f"d{n}" for n in range(8)]
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 48)
    np.testing.assert_allclose(
        np.array(table["vector"].to_pylist()), compressor().encode(vectors, 48), atol=1e-6
    )


def test_arrow_without_rows_is_arrow_without_rows(http: httpx.Client, url: str) -> None:
    answer = sent_arrow(http, url, arrow(rows(5)[:0]))
    assert pa.ipc.open_stream(answer.content).read_all().num_rows == 0


def test_arrow_that_does_not_say_its_length_beforehand(http: httpx.Client, url: str) -> None:
    body = arrow(rows(8))
    parts = (body[start : start + 1000] for start in range(0, len(body), 1000))
    headers = {"Content-Type": ARROW}
    answer = http.post(f"{url}/compress?model={NAME}&dimensions=48", content=parts, headers=headers)
    assert answer.content == sent_arrow(http, url, body).content
    table = pa.ipc.open_stream(answer.content).read_all()
    found = np.stack(table["vector"].to_numpy())
    np.testing.assert_allclose(found, compressor().encode(rows(8), 48), atol=1e-6)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_arrow_is_refused_before_it_is_unpacked(
    http: httpx.Client, url: str, compression: str
) -> None:
    bomb = arrow(np.zeros((50, WIDTH), np.float32), pa.ipc.IpcWriteOptions(compression=compression))
    answer = sent_arrow(http, url, bomb)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == ("send the Arrow stream without compression and dictionaries")


def test_a_dictionary_column_is_refused(http: httpx.Client, url: str) -> None:
    words = pa.array(["a", "b", "a", "a", "b"]).dictionary_encode()
    assert sent_arrow(http, url, arrow(rows(5), word=words)).status_code == 400


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v[:, :100], "row 0 has 100 dims, but 384 are expected"),
        (lambda v: v * 0, "row 0 is a zero vector"),
        (lambda v: v * np.nan, "row 0, column 0 is nan"),
    ],
)
def test_unusable_arrow_rows_are_named(http: httpx.Client, url: str, change: Any, said: str) -> None:
    answer = sent_arrow(http, url, arrow(change(rows(5)).astype(np.float32)))
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("vectors", [[], [[]], [[1.0]], "", "AAAA", "%", [[0.0] * WIDTH], [[1e300] * WIDTH]])
def test_unusable_json_rows_are_refused(http: httpx.Client, url: str, vectors: Any) -> None:
    answer = http.post(f"{url}/compress", json={"model": NAME, "vectors": vectors})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "vectors")


@pytest.mark.parametrize(
    "query", ["", "model=none", f"model={NAME}&dimensions=7", f"model={NAME}&dimensions=x"]
)
def test_arrow_names_model_and_size_in_the_query(http: httpx.Client, url: str, query: str) -> None:
    assert sent_arrow(http, url, arrow(rows()), query).status_code in (400, 404)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_arrow_is_refused_or_answered_but_never_breaks_anything(
    http: httpx.Client, url: str, data: st.DataObject
) -> None:
    body = bytearray(arrow(rows(6), id=pa.array(list("abcdef"))))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))]
    assert sent_arrow(http, url, bytes(body)).status_code in (200, 400)
    assert http.get(url.replace("/v1", "/healthz")).status_code == 200


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(1, 4), st.just(WIDTH)), elements=st.floats(width=32)))
def test_any_numbers_give_right_vectors_or_a_refusal(
    http: httpx.Client, url: str, vectors: Float32Array
) -> None:
    answer = sent_arrow(http, url, arrow(vectors))
    if answer.status_code == 200:
        table = pa.ipc.open_stream(answer.content).read_all()
        found = np.array(table["vector"].to_pylist())
        np.testing.assert_allclose(found, compressor().encode(vectors, 48), atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    else:
        assert answer.status_code == 400
        with pytest.raises(DataError):
            compressor().encode(vectors, 48)
