#!/usr/bin/env python3
"""Damaged inputs of every format: each is handled, or refused in one line.

    python scripts/fuzz.py --minutes 60 --seed 1

Valid files are made once; then, again and again, one of them is damaged (cut, a bit flipped, a piece lost, doubled or
put in, a value of JSON changed) and read as the library, or a command, reads it. The table counts what came of it, by
format. It ends with status 1 where an input ended in a traceback, took more than `SLOW` seconds or `MEMORY` bytes, or
where less was read than stands in the file by a count that is made without the library.
"""

import argparse
import copy
import csv
import gzip
import io
import json
import random
import re
import resource
import shlex
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
from Bio import SeqIO
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord

from genomic_ulmfit.all import (
    DNA,
    Classes,
    GenomeCorpus,
    InputError,
    KmerTokenizer,
    LanguageModel,
    LMWindows,
    Predictor,
    Preset,
    Spans,
    WordTable,
    build_words,
    load_model,
    read_agents,
    read_sequences,
    read_table,
    taxonomy_from_table,
)
from genomic_ulmfit.cli.main import main as command_line
from genomic_ulmfit.model.config import ModelConfig, PredictorConfig
from genomic_ulmfit.model.folder import model_folder, read_json
from genomic_ulmfit.nets.awdlstm import language_model
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.taxa.config import taxon_config_from_dict
from genomic_ulmfit.taxa.formats import read_sample
from genomic_ulmfit.taxa.kraken2 import read_kraken2
from genomic_ulmfit.taxa.pairs import read_pairs
from genomic_ulmfit.train.checkpoint import TrainingState

SLOW = 20  # seconds: no input here is large
MEMORY = 2**30  # bytes that reading an input may take, beyond what was taken before
VALUES = [None, True, -1, 0, 1.5, 10**12, "x", "", [], {}, [None], {"a": 1}, float("inf"), "1"]  # for those of JSON


def letters(rng, n):
    return DNA.decode(rng.integers(0, 4, n))


def lineages():
    species = [("Bacillota", "Ab", "Ab one"), ("Bacillota", "Ab", "Ab two"), ("Other", "Cd", "Cd one")]
    return pd.DataFrame(species, columns=["phylum", "genus", "species"])


TREE = taxonomy_from_table(lineages(), ["Ab one", "Ab two", "Cd one"])


def make_files(folder):
    """Valid files of every format."""
    rng = np.random.default_rng(0)
    fasta = "".join(f">r{i} x\n{letters(rng, 70)}\n{letters(rng, 30)}\n" for i in range(8))
    fastq = "".join(f"@r{i}/1 x\n{letters(rng, 60)}\n+\n{'I' * 60}\n" for i in range(8))
    records = [SeqRecord(Seq(letters(rng, 150)), f"g{i}", annotations={"molecule_type": "DNA"}) for i in range(3)]
    (folder / "a.fa").write_text(fasta)
    (folder / "a.fq").write_text(fastq)
    (folder / "b.fq").write_text(fastq.replace("/1", "/2"))
    SeqIO.write(records, folder / "a.gb", "genbank")
    for name in ("a.fa", "a.fq", "a.gb"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    lineages().to_csv(folder / "lineages.tsv", sep="\t", index=False)
    lineages().to_csv(folder / "lineages.csv", index=False)
    (folder / "agents.tsv").write_text("# mine\nagent\ttaxa\tneighbours\none\tAb one\tAb two\n")
    taxid = TREE.nodes["taxid"][TREE.find("Ab one")]
    (folder / "kraken2.txt").write_text(f"C\tr1\t{taxid}\t100\t{taxid}:10 0:3 A:2\nU\tr2\t0\t100\t0:66\n" * 4)
    taxon = {"taxid": 7, "reads": 3, "lineage": ["Ab", "Ab one"]}
    (folder / "sample.json").write_text(json.dumps({"reads": 5, "unclassified": 2, "taxa": [taxon]}))
    state = TrainingState({"seed": 0, "parts": 2}, 1, 3, 2.5, [[1.0, 2.0]])
    (folder / "run").mkdir()
    state.write(folder / "run")
    corpus = GenomeCorpus.build(write_genomes(folder, rng), folder / "corpus", labels=["species"], base=folder)
    build_words(corpus, "species", folder / "words", one_in=1, mask="1" * 10).pack(folder / "packed")
    make_models(folder, corpus)
    shutil.copy(model_folder("bacteria-taxa") / "taxa.json", folder / "taxa.json")
    (folder / "other.json").write_text((folder / "sample.json").read_text())
    rows = [f"{letters(rng, 40)}\t{'ab'[i % 2]}\t{'valid' if i > 11 else 'train'}\n" for i in range(16)]
    (folder / "labelled.tsv").write_text("sequence\tlabel\tsplit\n" + "".join(rows))


def write_genomes(folder, rng):
    """Genomes of three species for training and validation, and their table."""
    rows = [("a.fa", "Ab one", "train"), ("a.gb", "Cd one", "train")]
    for name, split in ((f"{species} {split}.fa", split) for species in TREE.classes for split in ("train", "valid")):
        (folder / name).write_text(f">{name}\n{letters(rng, 400)}\n")
        rows.append((name, name[:6], split))
    table = pd.DataFrame(rows, columns=["file", "species", "split"])
    table.to_csv(folder / "genomes.tsv", sep="\t", index=False)
    return table


CALIBRATE = "calibrate {folder}/network {folder}/corpus --lineages {path} --label species --fast --out {out}"


def make_models(folder, corpus):
    """A language model, a classifier, and a calibrated model of taxa, none of them trained."""
    tokenizer, preset = KmerTokenizer(2, 2), Preset(8, 12, 2)
    LanguageModel(language_model(tokenizer, preset), ModelConfig(preset, tokenizer)).save(folder / "lm")
    config = PredictorConfig(preset, tokenizer, Classes(["a", "b"]))
    Predictor(classifier(tokenizer, preset, 2), config).save(folder / "model")
    config = PredictorConfig(preset, tokenizer, Classes(TREE.classes))
    Predictor(classifier(tokenizer, preset, 3), config).save(folder / "network")
    command(CALIBRATE.replace("{out}", "{folder}/taxa"))(folder / "lineages.tsv")


def lines_of(content):
    """Lines of a text file; blank ones at its end are none."""
    return re.split(rb"\r\n|[\r\n]", content.rstrip())


def size_of_fasta(content):
    """Records and letters of FASTA."""
    lines = [b"".join(line.split()) for line in lines_of(content)]
    headers = [line for line in lines if line.startswith(b">")]
    letters = sum(len(line) for line in lines if not line.startswith(b">"))
    return len(headers), letters


def size_of_fastq(content):
    """Records and letters of FASTQ of four lines a record."""
    lines = lines_of(content)
    return len(lines) / 4, sum(map(len, lines[1::4]))


def size_of_genbank(content):
    """Records and letters of GenBank."""
    records = content.split(b"\nLOCUS")
    sequences = [re.split(rb"\n//", record.partition(b"\nORIGIN")[2])[0].splitlines()[1:] for record in records]
    lines = [line[9:] for sequence in sequences for line in sequence]  # after the number of its first letter
    return len(records), sum(len(re.sub(rb"[^A-Za-z]", b"", line)) for line in lines)


def size_of_tsv(content):
    """Rows of a table without quotation marks that hold something, less its header. Zero bytes hold nothing."""
    lines = re.split(rb"\r\n|[\r\n]", content.replace(b"\0", b""))
    return (len([line for line in lines if line.strip() and not line.startswith(b"#")]) - 1,)


def size_of_csv(content):
    """Rows of a table with quotation marks that hold something, less its header."""
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig").replace("\0", ""), newline=""))
    return (sum(bool("".join(row).strip()) for row in rows) - 1,)


# ending of a file -> what stands in it, counted without the library
SIZES = {".fa": size_of_fasta, ".fq": size_of_fastq, ".gb": size_of_genbank, ".tsv": size_of_tsv, ".csv": size_of_csv}


def size_of(name, content):
    """What stands in a file."""
    plain = gzip.decompress(content) if name.endswith(".gz") else content
    return SIZES[Path(name.removesuffix(".gz")).suffix](plain)


def read_records(path):
    """Records and letters that the library reads."""
    records = list(read_sequences(path))
    return len(records), sum(len(record.codes) for record in records)


def read_mates(path):
    """Read pairs of this file and its first."""
    return (len(list(read_pairs(path.with_name("a.fq"), path))),)


def read_lineages(path):
    """A taxonomy of a table, and its rows that hold something."""
    taxonomy_from_table(path, TREE.classes)
    return (int((read_table(path, ["species"]) != "").any(axis=1).sum()),)


def read_all_agents(path):
    """Rows of a list of agents."""
    return (len(read_agents(path)[0]),)


def read_windows(folder):
    """Open a corpus and take all that is in it."""
    corpus = GenomeCorpus(folder)
    windows = LMWindows(Spans.from_corpus(corpus, "train"), KmerTokenizer(3, 1), bs=4, tokens=20)
    for i in range(len(windows)):
        windows[i]


def read_words(path):
    """Look words up in a table."""
    WordTable(path.parent).matches(["ACGT" * 20])


def lines_written(out):
    """Lines of a file without a header."""
    return (len(out.read_text().splitlines()),)


def rows_written(out):
    """Rows of a table with a header."""
    return (lines_written(out)[0] - 1,)


def corpus_written(out):
    """Records and letters of a corpus; empty records are left out, and counted."""
    records = GenomeCorpus(out).records
    left_out = json.loads((out / "corpus.json").read_text())["empty_records"]
    return len(records) + left_out, int(records["length"].sum())


def command(line, written=None):
    """A command on a file; what it wrote of it."""

    def read(path):
        out, said = path.parent / "out", io.StringIO()
        arguments = shlex.split(line.format(path=path, folder=path.parent, out=out))
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(said):
                status = command_line(arguments)
            if status:
                raise InputError(line, said.getvalue().partition("genomic-ulmfit: ")[2].strip(), "")
            return written(out) if written else ()
        finally:
            for left in path.parent.glob("out*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    return read


LEARN = "--preset nano --k 2 --stride 2 --bs 4 --parts 1 --out {out}"
# file that is damaged -> how it is read, of the path of the file; a tuple is what was read of it
READERS = {
    **{name: read_records for name in ("a.fa", "a.fq", "a.gb", "a.fa.gz", "a.fq.gz", "a.gb.gz")},
    "b.fq": read_mates,
    "lineages.tsv": read_lineages,
    "lineages.csv": read_lineages,
    "agents.tsv": read_all_agents,
    "kraken2.txt": lambda path: list(read_kraken2(path, TREE)),
    "sample.json": read_sample,
    "taxa.json": lambda path: taxon_config_from_dict(read_json(path), path),
    "run/state.json": lambda path: TrainingState.read(path.parent),
    "corpus/bases.bin": lambda path: read_windows(path.parent),
    "corpus/corpus.json": lambda path: read_windows(path.parent),
    "corpus/records.tsv": lambda path: read_windows(path.parent),
    **{name: read_words for name in (
        "words/words.json", "words/starts.bin", "words/classes.bin", "packed/words.json", "packed/words.z")},
    **{f"model/{name}": lambda path: load_model(path.parent, "cpu") for name in ("config.json", "model.safetensors")},
}
# command and file that is damaged -> the same
COMMANDS = {
    "corpus build a.fa": command("corpus build {path} --out {out}", corpus_written),
    "corpus build a.gb.gz": command("corpus build {path} --out {out}", corpus_written),
    "corpus build genomes.tsv": command("corpus build {path} --labels species --out {out}"),
    "corpus check corpus/corpus.json": command("corpus check {folder}"),
    "pretrain corpus/records.tsv": command(f"pretrain {{folder}} --window 16 --tokens 100 {LEARN}"),
    "finetune corpus/bases.bin": command(
        "finetune {folder}/../lm {folder} --window 16 --tokens 100 --parts 1 --bs 4 --out {out}"
    ),
    "train labelled.tsv": command(f"train {{path}} --epochs 1 {LEARN}"),
    "evaluate labelled.tsv": command("evaluate {folder}/model {path} --split valid --json {out}"),
    "predict a.fq": command("predict {folder}/model {path} --fast --out {out}", rows_written),
    "predict model/config.json": command("predict {folder} {folder}/../a.fq --fast --out {out}"),
    "calibrate lineages.tsv": command(CALIBRATE),
    "classify a.fa.gz": command("classify {folder}/taxa {path} --fast --output {out}", lines_written),
    "classify b.fq": command("classify {folder}/taxa {folder}/a.fq {path} --fast --output {out}", lines_written),
    "classify taxa/taxa.json": command("classify {folder} {folder}/../a.fq --fast --output {out}"),
    "screen a.fq": command("screen {folder}/taxa {path} --agents {folder}/agents.tsv --fast --out {out}"),
    "screen agents.tsv": command("screen {folder}/taxa {folder}/a.fa --agents {path} --fast --out {out}"),
    "merge sample.json": command("merge {path} {folder}/other.json --out {out}"),
}


def file_of(name):
    """The file of what is read."""
    return name.split()[-1]


def places_in(value, path=()):
    """The places of all values of JSON."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:5]) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places_in(inner, (*path, key))


def damaged_json(content, rng):
    """JSON with one value changed, lost or added."""
    known = copy.deepcopy(content)
    path = rng.choice(list(places_in(known)))
    if not path:
        return rng.choice(VALUES)
    inner = known
    for key in path[:-1]:
        inner = inner[key]
    if rng.random() < 0.3:
        del inner[path[-1]]
    else:
        inner[path[-1]] = rng.choice(VALUES)
    return known


def damaged_bytes(content, rng):
    """Bytes that were cut, changed, lost, doubled or put in."""
    place = rng.randrange(len(content) + 1)
    end = min(place + rng.choice([1, 2, 7, 60, 500]), len(content))
    way = rng.randrange(6)
    if way == 0:
        return content[:place]
    if way == 1 and place < len(content):
        return content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]
    if way == 2:
        return content[:place] + content[end:]
    if way == 3:
        return content[:end] + content[place:]
    if way == 4:
        return content[:place] + rng.randbytes(end - place) + content[place:]
    return content[:place] + rng.choice([b"\n", b"\t", b'"', b",", b"\0", b"\r\n", b">", b"@", b" "]) + content[place:]


def damage(content, name, rng):
    if name.endswith(".json") and rng.random() < 0.8:
        return json.dumps(damaged_json(json.loads(content), rng)).encode()
    return damaged_bytes(content, rng)


@contextmanager
def limited_memory():
    """Raise `MemoryError` where more than `MEMORY` is taken."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def is_read_whole(file, content, read):
    """Whether what was read is what stands in the file, where that was counted."""
    try:
        return not read or size_of(file, content)[: len(read)] == read
    except (ValueError, OSError, EOFError):
        return False


def outcome(reader, path):
    """What reading a damaged file ends in."""
    start = time.monotonic()
    try:
        with limited_memory():
            read = reader(path)
        counted = read if isinstance(read, tuple) else ()
        ended = "handled" if is_read_whole(path.name, path.read_bytes(), counted) else "lost in silence"
    except InputError as error:
        ended = "more than a line" if "\n" in str(error) else "refused"
    except MemoryError:
        ended = "more than 1 GB"
    except Exception as error:
        ended = f"{type(error).__name__}"  # a traceback, or an error that names no file
    return ended if time.monotonic() - start < SLOW else "hang"


def fuzz(folder, seconds, seed, most=10**9):
    """Counts of outcomes by what is read, and the inputs that ended badly."""
    rng = random.Random(seed)
    ways = READERS | COMMANDS
    whole = {name: (folder / file_of(name)).read_bytes() for name in ways}
    counts, bad = Counter(), []
    end = time.monotonic() + seconds
    while time.monotonic() < end and counts.total() < most:
        name = rng.choice(list(COMMANDS if rng.random() < 0.2 else READERS))
        path = folder / file_of(name)
        content = damage(whole[name], path.name, rng)
        path.write_bytes(content)
        ended = outcome(ways[name], path)
        path.write_bytes(whole[name])
        counts[name, ended] += 1
        if ended not in ("handled", "refused"):
            bad.append((name, ended, content))
    return counts, bad


COLUMNS = ["tried", "refused", "handled", "traceback", "hang", "more than 1 GB", "lost in silence"]


def table_of(counts):
    """A row for all that is read, with a column for each outcome."""
    named = Counter()
    for (name, ended), number in counts.items():
        named[name, ended if ended in COLUMNS else "traceback"] += number
        named[name, "tried"] += number
    table = pd.Series(named).unstack(fill_value=0).reindex(columns=COLUMNS, fill_value=0)
    return pd.concat([table, table.sum().to_frame("all").T])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        make_files(Path(place))
        counts, bad = fuzz(Path(place), 60 * args.minutes, args.seed)
    print(table_of(counts).to_string(), f"seed {args.seed}", sep="\n")
    for name, ended, content in bad[:10]:
        print(name, ended, content[:300], file=sys.stderr)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
