#!/usr/bin/env python3
"""Prints the requirement for the lowest or highest version that settings.ini allows: `bounds.py torch lowest`."""

import sys

from packaging.requirements import Requirement
from release import settings


def bound(package: str, which: str) -> str:
    """`torch==2.6.*` for `torch>=2.6`, lowest; the requirement itself, highest (pip takes the newest that fits)."""
    lines = settings()["requirements"].split()
    requirement = next(r for r in map(Requirement, lines) if r.name == package)
    if which == "highest":
        return str(requirement)
    lowest = next(s.version for s in requirement.specifier if s.operator == ">=")
    return f"{package}=={lowest}.*"


if __name__ == "__main__":
    print(bound(*sys.argv[1:3]))
