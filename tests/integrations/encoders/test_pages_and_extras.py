"""The page on encoders runs as written, and what is not installed is named."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from integrations.encoders.embedding_server import EmbeddingServer
from integrations.encoders.retrieval_task import DemoRetrieval
from smec.cli.main import app
from smec.compressor import Compressor
from smec.data import Dataset

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "encoders.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def here(compressor: Compressor, model_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page names, as the working directory."""
    compressor.save(tmp_path / "my-model")
    (tmp_path / "all-MiniLM-L6-v2").symlink_to(model_folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("default::Warning:(mteb|datasets)")
def test_snippets_on_mteb(here: Path, dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"tasks": [DemoRetrieval(dataset)]}
    exec(SNIPPETS[0] + SNIPPETS[1], names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "96"
    assert [line.split()[0] for line in printed[1:]] == ["384", "96", "24"]
    assert all(re.fullmatch(r"\d+ SmecDemoRetrieval 0\.\d{3}", line) for line in printed[1:])


@pytest.mark.parametrize("number", [2, 3])
def test_snippets_on_stores(here: Path, capsys: pytest.CaptureFixture[str], number: int) -> None:
    assert len(SNIPPETS) == 4
    exec(SNIPPETS[number], {})
    assert capsys.readouterr().out == "Gout is treated with anti-inflammatory drugs.\n"


def test_commands(here: Path, texts: Path, server: EmbeddingServer) -> None:
    calls = [shlex.split(line) for line in PAGE.splitlines() if line.startswith("smec embed")]
    assert len(calls) == 4
    texts.rename(here / "BEIR-FOLDER")
    for call in calls:
        words = [word.replace("intfloat/e5-base-v2", "all-MiniLM-L6-v2") for word in call[1:]]
        words = [word.replace("https://api.openai.com/v1", server.url) for word in words]
        result = CliRunner().invoke(app, [*words, "--force", "--yes"])
        assert result.exit_code == 0, result.output
    assert {body["dimensions"] for body in server.requests} == {256}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("smec.integrations.mteb", "smec.integrations.mteb needs mteb, {}[mteb]'"),
        ("smec.integrations.langchain", "smec.integrations.langchain needs langchain-core, {}[langchain]'"),
        (
            "smec.integrations.llama_index",
            "smec.integrations.llama_index needs llama-index-core, {}[llama-index]'",
        ),
    ],
)
def test_without_its_library_a_wrapper_names_the_extra(code: str, said: str) -> None:
    absent = "for name in ('mteb', 'langchain_core', 'llama_index'): sys.modules[name] = None"
    assert printed(f"{absent}\nimport {code}") == said.format("which is not installed: pip install 'smec")


@pytest.mark.parametrize(
    ("library", "kind"), [("httpx", "endpoint"), ("sentence_transformers", "sentence-transformers")]
)
def test_without_its_library_an_encoder_names_the_extra(library: str, kind: str) -> None:
    code = f"sys.modules[{library!r}] = None\nfrom smec.embedding import open_encoder\n"
    assert printed(f"{code}open_encoder({kind!r}, 'm')") == (
        f"text encoder {kind!r} needs {library}, which is not installed: pip install 'smec[embed]'"
    )


def printed(code: str) -> str:
    indented = code.replace("\n", "\n    ")
    program = (
        f"import sys\nimport smec\ntry:\n    {indented}\nexcept smec.SmecError as error:\n    print(error)"
    )
    return subprocess.check_output([sys.executable, "-W", "error", "-c", program], text=True).strip()
