"""What a release needs of `scripts/release.py`: notes of a tag, size of the wheel, checksum of the recipe, licences."""

import hashlib
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import release

ROOT = release.ROOT
VERSION = release.settings()["version"]
CHANGELOG = f"""# Changelog

## [Unreleased]

- Later.

## [{VERSION}] - 2026-12-01

Words.

### Added

- A thing.

## [0.0.9] - 2026-01-01

- An older thing.
"""


def test_the_notes_are_the_section_of_the_tag():
    assert release.notes(f"v{VERSION}", CHANGELOG) == "Words.\n\n### Added\n\n- A thing.\n"


@pytest.mark.parametrize(
    ("tag", "changelog", "said"),
    [
        ("v9.9.9", CHANGELOG, f"the tag is v{VERSION}, not v9.9.9"),
        (VERSION, CHANGELOG, f"the tag is v{VERSION}"),
        (f"v{VERSION}", "## [Unreleased]\n\n- Later.\n", f"nothing under ## [{VERSION}]"),
        (f"v{VERSION}", f"## [{VERSION}]\n\n## [0.0.9]\n\n- Old.\n", f"nothing under ## [{VERSION}]"),
    ],
)
def test_a_tag_without_notes_or_of_another_version_stops_the_release(tag, changelog, said):
    with pytest.raises(SystemExit, match=re.escape(said)):
        release.notes(tag, changelog)


def test_a_wheel_over_the_budget_stops_the_release(tmp_path):
    wheel = tmp_path / "a.whl"
    with open(wheel, "wb") as stream:
        stream.truncate(release.WHEEL_BUDGET)
    assert release.check_size(wheel) == "a.whl: 60.0 MB of 60 MB"
    with open(wheel, "ab") as stream:
        stream.write(b".")
    with pytest.raises(SystemExit, match="belongs on a hub"):
        release.check_size(wheel)


def test_the_recipe_gets_the_checksum_and_nothing_else(tmp_path):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(b"source")
    before = (ROOT / "conda.recipe/meta.yaml").read_text(encoding="utf-8").splitlines()
    after = release.recipe_of(archive).splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [f"  sha256: {hashlib.sha256(b'source').hexdigest()}"]


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        ("BSD-3-Clause AND 0BSD AND MIT", False),
        ("Apache-2.0 AND Apache-2.0 WITH LLVM-exception", False),
        ("Mozilla Public License 2.0 (MPL 2.0)", False),
        ("(MIT OR Apache-2.0)", False),
        ("GPL-3.0-or-later", True),
        ("MIT AND LGPL-3.0", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("Other/Proprietary License", True),
        ("none stated", True),
    ],
)
def test_licences_that_are_not_allowed(licence, wanted):
    assert release.refused("a-package", licence) is wanted


def test_a_licence_that_is_not_allowed_stops_the_release(monkeypatch):
    assert not release.refused("nvidia-cublas", "LicenseRef-NVIDIA-Proprietary")
    assert "torch\t" in release.licences("genomic-ulmfit")
    monkeypatch.setattr(release, "stated", lambda facts: "GPL-3.0-only" if facts["Name"] == "shtab" else "MIT")
    with pytest.raises(SystemExit, match=r"shtab [\d.]+: GPL-3.0-only$"):
        release.licences("genomic-ulmfit")


def test_requirements_are_followed_but_extras_are_not():
    found = release.requirements("genomic-ulmfit")
    assert {"torch", "fastai", "sympy"} <= found  # sympy is a requirement of torch
    assert not found & {"genomic-ulmfit", "pyrodigal", "pytest"}


def test_the_citation_has_the_version_of_settings():
    (said,) = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    assert said == VERSION
