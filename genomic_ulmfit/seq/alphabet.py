import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

INVALID = 255


@dataclass(frozen=True)
class Alphabet:
    "The letters of a kind of sequence and their codes: letter i has the code i, then come unknown and padding."

    name: str  # in manifests and configurations
    letters: str  # in the order of their codes
    unknown_letter: str  # how the code `unknown` is written
    others: str  # further letters that are read as unknown
    spellings: tuple = ()  # pairs (written, read as), such as ("U", "T")
    pairs: str | None = None  # the complement of each letter; None where there is no other strand
    letter_name: str = "letter"  # what people call one: base, residue
    material: str = "sequences"  # what to give where something else was given

    def __len__(self): return len(self.letters)

    @property
    def unknown(self) -> int: return len(self.letters)

    @property
    def padding(self) -> int: return len(self.letters) + 1

    @property
    def has_strands(self) -> bool: return self.pairs is not None

    @cached_property
    def _codes(self) -> bytes:
        table = bytearray([INVALID]) * 256
        known = {letter: code for code, letter in enumerate(self.letters)}
        known |= {letter: self.unknown for letter in self.others + self.unknown_letter}
        known |= {written: known[read] for written, read in self.spellings}
        for letter, code in known.items():
            table[ord(letter.upper())] = code
            table[ord(letter.lower())] = code
        return bytes(table)

    def translate(self, sequence: str | bytes) -> bytes:
        raw = sequence.encode("ascii", "replace") if isinstance(sequence, str) else sequence
        codes = raw.translate(self._codes)
        at = codes.find(INVALID)
        if at >= 0: raise ValueError(f"letter {chr(raw[at])!r} at position {at + 1} is not a {self.letter_name} code")
        return codes

    def encode(self, sequence: str | bytes) -> np.ndarray:
        return np.frombuffer(self.translate(sequence), np.uint8).copy()

    def decode(self, codes) -> str:
        codes = np.asarray(codes, np.uint8)
        letters = np.frombuffer((self.letters + self.unknown_letter).encode(), np.uint8)
        return letters[codes[codes != self.padding]].tobytes().decode()

    @cached_property
    def complements(self) -> np.ndarray:
        "code -> code of the paired letter, (len + 2,) uint8"
        if not self.has_strands: raise ValueError(f"{self.name} has no other strand")
        return np.array([*(self.letters.index(p) for p in self.pairs), self.unknown, self.padding], np.uint8)

    def reverse_complement(self, codes: np.ndarray) -> np.ndarray:
        return self.complements[codes[..., ::-1]]

    def fingerprint(self, codes: np.ndarray) -> str:
        strands = (codes, self.reverse_complement(codes)) if self.has_strands else (codes,)
        return min(hashlib.blake2b(c.tobytes(), digest_size=16).hexdigest() for c in strands)


DNA = Alphabet("dna", "ACGT", "N", "RYSWKMBDHVX-.", (("U", "T"),), "TGCA", "nucleotide", "DNA or RNA")
PROTEIN = Alphabet("protein", "ACDEFGHIKLMNPQRSTVWY", "X", "BZJUO*", (), None, "amino-acid", "protein sequences")
ALPHABETS = {alphabet.name: alphabet for alphabet in (DNA, PROTEIN)}

# to go: the names of old, until their users ask an alphabet
BASES, N_CODE, PAD_CODE = "ACGTN", 4, 5
_COMPLEMENT = np.array([3, 2, 1, 0, 4, 5], np.uint8)
_translate = DNA.translate


def encode_bases(sequence): return DNA.encode(sequence)
def decode_bases(codes): return DNA.decode(codes)
def reverse_complement(codes): return DNA.reverse_complement(codes)
def fingerprint(codes): return DNA.fingerprint(codes)
