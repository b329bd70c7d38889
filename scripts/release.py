#!/usr/bin/env python3
"""What a release needs: its notes, the size of its wheel, its recipe for Bioconda, the licences of what it installs.

release.py notes v0.1.0         the section of CHANGELOG.md; stops unless the tag is the version of settings.ini
release.py size dist/*.whl      stops where the wheel is over its budget
release.py recipe dist/*.tar.gz conda.recipe/meta.yaml with the checksum of the source archive
release.py licences             name, version, licence of each requirement; stops at a licence that is not allowed
"""

import hashlib
import re
import sys
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
WHEEL_BUDGET = 60_000_000  # bytes; the shipped models are nearly all of it, and PyPI takes 100 MB at most

# What an Apache-2.0 package may ask for: permissive licences, and weak copyleft that stays within its own files.
ALLOWED = """Apache-2.0 BSD-2-Clause BSD-3-Clause MIT MIT-CMU ISC PSF-2.0 Python-2.0 MPL-2.0 0BSD Zlib CC0-1.0 BSL-1.0
    Unlicense HPND LLVM-exception LicenseRef-Biopython-License-Agreement""".split()
# Licences that packages give in words; the first that fits.
WORDS = {
    r"apache": "Apache-2.0",
    r"mozilla|MPL.2": "MPL-2.0",
    r"2.clause": "BSD-2-Clause",
    r"\bBSD\b": "BSD-3-Clause",
    r"\bMIT\b": "MIT",
    r"\bISC\b": "ISC",
    r"python software foundation": "PSF-2.0",
    r"unlicense": "Unlicense",
}
CUDA = ("nvidia-", "cuda-")  # parts of PyTorch's CUDA build, under NVIDIA's terms: listed, not judged


def settings():
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return config["DEFAULT"]


# ---------------------------------------------------------------- notes, size, recipe


def notes(tag: str, changelog: str) -> str:
    """The section of a changelog that a tag releases."""
    version = settings()["version"]
    if tag != f"v{version}":
        sys.exit(f"settings.ini has the version {version}, so the tag is v{version}, not {tag}")
    found = re.search(rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if not found or not found[1].strip():
        sys.exit(f"CHANGELOG.md has nothing under ## [{version}]: give that name to ## [Unreleased]")
    return found[1].strip() + "\n"


def check_size(wheel: Path) -> str:
    """The size of a wheel in words; stops where it is too large."""
    size = wheel.stat().st_size
    said = f"{wheel.name}: {size / 1e6:.1f} MB of {WHEEL_BUDGET / 1e6:.0f} MB"
    if size > WHEEL_BUDGET:
        sys.exit(f"{said}: a model that is not of everyone's need belongs on a hub")
    return said


def recipe_of(archive: Path) -> str:
    """The recipe, with the checksum of a source archive."""
    text = (ROOT / "conda.recipe/meta.yaml").read_text(encoding="utf-8")
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    text, count = re.subn(r"(?m)^  sha256: \w{64}$", f"  sha256: {checksum}", text)
    if count != 1:
        sys.exit("conda.recipe/meta.yaml has no line `  sha256: ` with 64 letters and digits")
    return text


# ---------------------------------------------------------------- licences


def requirements(name: str) -> set[str]:
    """What a package asks for without extras, and what that asks for, as far as it is installed."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for text in metadata.requires(waiting.pop()) or []:
            requirement = Requirement(text)
            key = requirement.name.lower().replace("_", "-")
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and key not in found and key != name:
                found.add(key)
                waiting.append(key)
    return found


def stated(facts) -> str:
    """The licence as a package states it: an expression, else its classifiers, else a line of words."""
    expression = facts.get("License-Expression")
    if expression:
        return expression
    classes = [c.split(" :: ")[-1] for c in facts.get_all("Classifier", []) if c.startswith("License :: ")]
    named = [c for c in classes if c != "OSI Approved"]
    return " AND ".join(named) or next(iter((facts.get("License") or "none stated").splitlines()))


def parts(licence: str) -> list[str]:
    """The licences in an expression by their SPDX names; words that have none stay as they are."""
    pieces = re.split(r"\s+(?:AND|OR|WITH)\s+|; *", licence.replace("(", " ").replace(")", " ").strip())
    names = []
    for piece in pieces:
        known = (name for pattern, name in WORDS.items() if re.search(pattern, piece, re.I))
        names.append(piece if piece in ALLOWED else next(known, piece))
    return names


def refused(name: str, licence: str) -> bool:
    """Whether one of the licences is not allowed; of `A OR B` both have to be."""
    return not name.startswith(CUDA) and not set(parts(licence)) <= set(ALLOWED)


def licences(package: str) -> str:
    """A table of the requirements; stops where a licence is not allowed."""
    rows = [(name, metadata.version(name), stated(metadata.metadata(name))) for name in sorted(requirements(package))]
    bad = [f"{name} {version}: {licence}" for name, version, licence in rows if refused(name, licence)]
    if bad:
        sys.exit("These licences are not among those that are allowed:\n  " + "\n  ".join(bad))
    return "".join("\t".join(row) + "\n" for row in [("name", "version", "licence"), *rows])


def main(what: str, argument: str = ""):
    if what == "notes":
        answer = notes(argument, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    elif what == "size":
        answer = check_size(Path(argument)) + "\n"
    elif what == "recipe":
        answer = recipe_of(Path(argument))
    elif what == "licences":
        answer = licences(settings()["lib_name"].replace("_", "-"))
    else:
        sys.exit(__doc__)
    sys.stdout.write(answer)


if __name__ == "__main__":
    main(*sys.argv[1:3] or [""])
