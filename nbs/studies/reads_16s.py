"""Reads of 16S genes, simulated: what the studies of them share."""

import numpy as np
import pandas as pd
from Bio.Data.IUPACData import ambiguous_dna_values
from Bio.Seq import reverse_complement as reverse_complement_letters
from harness import fold, shared_data

from genomic_ulmfit.seq.alphabet import DNA, decode_bases, encode_bases
from genomic_ulmfit.seq.records import read_sequences
from genomic_ulmfit.text.reads import substitute

RANKS = ["class", "order", "family", "genus"]
taxonomy = pd.read_csv(shared_data("16s/taxonomy.txt"), sep=r"\s+", names=["id", *RANKS])
taxonomy = taxonomy.assign(id=taxonomy["id"].str.lstrip(">")).set_index("id")
genes = pd.DataFrame(
    [(r.id, decode_bases(r.codes)) for r in read_sequences(shared_data("16s/1000seq.fasta"))],
    columns=["id", "sequence"],
).join(taxonomy, on="id")
genes["label"] = genes["genus"]
CLASSES = sorted(genes["genus"].unique())
lineage = genes.drop_duplicates("genus").set_index("genus").loc[CLASSES]
assert len(genes) == 1000 and len(CLASSES) == 100 and (genes["genus"].value_counts() == 10).all()

PRIMERS = "CCTACGGGAGGCAGCAG", "CCGTCAATTCMTTTRAGT"


def place(gene, primer):
    """Where a primer fits a gene best, and with how many mismatches."""
    fits = np.array([[c in ambiguous_dna_values.get(p, p) for c in "ACGTN"] for p in primer])
    codes = np.minimum(encode_bases(gene), 4)
    wrong = sum(~fits[i][codes[i : len(codes) - len(primer) + 1 + i]] for i in range(len(primer)))
    return wrong.argmin(), wrong.min()


def region(gene):
    """The amplicon: from the first primer to the second, both included; and the worse primer's mismatches."""
    (a, bad), (b, worse) = place(gene, PRIMERS[0]), place(gene, reverse_complement_letters(PRIMERS[1]))
    return gene[a : b + len(PRIMERS[1])], max(bad, worse)


amplicons, mismatches = zip(*map(region, genes["sequence"]))


def simulate(kind, length, split, seed):
    """28 reads of each gene with the columns sequence, clean (without errors), gene, label and split."""
    rng = np.random.default_rng([seed, length, kind == "amplicon"])
    rows = []
    for gene, whole, cut, label in zip(genes["id"], genes["sequence"], amplicons, genes["label"]):
        places = rng.integers(0, len(whole) - length + 1, 28) if kind == "shotgun" else np.zeros(28, int)
        for a, backward in zip(places, rng.random(28) < 0.5):
            clean = (
                whole[a : a + length]
                if kind == "shotgun"
                else (reverse_complement_letters(cut) if backward else cut)[:length]
            )
            if kind == "shotgun" and backward:
                clean = reverse_complement_letters(clean)
            codes = encode_bases(clean)
            rows.append((decode_bases(substitute(codes[None], 0.005, rng, DNA)[0]), clean, gene, label))
    reads = pd.DataFrame(rows, columns=["sequence", "clean", "gene", "label"])
    by_gene = fold(genes, seed).set_axis(genes["id"])
    reads["split"] = fold(reads, seed) if split == "reads" else reads["gene"].map(by_gene)
    assert split == "reads" or not set(reads[reads["split"] == "test"]["gene"]) & set(
        reads[reads["split"] == "train"]["gene"]
    )
    return reads
