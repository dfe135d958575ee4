"""The served models: each a compressor, which can be replaced while it serves, and an upstream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from pathlib import Path

from smec.artefact_files import CONFIG_FILE, TENSORS_FILE
from smec.compressor import Compressor
from smec.encoder import served
from smec.errors import ArtefactError, ConfigError, SmecError
from smec.server.drift import DriftWatch
from smec.server.metrics import Metrics
from smec.server.refusals import Refusal
from smec.server.settings import ModelSettings, ServerSettings, UpstreamSettings
from smec.server.upstream import Upstream
from smec.server.wire import QUERIES, InputType, ModelCard
from smec.verification import verify

logger = logging.getLogger("smec.server")

Signature = tuple[tuple[int, int, int], ...]


class ServedModel:
    """One compressor before one upstream model.

    Parameters
    ----------
    name : str
        What requests call it.
    settings : ModelSettings
    upstream : Upstream
    watch : DriftWatch
    metrics : Metrics

    Raises
    ------
    ArtefactError, ConfigError
        There is no whole compressor, or it does not serve the default size.
    """

    def __init__(
        self, name: str, settings: ModelSettings, upstream: Upstream, watch: DriftWatch, metrics: Metrics
    ) -> None:
        self.name = name
        self.settings = settings
        self.upstream = upstream
        self.watch = watch
        self._metrics = metrics
        self._told = False
        self._seen = signature(settings.path)
        self.compressor = load(settings)

    @property
    def upstream_model(self) -> str:
        """What the upstream calls it."""
        return self.settings.upstream_model or self.name

    def dim(self, wanted: int | None) -> int:
        """The size to answer with; Refusal that names the served ones where it is none of them."""
        if wanted is None:
            return default_dim(self.compressor, self.settings)
        if wanted not in self.compressor.dims:
            sizes = ", ".join(map(str, self.compressor.dims))
            message = f"dimensions: model {self.name!r} serves {sizes}; {wanted} is none of them"
            raise Refusal(400, message, code="invalid_dimensions", param="dimensions")
        return wanted

    def for_queries(self, wanted: InputType | None, dim: int) -> bool:
        """Whether a request for this size gets vectors of queries; warns once where it does not say."""
        side = wanted or self.settings.input_type
        if side is None and dim in self.compressor.own_queries and not self._told:
            self._told = True
            logger.warning(
                "model %s: a request without input_type is taken for documents, but queries have a matrix of "
                "their own: send input_type, or set models.NAME.input_type",
                self.name,
            )
        return side in QUERIES

    def card(self) -> ModelCard:
        """What ``GET /v1/models`` says of it."""
        return ModelCard(
            id=self.name,
            object="model",
            created=self._seen[0][1] // 10**9,
            owned_by="smec",
            dimensions=list(self.compressor.dims),
            default_dimensions=self.dim(None),
            fingerprint=self.compressor.fingerprint,
            query_fingerprint=self.compressor.query_fingerprint,
        )

    async def reload(self) -> None:
        """Take the folder's compressor if it is another one and can be served; else keep what serves.

        Requests that are under way end with the compressor they began with.
        """
        now = signature(self.settings.path)
        if now in (self._seen, ()):  # the same, or in the middle of being replaced
            return
        try:
            # Checked before it serves, so that there is no moment in which nothing does.
            fresh = await asyncio.to_thread(load, self.settings)
            if fresh.input_dim != self.compressor.input_dim:
                raise ConfigError(f"takes {fresh.input_dim} dims, the one before {self.compressor.input_dim}")
            cosine = await self.watch.measure(fresh)
            if cosine is not None and not self.watch.passes(cosine):
                raise ConfigError(f"the upstream embeds its canaries with a cosine of {cosine:.4f} only")
        except Refusal as refusal:  # the upstream's fault: tried again
            logger.warning("model %s: not reloaded yet: %s", self.name, refusal.code)
            return
        except Exception as error:  # whatever a folder does to us, the next one is looked at
            self._seen = now
            self._metrics.reloads.labels(self.name, "refused").inc()
            said = error if isinstance(error, SmecError) else type(error).__name__
            logger.error("model %s: not reloaded, the one before serves on: %s", self.name, said)
            return
        self.compressor, self._seen = fresh, now
        self.watch.note(cosine)
        self._metrics.reloads.labels(self.name, "done").inc()
        of_queries = f", of queries {fresh.query_fingerprint}" if fresh.own_queries else ""
        logger.info("model %s: reloaded, fingerprint %s%s", self.name, fresh.fingerprint, of_queries)

    async def check(self) -> None:
        """Compare the upstream with the canary texts once."""
        compressor = self.compressor
        try:
            cosine = await self.watch.measure(compressor)
        except Refusal as refusal:
            self.watch.failed(refusal)
            return
        if compressor is self.compressor:  # else it was replaced, and the new one was compared
            self.watch.note(cosine)


class Models:
    """All served models, and the tasks that look after them.

    Parameters
    ----------
    settings : ServerSettings
    metrics : Metrics

    Raises
    ------
    ArtefactError, ConfigError
        A compressor, a key or certificates cannot be used.
    """

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._upstreams: dict[UpstreamSettings, Upstream] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._models = {name: self._model(name, metrics) for name in settings.models}

    def _model(self, name: str, metrics: Metrics) -> ServedModel:
        settings, behind = self._settings.models[name], self._settings.upstream_of(name)
        if behind not in self._upstreams:
            self._upstreams[behind] = Upstream(behind, metrics)
        upstream = self._upstreams[behind]
        asked = settings.upstream_model or name
        watch = DriftWatch(name, asked, upstream, self._settings.drift, metrics, settings.canary_fields)
        return ServedModel(name, settings, upstream, watch, metrics)

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models.values())

    def named(self, name: str) -> ServedModel:
        """The model that a request names; Refusal with 404 where there is none."""
        if name not in self._models:
            names = ", ".join(self._models)
            message = f"model: there is no such model; served are {names}"
            raise Refusal(404, message, code="model_not_found", param="model")
        return self._models[name]

    def start(self) -> None:
        """Begin to check for drift and for replaced compressors."""
        self._tasks = [asyncio.create_task(self._watch(model)) for model in self]
        if self._settings.reload_seconds:
            self._tasks.append(asyncio.create_task(self._look()))

    async def reload(self) -> None:
        """Reload what was replaced."""
        for model in self:
            await model.reload()

    async def close(self) -> None:
        """End the tasks and the connections."""
        # More than once: before Python 3.12, `asyncio.wait_for` may lose a cancellation.
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=0.5)
        for upstream in self._upstreams.values():
            await upstream.close()

    async def _watch(self, model: ServedModel) -> None:
        while True:
            await _survived(model.check(), f"model {model.name}: canaries cannot be checked")
            await asyncio.sleep(model.watch.seconds)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._settings.reload_seconds)
            await _survived(self.reload(), "replaced compressors cannot be looked for")


async def _survived(work: Awaitable[None], failed: str) -> None:
    """Wait for a round of a loop that must go on, whatever happens in it."""
    try:
        await work
    except Exception as error:
        logger.error("%s: unexpected %s", failed, type(error).__name__)


def load(settings: ModelSettings) -> Compressor:
    """A compressor that computes what it is said to compute.

    Raises
    ------
    ArtefactError, ConfigError
        There is no whole one, or it does not serve the default size.
    """
    compressor = Compressor.load(settings.path)
    default_dim(compressor, settings)
    for check in verify(compressor):
        if not check.passed:
            raise ArtefactError(f"{settings.path}: {check.name}: {check.detail}")
    return compressor


def default_dim(compressor: Compressor, settings: ModelSettings) -> int:
    """The size of answers to requests that name none."""
    choice = compressor.manifest.choice
    chosen = None if choice is None else choice.chosen.dim
    return served(settings.dimensions or chosen, compressor.dims, compressor.name)


def signature(path: Path) -> Signature:
    """What changes when a compressor's folder is replaced; empty while there is none."""
    try:
        stats = [(path / name).stat() for name in (CONFIG_FILE, TENSORS_FILE)]
    except OSError:
        return ()
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)
