"""Genomes, reads and a database of Kraken2 that the studies of taxa share."""

import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from harness import ROOT, shared_data, with_ncbi_taxids

from genomic_ulmfit.seq.alphabet import DNA, decode_bases
from genomic_ulmfit.taxa.calls import rank_figures
from genomic_ulmfit.text.corpus import GenomeCorpus
from genomic_ulmfit.text.reads import substitute

RUNS = ROOT / "runs/taxa"  # not in the repository
KRAKEN2_DATABASE = RUNS / "kraken2"
SPLITS = ("test", "test_novel_species")
GENUS_READS = {  # length, share of the bases that are changed, number
    "100": (100, 0.0, 3000),
    "150": (150, 0.0, 3000),
    "150, 1 % errors": (150, 0.01, 3000),
    "1000": (1000, 0.0, 1000),
    "10000": (10_000, 0.0, 300),
}


def genomes_table() -> pd.DataFrame:
    """A row per genome; *Escherichia* and *Shigella* are one genus, as genomes say."""
    genomes = pd.read_csv(shared_data("genomes.tsv"), sep="\t", dtype=str, keep_default_na=False)
    genomes["genus"] = genomes["genus"].replace(["Escherichia", "Shigella"], "Escherichia/Shigella")
    return with_ncbi_taxids(genomes, shared_data("taxonomy/lineage_taxids.tsv"))


def taxa_corpus() -> GenomeCorpus:
    """All genomes, built once."""
    folder = RUNS / "corpus"
    if not folder.exists():
        base = shared_data("genomes.tsv").parent
        GenomeCorpus.build(genomes_table(), folder, labels=["genus", "species"], base=base)
    return GenomeCorpus(folder)


def kraken2_database(corpus: GenomeCorpus, tree) -> Path:
    """A database of Kraken2 of the training genomes on a model's tree, without masking; built once."""
    if (KRAKEN2_DATABASE / "hash.k2d").exists():
        return KRAKEN2_DATABASE
    (KRAKEN2_DATABASE / "taxonomy").mkdir(parents=True, exist_ok=True)
    nodes = tree.nodes
    taxid = nodes["taxid"]
    parent = np.where(nodes["parent"] >= 0, taxid.to_numpy()[nodes["parent"].clip(lower=0)], 1)
    lines = [f"{t}\t|\t{p}\t|\t{r}\t|\t-\t|\n" for t, p, r in zip(taxid, parent, nodes["rank"])]
    (KRAKEN2_DATABASE / "taxonomy/nodes.dmp").write_text("".join(lines))
    lines = [f"{t}\t|\t{n}\t|\t-\t|\tscientific name\t|\n" for t, n in zip(taxid, nodes["name"])]
    (KRAKEN2_DATABASE / "taxonomy/names.dmp").write_text("".join(lines))
    train = corpus.split("train")
    library = RUNS / "library.fa"
    with open(library, "w") as f:
        for i in train.index:
            number = taxid[tree.find(train.loc[i, "species"])]
            f.write(f">kraken:taxid|{number}|r{i}\n{decode_bases(corpus.codes(i))}\n")
    for more in (["--add-to-library", library, "--no-masking"], ["--build"]):
        command = ["kraken2-build", *map(str, more), "--db", str(KRAKEN2_DATABASE)]
        subprocess.run(command, check=True, capture_output=True)
    library.unlink()
    return KRAKEN2_DATABASE


def genus_reads(corpus: GenomeCorpus, split: str, length: int, n: int, errors: float = 0.0):
    """Reads of a split, each genus equally often: base codes (n, length), species (n,), genus (n,)."""
    rng, rows = np.random.default_rng([0, length, n]), corpus.split(split)
    rows = rows[rows["length"] >= length]
    taxa, out, names = sorted(rows["genus"].unique()), np.empty((n, length), np.uint8), []
    for i in range(n):
        mine = rows[rows["genus"] == taxa[i % len(taxa)]]
        record = mine.iloc[rng.choice(len(mine), p=mine["length"] / mine["length"].sum())]
        at = record["start"] + rng.integers(record["length"] - length + 1)
        out[i] = corpus.bases[at : at + length]
        names.append((record["species"], record["genus"]))
    out = substitute(out, errors, rng, DNA) if errors else out
    return out, *(np.array(x) for x in zip(*names))


@lru_cache(None)
def reads_with_truth(corpus: GenomeCorpus, tree, split: str, kind: str):
    """Reads of a kind; the row of the tree of each one's species, or else of its genus; the row of its genus."""
    length, errors, n = GENUS_READS[kind]
    x, kinds, genera = genus_reads(corpus, split, length, n, errors)
    known = dict(zip(tree.classes, tree.rows))
    rows = np.array([known.get(s, tree.find(g)) for s, g in zip(kinds, genera)])
    return [(read,) for read in x], rows, np.array([tree.find(g) for g in genera])


def shares_at_ranks(tree, assigned: np.ndarray, truth: np.ndarray) -> dict:
    """Shares of reads given to a right and to a wrong taxon at two ranks, means over taxa."""
    ranks = rank_figures(tree, assigned, truth).set_index("rank")
    shown = [(rank, which) for rank in ("genus", "species") for which in ("right", "wrong")]
    return {f"{rank} {which}": round(float(ranks.loc[rank, which]), 4) for rank, which in shown}


def mean_over_genera(marked: Sequence, of: np.ndarray) -> float:
    """The share that is marked, each genus counting the same."""
    return round(float(pd.Series(marked).groupby(of).mean().mean()), 4)
