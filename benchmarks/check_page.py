"""Check that a page says what its JSON says: ``python -m benchmarks.check_page RESULTS DOCS``.

The page's main tables are read back from their Markdown and held against the JSON, figure by figure,
without the code that wrote them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Document = dict[str, Any]


def main() -> None:
    """Print what differs and exit with 1, or say how many figures agree."""
    results, docs = map(Path, sys.argv[1:])
    said = read(docs / "benchmarks.md")
    faults, figures = [], 0
    for where, value in expected(json.loads((results / "main.json").read_text(encoding="utf-8"))):
        figures += 1
        if said.get(where) != value:
            faults.append(f"{' / '.join(where)}: the page says {said.get(where)}, the JSON {value}")
    if len(said) != figures:
        faults.append(f"the page has {len(said)} figures, the JSON {figures}")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{figures} figures of {docs / 'benchmarks.md'} agree with {results / 'main.json'}")


def expected(document: Document) -> Iterator[tuple[tuple[str, str, str], str]]:
    """(table, method, size) -> nDCG@10 times 100, with its interval."""
    kinds = {"new": "new documents", "seen": "seen documents", "test": "official test split"}
    for part in document["tables"]:
        labels = "with" if part["supervised"] else "without"
        title = f"{part['dataset']}, {kinds[part['kind']]}, {labels} labels"
        for row in part["methods"]:
            for dim, value, (low, high) in zip(part["dims"], row["ndcg"], row["ci"], strict=True):
                figure = f"{100 * value:.1f}, {100 * low:.1f} to {100 * high:.1f}"
                yield (title, row["method"], str(dim)), figure


def read(page: Path) -> dict[tuple[str, str, str], str]:
    """The same, from the page's tables."""
    found: dict[tuple[str, str, str], str] = {}
    title = ""
    dims: list[str] = []  # none in a table that is not one of methods
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            title, dims = line.removeprefix("### "), []
        elif re.search(r", with(out)? labels$", title) and line.startswith("| "):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells[0] == "method":
                dims = [cell for cell in cells[1:] if cell.isdecimal()]
            elif not cells[0].startswith("---"):
                for dim, cell in zip(dims, cells[1:], strict=False):
                    figure = re.match(r"\**([\d.]+).*<br>(.+)$", cell)
                    found[title, cells[0], dim] = f"{figure[1]}, {figure[2]}" if figure else cell
    return found


if __name__ == "__main__":
    main()
