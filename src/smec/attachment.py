"""A projection behind an embedding model of sentence-transformers, made of that library's own modules."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from smec.errors import ConfigError, MissingExtraError
from smec.vectors import Float32Array

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense
    from torch import Tensor

EXTRA = "sentence-transformers"


def attach(
    model: SentenceTransformer,
    matrix: Float32Array,
    bias: Float32Array | None = None,
    query: Float32Array | None = None,
) -> SentenceTransformer:
    """The model with ``Dense`` (linear, no activation) and ``Normalize`` behind its modules.

    The model's own Dense and Normalize modules stay: they made the vectors that the compressor was
    trained on, and what only changes a vector's length changes nothing here.

    Parameters
    ----------
    model : SentenceTransformer
        Not changed; the result shares its modules.
    matrix : ndarray of shape (D, dim), float32
    bias : ndarray of shape (dim,), float32, optional
        Added to the product of a unit-length input: another ``Normalize`` stands before ``Dense``.
    query : ndarray of shape (D, dim), float32, optional
        In place of ``matrix`` for what ``encode_query`` encodes: a ``Router`` stands where ``Dense`` would.

    Returns
    -------
    SentenceTransformer
        With the model's prompts, and cosine similarity.

    Raises
    ------
    ConfigError
        The model makes vectors of another width than D.
    MissingExtraError
        sentence-transformers is not installed.
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Normalize, Router
    except ModuleNotFoundError as error:
        raise MissingExtraError(EXTRA, EXTRA, "attaching") from error
    check_width(model, matrix.shape[0])
    # In the type that the model computes in: its vectors are the layer's input.
    like = next(model.parameters(), None)
    documents = _dense(matrix, bias, like)
    projection: Any = documents
    if query is not None:
        projection = Router(
            {"query": [_dense(query, bias, like)], "document": [documents]},
            default_route="document",
            # Any other task is for the model's own modules.
            route_mappings={("query", None): "query", (None, None): "document"},
        )
    # With their names, by which the model hands arguments of `encode` to single modules.
    named = OrderedDict(model.named_children())
    place = f"smec_{len(named)}"
    if bias is not None:
        named[f"{place}_input_length"] = Normalize()
    named |= {f"{place}_projection": projection, f"{place}_length": Normalize()}
    small = SentenceTransformer(
        modules=named,
        prompts=model.prompts,
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name="cosine",
        device=str(model.device),
    )
    small.module_kwargs = model.module_kwargs
    return small


def _dense(matrix: Float32Array, bias: Float32Array | None, like: Tensor | None) -> Dense:
    from sentence_transformers.sentence_transformer.modules import Dense

    dense = Dense(*matrix.shape, bias=bias is not None, activation_function=None)
    linear = dense.linear
    dtype = linear.weight.dtype if like is None else like.dtype
    linear.weight.data = linear.weight.new_tensor(matrix.T, dtype=dtype)
    if bias is not None:
        linear.bias.data = linear.bias.new_tensor(bias, dtype=dtype)
    return dense


def check_width(model: SentenceTransformer, expected: int) -> None:
    """Raise ConfigError where the model's vectors are not ``expected`` numbers wide."""
    width = model.get_embedding_dimension()
    if width != expected:
        raise ConfigError(
            f"the embedding model makes vectors of {width} dims, but the compressor takes {expected}; "
            "use the model that made the vectors it was trained on"
        )
    if model.truncate_dim is not None:
        raise ConfigError(
            f"the embedding model's vectors are cut to {model.truncate_dim} dims after its modules; "
            "load it without truncate_dim"
        )
