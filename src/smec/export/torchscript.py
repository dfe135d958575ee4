"""To TorchScript: a file that ``torch.jit.load`` reads, from Python or C++, without smec."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from smec.export.order import Order
from smec.export.packing import Packing, packing

STAMP_FILE = "smec.json"
"""Name of the extra file inside the archive."""


class Small(nn.Module):
    """Projection, unit length and, where there is a code, packing.

    Parameters
    ----------
    order : Order
    packed : Packing, optional
        How its codes are made.
    """

    def __init__(self, order: Order, packed: Packing | None) -> None:
        super().__init__()
        self.as_half = order.codec == "float16"
        self.packed = packed
        self.register_buffer("matrix", torch.from_numpy(order.matrix))
        self.has_bias = order.bias is not None
        arrays = {"bias": order.bias} if order.bias is not None else {}
        arrays |= {} if packed is None else packed.arrays() | {"weights": packed.weights}
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array.copy()))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Embeddings of shape (n, D), of any float type, as small vectors or codes."""
        rows = embeddings.to(torch.float32)
        small = rows @ self.get_buffer("matrix")
        if self.has_bias:  # it belongs to a unit-length input: longer by as much as the row is
            small = small + torch.linalg.vector_norm(rows, dim=1, keepdim=True) * self.get_buffer("bias")
        small = nn.functional.normalize(small, dim=1)
        if self.packed is not None:
            return self._codes(small, self.packed)
        return small.to(torch.float16) if self.as_half else small

    def _codes(self, small: Tensor, packed: Packing) -> Tensor:
        if packed.rotation is not None:
            small = small @ self.get_buffer("rotation")
        if packed.span is None:
            levels = (small > self.get_buffer("low")).to(torch.float32)
        else:
            share = (small - self.get_buffer("low")) / self.get_buffer("span")
            levels = (share.clip(0, 1) * packed.steps).floor()
        places = levels.reshape(-1, len(packed.low) // packed.per_byte, packed.per_byte)
        codes: Tensor = (places * self.get_buffer("weights")).sum(2).to(torch.uint8)
        return codes


def write(order: Order, output: Path) -> None:
    """Write the traced module as a file."""
    module = Small(order, packing(order, "torchscript")).eval()
    with warnings.catch_warnings():
        # torch advises torch.export, which C++ and mobile runtimes of TorchScript do not read.
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        traced = torch.jit.trace(module, torch.ones(2, order.input_dim), check_trace=False)  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()  # on a full disk torch's own writer ends the process
        torch.jit.save(traced, buffer, _extra_files={STAMP_FILE: json.dumps(order.stamp())})
    output.write_bytes(buffer.getvalue())
