"""Files of a compressor's folder: their names, and the named tensors with their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from smec.errors import ArtefactError

TENSORS_FILE = "compressor.safetensors"
CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
FILES = (TENSORS_FILE, CONFIG_FILE, CARD_FILE)

Tensors = dict[str, NDArray[Any]]


def tensors_hash(tensors: Tensors) -> str:
    """sha256 over names, dtypes, shapes and bytes, independent of the file's layout."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
        digest.update(tensor.data)
    return digest.hexdigest()


def save_tensors(file: Path, tensors: Tensors) -> None:
    """Write a safetensors file; OSError where the disk refuses."""
    try:
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, file)
    except SafetensorError as error:  # safetensors wraps a full disk in its own error
        raise OSError(str(error)) from error


def load_tensors(file: Path) -> Tensors:
    """Read a safetensors file.

    Raises
    ------
    ArtefactError
        It is missing, damaged, or of another kind.
    """
    if not file.is_file():
        raise ArtefactError(f"{file.parent}: {file.name} is missing; copy the whole folder again")
    try:
        tensors: Tensors = load_file(file)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ArtefactError(f"{file}: not a readable safetensors file ({error}); copy it again") from error
    return tensors
