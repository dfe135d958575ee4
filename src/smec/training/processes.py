"""Processes that train together: each does its share of a step, and all of them make the same step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional

from smec.errors import ConfigError, PeerError

Value = TypeVar("Value")


class Processes:
    """Data parallelism over torch's default process group.

    All processes hold the same data and draw the same batches. Of the rows of a table each has its
    `share`; what it computed of them is put together by `whole`, and the gradients that follow from
    the shares are added by `add_up`, so that a step is the one that a single process would make.

    Parameters
    ----------
    rank, count : int
        Which of how many, from 0. One alone exchanges nothing, and computes what it computed before
        there were any others, bit for bit.

    Raises
    ------
    PeerError
        By whatever exchanges something: another process is gone.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank = rank
        self.count = count

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def share(self, total: int, rank: int | None = None) -> slice:
        """Return which of ``total`` rows are this process' (or another one's); it may be none."""
        rank = self.rank if rank is None else rank
        return slice(total * rank // self.count, total * (rank + 1) // self.count)

    def whole(self, parts: Sequence[Tensor], total: int) -> list[Tensor]:
        """Put together tables of which every process has its share.

        All processes must call it, and the loss of each must depend on what it returns: its backward
        pass is an exchange too.

        Parameters
        ----------
        parts : sequence of Tensor of shape (share of total, any)
        total : int

        Returns
        -------
        list of Tensor of shape (total, any)
        """
        if self.count == 1:
            return list(parts)
        widths = [part.shape[1] for part in parts]
        # All at once: one exchange is cheaper than several.
        together: Tensor = _Whole.apply(torch.cat(list(parts), dim=1), self, total)  # type: ignore[no-untyped-call]
        return list(torch.split(together, widths, dim=1))

    def add_up(self, loss: Tensor, parameters: Iterable[Tensor]) -> Tensor:
        """Make the gradients of ``parameters`` the sums over all processes; return the sum of the losses."""
        if self.count == 1:
            return loss
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([loss.detach().reshape(1), *(gradient.reshape(-1) for gradient in gradients)])
        with _listening():
            dist.all_reduce(flat)
        total, *sums = torch.split(flat, [1, *(gradient.numel() for gradient in gradients)])
        for gradient, summed in zip(gradients, sums, strict=True):
            gradient.copy_(summed.view_as(gradient))
        return total[0]

    def of_first(self, value: Value) -> Value:
        """What the first process has; for what is computed by all and must not differ in a bit."""
        if self.count == 1:
            return value
        box: list[Any] = [value if self.first else None]
        with _listening():
            dist.broadcast_object_list(box, src=0)
        found: Value = box[0]
        return found

    def of_all(self, value: Value) -> list[Value]:
        """What every process has, by rank."""
        if self.count == 1:
            return [value]
        box: list[Any] = [None] * self.count
        with _listening():
            dist.all_gather_object(box, value)
        return box

    def check_same(self, document: Any) -> None:
        """Raise ConfigError where the processes were not given the same data and configuration."""
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        if len(set(self.of_all(digest))) > 1:
            raise ConfigError(
                "the processes of this training were given different data or configurations: "
                "start all of them with the same"
            )


class _Whole(torch.autograd.Function):
    """All rows from the shares of all processes; backward, the sum of what all of them made of a share."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, processes: Processes, total: int) -> Tensor:
        ctx.mine = processes.share(total)
        lengths = [_length(processes.share(total, rank)) for rank in range(processes.count)]
        # gloo gathers tensors of one shape only.
        padded = functional.pad(part, (0, 0, 0, max(lengths) - len(part))).contiguous()
        pieces = [torch.empty_like(padded) for _ in lengths]
        with _listening():
            dist.all_gather(pieces, padded)
        return torch.cat([piece[:length] for piece, length in zip(pieces, lengths, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        summed = gradients[0].clone(memory_format=torch.contiguous_format)
        with _listening():
            dist.all_reduce(summed)
        return summed[ctx.mine], None, None


def _length(rows: slice) -> int:
    return int(rows.stop - rows.start)


@contextmanager
def _listening() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch has no narrower one for gloo
        raise PeerError(
            "another process of this training ended before its end; torchrun says which and how"
        ) from error


ALONE = Processes()
"""A training of one process."""
