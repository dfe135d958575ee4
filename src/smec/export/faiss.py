"""To faiss: the projection as a VectorTransform, and empty indexes that take full-size vectors.

::

    PATH/
    ├── transform.vt           a LinearTransform, D -> dim, for an index of your own
    ├── index.faiss            LinearTransform, NormalizationTransform, an empty index: for ``add``;
    │                          with a bias another NormalizationTransform before them
    ├── index-with-ids.faiss   the same in an IndexIDMap2: for ``add_with_ids``
    ├── queries.vt             a LinearTransform for queries, where they have a matrix of their own
    └── README.md
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from smec.export.order import Order
from smec.vectors import Float32Array

TRANSFORM_FILE = "transform.vt"
INDEX_FILE = "index.faiss"
IDS_FILE = "index-with-ids.faiss"
QUERIES_FILE = "queries.vt"

README = """\
# faiss: {input_dim} → {dim} dims, {codec}

Made by smec {smec_version} from the compressor `{smec_fingerprint}`.

{words}

`index.faiss` and `index-with-ids.faiss` are empty; they take full-size vectors in `add` or `add_with_ids` and
in `search`, and store small ones. {scores}
`transform.vt` is the projection alone, without the step to unit length.{unit_input}
{queries}"""
QUERIES = """
Queries have a matrix of their own, `queries.vt`, and the indexes project whatever they are asked by that of
documents. So make queries small first, and ask the index inside:

```python
asked = faiss.read_VectorTransform("queries.vt").apply({rows})
faiss.normalize_L2(asked)
scores, found = index.index.search(asked, 10)  # index: index.faiss, filled
```

Of `index-with-ids.faiss` the inner one is `faiss.downcast_index(index.index).index`; it finds positions,
whose ids are `faiss.vector_to_array(index.id_map)[found]`.
"""
UNIT_INPUT = " It has a bias: bring vectors to unit length before it too."
PRODUCTS = "Scores are inner products of the query with what is stored: larger is nearer."
DISTANCES = "Scores are Hamming distances between the bits of query and document: smaller is nearer."


def write(order: Order, output: Path) -> None:
    """Write the transform and the two indexes into a folder."""
    flat, rotation = _index(order)
    projection = linear(order.matrix, order.bias)
    index = faiss.IndexPreTransform(flat)
    turn = [] if rotation is None else [linear(rotation)]
    before = [] if order.bias is None else [faiss.NormalizationTransform(order.input_dim, 2.0)]
    for transform in (*turn, faiss.NormalizationTransform(order.dim, 2.0), projection, *before):
        index.prepend_transform(transform)
    try:
        faiss.write_VectorTransform(projection, str(output / TRANSFORM_FILE))
        if order.own_queries:
            faiss.write_VectorTransform(_query_transform(order, rotation), str(output / QUERIES_FILE))
        faiss.write_index(index, str(output / INDEX_FILE))
        faiss.write_index(faiss.IndexIDMap2(index), str(output / IDS_FILE))
    except RuntimeError as error:  # faiss has no other for a full disk
        raise OSError(str(error).rsplit("failed: ", 1)[-1]) from error
    scores = DISTANCES if order.codec in ("binary", "itq") else PRODUCTS
    unit_input = "" if order.bias is None else UNIT_INPUT
    queries = _queries(order) if order.own_queries else ""
    texts = {"scores": scores, "unit_input": unit_input, "queries": queries}
    text = README.format(words=order.as_list(), **texts, **order.stamp())
    (output / "README.md").write_text(text, encoding="utf-8")


def _query_transform(order: Order, rotation: Float32Array | None) -> Any:
    """Projection of queries and the index's rotation in one, as a rotation changes no length."""
    matrix, bias = order.for_queries.matrix, order.bias
    if rotation is None:
        return linear(matrix, bias)
    return linear(matrix @ rotation, None if bias is None else bias @ rotation)


def _queries(order: Order) -> str:
    return QUERIES.format(rows="queries" if order.bias is None else "unit_length_queries")


def linear(matrix: Float32Array, bias: Float32Array | None = None) -> Any:
    """``x @ matrix + bias`` as a ``faiss.LinearTransform``."""
    transform = faiss.LinearTransform(matrix.shape[0], matrix.shape[1], bias is not None)
    if bias is not None:
        faiss.copy_array_to_vector(bias, transform.b)
    faiss.copy_array_to_vector(np.ascontiguousarray(matrix.T, dtype=np.float32).ravel(), transform.A)
    transform.is_trained = True
    transform.set_is_orthonormal()  # looks whether it is one: then faiss can go back
    return transform


def _index(order: Order) -> tuple[Any, Float32Array | None]:
    """An empty index that stores the codec's bytes, and what rotates the vectors before it."""
    dim, name, product = order.dim, order.codec, faiss.METRIC_INNER_PRODUCT
    if name == "float32":
        return faiss.IndexFlatIP(dim), None
    if name == "float16":
        return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, product), None
    tensors = order.compressor.codec(name, dim).tensors()
    index: Any
    if name in ("int8", "int4"):
        kind = faiss.ScalarQuantizer.QT_8bit if name == "int8" else faiss.ScalarQuantizer.QT_4bit
        index = faiss.IndexScalarQuantizer(dim, kind, product)
        faiss.copy_array_to_vector(tensors["ranges"].ravel(), index.sq.trained)
    elif name in ("binary", "itq"):
        index = faiss.IndexLSH(dim, dim, False, True)
        # faiss sets a bit from the threshold on, the codec above it.
        above = np.nextafter(tensors["levels"][0], np.float32(np.inf))
        faiss.copy_array_to_vector(above, index.thresholds)
    elif "codebooks" in tensors:
        codebooks = tensors["codebooks"]
        index = faiss.IndexPQ(dim, len(codebooks), 8, product)
        faiss.copy_array_to_vector(codebooks.ravel(), index.pq.centroids)
    else:  # rabitq
        index = faiss.IndexRaBitQ(dim, product)
        index.qb = 0  # queries stay floats
        faiss.copy_array_to_vector(tensors["centre"], index.center)
    index.is_trained = True
    return index, tensors.get("rotation")
