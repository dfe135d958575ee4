"""Embed what is not in the cache yet: batches of distinct texts, several at once, checked as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import numpy as np

from smec.embedding import Role, TextEncoder
from smec.embedding.cache import VectorCache, text_key
from smec.embedding.source import Text
from smec.errors import EncoderError
from smec.vectors import FloatArray

OnTexts = Callable[[int], None]

Batch = list[tuple[bytes, Text]]
"""Texts with their keys, no key twice."""


class Filler:
    """Brings the vectors of texts into a cache.

    Parameters
    ----------
    encoder : TextEncoder
    cache : VectorCache
    progress : callable, optional
        Called with the number of texts that one batch has brought.
    """

    def __init__(self, encoder: TextEncoder, cache: VectorCache, progress: OnTexts | None = None) -> None:
        self._encoder = encoder
        self._cache = cache
        self._progress = progress
        self.width: int | None = None
        """D, once a vector is known."""

    def fill(self, texts: Iterable[Text], role: Role, name: str) -> None:
        """Embed all texts that are not cached.

        Memory is bounded by the batches at work. Where one fails, those at work are waited for and kept.

        Parameters
        ----------
        texts : iterable of Text
        role : {"query", "document"}
        name : str
            What messages call the texts.

        Raises
        ------
        DataError
            A text cannot be used.
        EncoderError
            The encoder fails, or answers with too few vectors, another width or numbers that cannot be
            used; names the batch or the text.
        """
        working: dict[Future[Sequence[FloatArray]], Batch] = {}
        with ThreadPoolExecutor(self._encoder.concurrency) as pool:
            try:
                for batch in self._batches(texts, role):
                    if len(working) >= self._encoder.concurrency:
                        self._take(working, name)
                    wholes = [text.whole for _, text in batch]
                    working[pool.submit(self._encoder.embed, wholes, role)] = batch
                while working:
                    self._take(working, name)
            except KeyboardInterrupt:
                self._encoder.close()
                raise
            except EncoderError:
                self._rescue(working, name)
                raise

    def _batches(self, texts: Iterable[Text], role: Role) -> Iterator[Batch]:
        identity = self._encoder.identity(role)
        batch: dict[bytes, Text] = {}
        for text in texts:
            key = text_key(identity, text.whole)
            if key in batch:
                continue
            if key in self._cache:
                self._check_cached(len(self._cache[key]))
                continue
            batch[key] = text
            if len(batch) == self._encoder.texts_per_call:
                yield list(batch.items())
                batch = {}
        if batch:
            yield list(batch.items())

    def _take(self, working: dict[Future[Sequence[FloatArray]], Batch], name: str) -> None:
        """Keep what at least one of the batches at work has brought."""
        done, _ = wait(working, return_when=FIRST_COMPLETED)
        failure: EncoderError | None = None
        for future in done:
            try:
                self._keep(future, working.pop(future), name)
            except EncoderError as error:
                failure = error
        if failure is not None:
            raise failure

    def _rescue(self, working: dict[Future[Sequence[FloatArray]], Batch], name: str) -> None:
        """Keep what the others bring: it has been paid for."""
        while working:
            try:
                self._take(working, name)
            except EncoderError:
                continue  # the first failure is the one to tell

    def _keep(self, future: Future[Sequence[FloatArray]], batch: Batch, name: str) -> None:
        first, last = batch[0][1], batch[-1][1]
        try:
            vectors = future.result()
            if len(vectors) != len(batch):
                raise EncoderError(f"the encoder gave {len(vectors)} vectors for {len(batch)} texts")
        except EncoderError as error:
            raise EncoderError(
                f"{error}; the batch: {name}, lines {first.line} to {last.line} "
                f"(ids {first.id!r} to {last.id!r})"
            ) from error
        for vector, (_, text) in zip(vectors, batch, strict=True):
            self._check(vector, text, name)
        self._cache.add([key for key, _ in batch], [np.asarray(v, dtype=np.float32) for v in vectors])
        if self._progress is not None:
            self._progress(len(batch))

    def _check_cached(self, width: int) -> None:
        self.width = self.width or width
        if width != self.width:
            raise EncoderError(
                f"{self._cache.name}: holds vectors of {self.width} and of {width} dims of this encoder; "
                "use another --cache"
            )

    def _check(self, vector: FloatArray, text: Text, name: str) -> None:
        where = f"{name}: line {text.line} (id {text.id!r})"
        asked = self._encoder.dimensions
        if asked is not None and len(vector) != asked:
            raise EncoderError(f"{where}: asked for {asked} dims, the encoder answers with {len(vector)}")
        if self.width is None:
            self.width = len(vector)
        if len(vector) != self.width:
            raise EncoderError(
                f"{where}: the encoder answers with {len(vector)} dims, but gave {self.width} before"
            )
        if not np.isfinite(vector).all() or not np.any(vector):
            what = "only zeros" if np.isfinite(vector).all() else "NaN or infinite numbers"
            raise EncoderError(f"{where}: the encoder answers with {what}")
