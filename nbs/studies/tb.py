"""What the studies of tuberculosis share: isolates, their variants in places of the genome, grades, rebuilt genes.

The catalogue of the World Health Organization (second edition, 2023) lists for each drug the variants of an isolate in
the genes that matter, by names such as `rpoB_p.Ser450Leu`, and the phenotype. A variant counts where three quarters of
the reads or more have it. An isolate without a row is the reference there, or was not covered: which, is not said.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from Bio.Align import substitution_matrices
from Bio.Data.IUPACData import protein_letters_1to3
from Bio.SeqUtils import seq1
from harness import shared_data
from scipy import sparse

from genomic_ulmfit.seq.alphabet import decode_bases, encode_bases, reverse_complement
from genomic_ulmfit.seq.records import read_sequences

DRUGS = {"rifampicin": ("RIF", ["rpoB"]), "isoniazid": ("INH", ["katG", "inhA", "ahpC"])}
DRUGS["kanamycin"] = ("KAN", ["rrs", "eis", "whiB7"])
CARRIED = 0.75  # share of the reads
CONTIG = "NC_000962.3"
SHIFTS = {"rrs": 1, "eis": -1}  # what the second edition adds to the first one's numbers of bases
FABG1 = 1_673_440  # its first base; the promoter of inhA lies before it, and the first edition names variants by it


def data(name: str):
    """A file of the catalogue."""
    return shared_data("gwas/tb_who") / name


# ---------------------------------------------------------------- places


@lru_cache
def genes() -> pd.DataFrame:
    """First and last base and strand of genes, by name."""
    return pd.read_csv(data("gene_locations.csv")).set_index("gene name")


@lru_cache
def genome() -> str:
    """The reference, H37Rv."""
    file = shared_data("genomes/GCA_000195955.2.fna.gz")
    return decode_bases(next(read_sequences(file)).codes)


@lru_cache
def places() -> pd.DataFrame:
    """Position, reference and alternative of variants, by name: of several ways to write one the shortest, first."""
    columns = {1: "pos", 3: "ref", 4: "alt", 7: "info"}
    file = data("Genomic_coordinates_7May2024.vcf.gz")
    table = pd.read_csv(file, sep="\t", comment="#", header=None, usecols=list(columns)).rename(columns=columns)
    table["name"] = table.pop("info").str.removeprefix("graded_variant=")
    table["letters"] = table["ref"].str.len() + table["alt"].str.len()
    table = table.sort_values(["letters", "pos"], kind="stable").drop_duplicates("name")
    return table.drop(columns="letters").set_index("name")


# ---------------------------------------------------------------- isolates


@lru_cache
def rows_of(drug: str) -> pd.DataFrame:
    """Isolate, variant and predicted effect, a row each."""
    table = pd.read_csv(data(f"{drug.capitalize()}_genotypes.csv.gz"))
    table = table[table["max(af)"] >= CARRIED]
    names = table["resolved_symbol"] + "_" + table["variant_category"]
    rows = pd.DataFrame({"isolate": table["sample_id"], "name": names, "effect": table["predicted_effect"]})
    return rows.drop_duplicates(["isolate", "name"], ignore_index=True)


@lru_cache
def phenotypes(drug: str) -> pd.DataFrame:
    """Isolate and category, as given; of the category WHO there is one row an isolate."""
    return pd.read_csv(data(f"{drug.capitalize()}_phenotypes.csv.gz"))


def resistant(drug: str) -> pd.Series:
    """Whether isolates are resistant, by isolate: the category WHO."""
    table = phenotypes(drug)
    table = table[table["phenotypic_category"] == "WHO"]
    return (table.set_index("sample_id")["phenotype"] == "R").sort_index()


class Cohort(NamedTuple):
    """Isolates with the variants that they carry."""

    resistant: np.ndarray  # (isolates,) bool
    carried: sparse.csr_matrix  # (isolates, variants) of 0 and 1
    names: np.ndarray  # (variants,)
    effects: np.ndarray  # (variants,) predicted
    unplaced: int  # carried variants without a place in the genome, left out


def cohort(drug: str, genes_of: tuple = ("rifampicin", "isoniazid")) -> Cohort:
    """Isolates with a phenotype for the drug that are in the files of all the drugs whose genes are asked for."""
    phenotype = resistant(drug)
    known = set.intersection(*(set(phenotypes(other)["sample_id"]) for other in genes_of))
    phenotype = phenotype[phenotype.index.isin(known)]
    rows = pd.concat([rows_of(other) for other in genes_of]).drop_duplicates(["isolate", "name"])
    rows = rows[rows["isolate"].isin(phenotype.index)]
    placed = rows["name"].isin(places().index)
    rows, unplaced = rows[placed], int((~placed).sum())
    number, names = pd.factorize(rows["name"], sort=True)
    where = phenotype.index.get_indexer(rows["isolate"]), number
    carried = sparse.csr_matrix((np.ones(len(rows)), where), shape=(len(phenotype), len(names)))
    effects = rows.drop_duplicates("name").set_index("name")["effect"][names].to_numpy()
    return Cohort(phenotype.to_numpy(), carried, np.asarray(names), effects, unplaced)


# ---------------------------------------------------------------- grades and scores


@lru_cache
def graded(drug: str) -> set[str]:
    """Names that the first edition (2021) grades as resistance: changes of residues and of single bases.

    Insertions, deletions and rules over stretches are left out.
    """
    table = pd.read_csv(data("who2021_catalogue_garc1.csv.gz"))
    table = table[(table["DRUG"] == DRUGS[drug][0]) & (table["PREDICTION"] == "R")]
    part = table["MUTATION"].str.extract(r"^(\w+)@([A-Za-z!])(-?\d+)([A-Za-z!?])$").dropna()
    return {name for row in part.itertuples(index=False) for name in _names_of(*row)}


def _names_of(gene: str, old: str, at: str, new: str) -> list[str]:
    """What the second edition calls a change of the first: amino acids in three letters, inhA's promoter by inhA."""
    if old.isupper():
        start, new = f"{gene}_p.{_three(old)}{at}", _three(new)
        known = places().index
        return [f"{start}{new}"] if new else [name for name in known[known.str.startswith(start)] if name[-1] != "="]
    number = int(at) + SHIFTS.get(gene, 0)
    if gene == "fabG1":
        gene, number = "inhA", number + FABG1 - genes().loc["inhA", "start"]
    return [f"{gene}_{'n' if gene == 'rrs' else 'c'}.{number}{old.upper()}>{new.upper()}"]


def _three(letter: str) -> str:
    """An amino acid in three letters; `*` for a stop, nothing for any."""
    three = {one: name.capitalize() for one, name in protein_letters_1to3.items()}
    return {"!": "*", "?": ""}.get(letter) if letter in "!?" else three[letter]


def blosum(name: str, effect: str) -> float:
    """BLOSUM62 of a change of a residue, 4 of a silent one, -8 of what breaks the protein; NaN outside proteins."""
    if effect == "synonymous_variant":
        return 4.0
    if effect in ("frameshift", "stop_gained", "start_lost", "feature_ablation"):
        return -8.0
    old, new = name.partition("_p.")[2][:3], name[-3:]
    if effect != "missense_variant" or not (old.isalpha() and new.isalpha()):
        return np.nan
    return float(_blosum62()[seq1(old)][seq1(new)])


@lru_cache
def _blosum62():
    return substitution_matrices.load("BLOSUM62")


# ---------------------------------------------------------------- rebuilt sequences


def rebuilt(names, first: int, last: int) -> str:
    """The reference from base `first` to `last`, counted from 1, with variants, but no overlapping ones."""
    table = places().loc[[name for name in names if name in places().index]].sort_values("pos")
    table = table[(table["pos"] >= first) & (table["pos"] + table["ref"].str.len() - 1 <= last)]
    pieces, at = [], first
    for row in table.itertuples():
        if row.pos < at:
            continue
        pieces += [genome()[at - 1 : row.pos - 1], row.alt]
        at = row.pos + len(row.ref)
    return "".join([*pieces, genome()[at - 1 : last]])


# ---------------------------------------------------------------- genotypes


def genotypes(drug: str) -> pd.DataFrame:
    """Distinct sets of variants in the drug's genes: their names, how many isolates have them, how many resistant."""
    phenotype = resistant(drug)
    rows = rows_of(drug)
    carried = rows[rows["isolate"].isin(phenotype.index)].sort_values("name").groupby("isolate")["name"].agg(tuple)
    table = pd.DataFrame({"names": carried.reindex(phenotype.index), "resistant": phenotype})
    table["names"] = [names if isinstance(names, tuple) else () for names in table["names"]]
    found = table.groupby("names", sort=True)["resistant"].agg(["size", "sum"]).reset_index()
    return found.rename(columns={"size": "isolates", "sum": "resistant"})


def in_folds(isolates, folds: int = 5, seed: int = 0) -> np.ndarray:
    """A fold for each row, in random order into the one with the fewest isolates, so that folds are of a size."""
    held, fold = np.zeros(folds), np.zeros(len(isolates), int)
    for row in np.random.default_rng(seed).permutation(len(isolates)):
        fold[row] = held.argmin()
        held[fold[row]] += isolates[row]
    return fold


def copies(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Rows to learn from: each as often as it has isolates, at most so often, with labels in the ratio of those."""
    total = table["isolates"].clip(upper=most)
    number = (total * table["resistant"] / table["isolates"]).round().astype(int)
    parts = [table.loc[table.index.repeat(n)].assign(label=label) for n, label in ((number, 1), (total - number, 0))]
    return pd.concat(parts, ignore_index=True)


def threshold_for(isolates, resistant, answers, specificity: float) -> float:
    """The lowest threshold whose calls have at least such a specificity; a call is an answer of at least that."""
    order = np.argsort(-answers, kind="stable")
    wrong = np.cumsum((isolates - resistant)[order]) / (isolates - resistant).sum()
    last = np.append(np.diff(answers[order]) != 0, True)  # calls with one answer are made together
    allowed = np.flatnonzero(last & (wrong <= 1 - specificity))
    return answers[order][allowed[-1]] if len(allowed) else np.inf


def sensitivity_specificity(isolates, resistant, called) -> tuple[float, float]:
    """Of isolates, where those of a genotype are all called alike."""
    susceptible = isolates - resistant
    return (resistant * called).sum() / resistant.sum(), (susceptible * ~called).sum() / susceptible.sum()


BREAKS = ("frameshift", "stop_gained", "start_lost", "feature_ablation")  # effects that leave no protein


def rule(drug: str, names) -> bool:
    """Whether the simplest rule calls a genotype resistant: RpoB changed in 426 to 452; three changes."""
    if drug == "isoniazid":
        return bool({"katG_p.Ser315Thr", "inhA_c.-777C>T", "inhA_c.-770T>C"} & {*names})
    numbers = [re.match(r"rpoB_p\.[A-Za-z]+?(\d+)", name) for name in names]
    return any(426 <= int(number.group(1)) <= 452 for number in numbers if number)


def features(drug: str, names, codons: bool) -> dict:
    """A 1 for each variant; with codons, for what they change too: the residue, ten residues around, the protein."""
    found = dict.fromkeys(names, 1)
    for name in names if codons else ():
        effect, gene = effects(drug)[name], name.split("_")[0]
        residue = re.match(r"\w+?_p\.[A-Za-z]+?(\d+)", name)
        if effect in BREAKS:
            found[f"{gene} broken"] = 1
        elif residue and effect != "synonymous_variant":
            number = int(residue.group(1))
            found |= {f"{gene} changed": 1, f"{gene} {number}": 1, f"{gene} around {number // 10}0": 1}
    return found


@lru_cache
def effects(drug: str) -> dict:
    """The predicted effect of each variant, by name."""
    return dict(zip(rows_of(drug)["name"], rows_of(drug)["effect"]))


def codons(gene_start: int, first: int, last: int, strand: int = 1) -> tuple[int, int, int]:
    """First and last base and strand of codons of a gene, whose first base it starts with; counted from 1."""
    low, high = 3 * (first - 1), 3 * last - 1
    return (gene_start + low, gene_start + high, 1) if strand > 0 else (gene_start - high, gene_start - low, -1)


RPOB, KATG = 759_807, 2_156_111  # where they start; katG is on the other strand
WINDOWS = {  # what a network reads: places where resistance is known to arise
    "rifampicin": [codons(RPOB, 166, 174), codons(RPOB, 420, 456), codons(RPOB, 487, 495)],
    "isoniazid": [(1_673_415, 1_673_445, 1), (1_674_038, 1_674_058, 1), codons(KATG, 303, 327, -1)],  # inhA's promoters
}


def sequence(drug: str, names) -> str:
    """The windows of a genotype one after the other, each in the direction of its gene; a deleted gene is absent."""
    pieces = []
    for first, last, strand in WINDOWS[drug]:
        if strand < 0 and "katG_deletion" in names:
            continue
        piece = rebuilt(names, first, last)
        pieces.append(piece if strand > 0 else decode_bases(reverse_complement(encode_bases(piece))))
    return "".join(pieces)
