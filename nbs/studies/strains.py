"""Reads of strains that the shipped genomes don't hold: what choices for the demonstration are judged on."""

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from harness import shared_data

from genomic_ulmfit.demo.training import READ_LENGTH, build_corpus
from genomic_ulmfit.seq.records import read_sequences
from genomic_ulmfit.text.corpus import SAMPLE

READS = 1000  # of a genus, spread evenly over its genomes


@lru_cache(1)
def sample_corpus():
    """The demonstration's genomes, every tenth training record set aside."""
    return build_corpus(SAMPLE / "genomes.tsv", "genus", Path(tempfile.mkdtemp()))


@lru_cache(1)
def genera() -> list[str]:
    """The demonstration's classes."""
    return sorted(sample_corpus().split("train")["genus"].unique())


def other_genomes() -> pd.DataFrame:
    """Genomes of its genera that the sample has neither in training nor in test."""
    sample = pd.read_csv(SAMPLE / "genomes.tsv", sep="\t")
    accessions = {accession for cell in sample["accession"] for accession in cell.split(";")}
    genomes = pd.read_csv(shared_data("genomes.tsv"), sep="\t")
    known = np.array([bool(accessions & set(str(cell).split(";"))) for cell in genomes["accessions"]])
    return genomes[~known & ~genomes["strain"].isin(sample["strain"]) & genomes["genus"].isin(genera())]


@lru_cache(1)
def other_reads() -> tuple[np.ndarray, np.ndarray]:
    """Codes of reads of those genomes, without errors or unknown letters, and their class numbers."""
    rng = np.random.default_rng(5)
    rows, y = [], []
    for genus, strains in other_genomes().groupby("genus"):
        for file in strains["file"]:
            record = max((r.codes for r in read_sequences(shared_data(file))), key=len)
            for start in rng.integers(0, len(record) - READ_LENGTH, READS // len(strains)):
                rows.append(record[start : start + READ_LENGTH])
                y.append(genera().index(genus))
    codes = np.stack(rows).astype(np.uint8)
    known = (codes < 4).all(1)
    return codes[known], np.array(y)[known]


def balanced(scores: np.ndarray, y: np.ndarray) -> float:
    """Accuracy, the mean over the classes that occur."""
    right = scores.argmax(1) == y
    return round(float(np.mean([right[y == number].mean() for number in np.unique(y)])), 4)
