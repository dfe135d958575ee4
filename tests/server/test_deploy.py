"""What ``deploy/`` and the pipeline say of the server is so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.proxies import compressor
from smec.cli.serve import serve
from smec.errors import ConfigError
from smec.server.lifecycle import Server
from smec.server.settings import ServerSettings, load_settings

ROOT = Path(__file__).resolve().parents[2]
CONTAINER = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
UNIT = (ROOT / "deploy" / "smec.service").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [CONTAINER, UNIT])
def test_deployed_commands_have_options_that_exist(text: str) -> None:
    # A line of the unit, or a JSON list of the container file.
    commands = re.findall(r"""^[^#\n]*/smec"?[ ,]+"?serve\b(.*)$""", text, flags=re.MULTILINE)
    used = {option for command in commands for option in re.findall(r"(?<![\w-])--([a-z][\w-]*)", command)}
    assert "config" in used
    assert {option.replace("-", "_") for option in used} <= set(serve.__annotations__)


def test_supervisors_wait_as_long_as_the_server_may_take_to_end() -> None:
    fields = ServerSettings.model_fields
    longest = fields["drain_seconds"].default + fields["shutdown_seconds"].default
    (unit,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, flags=re.MULTILINE)
    (container,) = re.findall(r"--stop-timeout (\d+)", CONTAINER)
    assert longest < min(int(unit), int(container))
    limits = fields["limits"].default
    assert fields["shutdown_seconds"].default > limits.body_seconds + limits.request_seconds


def test_the_unit_starts_again_after_every_end() -> None:
    assert re.search(r"^Restart=always$", UNIT, flags=re.MULTILINE)


def test_the_health_check_of_the_container_asks_only_whether_it_listens(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (listed,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.*?\])$", CONTAINER, flags=re.MULTILINE | re.DOTALL)
    _, option, code = json.loads(listed.replace("\\\n", ""))
    port = re.findall(r":(\d+)/", url)[0]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # is not asked
    assert (option, code.count("8080"), "readyz" in code) == ("-c", 1, False)
    for number, found in ((port, 0), ("1", 1)):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("8080", number)], capture_output=True, check=False
        )
        assert done.returncode == found


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its key with openssl")
def test_a_key_with_a_password_is_refused_without_asking_for_it(tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-passout",
        "pass:secret",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    fields = {
        "models": {"m": {"path": str(tmp_path / "model")}},
        "upstream": {"url": "http://127.0.0.1:1/v1"},
        "tls": {"certificate": str(certificate), "key": str(key)},
    }
    compressor().save(tmp_path / "model")
    with pytest.raises(ConfigError, match=r"tls\.key: has a password"):
        Server(load_settings(None, {}, fields))


@pytest.mark.parametrize(
    ("log", "code", "said"),
    [
        ("ERROR: Could not connect to PyPI's vulnerability feed", 0, "could not be reached"),
        ("Traceback (most recent call last):\nKeyError: 'vulns'", 1, "pip-audit failed"),
        ("", 1, "pip-audit failed"),
    ],
)
def test_an_audit_that_crashed_is_no_audit_without_connection(
    tmp_path: Path, log: str, code: int, said: str
) -> None:
    (tmp_path / "log").write_text(log)
    command = [
        sys.executable,
        str(ROOT / ".ci" / "audited.py"),
        str(tmp_path / "none"),
        str(tmp_path / "log"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stdout) == (code, True)


def test_an_audit_without_findings_passes_and_one_with_findings_does_not(tmp_path: Path) -> None:
    vulnerability = {"id": "X-1", "fix_versions": ["2"]}
    for found, code in (([], 0), ([vulnerability], 1)):
        report = {"dependencies": [{"name": "a", "version": "1", "vulns": found}]}
        (tmp_path / "report").write_text(json.dumps(report))
        command = [sys.executable, str(ROOT / ".ci" / "audited.py"), str(tmp_path / "report"), "none"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == code
