#!/usr/bin/env python3
"""The benchmarks of this checkout and of another one, in turns: how much faster or slower is each measurement?

    git worktree add ../before HEAD~1
    python scripts/compare_speed.py ../before train predict load tokenise --rounds 5

Each round runs both checkouts one after the other, the first of them in turns; a line gives the median over rounds of
the ratio now / before of what the package itself does, and the quartiles. Run it on an idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("train", "predict", "load", "tokenise")


def run(checkout: Path, name: str, quick: bool) -> dict[str, float]:
    """Speeds by measurement, of the package of a checkout by its own benchmark."""
    command = [sys.executable, str(checkout / "benchmarks" / "run.py"), name, *(["--quick"] if quick else [])]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=checkout)
    if done.returncode:
        sys.exit(f"{checkout}: {name} failed:\n{done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line["value"] for line in lines if line["unit"].endswith("/s")}


def compare(before: Path, name: str, rounds: int, quick: bool) -> dict[str, list[float]]:
    """Ratios now / before of each round by measurement."""
    ratios = defaultdict(list)
    for number in range(rounds):
        order = [before, ROOT] if number % 2 else [ROOT, before]
        speeds = {checkout: run(checkout, name, quick) for checkout in order}
        for measurement in speeds[ROOT].keys() & speeds[before].keys():
            ratios[measurement].append(speeds[ROOT][measurement] / speeds[before][measurement])
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="another checkout of this repository")
    parser.add_argument("names", nargs="*", default=NAMES, help=f"benchmarks (default: {', '.join(NAMES)})")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each checkout (default 5)")
    parser.add_argument("--quick", action="store_true", help="short measurements")
    args = parser.parse_args()
    for name in args.names or NAMES:
        for measurement, ratios in sorted(compare(args.before.resolve(), name, args.rounds, args.quick).items()):
            low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
            print(f"{middle:.3f}  ({low:.3f} to {high:.3f})  {measurement}", flush=True)


if __name__ == "__main__":
    main()
