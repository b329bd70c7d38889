"""Classification of reads of 150 bases by a trained model, beside fastai's text classifier
of the same sizes; padding; memory of a stream."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from bench_tokenise import Slicer
from common import compare, measurement, peak_memory, sample_codes
from fastai.text.all import (
    AWD_LSTM,
    CategoryBlock,
    ColReader,
    DataBlock,
    DataLoader,
    TextBlock,
    Tokenizer,
    awd_lstm_clas_config,
    text_classifier_learner,
)

from genomic_ulmfit.cli.main import main
from genomic_ulmfit.model.model import Predictor
from genomic_ulmfit.model.windows import batches_by_length
from genomic_ulmfit.nets.awdlstm import get_preset
from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.text.kmers import KmerTokenizer
from genomic_ulmfit.text.loaders import ReadDataLoaders
from genomic_ulmfit.text.reads import LabelledReads
from genomic_ulmfit.text.spans import Spans
from genomic_ulmfit.text.task import Classes
from genomic_ulmfit.train.learner import genome_classifier_learner

LENGTH = 150  # bases of a read
CLASSES = 8
PARTS = Classes([f"part {i}" for i in range(CLASSES)])


def reads(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    "Reads of the shipped genomes, labelled by the eighth of the text that they come from."
    codes = sample_codes(16)
    start = np.random.default_rng(seed).integers(0, len(codes) - LENGTH, n)
    return codes[start[:, None] + np.arange(LENGTH)], start * CLASSES // len(codes)


def trained(preset: str, n: int, tokenizer=KmerTokenizer(5, 2)) -> Predictor:
    "A classifier trained on some reads."
    datasets = [
        LabelledReads(Spans.from_sequences(list(x)), y.astype(np.int64), PARTS, tokenizer, bs=64)
        for x, y in (reads(n, 0), reads(64, 1))
    ]
    learn = genome_classifier_learner(ReadDataLoaders.from_datasets(*datasets, device="cpu"), preset=preset)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 4e-3)
    return learn.to_model()


def stock(preset: str, tokenizer: KmerTokenizer, codes: np.ndarray):
    "fastai's text classifier of the same sizes: functions that predict reads from text, and from k-mers already cut."
    p, table = get_preset(preset), pd.DataFrame({"text": [decode_bases(c) for c in codes], "label": 0})
    blocks = (
        TextBlock(Tokenizer(Slicer(tokenizer.k, tokenizer.stride), rules=[]), vocab=tokenizer.vocab, seq_len=72),
        CategoryBlock(list(range(CLASSES))),
    )
    dls = DataBlock(blocks, get_x=ColReader("text"), get_y=ColReader("label")).dataloaders(
        table[:200], bs=64, device="cpu"
    )
    config = awd_lstm_clas_config | {"emb_sz": p.emb, "n_hid": p.hidden, "n_layers": p.layers}
    learn = text_classifier_learner(dls, AWD_LSTM, config=config, pretrained=False, seq_len=72, max_len=72 * 20)

    def predict(dl):
        with learn.no_bar():
            return learn.get_preds(dl=dl)

    x = torch.stack([x for x, *_ in dls.test_dl(table).dataset])
    assert (x == tokenizer.batch(torch.from_numpy(codes))[:, 1:]).all()
    ready = DataLoader([(row, torch.tensor(0)) for row in x], bs=64)
    return (lambda: predict(dls.test_dl(table))), (lambda: predict(ready))


def padding_share() -> float:
    "Padded share of the bases of a chunk of reads of 75 to 300 bases."
    length = np.random.default_rng(0).integers(75, 301, 5000)
    padded = sum(len(rows) * length[rows].max() for rows in batches_by_length(length, 15_000))
    return 1 - length.sum() / padded


def stream_memory(model: Path, n: int, folder: Path) -> float:
    "MB that `genomic-ulmfit predict` holds at most for a FASTQ of so many reads."
    text, file = decode_bases(sample_codes(4)), folder / f"{n}.fq"
    start = np.random.default_rng(0).integers(0, len(text) - LENGTH, n)
    with open(file, "w") as f:
        f.writelines(f"@r{i}\n{text[s : s + LENGTH]}\n+\n{'I' * LENGTH}\n" for i, s in enumerate(start))
    done = subprocess.run([sys.executable, __file__, str(model), str(file)], capture_output=True, text=True, check=True)
    assert len((folder / "out.tsv").read_text().splitlines()) == n + 1
    return float(done.stdout.splitlines()[-1])


def measurements(quick: bool):
    "All measurements of this benchmark."
    for preset in ("tiny",) if quick else ("tiny", "small"):
        model, n = trained(preset, 1500 if quick else 15_000), 500 if quick else 1000
        x = reads(n, 2)[0]
        texts, (from_text, from_ids) = [decode_bases(c) for c in x], stock(preset, model.tokenizer, x)
        once = lambda: model.predict_proba(texts, both_strands=False, phases=1)
        yield compare(
            f"predict {preset}, reads as text",
            "M reads/s",
            once,
            from_text,
            "fastai test_dl and get_preds, float32",
            n / 1e6,
            goal=3,
            repetitions=3 if quick else 9,
        )
        yield compare(
            f"predict {preset}, beside the network alone",
            "M reads/s",
            once,
            from_ids,
            "fastai get_preds of k-mer ids, float32",
            n / 1e6,
        )
        yield compare(
            f"predict {preset}, both strands and phases",
            "M reads/s",
            lambda: model.predict_proba(texts),
            from_text,
            "fastai test_dl and get_preds, float32, one strand",
            n / 1e6,
        )
        many = list(reads(2000 if quick else 20_000, 3)[0])
        fast = model.predict_proba(many, both_strands=False, phases=1)
        exact = model.predict_proba(many, both_strands=False, phases=1, exact=True)
        yield measurement(
            f"predict {preset}, same class as in float32",
            float((fast.argmax(1) == exact.argmax(1)).mean()),
            "of reads",
            goal=0.999,
            repetitions=len(many),
        )
    yield measurement(
        "predict, padding in reads of 75 to 300 bases", padding_share(), "of the bases", goal="at most 0.05"
    )
    few, many = (1000, 5000) if quick else (20_000, 200_000)
    with tempfile.TemporaryDirectory() as tmp:
        model = trained("nano", 500, KmerTokenizer(6, 6)).save(Path(tmp) / "model")
        small, large = (stream_memory(model, n, Path(tmp)) for n in (few, many))
    yield measurement(
        f"predict nano, peak memory for {many:,} reads",
        large,
        "MB",
        f"{few:,} reads",
        small,
        large / small,
        "at most 1.1",
    )


if __name__ == "__main__":
    main(["predict", sys.argv[1], sys.argv[2], "--fast", "--out", str(Path(sys.argv[2]).with_name("out.tsv"))])
    print(peak_memory())
