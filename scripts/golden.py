#!/usr/bin/env python3
"""What the library answers on fixed input, to compare code before and after a change that must not change answers.

    python scripts/golden.py write   # writes tests/golden/answers.npz and answers.json
    python scripts/golden.py check   # compares the present code with them; exit 1 and the names of what differs

Floats are compared to 1e-6 (absolute and relative), everything else has to be equal. On another processor the sums of
floats differ in their last digits: `check --tolerance 1e-3` there.
"""

import argparse
import gzip
import hashlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from genomic_ulmfit.all import (
    SAMPLE,
    CorpusReads,
    GenomeCorpus,
    GenomeLMDataLoaders,
    KmerTokenizer,
    ReadDataLoaders,
    Spans,
    TaxonModel,
    classify_files,
    compare,
    decode_bases,
    genome_classifier_learner,
    genome_lm_learner,
    load_model,
    read_agents,
    read_sequences,
    screen_sample,
    set_seed,
)

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden"
K_STRIDE = [(1, 1), (3, 2), (5, 2), (6, 6), (8, 3)]
SEEDS = (0, 1)
STEPS = 20

TORCH = "2.13."  # the release that the file was written with


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def array_digest(array) -> str:
    array = np.ascontiguousarray(array)
    return digest(f"{array.dtype} {array.shape} ".encode() + array.tobytes())


def sample_corpus(folder: Path) -> GenomeCorpus:
    return GenomeCorpus.build(SAMPLE / "genomes.tsv", folder / "corpus", labels=["genus"], hold_out=10)


def write_fasta(path: Path, corpus: GenomeCorpus, reads: int) -> Path:
    """Reads of the test genomes, some of them short, reverse, with N or without a single known base."""
    classes = sorted(corpus.split("train")["genus"].unique())
    drawn = CorpusReads(
        corpus, "test", "genus", classes, KmerTokenizer(6, 6), 150, reads=reads, bs=reads, augment=False, seed=100
    )
    letters = [decode_bases(row) for row in drawn[0][0].numpy()]
    letters[1] = letters[1][:40]
    letters[2] = letters[2][:70] + "N" * 10 + letters[2][80:]
    letters[3] = "N" * 60
    letters[4] = "".join(letters[10:30])
    path.write_text("".join(f">read{i}\n{sequence}\n" for i, sequence in enumerate(letters)))
    return path


def corpus_bytes(corpus: GenomeCorpus) -> dict:
    return {f"corpus/{name}": digest((corpus.path / name).read_bytes()) for name in ("bases.bin", "records.tsv")}


def token_digests() -> dict:
    """Tokens of random sequences, with other letters, by text and in a batch."""
    rng = np.random.default_rng(0)
    found = {}
    for k, stride in K_STRIDE:
        tokenizer = KmerTokenizer(k, stride)
        letters = "".join(rng.choice(list("ACGTacgtUuNRYn"), 500))
        codes = rng.integers(0, 6, (20, 90)).astype(np.uint8)
        ids = tokenizer.encode(letters)
        found[f"tokens/{k}/{stride}/text"] = array_digest(ids)
        found[f"tokens/{k}/{stride}/batch"] = array_digest(tokenizer.batch(torch.from_numpy(codes)).numpy())
        found[f"tokens/{k}/{stride}/decoded"] = tokenizer.decode(ids)[:60]
    return found


def batch_digests(corpus: GenomeCorpus) -> dict:
    """The first three batches of an epoch of both kinds of loaders."""
    found = {}
    for seed in SEEDS:
        lm = GenomeLMDataLoaders.from_corpus(
            corpus, tokenizer=KmerTokenizer(5, 2), bs=16, tokens=50, seed=seed, device="cpu"
        )
        reads = ReadDataLoaders.from_corpus(
            corpus,
            "genus",
            KmerTokenizer(6, 6),
            length=(75, 300),
            error_rate=0.02,
            reads=200,
            valid_reads=100,
            bs=32,
            seed=seed,
            device="cpu",
        )
        for kind, loaders in (("lm", lm), ("reads", reads)):
            for part, loader in (("train", loaders.train), ("valid", loaders.valid)):
                for i, batch in zip(range(3), loader):
                    for name, tensor in zip("xy", batch):
                        found[f"batches/{kind}/{part}/{seed}/{i}/{name}"] = array_digest(tensor.numpy())
    return found


def training_losses(corpus: GenomeCorpus) -> dict:
    """Losses of the first steps of `nano`, of a language model and of a classifier on it."""
    set_seed(0)
    tokenizer = KmerTokenizer(6, 6)
    loaders = GenomeLMDataLoaders.from_corpus(
        corpus, tokenizer=tokenizer, bs=32, tokens=64, valid_batches=2, device="cpu"
    )
    lm = genome_lm_learner(loaders, "nano")
    with lm.no_bar(), lm.no_logging():
        lm.fit_budget(1e-2, tokens=STEPS * 32 * 64, parts=1)
    set_seed(0)
    loaders = ReadDataLoaders.from_corpus(
        corpus, "genus", tokenizer, reads=STEPS * 32, valid_reads=64, bs=32, device="cpu"
    )
    reader = genome_classifier_learner(loaders, pretrained=lm.to_model())
    for part in reader.model.modules():
        if isinstance(part, torch.nn.Dropout):  # PyTorch draws other numbers for it on processors of Intel
            part.p = 0.0
    with reader.no_bar(), reader.no_logging():
        reader.fit_budget(4e-3, epochs=1, gradual=True)
    return {
        "losses/lm": [float(x) for x in lm.recorder.losses],
        "losses/reads": [float(x) for x in reader.recorder.losses],
    }


def taxa_answers(fasta: Path, folder: Path) -> dict:
    """Predictions, report, lines and JSON of `bacteria-taxa`, by default and by one view."""
    model = TaxonModel.load("bacteria-taxa", "cpu")
    reads = [record.codes for record in read_sequences(fasta)]
    found = {}
    for name, views in (("default", {}), ("one_view", {"both_strands": False, "phases": 1})):
        found[f"taxa/{name}/proba"] = model.model.predict_proba(reads, **views)
        found[f"taxa/{name}/proba_exact"] = model.model.predict_proba(reads, exact=True, **views)
        found[f"taxa/{name}/nodes"] = model.judge([(codes,) for codes in reads], **views).probs
        report, lines = folder / f"{name}.kreport", folder / f"{name}.kraken"
        sample, _ = classify_files(model, fasta, report=report, output=lines, **views)
        found[f"taxa/{name}/kreport"] = report.read_text()
        found[f"taxa/{name}/lines"] = digest(lines.read_bytes())
        found[f"taxa/{name}/json"] = sample.to_dict()
    return found


def screen_answers(fasta: Path) -> dict:
    """The screen of the reads of the demonstration, as numbers and words of each column."""
    model = TaxonModel.load("bacteria-taxa", "cpu")
    sample, _ = classify_files(model, fasta, overlaps=True, both_strands=False, phases=1)
    agents, _ = read_agents()
    table = compare(
        {"demo": screen_sample(sample, model, agents), "blank": screen_sample(sample, model, agents)},
        {"demo": sample.reads, "blank": sample.reads},
        "blank",
    )
    return {
        f"screen/{column}": json.loads(table[column].to_json(orient="values", double_precision=15)) for column in table
    }


def language_model_answers() -> dict:
    """Bits per base of `bacteria-small` on a shipped genome."""
    records = [record.codes for record in read_sequences(SAMPLE / "Helicobacter_pylori_Puno120.fna.gz")]
    return {"bits_per_base": load_model("bacteria-small", "cpu").bits_per_base(Spans.from_sequences(records[:3]))}


def answers() -> dict:
    """Everything, by name: arrays, numbers, lists, dicts and digests."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as place:
        folder = Path(place)
        corpus = sample_corpus(folder)
        few, many = write_fasta(folder / "few.fa", corpus, 300), write_fasta(folder / "many.fa", corpus, 1500)
        return {
            **corpus_bytes(corpus),
            **token_digests(),
            **batch_digests(corpus),
            **training_losses(corpus),
            **taxa_answers(few, folder),
            **screen_answers(many),
            **language_model_answers(),
        }


def write(found: dict):
    FOLDER.mkdir(parents=True, exist_ok=True)
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    np.savez_compressed(FOLDER / "answers.npz", **arrays)
    rest = {name: value for name, value in found.items() if name not in arrays}
    with gzip.GzipFile(FOLDER / "answers.json.gz", "wb", mtime=0) as stream:
        stream.write(json.dumps(rest, indent=1).encode())


def read() -> dict:
    with np.load(FOLDER / "answers.npz") as arrays:
        found = {name: arrays[name] for name in arrays.files}
    return found | json.loads(gzip.decompress((FOLDER / "answers.json.gz").read_bytes()))


def same(a, b, tolerance: float) -> bool:
    """Equal, and floats within the tolerance, at any depth."""
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b))
    if isinstance(a, float) and isinstance(b, (int, float)):
        return bool(np.isclose(a, b, rtol=tolerance, atol=tolerance))
    return a == b


def differences(tolerance: float = 1e-6) -> list[str]:
    """Names of the answers that are not those of the golden file."""
    known, found = read(), json_like(answers())
    return sorted(
        name
        for name in known.keys() | found.keys()
        if name not in known or name not in found or not same(known[name], found[name], tolerance)
    )


def json_like(found: dict) -> dict:
    """The answers with tuples and keys as JSON has them."""
    return {
        name: value if isinstance(value, np.ndarray) else json.loads(json.dumps(value)) for name, value in found.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("write", "check"))
    parser.add_argument("--tolerance", type=float, default=1e-6, help="of floats (default 1e-6)")
    args = parser.parse_args()
    if args.action == "write":
        write(answers())
        return
    differ = differences(args.tolerance)
    print(f"{len(read())} answers, {len(differ)} differ" + "".join(f"\n  {name}" for name in differ))
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
