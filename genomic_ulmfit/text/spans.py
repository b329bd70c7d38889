from typing import NamedTuple
import mmap
import numpy as np
import warnings
import zlib

from genomic_ulmfit.seq.alphabet import DNA, Alphabet, PAD_CODE, _COMPLEMENT, encode_bases
from genomic_ulmfit.text.corpus import GenomeCorpus
from genomic_ulmfit.text.kmers import KmerTokenizer


class Spans(NamedTuple):
    "Sequences as pieces of one array of base codes."

    codes: np.ndarray  # codes of the letters, uint8, in memory or mapped
    start: np.ndarray  # first base of each sequence, int64
    length: np.ndarray  # letters of each sequence, int64
    alphabet: Alphabet = DNA

    def __len__(self): return len(self.start)

    @classmethod
    def from_corpus(cls, corpus: GenomeCorpus, split: str):
        "The records of a corpus split."
        rows = corpus.split(split)
        return cls(np.asarray(corpus.bases), rows["start"].to_numpy(np.int64), rows["length"].to_numpy(np.int64))

    @classmethod
    def from_sequences(cls, sequences):
        "A list of letters or of base codes, copied into one array."
        codes = [encode_bases(s) if isinstance(s, (str, bytes)) else np.asarray(s, np.uint8) for s in sequences]
        length = np.array([len(c) for c in codes], np.int64)
        return cls(np.concatenate(codes) if codes else np.empty(0, np.uint8), np.cumsum(length) - length, length)

    def digest(self) -> str:
        "A short checksum of the places and of 64 of the bases: tells one text from another, at no cost."
        some = self.codes[:: len(self.codes) // 64 + 1].copy()
        _let_go(self.codes)
        return f"{zlib.crc32(np.concatenate([self.start, self.length, some])):08x}"


def _let_go(array: np.ndarray):
    "Unmap the pages that were read from a mapped file: they stay in the system's cache, and the process doesn't grow to the size of the corpus."
    while isinstance(array, np.ndarray): array = array.base
    if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"): array.madvise(mmap.MADV_DONTNEED)


def gather(
    bases: np.ndarray,  # base codes
    start: np.ndarray,  # first base of each piece, (rows,)
    length: np.ndarray,  # bases of each piece, (rows,)
    reverse: np.ndarray | None = None,  # rows to read from the other strand, (rows,) bool
) -> np.ndarray:  # (rows, longest piece) uint8, ends filled with PAD_CODE
    "Copy pieces of an array into the rows of a batch."
    rows = np.full((len(start), max(int(length.max(initial=0)), 1)), PAD_CODE, np.uint8)
    flip = np.zeros(len(start), bool) if reverse is None else reverse
    for row, first, n, other in zip(rows, start.tolist(), length.tolist(), flip.tolist()):
        piece = bases[first : first + n]
        row[:n] = _COMPLEMENT[piece[::-1]] if other else piece
    _let_go(bases)
    return rows


def warn_of_short(spans: Spans, tokenizer: KmerTokenizer) -> int:
    "Count sequences without a single k-mer, and warn where there are any: a model sees only their start token."
    n = int((spans.length < tokenizer.k).sum())
    if n: warnings.warn(f"{n} of {len(spans)} sequences are shorter than a k-mer of {tokenizer.k} bases: nothing can be learned from them", stacklevel=3)
    return n
