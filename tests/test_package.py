"""The source archive and the wheel: built from a clean copy, installed in an empty environment, they classify reads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genomic_ulmfit.all import SAMPLE, decode_bases, read_sequences

ROOT = Path(__file__).resolve().parent.parent
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


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_what_is_built_can_be_installed_and_classifies(kind, source, reads, tmp_path):
    if kind == "sdist":
        run(sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", tmp_path / "dist", cwd=source)
    else:
        quiet = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path / "dist")
        run(sys.executable, "-m", "pip", "wheel", *quiet, ".", cwd=source)
    (built,) = (tmp_path / "dist").iterdir()
    environment = tmp_path / "environment"  # with nothing in it: what the package needs is what it says
    try:
        run(sys.executable, "-m", "venv", environment)
        run(environment / "bin/python", "-m", "pip", "install", "--quiet", built)
        assert "Helicobacter" in report_of([environment / "bin/genomic-ulmfit"], reads, cwd=tmp_path)
    finally:
        shutil.rmtree(environment, ignore_errors=True)


def test_a_source_tree_works_without_being_installed(source, reads):
    program = "import sys, genomic_ulmfit; from genomic_ulmfit.cli.main import main; "
    program += f"assert genomic_ulmfit.__file__.startswith({str(source)!r}); sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    assert "Helicobacter" in report_of([sys.executable, "-c", program], reads, env=environment, cwd=source)
