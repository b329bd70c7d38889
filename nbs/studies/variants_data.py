"""Single-letter changes whose effect is more or less known, and plain scores of them.

Each table has the columns chrom, pos (from 1 on), ref, alt and label: 1 for what is expected to be harmful, graded as
resistant, or rare. `codes` of contigs by name go with it.
"""

import gzip
import re

import numpy as np
import pandas as pd
import pyrodigal
from Bio.Align import substitution_matrices
from Bio.SeqUtils import seq1
from harness import shared_data
from translated import amino_acids_of_codons

from genomic_ulmfit.report.baselines import MarkovChain
from genomic_ulmfit.seq.alphabet import DNA
from genomic_ulmfit.seq.numbers import kmer_numbers
from genomic_ulmfit.seq.records import read_sequences
from genomic_ulmfit.tasks.variant_files import open_variants

CODON = amino_acids_of_codons()


def contigs_of(path) -> dict[str, np.ndarray]:
    """Codes of the records of a genome, by name."""
    return {record.id: record.codes for record in read_sequences(path)}


# ---------------------------------------------------------------- synonymous and nonsense


def genes_of(contigs: dict) -> list[tuple]:
    """Whole genes of 300 bases and more that pyrodigal finds: contig, start (from 0), end, whether on this strand."""
    finder = pyrodigal.GeneFinder()
    letters = {name: DNA.decode(codes) for name, codes in contigs.items()}
    finder.train(*letters.values())
    found = []
    for name, text in letters.items():
        genes = finder.find_genes(text)
        whole = [gene for gene in genes if not (gene.partial_begin or gene.partial_end)]
        found += [(name, g.begin - 1, g.end, g.strand == 1) for g in whole if g.end - g.begin + 1 >= 300]
    return found


def changes_of_gene(codes: np.ndarray) -> list[tuple]:
    """All single-letter changes between a tenth and four fifths of a gene: place, new letter, amino acids."""
    number = (codes[: len(codes) // 3 * 3].reshape(-1, 3) @ (16, 4, 1)).astype(int)
    found = []
    for codon in range(len(number) // 10, len(number) * 4 // 5):
        for place, weight in enumerate((16, 4, 1)):
            old = codes[3 * codon + place]
            for new in set(range(4)) - {int(old)}:
                change = number[codon] + (new - int(old)) * weight
                found.append((3 * codon + place, new, CODON[number[codon]], CODON[change]))
    return found


def coding_changes(path, genes: int, seed: int = 0) -> tuple[pd.DataFrame, dict]:
    """A nonsense (label 1) and a synonymous change (0) of each of so many genes of a genome, drawn; and its codes."""
    contigs = contigs_of(path)
    rng = np.random.default_rng(seed)
    every = genes_of(contigs)
    rows = []
    for number in rng.permutation(len(every)):
        name, start, end, forward = every[number]
        strand = contigs[name][start:end] if forward else DNA.reverse_complement(contigs[name][start:end])
        if strand.max() > 3:
            continue
        changes = changes_of_gene(strand)
        kinds = [[c for c in changes if c[3] == "*"], [c for c in changes if c[2] == c[3]]]
        if not all(kinds):
            continue
        for label, kind in zip((1, 0), kinds):
            place, new, *_ = kind[rng.integers(len(kind))]
            there = start + place if forward else end - 1 - place
            alt = new if forward else 3 - new
            rows.append((name, there + 1, "ACGT"[contigs[name][there]], "ACGT"[alt], label))
        if len(rows) == 2 * genes:
            break
    return pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", "label"]), contigs


# ---------------------------------------------------------------- graded mutations, rare variants


def graded_changes() -> tuple[pd.DataFrame, dict]:
    """Amino-acid changes of the WHO's first catalogue of *M. tuberculosis*: resistant (1) or not (0), single letters.

    Of several single-letter changes that make one amino-acid change, all are listed, with its name as `group`.
    """
    catalogue = pd.read_csv(shared_data("gwas/tb_who/who2021_catalogue_garc1.csv.gz"))
    one_acid = catalogue["MUTATION"].str.fullmatch(r"\w+@[A-Z]\d+[A-Z]")
    known = catalogue[one_acid & catalogue["PREDICTION"].isin(["R", "S"])]
    grade = known.groupby("MUTATION")["PREDICTION"].agg(lambda grades: int("R" in set(grades)))
    rows = []
    with gzip.open(shared_data("gwas/tb_who/Genomic_coordinates_7May2024.vcf.gz"), "rt") as file:
        for line in file:
            found = re.search(r"graded_variant=(\w+)_p\.([A-Za-z]{3})(\d+)([A-Za-z]{3})$", line.strip())
            if not found:
                continue
            gene, before, place, after = found.groups()
            name = f"{gene}@{seq1(before)}{place}{seq1(after)}"
            chrom, pos, _, ref, alt = line.split("\t")[:5]
            if name in grade and len(ref) == len(alt) == 1:
                blosum = substitution_matrices.load("BLOSUM62")[seq1(before)][seq1(after)]
                rows.append((chrom, int(pos), ref, alt, grade[name], name, blosum))
    columns = ["chrom", "pos", "ref", "alt", "label", "group", "blosum"]
    contigs = contigs_of(shared_data("genomes/GCA_000195955.2.fna.gz"))
    table = pd.DataFrame(rows, columns=columns).drop_duplicates(columns[:4])
    return table.assign(chrom=next(iter(contigs))), contigs


def rare_changes(rare: float = 0.01, common: float = 0.05) -> tuple[pd.DataFrame, dict]:
    """Single-letter variants of 1,837 pneumococci: rare (1), below one share of isolates, or common (0)."""
    folder = shared_data("gwas/pneumo_vcf")
    rows = []
    with open_variants(folder / "variants_smaller.vcf.gz") as file:
        for record in file:
            calls = np.array([call["GT"][0] if call["GT"][0] is not None else -1 for call in record.samples.values()])
            for number, alt in enumerate(record.alts or (), 1):
                share = (calls == number).sum() / max((calls >= 0).sum(), 1)
                if len(record.ref) == len(alt) == 1 and alt in "ACGT" and share > 0:
                    rows.append((record.chrom, record.pos, record.ref, alt, share))
    table = pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", "share"])
    table = table[(table["share"] < rare) | (table["share"] >= common)]
    contigs = contigs_of(folder / "FM211187.fa.gz")
    table = table.assign(label=(table["share"] < rare).astype(int), chrom=next(iter(contigs)))
    return table.reset_index(drop=True), contigs


# ---------------------------------------------------------------- plain scores


def around(table: pd.DataFrame, contigs: dict, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The letters around each change, before and after it, (rows, 2 reach + 1)."""
    padded = {name: np.pad(codes, reach, constant_values=DNA.unknown) for name, codes in contigs.items()}
    before = np.stack([padded[row.chrom][row.pos - 1 : row.pos + 2 * reach] for row in table.itertuples()])
    after = before.copy()
    after[:, reach] = ["ACGT".index(alt) for alt in table["alt"]]
    return before, after


def gc_change(table: pd.DataFrame, contigs: dict) -> np.ndarray:
    """1 where a weak letter becomes a strong one, -1 the other way."""
    strong = lambda letters: letters.isin(["G", "C"]).astype(float)
    return (strong(table["alt"]) - strong(table["ref"])).to_numpy()


def cg_change(table: pd.DataFrame, contigs: dict) -> np.ndarray:
    """Words CG that come, minus those that go."""
    count = lambda letters: ((letters[:, :-1] == 1) & (letters[:, 1:] == 2)).sum(1)
    before, after = around(table, contigs, 1)
    return (count(after) - count(before)).astype(float)


def markov_ratio(chain: MarkovChain, table: pd.DataFrame, contigs: dict) -> np.ndarray:
    """The log-likelihood ratio of a Markov chain, nats, the mean of both strands."""
    pairs = around(table, contigs, chain.order)
    both = [pairs, [DNA.reverse_complement(letters) for letters in pairs]]
    bits = lambda letters: chain.bits[kmer_numbers(letters, chain.order + 1)].sum(1)
    return np.mean([np.log(2) * (bits(before) - bits(after)) for before, after in both], 0)
