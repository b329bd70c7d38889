"""Words of proteins in all six frames, for the studies: ten amino acids of ten groups, of the frame that codes."""

from collections.abc import Iterable
from functools import reduce
from itertools import product
from pathlib import Path

import numpy as np
from Bio.Data.CodonTable import unambiguous_dna_by_id

from genomic_ulmfit.seq.alphabet import DNA
from genomic_ulmfit.seq.numbers import horner, kmer_letters, ragged_ranges
from genomic_ulmfit.taxa.low_complexity import mask_low_complexity
from genomic_ulmfit.taxa.sketches import CLASS_BITS, CLASS_MASK, mixed
from genomic_ulmfit.text.spans import Spans

GROUPS = "LVIM", "C", "A", "G", "ST", "P", "FYW", "EDNQ", "KR", "H"  # of amino acids, Murphy et al. 2000
STOP = -1
_UNKNOWN = 64  # a number that no codon has


def amino_acids_of_codons() -> np.ndarray:  # (64,) letters
    "The amino acid of each codon, from AAA to TTT, by the code of bacteria; * for a stop."
    amino_acid = unambiguous_dna_by_id[11].forward_table  # without the stops
    return np.array([amino_acid.get("".join(bases), "*") for bases in product("ACGT", repeat=3)])


def groups_of_codons() -> np.ndarray:  # by the number of a codon, 0 to 64, int8
    "The group of the amino acid of each codon; `STOP` for stops, and for unknown codons, the last."
    group = {letter: number for number, letters in enumerate(GROUPS) for letter in letters}
    return np.array([*(group.get(letter, STOP) for letter in amino_acids_of_codons()), STOP], np.int8)


GROUP = groups_of_codons()


def group_letters(
    codes: np.ndarray,  # base codes, (bases,)
) -> np.ndarray:  # (2, bases - 2) int8
    "The group of the codon that begins at each base, and of the codon of the other strand that ends there."
    bases = kmer_letters(codes, 3)
    forward = horner(bases[0].copy(), bases[1:], 4)
    backward = horner(3 - bases[2], [3 - base for base in bases[1::-1]], 4)
    known = reduce(np.maximum, bases) < DNA.unknown
    return GROUP[np.where(known, np.stack([forward, backward]), _UNKNOWN)]


AMINO_ACIDS = 10  # in a word
BASES = 3 * AMINO_ACIDS


def protein_words(
    groups: np.ndarray,  # from `group_letters`, (2, bases - 2)
) -> np.ndarray:  # (2, bases - 29) int64
    "The numbers of the words that begin at each base, forward, and end there, backward; -1 with a stop in it."
    codons = kmer_letters(groups, BASES - 2)[::3]
    numbers = np.zeros(codons[0].shape, np.int64)
    horner(numbers[0], [codon[0] for codon in codons], len(GROUPS))
    horner(numbers[1], [codon[1] for codon in codons[::-1]], len(GROUPS))
    numbers[reduce(np.minimum, codons) == STOP] = -1
    return numbers


_BLOCK = 1 << 20  # positions that are worked on at a time


def _kept(
    numbers: np.ndarray,  # of words, -1 for none
    one_in: int,  # keep one in so many
) -> tuple[np.ndarray, np.ndarray]:  # hashes, the lowest 16 bits 0; their places in `numbers`
    "The words with a small hash."
    hashes = mixed(numbers)
    place = np.flatnonzero((numbers >= 0) & (hashes <= np.uint64(2**64 // one_in - 1)))
    return hashes[place] * np.uint64(one_in) >> CLASS_BITS << CLASS_BITS, place


def translated_sketch(
    sequences: Iterable,  # letters or base codes
    one_in: int,  # keep one word in so many
) -> tuple[np.ndarray, np.ndarray]:  # hashes, (words,) uint64, the lowest 16 bits 0; the sequence of each, (words,)
    "The words of all six frames with a small hash."
    spans = Spans.from_sequences(sequences)
    found = [(np.empty(0, np.uint64), np.empty(0, np.int64))]
    for start in range(0, len(spans.codes), _BLOCK):
        numbers = protein_words(group_letters(spans.codes[start : start + _BLOCK + BASES - 1]))
        hashes, place = _kept(numbers.ravel(), one_in)
        begin = start + place % max(numbers.shape[1], 1)
        owner = np.searchsorted(spans.start, begin, side="right") - 1
        inside = begin + BASES <= spans.start[owner] + spans.length[owner]  # no word across two sequences
        found.append((hashes[inside], owner[inside]))
    hashes, owner = (np.concatenate(parts) for parts in zip(*found))
    order = np.argsort(owner, kind="stable")
    return hashes[order], owner[order]


LEAST_OPEN = 30  # codons without a stop: of shorter stretches no word is learned


def open_lengths(
    groups: np.ndarray,  # of the codons that begin at each base, (bases - 2,)
) -> np.ndarray:  # same shape
    "How many codons of the same frame follow each other without a stop, around each codon; 0 for a stop."
    lengths = np.zeros(len(groups), np.int32)
    for frame in range(3):
        codons = groups[frame::3]
        edges = np.concatenate([[-1], np.flatnonzero(codons == STOP), [len(codons)]])
        between = np.diff(edges)  # with the stop that ends the stretch
        lengths[frame::3] = np.repeat(between - 1, between)[: len(codons)] * (codons != STOP)
    return lengths


def is_coding(
    groups: np.ndarray,  # from `group_letters`, (2, bases - 2)
) -> np.ndarray:  # same shape, bool
    "Whether a codon lies in the longest open stretch of the six frames there, and that is long."
    lengths = np.stack([open_lengths(strand) for strand in groups])
    longest = lengths.max(0)
    around = np.pad(longest, 1)
    longest = reduce(np.maximum, [longest, around[:-2], around[2:]])  # the other frames begin a base before and after
    return (lengths >= longest) & (lengths >= LEAST_OPEN)


def coding_sketch(
    codes: np.ndarray,  # base codes of a genome, (bases,)
    one_in: int,  # keep one word in so many
) -> np.ndarray:  # hashes, uint64, the lowest 16 bits 0
    "The words of the genes of a genome with a small hash."
    found = [np.empty(0, np.uint64)]
    for start in range(0, len(codes), _BLOCK):
        groups = group_letters(codes[start : start + _BLOCK + BASES - 1])
        numbers = protein_words(groups)
        middle = BASES // 2
        numbers[~is_coding(groups)[:, middle : middle + numbers.shape[1]]] = -1
        found.append(_kept(numbers.ravel(), one_in)[0])
    return np.concatenate(found)


class ProteinTable:
    "The words of the genes of some records and the class of each, sorted; kept in a file."

    def __init__(self, file: Path, corpus, labels, classes: list[str], one_in: int):
        self.classes, self.one_in = classes, one_in
        if not file.exists():
            entries = [
                np.unique(
                    coding_sketch(mask_low_complexity(corpus.codes(record)), one_in) | np.uint64(classes.index(of))
                )
                for record, of in labels.items()
            ]
            np.save(file, np.unique(np.concatenate(entries)))
        self.entries = np.load(file)

    def matches(self, reads: list) -> np.ndarray:
        "The number of different words of each read that stand in the genes of each class, (reads, classes)."
        hashes, owner = translated_sketch([mask_low_complexity(read) for read in reads], self.one_in)
        asked = np.unique(np.stack([hashes, owner.astype(np.uint64)]), axis=1)
        first = np.searchsorted(self.entries, asked[0])
        counts = np.searchsorted(self.entries, asked[0] | CLASS_MASK, side="right") - first
        found = self.entries[np.repeat(first, counts) + ragged_ranges(counts)] & CLASS_MASK
        cells = np.repeat(asked[1].astype(np.int64), counts) * len(self.classes) + found.astype(np.int64)
        return np.bincount(cells, minlength=len(reads) * len(self.classes)).reshape(len(reads), len(self.classes))
