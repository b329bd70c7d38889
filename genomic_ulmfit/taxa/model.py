from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
import numpy as np
import pandas as pd
import shutil

from genomic_ulmfit.model.folder import model_folder
from genomic_ulmfit.model.model import GenomeModel, load_model
from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.taxa.calibration import Calibration, Evidence, _kin
from genomic_ulmfit.taxa.kraken2 import _matches, read_kraken2
from genomic_ulmfit.taxa.taxonomy import RANKS, Taxonomy, taxonomy_from_dict, taxonomy_to_dict
from genomic_ulmfit.taxa.words import WordTable
from genomic_ulmfit.text.spans import Spans


def assign(
    tree: Taxonomy,
    probs: np.ndarray,  # probabilities of the nodes, (reads, nodes)
    threshold: float,  # the least probability of the taxon that a read is given to
) -> np.ndarray:  # a row of the tree for each read, -1: unclassified
    "The lowest taxon that passes the threshold."
    at = np.where(probs[:, 0] >= threshold, 0, -1)
    parents = tree.nodes["parent"].to_numpy()
    for row in range(len(parents)):  # parents come first
        children, here = np.flatnonzero(parents == row), np.flatnonzero(at == row)
        if not len(children) or not len(here): continue
        best = children[probs[np.ix_(here, children)].argmax(1)]
        sure = probs[here, best] >= threshold
        at[here[sure]] = best[sure]
    return np.where((tree.below[at] > 0).all(1), -1, at)


def rank_figures(
    tree: Taxonomy,
    assigned: np.ndarray,  # rows of the tree from `assign`
    truth: np.ndarray,  # the true taxon of each read: a row of the tree, at the lowest rank that the tree knows; -1 for a read of nowhere
) -> pd.DataFrame:  # a row per rank: shares of reads that are right, wrong and not called, means over the true taxa; `taxa`, `reads`
    "Right, wrong and uncalled reads at each rank. A read whose true taxon has no name at a rank is wrong when it is called there."
    rows = []
    for rank in (r for r in RANKS if (tree.nodes["rank"] == r).any()):
        said, true = tree.at(rank, assigned), tree.at(rank, truth)
        each = pd.DataFrame({"true": true, "right": (said == true) & (said >= 0), "wrong": (said != true) & (said >= 0)}).groupby("true").mean()
        rows.append({"rank": rank, **each.mean().to_dict(), "uncalled": 1 - each.sum(axis=1).mean(), "taxa": len(each), "reads": len(truth)})
    return pd.DataFrame(rows)


@dataclass
class Judged:
    "What is known of some reads."

    probs: np.ndarray  # probability of each node, (reads, nodes) float32; that of the root is 1 less the probability of none
    row: np.ndarray  # the node it is given to, -1: unclassified
    calls: list  # of each read a list with the most probable class of each window, for the read and its mate
    best: np.ndarray  # of a read that is given to a genus or below it, the most probable class there; else -1, (reads,)
    close: np.ndarray  # whether it is as similar to that class as the reads of the class's own strains, (reads,)
    kraken2: np.ndarray | None = None  # the node that Kraken2 gives each read to, -1: none

    @property
    def confidence(self) -> np.ndarray:
        "Probability of the taxon that a read is given to; of the root where it is unclassified."
        return self.probs[np.arange(len(self.row)), np.maximum(self.row, 0)]


class TaxonModel:
    "A classifier of reads with the tree over its classes."

    def __init__(
        self,
        model: GenomeModel,  # a classifier
        tree: Taxonomy,  # its classes are those of the model
        words: WordTable | None = None,  # of the same classes
        calibration: Calibration | None = None,
        threshold: float = 0.8,  # the least probability of the taxon that a read is given to
    ):
        if model.classes != tree.classes: raise ValueError("the classes of the model and of the tree are not the same")
        if words is not None and words.classes != tree.classes: raise ValueError("the classes of the model and of the table of words are not the same")
        self.model, self.tree, self.words, self.calibration, self.threshold = model, tree, words, calibration or Calibration(), threshold
        rows = tree.at("genus")
        self.genera = np.unique(rows[rows >= 0])  # their rows in the tree
        self.genus = np.where(rows >= 0, np.searchsorted(self.genera, rows), -1)  # the genus of each class, a number in `genera`
        self.kin = _kin(self.genus)  # which classes are of one genus

    def __repr__(self):
        words = f", {self.words!r}" if self.words else ""
        return f"TaxonModel({self.model!r}, {self.tree!r}{words}, threshold {self.threshold:.2f})"

    def save(self, folder, half: bool = False) -> Path:
        "Write the model folder, as `GenomeModel.save`; the table of words is copied into it unless it is there."
        self.model.about |= {"taxonomy": taxonomy_to_dict(self.tree), "calibration": asdict(self.calibration), "threshold": self.threshold, "words": self.words is not None}
        folder = self.model.save(folder, half)
        if self.words and self.words.folder.resolve() != (folder / "words").resolve(): shutil.copytree(self.words.folder, folder / "words", dirs_exist_ok=True)
        return folder

    @classmethod
    def load(cls, folder, device=None):
        "Load a folder, or a model that comes with the package by its name. Raises `InputError` where its model is no classifier of taxa."
        model = load_model(folder, device)
        if model.classes is None: raise InputError(folder, "is a language model and has no classes", "Train a classifier on it: `genomic-ulmfit train --pretrained`")
        if not {"taxonomy", "calibration", "threshold"} <= set(model.about): raise InputError(folder, "is not calibrated and has no taxonomy", "Run `genomic-ulmfit calibrate` on it; `genomic-ulmfit predict` needs neither")
        words = WordTable(model_folder(folder) / "words") if model.about.get("words") else None
        return cls(model, taxonomy_from_dict(model.about["taxonomy"]), words, Calibration(**model.about["calibration"]), model.about["threshold"])

    def evidence(
        self,
        reads: Sequence[tuple],  # of base codes: (read,) or (read, mate)
        kraken2: np.ndarray | None = None,  # Kraken2's k-mers on the path to each class, (reads, classes)
        **kwargs,  # of `GenomeModel.window_log_probs`
    ) -> Evidence:
        "What the windows and words of reads and their mates say together."
        (pieces, first), shape = _pieces(reads), (len(reads), len(self.tree.classes))
        owner, found = self.model.window_log_probs(pieces, **kwargs)
        window = np.searchsorted(owner, first)  # the first of each read
        words, looked_up = [np.add.reduceat(x, first) for x in self.words.matches(pieces)] if self.words is not None else (np.zeros(shape), np.zeros(len(reads), np.int64))
        calls = iter(np.split(found.argmax(1), np.flatnonzero(np.diff(owner)) + 1))
        return Evidence(np.add.reduceat(found, window), np.diff(window, append=len(owner)), words, looked_up, np.zeros(shape) if kraken2 is None else kraken2, [[next(calls) for _ in r] for r in reads])

    def node_probs(self, evidence: Evidence) -> np.ndarray:
        "Calibrated probabilities of all nodes, (reads, nodes) float32; what is another species of a genus counts for the genus and what is above it."
        probs = np.exp(self.calibration.log_probs(evidence, self.genus)[:, :-1]).astype(np.float32)
        return self.tree.sum_up(probs, self.genera)

    def judge(self, reads: Sequence[tuple], threshold: float | None = None, kraken2: tuple | None = None, **kwargs) -> Judged:
        "Probabilities of all nodes, and the taxon of each read; `kraken2` holds its calls and matches, which are weighed where the model was calibrated with them. A read without a single k-mer of A, C, G and T is unclassified. Raises `ValueError` where matches are missing."
        if self.calibration.kraken2 and kraken2 is None: raise ValueError("the model was calibrated with Kraken2's output: give that of these reads (--kraken2)")
        calls, matches = kraken2 or (None, None)
        evidence = self.evidence(reads, matches, **kwargs)
        probs = self.node_probs(evidence) * _has_kmer(reads, self.model.tokenizer.k)[:, None]
        row = assign(self.tree, probs, self.threshold if threshold is None else threshold)
        best, close = self.closest(evidence, probs, row)
        return Judged(probs, row, evidence.calls, best, close, calls)

    def closest(self, evidence: Evidence, probs: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        "`best` and `close` of `Judged`; all reads are close as long as nothing was measured (`fit_confusion` of `screen`)."
        genus = self.tree.at("genus", row)[:, None]
        among = (genus >= 0) & (genus == self.tree.at("genus")) | (row[:, None] == self.tree.rows)
        best = np.where(among.any(1), np.where(among, probs[:, self.tree.rows], -1).argmax(1), -1)
        limits = np.array(self.model.about.get("confusion", {}).get("table", {}).get("limit", [-np.inf] * among.shape[1]))
        return best, (best >= 0) & (evidence.similarity[np.arange(len(best)), best] >= limits[best])

    def classify(
        self,
        pairs: Iterable[tuple],  # of records, from `read_pairs`
        threshold: float | None = None,  # the model's unless given
        chunk: int = 5_000,  # reads in memory at a time, fewer of long ones
        kraken2=None,  # Kraken2's output for the same reads, a file
        **kwargs,  # of `GenomeModel.window_log_probs`
    ) -> Iterator[tuple]:  # (list of pairs, Judged)
        "Judge a stream of reads, in order, at constant memory."
        found = read_kraken2(kraken2, self.tree) if kraken2 else None
        for held in _chunks(pairs, chunk):
            yield held, self.judge([tuple(r.codes for r in mates) for mates in held], threshold, found and _matches(found, held, kraken2), **kwargs)
        if found and (more := next(found, None)): raise InputError(kraken2, f"goes on with {more[0]!r} after the last read", "Give Kraken2's output for the same reads, in the same order")


def _chunks(pairs: Iterable[tuple], reads: int, bases: int = 5_000_000) -> Iterator[list]:
    "Lists of at most so many reads, ended early where they hold many bases, as contigs do."
    held, size = [], 0
    for mates in pairs:
        held.append(mates)
        size += sum(len(r.codes) for r in mates)
        if len(held) == reads or size >= bases:
            yield held
            held, size = [], 0
    if held: yield held


def _pieces(reads: Sequence[tuple]) -> tuple[list, np.ndarray]:
    "Reads and mates in one list, and the place of each read in it."
    return [s for r in reads for s in r], np.cumsum([0, *map(len, reads)])[:-1]


def _has_kmer(reads: Sequence[tuple], k: int) -> np.ndarray:
    "Whether each read or its mate holds k known bases in a row, (reads,)."
    pieces, first = _pieces(reads)
    spans = Spans.from_sequences(pieces)
    known = np.cumsum(np.concatenate([[0], spans.codes < 4]))
    begins = np.cumsum(np.concatenate([[0], known[k:] - known[:-k] == k, np.zeros(k, bool)]))  # places so far at which k known bases begin
    last = spans.start + np.maximum(spans.length - k + 1, 0)
    return np.add.reduceat(begins[last] - begins[spans.start], first) > 0
