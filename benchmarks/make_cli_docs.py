"""Regenerate ``docs/cli.md`` from the commands themselves: ``python benchmarks/make_cli_docs.py``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from smec.cli.main import COMMANDS, command

TARGET = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

INTRODUCTION = """\
# Command line

<!-- Made by `python benchmarks/make_cli_docs.py`; a test compares it with the commands. -->

Results go to stdout, progress and messages to stderr. An error is one line that names the file
and the row, column or id, and says what to do.

| exit code | meaning |
|---|---|
| 0 | done |
| 2 | unusable input, output or arguments, or a failed check |
| 3 | `--strict`, and a size fell back to a baseline, or gained nothing by `smec adapt`; nothing was written |
| 4 | `smec compress` into a folder: some shards could not be made, the others are done |
| 130 | interrupted; `smec train --resume` and, for a folder, `smec compress --resume` go on |
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(section(name, command(name)) for name in COMMANDS)])


def section(name: str, command: Any) -> str:
    """One command: how it is called, what it does, its arguments and options."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    required = [f"{p.opts[0]} {p.name.upper()}" for p in options if p.required]
    call = " ".join(["smec", name, *(p.metavar for p in arguments), *required, "[OPTIONS]"])
    rows = [f"| `{p.metavar}` | {escaped(p.help)} |" for p in arguments]
    rows += [f"| {', '.join(f'`{o}`' for o in p.opts)} | {escaped(p.help)}{default(p)} |" for p in options]
    lines = [f"## smec {name}", "", f"    {call}", "", *command.help.splitlines(), ""]
    return "\n".join([*lines, "| | |", "|---|---|", *rows, ""])


def escaped(text: str) -> str:
    """Without Markdown's meaning of asterisks and bars."""
    return text.replace("*", r"\*").replace("|", r"\|")


def default(option: Any) -> str:
    """The default, where the help does not say it and it is a value."""
    said = re.search(r"Default:|none\.$", option.help) or option.is_flag or option.default in (None, "")
    return "" if said or option.required else f" Default: `{option.default}`."


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
