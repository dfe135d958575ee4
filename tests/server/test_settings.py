"""Settings: a file, the environment and the command line, as one validated object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smec.errors import ConfigError
from smec.server.settings import UpstreamSettings, load_settings

GOOD: dict[str, Any] = {"models": {"m": {"path": "model"}}, "upstream": {"url": "http://127.0.0.1:1/v1"}}


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "serve.json"
    file.write_text(json.dumps({**GOOD, "port": 1, "limits": {"inputs": 5, "tokens": 6}, "drain_seconds": 9}))
    environment = {
        "SMEC_SERVE_PORT": "2",
        "SMEC_SERVE_LIMITS__INPUTS": "7",
        "SMEC_SERVE_UPSTREAM__KEY": "12345",
        "SMEC_OTHER": "x",
    }
    loaded = load_settings(file, environment, {"port": 3})
    assert (loaded.port, loaded.drain_seconds) == (3, 9)
    assert (loaded.limits.inputs, loaded.limits.tokens) == (7, 6)
    assert loaded.upstream_of("m").secret() == "12345"
    assert "12345" not in repr(loaded) + loaded.model_dump_json()


def test_what_kubernetes_says_of_a_service_of_this_name_is_no_setting() -> None:
    links = {
        "SMEC_SERVE_PORT": "tcp://10.0.0.1:80",
        "SMEC_SERVE_SERVICE_HOST": "10.0.0.1",
        "SMEC_SERVE_SERVICE_PORT": "80",
        "SMEC_SERVE_SERVICE_PORT_HTTP": "80",
        "SMEC_SERVE_PORT_80_TCP": "tcp://10.0.0.1:80",
        "SMEC_SERVE_PORT_80_TCP_ADDR": "10.0.0.1",
        "SMEC_SERVE_PORT_80_TCP_PROTO": "tcp",
    }
    assert load_settings(None, links, GOOD).port == 8080
    with pytest.raises(ConfigError, match="Extra inputs"):
        load_settings(None, {"SMEC_SERVE_SERVICE": "x"}, GOOD)


def test_models_can_come_from_the_environment() -> None:
    environment = {"SMEC_SERVE_MODELS": '{"a/b": {"path": "x"}}', "SMEC_SERVE_UPSTREAM__URL": "https://h"}
    loaded = load_settings(None, environment)
    assert list(loaded.models) == ["a/b"]
    assert loaded.upstream_of("a/b").url == "https://h/v1"


def test_defaults_are_safe() -> None:
    loaded = load_settings(None, {}, GOOD)
    assert (loaded.host, loaded.open, loaded.access_log) == ("127.0.0.1", False, False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"models": {}}, "models: "),
        ({"limits": {"memory_bytes": 1 << 26}}, "memory_bytes must not be below body_bytes and bulk_bytes"),
        ({"upstream": None}, "model 'm' has no upstream"),
        ({"prot": 1}, "prot: Extra inputs are not permitted"),
        ({"port": 70000}, "port: Input should be less than or equal to 65535"),
        ({"host": "0.0.0.0"}, "can be reached by others: make tokens with `smec serve --new-token NAME`"),
        ({"host": "example.org"}, "can be reached by others"),
        ({"tokens": [{"name": "a", "sha256": "secret"}]}, "tokens.0.sha256: String should match"),
        ({"tokens": [{"name": "a", "sha256": "0" * 64}] * 2}, "two tokens have the same name"),
    ],
)
def test_what_cannot_be_is_one_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(None, {}, {**GOOD, **fields})
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["", "host", "ftp://h/v1", "file:///etc/passwd", "http://", "http://u:p@h/v1", "http://h/v1?key=1", "http://h:0",
     "http://h:x/v1", "http://[::1/v1", "http://h/#f", "http://h/\x7f", "http://300.1.1.1/v1"],
)  # fmt: skip
def test_an_upstream_must_be_a_plain_address(url: str) -> None:
    with pytest.raises(ConfigError, match=r"upstream\.url: "):
        load_settings(None, {}, {**GOOD, "upstream": {"url": url}})


@pytest.mark.parametrize("url", ["http://h:8/v1", "http://h:8/v1/", "http://h:8", "http://h:8/v1/embeddings"])
def test_the_address_of_an_upstream_may_be_written_in_several_ways(url: str) -> None:
    assert UpstreamSettings(url=url).url == "http://h:8/v1"


def test_a_key_is_not_sent_unencrypted_to_others() -> None:
    upstream = {"url": "http://10.0.0.1/v1", "key": "sk-very-secret"}
    with pytest.raises(ConfigError, match="would be sent unencrypted") as refused:
        load_settings(None, {}, {**GOOD, "upstream": upstream})
    assert "very-secret" not in str(refused.value) + str(refused.value.__cause__)
    load_settings(None, {}, {**GOOD, "upstream": {**upstream, "plain_http": True}})
    load_settings(None, {}, {**GOOD, "upstream": {**upstream, "url": "https://10.0.0.1/v1"}})
    load_settings(None, {}, {**GOOD, "upstream": {**upstream, "url": "http://localhost/v1"}})


def test_a_key_may_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "key"
    upstream = UpstreamSettings(url="http://127.0.0.1", key_file=file)
    with pytest.raises(ConfigError, match="cannot be read"):
        upstream.secret()
    file.write_text("  sk-1\n")
    assert upstream.secret() == "sk-1"
    file.write_text("two words")
    with pytest.raises(ConfigError, match="printable ASCII") as refused:
        upstream.secret()
    assert "two words" not in str(refused.value)
