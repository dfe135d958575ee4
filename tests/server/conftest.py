"""One recorded upstream and one proxy for the tests that do not change them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import httpx
import pytest
from proxies import proxy
from recorded_upstream import RecordedUpstream, recorded_upstream


@pytest.fixture(scope="session", autouse=True)
def quick_switches() -> Iterator[None]:
    """Client, proxy and upstream are threads here: at Python's 5 ms each request waits for several turns."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(usual)


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
