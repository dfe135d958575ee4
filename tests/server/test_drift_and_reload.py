"""Canaries against the upstream, and compressors that are replaced while they serve."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from server.proxies import DIMS, NAME, compressor, expected, proxy
from server.recorded_upstream import WIDTH, RecordedUpstream, recorded_upstream, texts
from smec.block import Block
from smec.canaries import with_canary_texts
from smec.compressor import Compressor
from smec.demo import demo_dataset
from smec.server.service import Service
from smec.vectors import Float32Array


def watched(seed: int = 0) -> Compressor:
    return with_canary_texts(compressor(seed), demo_dataset(), queries=True)


def turned(share: float) -> Float32Array:
    """A matrix that moves every vector by a share of its length in a random direction."""
    noise = np.random.default_rng(1).standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
    matrix: Float32Array = (np.eye(WIDTH) + share * noise).astype(np.float32)
    return matrix


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def asked(http: httpx.Client, url: str, given: list[str]) -> httpx.Response:
    return http.post(f"{url}/v1/embeddings", json={"model": NAME, "input": given})


def drift(service: Service) -> float | None:
    return service.metrics.registry.get_sample_value("smec_drift_cosine", {"model": NAME})


@pytest.mark.parametrize(
    ("share", "serves", "said"),
    [(0.0, True, None), (0.08, True, "is below 0.999"), (0.5, False, "is below 0.99: not served")],
)
def test_the_upstream_is_compared_at_the_start(
    tmp_path: Path,
    http: httpx.Client,
    caplog: pytest.LogCaptureFixture,
    share: float,
    serves: bool,
    said: str | None,
) -> None:
    caplog.set_level(logging.INFO, logger="smec.server")
    watched().save(tmp_path / "model")
    with recorded_upstream() as upstream:
        upstream.turn = turned(share)
        with proxy(upstream, tmp_path / "model") as (url, service):
            until(lambda: drift(service) not in (None, 0.0))
            answer = asked(http, url, texts()[:1])
            ready = http.get(f"{url}/readyz")
            page = http.get(f"{url}/metrics").text
        assert upstream.asked[0]["input"] == list(watched().manifest.canary_texts)
    assert (answer.status_code, ready.status_code) == ((200, 200) if serves else (503, 503))
    if not serves:
        assert answer.json()["error"]["code"] == "embedding_drift"
        assert answer.headers["retry-after"] == "30"
    assert f'smec_model_serving{{model="{NAME}"}} {1.0 if serves else 0.0}' in page
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [] if said is None else said in warnings[0]
    assert not any(text in caplog.text for text in watched().manifest.canary_texts)


def test_thresholds_are_settings(tmp_path: Path, http: httpx.Client) -> None:
    watched().save(tmp_path / "model")
    with recorded_upstream() as upstream:
        upstream.turn = turned(0.5)
        with proxy(upstream, tmp_path / "model", drift={"warn": 0.5, "stop": 0.5}) as (url, service):
            until(lambda: drift(service) not in (None, 0.0))
            assert asked(http, url, texts()[:1]).status_code == 200


def test_a_model_is_not_served_before_its_upstream_was_checked_and_comes_back(
    tmp_path: Path, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smec.server.drift.AGAIN_SECONDS", 0.05)
    watched().save(tmp_path / "model")
    with recorded_upstream() as upstream:
        upstream.always = "401"
        with proxy(upstream, tmp_path / "model", drift={"minutes": 0.001}) as (url, _):
            answer = asked(http, url, texts()[:1])
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_checked")
            assert http.get(f"{url}/readyz").status_code == 503
            upstream.always = None
            until(lambda: http.get(f"{url}/readyz").status_code == 200)
            assert asked(http, url, texts()[:1]).status_code == 200
            upstream.turn = turned(0.5)  # later, the upstream becomes another model
            until(lambda: http.get(f"{url}/readyz").status_code == 503)
            assert asked(http, url, texts()[:1]).status_code == 503
            upstream.turn = None
            until(lambda: http.get(f"{url}/readyz").status_code == 200)


def test_without_canary_texts_or_with_checks_switched_off_nothing_is_asked(
    tmp_path: Path, http: httpx.Client
) -> None:
    watched().save(tmp_path / "off")
    with recorded_upstream() as upstream:
        for name, minutes in (("model", 15), ("off", 0)):
            with proxy(upstream, tmp_path / name, drift={"minutes": minutes}) as (url, _):
                until(lambda url=url: http.get(f"{url}/readyz").status_code == 200)  # type: ignore[misc]
                assert "not watched" in http.get(f"{url}/readyz").json()["models"][NAME]
        assert upstream.asked == []


def test_a_replaced_compressor_serves_without_one_failed_request(
    upstream: RecordedUpstream, tmp_path: Path, http: httpx.Client
) -> None:
    folder, given = tmp_path / "model", texts()[:4]
    done = threading.Event()
    answers: list[Any] = []

    with proxy(upstream, folder, reload_seconds=0.05) as (url, service):

        def ask() -> None:
            with httpx.Client(timeout=20) as client:
                while not done.is_set():
                    answers.append(asked(client, url, given))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for seed in (1, 2, 3):
            compressor(seed).save(folder, force=True)
            now = compressor(seed).fingerprint
            until(lambda now=now: service.models.named(NAME).compressor.fingerprint == now)  # type: ignore[misc]
        done.set()
        for thread in threads:
            thread.join()
        last = asked(http, url, given)
    right = [expected(given, DIMS[0], compressor(seed)) for seed in range(4)]
    for answer in answers:
        assert answer.status_code == 200
        found = np.array([item["embedding"] for item in answer.json()["data"]])
        assert any(np.allclose(found, vectors, atol=1e-5) for vectors in right)  # never of two of them
    found = np.array([item["embedding"] for item in last.json()["data"]])
    np.testing.assert_allclose(found, right[3], atol=1e-6)


def test_a_reload_that_fails_unforeseen_is_not_the_last_one(
    upstream: RecordedUpstream,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "model"

    def broken(settings: object) -> Compressor:
        raise AssertionError("a secret")

    with proxy(upstream, folder, reload_seconds=0.02) as (_, service):
        with monkeypatch.context() as patched:
            patched.setattr("smec.server.models.load", broken)
            compressor(1).save(folder, force=True)
            refused = {"model": NAME, "outcome": "refused"}
            until(lambda: service.metrics.registry.get_sample_value("smec_reloads_total", refused) == 1)
        compressor(2).save(folder, force=True)
        now = compressor(2).fingerprint
        until(lambda: service.models.named(NAME).compressor.fingerprint == now)
    assert "the one before serves on: AssertionError" in caplog.text
    assert "a secret" not in caplog.text


def narrow() -> Compressor:
    fields = compressor().manifest.model_dump(
        exclude={"blocks", "dims", "codecs", "input_dim", "tensors_sha256", "format_version"}
    )
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((100, 96)).astype(np.float32)
    return Compressor.assemble([Block(matrix, DIMS, "pca")], fields, rng.random((4, 100)), np.ones(100))


def damaged(folder: Path) -> None:
    file = folder / "compressor.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def configured(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Changes ``config.json``, which has no hash, in place."""

    def replace(folder: Path) -> None:
        file = folder / "config.json"
        fields = json.loads(file.read_text())
        change(fields)
        file.write_text(json.dumps(fields))

    return replace


def unloadable(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 200_000)


def too_long(folder: Path) -> None:
    file = folder / "config.json"
    file.write_text(file.read_text().replace('"input_dim": 384', '"input_dim": ' + "9" * 5000))


@pytest.mark.parametrize(
    ("replace", "said"),
    [
        (configured(lambda fields: fields.update(dims=[])), "serve [96, 48], but its dims are []"),
        (configured(lambda fields: fields.update(dims=[96, 48, 24])), "but its dims are [96, 48, 24]"),
        (configured(lambda fields: fields.update(blocks=[], dims=[])), "serve [], but its dims are []"),
        (configured(lambda fields: fields.update(input_dim=100)), "cannot serve 100 -> 96 dims"),
        (unloadable, "not readable JSON"),
        (too_long, "not readable JSON"),
        (damaged, "not a readable safetensors file"),
        (lambda folder: narrow().save(folder, force=True), "takes 100 dims, the one before 384"),
        (lambda folder: (folder / "config.json").write_text("{}"), "not a smec compressor"),
    ],
)
def test_a_compressor_that_cannot_serve_does_not_replace_the_one_that_does(
    upstream: RecordedUpstream,
    tmp_path: Path,
    http: httpx.Client,
    caplog: pytest.LogCaptureFixture,
    replace: Callable[[Path], None],
    said: str,
) -> None:
    folder = tmp_path / "model"
    with proxy(upstream, folder, reload_seconds=0.02) as (url, service):
        replace(folder)
        refused = {"model": NAME, "outcome": "refused"}
        until(lambda: service.metrics.registry.get_sample_value("smec_reloads_total", refused) == 1)
        found = [item["embedding"] for item in asked(http, url, texts()[:2]).json()["data"]]
        compressor(1).save(folder, force=True)  # and a whole one is taken later
        now = compressor(1).fingerprint
        until(lambda: service.models.named(NAME).compressor.fingerprint == now)
    np.testing.assert_allclose(found, expected(texts()[:2]), atol=1e-6)
    assert said in caplog.text


def test_a_compressor_for_another_embedding_model_does_not_replace_the_one_that_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    watched().save(folder)
    with recorded_upstream() as upstream, proxy(upstream, folder, reload_seconds=0.02) as (_, service):
        until(lambda: drift(service) not in (None, 0.0))
        upstream.turn = turned(0.5)  # so that the new one's canaries do not fit
        watched(1).save(folder, force=True)
        refused = {"model": NAME, "outcome": "refused"}
        until(lambda: service.metrics.registry.get_sample_value("smec_reloads_total", refused) == 1)
        assert service.models.named(NAME).compressor.fingerprint == watched().fingerprint
    assert "embeds its canaries with a cosine of" in caplog.text


def test_several_models_each_before_its_own_upstream(tmp_path: Path, http: httpx.Client) -> None:
    compressor(1).save(tmp_path / "other")
    with recorded_upstream() as first, recorded_upstream() as second:
        models = {
            NAME: {"path": str(tmp_path / "model")},
            "org/other": {
                "path": str(tmp_path / "other"),
                "upstream": {"url": second.url, "forward": ["input_type"]},
                "upstream_model": "there",
                "dimensions": 48,
            },
        }
        with proxy(first, tmp_path / "model", models=models) as (url, _):
            body = {"model": "org/other", "input": texts()[:2], "input_type": "query"}
            answer = http.post(f"{url}/v1/embeddings", json=body).json()
            here = {**body, "model": NAME}
            kept = http.post(f"{url}/v1/embeddings", json=here).json()
            one = http.get(f"{url}/v1/models/org/other").json()
        found = np.array([item["embedding"] for item in answer["data"]])
        np.testing.assert_allclose(found, expected(texts()[:2], 48, compressor(1)), atol=1e-6)
        assert answer["model"] == "org/other"
        assert (second.asked[-1]["model"], second.asked[-1]["input_type"]) == ("there", "query")
        assert [sorted(asked) for asked in first.asked] == [["encoding_format", "input", "model"]]
        assert kept["model"] == NAME
        assert (one["dimensions"], one["default_dimensions"]) == ([96, 48], 48)
