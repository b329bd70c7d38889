"""What the studies of resistance genes and of RNA binding share. Answers are probabilities of labels, (n, targets)."""

import numpy as np
import pandas as pd
from harness import ROOT, codes, target_network
from scipy.special import expit, logit
from translated import amino_acids_of_codons

from genomic_ulmfit.report.target_baselines import Part
from genomic_ulmfit.report.target_metrics import label_metrics
from genomic_ulmfit.seq.alphabet import DNA, PROTEIN

KEPT = ROOT / "runs" / "studies"  # no part of the repository


def kept(name: str, make) -> np.ndarray:
    """What `make()` gives, or gave in a run before: answers take minutes, and a study that was stopped goes on."""
    file = KEPT / f"{name}.npy"
    if not file.exists():
        found = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, found)
    return np.load(file)


def label_network(
    table: pd.DataFrame,  # with its splits; NaN where a label isn't known, which the loss leaves out
    targets: list,
    asked: list,  # sequences
    pretrained=None,  # a language model, or None to begin from scratch
    **how,  # of `target_network`
) -> np.ndarray:
    """Answers of one network with all targets, sequences read as they are; a constant target gets its constant."""
    train = table.loc[table["split"] == "train", targets]
    constant = train.agg("nunique") < 2
    kinds = dict.fromkeys(train.columns[~constant], "binary")
    usual = {"epochs": 2, "lr": 5e-3, "drop_mult": 0.2, "bs": 64, "phases": 2}
    found = np.zeros((len(asked), len(targets)))
    found[:] = train.mean()
    found[:, np.flatnonzero(~constant)] = target_network(table, kinds, asked, pretrained, **usual | how)
    return found


def labels_of(table: pd.DataFrame, split: str, targets: list) -> Part:
    """Sequences and labels of a part."""
    rows = table[table["split"] == split]
    return Part(codes(rows), rows[targets].to_numpy())


def together(answers: list) -> np.ndarray:
    """Several models in one: the mean of their log-odds."""
    return expit(np.mean([logit(np.clip(each, 1e-4, 1 - 1e-4)) for each in answers], 0))


def best_threshold(y: np.ndarray, answers: np.ndarray) -> float:
    """From which probability on any label is called: where the micro-F1 is best."""
    tried = np.linspace(0.02, 0.98, 49)
    return max(tried, key=lambda threshold: label_metrics(y, answers, threshold, samples=0)["value"][0])


def proteins(table: pd.DataFrame) -> list:
    """Codes of the amino acids of genes, read from their first base on; X for a stop and for unknown bases."""
    letters = np.char.replace(amino_acids_of_codons(), "*", "X")
    found = []
    for bases in codes(table):
        codons = bases[: len(bases) // 3 * 3].reshape(-1, 3).astype(int)
        acids = np.where(codons.max(1) < len(DNA), letters[codons @ (16, 4, 1) % len(letters)], "X")
        found.append(PROTEIN.encode("".join(acids).rstrip("X")))
    return found


def thinned(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """The table with at most so many training rows of a group, drawn; the other parts are as they were."""
    train = table[table["split"] == "train"].sample(frac=1, random_state=0)
    return pd.concat([train.groupby("group").head(most), table[table["split"] != "train"]])
