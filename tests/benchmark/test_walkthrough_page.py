"""The walk-through has what its commands printed; the whole of it is run by tests/integrations."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.walkthrough import Run, filled

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "walkthrough.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_step_shows_what_was_printed() -> None:
    said = "run: python -m benchmarks.walkthrough"
    shown = [code for language, code in BLOCKS if language == "text"]
    assert len(shown) == 9 and all(code.strip() for code in shown), said
    assert "120 questions, " in shown[3] and "calibrated on" in shown[4]


def test_what_is_printed_stands_behind_its_block() -> None:
    page = "a\n```\nsmec x\n```\n\n```text\nold\n```\n```python\nprint(1)\n```\nb\n"
    page += "```\nsmec y\n```\n```text\n```\n"
    outputs = {"smec x\n": " 1  \n\n 2\n", "print(1)\n": "1\n", "smec y\n": "3\n"}
    runs = [Run(code, output, False) for code, output in outputs.items()]
    assert filled(page, runs) == page.replace("old", "1\n\n 2").replace("text\n```", "text\n3\n```")


def test_python_blocks_are_programs() -> None:
    programs = [code for language, code in BLOCKS if language == "python"]
    assert len(programs) == 2
    for code in programs:
        compile(code, "walkthrough.md", "exec")
