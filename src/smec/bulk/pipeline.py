"""Reads, compresses and writes at the same time: one block each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from smec.bulk.formats import Write
from smec.codecs import Codes
from smec.data.blocks import Block, read_ahead


def overlapped(blocks: Iterator[Block], encode: Callable[[Block], Codes], write: Write) -> Iterator[Block]:
    """Yield each block once it is encoded; the next is read and the one before written meanwhile.

    No more than these three are held. When the iterator ends, all are written.
    """
    with ThreadPoolExecutor(1) as writer:
        written: Future[None] | None = None
        for block in read_ahead(blocks):
            codes = encode(block)
            if written is not None:
                written.result()
            written = writer.submit(write, block.columns, codes)
            yield block
        if written is not None:
            written.result()
