"""The walk-through has what its commands printed; the whole of it is run by tests/integrations."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "walkthrough.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_step_shows_what_was_printed() -> None:
    said = "run: python -m benchmarks.walkthrough"
    shown = [code for language, code in BLOCKS if language == "text"]
    assert len(shown) == 7 and all(code.strip() for code in shown), said
    assert "2 questions" not in shown[0] and "120 questions, " in shown[3]


def test_python_blocks_are_programs() -> None:
    programs = [code for language, code in BLOCKS if language == "python"]
    assert len(programs) == 2
    for code in programs:
        compile(code, "walkthrough.md", "exec")
