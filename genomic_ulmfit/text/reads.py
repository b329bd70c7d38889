from collections.abc import Sequence
import numpy as np
import pandas as pd
import torch

from genomic_ulmfit.seq.tables import label_numbers
from genomic_ulmfit.text.corpus import GenomeCorpus
from genomic_ulmfit.text.kmers import KmerTokenizer
from genomic_ulmfit.text.spans import Spans, gather, warn_of_short


class LabelledReads:
    "Batches of given sequences with labels, similar lengths together; of the share of process `rank` of `ranks`."

    rank, ranks = 0, 1

    def __init__(
        self,
        spans: Spans,  # the sequences
        y: np.ndarray,  # class of each, int64
        classes: Sequence[str],
        tokenizer: KmerTokenizer,
        bs: int = 64,  # sequences in a batch
        augment: bool = True,  # shuffle, random strand and phase; else file order by length, as they are
        seed: int = 0,
        stranded: bool = False,  # the sequences have a direction: never show the other strand
    ):
        self.spans, self.y, self.classes, self.tokenizer, self.bs, self.augment, self.seed, self.stranded = spans, y, list(classes), tokenizer, bs, augment, seed, stranded
        self.epoch, self._order = -1, (None, None)
        warn_of_short(spans, tokenizer)

    @property
    def n_batches(self) -> int:
        "Batches in an epoch, of all processes together."
        return -(-len(self.spans) // self.bs)

    def __len__(self): return -(-self.n_batches // self.ranks)

    def _number(self, i: int) -> int:
        "The number of this process's batch `i` among the batches of all; the last may be one that another process also has."
        if not 0 <= i < len(self): raise IndexError(i)
        return (i * self.ranks + self.rank) % self.n_batches

    def order(self) -> np.ndarray:
        "Sequence numbers in batch order: by length within chunks of 50 batches, the batches shuffled."
        if not self.augment: return np.argsort(self.spans.length, kind="stable")
        if self._order[0] != self.epoch:
            rng = np.random.default_rng((self.seed, self.epoch + 1))
            order, chunk = rng.permutation(len(self.spans)), 50 * self.bs
            order = np.concatenate([c[np.argsort(self.spans.length[c], kind="stable")] for c in np.array_split(order, max(len(order) // chunk, 1))])
            batches = np.array_split(order, range(self.bs, len(order), self.bs))
            self._order = self.epoch, np.concatenate([batches[i] for i in (*rng.permutation(len(batches) - 1), len(batches) - 1)])
        return self._order[1]

    def __getitem__(self, i: int):
        i = self._number(i)
        n = self.order()[i * self.bs : (i + 1) * self.bs]
        start, length, flip = self.spans.start[n], self.spans.length[n], None
        if self.augment:
            rng = np.random.default_rng((self.seed, self.epoch + 1, i))
            phase = np.minimum(rng.integers(self.tokenizer.stride, size=len(n)), np.maximum(length - self.tokenizer.k, 0))
            start, length, flip = start + phase, length - phase, None if self.stranded else rng.random(len(n)) < 0.5
        return torch.from_numpy(gather(self.spans.codes, start, length, flip)), torch.from_numpy(self.y[n])

    def to_tokens(self, batch):
        "x: ids (rows, 1 + tokens), y: classes."
        return self.tokenizer.batch(batch[0]), *batch[1:]

    def preview(self, batch, max_n: int) -> pd.DataFrame:
        "The first rows of a batch for people."
        x, y = batch
        text = [(self.tokenizer.decode(r), [self.tokenizer.token(int(i)) for i in r[:8]]) for r in x[:max_n]]
        return pd.DataFrame({"bases": [t[:60] + "…" for t, _ in text], "k-mers": [" ".join(w) + " …" for _, w in text], "label": [self.classes[int(i)] for i in y[:max_n]]})


def read_lengths(length, size: int, rng: np.random.Generator) -> np.ndarray:
    "Draw read lengths: always `length`, between a pair of numbers, or from an array of observed lengths."
    if np.ndim(length) == 0: return np.full(size, int(length))
    if isinstance(length, tuple): return rng.integers(length[0], length[1] + 1, size)
    return rng.choice(np.asarray(length), size)


class CorpusReads(LabelledReads):
    "Batches of reads drawn from the genomes of a corpus split, each class equally often."

    def __init__(
        self,
        corpus: GenomeCorpus,
        split: str,  # whose genomes to read
        label: str,  # label column
        classes: Sequence[str],  # known classes
        tokenizer: KmerTokenizer,
        length=150,  # read length: a number, a pair (shortest, longest), or an array of lengths to draw from
        error_rate: float = 0.0,  # substitutions per base
        reads: int = 20_000,  # reads in an epoch
        bs: int = 64,  # reads in a batch
        augment: bool = True,  # new reads in each epoch; else always the same
        seed: int = 0,
    ):
        spans, names = Spans.from_corpus(corpus, split), corpus.split(split)[label].to_numpy()
        y = label_numbers(names, classes, f"{corpus.path}, split {split!r}")
        order = np.argsort(y, kind="stable")  # the records of a class lie together
        super().__init__(Spans(spans.codes, spans.start[order], spans.length[order]), y[order], classes, tokenizer, bs, augment, seed)
        self.length, self.error_rate, self.reads = length, error_rate, reads
        self.ends = np.cumsum(self.spans.length)
        present = np.unique(self.y)
        self.class_of, last = present, np.searchsorted(self.y, present, side="right") - 1
        self.upto = self.ends[last]
        self.since = np.concatenate([[0], self.upto[:-1]])

    @property
    def n_batches(self) -> int: return -(-self.reads // self.bs)

    @property
    def steps(self) -> int:
        "Batches in an epoch, of all processes together; setting it changes the number of reads."
        return self.n_batches

    @steps.setter
    def steps(self, steps: int): self.reads = steps * self.bs

    def __getitem__(self, i: int):
        i = self._number(i)
        n = min(self.bs, self.reads - i * self.bs)
        rng = np.random.default_rng((self.seed, (self.epoch + 1) * self.augment, i))
        c = rng.integers(len(self.class_of), size=n)
        place = self.since[c] + (rng.random(n) * (self.upto - self.since)[c]).astype(np.int64)
        record = np.searchsorted(self.ends, place, side="right")
        size = np.minimum(read_lengths(self.length, n, rng), self.spans.length[record])
        inside = np.minimum(place - (self.ends - self.spans.length)[record], self.spans.length[record] - size)
        rows = gather(self.spans.codes, self.spans.start[record] + inside, size, rng.random(n) < 0.5)
        if self.error_rate: rows = substitute(rows, self.error_rate, rng)
        return torch.from_numpy(rows), torch.from_numpy(self.class_of[c])


def substitute(rows: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    "Replace each A, C, G or T by one of the other three with probability `rate`."
    hit = (rng.random(rows.shape) < rate) & (rows < 4)
    return np.where(hit, (rows + rng.integers(1, 4, rows.shape)) % 4, rows).astype(np.uint8)
