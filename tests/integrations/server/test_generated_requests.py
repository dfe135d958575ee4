"""More than 10,000 generated requests: nothing breaks the server, and no vector is wrong."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks

from integrations.server.encoders import embedded_by_hash, encoder_upstream
from server.proxies import DIMS, NAME, compressor, proxy
from smec.server.service import Service
from smec.server.vectors_wire import ARROW

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:schemathesis", "ignore::UserWarning:schemathesis"
)

FROM_THE_DESCRIPTION = 4000
OF_OUR_OWN = 3000
QUICK = settings(
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Service]]:
    folder = tmp_path_factory.mktemp("fuzzed") / "model"
    with encoder_upstream(embedded_by_hash) as upstream, proxy(upstream, folder) as running:
        yield running


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def statuses() -> Iterator[Counter[int]]:
    counted: Counter[int] = Counter()
    yield counted
    print(f"{counted.total()} generated requests: {dict(sorted(counted.items()))}")  # noqa: T201
    assert counted.total() >= 10_000
    assert not [status for status in counted if status >= 500]


@pytest.fixture(scope="module")
def alive(served: tuple[str, Service], http: httpx.Client) -> Iterator[None]:
    yield
    url, service = served
    assert http.get(f"{url}/healthz").status_code == 200
    assert service.metrics.registry.get_sample_value("smec_requests_in_flight") == 0


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/compress"])
def test_requests_from_the_description(
    served: tuple[str, Service], statuses: Counter[int], alive: None, path: str
) -> None:
    load_all_checks()
    schema = schemathesis.openapi.from_url(f"{served[0]}/openapi.json")

    @settings(QUICK, max_examples=FROM_THE_DESCRIPTION)
    @given(case=schema[path]["POST"].as_strategy())
    def ask(case: Any) -> None:
        answer = case.call()
        statuses[answer.status_code] += 1
        left_out = not_promised(path, case.body)
        checks = [check for check in CHECKS.get_all() if check.__name__ not in left_out]
        case.validate_response(answer, checks=checks)

    ask()


def not_promised(path: str, body: Any) -> set[str]:
    """Checks that ask for more than is promised.

    Random bytes are no Arrow stream, and a whole number with a point, which JSON Schema takes for an
    integer, is neither a token nor a size to OpenAI.
    """
    return {"positive_data_acceptance"} if path == "/v1/compress" or _has_float(body) else set()


def _has_float(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return isinstance(value, float) or any(map(_has_float, inner))


TEXT = st.text(min_size=1, max_size=40)
ANY_TEXT = st.text(max_size=40)
TOKENS = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=8)
INPUT = st.one_of(
    TEXT, TOKENS, st.lists(TEXT, min_size=1, max_size=6), st.lists(TOKENS, min_size=1, max_size=6)
)
JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("model", "input", "dimensions", "encoding_format", "user", "vectors", "input_type", "extra")


@settings(QUICK, max_examples=OF_OUR_OWN)
@given(INPUT, st.sampled_from(DIMS), st.sampled_from(["float", "base64"]))
def test_every_right_request_gets_the_right_vectors(
    served: tuple[str, Service],
    http: httpx.Client,
    statuses: Counter[int],
    alive: None,
    asked: Any,
    dim: int,
    encoding: str,
) -> None:
    body = {"model": NAME, "input": asked, "dimensions": dim, "encoding_format": encoding}
    answer = http.post(f"{served[0]}/v1/embeddings", json=body)
    statuses[answer.status_code] += 1
    assert answer.status_code == 200, answer.text
    rows = [item["embedding"] for item in answer.json()["data"]]
    if encoding == "base64":
        rows = [np.frombuffer(base64.b64decode(row), "<f4") for row in rows]
    inputs = [asked] if isinstance(asked, str) or isinstance(asked[0], int) else asked
    np.testing.assert_allclose(rows, compressor().encode(embedded_by_hash(inputs), dim), atol=1e-5)


@settings(QUICK, max_examples=OF_OUR_OWN)
@given(
    st.dictionaries(st.sampled_from(FIELDS), JSON_VALUE).map(lambda body: json.dumps(body).encode())
    | st.binary(max_size=200)
    | JSON_VALUE.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["/v1/embeddings", "/v1/compress", "/v1/compress?model=" + NAME]),
    st.sampled_from(["application/json", ARROW, "text/plain", ""]),
)
def test_what_is_no_request_is_refused(
    served: tuple[str, Service],
    http: httpx.Client,
    statuses: Counter[int],
    alive: None,
    body: bytes,
    path: str,
    kind: str,
) -> None:
    answer = http.post(f"{served[0]}{path}", content=body, headers={"Content-Type": kind})
    statuses[answer.status_code] += 1
    assert answer.status_code in (400, 404), (answer.status_code, body)
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@settings(QUICK, max_examples=1000)
@given(st.data())
def test_damaged_arrow(
    served: tuple[str, Service], http: httpx.Client, statuses: Counter[int], alive: None, data: st.DataObject
) -> None:
    rows = embedded_by_hash(list("abcdef"))
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    table = pa.table({"id": list("abcdef"), "tags": [[1], [], None, [2, 3], [4], [5]], "vector": column})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    body = bytearray(sink.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):  # in the metadata more than in the numbers
        body[data.draw(st.integers(0, min(1200, len(body) - 1)))] = data.draw(st.integers(0, 255))
    answer = http.post(
        f"{served[0]}/v1/compress?model={NAME}", content=bytes(body), headers={"Content-Type": ARROW}
    )
    statuses[answer.status_code] += 1
    assert answer.status_code in (200, 400), answer.text
