from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
import json
import numpy as np
import pandas as pd

from genomic_ulmfit.seq.errors import InputError, InputNotFoundError
from genomic_ulmfit.seq.files import _written
from genomic_ulmfit.seq.records import ReadSummary
from genomic_ulmfit.taxa.model import Judged, TaxonModel
from genomic_ulmfit.taxa.pairs import _name, read_pairs
from genomic_ulmfit.taxa.sample import Sample
from genomic_ulmfit.taxa.taxonomy import RANKS, Taxonomy


def kraken_lines(tree: Taxonomy, pairs: Sequence[tuple], judged: Judged) -> Iterator[str]:
    "Kraken's line for each read."
    taxid = tree.nodes["taxid"].to_numpy()
    for mates, row, calls in zip(pairs, judged.row, judged.calls):
        length = "|".join(str(len(r.codes)) for r in mates)
        yield f"{'U' if row < 0 else 'C'}\t{_name(mates[0])}\t{taxid[row] if row >= 0 else 0}\t{length}\t{' |:| '.join(_runs(taxid[tree.rows[c]]) for c in calls)}\n"


def _runs(taxids: np.ndarray) -> str:
    "Equal neighbours together: `1392:3 1396:1`."
    return " ".join(f"{t}:{len(list(same))}" for t, same in groupby(taxids.tolist()))


def read_frame(tree: Taxonomy, pairs: Sequence[tuple], judged: Judged) -> pd.DataFrame:
    "A row per read: its taxon and confidence, and the most probable taxon of each rank with its probability."
    nodes, row = tree.nodes, judged.row
    known = lambda column: np.where(row >= 0, nodes[column].to_numpy()[np.maximum(row, 0)], None)
    found = {"read": [_name(m[0]) for m in pairs], "length": [sum(len(r.codes) for r in m) for m in pairs], "taxid": np.where(row >= 0, nodes["taxid"].to_numpy()[np.maximum(row, 0)], 0), "name": known("name"), "rank": known("rank"), "confidence": judged.confidence}
    for rank in RANKS:
        at = np.flatnonzero(nodes["rank"] == rank)
        if len(at): found |= {rank: nodes["name"].to_numpy()[at[judged.probs[:, at].argmax(1)]], f"{rank}_probability": judged.probs[:, at].max(1)}
    return pd.DataFrame(found)


@contextmanager
def _parquet(path):
    "A function that appends a table to a Parquet file."
    try: import pyarrow as pa, pyarrow.parquet as pq  # noqa: E401
    except ImportError as e: raise InputError(path, "needs pyarrow", "pip install 'genomic_ulmfit[parquet]'") from e
    writer = None
    def append(frame: pd.DataFrame):
        nonlocal writer
        part = pa.Table.from_pandas(frame, schema=writer and writer.schema, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
    try: yield append
    finally:
        if writer: writer.close()


def classify_files(
    model: TaxonModel,
    first,  # FASTA or FASTQ, plain or gzip; `-` for standard input
    second=None,  # the mates, in the same order
    report=None,  # Kraken's report to write
    output=None,  # Kraken's line per read to write
    table=None,  # Parquet with a row per read to write
    threshold: float | None = None,  # the model's unless given
    overlaps: bool = False,  # keep words of the reads for `Sample.overlaps`, which `screen_sample` asks for
    **kwargs,  # of `TaxonModel.classify`, such as `kraken2`
) -> tuple[Sample, ReadSummary]:
    "Classify the reads of a file, or of a pair of files. Raises `InputError` for bad files, and where there are no reads."
    sample, summary = Sample(model.tree), ReadSummary()
    with ExitStack() as stack:
        lines = stack.enter_context(open(stack.enter_context(_written(output)), "w")) if output else None
        append = stack.enter_context(_parquet(stack.enter_context(_written(table)))) if table else None
        for pairs, judged in model.classify(read_pairs(first, second, summary), threshold, **kwargs):
            sample.add(judged, [tuple(r.codes for r in mates) for mates in pairs] if overlaps else None)
            if lines: lines.writelines(kraken_lines(model.tree, pairs, judged))
            if append: append(read_frame(model.tree, pairs, judged))
        if not sample.reads: raise InputError(first, "holds no reads", "Check that the file is complete")
        if report:
            with _written(report) as path: path.write_text(sample.kreport())
    return sample, summary


def merge_samples(
    files: dict,  # sample -> JSON written by `classify --json`, or a dict of `Sample.to_dict`
    path,  # BIOM file to write
):
    "Write the reads given to each taxon itself, samples in columns, lineages as metadata; unclassified reads have the id 0. Raises `InputError` for a file that isn't such JSON."
    try: import biom, h5py  # noqa: E401
    except ImportError as e: raise InputError(path, "needs biom-format", "pip install 'genomic_ulmfit[biom]'") from e
    counts, lineages = {}, {0: ["unclassified"]}
    for name, file in files.items():
        held = file if isinstance(file, dict) else _sample_json(file)
        lineages |= {t["taxid"]: t["lineage"] for t in held["taxa"]}
        counts[name] = {0: held["unclassified"]} | {t["taxid"]: t["reads"] for t in held["taxa"]}
    table = pd.DataFrame(counts).fillna(0)
    made = biom.Table(table.to_numpy(float), [str(t) for t in table.index], list(table), [{"taxonomy": lineages[t]} for t in table.index], type="Taxon table")
    with _written(path) as partial, h5py.File(partial, "w") as stream: made.to_hdf5(stream, "genomic-ulmfit")


def _sample_json(file) -> dict:
    "What `classify --json` wrote."
    file = Path(file)
    if not file.is_file(): raise InputNotFoundError(file, "no such file", "Give the files that `genomic-ulmfit classify --json` wrote")
    try: held = json.loads(file.read_text())
    except ValueError: held = None
    if not isinstance(held, dict) or not {"reads", "unclassified", "taxa"} <= set(held): raise InputError(file, "is not the JSON of a sample", "Give the files that `genomic-ulmfit classify --json` wrote")
    return held
