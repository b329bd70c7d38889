"""Small files for the how-tos, made of the genomes in the package: nothing here is measured.

A how-to calls `enter()` and then what it needs; each function writes one file into the folder that it is called in.
"""

import gzip
import os
import tempfile

import numpy as np
import pandas as pd

from genomic_ulmfit.all import DNA, SAMPLE, decode_bases, encode_bases, read_sequences, reverse_complement
from genomic_ulmfit.text.reads import substitute

GENUS = {"Escherichia": "Escherichia_coli_K-12-MG1655", "Helicobacter": "Helicobacter_pylori_G27"}
STRAIN = {"Escherichia": "Escherichia_coli_EC590", "Helicobacter": "Helicobacter_pylori_Puno120"}
GFP = (
    "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTFSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFFKDDGNYK"
    "TRAEVKFEGDTLVNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVQLADHYQQNTPIGDGPVLLPDNHYLSTQSALSKDPNEK"
    "RDHMVLLEFVTAAGITHGMDELYK"
)  # P42212 of UniProt
CRP = encode_bases("AAATGTGATCTAGATCACATTT")  # where the protein CRP binds


def enter():
    """Go to an empty folder, so that paths are short."""
    os.chdir(tempfile.mkdtemp())


def genome(name):
    """The bases of a genome in the package, its contigs end to end, as codes."""
    return np.concatenate([record.codes for record in read_sequences(SAMPLE / f"{name}.fna.gz")])


def changed(codes, share, rng):
    """A copy with a share of the letters changed."""
    return substitute(codes[None], share, rng, DNA)[0]


def pieces(name, n, length, rng, errors=0.0, first=None):
    """Letters of so many pieces of a genome, or of its first bases, from either strand."""
    codes = genome(name)[:first]
    for start in rng.integers(0, len(codes) - length, n):
        piece = changed(codes[start : start + length], errors, rng)
        yield decode_bases(reverse_complement(piece) if rng.random() < 0.5 else piece)


def write_fastq(path, reads, length=150, seed=0, first=None):
    """A FASTQ of so many reads of each genome, mixed; half a percent of the bases are wrong."""
    rng = np.random.default_rng(seed)
    letters = [read for name, n in reads.items() for read in pieces(name, n, length, rng, 0.005, first)]
    with gzip.open(path, "wt") as file:
        for i in rng.permutation(len(letters)):
            file.write(f"@read{i}\n{letters[i]}\n+\n{'I' * length}\n")


def write_labelled(path, n=400, length=200, seed=0):
    """A table of pieces and their genus: `train` and `valid` of one strain, `test` of another."""
    rng = np.random.default_rng(seed)
    rows = []
    for genus in GENUS:
        learned = ["train", "valid"]
        rows += [(text, genus, learned[i % 5 == 0]) for i, text in enumerate(pieces(GENUS[genus], n, length, rng))]
        rows += [(text, genus, "test") for text in pieces(STRAIN[genus], n // 4, length, rng)]
    pd.DataFrame(rows, columns=["sequence", "label", "split"]).to_csv(path, sep="\t", index=False)


def write_measured(path, loci=300, length=120, seed=0):
    """A table of fragments with up to three sites of CRP, and an activity that grows with them; loci stay together."""
    rng = np.random.default_rng(seed)
    codes = genome(GENUS["Escherichia"])
    rows = []
    for locus in range(loci):
        start = rng.integers(0, len(codes) - length)
        split = ("train", "train", "train", "valid", "test")[locus % 5]
        for _ in range(3):
            fragment, sites = codes[start : start + length].copy(), rng.integers(0, 4)
            for slot in rng.choice(4, sites, replace=False):
                fragment[30 * slot : 30 * slot + len(CRP)] = changed(CRP, 0.1, rng)
            activity = 2 + sites + rng.normal(0, 0.5)
            rows.append((decode_bases(fragment), round(activity, 2), int(sites > 0), f"locus{locus}", split))
    columns = ["sequence", "activity", "bound", "locus", "split"]
    pd.DataFrame(rows, columns=columns).to_csv(path, sep="\t", index=False)


def write_reference(path, length=100_000):
    """The first bases of *Escherichia coli*, as a FASTA of one contig."""
    letters = decode_bases(genome(GENUS["Escherichia"])[:length])
    with open(path, "w") as file:
        file.write(f">contig1\n{letters}\n")
    return letters


def write_vcf(path, letters, n=40, seed=0):
    """Random changes of single letters of a contig, and a deletion that has no letters."""
    rng = np.random.default_rng(seed)
    with open(path, "w") as file:
        file.write(f"##fileformat=VCFv4.2\n##contig=<ID=contig1,length={len(letters)}>\n")
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for place in np.sort(rng.choice(len(letters), n, replace=False)):
            other = rng.choice([letter for letter in "ACGT" if letter != letters[place]])
            file.write(f"contig1\t{place + 1}\t.\t{letters[place]}\t{other}\t.\tPASS\t.\n")
        file.write(f"contig1\t{len(letters) - 9}\t.\t{letters[-10]}\t<DEL>\t.\tPASS\t.\n")
