"""OpenAI-compatible endpoints: ``POST URL/embeddings``, with retries and a rate limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock

from smec.embedding import Role
from smec.embedding.replies import reply_vectors
from smec.endpoint.client import RETRIES, EndpointClient, Retries, used_tokens
from smec.errors import EncoderError, EndpointError
from smec.vectors import Float32Array


class EndpointEncoder:
    """A model behind an OpenAI-compatible endpoint.

    The key is read from the environment variable ``SMEC_API_KEY`` and goes nowhere but into the header.

    Parameters
    ----------
    model : str
    url : str
        The endpoint's base, as "https://api.openai.com/v1".
    prompts : mapping, optional
        "query" and "document" -> what is put before every such text.
    dimensions : int, optional
        Asked for; the endpoint's own without it.
    batch_size : int
        Texts of a request.
    concurrency : int
        Requests at once.
    requests_per_minute : float, optional
        At most, repeated ones among them.
    retries : Retries

    Raises
    ------
    ConfigError
        The URL is none, or has a password in it; the key or a proxy in the environment cannot be used.
    """

    def __init__(
        self,
        model: str,
        *,
        url: str,
        prompts: Mapping[Role, str] | None = None,
        dimensions: int | None = None,
        batch_size: int = 64,
        concurrency: int = 4,
        requests_per_minute: float | None = None,
        retries: Retries = RETRIES,
    ) -> None:
        self.texts_per_call = batch_size
        self.concurrency = concurrency
        self.dimensions = dimensions
        self.tokens = 0
        """That the endpoint says it has used so far."""
        self._model = model
        self._prompts = dict(prompts or {})
        self._counting = Lock()
        self._client = EndpointClient(url, requests_per_minute=requests_per_minute, retries=retries)

    def identity(self, role: Role) -> str:
        """Endpoint, model, dimensions and prompt."""
        prompt = self._prompts.get(role, "")
        return repr(("endpoint", self._client.where, self._model, self.dimensions, prompt))

    def embed(self, texts: Sequence[str], role: Role) -> list[Float32Array]:
        """One request, sent again where that may help.

        Raises
        ------
        EncoderError
            The endpoint cannot be reached, refuses, keeps failing, or does not answer with one vector
            per text.
        """
        prompt = self._prompts.get(role, "")
        body: dict[str, object] = {"model": self._model, "input": [prompt + text for text in texts]}
        # Servers for OpenAI's own client know base64, a quarter of the bytes; those without it send numbers.
        body["encoding_format"] = "base64"
        if self.dimensions is not None:
            body["dimensions"] = self.dimensions
        try:
            reply = self._client.post("embeddings", body)
        except EndpointError as error:
            raise EncoderError(str(error)) from error
        try:
            vectors = reply_vectors(reply, len(texts))
        except EncoderError as error:
            raise EncoderError(f"{self._client.where}: {error}") from error
        with self._counting:
            self.tokens += used_tokens(reply)
        return vectors

    def close(self) -> None:
        """End waiting requests and close connections."""
        self._client.close()
