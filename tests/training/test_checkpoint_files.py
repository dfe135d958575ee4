"""A checkpoint file is its training's alone: nothing else is read from it or lost to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from smec.errors import ArtefactError, ConfigError, OutputError
from smec.training.checkpoint import Checkpoint


def test_tensors_and_state_come_back_as_they_were(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", {"seed": 1})
    assert checkpoint.load() is None
    checkpoint.save({"w": torch.arange(6.0).reshape(2, 3).T}, {"step": 3, "score": 0.1 + 0.2})
    loaded = Checkpoint(tmp_path / "state", {"seed": 1}).load()
    assert loaded is not None
    assert torch.equal(loaded[0]["w"], torch.arange(6.0).reshape(2, 3).T)
    assert loaded[1] == {"step": 3, "score": 0.1 + 0.2}
    checkpoint.discard()
    checkpoint.discard()
    assert list(tmp_path.iterdir()) == []


def test_saves_close_together_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", {})
    steps = []
    for step, now in ((1, False), (2, False), (3, True)):
        checkpoint.save({"w": torch.ones(1)}, {"step": step}, now=now)
        loaded = checkpoint.load()
        assert loaded is not None
        steps.append(loaded[1]["step"])
    assert steps == [1, 1, 3]


def test_another_identity_and_a_foreign_file_are_refused(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "state", {"seed": 1}).save({"w": torch.ones(1)}, {})
    with pytest.raises(ConfigError, match="other data or another configuration; train without --resume"):
        Checkpoint(tmp_path / "state", {"seed": 2}).load()
    save_file({"w": torch.ones(1)}, tmp_path / "foreign")
    with pytest.raises(ConfigError, match="train without --resume"):
        Checkpoint(tmp_path / "foreign", {"seed": 1}).load()


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_cut_file_is_damaged(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "state"
    Checkpoint(file, {}).save({"w": torch.ones(9)}, {"step": 1})
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ArtefactError, match=r"damaged checkpoint .*; train without --resume"):
        Checkpoint(file, {}).load()


def test_a_folder_is_never_replaced_by_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "precious").write_text("kept")
    with pytest.raises(OutputError, match="model: is a folder; name a file"):
        Checkpoint(folder, {}).save({"w": torch.ones(1)}, {})
    assert (folder / "precious").read_text() == "kept"
