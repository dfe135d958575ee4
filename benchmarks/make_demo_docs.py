"""Put what ``smec demo`` prints into the README: ``python benchmarks/make_demo_docs.py``."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
PLACE = re.compile(r"(<!-- demo:begin -->\n).*(<!-- demo:end -->)", flags=re.DOTALL)


def main() -> None:
    """Run the demo and replace the table between the markers."""
    with tempfile.TemporaryDirectory() as folder:
        call = "from smec.cli.main import main; main()"
        command = [sys.executable, "-c", call, "demo", "--output", f"{folder}/demo"]
        printed = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    lines = [line.rstrip() for line in printed.split("Question:")[0].rstrip().splitlines()]
    block = "```\n" + "\n".join(lines) + "\n```\n"
    readme = README.read_text(encoding="utf-8")
    README.write_text(PLACE.sub(lambda m: m[1] + block + m[2], readme), encoding="utf-8")


if __name__ == "__main__":
    main()
