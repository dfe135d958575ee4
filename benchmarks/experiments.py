"""The experiments, in the order of the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from benchmarks import (
    ablations,
    beyond_memory,
    bulk_memory,
    continuation,
    cross_validation,
    databases,
    dimension_choice,
    equal_bytes,
    gate_decisions,
    gradients,
    lossless,
    main_table,
    memory_queue,
    modalities,
    scale,
    scarcity,
    speed,
    training_memory,
    transfer,
    tuning,
)
from benchmarks.cells import Cell, Laboratory
from benchmarks.plan import Plan

Document = dict[str, Any]


class Experiment(Protocol):
    """A module that makes a JSON document, and from it a part of the page."""

    NAME: str

    def section(self, document: Document) -> list[str]:
        """Lines of the page; none where the document has no figures yet."""


@runtime_checkable
class Drawn(Experiment, Protocol):
    """One with plots."""

    def draw(self, document: Document, folder: Path) -> None:
        """Write its plots."""


@runtime_checkable
class OfCells(Experiment, Protocol):
    """One that is made of cells, which run in any order and are kept."""

    def cells(self, plan: Plan) -> Iterator[Cell]:
        """What has to be run."""

    def summarise(self, laboratory: Laboratory, plan: Plan) -> Document:
        """Figures of the cells that were run."""


@runtime_checkable
class Measured(Experiment, Protocol):
    """One that measures by itself, with the machine to itself."""

    def measure(self, laboratory: Laboratory, plan: Plan) -> Document:
        """Its figures."""


EXPERIMENTS = cast(
    "tuple[Experiment, ...]",
    (
        main_table,
        scarcity,
        gate_decisions,
        lossless,
        equal_bytes,
        ablations,
        memory_queue,
        gradients,
        dimension_choice,
        modalities,
        transfer,
        continuation,
        speed,
        scale,
        bulk_memory,
        beyond_memory,
        training_memory,
        databases,
        cross_validation,
        tuning,
    ),
)

UNTRAINED = frozenset({scale.NAME, bulk_memory.NAME, databases.NAME})
"""Experiments whose figures do not depend on how a method learns."""
