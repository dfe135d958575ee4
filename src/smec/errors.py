"""Every error that smec raises on purpose.

::

    SmecError
    ├── DataError            vectors, ids, qrels or a dataset folder cannot be used
    ├── ConfigError          an argument or a configuration makes no sense
    ├── ArtefactError        a compressor folder is missing, foreign, damaged or too new
    ├── OutputError          an output exists already or cannot be written
    ├── DatabaseError        a vector database cannot be reached, or refuses
    ├── GateError            --strict: a size fell back to a baseline
    ├── PeerError            another process of the same training failed
    ├── EncoderError         a text encoder cannot be reached, refuses, or answers what cannot be used
    ├── EndpointError        an HTTP endpoint cannot be reached, refuses, or answers what cannot be used
    └── MissingExtraError    an optional dependency is not installed (also an ImportError)

Messages are one line: what was wrong, where, and what to do about it. The command line
prints them as they are and exits with the error's ``exit_code``.
"""

from __future__ import annotations


class SmecError(Exception):
    """Base of all errors that smec raises on purpose."""

    exit_code = 2


class DataError(SmecError):
    """Vectors, ids, qrels or a dataset folder cannot be used as they are."""


class ConfigError(SmecError):
    """An argument or a configuration is out of range or contradicts another."""


class ArtefactError(SmecError):
    """A compressor folder is missing, foreign, damaged or of an unknown format version."""


class OutputError(SmecError):
    """An output exists already, or could not be written."""


class DatabaseError(SmecError):
    """A vector database cannot be reached, was lost on the way, or refuses."""


class GateError(SmecError):
    """Under ``--strict``: at least one size was not better than its baselines."""

    exit_code = 3


class EncoderError(SmecError):
    """A text encoder cannot be reached, refuses, or answers with what cannot be used."""


class EndpointError(SmecError):
    """An HTTP endpoint cannot be reached, refuses, or answers with what cannot be used."""


class IncompleteError(SmecError):
    """Some shards could not be made; the others are finished."""

    exit_code = 4


class PeerError(SmecError):
    """Another process of the same training failed, so that this one cannot go on.

    Parameters
    ----------
    message : str
    exit_code : int
    told : bool
        The other process says why: nothing needs to be printed here.
    """

    def __init__(self, message: str, exit_code: int = SmecError.exit_code, *, told: bool = False) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.told = told


class MissingExtraError(SmecError, ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    module : str
        The module that could not be imported.
    extra : str
        The extra of smec that brings it.
    purpose : str
        What needs it, as the beginning of a sentence ("training").
    """

    def __init__(self, module: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {module}, which is not installed: pip install 'smec[{extra}]'")
        self.module = module
        self.extra = extra
