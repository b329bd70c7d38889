"""What the study of interpretation shares: promoters with planted boxes, aligned importances, letters of a genome by
what they are to its genes, and figures with intervals."""

from pathlib import Path

import numpy as np
import pandas as pd
from fastai.torch_core import set_seed
from harness import dinucleotide_shuffle
from sklearn.metrics import roc_auc_score

from genomic_ulmfit.model.model import LanguageModel, Predictor
from genomic_ulmfit.seq.alphabet import decode_bases, encode_bases, reverse_complement
from genomic_ulmfit.seq.genes import Gene, call_genes
from genomic_ulmfit.seq.numbers import kmer_numbers
from genomic_ulmfit.seq.records import read_sequences
from genomic_ulmfit.tasks.mutagenesis import saturation
from genomic_ulmfit.text.loaders import ReadDataLoaders
from genomic_ulmfit.text.target_loaders import TargetDataLoaders
from genomic_ulmfit.train.learner import genome_classifier_learner, genome_predictor_learner

BOX35, BOX10 = "TTGACA", "TATAAT"  # of sigma 70, at about -35 and -10
SAMPLES = 500  # of a bootstrap


# ---------------------------------------------------------------- promoters


def planted(n: int, seed: int, length: int = 81, kept: float = 0.85) -> pd.DataFrame:
    """Sequences with both boxes, each letter of which stays with probability `kept`, and shuffled ones without.

    Columns: sequence, label (promoter, other), start35, start10 (-1 without a box). The boxes are 16 to 18 letters
    apart, as in promoters, and the first stands at 20 to 30, another place in each sequence.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        letters = rng.choice(list("ACGT"), length)
        start35 = int(rng.integers(20, 31))
        start10 = start35 + len(BOX35) + int(rng.integers(16, 19))
        for start, box in ((start35, BOX35), (start10, BOX10)):
            stays = rng.random(len(box)) < kept
            letters[start : start + len(box)] = np.where(stays, list(box), letters[start : start + len(box)])
        text = "".join(letters)
        rows.append((text, "promoter", start35, start10))
        rows.append((dinucleotide_shuffle(text, rng), "other", -1, -1))
    table = pd.DataFrame(rows, columns=["sequence", "label", "start35", "start10"])
    parts = np.array(["train"] * 8 + ["valid"] + ["test"])
    return table.assign(split=np.repeat(parts[np.arange(n) % 10], 2))


def classifier_of(table: pd.DataFrame, pretrained: LanguageModel, epochs: int, seed: int = 0) -> Predictor:
    """A classifier on the encoder of a language model; sequences have a direction."""
    set_seed(seed)
    learned = table[table["split"] != "test"]
    dls = ReadDataLoaders.from_df(learned, pretrained.tokenizer, bs=64, seed=seed, stranded=True)
    learn = genome_classifier_learner(dls, pretrained=pretrained, drop_mult=1.0)
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(5e-3, epochs=epochs)
    return learn.to_model()


def predictor_of(table: pd.DataFrame, kinds: dict, pretrained: LanguageModel, epochs: int, seed: int = 0) -> Predictor:
    """A model of measurements on the encoder of a language model; sequences have a direction."""
    set_seed(seed)
    learned = table[table["split"] != "test"]
    how = {"tokenizer": pretrained.tokenizer, "stranded": True, "bs": 128, "seed": seed}
    learn = genome_predictor_learner(
        TargetDataLoaders.from_df(learned, [*kinds], kinds, **how), pretrained=pretrained, drop_mult=0.5
    )
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(7e-3, epochs=epochs)
    return learn.to_model()


def importances(model, sequences, target: str) -> np.ndarray:
    """What each letter of sequences of one length adds to the log-odds of a class, or to an answer: (n, length)."""
    return np.stack([_importance(model, sequence, target) for sequence in sequences])


def _importance(model: Predictor, sequence: str, target: str) -> np.ndarray:
    found = saturation(model, sequence, targets=[target])
    if model.task.vocab is None:
        return found.importance()[:, 0]
    answers = np.clip(found.ref[0] + found.delta[..., 0], 1e-6, 1 - 1e-6)
    odds = np.log(answers / (1 - answers))
    ref = np.log(np.clip(found.ref[0], 1e-6, 1 - 1e-6) / np.clip(1 - found.ref[0], 1e-6, 1))
    return ref - np.nanmean(odds, axis=1)


def word_importances(model, sequences) -> np.ndarray:
    """The same for a baseline with `predict_proba` and classes (other, promoter): log-odds, (n, length)."""
    found = []
    for sequence in sequences:
        codes = encode_bases(sequence)
        rows = np.repeat(codes[None], 1 + 4 * len(codes), 0)
        place, letter = np.divmod(np.arange(4 * len(codes)), 4)
        rows[1 + np.arange(len(place)), place] = letter
        probs = np.clip(model.predict_proba(list(rows))[:, 1], 1e-6, 1 - 1e-6)
        odds = np.log(probs / (1 - probs))
        changed = odds[1:].reshape(len(codes), 4)
        found.append(odds[0] - (changed.sum(1) - changed[np.arange(len(codes)), codes]) / 3)
    return np.stack(found)


# ---------------------------------------------------------------- a genome


class Stretch:
    """A stretch of a genome with the genes in it and what two models say of each letter, in bits."""

    def __init__(self, codes: np.ndarray, genes: list[Gene], surprise: np.ndarray, chain: np.ndarray):
        self.codes = codes
        self.genes = genes
        self.bits = {"bacteria-small": surprise, "Markov chain": chain}
        self.coding = np.zeros(len(codes), bool)
        for gene in genes:
            self.coding[gene.start : gene.end] = True

    def gc(self) -> np.ndarray:
        """1 where a letter is G or C."""
        return np.isin(self.codes, (1, 2)).astype(float)


def cut_stretches(file: Path, n: int, length: int) -> list[np.ndarray]:
    """Codes of stretches that are spread evenly over the longest record of a file."""
    codes = max((record.codes for record in read_sequences(file)), key=len)
    starts = np.linspace(0, len(codes) - length, n).astype(int)
    return [codes[start : start + length] for start in starts.tolist()]


def called(codes: np.ndarray, number: int) -> list[Gene]:
    """Genes that pyrodigal calls, without those that the ends cut off."""

    class Record:
        id = f"stretch {number}"

    Record.codes = codes
    return [gene for gene in call_genes([Record]) if gene.start > 2 and gene.end < len(codes) - 2]


def chain_bits(chain, codes: np.ndarray) -> np.ndarray:
    """What a Markov chain says of each letter, in bits, the mean of both strands; NaN at the ends."""

    def one(strand):
        return np.append(np.full(chain.order, np.nan), chain.bits[kmer_numbers(strand, chain.order + 1)])

    return (one(codes) + one(reverse_complement(codes))[::-1]) / 2


def by_codon(stretches: list[Stretch], name: str) -> np.ndarray:
    """Mean bits of the first, second and third letters of codons, a row for each gene: (genes, 3)."""
    rows = []
    for stretch in stretches:
        for gene in stretch.genes:
            bits = stretch.bits[name][gene.start : gene.end]
            bits = bits if gene.strand == "+" else bits[::-1]
            rows.append(bits[3 : len(bits) // 3 * 3 - 3].reshape(-1, 3).mean(0))
    return np.stack(rows)


def around(stretches: list[Stretch], name: str, at: str, reach: int) -> np.ndarray:
    """Bits around the first letters of genes (`start`) or of their stop codons (`stop`): (genes, 2 * reach)."""
    rows = []
    for stretch in stretches:
        for gene in stretch.genes:
            forward = gene.strand == "+"
            bits = stretch.bits[name] if forward else stretch.bits[name][::-1]
            first, end = (gene.start, gene.end) if forward else (len(bits) - gene.end, len(bits) - gene.start)
            place = first if at == "start" else end - 3
            if reach <= place <= len(bits) - reach:
                rows.append(bits[place - reach : place + reach])
    return np.stack(rows)


def windows(stretches: list[Stretch], length: int = 120) -> pd.DataFrame:
    """Windows that lie wholly within genes or wholly outside: coding, bits by each model, GC, the block of 10 kb."""
    rows = []
    for number, stretch in enumerate(stretches):
        for start in range(0, len(stretch.codes) - length + 1, length):
            place = slice(start, start + length)
            share = stretch.coding[place].mean()
            if share not in (0, 1):
                continue
            means = {name: bits[place].mean() for name, bits in stretch.bits.items()}
            row = {"coding": share == 1, **means, "GC content": stretch.gc()[place].mean()}
            rows.append(row | {"block": number * 1_000 + start // 10_000})
    return pd.DataFrame(rows).dropna()


def triplets(stretches: list[Stretch], words: tuple, at: str) -> pd.DataFrame:
    """All places of some words on both strands: whether a gene starts or stops there, and their mean bits."""
    rows = []
    for number, stretch in enumerate(stretches):
        for forward in (True, False):
            codes = stretch.codes if forward else reverse_complement(stretch.codes)
            n = len(codes)
            genes = [gene for gene in stretch.genes if (gene.strand == "+") == forward]
            ends = [(g.start, g.end) if forward else (n - g.end, n - g.start) for g in genes]
            true = {first if at == "start" else end - 3 for first, end in ends}
            text = decode_bases(codes)
            bits = {name: values if forward else values[::-1] for name, values in stretch.bits.items()}
            for place in (i for i in range(20, n - 23) if text[i : i + 3] in words):
                means = {name: values[place : place + 3].mean() for name, values in bits.items()}
                rows.append({"true": place in true, **means, "block": number * 1_000 + place // 10_000})
    return pd.DataFrame(rows).dropna()


# ---------------------------------------------------------------- figures


def interval(values: np.ndarray, seed: int = 0) -> str:
    """A mean and its 95 % interval, by a bootstrap of the rows."""
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(SAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def auroc(table: pd.DataFrame, label: str, score: str, sign: int = 1, seed: int = 0) -> str:
    """AUROC and its 95 % interval, by a bootstrap of the blocks of the genome."""
    rng = np.random.default_rng(seed)
    truth, scores = table[label].to_numpy(), sign * table[score].to_numpy()
    rows = [group for group in table.groupby("block").indices.values()]
    found = []
    for _ in range(SAMPLES // 2):
        chosen = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        found.append(roc_auc_score(truth[chosen], scores[chosen]))
    low, high = np.percentile(found, [2.5, 97.5])
    return f"{roc_auc_score(truth, scores):.3f} ({low:.3f} to {high:.3f})"
