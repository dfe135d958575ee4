"""Reads what pip-audit found: 1 for a known vulnerability or a failed run, 0 for none, or no connection.

``audited.py REPORT LOG``
"""

import json
import sys
from pathlib import Path

NO_CONNECTION = ("Could not connect to", "PyPI is not redirecting properly")
"""What pip-audit says when its database cannot be reached, which is no fault of the packages."""

file, log = map(Path, sys.argv[1:])
if not file.exists():
    if any(said in log.read_text(encoding="utf-8") for said in NO_CONNECTION):
        print("NOT AUDITED: the database of vulnerabilities could not be reached")
        sys.exit(0)
    print("NOT AUDITED: pip-audit failed")
    sys.exit(1)
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
