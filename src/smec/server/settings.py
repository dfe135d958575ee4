"""One validated object for the server; every field can be set in a file or by the environment."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_core import Url

from smec.config import overlay, parsed, read_document
from smec.errors import ConfigError

ENVIRONMENT = "SMEC_SERVE_"
"""Beginning of the variables that set a field: ``SMEC_SERVE_LIMITS__INPUTS`` is ``limits.inputs``."""


class _Settings(BaseModel):
    # Without the input: a message about a key must not hold the key.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class UpstreamSettings(_Settings):
    """The embeddings API behind the server. Fixed at start: no request can name another address."""

    url: str
    """Base address as OpenAI clients take it, with its ``/v1``."""
    key: SecretStr | None = None
    """Sent as the bearer token. Better set by ``SMEC_SERVE_UPSTREAM__KEY`` or ``key_file`` than in a file
    that others read."""
    key_file: Path | None = None
    """File that holds the key, such as a mounted secret."""
    plain_http: bool = False
    """Allow the key to be sent to another machine without TLS."""
    ca_file: Path | None = None
    """Certificates to trust in place of the system's."""
    encoding: Literal["base64", "float"] = "base64"
    """How vectors are asked for; base64 is a third of the bytes. Both are understood in answers."""
    forward: tuple[str, ...] = ()
    """Fields of a request beyond OpenAI's that are passed on; others are refused. ``input_type`` is
    understood here, and passed on too only where it is named."""
    connections: int = Field(64, ge=1)
    """Requests to it at once; further ones wait."""
    connect_seconds: float = Field(5, gt=0)
    """For a connection to it."""
    seconds: float = Field(30, gt=0)
    """For one answer; it is not asked again after that, as it may still be at work."""
    retries: int = Field(2, ge=0)
    """Further tries after a refused or cut connection, 429 and 5xx, with growing random pauses."""

    @field_validator("url")
    @classmethod
    def _base(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            usable = usable and url.isprintable()
        except ValueError:
            usable = False
        if not usable or parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must be http(s)://HOST[:PORT]/v1, without user, password, query or fragment")
        path = parts.path.rstrip("/").removesuffix("/embeddings") or "/v1"
        base = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
        try:
            Url(base)  # which is stricter
        except ValueError as error:
            raise ValueError("must be a valid address: its host cannot be one") from error
        return base

    @model_validator(mode="after")
    def _key_is_safe(self) -> UpstreamSettings:
        if self.key is not None and self.key_file is not None:
            raise ValueError("key or key_file, not both")
        parts = urlsplit(self.url)
        has_key = self.key is not None or self.key_file is not None
        if (
            has_key
            and parts.scheme == "http"
            and not self.plain_http
            and not is_loopback(parts.hostname or "")
        ):
            raise ValueError("its key would be sent unencrypted: use https, or set plain_http")
        return self

    def secret(self) -> str | None:
        """The key to send, if there is one.

        Raises
        ------
        ConfigError
            ``key_file`` cannot be read or is empty, or the key cannot be sent as a header.
        """
        key = None if self.key is None else self.key.get_secret_value()
        if self.key_file is not None:
            try:
                key = self.key_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"upstream.key_file: {self.key_file}: cannot be read") from error
        if key is not None and not re.fullmatch(r"[!-~]+", key):
            raise ConfigError("upstream.key: must be printable ASCII without spaces, and not empty")
        return key


class ModelSettings(_Settings):
    """One compressor and the upstream model whose vectors it takes."""

    path: Path
    """Folder of the compressor."""
    upstream_model: str | None = None
    """What the upstream calls the model; by default the name it is served under."""
    upstream: UpstreamSettings | None = None
    """Where this model is embedded, if not at the common ``upstream``."""
    dimensions: int | None = None
    """Size of answers to requests that name none; what a budget chose, or the largest, by default."""
    input_type: Literal["query", "document"] | None = None
    """Side of requests that do not name one, for clients that cannot: one compressor can be served under two
    names. By default documents, with a warning where queries have a matrix of their own."""
    canary_fields: dict[str, Any] = {}
    """Further fields that go to the upstream with the canary texts: those with which they were embedded, such
    as ``{"input_type": "query"}``."""


class TokenSettings(_Settings):
    """One client; ``smec serve --new-token NAME`` makes one."""

    name: str
    """Stands in the metrics."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Hash of the token, which itself is stored nowhere."""
    requests_per_minute: int | None = Field(None, ge=1)
    """As many at once at most; further ones are answered 429."""
    inputs_per_minute: int | None = Field(None, ge=1)
    """Texts, token lists or vectors."""


class TlsSettings(_Settings):
    """Files for HTTPS."""

    certificate: Path
    """With its chain, PEM."""
    key: Path
    """PEM, without a password."""


class LimitSettings(_Settings):
    """What a request may ask for, and how many are taken at once."""

    body_bytes: int = Field(4 << 20, ge=1)
    """Of a JSON request."""
    bulk_bytes: int = Field(128 << 20, ge=1)
    """Of an Arrow request to ``/v1/compress``."""
    memory_bytes: int = Field(512 << 20, ge=1)
    """Of all request bodies together; beyond it 429."""
    inputs: int = Field(2048, ge=1)
    """Texts or token lists of a request."""
    tokens: int = Field(8192, ge=1)
    """Of one token list."""
    characters: int = Field(100_000, ge=1)
    """Of one text."""
    waiting: int = Field(1024, ge=1)
    """Requests that are accepted and not yet answered; beyond it 429."""
    header_seconds: float = Field(10, gt=0)
    """For a connection to send the head of a request."""
    send_seconds: float = Field(30, gt=0)
    """For a client to take anything of its answer; one that takes nothing is cut off."""
    body_seconds: float = Field(30, gt=0)
    """For the body of a request to arrive."""
    request_seconds: float = Field(60, gt=0)
    """For everything after that; then 504."""

    @model_validator(mode="after")
    def _bodies_fit(self) -> LimitSettings:
        if self.memory_bytes < max(self.body_bytes, self.bulk_bytes):
            raise ValueError("memory_bytes must not be below body_bytes and bulk_bytes")
        return self


class DriftSettings(_Settings):
    """Whether the upstream still embeds the canary texts as it did (`smec canaries` stores them)."""

    minutes: float = Field(15, ge=0)
    """Between two checks; a failed one is repeated after half a minute. 0: never check."""
    warn: float = Field(0.999, ge=-1, le=1)
    """Smallest cosine below which a warning is logged."""
    stop: float = Field(0.99, ge=-1, le=1)
    """Smallest cosine below which the model is not served until a check is passed."""


class ServerSettings(_Settings):
    """Everything that ``smec serve`` can be told."""

    models: dict[str, ModelSettings] = Field(min_length=1)
    """By the name that requests give as ``model``."""
    upstream: UpstreamSettings | None = None
    """The common upstream of the models that name none."""
    host: str = "127.0.0.1"
    """Address to listen on; another than loopback needs ``tokens`` or ``open``."""
    port: int = Field(8080, ge=0, le=65535)
    """0: any that is free; the log says which."""
    tls: TlsSettings | None = None
    tokens: tuple[TokenSettings, ...] = ()
    """Who may ask; without any, everybody who reaches the address."""
    open: bool = False
    """Serve other machines without tokens, as behind a gateway that checks its clients."""
    limits: LimitSettings = LimitSettings()
    drift: DriftSettings = DriftSettings()
    reload_seconds: float = Field(5, ge=0)
    """Between two looks at the compressors' folders; 0: only on SIGHUP."""
    drain_seconds: float = Field(2, ge=0)
    """After SIGTERM: how long new requests are still taken, while ``/readyz`` says 503."""
    shutdown_seconds: float = Field(95, gt=0)
    """After that: how long accepted requests may take to be answered, those left over with 503; by default
    ``limits.body_seconds`` and ``limits.request_seconds``, and a little more."""
    access_log: bool = False
    """One line per request: address, path and status."""

    @model_validator(mode="after")
    def _consistent(self) -> ServerSettings:
        for name, model in self.models.items():
            if self.upstream is None and model.upstream is None:
                raise ValueError(f"model {name!r} has no upstream, and there is no common one")
        names = [token.name for token in self.tokens]
        if len(set(names)) < len(names):
            raise ValueError("two tokens have the same name")
        if not self.tokens and not self.open and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host} can be reached by others: make tokens with `smec serve --new-token NAME`, "
                "or set open"
            )
        return self

    def upstream_of(self, name: str) -> UpstreamSettings:
        """The upstream that embeds for a model."""
        upstream = self.models[name].upstream or self.upstream
        if upstream is None:
            raise ConfigError(f"model {name!r} has no upstream")
        return upstream


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_settings(
    file: Path | None, environment: Mapping[str, str], given: Mapping[str, Any] | None = None
) -> ServerSettings:
    """A JSON file, overlaid by environment variables, overlaid by what was given on the command line.

    Raises
    ------
    ConfigError
        An unreadable file, an unknown field, or a value that cannot be.
    """
    document = {} if file is None else read_document(file)
    for name, text in environment.items():
        if name.startswith(ENVIRONMENT) and not _service_link(name, text):
            document = overlay(document, _nested(name.removeprefix(ENVIRONMENT).lower().split("__"), text))
    return parsed(ServerSettings, overlay(document, given or {}), str(file or "serve"))


def _service_link(name: str, text: str) -> bool:
    """Whether Kubernetes set the variable, as it does in every pod beside a service named smec-serve."""
    if name == "SMEC_SERVE_PORT":
        return text.startswith("tcp://")
    return re.fullmatch(r"SMEC_SERVE_(SERVICE_(HOST|PORT.*)|PORT_\d+_.*)", name) is not None


def _nested(path: list[str], text: str) -> dict[str, Any]:
    """``{"a": {"b": value}}`` of ``["a", "b"]``."""
    return {path[0]: _nested(path[1:], text) if path[1:] else _value(path[0], text)}


def _value(field: str, text: str) -> Any:
    if field == "key":  # a key of digits is still a key
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
