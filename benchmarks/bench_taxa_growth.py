"""Calibrating and classifying against the number of taxa; each number in a process of its own."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import measurement, peak_memory

HERE = Path(__file__).parent
GENOME = 100_000  # bases of a species
OF_GENUS = 4  # species
READS = 4_000  # to classify
ONE_VIEW = {"both_strands": False, "phases": 1}  # of a read, to be quick


def write_genomes(folder: Path, species: int) -> pd.DataFrame:
    "A genome of each species to learn from and a piece of another strain; a tenth lies between species of a genus."
    from genomic_ulmfit.seq.alphabet import DNA
    from genomic_ulmfit.text.reads import substitute

    rng = np.random.default_rng(0)
    rows = []
    for number in range(species):
        if number % OF_GENUS == 0:
            ancestor = rng.integers(0, len(DNA), GENOME).astype(np.uint8)
        codes = substitute(ancestor, 0.05, rng, DNA)
        strain = substitute(codes[: GENOME // 5], 0.01, rng, DNA)
        labels = {"species": f"G{number // OF_GENUS} s{number}", "genus": f"G{number // OF_GENUS}"}
        for split, genome in (("train", codes), ("valid", strain)):
            name = f"{split}{number}.fa"
            (folder / name).write_text(f">r\n{DNA.decode(genome)}\n")
            rows.append({"file": name, "split": split, "domain": "Bacteria", **labels})
    return pd.DataFrame(rows)


def grow(species: int) -> dict:
    "Calibrate and classify with so many species; runs in its own process."
    from genomic_ulmfit.seq.alphabet import DNA
    from genomic_ulmfit.seq.progress import shown
    from genomic_ulmfit.taxa.formats import classify_files
    from genomic_ulmfit.taxa.workflows import calibrate_taxa
    from genomic_ulmfit.text.corpus import GenomeCorpus
    from genomic_ulmfit.text.kmers import KmerTokenizer
    from genomic_ulmfit.text.loaders import ReadDataLoaders
    from genomic_ulmfit.train.learner import genome_classifier_learner

    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        table = write_genomes(folder, species)
        corpus = GenomeCorpus.build(table, folder / "corpus", labels=["species"], base=folder)
        dls = ReadDataLoaders.from_corpus(corpus, "species", KmerTokenizer(6, 6), bs=64)
        learn = genome_classifier_learner(dls, preset="nano")
        with learn.no_bar(), learn.no_logging():
            learn.fit_budget(1e-3, tokens=64 * 25 * 20, parts=1)
        network = learn.to_model()
        before = peak_memory()
        start = time.perf_counter()
        how = {"words": "large", "progress": shown, **ONE_VIEW}
        taxa = calibrate_taxa(network, corpus, table, folder / "model", **how).model
        calibrated = time.perf_counter() - start
        memory = peak_memory()
        rng = np.random.default_rng(1)
        genomes = [corpus.codes(record) for record in corpus.split("valid").index]
        places = zip(rng.integers(0, len(genomes), READS), rng.integers(0, GENOME // 5 - 150, READS))
        reads = [DNA.decode(genomes[genome][place : place + 150]) for genome, place in places]
        (folder / "reads.fa").write_text("".join(f">{number}\n{read}\n" for number, read in enumerate(reads)))
        speeds = {}
        ways = {"network and words": True} | ({"words alone": False} if taxa.words_first else {})
        for name, taxa.network in ways.items():
            took = []
            for _ in range(4):  # the first is to warm up
                start = time.perf_counter()
                sample, _ = classify_files(taxa, folder / "reads.fa", **ONE_VIEW)
                took.append(time.perf_counter() - start)
            speeds[name] = READS / statistics.median(took[1:])
    print(f"{species} species: {sample.unclassified} of {READS} reads unclassified", file=sys.stderr)
    return {"calibrate": calibrated, "before": before, "memory": memory, "speeds": speeds}


def measurements(quick: bool):
    "All measurements of this benchmark."
    found = {}
    for species in (8, 16) if quick else (100, 1000, 10_000):
        done = subprocess.run(
            [sys.executable, str(HERE / "bench_taxa_growth.py"), str(species)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
        )
        if done.returncode:
            raise RuntimeError(f"{species} species: ended with {done.returncode}")
        found[species] = json.loads(done.stdout.splitlines()[-1])
        yield from of_number(species, found[species], found[min(found)])


GOALS = {1000: {"calibrate": "at most 600", "memory": "at most 2000"}, 10_000: {"memory": "at most 8000"}}


def of_number(species: int, found: dict, smallest: dict):
    "The measurements of a number of species."
    goals = GOALS.get(species, {})
    yield measurement(f"taxa-growth, calibrate, {species}", found["calibrate"], "s", goal=goals.get("calibrate"))
    yield measurement(f"taxa-growth, peak memory, {species}", found["memory"], "MB", goal=goals.get("memory"))
    yield measurement(f"taxa-growth, memory before calibrating, {species}", found["before"], "MB")
    for name, speed in found["speeds"].items():
        base = smallest["speeds"].get(name)
        yield measurement(
            f"taxa-growth, classify by {name}, {species}",
            speed,
            "reads/s",
            "the smallest number of taxa",
            base,
            base and speed / base,
            1 / 3 if species == 10_000 else None,
        )


if __name__ == "__main__":
    print(json.dumps(grow(int(sys.argv[1]))))
