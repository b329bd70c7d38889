"""The source archive and the wheel: built from a clean copy, installed in an empty environment, they classify reads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from release import ROOT, check_size

from genomic_ulmfit.all import SAMPLE, decode_bases, read_sequences

PARTS = ("genomic_ulmfit", "settings.ini", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")


def run(*command, **kwargs):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What is built from: the files of the package, without what a build leaves behind."""
    folder = tmp_path_factory.mktemp("source") / "genomic_ulmfit"
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    genome = next(iter(read_sequences(SAMPLE / "Helicobacter_pylori_Puno120.fna.gz"))).codes
    path = tmp_path_factory.mktemp("reads") / "reads.fa"
    path.write_text("".join(f">r{i}\n{decode_bases(genome[1000 * i : 1000 * i + 300])}\n" for i in range(20)))
    return path


def report_of(command, reads, **kwargs):
    """Kraken's report of the reads."""
    return run(*command, "classify", "bacteria-taxa", reads, "--fast", **kwargs)


def wheel_of(source, folder):
    """The wheel of a source tree or of a source archive."""
    quiet = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *quiet, source)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    """The wheel of a copy of its own, which a build may write to."""
    copy = tmp_path_factory.mktemp("wheel") / "genomic_ulmfit"
    shutil.copytree(source, copy)
    return wheel_of(copy, copy.parent / "dist")


def test_the_wheel_can_be_installed_in_an_empty_environment_and_classifies(wheel, reads, tmp_path):
    environment = tmp_path / "environment"  # with nothing in it: what the package needs is what it says
    try:
        run(sys.executable, "-m", "venv", environment)
        run(environment / "bin/python", "-m", "pip", "install", "--quiet", wheel)
        assert "Helicobacter" in report_of([environment / "bin/genomic-ulmfit"], reads, cwd=tmp_path)
    finally:
        shutil.rmtree(environment, ignore_errors=True)


def test_the_wheel_keeps_its_budget(wheel):
    check_size(wheel)


def test_the_image_is_built_from_these_parts():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == set(PARTS)


def contents(wheel):
    """The files of a wheel and their checksums."""
    return {info.filename: info.CRC for info in ZipFile(wheel).infolist()}


def test_the_source_archive_makes_the_same_wheel(wheel, source, tmp_path):
    run(sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", tmp_path / "dist", cwd=source)
    (archive,) = (tmp_path / "dist").iterdir()
    assert contents(wheel_of(archive, tmp_path / "wheel")) == contents(wheel)


def test_a_source_tree_works_without_being_installed(source, reads):
    program = "import sys, genomic_ulmfit; from genomic_ulmfit.cli.main import main; "
    program += f"assert genomic_ulmfit.__file__.startswith({str(source)!r}); sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    assert "Helicobacter" in report_of([sys.executable, "-c", program], reads, env=environment, cwd=source)
