from collections.abc import Sequence
import numpy as np
import pandas as pd

from genomic_ulmfit.taxa.model import Judged
from genomic_ulmfit.taxa.taxonomy import Taxonomy
from genomic_ulmfit.taxa.words import SKETCH, sketch


class Sample:
    "The counts of a sample's reads on the tree."

    def __init__(self, tree: Taxonomy):
        self.tree, self.reads = tree, 0
        self.direct = np.zeros(len(tree), np.int64)  # reads given to a taxon itself
        self.best, self.close = (np.zeros(len(tree.classes), np.int64) for _ in range(2))  # reads by `Judged.best`, and those that are close
        self.sketches, self.sketched = {}, np.zeros(len(tree.classes), np.int64)  # words of the first reads of each best class and whether these are close, and the number of these reads
        self.expected = np.zeros(len(tree))  # sums of the probabilities of all reads
        self.kraken2 = None  # reads given to a taxon itself by Kraken2, where its output was there

    def add(self, judged: Judged, reads: Sequence[tuple] | None = None):
        "Count some reads; where they are given, as base codes, words of them are kept for `overlaps`."
        self.reads += len(judged.row)
        self.direct += np.bincount(judged.row[judged.row >= 0], minlength=len(self.tree))
        self.best += np.bincount(judged.best[judged.best >= 0], minlength=len(self.best))
        self.close += np.bincount(judged.best[judged.close], minlength=len(self.best))
        if reads is not None: self.keep(judged.best, judged.close, *_sketch(reads, judged.best))
        self.expected += judged.probs.sum(0)
        if judged.kraken2 is not None: self.kraken2 = (0 if self.kraken2 is None else self.kraken2) + np.bincount(judged.kraken2[judged.kraken2 >= 0], minlength=len(self.tree))

    def keep(
        self,
        best: np.ndarray,  # `Judged.best`, (reads,)
        close: np.ndarray,  # `Judged.close`, (reads,)
        numbers: np.ndarray,  # words of a `sketch` of the reads
        read: np.ndarray,  # the read of each
        most: int = 2000,  # reads of each class
    ):
        "Keep the words of the first reads of each class."
        if not len(numbers): return
        order = np.argsort(best, kind="stable")
        rank = np.empty(len(best), np.int64)
        rank[order] = np.arange(len(best)) - np.searchsorted(best[order], best[order])  # how many reads of the class come before
        chosen = (best >= 0) & (rank + self.sketched[np.maximum(best, 0)] < most)
        self.sketched += np.bincount(best[chosen], minlength=len(self.sketched))
        numbers, read = numbers[chosen[read]], read[chosen[read]]
        for c in np.unique(best[read]): self.sketches.setdefault(int(c), []).append((numbers[best[read] == c], close[read[best[read] == c]]))

    def overlaps(
        self,
        classes: Sequence[int],  # best classes
    ) -> tuple[float, float, float]:  # pairs of reads that overlap; the number to expect of reads that are spread over one base, to be divided by their bases; the share of close reads among those that overlap
        "How often the reads of some classes overlap each other."
        kept = [part for c in classes for part in self.sketches.get(int(c), [])]
        if not kept: return 0.0, 0.0, 0.0
        words, close = (np.concatenate(x) for x in zip(*kept))
        _, which, shared = np.unique(words, return_inverse=True, return_counts=True)
        total, upon = len(words) * SKETCH, shared[which] > 1
        of_a_pair = total / self.sketched[classes].sum() / 2  # words that two overlapping reads share, on average
        return (shared * (shared - 1.0) / 2).sum() * SKETCH / of_a_pair, total**2 / 2 / of_a_pair, float(close[upon].mean()) if upon.any() else 0.0

    @property
    def clade(self) -> np.ndarray:
        "Reads of each taxon and all below it."
        return self._summed(self.direct)

    @property
    def kraken2_clade(self) -> np.ndarray | None:
        "The same by Kraken2; None without its output."
        return None if self.kraken2 is None else self._summed(self.kraken2)

    def _summed(self, direct: np.ndarray) -> np.ndarray:
        total = direct.copy()
        for row in range(len(total) - 1, 0, -1): total[self.tree.nodes["parent"].iat[row]] += total[row]
        return total

    @property
    def unclassified(self) -> int:
        "Reads that are given to no taxon."
        return self.reads - int(self.direct.sum())

    def table(self) -> pd.DataFrame:
        "A row per taxon that has reads, in the order of the tree."
        clade = self.clade
        found = self.tree.nodes.assign(code=self.tree.codes, depth=self.tree.depth, reads=self.direct, clade_reads=clade, fraction=clade / max(self.reads, 1), expected_reads=self.expected.round(2))
        return found[clade > 0].drop(columns="parent").reset_index(drop=True)

    def kreport(self) -> str:
        "Kraken's report."
        line = lambda n, own, code, taxid, name: f"{100 * n / max(self.reads, 1):6.2f}\t{n}\t{own}\t{code}\t{taxid}\t{name}\n"
        rows = [line(self.unclassified, self.unclassified, "U", 0, "unclassified")] if self.unclassified else []
        return "".join(rows + [line(t.clade_reads, t.reads, t.code, t.taxid, "  " * t.depth + t.name) for t in self.table().itertuples(index=False)])

    def to_dict(self) -> dict:
        "The counts for JSON; a taxon's lineage goes from the top to the taxon itself."
        names, taxa = self.tree.nodes["name"], self.table().drop(columns="depth").to_dict("records")
        for taxon, row in zip(taxa, np.flatnonzero(self.clade > 0)): taxon["lineage"] = [names.iat[r] for r in self.tree.lineage(row) if r]
        return {"reads": self.reads, "unclassified": self.unclassified, "taxa": taxa}


def _sketch(reads: Sequence[tuple], best: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    "Words of the reads that have a best class, and the read of each."
    of = np.repeat(np.arange(len(reads)), [len(r) * (b >= 0) for r, b in zip(reads, best)])
    numbers, piece = sketch([s for r, b in zip(reads, best) if b >= 0 for s in r])
    return numbers, of[piece]
