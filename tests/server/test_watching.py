"""The watch over an upstream: pauses, logs, and a compressor that is replaced meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.responses import JSONResponse

from server.proxies import DIMS, NAME, document, proxy
from server.recorded_upstream import FAULTS, WIDTH, RecordedUpstream, recorded, recorded_upstream
from server.test_drift_and_reload import until, watched
from smec.block import Block
from smec.compressor import Compressor
from smec.config import parsed
from smec.contents import ASSEMBLED, MEAN
from smec.server.drift import AGAIN_SECONDS, State
from smec.server.metrics import Metrics
from smec.server.models import Models, ServedModel
from smec.server.replies import Embedded
from smec.server.settings import ServerSettings


def model_of(folder: Path, **fields: Any) -> tuple[ServedModel, Metrics]:
    behind, metrics = RecordedUpstream(), Metrics()
    behind.url = "http://127.0.0.1:9/v1"
    return Models(parsed(ServerSettings, document(behind, folder, **fields), "test"), metrics).named(
        NAME
    ), metrics


def test_a_watch_without_checks_makes_pauses(tmp_path: Path) -> None:
    watched().save(tmp_path / "model")
    model, _ = model_of(tmp_path / "model", drift={"minutes": 0})
    assert model.watch.seconds == AGAIN_SECONDS
    asyncio.run(model.check())
    assert (model.watch.state, model.watch.seconds) == (State.UNWATCHED, AGAIN_SECONDS)


def test_a_check_of_the_compressor_before_says_nothing_about_the_new_one(tmp_path: Path) -> None:
    folder, old = tmp_path / "model", watched()
    old.save(folder)
    # The upstream becomes another model, and there is a new compressor for it.
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((WIDTH, WIDTH)))[0].astype(np.float32)
    embedded = np.array([recorded()[text] @ turn for text in old.manifest.canary_texts])
    matrix = np.ascontiguousarray(turn.T @ old.blocks[0].matrix)
    fields = old.manifest.model_dump(exclude=ASSEMBLED)
    new = Compressor.assemble([Block(matrix, DIMS, "pca")], fields, embedded, old.tensors[MEAN])
    model, metrics = model_of(folder)

    def serving() -> float | None:
        return metrics.registry.get_sample_value("smec_model_serving", {"model": NAME})

    async def overtaken() -> None:
        first = asyncio.Event()
        asked: list[int] = []

        async def embed(question: object, width: int) -> Embedded:
            asked.append(width)
            if len(asked) == 1:
                await first.wait()
            return Embedded(embedded, {})

        model.upstream.embed = embed  # type: ignore[method-assign]
        check = asyncio.create_task(model.check())
        while not asked:
            await asyncio.sleep(0)
        new.save(folder, force=True)
        await model.reload()
        assert (model.compressor.fingerprint, model.watch.state) == (new.fingerprint, State.GOOD)
        assert serving() == 1  # as soon as it serves, not only after the next check
        first.set()
        await check

    asyncio.run(overtaken())
    assert (model.watch.state, serving()) == (State.GOOD, 1)


def test_what_an_upstream_says_to_canaries_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched().save(tmp_path / "model")
    text = watched().manifest.canary_texts[0]
    said = {"error": {"message": f"too long: {text!r}\nCRITICAL a forged line"}}
    monkeypatch.setitem(FAULTS, "quotes", lambda document: JSONResponse(said, 400))
    caplog.set_level(logging.INFO, logger="smec.server")
    with recorded_upstream() as upstream:
        upstream.always = "quotes"
        with proxy(upstream, tmp_path / "model", reload_seconds=0.02):
            until(lambda: "canaries cannot be checked: upstream_refused" in caplog.text)
            watched(1).save(tmp_path / "model", force=True)
            until(lambda: "not reloaded yet: upstream_refused" in caplog.text)
    assert text not in caplog.text
    assert "forged" not in caplog.text


def test_canaries_are_sent_with_the_fields_they_were_embedded_with(tmp_path: Path) -> None:
    watched().save(tmp_path / "model")
    models = {NAME: {"path": str(tmp_path / "model"), "canary_fields": {"input_type": "query"}}}
    with recorded_upstream() as upstream, proxy(upstream, tmp_path / "model", models=models):
        until(lambda: bool(upstream.asked))
        assert upstream.asked[0]["input_type"] == "query"
        assert upstream.asked[0]["model"] == NAME


def test_a_check_that_loses_its_cancellation_does_not_hold_up_the_end(tmp_path: Path) -> None:
    behind = RecordedUpstream()
    behind.url = "http://127.0.0.1:9/v1"
    settings = parsed(ServerSettings, document(behind, tmp_path / "model", reload_seconds=0), "test")
    models = Models(settings, Metrics())

    async def ends() -> None:
        begun = asyncio.Event()

        async def check() -> None:
            begun.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(20)

        models.named(NAME).check = check  # type: ignore[method-assign]
        models.start()
        await begun.wait()
        await asyncio.wait_for(models.close(), 10)

    asyncio.run(ends())
