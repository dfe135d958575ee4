"""Reads what pip-audit found: 1 for a known vulnerability, 0 for none, or where it could not look."""

import json
import sys
from pathlib import Path

file = Path(sys.argv[1])
if not file.exists():  # pip-audit ended without a report: no connection to the database
    print("NOT AUDITED: the database of vulnerabilities could not be reached")
    sys.exit(0)
packages = json.loads(file.read_text(encoding="utf-8"))["dependencies"]
looked_up = [package for package in packages if "skip_reason" not in package]
if not looked_up:
    print(
        f"NOT AUDITED: the database of vulnerabilities knows none of the {len(packages)} packages from here"
    )
for package in looked_up:
    for found in package["vulns"]:
        fixed = ", ".join(found["fix_versions"]) or "no release"
        print(f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}")
print(f"{len(looked_up)} of {len(packages)} packages looked up")
sys.exit(any(package["vulns"] for package in looked_up))
