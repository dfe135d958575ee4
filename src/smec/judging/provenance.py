"""Where judgements come from: ``qrels/train.judged.json``, one entry for every run that wrote some."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from smec.atomic import replacing
from smec.data.qrels import Qrels
from smec.errors import DataError
from smec.judging.questions import TRAIN

NAME = f"{TRAIN}.judged.json"
IDS = "query_ids"


class Provenance:
    """The runs that have written judgements into a dataset's train split.

    Parameters
    ----------
    path : Path
    runs : list of dict
    """

    def __init__(self, path: Path, runs: list[dict[str, Any]]) -> None:
        self._path = path
        self._runs = runs

    @classmethod
    def open(cls, folder: Path, train: Qrels) -> Provenance:
        """Read a dataset folder's file, if there is one.

        Runs none of whose queries have a row in ``train`` are dropped: they were killed before they wrote
        any, or somebody has taken them out.

        Raises
        ------
        DataError
            The file cannot be read, or is of something else.
        """
        path = folder / "qrels" / NAME
        if not path.exists():
            return cls(path, [])
        try:
            runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
            kept = [run for run in runs if any(query in train for query in run[IDS])]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: is no file of `smec judge`; move it away") from error
        return cls(path, kept)

    @cached_property
    def queries(self) -> frozenset[str]:
        """Ids of all queries that a judge has judged."""
        return frozenset(query for run in self._runs for query in run[IDS])

    def add(self, run: Mapping[str, Any]) -> None:
        """Write the file with one more run, which has ``query_ids``.

        Raises
        ------
        OutputError
            The disk refuses.
        """
        runs = [*self._runs, dict(run)]
        with replacing(self._path, force=True) as part:
            part.write_text(json.dumps({"runs": runs}, indent=1) + "\n", encoding="utf-8")
