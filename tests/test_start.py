"""A command starts with what it needs, and nothing else: which modules a process has imported in the end."""

import subprocess
import sys

import pytest

FASTAI = {"fastai", "fasttransform", "matplotlib", "IPython", "sklearn"}  # what fastai brings along, and itself
SLOW = FASTAI | {"Bio", "scipy.stats", "scipy.optimize"}
HEAVY = SLOW | {"torch", "pandas", "numpy", "scipy"}

PROGRAM = """
import sys
from genomic_ulmfit.cli.main import main
try: status = main(sys.argv[1:])
except SystemExit as end: status = end.code
print("imported", *sys.modules)
sys.exit(status)
"""


def imported(*argv) -> set[str]:
    """The modules of a process that ran a command."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, argv)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "reads.fq"
    path.write_text("".join(f"@r{i}\n{letters * 40}\n+\n{'I' * 160}\n" for i, letters in enumerate(("ACGT", "GATC"))))
    return path


def test_help_imports_no_library():
    assert not HEAVY & imported("--help")


def test_classify_imports_what_it_needs(reads, tmp_path):
    found = imported("classify", "bacteria-taxa", reads, "--report", tmp_path / "report", "--json", tmp_path / "json")
    assert "torch" in found and not SLOW & found
    assert not SLOW & imported("merge", tmp_path / "json", "--page", tmp_path / "page.html")


def test_predict_imports_what_it_needs(reads, tmp_path):
    found = imported("predict", "bacteria-taxa", reads, "--out", tmp_path / "labels.tsv")
    assert "torch" in found and not SLOW & found


def test_device_is_taken_without_fastai(reads, tmp_path):
    assert "fastai" not in imported("--device", "cpu", "predict", "bacteria-taxa", reads, "--out", tmp_path / "x.tsv")


@pytest.mark.parametrize("command", ["screen", "evaluate", "calibrate"])
def test_others_import_no_fastai(command):
    assert not {"fastai", "fasttransform", "IPython"} & imported(command, "--help")
