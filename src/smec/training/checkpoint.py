"""A training that was killed goes on from here and ends with the same bytes."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from smec.atomic import replacing
from smec.errors import ArtefactError, ConfigError

MOST_FOLDS = 64
"""Files that may lie beside each other."""
SECONDS_BETWEEN = 3.0
"""Checks closer together than this are not saved; what is lost is computed again, alike."""


class Checkpoint:
    """The state of one training in one file (safetensors, its metadata as JSON; never pickle).

    Parameters
    ----------
    file : Path or None
        None: nothing is ever saved.
    identity : mapping
        Configuration and data fingerprints: another training may not resume from this one.
    """

    def __init__(self, file: Path | None, identity: dict[str, Any]) -> None:
        self._file = file
        self._identity = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self._saved = -float("inf")

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and metadata of the last save, None where there is none.

        Raises
        ------
        ConfigError
            The file belongs to a training with other data or another configuration.
        ArtefactError
            The file is damaged.
        """
        if self._file is None or not self._file.is_file():
            return None
        try:
            with safe_open(self._file, framework="pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}
                metadata = stored.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise ArtefactError(
                f"{self._file}: damaged checkpoint ({error}); train without --resume"
            ) from error
        if metadata.get("identity") != self._identity:
            raise ConfigError(
                f"{self._file}: belongs to a training with other data or another configuration; "
                "train without --resume to start anew"
            )
        return tensors, json.loads(metadata["state"])

    def save(self, tensors: dict[str, Tensor], state: dict[str, Any], *, now: bool = False) -> None:
        """Replace the file as a whole; skipped within a few seconds of the last save unless ``now``."""
        if self._file is None or (not now and time.monotonic() - self._saved < SECONDS_BETWEEN):
            return
        metadata = {"identity": self._identity, "state": json.dumps(state)}
        whole = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
        with replacing(self._file, force=True) as part:
            try:
                save_file(whole, part, metadata=metadata)
            except SafetensorError as error:
                raise OSError(str(error)) from error
        self._saved = time.monotonic()

    def discard(self) -> None:
        """Remove the file: the training is over."""
        if self._file is not None and self._file.is_file():
            self._file.unlink()


def reading_of(file: Path) -> Path:
    """Where what a training read of a large corpus is kept, beside its state in ``file``."""
    return file.with_name(f"{file.name}-read")


def discard(file: Path) -> None:
    """Remove the states of a training that was kept in ``file``, those of its folds and its reading among them."""
    reading_of(file).unlink(missing_ok=True)
    for number in range(MOST_FOLDS):
        Checkpoint(file.with_name(f"{file.name}-{number}") if number else file, {}).discard()
