#!/usr/bin/env python3
"""Damaged inputs of every format: each is handled, or refused in one line.

    python scripts/fuzz.py --minutes 60 --seed 1

Valid files are made once; then, again and again, one of them is damaged (cut, a bit flipped, a piece lost, doubled or
put in, a value of JSON changed) and read as the library reads it. The table counts what came of it, by format. It ends
with status 1 where an input ended in a traceback, or took longer than `SLOW` seconds.
"""

import argparse
import copy
import gzip
import json
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
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
from genomic_ulmfit.model.config import PredictorConfig
from genomic_ulmfit.model.folder import model_folder, read_json
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.taxa.config import taxon_config_from_dict
from genomic_ulmfit.taxa.formats import read_sample
from genomic_ulmfit.taxa.kraken2 import read_kraken2
from genomic_ulmfit.taxa.pairs import read_pairs
from genomic_ulmfit.train.checkpoint import TrainingState

SLOW = 20  # seconds: no input here is large
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
    rows = pd.DataFrame({"file": ["a.fa", "a.gb"], "species": ["Ab one", "Cd one"], "split": "train"})
    corpus = GenomeCorpus.build(rows, folder / "corpus", labels=["species"], base=folder)
    build_words(corpus, "species", folder / "words", one_in=1, mask="1" * 10).pack(folder / "packed")
    tokenizer, preset = KmerTokenizer(2, 2), Preset(8, 12, 2)
    config = PredictorConfig(preset, tokenizer, Classes(["a", "b"]))
    Predictor(classifier(tokenizer, preset, 2), config).save(folder / "model")
    shutil.copy(model_folder("bacteria-taxa") / "taxa.json", folder / "taxa.json")


def read_windows(folder):
    """Open a corpus and take all that is in it."""
    corpus = GenomeCorpus(folder)
    windows = LMWindows(Spans.from_corpus(corpus, "train"), KmerTokenizer(3, 1), bs=4, tokens=20)
    return [windows[i] for i in range(len(windows))]


def read_words(path):
    """Look words up in a table."""
    return WordTable(path.parent).matches(["ACGT" * 20])


def read_all(path):
    return list(read_sequences(path))


# file that is damaged -> how it is read, of the path of the file
READERS = {
    **{name: read_all for name in ("a.fa", "a.fq", "a.gb", "a.fa.gz", "a.fq.gz", "a.gb.gz")},
    "b.fq": lambda path: list(read_pairs(path.with_name("a.fq"), path)),
    "lineages.tsv": lambda path: taxonomy_from_table(path, ["Ab one", "Ab two", "Cd one"]),
    "lineages.csv": lambda path: read_table(path, ["species"]),
    "agents.tsv": read_agents,
    "kraken2.txt": lambda path: list(read_kraken2(path, TREE)),
    "sample.json": read_sample,
    "taxa.json": lambda path: taxon_config_from_dict(read_json(path), path),
    "run/state.json": lambda path: TrainingState.read(path.parent),
    "corpus/bases.bin": lambda path: read_windows(path.parent),
    "corpus/corpus.json": lambda path: read_windows(path.parent),
    "corpus/records.tsv": lambda path: read_windows(path.parent),
    **{name: read_words for name in ("words/words.json", "words/words.bin", "packed/words.json", "packed/words.xz")},
    **{f"model/{name}": lambda path: load_model(path.parent, "cpu") for name in ("config.json", "model.safetensors")},
}


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


def outcome(reader, path):
    """What reading a damaged file ends in."""
    start = time.monotonic()
    try:
        reader(path)
        ended = "handled"
    except InputError as error:
        ended = "more than a line" if "\n" in str(error) else "refused"
    except Exception as error:
        ended = f"{type(error).__name__}"  # a traceback, or an error that names no file
    return ended if time.monotonic() - start < SLOW else "slow"


def fuzz(folder, seconds, seed, most=10**9):
    """Counts of outcomes by format, and the inputs that ended badly."""
    rng = random.Random(seed)
    whole = {name: (folder / name).read_bytes() for name in READERS}
    counts, bad = Counter(), []
    end = time.monotonic() + seconds
    while time.monotonic() < end and counts.total() < most:
        name = rng.choice(list(READERS))
        content = damage(whole[name], name, rng)
        (folder / name).write_bytes(content)
        ended = outcome(READERS[name], folder / name)
        (folder / name).write_bytes(whole[name])
        counts[name, ended] += 1
        if ended not in ("handled", "refused"):
            bad.append((name, ended, content))
    return counts, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        make_files(Path(place))
        counts, bad = fuzz(Path(place), 60 * args.minutes, args.seed)
    table = pd.Series(counts).unstack(fill_value=0)
    print(table.assign(tried=table.sum(axis=1)).to_string())
    print(table.sum().to_string(), f"{counts.total():,} inputs, seed {args.seed}", sep="\n")
    for name, ended, content in bad[:10]:
        print(name, ended, content[:300], file=sys.stderr)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
