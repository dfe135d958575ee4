"""Reads, compresses and writes at the same time: one block each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa

from smec.bulk.formats import Write
from smec.codecs import Codec
from smec.data.blocks import Block, read_ahead
from smec.vectors import Float32Array


def overlapped(
    blocks: Iterator[Block], compressed: Callable[[Block], Float32Array], codec: Codec, write: Write
) -> Iterator[Block]:
    """Yield each block once it is compressed; the next is read and the one before written meanwhile.

    No more than these three are held. When the iterator ends, all are written.
    """

    def store(columns: Sequence[pa.Array], small: Float32Array) -> None:
        write(columns, codec.encode(small))

    with ThreadPoolExecutor(1) as writer:
        written: Future[None] | None = None
        for block in read_ahead(blocks):
            small = compressed(block)
            if written is not None:
                written.result()
            written = writer.submit(store, block.columns, small)
            yield block
        if written is not None:
            written.result()
