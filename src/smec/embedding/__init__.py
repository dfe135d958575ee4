"""Text encoders, which turn texts into the embeddings that smec compresses, by kind."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

from smec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from smec.vectors import FloatArray

Role = Literal["query", "document"]

ENCODERS: dict[str, str] = {
    "sentence-transformers": "smec.embedding.sentence_transformer:SentenceTransformerEncoder",
    "endpoint": "smec.embedding.endpoint:EndpointEncoder",
}
"""Kind -> "module:class", imported when it is first used."""

_LIBRARIES = ("httpx", "sentence_transformers", "tenacity", "torch")


class TextEncoder(Protocol):
    """What the class of every kind in `ENCODERS` offers."""

    @property
    def texts_per_call(self) -> int:
        """How many texts `embed` is given at once."""

    @property
    def concurrency(self) -> int:
        """How many calls of `embed` may be at work at once, in threads."""

    @property
    def dimensions(self) -> int | None:
        """The width that was asked for, if one was."""

    def identity(self, role: Role) -> str:
        """What decides a text's vector beside the text: model, prompt and settings."""

    def embed(self, texts: Sequence[str], role: Role) -> Sequence[FloatArray]:
        """One vector per text, in their order; not checked. EncoderError where it cannot be done."""

    def close(self) -> None:
        """End waiting calls and release what is held."""


def open_encoder(kind: str, model: str, **settings: Any) -> TextEncoder:
    """Make a text encoder.

    Parameters
    ----------
    kind : str
        One of `ENCODERS`.
    model : str
        Name, or for sentence-transformers also a folder, of the model.
    **settings
        Those of the kind's class.

    Raises
    ------
    ConfigError
        No such kind, or settings that make no sense.
    EncoderError
        There is no such model.
    MissingExtraError
        A library is not installed.
    """
    if kind not in ENCODERS:
        raise ConfigError(f"text encoder {kind!r} is not known; use one of {', '.join(ENCODERS)}")
    module, name = ENCODERS[kind].split(":")
    try:
        home = import_module(module)
    except ModuleNotFoundError as error:
        library = str(error.name).split(".")[0]
        if library not in _LIBRARIES:
            raise
        raise MissingExtraError(library, "embed", f"text encoder {kind!r}") from error
    encoder: TextEncoder = getattr(home, name)(model, **settings)
    return encoder
