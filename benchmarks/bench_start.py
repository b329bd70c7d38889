"""How long a command takes that has next to nothing to do: help, and two reads to classify, beside PyTorch alone."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import measurement, seconds

MAIN = "import sys; from genomic_ulmfit.cli.main import main; sys.exit(main())"
GOAL = "at most 2"


def commands(folder: Path) -> dict[str, list[str]]:
    "What is started, by name."
    reads = folder / "two.fq"
    reads.write_text("".join(f"@r{i}\n{'ACGTC' * 30}\n+\n{'I' * 150}\n" for i in range(2)))
    return {
        "start, import torch": [sys.executable, "-c", "import torch"],
        "start, --help": [sys.executable, "-c", MAIN, "--help"],
        "start, classify two reads": [
            sys.executable,
            "-c",
            MAIN,
            "classify",
            "bacteria-taxa",
            str(reads),
            "--report",
            str(folder / "report"),
        ],
    }


def measurements(quick: bool):
    "All measurements of this benchmark, in turns."
    repetitions = 3 if quick else 9
    with tempfile.TemporaryDirectory() as tmp:
        started = commands(Path(tmp))
        times: dict[str, list[float]] = {name: [] for name in started}
        for _ in range(repetitions):
            for name, command in started.items():
                times[name].append(seconds(lambda: subprocess.run(command, capture_output=True, check=True)))
    for name, taken in times.items():
        goal = None if name.endswith("torch") else GOAL
        yield measurement(name, statistics.median(taken), "s", goal=goal, repetitions=repetitions)
