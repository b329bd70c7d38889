from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.seq.records import ReadSummary, read_sequences


def _name(record) -> str:
    "The name without the mark of the mate."
    return _short(record.id)


def _short(name: str) -> str: return name[:-2] if name[-2:] in ("/1", "/2") else name  # without /1 or /2


def read_pairs(first, second=None, summary: ReadSummary | None = None) -> Iterator[tuple]:
    "Records of one file as (record,), of two as (record, mate). Raises `InputError` where two files don't fit each other, or are one."
    if second is None:
        for record in read_sequences(first, summary): yield (record,)
        return
    if Path(first).resolve() == Path(second).resolve(): raise InputError(second, "is paired with itself", "Give the file of the mates")
    for number, (a, b) in enumerate(zip_longest(read_sequences(first, summary), read_sequences(second, summary)), 1):
        if a is None or b is None: raise InputError(first if a is None else second, f"ends before the other file of the pair: {number - 1:,} reads are paired", "Give the two files of one run, not trimmed apart")
        if _name(a) != _name(b): raise InputError(second, f"read {number:,} is {b.id!r}, its mate in the other file {a.id!r}", "Give files with the same reads in the same order")
        yield a, b
