"""OpenAI's wire format for embeddings: requests that are understood, and answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pybase64
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import to_json

from smec.errors import ConfigError
from smec.server.refusals import Refusal
from smec.server.settings import LimitSettings
from smec.vectors import Float32Array

Text = Annotated[str, Field(min_length=1)]
Token = Annotated[int, Field(ge=0, lt=2**31)]
Encoding = Literal["float", "base64"]
InputType = Literal[
    "query", "search_query", "document", "search_document", "passage", "classification", "clustering"
]
"""Side of a text, as Voyage and Jina, Cohere, and NVIDIA name it."""
QUERIES = ("query", "search_query")
"""Those that are made by the matrix of queries; all others are documents."""
Inputs = list[str] | list[list[int]]
"""Texts or token lists, one for each vector of the answer."""

INPUT_TYPE = "input_type"
"""A field that has a meaning here, and is passed on too where ``upstream.forward`` names it."""

INPUT = "must be a string, a list of strings, a list of tokens, or a list of token lists; none empty"


class Request(BaseModel):
    """What the requests of all endpoints share."""

    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    model: str
    """One of those that ``GET /v1/models`` lists."""
    dimensions: int | None = None
    """One of the sizes that the model serves."""
    encoding_format: Encoding | None = None
    """"float" by default; base64 is of little-endian float32."""
    input_type: InputType | None = None
    """query (or search_query) where a compressor has a matrix of its own for queries; else documents."""


class EmbeddingRequest(Request):
    """Body of ``POST /v1/embeddings``."""

    input: (
        Text
        | Annotated[list[Text], Field(min_length=1)]
        | Annotated[list[Token], Field(min_length=1)]
        | Annotated[list[Annotated[list[Token], Field(min_length=1)]], Field(min_length=1)]
    )
    """Text, texts, tokens or token lists."""
    user: str | None = None
    """Passed on."""

    def inputs(self, limits: LimitSettings) -> Inputs:
        """What is to be embedded, as a list; Refusal where a limit is exceeded."""
        listed: Any = (
            [self.input] if isinstance(self.input, str) or isinstance(self.input[0], int) else self.input
        )
        if len(listed) > limits.inputs:
            raise too_much(f"{len(listed)} inputs", f"{limits.inputs} in a request")
        texts = isinstance(listed[0], str)
        longest, most = max(map(len, listed)), limits.characters if texts else limits.tokens
        if longest > most:
            unit = "characters" if texts else "tokens"
            raise too_much(f"an input of {longest} {unit}", f"{most} {unit}")
        inputs: Inputs = listed
        return inputs

    def forwarded(self, names: Iterable[str]) -> dict[str, Any]:
        """The fields that the upstream gets besides model and input.

        Raises
        ------
        Refusal
            A field was given that this model's upstream does not take.
        """
        extra = self.model_fields_set - EmbeddingRequest.model_fields.keys()
        for name in extra - set(names):
            raise Refusal(400, f"{name}: unknown field", code="unknown_parameter", param=name)
        known = {INPUT_TYPE}.intersection(names, self.model_fields_set)
        given = {name: getattr(self, name) for name in sorted(extra | known)}
        return given if self.user is None else {"user": self.user, **given}


def too_much(what: str, most: str) -> Refusal:
    """The refusal of a request that exceeds a limit."""
    return Refusal(400, f"input: has {what}, allowed are {most}", code="input_too_large", param="input")


def request_type(forward: Sequence[str]) -> type[EmbeddingRequest]:
    """`EmbeddingRequest` with further fields that are passed on.

    Raises
    ------
    ConfigError
        A name that the request has a meaning for, or that none can have.
    """
    extra = [name for name in forward if name != INPUT_TYPE]
    for name in extra:
        if name in EmbeddingRequest.model_fields or hasattr(EmbeddingRequest, name) or name[:1] in ("_", ""):
            raise ConfigError(f"upstream.forward: {name!r} cannot be passed on")
    fields: Any = {name: (Any, None) for name in extra}
    return create_model(
        "EmbeddingRequest", __base__=EmbeddingRequest, __doc__=EmbeddingRequest.__doc__, **fields
    )


Parsed = TypeVar("Parsed", bound=BaseModel)


def parse(kind: type[Parsed], body: bytes | bytearray) -> Parsed:
    """A request from its JSON; Refusal with the first fault, which does not repeat the input."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        raise Refusal(400, "the body is not valid JSON", code="invalid_json")
    # Of a field with alternatives, the location goes on with the alternative that failed first.
    field = str(first["loc"][0]) if first["loc"] else None
    if first["type"] == "extra_forbidden":
        raise Refusal(400, f"{field}: unknown field", code="unknown_parameter", param=field)
    said = INPUT if field == "input" and first["type"] != "missing" else first["msg"]
    raise Refusal(400, f"{field or 'body'}: {said}", code="invalid_value", param=field)


class Embedding(BaseModel):
    """One vector of an `EmbeddingResponse`."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """As the upstream counted it; zeros where it did not."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingResponse(BaseModel):
    """Answer of ``POST /v1/embeddings``."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class ErrorDetail(BaseModel):
    """What was wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """Answer of every request that fails."""

    error: ErrorDetail


class ModelCard(BaseModel):
    """One served model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    dimensions: list[int]
    """Served sizes, descending; the field is not OpenAI's."""
    default_dimensions: int
    fingerprint: str
    """Fingerprint of what makes documents, which stored vectors are stamped with."""
    query_fingerprint: str
    """Fingerprint of what makes queries and documents; ``fingerprint`` where they share a matrix."""


class ModelList(BaseModel):
    """Answer of ``GET /v1/models``."""

    object: Literal["list"]
    data: list[ModelCard]


def little_endian(vectors: Float32Array) -> str:
    """base64 of the rows as little-endian float32."""
    return pybase64.b64encode_as_string(np.ascontiguousarray(vectors, dtype="<f4").data)


def embedding_response(
    vectors: Float32Array, model: str, encoding: Encoding | None, usage: dict[str, Any]
) -> bytes:
    """The JSON of an `EmbeddingResponse` for rows of shape (n, dim)."""
    coded = encoding == "base64"
    rows: Iterable[Any] = map(little_endian, vectors) if coded else vectors.tolist()
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    return to_json({"object": "list", "data": data, "model": model, "usage": usage})
