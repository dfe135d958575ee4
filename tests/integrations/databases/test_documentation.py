"""Every snippet of docs/databases.md, in its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg

PAGE = Path(__file__).resolve().parents[3] / "docs" / "databases.md"
PLACEHOLDER = "postgresql://me@localhost/base"


def test_the_snippets_run_as_written(tmp_path: Path, postgres: str) -> None:
    dsn = f"postgresql://{postgres}"
    base = f"{dsn.replace('/postgres?', '/snippets?')}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE snippets")
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    blocks = re.findall(r"```(python|sh|sql)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert {kind for kind, _ in blocks} == {"python", "sh", "sql"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for kind, text in blocks:
        if kind == "sql":
            with psycopg.connect(base, autocommit=True) as connection:
                connection.execute(text.encode())
            continue
        if kind == "python":
            arguments = [sys.executable, "-c", text.replace(PLACEHOLDER, base)]
        else:
            # Quoted, as the tests' DSN has signs that a shell would take for its own.
            quoted = re.sub(re.escape(PLACEHOLDER) + r"(#\w+)", lambda found: f"'{base}{found[1]}'", text)
            arguments = ["bash", "-e", "-c", quoted]
        ran = subprocess.run(
            arguments,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": path},
        )
        assert ran.returncode == 0, f"{text}\n{ran.stderr}"
        if "print(" in text:
            assert len(ran.stdout) > 20, text
