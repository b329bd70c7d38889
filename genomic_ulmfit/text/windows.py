import numpy as np
import pandas as pd
import torch

from genomic_ulmfit.text.kmers import KmerTokenizer, NO_LOSS, PAD, UNKNOWN
from genomic_ulmfit.text.spans import Spans, gather, warn_of_short


class LMWindows:
    "Batches of windows over sequences; item `i` is batch `i` of the current `epoch`, of the share of process `rank` of `ranks`."

    rank, ranks = 0, 1

    def __init__(
        self,
        spans: Spans,  # the text
        tokenizer: KmerTokenizer,
        bs: int = 64,  # windows in a batch
        tokens: int = 128,  # k-mers in a window
        steps: int | None = None,  # batches in an epoch, of all processes together; a whole pass unless given
        augment: bool = True,  # random offset and strand, new order each epoch; else always the same batches
        seed: int = 0,
    ):
        self.spans, self.tokenizer, self.bs, self.tokens, self.augment, self.seed = spans, tokenizer, bs, tokens, augment, seed
        warn_of_short(spans, tokenizer)
        self.advance, self.width = tokens * tokenizer.stride, tokenizer.n_letters(tokens)
        whole = spans.length <= self.width
        least = -(-spans.length // self.advance)
        spare = least * self.advance - spans.length
        tight = 2 * spare >= self.advance  # enough offsets to choose from without one window more, which counts in short records
        self.windows = np.where(whole, 1, least + (augment & ~tight))
        self.offsets = np.where(whole | (not augment), 1, np.where(tight, spare + 1, self.advance))
        self.ends = np.cumsum(self.windows)
        self.steps, self.epoch, self._pass = steps or self.batches_per_pass, -1, (None, None, None)

    @property
    def batches_per_pass(self) -> int:
        "Batches that visit every window once."
        return -(-int(self.ends[-1]) // self.bs)

    @property
    def n_tokens(self) -> int:
        "k-mers in one pass over the text."
        return int(self.tokenizer.n_tokens(self.spans.length).sum())

    def __len__(self): return -(-self.steps // self.ranks)

    def _order(self, number: int):
        "Order of the windows and offset of each record in pass `number`."
        if self._pass[0] != number:
            rng = np.random.default_rng((self.seed, number))
            order = rng.permutation(int(self.ends[-1])).astype(np.uint32 if self.ends[-1] < 2**32 else np.int64)
            offset = rng.integers(self.offsets)
            self._pass = number, order, offset
        return self._pass[1:]

    def __getitem__(self, i: int):
        if not 0 <= i < len(self): raise IndexError(i)
        past = max(self.epoch, 0) * len(self) * self.augment
        number, j = divmod((past + i) * self.ranks + self.rank, self.batches_per_pass)
        order, offset = self._order(number)
        window = order[j * self.bs : (j + 1) * self.bs].astype(np.int64)
        record = np.searchsorted(self.ends, window, side="right")
        first = (window - (self.ends - self.windows)[record]) * self.advance - offset[record]
        last = np.minimum(first + self.width, self.spans.length[record])
        first = np.maximum(first, 0)
        flip = np.random.default_rng((self.seed, number, j)).random(len(window)) < 0.5 if self.augment else None
        rows = gather(self.spans.codes, self.spans.start[record] + first, np.maximum(last - first, 0), flip)
        return (torch.from_numpy(rows),)

    def to_tokens(self, batch):
        "x: ids (rows, tokens), y: the next ids, `NO_LOSS` for unknown k-mers and padding."
        ids = self.tokenizer.batch(batch[0])
        x, y = ids[:, :-1], ids[:, 1:]
        return x, torch.where((y == UNKNOWN) | (y == PAD), NO_LOSS, y)

    def preview(self, batch, max_n: int) -> pd.DataFrame:
        "The first rows of a batch for people."
        x, y = batch
        text = [(self.tokenizer.decode(r), [self.tokenizer.token(int(i)) for i in r[:8]]) for r in x[:max_n]]
        return pd.DataFrame({"bases": [t[:60] + "…" for t, _ in text], "k-mers": [" ".join(w) + " …" for _, w in text], "targets": [(r != NO_LOSS).sum().item() for r in y[:max_n]]})
