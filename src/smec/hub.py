"""Compressor folders on the Hugging Face Hub, with the methods that its other libraries have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

from smec.errors import ArtefactError, MissingExtraError, OutputError, SmecError

if TYPE_CHECKING:
    from typing_extensions import Self


class OnHub(ABC):
    """What can be saved as a folder and loaded from one, and therefore from a repository of the Hub."""

    name: str
    hub_files: ClassVar[tuple[str, ...]]
    """Files of the folder; whatever else a repository has is not downloaded."""

    @abstractmethod
    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write a folder."""

    @classmethod
    @abstractmethod
    def load(cls, path: str | Path) -> Self:
        """Read a folder."""

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        commit_message: str = "smec compressor",
    ) -> str:
        """Commit the folder to a model repository of the Hugging Face Hub, made if it is not there.

        Parameters
        ----------
        repo_id : str
            "owner/name".
        private : bool, optional
            Of a repository that is made; by default what the owner has set.
        token : str, optional
            By default that of ``hf auth login``.
        commit_message : str

        Returns
        -------
        str
            Address of the commit.

        Raises
        ------
        OutputError
            No permission, no connection, or a name that no repository can have.
        MissingExtraError
            ``pip install 'smec[hub]'``.
        """
        with TemporaryDirectory() as scratch, _told(OutputError, repo_id, "cannot be pushed to"):
            from huggingface_hub import HfApi

            folder = Path(scratch) / "model"
            self.save(folder)
            api = HfApi(token=token)
            repository = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=commit_message)
            return str(commit.commit_url)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Read a folder, or where there is none of that name a model repository of the Hugging Face Hub.

        Parameters
        ----------
        name : str or Path
            A folder, or "owner/name".
        revision : str, optional
            Branch, tag or commit.
        token, cache_dir, local_files_only
            As in ``huggingface_hub.snapshot_download``.

        Raises
        ------
        ArtefactError
            As by `load`; no such repository or revision; no connection and nothing in the cache.
        MissingExtraError
            ``pip install 'smec[hub]'``.
        """
        if Path(name).is_dir():
            return cls.load(name)
        with _told(ArtefactError, str(name), "is no folder here, and cannot be read from"):
            from huggingface_hub import snapshot_download

            folder = snapshot_download(
                str(name),
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                allow_patterns=list(cls.hub_files),
            )
        loaded = cls.load(folder)
        loaded.name = f"smec:{name}"
        return loaded


@contextmanager
def _told(kind: type[SmecError], repo_id: str, what: str) -> Iterator[None]:
    try:
        yield
    except SmecError:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "hub", "the Hugging Face Hub") from error
    except Exception as error:  # the client's own, its HTTP library's, its cache's: they share no other base
        reason = next(
            (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
        )
        raise kind(f"{repo_id}: {what} the Hub: {reason}") from error
