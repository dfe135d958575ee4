"""Whether an upstream still embeds the canary texts as it did when the compressor was trained."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from smec.compressor import Compressor
from smec.contents import CANARY_INPUTS
from smec.server.metrics import Metrics
from smec.server.refusals import Refusal
from smec.server.settings import DriftSettings
from smec.server.upstream import Upstream
from smec.vectors import normalise

AGAIN_SECONDS = 30.0
"""Until the next check where the last one was not passed."""

logger = logging.getLogger("smec.server")


class State(Enum):
    """What the last check found."""

    UNWATCHED = "not watched: the compressor has no canary texts"
    UNKNOWN = "not checked yet"
    GOOD = "good"
    DRIFTED = "drifted"


class DriftWatch:
    """Compares embeddings of a model's canary texts with the stored ones, again and again.

    Parameters
    ----------
    name : str
        The model, for messages and metrics.
    upstream_model : str
    upstream : Upstream
    settings : DriftSettings
    metrics : Metrics
    fields : mapping, optional
        Further fields of the requests that embed the canary texts.
    """

    def __init__(
        self,
        name: str,
        upstream_model: str,
        upstream: Upstream,
        settings: DriftSettings,
        metrics: Metrics,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        self.state = State.UNKNOWN
        self._name = name
        self._upstream_model = upstream_model
        self._upstream = upstream
        self._settings = settings
        self._metrics = metrics
        self._fields = fields

    def watches(self, compressor: Compressor) -> bool:
        """Whether there is anything to compare, and checking is not switched off."""
        return bool(compressor.manifest.canary_texts) and self._settings.minutes > 0

    async def measure(self, compressor: Compressor) -> float | None:
        """Smallest cosine of the canary texts' embeddings to the stored ones; None if there is none.

        Raises
        ------
        Refusal
            The upstream does not embed them.
        """
        if not self.watches(compressor):
            return None
        texts = list(compressor.manifest.canary_texts)
        question = self._upstream.question(self._upstream_model, texts, self._fields)
        embedded = await self._upstream.embed(question, compressor.input_dim)
        stored = compressor.tensors[CANARY_INPUTS]
        return float(np.einsum("ij,ij->i", stored, normalise(embedded.vectors)).min())

    def failed(self, refusal: Refusal) -> None:
        """Take that the upstream did not answer; the state is what it was."""
        self._metrics.drift_errors.labels(self._name).inc()
        # Its code, not its message: an upstream may quote the texts in it, or forge lines of a log.
        logger.warning("model %s: canaries cannot be checked: %s", self._name, refusal.code)
        self._tell_serving()

    def passes(self, cosine: float | None) -> bool:
        """Whether a model with this smallest cosine is served."""
        return cosine is None or cosine >= self._settings.stop

    def note(self, cosine: float | None) -> None:
        """Take what was measured as the state."""
        before = self.state
        if cosine is None:
            self.state = State.UNWATCHED
            self._tell_serving()
            return
        self._metrics.drift.labels(self._name).set(cosine)
        self.state = State.GOOD if self.passes(cosine) else State.DRIFTED
        self._tell_serving()
        found = f"model {self._name}: smallest cosine of the canaries {cosine:.4f}"
        if self.state is State.DRIFTED:
            logger.error(
                "%s is below %g: not served; has the upstream another model?", found, self._settings.stop
            )
        elif cosine < self._settings.warn:
            logger.warning("%s is below %g", found, self._settings.warn)
        elif before is not State.GOOD:
            logger.info("%s", found)

    def _tell_serving(self) -> None:
        self._metrics.serving.labels(self._name).set(self.refusal() is None)

    @property
    def seconds(self) -> float:
        """Until the next check."""
        usual = self._settings.minutes * 60
        if not usual:  # nothing is checked, but a loop without a pause would take a whole core
            return AGAIN_SECONDS
        return usual if self.state is State.GOOD else min(usual, AGAIN_SECONDS)

    def refusal(self) -> Refusal | None:
        """Why the model is not served, or None."""
        if self.state in (State.GOOD, State.UNWATCHED):
            return None
        if self.state is State.DRIFTED:
            message = f"model {self._name!r} is not served: its upstream's embeddings have changed"
            code = "embedding_drift"
        else:
            message = f"model {self._name!r} is not served yet: its upstream has not been checked"
            code = "not_checked"
        return Refusal(503, message, kind="server_error", code=code, retry_after=AGAIN_SECONDS)
