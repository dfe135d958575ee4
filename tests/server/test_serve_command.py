"""``smec serve`` as a process: checks, signals, and an end that loses nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from server.proxies import NAME, compressor, document, expected, proxy
from server.recorded_upstream import RecordedUpstream, texts
from smec.cli.main import app

PROGRAM = [sys.executable, "-W", "error", "-c", "from smec.cli.main import main; main()"]


def smec(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@contextmanager
def process(*arguments: str, stops: bool = True) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A serving process: itself, its address, and the lines it has logged so far."""
    with subprocess.Popen([*PROGRAM, "serve", *arguments], stderr=subprocess.PIPE, text=True) as running:
        lines: list[str] = []
        listening = threading.Event()

        def read() -> None:
            assert running.stderr is not None
            for line in running.stderr:
                lines.append(line)
                if "listening on" in line:
                    listening.set()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            assert listening.wait(60), lines
            (address,) = re.findall(r"listening on (\S+)", "".join(lines))
            yield running, address, lines
        finally:
            running.terminate()
            running.wait(30)
            reader.join()


def file_of(upstream: RecordedUpstream, folder: Path, **fields: Any) -> str:
    file = folder / "serve.json"
    file.write_text(json.dumps(document(upstream, folder / "model", **fields)))
    return str(file)


def test_check_says_what_would_be_served(upstream: RecordedUpstream, tmp_path: Path) -> None:
    compressor().save(tmp_path / "model")
    before = len(upstream.asked)
    done = smec("serve", str(tmp_path / "model"), "--upstream", upstream.url, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"ok: {NAME}: 384 -> 96, 48 dims, 96 by default; {NAME} of {upstream.url}; 0 canary texts",
        "ok: 127.0.0.1:8080, http, for anybody",
    ]
    assert len(upstream.asked) == before


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["none", "--upstream", "http://127.0.0.1:1"], {}, "none: not a compressor folder"),
        (["model"], {}, "has no upstream"),
        (["model", "--upstream", "ftp://h"], {}, "upstream.url: must be http(s)://"),
        (["--upstream", "http://h"], {}, "models: Field required"),
        (["--name", "x"], {}, "--name: belongs to MODEL"),
        (["model", "--upstream", "http://h", "--host", "0.0.0.0"], {}, "can be reached by others"),
        (["model", "--upstream", "http://h"], {"SMEC_SERVE_UPSTREAM__KEY": "sk-1"}, "sent unencrypted"),
        (["model", "--upstream", "http://h"], {"SMEC_SERVE_LIMITS__INPUTS": "0"}, "limits.inputs: "),
        (["--config", "none.json"], {}, "none.json: cannot be read"),
        (["model", "--upstream", "http://h"],
         {"SMEC_SERVE_TLS": '{"certificate": "c", "key": "k"}'}, "tls: certificate and key cannot be read"),
        (["model", "--upstream", "http://h"],
         {"SMEC_SERVE_MODELS": '{"m": {"path": "model", "dimensions": 7}}'}, "size 7 is not served"),
    ],
)  # fmt: skip
def test_check_refuses_in_one_line(
    tmp_path: Path,
    arguments: list[str],
    environment: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    compressor().save(tmp_path / "model")
    done = CliRunner().invoke(app, ["serve", *arguments, "--check"], env=environment)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "sk-1" not in done.stderr


def test_a_new_token_is_printed_once_with_its_entry() -> None:
    done = smec("serve", "--new-token", "web")
    token = re.findall(r"smec-\S{43}$", done.stdout, re.MULTILINE)
    entry = json.loads(done.stdout.partition("settings:")[2])
    assert len(token) == 1
    assert entry["name"] == "web"
    assert re.fullmatch("[0-9a-f]{64}", entry["sha256"])


def test_sigterm_under_load_loses_no_accepted_request(upstream: RecordedUpstream, tmp_path: Path) -> None:
    given = texts()[:3]
    right = expected(given)
    answered: list[int] = []
    lost: list[str] = []
    upstream.always = "slow"  # so that many requests are under way
    config = file_of(upstream, tmp_path, port=0, drain_seconds=0.5)

    def ask(address: str) -> None:
        with httpx.Client(timeout=30) as client:
            while True:
                try:
                    answer = client.post(f"{address}/v1/embeddings", json={"model": NAME, "input": given})
                except httpx.ConnectError:
                    return  # not accepted: the server does not listen any more
                except httpx.HTTPError as error:
                    lost.append(type(error).__name__)
                    return
                found = [item["embedding"] for item in answer.json()["data"]]
                np.testing.assert_allclose(found, right, atol=1e-6)
                answered.append(answer.status_code)

    try:
        with process("--config", config) as (running, address, lines):
            threads = [threading.Thread(target=ask, args=(address,)) for _ in range(30)]
            for thread in threads:
                thread.start()
            while len(answered) < 60:
                pass
            before = len(answered)
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
            for thread in threads:
                thread.join()
    finally:
        upstream.always = None
    assert lost == []
    assert set(answered) == {200}
    assert len(answered) > before + 30  # what was under way, and what came while it drained
    assert not [line for line in lines if "ERROR" in line or "Traceback" in line]


def test_a_connection_accepted_before_the_end_may_still_ask(
    upstream: RecordedUpstream, tmp_path: Path
) -> None:
    config = file_of(upstream, tmp_path, port=0, drain_seconds=0)
    with process("--config", config) as (running, address, _):
        assert httpx.get(f"{address}/readyz").status_code == 200
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as early:
            running.send_signal(signal.SIGTERM)
            while listens(host, int(port)):
                pass
            time.sleep(1)  # a busy client
            early.sendall(b"GET /healthz HTTP/1.1\r\nhost: smec\r\n\r\n")
            assert early.recv(15) == b"HTTP/1.1 200 OK"
        assert running.wait(30) == 0


def listens(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port)).close()
    except ConnectionError:  # refused; reset in the moment of closing
        return False
    return True


def test_while_it_drains_it_is_not_ready_and_closes_connections(
    upstream: RecordedUpstream, tmp_path: Path
) -> None:
    config = file_of(upstream, tmp_path, port=0, drain_seconds=20)
    with httpx.Client() as client, process("--config", config) as (running, address, lines):
        assert client.get(f"{address}/readyz").status_code == 200
        running.send_signal(signal.SIGTERM)
        while (ready := client.get(f"{address}/readyz")).status_code == 200:
            pass
        assert (ready.json()["status"], ready.headers["connection"]) == ("draining", "close")
        served = client.post(f"{address}/v1/embeddings", json={"model": NAME, "input": texts()[:1]})
        assert served.status_code == 200
        running.send_signal(signal.SIGTERM)  # the second one does not wait
        assert running.wait(20) == 0, lines


def test_sighup_takes_a_replaced_compressor(upstream: RecordedUpstream, tmp_path: Path) -> None:
    config = file_of(upstream, tmp_path, port=0, reload_seconds=0)
    with process("--config", config) as (running, address, lines), httpx.Client() as client:
        compressor(1).save(tmp_path / "model", force=True)
        running.send_signal(signal.SIGHUP)
        while not any("reloaded" in line for line in lines):
            assert client.get(f"{address}/healthz").status_code == 200
        answer = client.post(f"{address}/v1/embeddings", json={"model": NAME, "input": texts()[:1]})
        found = [item["embedding"] for item in answer.json()["data"]]
    np.testing.assert_allclose(found, expected(texts()[:1], by=compressor(1)), atol=1e-6)


def test_sighup_while_it_starts_does_not_end_it(tmp_path: Path) -> None:
    program = """
import os, signal, sys

class Reload:
    def find_spec(self, name, path=None, target=None):
        if name == "smec.server.lifecycle":
            os.kill(os.getpid(), signal.SIGHUP)

sys.meta_path.insert(0, Reload())
from smec.cli.main import main
main()
"""
    command = [
        sys.executable,
        "-c",
        program,
        "serve",
        str(tmp_path / "none"),
        "--upstream",
        "http://127.0.0.1:1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "not a compressor folder" in done.stderr


def test_what_is_left_at_the_end_is_told_so(upstream: RecordedUpstream, tmp_path: Path) -> None:
    config = file_of(upstream, tmp_path, port=0, shutdown_seconds=1)
    upstream.hold = threading.Event()
    before = len(upstream.asked)
    try:
        with process("--config", config) as (running, address, lines), ThreadPoolExecutor(1) as pool:
            body = {"model": NAME, "input": texts()[:1]}
            waiting = pool.submit(httpx.post, f"{address}/v1/embeddings", json=body, timeout=20)
            while len(upstream.asked) == before:
                assert not waiting.done()
            running.send_signal(signal.SIGTERM)
            answer = waiting.result()
            assert running.wait(20) == 0
    finally:
        upstream.hold.set()
        upstream.hold = None
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ending")
    assert "Traceback" not in "".join(lines)


def test_an_address_that_is_taken_is_one_line(upstream: RecordedUpstream, tmp_path: Path) -> None:
    config = file_of(upstream, tmp_path, port=0)
    with process("--config", config) as (_, address, _lines):
        port = address.rpartition(":")[2]
        done = smec("serve", "--config", config, "--port", port)
    assert done.returncode == 2
    assert done.stderr == f"smec: error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_https_with_a_certificate_of_ones_own(upstream: RecordedUpstream, tmp_path: Path) -> None:
    certificate, key = str(tmp_path / "server.crt"), str(tmp_path / "server.key")
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, capture_output=True)
    behind = {"port": 0, "tls": {"certificate": certificate, "key": key}}
    with process("--config", file_of(upstream, tmp_path, **behind)) as (_, address, _lines):
        assert address.startswith("https://")
        body = {"model": NAME, "input": texts()[:2]}
        with httpx.Client(verify=ssl.create_default_context(cafile=certificate)) as client:
            answer = client.post(f"{address}/v1/embeddings", json=body)
            # As an upstream, it is trusted by this certificate alone: small vectors are of the wrong width.
            behind_it = RecordedUpstream()
            behind_it.url = f"{address}/v1"
            codes = []
            for options in ({"ca_file": certificate}, {"retries": 0}):
                with proxy(behind_it, tmp_path / "model", upstream=options) as (url, _):
                    refused = client.post(f"{url}/v1/embeddings", json=body)
                    codes.append(refused.json()["error"]["code"])
    found = [item["embedding"] for item in answer.json()["data"]]
    np.testing.assert_allclose(found, expected(texts()[:2]), atol=1e-6)
    assert codes == ["upstream_width_mismatch", "upstream_unreachable"]
