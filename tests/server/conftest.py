"""One recorded upstream, one proxy and one client for the tests that do not change them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from server.proxies import proxy
from server.recorded_upstream import RecordedUpstream, recorded_upstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[RecordedUpstream]:
    with recorded_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def url(upstream: RecordedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with proxy(upstream, tmp_path_factory.mktemp("served") / "model") as (address, _):
        yield f"{address}/v1"


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """One client for all requests: making one reads the system's certificates, which takes long."""
    with httpx.Client(timeout=20) as client:
        yield client
