"""Batches for the language model from one long record, beside fastai's `LMDataLoader`;
for records of all lengths, and from a corpus of 1 Gbp."""

import json
import tempfile
import time
from pathlib import Path

import numpy as np
from common import compare, measurement, sample_codes
from fastai.data.core import TfmdLists
from fastai.text.data import LMDataLoader, Numericalize

from genomic_ulmfit.seq.files import sha256
from genomic_ulmfit.text.corpus import GenomeCorpus
from genomic_ulmfit.text.kmers import PAD, KmerTokenizer
from genomic_ulmfit.text.loaders import GenomeLMDataLoaders
from genomic_ulmfit.text.spans import Spans

BS, TOKENS = 64, 72


def loader(records):
    "The training loader over records."
    spans = Spans.from_sequences(records)
    return GenomeLMDataLoaders.from_spans(
        spans, spans, tokenizer=KmerTokenizer(5, 2), bs=BS, tokens=TOKENS, valid_batches=1
    ).train


def draw(dl, n: int) -> int:
    "Draw some batches; returns the k-mers in them."
    it = iter(dl)
    return sum(int((next(it)[0] != PAD).sum()) for _ in range(n))


def stock_items(codes: np.ndarray, copies: int, n: int):
    "A function that draws rows of a batch from fastai's loader as `TextDataLoaders` builds it: ids are made on demand."
    tokenizer = KmerTokenizer(5, 2)
    words = np.array(tokenizer.vocab, dtype=object)[tokenizer.encode(codes)].tolist()
    dl = LMDataLoader(
        TfmdLists([words] * copies, Numericalize(vocab=tokenizer.vocab)),
        bs=BS,
        seq_len=TOKENS,
        lens=[len(words)] * copies,
    )
    return lambda: [dl.create_item(i) for i in range(n)]


def corpus_of(folder: Path, mbp: int) -> Path:
    "A corpus of simulated bases, written in its own format without reading FASTA."
    GenomeCorpus.build(_small_fasta(folder), folder / "c")
    info, block = (
        json.loads((folder / "c" / "corpus.json").read_text()),
        np.random.default_rng(0).integers(0, 4, 10_000_000).astype(np.uint8),
    )
    with open(folder / "c" / "bases.bin", "wb") as f:
        for i in range(0, mbp, 10):
            f.write(np.roll(block, i).tobytes())
    records = folder / "c" / "records.tsv"
    header, row = (line.split("\t") for line in records.read_text().splitlines()[:2])
    rows = []
    for i in range(mbp // 5):
        values = dict(zip(header, row)) | {"id": f"r{i}", "start": str(i * 5_000_000), "length": "5000000"}
        rows.append("\t".join(values[h] for h in header))
    records.write_text("\n".join(["\t".join(header), *rows]) + "\n")
    info["files"] = {
        n: {"bytes": (folder / "c" / n).stat().st_size, "sha256": sha256(folder / "c" / n)}
        for n in ("bases.bin", "records.tsv")
    }
    (folder / "c" / "corpus.json").write_text(json.dumps(info))
    return folder / "c"


def _small_fasta(folder: Path) -> Path:
    (folder / "a.fa").write_text(">r0\n" + "ACGTTGCA" * 100 + "\n")
    return folder / "a.fa"


def first_batch(path: Path) -> float:
    "Seconds from opening a corpus to its first batch."
    start = time.perf_counter()
    corpus = GenomeCorpus(path)
    draw(
        GenomeLMDataLoaders.from_corpus(
            corpus, valid="train", tokenizer=KmerTokenizer(5, 2), bs=BS, tokens=TOKENS
        ).train,
        1,
    )
    return time.perf_counter() - start


def measurements(quick: bool):
    "All measurements of this benchmark."
    n, items, codes = 100, 3 if quick else 8, sample_codes(5)
    dl, work = loader([codes] * BS), n * BS * TOKENS / 1e6
    yield compare(
        "load, 64 genomes of 5 Mbp",
        "M tokens/s",
        lambda: draw(dl, n),
        stock_items(codes, BS, items),
        "fastai LMDataLoader",
        work,
        items * TOKENS / 1e6,
        goal=5000,
    )
    dl = loader([codes])
    yield compare(
        "load, a single genome of 5 Mbp",
        "M tokens/s",
        lambda: draw(dl, n),
        stock_items(codes, 1, 200),
        "fastai LMDataLoader, which keeps two records numbered",
        work,
        200 * TOKENS / 1e6,
    )
    codes = sample_codes(20)
    lengths = {"1 kbp": 1000, "100 kbp": 100_000, "5 Mbp": 5_000_000}
    loaders = {name: loader(np.split(codes, range(size, len(codes), size))) for name, size in lengths.items()}
    speed = {name: [] for name in lengths}
    for _ in range(3 if quick else 7):
        for name, d in loaders.items():
            start = time.perf_counter()
            speed[name].append(draw(d, 10 * n) / 1e6 / (time.perf_counter() - start))
    speed = {name: float(np.median(s[1:])) for name, s in speed.items()}
    for name in ("1 kbp", "100 kbp"):
        yield measurement(
            f"load, records of {name}",
            speed[name],
            "M tokens/s",
            "records of 5 Mbp",
            speed["5 Mbp"],
            speed[name] / speed["5 Mbp"],
            "0.8 to 1.2",
            2 if quick else 6,
        )
    mbp = 20 if quick else 1000
    with tempfile.TemporaryDirectory() as tmp:
        yield measurement(
            f"load, first batch of {mbp} Mbp", first_batch(corpus_of(Path(tmp), mbp)), "s", goal="at most 2"
        )
