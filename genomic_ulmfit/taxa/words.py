from collections.abc import Iterable
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
import json
import lzma
import numpy as np
import shutil

from genomic_ulmfit.seq.errors import InputError, InputNotFoundError
from genomic_ulmfit.seq.files import sha256
from genomic_ulmfit.seq.tables import label_numbers
from genomic_ulmfit.text.corpus import GenomeCorpus
from genomic_ulmfit.text.spans import Spans


SPACED = "11011011011011011011011011011"  # every third base left out; 20 bases are looked at


def word_numbers(
    codes: np.ndarray,  # base codes, last dimension is the position
    mask: str = SPACED,  # a palindrome of 0 and 1
) -> np.ndarray:  # (…, positions - len(mask) + 1) int64, the same on both strands; -1 where a base is none of A, C, G, T
    "The numbers of the words at all positions. Raises `ValueError` for a mask that isn't one."
    at = [i for i, m in enumerate(mask) if m == "1"]
    if set(mask) - {"0", "1"} or mask != mask[::-1] or len(at) % 2 or not 2 <= len(at) <= 30 or mask[:1] != "1":
        raise ValueError(f"{mask!r} is no mask: give 0 and 1, the same from both ends, beginning with 1, with an even number of up to 30 ones")
    n = max(codes.shape[-1] - len(mask) + 1, 0)
    paired, unknown = (3 - codes).astype(np.int8), codes > 3
    x, y, other = (np.zeros((*codes.shape[:-1], n), t) for t in (np.int32, np.int32, bool))
    for i, j in zip(at[: len(at) // 2], at[::-1]):
        for half, bases, k in ((x, codes, i), (y, paired, j)):
            half <<= 2
            half += bases[..., k : k + n]
            other |= unknown[..., k : k + n]
    high = np.maximum(x, y).astype(np.int64)
    numbers = high * (high + 1) // 2 + np.minimum(x, y)
    numbers[other] = -1
    return numbers


SMALL = 64  # one word in so many makes a table that travels


SKETCH = 16  # one 14-base word in so many is in the sketch of a read


_CLASS = 16  # bits of the class in an entry of a table


def _hashed(numbers: np.ndarray) -> np.ndarray:
    "Well mixed 64-bit hashes (the finaliser of SplitMix64, Steele et al. 2014)."
    h = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


def sketch(
    sequences: Iterable,  # letters or base codes
    mask: str = "1" * 14,
    one_in: int = SKETCH,  # keep one word in so many
) -> tuple[np.ndarray, np.ndarray]:  # their hashes, uint64, spread over 0 to 2^64, the last 16 bits 0; the sequence of each
    "The words with a small hash, in order."
    spans, found, step = Spans.from_sequences(sequences), [], 1 << 20
    for a in range(0, len(spans.codes), step):
        numbers = word_numbers(spans.codes[a : a + step + len(mask) - 1], mask)
        hashes = _hashed(numbers)
        kept = np.flatnonzero((numbers >= 0) & (hashes < np.uint64(2**64 // one_in)))
        owner = np.searchsorted(spans.start, a + kept, side="right") - 1
        inside = a + kept + len(mask) <= spans.start[owner] + spans.length[owner]  # no word across two sequences
        found.append(((hashes[kept] * np.uint64(one_in))[inside] >> np.uint64(_CLASS) << np.uint64(_CLASS), owner[inside]))
    return tuple(np.concatenate(part) for part in zip(*found)) if found else (np.empty(0, np.uint64), np.empty(0, np.int64))


class WordTable:
    "The words of each class: mapped from disk as `build_words` made it, or unpacked as `pack` did."

    def __init__(
        self,
        folder,  # made by `build_words` or `pack`
    ):
        self.folder = Path(folder)
        if not (self.folder / "words.json").is_file(): raise InputNotFoundError(self.folder, "no such table of words", "Build it with `build_words`")
        self.info = json.loads((self.folder / "words.json").read_text())
        self.mask, self.one_in, self.classes = self.info["mask"], self.info["one_in"], self.info["classes"]
        self.table = self._packed() if self.info.get("packed") else self._mapped()
        self._beside = np.uint64(2**32 - 1 if self.info.get("packed") else 2**_CLASS - 1)  # the bits that are no hash

    def _mapped(self) -> np.ndarray:
        file = self.folder / "words.bin"
        if not file.is_file() or file.stat().st_size != 8 * self.info["words"]: raise InputError(file, "is missing, or not the file that was built", "Build the table again")
        return np.memmap(file, np.uint64, "r") if self.info["words"] else np.empty(0, np.uint64)

    def _packed(self) -> np.ndarray:
        file = self.folder / "words.xz"
        if not file.is_file() or sha256(file) != self.info["packed"]: raise InputError(file, "is missing, or not the file that was packed", "Pack the table again")
        planes = np.frombuffer(lzma.decompress(file.read_bytes()), np.uint8).reshape(6, -1)
        steps, classes = (np.ascontiguousarray(p.T).view(t)[:, 0] for p, t in ((planes[:4], "<u4"), (planes[4:], "<u2")))
        return np.cumsum(steps, dtype=np.uint64) << np.uint64(32) | classes

    def __repr__(self): return f"WordTable(one in {self.one_in} words of {self.mask.count('1')} bases, {len(self.classes)} classes, {self.table.nbytes / 1e6:,.0f} MB)"

    def pack(
        self,
        folder,  # to make
    ) -> "WordTable":
        "Write the table with hashes of 32 bits, compressed. Raises `InputError` for a folder that exists."
        folder = Path(folder)
        if folder.exists(): raise InputError(folder, "exists already", "Choose another folder, or remove it")
        folder.mkdir(parents=True)
        steps = np.diff(self.table >> np.uint64(32), prepend=np.uint64(0)).astype("<u4")
        classes = (self.table & np.uint64(2**_CLASS - 1)).astype("<u2")
        planes = np.concatenate([x[:, None].view(np.uint8).T for x in (steps, classes)])  # first bytes together, second bytes together, …
        (folder / "words.xz").write_bytes(lzma.compress(planes.tobytes(), filters=[{"id": lzma.FILTER_LZMA2, "lc": 0, "lp": 0, "pb": 0}]))
        (folder / "words.json").write_text(json.dumps(self.info | {"packed": sha256(folder / "words.xz")}, indent=1))
        return WordTable(folder)

    def _entries(self, hashes: np.ndarray, first: np.ndarray) -> np.ndarray:
        "How many entries each hash has from its first on: few, so a walk is faster than a search for the last."
        n, on = np.zeros(len(hashes), np.int64), np.flatnonzero(first < len(self.table))
        while len(on):
            at = first[on] + n[on]
            on = on[(at < len(self.table)) & (self.table[np.minimum(at, len(self.table) - 1)] & ~self._beside == hashes[on])]
            n[on] += 1
        return n

    def matches(
        self,
        sequences: Iterable,  # letters or base codes
    ) -> tuple[np.ndarray, np.ndarray]:  # words that each class holds, (sequences, classes) int64; words looked up, (sequences,)
        "Count the different words of each sequence that stand in the genomes of each class."
        sequences = list(sequences)
        hashes, owner = sketch(sequences, self.mask, self.one_in)
        order = np.lexsort((owner, hashes))  # by hash: neighbours are then searched for in neighbouring pages
        hashes, owner = hashes[order], owner[order]
        new = np.append(True, (np.diff(hashes) != 0) | (np.diff(owner) != 0))[: len(hashes)]
        hashes, owner = hashes[new] & ~self._beside, owner[new]
        first, shape = np.searchsorted(self.table, hashes), (len(sequences), len(self.classes))
        n = self._entries(hashes, first)
        entries = np.repeat(first - np.cumsum(n) + n, n) + np.arange(n.sum())
        classes = (self.table[entries] & np.uint64(2**_CLASS - 1)).astype(np.int64)
        return np.bincount(np.repeat(owner, n) * shape[1] + classes, minlength=shape[0] * shape[1]).reshape(shape), np.bincount(owner, minlength=shape[0])


_PARTS = 64  # files that the entries are sorted in, one at a time


def _build(folder: Path, corpus: GenomeCorpus, label: str, classes: Sequence[str], mask: str, one_in: int, split: str):
    rows = corpus.split(split)
    y = label_numbers(rows[label].to_numpy(), classes, f"{corpus.path}, split {split!r}")
    if missing := sorted(set(range(len(classes))) - set(y.tolist())): raise InputError(corpus.path, f"has no sequence of {classes[missing[0]]!r} in the split {split!r}", "Every class needs a genome")
    parts, edges = [folder / f"part{i}" for i in range(_PARTS)], np.arange(1, _PARTS, dtype=np.uint64) * np.uint64(2**64 // _PARTS)
    with ExitStack() as stack:
        streams = [stack.enter_context(open(part, "wb")) for part in parts]
        for record, c in zip(rows.index, y):
            entries = np.unique(sketch([corpus.codes(record)], mask, one_in)[0] | np.uint64(c))
            for stream, some in zip(streams, np.split(entries, np.searchsorted(entries, edges))): some.tofile(stream)
    words = 0
    with open(folder / "words.bin", "wb") as stream:
        for part in parts:
            entries = np.unique(np.fromfile(part, np.uint64))
            words += len(entries)
            entries.tofile(stream)
            part.unlink()
    (folder / "words.json").write_text(json.dumps({"mask": mask, "one_in": one_in, "words": words, "classes": list(classes), "label": label, "corpus_sha256": corpus.info["files"]["bases.bin"]["sha256"]}, indent=1))


def build_words(
    corpus: GenomeCorpus,
    label: str,  # label column
    folder,  # to make; it takes about 8 / one_in bytes for each base of the genomes, and twice that while it is made
    classes: Sequence[str] | None = None,  # the classes in order; those of the split, sorted, unless given
    one_in: int = 4,  # keep one word in so many
    mask: str = SPACED,  # a palindrome of 0 and 1
    split: str = "train",  # whose genomes to learn
) -> WordTable:
    "Collect the words of genomes by class. Raises `InputError` for a folder that exists, a class without a genome, and a full disk."
    folder = Path(folder)
    if folder.exists(): raise InputError(folder, "exists already", "Choose another folder, or remove it")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _build(partial, corpus, label, classes or sorted(corpus.split(split)[label].unique()), mask, one_in, split)
        partial.rename(folder)
    except OSError as e:
        if isinstance(e, InputError): raise
        raise InputError(folder, f"cannot be written ({e.strerror or e})", "Free some space or choose another place") from e
    finally: shutil.rmtree(partial, ignore_errors=True)
    return WordTable(folder)
