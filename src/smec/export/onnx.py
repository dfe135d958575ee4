"""To ONNX: one graph of standard operators from embeddings to small vectors or their codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from smec.export.order import Order
from smec.export.packing import Packing, packing

OPSET, IR_VERSION = 18, 8
"""Those of onnx 1.13 (2022): whatever runs them today, and long since, reads it."""
INPUT, OUTPUT, BATCH = "embeddings", "small", "batch"
TINY = 1e-30
"""Keeps a zero row zero, as smec's own normalisation does; shorter than any other row."""


class _Graph:
    """Nodes and constants of a graph in the making; every call names what it has computed."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: NDArray[Any], name: str) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def apply(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name


def write(order: Order, output: Path) -> None:
    """Write the graph as a file."""
    onnx.save(model(order), str(output))


def model(order: Order) -> Any:
    """The graph as an ``onnx.ModelProto``, checked."""
    packed = packing(order, "onnx")
    graph = _Graph()
    small = _projected(graph, order)
    if packed is None:
        width, kind = order.dim, TensorProto.FLOAT16 if order.codec == "float16" else TensorProto.FLOAT
        graph.apply("Cast", small, output=OUTPUT, to=kind)
    else:
        width, kind = order.dim // packed.per_byte, TensorProto.UINT8
        _packed(graph, small, packed)
    taken = TensorProto.FLOAT16 if order.input_type == "float16" else TensorProto.FLOAT
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "smec",
            [helper.make_tensor_value_info(INPUT, taken, [BATCH, order.input_dim])],
            [helper.make_tensor_value_info(OUTPUT, kind, [BATCH, width])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="smec",
        doc_string=". ".join(order.in_words()),
    )
    helper.set_model_props(made, order.stamp())
    onnx.checker.check_model(made, full_check=True)
    return made


def _projected(graph: _Graph, order: Order) -> str:
    rows = INPUT
    if order.input_type == "float16":
        rows = graph.apply("Cast", INPUT, to=TensorProto.FLOAT)
    small = graph.apply("MatMul", rows, graph.constant(order.matrix, "matrix"))
    columns = graph.constant(np.array([1], dtype=np.int64), "columns")
    if order.bias is not None:  # it belongs to a unit-length input: longer by as much as the row is
        length = graph.apply("ReduceL2", rows, columns, keepdims=1)
        moved = graph.apply("Mul", length, graph.constant(order.bias, "bias"))
        small = graph.apply("Add", small, moved)
    norm = graph.apply("ReduceL2", small, columns, keepdims=1)
    return graph.apply(
        "Div", small, graph.apply("Max", norm, graph.constant(np.array([TINY], dtype=np.float32), "tiny"))
    )


def _packed(graph: _Graph, small: str, packed: Packing) -> None:
    if packed.rotation is not None:
        small = graph.apply("MatMul", small, graph.constant(packed.rotation, "rotation"))
    low = graph.constant(packed.low, "low")
    if packed.span is None:
        levels = graph.apply("Cast", graph.apply("Greater", small, low), to=TensorProto.FLOAT)
    else:
        share = graph.apply("Div", graph.apply("Sub", small, low), graph.constant(packed.span, "span"))
        ends = (
            graph.constant(np.array(end, dtype=np.float32), name) for end, name in ((0, "least"), (1, "most"))
        )
        steps = graph.constant(np.array([packed.steps], dtype=np.float32), "steps")
        levels = graph.apply("Floor", graph.apply("Mul", graph.apply("Clip", share, *ends), steps))
    if packed.per_byte > 1:
        shape = np.array([-1, len(packed.low) // packed.per_byte, packed.per_byte], dtype=np.int64)
        places = graph.apply("Reshape", levels, graph.constant(shape, "bytes"))
        weighted = graph.apply("Mul", places, graph.constant(packed.weights, "weights"))
        last = graph.constant(np.array([2], dtype=np.int64), "places")
        levels = graph.apply("ReduceSum", weighted, last, keepdims=0)
    graph.apply("Cast", levels, output=OUTPUT, to=TensorProto.UINT8)
