"""Reads of 150 bases given to taxa by the model of the package: words first, beside the network for all."""

import tempfile
from pathlib import Path

import numpy as np
from common import compare, sample_codes

from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.seq.numbers import distinct_sorted
from genomic_ulmfit.seq.records import SequenceRecord
from genomic_ulmfit.taxa.formats import classify_files
from genomic_ulmfit.taxa.model import TaxonModel
from genomic_ulmfit.taxa.pairs import read_pairs
from genomic_ulmfit.taxa.sketches import mixed

LENGTH = 150  # bases of a read
ERRORS = 0.01  # substitutions per base


def write_reads(file: Path, n: int):
    "Reads of the shipped genomes, a tenth of them of random bases."
    rng = np.random.default_rng(0)
    codes = sample_codes(4)
    start = rng.integers(0, len(codes) - LENGTH, n)
    reads = codes[start[:, None] + np.arange(LENGTH)]
    changed = rng.random(reads.shape) < np.where(np.arange(n) % 10 == 0, 1, ERRORS)[:, None]
    reads = np.where(changed, rng.integers(0, 4, reads.shape), reads)
    file.write_text("".join(f">{number}\n{decode_bases(codes)}\n" for number, codes in enumerate(reads)))


def measurements(quick: bool):
    "All measurements of this benchmark."
    n = 500 if quick else 10_000
    repetitions = 3 if quick else 5
    model = TaxonModel.load("bacteria-taxa", "cpu")
    every = TaxonModel(model.model, model.tree, model.words, model.calibration, model.threshold)  # in all its views
    with tempfile.TemporaryDirectory() as tmp:
        file = Path(tmp) / "reads.fa"
        write_reads(file, n)
        default = lambda: classify_files(model, file)
        all_views = lambda: classify_files(every, file)
        one_view = {"both_strands": False, "phases": 1}
        fast, all_once = (lambda way=way: classify_files(way, file, **one_view) for way in (model, every))
        work = n / 1e6
        unit = "M reads/s"
        name = "the network for all reads"
        yield compare("classify", unit, default, all_views, f"{name}, 12 views", work, goal=6, repetitions=repetitions)
        yield compare(
            "classify --fast", unit, fast, all_once, f"{name}, one view", work, goal=2, repetitions=repetitions
        )
        records: list[tuple[SequenceRecord]] = list(read_pairs(file))
        reads = [(record.codes,) for (record,) in records]
        words = lambda: model.exact_evidence(reads)
        yield compare(
            "classify, words alone, without reading the file",
            unit,
            words,
            lambda: model.with_network(model.exact_evidence(reads), reads),
            "with the network for all reads, two views",
            work,
            repetitions=repetitions,
        )
    hashes = mixed(np.arange(10**5 if quick else 4 * 10**6))  # as many as a part of a large table of words has
    unique, work = (lambda: np.unique(hashes)), len(hashes) / 1e6
    own = lambda: distinct_sorted(hashes)
    yield compare(
        "classify, different hashes of words", "M hashes/s", own, unique, "np.unique", work, repetitions=repetitions
    )
