"""The page about scale shows the committed kill statistics."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.kill_statistics import TARGET, lines

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


def test_the_page_shows_the_committed_figures() -> None:
    document = json.loads(TARGET.read_text(encoding="utf-8"))
    assert "\n".join(lines(document)) in PAGE.read_text(encoding="utf-8")
    assert document["kills"] >= 60 and document["mismatches"] == 0
