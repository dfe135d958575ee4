"""Where and how a training computes: device, precision, processes. None of it is a part of the method,
so that none of it stands in a `TrainConfig`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Literal

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from smec.errors import ConfigError, PeerError, SmecError
from smec.training.processes import ALONE, Processes

Precision = Literal["float32", "bf16"]

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others: they may read their data from slower disks."""

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells the processes that it starts."""

INTERRUPTED = 130

_trainings = count()


@dataclass(frozen=True)
class Execution:
    """What a training computes with.

    Attributes
    ----------
    device : torch.device
        Of the tensors of the loop. Random numbers are drawn on the CPU, so that batches are the same
        on every device.
    precision : {"float32", "bf16"}
        Of the products in the loss; parameters, optimiser and artefact are float32 in any case.
    processes : Processes
    """

    device: torch.device
    precision: Precision = "float32"
    processes: Processes = ALONE

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the loss is computed."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def provenance(self) -> dict[str, str]:
        """What differs from one process on a CPU in float32, for the artefact."""
        found = {}
        if self.device.type != "cpu":
            found["device"] = self.device.type
        if self.precision != "float32":
            found["precision"] = self.precision
        if self.processes.count > 1:
            found["processes"] = str(self.processes.count)
        return found


ON_CPU = Execution(torch.device("cpu"))
"""One process on a CPU in float32."""


def alone(device: str = "auto", precision: str = "float32") -> Execution:
    """Compute in this process.

    Parameters
    ----------
    device : str
        "auto" (cuda, else mps, else cpu), "cpu", "cuda", "cuda:N" or "mps".
    precision : {"float32", "bf16"}

    Raises
    ------
    ConfigError
        A device that this machine does not have, or a precision that is unknown or that the device
        does not have.
    """
    present = _present()
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if name in present)
    if device not in present:
        raise ConfigError(
            f"device {device!r} is not on this machine; there are {', '.join(('auto', *present))}"
        )
    return Execution(torch.device(device), _checked(precision, device))


@contextmanager
def together(device: str = "auto", precision: str = "float32") -> Iterator[Execution]:
    """Compute together with the other processes that torchrun started, or else in this one `alone`.

    Where one process fails, the others end too: their exchanges raise `PeerError`. Of an error that
    several meet, one process raises it as it is and the others a `PeerError` that is ``told``.

    Parameters
    ----------
    device : str
        As in `alone`; "cuda" is the GPU of this process' ``LOCAL_RANK``. "mps" and "cuda:N" are for
        one process.
    precision : {"float32", "bf16"}

    Raises
    ------
    ConfigError
        As in `alone`.
    PeerError
    """
    if not all(name in os.environ for name in LAUNCHED) or int(os.environ["WORLD_SIZE"]) == 1:
        yield alone(device, precision)
        return
    environment, rank, processes = next(iter(rendezvous("env://")))
    # A second training of the same program must find nothing of the first.
    store = dist.PrefixStore(f"smec/{next(_trainings)}", environment)  # type: ignore[attr-defined]

    def is_first_to_fail() -> bool:
        try:
            return bool(store.compare_set("failed", "", str(rank)) == str(rank).encode())
        except RuntimeError:  # who keeps the store is gone: better two lines than none
            return True

    with _one_voice(is_first_to_fail):
        own = alone(_own_device(device), precision)
        if own.device.type == "cuda":
            torch.cuda.set_device(own.device)
        backend = "nccl" if own.device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=processes, timeout=PATIENCE)
        try:
            yield Execution(own.device, own.precision, Processes(rank, processes))
        finally:
            dist.destroy_process_group()


def _present() -> list[str]:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{number}" for number in range(gpus))] if gpus else []
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def _own_device(device: str) -> str:
    """Which device a process of several takes."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise ConfigError(f"device {device!r} is for one process; several take auto, cpu or cuda")
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device


def _checked(precision: str, device: str) -> Precision:
    if precision == "float32":
        return "float32"
    if precision != "bf16":
        raise ConfigError(f"precision {precision!r} is unknown; there are float32 and bf16")
    if device == "mps" or (device.startswith("cuda") and not torch.cuda.is_bf16_supported()):
        raise ConfigError(f"precision bf16: {device} does not compute in it; use float32")
    return "bf16"


@contextmanager
def _one_voice(is_first_to_fail: Callable[[], bool]) -> Iterator[None]:
    try:
        yield
    except (SmecError, OSError, MemoryError, KeyboardInterrupt) as error:
        if is_first_to_fail():
            raise
        code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else SmecError.exit_code
        raise PeerError("another process of this training failed and says why", code, told=True) from error
