"""Time and memory against the size of the corpus; each size in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import measurement, peak_memory, sample_codes

HERE = Path(__file__).parent


def write_fasta(path: Path, mbp: int):
    "The shipped genomes, then simulated records of 5 Mbp at most."
    real, rng = sample_codes(min(mbp, 16)), np.random.default_rng(0)
    with open(path, "wb") as f:
        for i in range(0, mbp, 5):
            size = min(5, mbp - i) * 1_000_000
            codes = real[i * 1_000_000 :][:size] if i < 15 else rng.integers(0, 4, size).astype(np.uint8)
            f.write(f">record{i}\n".encode() + np.frombuffer(b"ACGTN", np.uint8)[codes].tobytes() + b"\n")


def grow(mbp: int, steps: int) -> dict:
    "Build, load and train with a corpus of that size; runs in its own process."
    from genomic_ulmfit.text.corpus import GenomeCorpus
    from genomic_ulmfit.text.loaders import GenomeLMDataLoaders
    from genomic_ulmfit.train.learner import genome_lm_learner

    with tempfile.TemporaryDirectory() as tmp:
        write_fasta(Path(tmp) / "a.fa", mbp)
        start = time.perf_counter()
        GenomeCorpus.build([Path(tmp) / "a.fa"], Path(tmp) / "c")
        build = time.perf_counter() - start
        os.sync()  # the disk is done with it
        start = time.perf_counter()
        dls = GenomeLMDataLoaders.from_corpus(
            GenomeCorpus(Path(tmp) / "c"), valid="train", bs=64, tokens=70, valid_batches=1
        )
        batches = iter(dls.train)
        next(batches)
        first, start = time.perf_counter() - start, time.perf_counter()
        n = min(len(dls.train) - 1, 300)
        for _ in range(n):
            next(batches)
        load, start = n * 64 * 70 / (time.perf_counter() - start), time.perf_counter()
        learn = genome_lm_learner(dls, "tiny")
        with learn.no_bar(), learn.no_logging():
            learn.fit_budget(1e-3, tokens=64 * 70 * steps, parts=1)
        train = 64 * 70 * steps / (time.perf_counter() - start)
    return {
        "build": build / mbp,
        "first batch": first,
        "load": load / 1e6,
        "train": train / 1e6,
        "peak memory": peak_memory(),
    }


UNITS = {"build": "s per Mbp", "first batch": "s", "load": "M tokens/s", "train": "M tokens/s", "peak memory": "MB"}


def measurements(quick: bool):
    "All measurements of this benchmark."
    found = {}
    for mbp in (1, 5) if quick else (1, 10, 100, 1000):
        done = subprocess.run(
            [sys.executable, str(HERE / "bench_growth.py"), str(mbp), "40" if quick else "250"],
            capture_output=True,
            text=True,
            cwd=HERE,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        found[mbp] = json.loads(done.stdout.splitlines()[-1])
    small, base = list(found)[:2]  # times of 1 Mbp are mostly those of starting
    for name, unit in UNITS.items():
        for mbp, f in found.items():
            yield measurement(
                f"growth, {name}, {mbp} Mbp",
                f[name],
                unit,
                f"a corpus of {base} Mbp",
                found[base][name],
                f[name] / found[base][name],
            )
    for mbp, f in found.items():
        yield measurement(
            f"growth, peak memory above that of {small} Mbp, {mbp} Mbp",
            f["peak memory"] - found[small]["peak memory"],
            "MB",
            goal="at most 300",
        )


if __name__ == "__main__":
    print(json.dumps(grow(*map(int, sys.argv[1:]))))
