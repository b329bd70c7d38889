from collections.abc import Iterable
from fastcore.basics import patch
from importlib.resources import files
from pathlib import Path
import json
import numpy as np
import pandas as pd
import shutil

from genomic_ulmfit.seq.alphabet import N_CODE, fingerprint
from genomic_ulmfit.seq.errors import InputError, InputNotFoundError
from genomic_ulmfit.seq.files import sha256
from genomic_ulmfit.seq.records import ReadSummary, read_sequences
from genomic_ulmfit.seq.tables import check_splits, read_table


FORMAT = "genomic_ulmfit-corpus/1"


class GenomeCorpus:
    "A built corpus: `bases` (memory map, uint8 codes) and `records` (a row per record with start, length, labels, split)."

    def __init__(
        self,
        path,  # folder made by `GenomeCorpus.build`
    ):
        self.path = Path(path)
        self.info = self._manifest()
        for name in ("bases.bin", "records.tsv"): self._check(name)
        self.records = pd.read_csv(self.path / "records.tsv", sep="\t", keep_default_na=False, dtype={c: str for c in self.labels})
        self.bases = np.memmap(self.path / "bases.bin", np.uint8, "r")

    def _manifest(self) -> dict:
        if not self.path.is_dir(): raise InputNotFoundError(self.path, "no such corpus", "Build it with `genomic-ulmfit corpus build`")
        try: info = json.loads((self.path / "corpus.json").read_text())
        except (OSError, ValueError) as e: raise InputError(self.path, "is not a corpus, or is damaged", "Build it again") from e
        if info.get("format") != FORMAT: raise InputError(self.path, f"has the format {info.get('format')!r}, not {FORMAT}", "Build it again")
        return info

    def _check(self, name: str):
        file, known = self.path / name, self.info["files"][name]
        if not file.exists(): raise InputError(self.path, f"{name} is missing", "Build it again")
        newer = file.stat().st_mtime_ns > (self.path / "corpus.json").stat().st_mtime_ns  # the manifest is written last
        if file.stat().st_size != known["bytes"] or (newer and sha256(file) != known["sha256"]):
            raise InputError(file, "was changed after the corpus was built", "Build it again")

    @property
    def labels(self) -> list[str]:
        "Names of the label columns."
        return self.info["labels"]

    @property
    def splits(self) -> dict[str, int]:
        "Bases in each split."
        return self.records.groupby("split")["length"].sum().to_dict()

    def __len__(self): return len(self.records)

    def __repr__(self):
        splits = ", ".join(f"{s} {n / 1e6:,.1f} Mbp" for s, n in self.splits.items())
        return f"GenomeCorpus({self.path.name}: {len(self):,} records, {len(self.bases) / 1e6:,.1f} Mbp; {splits})"

    def codes(
        self,
        record: int,  # row of `records`
    ) -> np.ndarray:  # base codes, read when touched
        "The bases of a record."
        row = self.records.iloc[record]
        return self.bases[row.start : row.start + row.length]

    def split(
        self,
        name: str,  # train, valid, test, …
    ) -> pd.DataFrame:  # the rows of `records` in that split
        "The records of a split. Raises `InputError` where there are none."
        rows = self.records[self.records["split"] == name]
        more = "; build it with some genomes in the split valid, or with --hold-out 10" if name == "valid" else ""
        if not len(rows): raise InputError(self.path, f"has no records in the split {name!r}", f"It has: {', '.join(self.splits)}{more}")
        return rows


class _Writer:
    "Appends records to a corpus that is being built, and refuses what must not be in it."

    def __init__(self, stream): self.stream, self.rows, self.split_of, self.at, self.repeated = stream, [], {}, 0, 0

    def add(self, file, record, labels: dict, split: str):
        digest = fingerprint(record.codes)
        if digest in self.split_of:
            other_split, other = self.split_of[digest]
            if other_split != split:
                raise InputError(file, f"same sequence as {other} in the split {other_split!r}, but this is {split!r}",
                                 "A sequence must be in one split; remove one of the two", record=record.id)
            self.repeated += 1
        self.split_of[digest] = split, f"{Path(file).name}:{record.id}"
        record.codes.tofile(self.stream)
        n, other = len(record.codes), int(np.count_nonzero(record.codes == N_CODE))
        self.rows.append({"file": Path(file).name, "record": record.id, "start": self.at, "length": n, "ambiguous": other, **labels, "split": split})
        self.at += n


def _file_table(source, base: Path | None) -> pd.DataFrame:
    "One row per file with existing paths, splits checked."
    if isinstance(source, (str, Path)) and Path(source).suffix in (".tsv", ".csv"): base = base or Path(source).parent
    if isinstance(source, (str, Path)) and Path(source).suffix not in (".tsv", ".csv"): source = [source]
    if isinstance(source, (list, tuple)): source = pd.DataFrame({"file": [str(s) for s in source]})
    table = read_table(source, ["file"])
    if "split" not in table: table["split"] = "train"
    check_splits(table)
    mixed = table.groupby("file")["split"].nunique()
    if (mixed > 1).any(): raise InputError(mixed.idxmax(), "stands in more than one split", "Splits are by genome: give each file one split")
    table["path"] = [str(Path(base or ".") / f) for f in table["file"]]
    return table.drop_duplicates("file")


@patch(cls_method=True)
def build(
    cls: GenomeCorpus,
    source,  # sequence files, or a table (DataFrame, TSV, CSV) with the column `file` and, if wanted, `split` and labels
    out,  # folder to make
    labels: Iterable[str] = (),  # columns of the table to keep as labels
    base: str | Path | None = None,  # folder that the table's paths are relative to; a table file's own folder unless given
    hold_out: int = 0,  # every so many-th record of a train file goes to `valid`: to watch a training where no genome can be spared
    overwrite: bool = False,  # replace an existing corpus
    progress=lambda files: files,  # wraps the list of files, e.g. `fastprogress.progress_bar`
) -> "GenomeCorpus":
    "Stream sequence files into a corpus. Raises `InputError` for bad files, mixed splits, a full disk or an existing `out`."
    table, out, labels = _file_table(source, base), Path(out), list(labels)
    for label in labels:
        if label not in table: raise InputError(source if isinstance(source, (str, Path)) else "the table", f"has no column {label!r}", f"Its columns are: {', '.join(table.columns)}")
    if out.exists() and not (overwrite and (out / "corpus.json").exists()):
        raise InputError(out, "exists already", "Choose another folder, or replace a corpus with overwrite (--overwrite)")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(partial, table, labels, hold_out, progress)
        if out.exists(): shutil.rmtree(out)
        partial.rename(out)
    except BaseException as e:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(e, OSError) and not isinstance(e, InputError):
            raise InputError(out, f"cannot be written ({e.strerror or e})", "Free some space or choose another place") from e
        raise
    return cls(out)


def _write(folder: Path, table: pd.DataFrame, labels: list, hold_out: int, progress):
    summary = ReadSummary()
    with open(folder / "bases.bin", "wb") as stream:
        writer = _Writer(stream)
        for row in progress(table.to_dict("records")):
            for i, record in enumerate(read_sequences(row["path"], summary, unique_ids=True)):
                if not len(record.codes): continue
                held = hold_out and row["split"] == "train" and i % hold_out == hold_out - 1
                writer.add(row["file"], record, {c: row[c] for c in labels}, "valid" if held else row["split"])
    if not writer.at: raise InputError(table["path"].iloc[0], "there is not a single base in the input", "Give files with sequence in them")
    pd.DataFrame(writer.rows).to_csv(folder / "records.tsv", sep="\t", index=False)
    info = {
        "format": FORMAT, "labels": labels, "records": len(writer.rows), "empty_records": summary.empty, "repeated_records": writer.repeated,
        "bases": summary.bases, "ambiguous": summary.ambiguous, "only_ambiguous_records": summary.all_ambiguous,
        "files": {n: {"bytes": (folder / n).stat().st_size, "sha256": sha256(folder / n)} for n in ("bases.bin", "records.tsv")},
        "sources": [{"file": r["file"], "split": r["split"], "sha256": sha256(r["path"])} for r in table.to_dict("records")],
    }
    (folder / "corpus.json").write_text(json.dumps(info, indent=1))


SAMPLE = Path(str(files("genomic_ulmfit"))) / "sample"  # folder with `genomes.tsv` and the FASTA files
