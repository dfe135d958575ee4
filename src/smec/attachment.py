"""A projection behind an embedding model of sentence-transformers, made of that library's own modules."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from smec.errors import ConfigError, MissingExtraError
from smec.vectors import Float32Array

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EXTRA = "sentence-transformers"


def attach(model: SentenceTransformer, matrix: Float32Array) -> SentenceTransformer:
    """The model with ``Dense`` (linear, no bias, no activation) and ``Normalize`` behind its modules.

    The model's own Dense and Normalize modules stay: they made the vectors that the compressor was
    trained on, and what only changes a vector's length changes nothing here.

    Parameters
    ----------
    model : SentenceTransformer
        Not changed; the result shares its modules.
    matrix : ndarray of shape (D, dim), float32

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
        from sentence_transformers.sentence_transformer.modules import Dense, Normalize
    except ModuleNotFoundError as error:
        raise MissingExtraError(EXTRA, EXTRA, "attaching") from error
    check_width(model, matrix.shape[0])
    dense = Dense(*matrix.shape, bias=False, activation_function=None)
    weight = dense.linear.weight
    # In the type that the model computes in: its vectors are the layer's input.
    weight.data = weight.new_tensor(matrix.T, dtype=next(model.parameters(), weight).dtype)
    # With their names, by which the model hands arguments of `encode` to single modules.
    named = OrderedDict(model.named_children())
    named |= {f"smec_{len(named)}_projection": dense, f"smec_{len(named)}_length": Normalize()}
    small = SentenceTransformer(
        modules=named,
        prompts=model.prompts,
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name="cosine",
        device=str(model.device),
    )
    small.module_kwargs = model.module_kwargs
    return small


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
