"""Measurements of a product beside a baseline, interleaved in one process, one JSON line each."""

import json
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from genomic_ulmfit.cli.doctor import processor_name
from genomic_ulmfit.seq.records import read_sequences
from genomic_ulmfit.text.corpus import SAMPLE

VERSIONS = {p: version(p) for p in ("genomic_ulmfit", "torch", "fastai", "numpy", "biopython")}


def measurement(
    name: str,
    value: float,
    unit: str,
    baseline: str = "",
    baseline_value=None,
    ratio=None,
    goal=None,
    repetitions: int = 1,
    spread=None,
) -> dict:
    "One measurement, ready for JSON. `goal`: what `ratio` (without a baseline, `value`) has to reach; a text: a limit."
    figure = lambda x: float(f"{x:.4g}") if isinstance(x, (int, float)) else x
    return {
        "name": name,
        "value": figure(value),
        "unit": unit,
        "baseline": baseline,
        "baseline_value": figure(baseline_value),
        "ratio": figure(ratio),
        "goal": goal,
        "repetitions": repetitions,
        "spread": figure(spread),
        "threads": torch.get_num_threads(),
        "versions": VERSIONS,
        "processor": processor_name(),
    }


def seconds(function) -> float:
    "Time of one call."
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(
    name: str,
    unit: str,
    product,
    baseline,
    baseline_name: str,
    work: float = 1,
    baseline_work: float | None = None,
    goal=None,
    repetitions: int = 5,
) -> dict:
    """Work per second of two functions that are called in turns; medians, and the quartile distance of the ratios.

    Both are called once beforehand. `work` is what a call of `product` gets done, in millions of `unit` without its M.
    """
    baseline_work = work if baseline_work is None else baseline_work
    product(), baseline()
    speeds = [(work / seconds(product), baseline_work / seconds(baseline)) for _ in range(repetitions)]
    own, other = (statistics.median(s) for s in zip(*speeds))
    ratios = [a / b for a, b in speeds]
    low, high = np.percentile(ratios, [25, 75])
    return measurement(name, own, unit, baseline_name, other, statistics.median(ratios), goal, repetitions, high - low)


def sample_codes(mbp: float) -> np.ndarray:
    "Base codes of the shipped genomes in one piece, repeated as often as need be."
    files = sorted(SAMPLE.glob("*.fna.gz"))
    pieces, have = [], 0
    for path in files:
        pieces += [r.codes for r in read_sequences(path)]
        have = sum(map(len, pieces))
        if have >= mbp * 1e6:
            break
    return np.resize(np.concatenate(pieces), int(mbp * 1e6))


def peak_memory() -> float:
    "MB that this process has held at most (Linux's VmHWM; ru_maxrss begins with that of the parent process)."
    return next(
        int(line.split()[1]) / 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )


def dump(measurements, json_file=None):
    "Print measurements as they come, and append them to a file."
    for m in measurements:
        line = json.dumps(m)
        print(line, flush=True)
        if json_file:
            with open(json_file, "a") as f:
                f.write(line + "\n")
