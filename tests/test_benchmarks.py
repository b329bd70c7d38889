"""The benchmarks run, and say what they say as JSON lines."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "benchmarks" / "run.py"
KEYS = {
    "name",
    "value",
    "unit",
    "baseline",
    "baseline_value",
    "ratio",
    "goal",
    "repetitions",
    "spread",
    "threads",
    "versions",
    "processor",
}


def bench(*args):
    return subprocess.run([sys.executable, str(RUN), *args], capture_output=True, text=True)


@pytest.mark.parametrize(
    "name",
    [
        "start",
        "read",
        "tokenise",
        "load",
        "train",
        "predict",
        "classify",
        "growth",
        "taxa-growth",
        "variants",
        "mutagenesis",
    ],
)
def test_quick_benchmark(name, tmp_path):
    done = bench(name, "--quick", "--json", str(tmp_path / "lines"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert (tmp_path / "lines").read_text().splitlines() == lines and len(lines) >= 3
    for m in map(json.loads, lines):
        assert set(m) == KEYS and m["name"].startswith(name) and math.isfinite(m["value"])
        if "same class" in m["name"]:
            assert m["value"] >= 0.998
        if "largest difference" in m["name"] and name in ("mutagenesis", "variants"):
            assert m["value"] < 1e-5
        if m["baseline"]:
            assert m["baseline_value"] > 0 and m["ratio"] > 0


def test_unknown_benchmark_lists_the_names():
    done = bench("speed")
    assert done.returncode == 2 and "tokenise" in done.stderr
