"""To numpy: arrays, and a module of a few lines beside them that needs nothing of smec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from smec.export.order import Order
from smec.export.packing import Packing, packing

ARRAYS_FILE = "arrays.npz"
MODULE_FILE = "encode.py"

HEAD = '''\
"""Made by smec {version}; needs nothing of it.

{words}
- rows with NaN, Inf or only zeros are not refused
"""

from pathlib import Path

import numpy as np

with np.load(Path(__file__).with_name("{file}")) as file:
    arrays = dict(file)


'''
UNIT = "small / np.linalg.norm(small, axis=1, keepdims=True)"


def write(order: Order, output: Path) -> None:
    """Write ``arrays.npz`` and ``encode.py`` into a folder."""
    packed = packing(order, "numpy")
    arrays: dict[str, Any] = {"matrix": order.matrix} | ({} if packed is None else packed.arrays())
    arrays |= {} if order.bias is None else {"bias": order.bias}
    arrays |= {"query_matrix": order.for_queries.matrix} if order.own_queries else {}
    np.savez(output / ARRAYS_FILE, **arrays)
    head = HEAD.format(words=order.as_list(), version=order.stamp()["smec_version"], file=ARRAYS_FILE)
    functions = [_function(order, packed)]
    functions += [_function(order.for_queries, packed)] if order.own_queries else []
    (output / MODULE_FILE).write_text(head + "\n\n".join(functions), encoding="utf-8")


def _function(order: Order, packed: Packing | None) -> str:
    others = ", ".join(map(str, order.prefixes[1:])) if order.codec == "float32" else ""
    name = "encode_queries" if order.queries else "encode"
    head = (
        f"def {name}(vectors, dim={order.dim}):  # or dim = {others}" if others else f"def {name}(vectors):"
    )
    lines = _product_lines(order, nested=bool(others))
    if packed is not None:
        lines += ["small /= np.linalg.norm(small, axis=1, keepdims=True)", *_packing_lines(packed)]
    else:
        lines += [
            f"return {UNIT}" if order.codec == "float32" else f"return ({UNIT}).astype(np.{order.codec})"
        ]
    return "\n".join([head, *(f"    {line}" for line in lines), ""])


def _product_lines(order: Order, *, nested: bool) -> list[str]:
    columns, numbers = ("[:, :dim]", "[:dim]") if nested else ("", "")
    rows, matrix = "np.asarray(vectors, dtype=np.float32)", "query_matrix" if order.queries else "matrix"
    if order.bias is None:
        return [f'small = {rows} @ arrays["{matrix}"]{columns}']
    return [
        f"rows = {rows}",
        f'small = rows @ arrays["{matrix}"]{columns}',
        f'small += np.linalg.norm(rows, axis=1, keepdims=True) * arrays["bias"]{numbers}',
    ]


def _packing_lines(packed: Packing) -> list[str]:
    turned = ['small = small @ arrays["rotation"]'] if packed.rotation is not None else []
    if packed.span is None:
        return [*turned, 'return np.packbits(small > arrays["low"], axis=1, bitorder="little")']
    steps = f'np.clip((small - arrays["low"]) / arrays["span"], 0, 1) * np.float32({packed.steps})'
    if packed.per_byte == 1:
        return [*turned, f"return ({steps}).astype(np.uint8)"]
    return [
        *turned,
        f"levels = ({steps}).astype(np.uint8)",
        f"return levels[:, ::2] + levels[:, 1::2] * np.uint8({packed.steps + 1})",
    ]
