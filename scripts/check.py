#!/usr/bin/env python3
"""Every check of `make test`, in order, stopping at the first that fails; steps that use one core run two at a time.

The tools are those beside the Python that runs this script, so it needs no
activated environment. `--only STEP` runs one step.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

# Folders that nbdev-test leaves out: hidden ones, and the studies, which need data that isn't in the repository.
SKIP_FOLDERS = r"^([_.]|studies$)"

ENV = {
    "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",  # for notebook cells that call the command line
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",  # two notebooks run at once
    "PYTHONUNBUFFERED": "1",
}


def run(*command):
    """Run a command in the repository's root; stop with its exit status where it fails."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=os.environ | ENV, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode if done.returncode > 0 else 1)


def python(*arguments):
    run(sys.executable, *arguments)


# ---------------------------------------------------------------- notebooks and library agree


def generated_files():
    """The files that nbdev-export and nbdev-clean write."""
    yield from (p for p in ROOT.glob("nbs/**/*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    yield from (p for p in ROOT.glob("genomic_ulmfit/**/*.py") if "__pycache__" not in p.parts)


def snapshot():
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in generated_files()}


def changed(before, after):
    """The files that are new, gone or different."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def check_export():
    before = snapshot()
    run(BIN / "nbdev-export")
    run(BIN / "nbdev-clean")
    files = changed(before, snapshot())
    if files:
        sys.exit(
            "These files are not what nbdev-export and nbdev-clean make of the notebooks:\n  "
            + "\n  ".join(files)
            + "\nRun `make export` and commit."
        )


# ---------------------------------------------------------------- the other steps


def check_readme():
    python("scripts/make_readme.py", "--check")


def check_results():
    python("scripts/make_results.py", "--check")


def check_lint():
    python("-m", "ruff", "check", ".")


def check_notebooks():
    run(BIN / "nbdev-test", "--n-workers", 2, "--timing", "--skip-folder-re", SKIP_FOLDERS)


def check_reports():
    python("scripts/check_reports.py")


def check_docs():
    python("scripts/check_docs.py")


def check_workflow():
    python("scripts/check_workflow.py")


def check_release():
    python("scripts/check_release.py")


def check_types():
    python("-m", "mypy")


def check_style():
    python("scripts/measure_style.py", "--list")


# The share of the library's lines that pytest runs, in percent; notebooks run the code of their own cells.
COVERAGE_FLOOR = 89


def check_tests():
    coverage = ["--cov", "genomic_ulmfit", "--cov-report", "term", "--cov-fail-under", COVERAGE_FLOOR]
    python("-m", "pytest", "-q", "-n", "2", *coverage, "tests")


# Pytest comes last: its summary is to be the last line of the output.
STEPS = {
    "export": ("The library is what the notebooks export, the notebooks are clean", check_export),
    "readme": ("README.md is what nbs/index.ipynb makes", check_readme),
    "results": ("docs/results.md is what the result files make", check_results),
    "lint": ("ruff", check_lint),
    "types": ("mypy", check_types),
    "style": ("Cells, functions and modules keep their goals", check_style),
    "notebooks": ("Library notebooks and tutorials", check_notebooks),
    "reports": ("taxpasta, MultiQC and Krona read the report", check_reports),
    "workflow": ("The Snakemake workflow takes two samples to reports, a screen and a table", check_workflow),
    "docs": ("The documentation is whole; a browser opens it and finds what is searched for", check_docs),
    "release": ("What a release is made with: image, workflow, recipe, modules, licences", check_release),
    "tests": ("pytest", check_tests),
}


def step(name):
    """Run one step between its title and its time; pytest prints its own time."""
    title, check = STEPS[name]
    print(f"== {name}: {title}", flush=True)
    start = time.perf_counter()
    check()
    if name != "tests":
        print(f"== {name}: ok, {time.perf_counter() - start:.1f} s\n", flush=True)


# Steps that keep one core busy each: they run two at a time.
SIDE_BY_SIDE = ("reports", "workflow", "docs", "release")


def side_by_side(names):
    """Run steps two at a time, each in a process of its own; stop with the status of the first that fails."""
    run_step = lambda name: subprocess.run(
        [sys.executable, __file__, "--only", name], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(run_step, names):
            print(done.stdout + done.stderr, flush=True)
            if done.returncode:
                sys.exit(done.returncode)


def main():
    parser = argparse.ArgumentParser(description="Run every check of `make test`.")
    parser.add_argument("--only", choices=STEPS, metavar="STEP", help=f"run one step: {', '.join(STEPS)}")
    only = parser.parse_args().only
    if only:
        step(only)
        return
    for name in STEPS:
        if name == SIDE_BY_SIDE[0]:
            side_by_side(SIDE_BY_SIDE)
        elif name not in SIDE_BY_SIDE:
            step(name)


if __name__ == "__main__":
    main()
