from Bio import SeqIO
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from xopen import xopen
import dnaio
import io
import numpy as np
import sys
import zlib

from genomic_ulmfit.seq.alphabet import N_CODE, _translate
from genomic_ulmfit.seq.errors import InputError, InputNotFoundError


class SequenceRecord(NamedTuple):
    "One sequence of a file."

    id: str  # header up to the first white space
    description: str  # the rest of the header
    codes: np.ndarray  # base codes, (length,) uint8


@dataclass
class ReadSummary:
    "What a pass over sequence files has seen."

    files: int = 0  # files opened
    records: int = 0  # records, empty ones included
    empty: int = 0  # records without a single base
    bases: int = 0  # letters in all
    ambiguous: int = 0  # letters other than A, C, G, T, U
    all_ambiguous: list = field(default_factory=list)  # first ids of records that hold only N or other codes

    def add(self, records: list, codes: bytes):
        "Count records (with `name` and `sequence`), whose base codes lie one after the other."
        ambiguous = codes.count(N_CODE)
        self.records += len(records)
        self.bases += len(codes)
        self.ambiguous += ambiguous
        self.empty += sum(not r.sequence for r in records)
        if not ambiguous: return
        end = 0
        for r in records:
            start, end = end, end + len(r.sequence)
            if start < end and len(self.all_ambiguous) < 10 and codes.count(N_CODE, start, end) == end - start: self.all_ambiguous.append(r.name.partition(" ")[0])

    def __str__(self):
        text = f"{self.records:,} records, {self.bases:,} bases"
        if self.ambiguous: text += f", {self.ambiguous:,} of them ambiguous (N or IUPAC codes)"
        if self.empty: text += f", {self.empty:,} records empty"
        if self.all_ambiguous: text += f", without any A, C, G or T: {', '.join(self.all_ambiguous)}"
        return text


def _open(path):
    "A binary stream of the (decompressed) file at `path`, `-` for standard input."
    if str(path) == "-": return xopen(sys.stdin.buffer, "rb", threads=0)
    p = Path(path)
    if not p.exists(): raise InputNotFoundError(p, "no such file", "Check the path")
    if p.is_dir(): raise InputError(p, "is a directory", "Name the sequence files in it")
    try:
        with p.open("rb") as f: magic = f.read(2)
    except OSError as e: raise InputError(p, f"cannot be read ({e.strerror})", "Check its permissions") from e
    if not magic: raise InputError(p, "is empty", "Check that the download or copy was complete")
    if p.suffix == ".gz" and magic != b"\x1f\x8b":
        raise InputError(p, "is named .gz but is not gzip", "Fetch it again, or rename it if it is plain text")
    return xopen(p, "rb", threads=1)  # decompressed ahead by a second thread


def _sniff(stream) -> str:
    "The format of an open stream by its first letters, without consuming them."
    head = stream.peek(64)[:64].lstrip()
    for start, name in ((b">", "fasta"), (b"@", "fastq"), (b"LOCUS", "genbank")):
        if head.startswith(start): return name
    return ""


def _dnaio_records(stream, kind):
    with dnaio.open(stream, fileformat=kind, open_threads=0) as reader: yield from reader


def _genbank_records(stream, _):
    text = io.TextIOWrapper(stream, "ascii", errors="replace")
    for r in SeqIO.parse(text, "genbank"): yield dnaio.SequenceRecord(f"{r.id} {r.description}", str(r.seq))


_READERS = {"fasta": (_dnaio_records, 4), "fastq": (_dnaio_records, 500), "genbank": (_genbank_records, 1)}  # and the records of a block


def read_sequences(
    path,  # FASTA, FASTQ or GenBank file, plain or gzip; `-` reads standard input
    summary: ReadSummary | None = None,  # counts are added to it
    unique_ids: bool = False,  # refuse a second record with the same id (holds the ids in memory)
) -> Iterator[SequenceRecord]:  # records in file order
    """Stream the records of a sequence file.

    Raises `InputNotFoundError` for a missing file and `InputError` for an empty, truncated, binary or protein file, for
    malformed FASTQ, and for repeated ids where `unique_ids`. Formats: FASTA (Pearson & Lipman 1988), FASTQ (Cock et al.
    2010), GenBank flat file.
    """
    seen, last = set(), None
    summary = ReadSummary() if summary is None else summary
    try:
        with _open(path) as stream:
            summary.files += 1
            kind = _sniff(stream)
            if not stream.peek(1): raise InputError(path, "is empty", "Check that the download or copy was complete")
            if not kind:
                raise InputError(path, "is neither FASTA, FASTQ nor GenBank", "Give a nucleotide sequence file, plain or .gz")
            reader, size = _READERS[kind]
            for block in _blocks(reader(stream, kind), size):
                for parsed, codes in zip(block, _encode_block(path, block, summary)):
                    last, _, description = parsed.name.partition(" ")
                    if unique_ids:
                        if last in seen: raise InputError(path, "this id occurs twice", "Make the record ids unique", record=last)
                        seen.add(last)
                    yield SequenceRecord(last, description, codes)
    except (dnaio.FileFormatError, EOFError, OSError, zlib.error, ValueError) as e:
        if isinstance(e, InputError) or (isinstance(e, ValueError) and not isinstance(e, dnaio.FileFormatError)): raise
        problem, remedy = _parser_problem(e)
        raise InputError(path, f"{problem}, after the record {last!r}" if last else problem, remedy) from e


def _blocks(records: Iterator, size: int) -> Iterator[list]:
    "Records in lists of `size`; an error of the parser comes after the records before it."
    while True:
        block = []
        try: block.extend(islice(records, size))
        except Exception:
            yield block
            raise
        if not block: return
        yield block


def _encode_block(path, block: list, summary: ReadSummary) -> Iterator[np.ndarray]:
    "Base codes of the records of a block, translated together: most reads are too short to be worth a call of their own."
    letters = [r.sequence for r in block]
    try: codes = _translate("".join(letters))
    except ValueError as e:
        if len(block) == 1: raise InputError(path, f"{e} (a protein?)", "Give DNA or RNA", record=block[0].name.partition(" ")[0]) from e
        for one in block: yield from _encode_block(path, [one], summary)
        return
    summary.add(block, codes)
    codes, end = np.frombuffer(codes, np.uint8), 0
    for text in letters:
        start, end = end, end + len(text)
        yield codes[start:end].copy()


def _parser_problem(e: Exception) -> tuple[str, str]:
    "What to say for an error of the decompressor or the parser: the problem and the remedy."
    if isinstance(e, dnaio.FileFormatError): return f"is malformed ({' '.join(str(e).split())})", "Repair or re-export the file"
    return f"ends too early or is damaged ({e or type(e).__name__})", "Fetch the file again"
