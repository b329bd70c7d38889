"""Proteins whose function was measured: a function a data set, a row a protein; tables as those of `targets_data`."""

import gzip

import numpy as np
import pandas as pd
from Bio.SeqIO.FastaIO import SimpleFastaParser
from harness import shared_data
from targets_data import described, held_out, joined, with_valid

from genomic_ulmfit.seq.alphabet import PROTEIN
from genomic_ulmfit.tasks.few_features import change_columns
from genomic_ulmfit.tasks.mutants import mutant_sequences, read_wild_type

# TRAC (Hamid & Friedberg 2020), in the order of the numbers in the file
ANTIBIOTICS = (
    "beta-lactam",
    "aminoglycoside",
    "tetracycline",
    "glycopeptide",
    "phenicol",
    "folate-synthesis inhibitor",
    "rifamycin",
    "trimethoprim",
    "sulfonamide",
    "macrolide",
    "fosfomycin",
    "quinolone",
    "streptogramin",
    "MLS",
    "multidrug",
    "bacitracin",
)


def coala70() -> pd.DataFrame:
    """Resistance proteins, no two of which are 70 % identical across the published split, and their `label`.

    Fold 1 of COALA70. A tenth of the training proteins is the validation part. A row is a group: the file has no
    clusters, and the published split has put relatives on one side.
    """
    table = pd.read_csv(shared_data("amr/coala70/coala70_fold1.csv.gz"))
    table = table.rename(columns={"Sequence": "sequence", "set": "split"})
    table["label"] = [ANTIBIOTICS[number] for number in table["antibiotic"]]
    table["group"] = np.arange(len(table))
    for name in ANTIBIOTICS:
        table[name] = (table["label"] == name) * 1.0
    return described(with_valid(table.drop(columns="antibiotic")), dict.fromkeys(ANTIBIOTICS, "binary"), PROTEIN)


PEPTIDES = "AAP ABP ACP ACVP ADP AEP AFP AHIVP AHP AIP AMRSAP APP ATP AVP BBP BIP CPP DPPIP QSP SBP THP".split()


def peptides() -> pd.DataFrame:
    """Therapeutic peptides of 4 to 50 residues and what they do, a column of 0 and 1 a function.

    Yan et al. 2022. The published split; a tenth of the training peptides is the validation part. Peptides with a
    character that is no residue are dropped.
    """
    rows = []
    for split in ("train", "test"):
        with gzip.open(shared_data(f"protein/peptides/{split}.fa.gz"), "rt") as file:
            rows += [(letters.upper(), split, *map(float, title)) for title, letters in SimpleFastaParser(file)]
    table = pd.DataFrame(rows, columns=["sequence", "split", *PEPTIDES])
    wrong = ~table["sequence"].str.fullmatch("[A-Z]+")
    table = table[~wrong].reset_index(drop=True)
    table["group"] = joined(table["sequence"])
    return described(with_valid(table), dict.fromkeys(PEPTIDES, "binary"), PROTEIN, no_residues=int(wrong.sum()))


def her2() -> pd.DataFrame:
    """Ten residues of the CDRH3 of trastuzumab, and whether the variant binds HER2.

    Mason et al. 2021, the split of Protein-AR. No sequence is in two parts; 5 % of the test part have a training
    sequence one residue away.
    """
    names = {"train": "train", "val": "valid", "test": "test"}
    parts = [pd.read_csv(shared_data(f"protein/her2_cdrh3/{name}.csv.gz")).assign(split=s) for name, s in names.items()]
    table = pd.concat(parts, ignore_index=True).rename(columns={"seq": "sequence", "label": "binds"})
    table = table.assign(binds=table["binds"] * 1.0, group=joined(table["sequence"]))
    return described(table[["sequence", "binds", "split", "group"]], {"binds": "binary"}, PROTEIN)


def that_vary(sequences: pd.Series, around: int = 0) -> pd.Series:
    """The residues of sequences of one length at places that vary, and so many on both sides of each."""
    varied = np.flatnonzero(np.ptp(np.stack([PROTEIN.encode(each) for each in sequences]), axis=0))
    places = np.unique(varied[:, None] + np.arange(-around, around + 1))
    return sequences.map(lambda letters: "".join(letters[place] for place in places))


def alphaseq(hard: bool = False) -> pd.DataFrame:
    """The three loops of heavy chains with one to three substitutions and their `affinity` (log10 Kd in nM).

    Engelhart et al. 2022; lower binds better. The chains vary in 35 places, and those are kept. At random 80 : 10 : 10,
    or, where `hard`, learned from one and two substitutions and tested on three.
    """
    table = pd.read_csv(shared_data("protein/alphaseq/VH.csv.gz")).rename(columns={"heavy": "sequence"})
    table["group"] = joined(table["sequence"])
    table["sequence"] = that_vary(table["sequence"])
    changes = change_columns(table["sequence"], PROTEIN)(table["sequence"])[:, 0]
    tested = changes > 2 if hard else held_out(table["group"], 0.1, 0)
    table["split"] = np.where(tested, "test", "train")
    table = with_valid(table[["sequence", "affinity", "split", "group"]], 0.1 if hard else 1 / 9)
    return described(table, {"affinity": "real"}, PROTEIN)


def gb1(split: str) -> pd.DataFrame:
    """Variants of GB1 at four places and their `fitness`; a split of FLIP, with its validation part.

    Wu et al. 2016, Dallago et al. 2021. `two_vs_rest` is learned from one and two substitutions, `low_vs_high` from
    variants that are worse than the wild type. The sequences are cut to 20 residues around the places that vary.
    """
    table = pd.read_csv(shared_data(f"protein/gb1/{split}.csv.gz")).rename(columns={"target": "fitness"})
    table["sequence"] = that_vary(table["sequence"], around=20)
    table["split"] = table["set"].mask(table["validation"].eq(True), "valid")
    table["group"] = joined(table["sequence"])
    return described(table[["sequence", "fitness", "split", "group"]], {"fitness": "real"}, PROTEIN)


def avgfp() -> pd.DataFrame:
    """Variants of green fluorescent protein with 1 to 15 substitutions, and their `brightness` (log).

    Sarkisyan et al. 2016, the main split of Gelman et al. 2021 (train, tune, stest). `*` is a stop.
    """
    table = pd.read_csv(shared_data("protein/avgfp/avgfp.tsv.gz"), sep="\t")
    wild_type = read_wild_type(shared_data("protein/avgfp/wild_type.fa"))
    table["sequence"] = mutant_sequences(wild_type, table, "variant", offset=-1)
    table["split"] = ""
    for name, split in {"train": "train", "tune": "valid", "stest": "test"}.items():
        rows = np.loadtxt(shared_data(f"protein/avgfp/main_{name}.txt.gz"), int)
        table.loc[rows, "split"] = split
    table = table.rename(columns={"score": "brightness"}).assign(group=joined(table["sequence"]))
    return described(table[["sequence", "variant", "brightness", "split", "group"]], {"brightness": "real"}, PROTEIN)


def cov_abdab(least: int = 300) -> pd.DataFrame:
    """Pairs of a heavy and a light chain (`heavy|light`) and the coronaviruses that they bind, a column a virus.

    CoV-AbDab. Binders only; viruses that at least so many antibodies bind. Weak binding counts. A chain that was not
    determined (ND) is left out of the pair; rows without a heavy chain are dropped. Antibodies that share a heavy
    chain, one virus's file or the other's, are a group; rows of one pair are joined.
    """
    files = ("SARS-COV2", "SARS-COV1")
    table = pd.concat([pd.read_csv(shared_data(f"protein/cov_abdab/{name}.csv.gz")) for name in files])
    chains = table[["VHorVHH", "VL"]].fillna("ND")
    known = chains["VHorVHH"].str.len() > 20
    light = chains["VL"].where(chains["VL"].str.len() > 20, "")
    table["sequence"] = chains["VHorVHH"] + np.where(light != "", "|" + light, "")
    table = table[known & table["sequence"].str.fullmatch(r"[A-Z|]+")]
    bound = table["Binds to"].str.replace(" (weak)", "").str.split(";").map(lambda names: [n.strip() for n in names])
    labels = bound.str.join(";").str.get_dummies(";").groupby(table["sequence"]).max()
    viruses = labels.columns[labels.sum() >= least]
    found = labels[viruses].astype(float).reset_index()
    found["group"] = joined(found["sequence"].str.split("|").str[0])
    found["split"] = np.where(held_out(found["group"], 0.15, 0), "test", "train")
    dropped = int((~known).sum())
    return described(with_valid(found), dict.fromkeys(viruses, "binary"), PROTEIN, no_heavy_chain=dropped)
