"""Bases into k-mer ids (k 5, stride 2), beside fastai's text pipeline and beside slices and a dict."""

import numpy as np
import pandas as pd
import torch
from common import compare, sample_codes
from fastai.text.core import tokenize_df
from fastai.text.data import Numericalize

from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.text.kmers import KmerTokenizer

K, STRIDE = 5, 2


def slices(text: str, k: int = K, stride: int = STRIDE) -> list[str]:
    "K-mers by slicing."
    return [text[i : i + k] for i in range(0, len(text) - k + 1, stride)]


class Slicer:
    "A tokenizer as fastai wants it."

    def __init__(self, k: int = K, stride: int = STRIDE):
        self.k, self.stride = k, stride

    def __call__(self, items):
        return (slices(t, self.k, self.stride) for t in items)


def fastai_pipeline(texts: list[str], vocab: list[str]) -> list[torch.Tensor]:
    "What `TextBlock.from_df` does with a table of texts: tokenise it, then number each text."
    table = pd.DataFrame({"text": texts})
    tokens, _ = tokenize_df(table, "text", n_workers=0, rules=[], mark_fields=False, tok=Slicer())
    number = Numericalize(vocab=vocab)
    return [number(t) for t in tokens["text"]]


def measurements(quick: bool):
    "All measurements of this benchmark."
    tokenizer, mbp = KmerTokenizer(K, STRIDE), 5
    codes, part = sample_codes(mbp), 0.5 if quick else 2
    text = decode_bases(codes[: int(part * 1e6)])
    number = {w: i for i, w in enumerate(tokenizer.vocab)}
    by_hand = lambda: np.array([number[w] for w in slices(text)])
    texts = [text[i : i + 100_000] for i in range(0, len(text), 100_000)]
    by_fastai = lambda: fastai_pipeline(texts, tokenizer.vocab)
    own = lambda: tokenizer.encode(codes)
    assert own()[:1000].tolist() == by_hand()[:1000].tolist() == by_fastai()[0][:1000].tolist()
    batch = torch.from_numpy(codes[: 64 * 1000].reshape(64, 1000))
    yield compare(
        "tokenise", "Mbp/s", own, by_fastai, "fastai tokenize_df (rules=[]) and Numericalize", mbp, part, goal=120
    )
    yield compare("tokenise", "Mbp/s", own, by_hand, "slices and a dict", mbp, part, goal=60)
    yield compare(
        "tokenise a batch of 64 x 1000 on the device",
        "Mbp/s",
        lambda: tokenizer.batch(batch),
        by_hand,
        "slices and a dict",
        batch.numel() / 1e6,
        part,
    )
