"""Compressors on a Hugging Face Hub: a small HTTP server, and the real client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard, metadata_load

from exportable import compressor, vectors
from integrations.export.fake_hub import TOKEN, FakeHub, running_hub
from smec.compressor import Compressor
from smec.errors import ArtefactError, MissingExtraError


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as server:
        yield server


@pytest.fixture
def model(tmp_path: Path) -> Path:
    compressor().save(tmp_path / "model")
    return tmp_path / "model"


def run(code: str, hub: FakeHub, folder: Path, token: str | None = TOKEN) -> str:
    """Run Python as a user of this hub; the client reads its address once, when it is imported."""
    known = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    mine = {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    mine["HF_HUB_DISABLE_XET"] = "1"  # large files go by Git LFS, not by a second server's chunks
    mine |= {} if token is None else {"HF_TOKEN": token}
    lines = f"import numpy as np, smec\n{code}"
    finished = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=folder,
        env=known | mine,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, f"{finished.stderr}\n{hub.asked}"
    return finished.stdout.strip()


PUSH = "print(smec.Compressor.load('model').push_to_hub('owner/small'))"
PULL = "model = smec.Compressor.from_pretrained('owner/small')\nprint(model.name, model.fingerprint)"
FAIL = "try: {}\nexcept smec.SmecError as error: print(type(error).__name__, error)"


def test_what_was_pushed_comes_back(hub: FakeHub, model: Path, tmp_path: Path) -> None:
    address = run(PUSH, hub, tmp_path)
    sha = hub.repositories["owner/small"].commits[0][0]
    assert address == f"{hub.address}/owner/small/commit/{sha}"
    ((_, files),) = hub.repositories["owner/small"].commits
    assert set(files) == {"compressor.safetensors", "config.json", "README.md"}
    assert all(files[name] == (model / name).read_bytes() for name in files)
    np.save(tmp_path / "vectors.npy", vectors())
    told = run(f"{PULL}\nnp.save('small.npy', model.encode(np.load('vectors.npy')))", hub, tmp_path)
    assert told == f"smec:owner/small {compressor().fingerprint}"
    assert np.array_equal(np.load(tmp_path / "small.npy"), compressor().encode(vectors()))


def test_the_cache_serves_without_the_hub(hub: FakeHub, model: Path, tmp_path: Path) -> None:
    run(PUSH, hub, tmp_path)
    run(PULL, hub, tmp_path)
    asked = len(hub.asked)
    offline = PULL.replace("small')", "small', local_files_only=True)")
    assert run(offline, hub, tmp_path).endswith(compressor().fingerprint)
    assert len(hub.asked) == asked


def test_a_revision_is_a_commit(hub: FakeHub, model: Path, tmp_path: Path) -> None:
    first = run(PUSH, hub, tmp_path).rsplit("/", 1)[1]
    again = "small = smec.Compressor.load('model'); small.manifest.data['name'] = 'other'"
    run(f"{again}\nsmall.push_to_hub('owner/small', commit_message='other data')", hub, tmp_path)
    code = "print(smec.Compressor.from_pretrained('owner/small'{}).manifest.data['name'])"
    assert run(code.format(""), hub, tmp_path) == "other"
    assert run(code.format(f", revision='{first}'"), hub, tmp_path) == "medquad"
    missing = FAIL.format("smec.Compressor.from_pretrained('owner/small', revision='none')")
    assert run(missing, hub, tmp_path).startswith("ArtefactError owner/small: ")


def test_private_repositories_need_the_token(hub: FakeHub, model: Path, tmp_path: Path) -> None:
    run(PUSH.replace("small')", "small', private=True)"), hub, tmp_path)
    assert hub.repositories["owner/small"].private
    told = run(FAIL.format("smec.Compressor.from_pretrained('owner/small')"), hub, tmp_path, token=None)
    assert told.startswith("ArtefactError owner/small: is no folder here, and cannot be read from the Hub: ")
    assert "\n" not in told


def test_pushing_without_permission_is_one_line(hub: FakeHub, model: Path, tmp_path: Path) -> None:
    told = run(FAIL.format(PUSH), hub, tmp_path, token="hf_of_another")
    assert told.startswith("OutputError owner/small: cannot be pushed to the Hub: ") and "\n" not in told
    assert not hub.repositories


def test_without_a_connection_the_error_is_one_line(model: Path, tmp_path: Path) -> None:
    with running_hub() as gone:
        pass
    assert run(FAIL.format(PUSH), gone, tmp_path).count("\n") == 0
    told = run(FAIL.format("smec.Compressor.from_pretrained('owner/small')"), gone, tmp_path)
    assert told.startswith("ArtefactError owner/small: is no folder here") and "\n" not in told


def test_a_name_that_no_repository_can_have_is_refused(hub: FakeHub, model: Path, tmp_path: Path) -> None:
    told = run(FAIL.format("smec.Compressor.from_pretrained('no/such/folder')"), hub, tmp_path)
    assert told.startswith("ArtefactError no/such/folder: is no folder here") and "\n" not in told
    assert not hub.asked


def test_a_folder_needs_no_hub(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert Compressor.from_pretrained(model).fingerprint == compressor().fingerprint
    with pytest.raises(MissingExtraError, match=r"smec\[hub\]"):
        Compressor.from_pretrained("owner/small")
    with pytest.raises(MissingExtraError, match=r"smec\[hub\]"):
        compressor().push_to_hub("owner/small")


def test_a_repository_of_something_else_is_refused(hub: FakeHub, model: Path, tmp_path: Path) -> None:
    run(PUSH, hub, tmp_path)
    hub.repositories["owner/small"].commits[-1][1]["config.json"] = b'{"model_type": "bert"}'
    told = run(FAIL.format("smec.Compressor.from_pretrained('owner/small')"), hub, tmp_path)
    assert "not a smec compressor" in told and told.startswith(ArtefactError.__name__)


def test_the_cards_metadata_is_valid(model: Path) -> None:
    known = metadata_load(model / "README.md")
    assert known is not None and known["library_name"] == "smec"
    assert known["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    card = ModelCard.load(model / "README.md")
    assert card.data.base_model == known["base_model"] and "embeddings" in card.data.tags
    assert card.text.lstrip().startswith("# smec compressor: 384")
