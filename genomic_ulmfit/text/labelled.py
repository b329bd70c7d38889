import numpy as np
import pandas as pd
import warnings

from genomic_ulmfit.seq.alphabet import decode_bases, encode_bases, fingerprint
from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.seq.records import read_sequences
from genomic_ulmfit.seq.tables import check_splits, read_table


def _sequence_table(source, sequence: str, split: str, *more: str) -> pd.DataFrame:
    "A checked table of sequences; raises `InputError` where a column, the training rows or the validation rows are missing."
    where = "the table" if isinstance(source, pd.DataFrame) else source
    table = read_table(source, [sequence, split, *more]).reset_index(drop=True)
    check_splits(table, where, split)
    for s in ("train", "valid"):
        if not (table[split] == s).any(): raise InputError(where, f"has no rows of the split {s!r}", "Mark some rows, e.g. with sklearn's train_test_split", record=split)
    return table


def table_codes(table: pd.DataFrame, sequence: str = "sequence", where="the table") -> list[np.ndarray]:
    "Base codes of a column of letters; an error names the table and the row."
    out = []
    for row, letters in table[sequence].items():
        try: out.append(encode_bases(letters))
        except (ValueError, TypeError) as e: raise InputError(where, f"column {sequence!r}: {e}", "Give DNA or RNA", record=str(row)) from e
    return out


def labelled_table(fasta, labels, id: str = "id") -> pd.DataFrame:
    "The table of labels with the sequences of a FASTA or FASTQ as the column `sequence`. Raises `InputError` for ids that don't match."
    table = read_table(labels, [id])
    sequences = {r.id: decode_bases(r.codes) for r in read_sequences(fasta, unique_ids=True)}
    where = "the table of labels" if isinstance(labels, pd.DataFrame) else labels
    if table[id].duplicated().any(): raise InputError(where, "this id has two rows", "Keep one", record=table[id][table[id].duplicated()].iloc[0])
    for ids, names, place, lacks in ((table[id], sequences, where, f"is not in {fasta}"), (sequences, set(table[id]), fasta, f"has no row in {where}")):
        for i in ids:
            if i not in names: raise InputError(place, f"this id {lacks}", "Give each sequence one row and each row a sequence", record=i)
    return table.assign(sequence=table[id].map(sequences))


def warn_of_leakage(
    train: list[np.ndarray],  # base codes of the training sequences
    other: list[np.ndarray],  # of the validation or test sequences
) -> int:  # how many of `other` also stand in `train`
    "Count sequences that stand in both, on either strand, and warn where there are any."
    known = {fingerprint(c) for c in train}
    n = sum(fingerprint(c) in known for c in other)
    if n: warnings.warn(f"{n} of {len(other)} held-out sequences (or their reverse complements) also stand in the training split", stacklevel=3)
    return n
