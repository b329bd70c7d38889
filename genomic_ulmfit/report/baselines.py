from dataclasses import dataclass
from scipy import sparse
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
import numpy as np

from genomic_ulmfit.seq.numbers import kmer_numbers, reverse_numbers
from genomic_ulmfit.text.spans import Spans


def kmer_counts(
    reads,  # base codes: an array (n, bases), or a list of arrays of any lengths
    k: int,
    stranded: bool = False,  # count k-mers as they are: for sequences that have a direction
) -> sparse.csr_matrix:  # (n, 4**k) float32
    "k-mer counts of reads; unless `stranded`, a k-mer and its reverse complement are counted together, as the smaller of the two numbers."
    if isinstance(reads, np.ndarray): bases, length = reads.ravel(), np.full(len(reads), reads.shape[1])
    else: bases, _, length, _ = Spans.from_sequences(reads)
    numbers, row = kmer_numbers(bases, k), np.repeat(np.arange(len(length)), length)
    first, last = row[: len(numbers)], row[k - 1 :]  # the reads of a k-mer's first and last base
    keep = (numbers >= 0) & (first == last)
    column = numbers[keep] if stranded else np.minimum(numbers[keep], reverse_numbers(numbers[keep], k))
    return sparse.csr_matrix((np.ones(len(column), np.float32), (first[keep], column)), shape=(len(length), 4**k))


def _labels(y, n: int) -> np.ndarray:
    "Class numbers of `n` sequences as an array; raises `ValueError` unless there is one for each and every number from 0 on occurs."
    y = np.asarray(y)
    if y.shape != (n,): raise ValueError(f"{n} sequences need as many class numbers, not an array of shape {y.shape}")
    missing = np.setdiff1d(np.arange(y.max(initial=-1) + 1), y)
    if len(missing) or not n: raise ValueError(f"no training data for class {missing[0]}" if n else "no training data")
    return y


@dataclass
class KmerLogisticRegression:
    "Logistic regression on scaled k-mer counts."

    k: int
    C: float  # inverse strength of the penalty
    stranded: bool = False  # the reads have a direction

    def fit(self, reads, y):
        "Fit to reads (as for `kmer_counts`) and class numbers."
        counts = kmer_counts(reads, self.k, self.stranded)
        mean = np.maximum(np.asarray(counts.mean(0)).ravel(), 1 / counts.shape[0])
        self.scale = sparse.diags((1 / np.sqrt(mean)).astype(np.float32))
        self.model = LogisticRegression(C=self.C, max_iter=500, tol=1e-3).fit(counts @ self.scale, y)
        return self

    def predict_proba(self, reads) -> np.ndarray:
        "Class probabilities, (n, classes)."
        return self.model.predict_proba(kmer_counts(reads, self.k, self.stranded) @ self.scale)


def fit_kmer_logreg(
    reads,  # training reads, as for `kmer_counts`
    y,  # class numbers; every class must occur
    valid,  # (reads, class numbers) to choose k and C on
    ks=(4, 5, 6),  # k-mer lengths to try
    Cs=(1e-4, 3e-4, 1e-3, 1e-2),  # penalties to try
    search: int = 15_000,  # training reads for the search
    stranded: bool = False,  # the reads have a direction
) -> KmerLogisticRegression:
    "The best of a grid of k-mer logistic regressions, refitted on all reads."
    y = _labels(y, len(reads))
    few = np.random.default_rng(0).permutation(len(y))[:search]
    part = reads[few] if isinstance(reads, np.ndarray) else [reads[i] for i in few]
    tried = {}
    for k in ks:
        for C in Cs:
            found = KmerLogisticRegression(k, C, stranded).fit(part, y[few])
            called = found.model.classes_[found.predict_proba(valid[0]).argmax(1)]  # a rare class may be missing from the part
            tried[k, C] = (called == np.asarray(valid[1])).mean()
    return KmerLogisticRegression(*max(tried, key=tried.get), stranded).fit(reads, y)


@dataclass
class KmerNaiveBayes:
    "Multinomial naive Bayes over the k-mers of whole genomes, all classes equally likely beforehand."

    k: int
    alpha: float  # pseudo-count of every k-mer
    stranded: bool = False  # the sequences have a direction

    def fit(self, genomes, y):
        "Fit to genomes (a list of base codes) and class numbers."
        classes = np.unique(y)
        self.log_probs = np.empty((len(classes), 4**self.k), np.float32)
        for row, c in zip(self.log_probs, classes):
            row[:] = self._count(g for g, label in zip(genomes, y) if label == c)
            row += self.alpha
            row /= row.sum(dtype=np.float64)
            np.log(row, out=row)
        return self

    def _count(self, genomes) -> np.ndarray:
        "k-mer counts of some genomes together, (4**k,)."
        total = np.zeros(4**self.k, np.int64)
        for genome in genomes:
            numbers = kmer_numbers(np.asarray(genome), self.k)
            numbers = numbers[numbers >= 0]
            np.add.at(total, numbers if self.stranded else np.minimum(numbers, reverse_numbers(numbers, self.k)), 1)
        return total

    def predict_proba(self, reads) -> np.ndarray:
        "Class probabilities, (n, classes)."
        counts = kmer_counts(reads, self.k, self.stranded)
        return softmax(np.stack([counts @ row for row in self.log_probs], 1).astype(np.float64), 1)


def fit_kmer_nb(
    genomes,  # training genomes: a list of base codes
    y,  # class numbers; every class must occur
    k: int,
    alpha: float | None = None,  # pseudo-count; unless given 1 up to k = 9 and 0.1 above
    stranded: bool = False,  # the sequences have a direction
) -> KmerNaiveBayes:
    "Naive Bayes over the k-mers of genomes."
    return KmerNaiveBayes(k, alpha if alpha is not None else 1.0 if k < 10 else 0.1, stranded).fit(genomes, _labels(y, len(genomes)))


@dataclass
class MarkovChain:
    "The next base given the last `order` bases."

    order: int  # bases of context
    strength: float = 32.0  # how many observations the next lower order counts for

    def fit(self, records):
        "Fit to records (base codes, not joined), read on both strands."
        words = self.order + 1
        seen = self._count(records)
        if not len(seen): raise ValueError("no training records")
        seen += seen[reverse_numbers(np.arange(len(seen)), words)]
        probs = np.full((1, 4), 0.25, np.float32)
        for j in range(words):
            n = seen.reshape(-1, 4**j, 4).sum(0) if j < self.order else seen.reshape(-1, 4)
            below = np.tile(probs, (4, 1)) if j else probs
            probs = ((n + self.strength * below) / (n.sum(1, keepdims=True) + self.strength)).astype(np.float32)
        self.bits = -np.log2(probs).ravel()
        return self

    def _count(self, records) -> np.ndarray:
        "How often each word of order + 1 bases occurs; empty without records."
        total = np.zeros(4 ** (self.order + 1) if len(records) else 0, np.int64)
        for record in records:
            numbers = kmer_numbers(np.asarray(record), self.order + 1)
            np.add.at(total, numbers[numbers >= 0], 1)
        return total

    def bits_per_base(
        self,
        records: list,  # base codes
    ) -> float:  # the first `order` bases of a record, and words with N, aren't judged
        "Cross-entropy of the records in bits per base."
        total = count = 0
        for record in records:
            numbers = kmer_numbers(np.asarray(record), self.order + 1)
            found = self.bits[numbers[numbers >= 0]]
            total, count = total + found.sum(dtype=np.float64), count + len(found)
        if not count: raise ValueError(f"no record is longer than {self.order} bases")
        return float(total / count)


def markov_bits_per_base(
    train: list,  # training records, base codes
    test: list,  # records to judge
    order: int = 5,  # bases of context
) -> float:
    "Cross-entropy in bits per base of a Markov chain fitted to other records."
    return MarkovChain(order).fit(train).bits_per_base(test)
