"""A training step of the language model, beside a bare PyTorch loop of the same sizes and fastai's stock AWD-LSTM."""

import statistics
from functools import partial

import torch
from common import compare, measurement, sample_codes, seconds
from fastai.optimizer import Adam
from fastai.text.models import AWD_LSTM, awd_lstm_lm_config, get_language_model
from torch import nn

from genomic_ulmfit.nets.awdlstm import get_preset
from genomic_ulmfit.nets.precision import precision
from genomic_ulmfit.text.kmers import KmerTokenizer
from genomic_ulmfit.text.loaders import GenomeLMDataLoaders
from genomic_ulmfit.text.spans import Spans
from genomic_ulmfit.train.learner import genome_lm_learner

BS, TOKENS = 64, 70


class Bare(nn.Module):
    "The same layers as plain PyTorch: an embedding, LSTMs, a tied decoder."

    def __init__(self, vocab: int, preset):
        super().__init__()
        p = get_preset(preset)
        self.embedding, self.decoder = nn.Embedding(vocab, p.emb), nn.Linear(p.emb, vocab)
        self.decoder.weight = self.embedding.weight
        sizes = [p.emb] + [p.hidden] * (p.layers - 1) + [p.emb]
        self.layers = nn.ModuleList(nn.LSTM(i, o, batch_first=True) for i, o in zip(sizes[:-1], sizes[1:]))

    def forward(self, x):
        x = self.embedding(x)
        for layer in self.layers:
            x, _ = layer(x)
        return self.decoder(x)


def stock(vocab: int, preset, drop_mult: float):
    "fastai's language model of the same sizes."
    p = get_preset(preset)
    config = awd_lstm_lm_config | {"emb_sz": p.emb, "n_hid": p.hidden, "n_layers": p.layers}
    return get_language_model(AWD_LSTM, vocab, config, drop_mult=drop_mult)


class Step:
    "A training step: forward, loss, backward, optimiser; returns the loss."

    def __init__(self, model, optimiser, loss=None, low: bool = True):
        self.model, self.loss, self.low = (
            model.train(),
            loss or (lambda out, y: nn.functional.cross_entropy(out.flatten(0, 1), y.flatten())),
            low,
        )
        self.optimiser = optimiser(list(model.parameters()), lr=1e-3)

    def __call__(self, x, y):
        if hasattr(self.model, "reset"):
            self.model.reset()
        with precision("cpu") if self.low else torch.autocast("cpu", enabled=False):
            out = self.model(x)
            loss = self.loss(out[0] if isinstance(out, tuple) else out, y)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
        return loss.item()


def own(dls, preset, drop_mult: float) -> Step:
    "The learner's model, loss and optimiser."
    learn = genome_lm_learner(dls, preset, drop_mult=drop_mult)
    return Step(learn.model, learn.opt_func, learn.loss_func)


def loss_after(steps: int, dls) -> tuple[float, float]:
    "Mean loss of the last five of some steps without dropout: ours as it trains, fastai's in float32."
    a = own(dls, "tiny", 0.0)
    theirs = stock(
        dls.train.dataset.tokenizer.vocab_size, "tiny", 1e-9
    )  # with 0 fastai's WeightDropout breaks in `reset`
    theirs[0].load_state_dict(a.model[0].state_dict(), strict=False)
    b, losses = Step(theirs, Adam, low=False), []
    it = iter(dls.train)
    for _ in range(steps):
        x, y = next(it)
        keep = (y >= 0).all(1)
        losses.append((a(x[keep], y[keep]), b(x[keep], y[keep])))
    return tuple(statistics.mean(v[-5:]) for v in zip(*losses))


def measurements(quick: bool):
    "All measurements of this benchmark."
    tokenizer = KmerTokenizer(5, 2)
    spans = Spans.from_sequences([sample_codes(2)])
    dls = GenomeLMDataLoaders.from_spans(spans, spans, tokenizer=tokenizer, bs=BS, tokens=TOKENS, valid_batches=1)
    x, y = next((x, y) for x, y in dls.train if (y >= 0).all() and len(x) == BS)
    work = BS * TOKENS / 1e6
    for preset in ("tiny",) if quick else ("tiny", "small", "full"):
        repetitions = 3 if quick else {"tiny": 9, "small": 15, "full": 5}[preset]
        plain, bare = (
            own(dls, preset, 0.0),
            Step(Bare(tokenizer.vocab_size, preset), partial(torch.optim.AdamW, fused=True)),
        )
        result = compare(
            f"train {preset}, no dropout",
            "M tokens/s",
            lambda: plain(x, y),
            lambda: bare(x, y),
            "nn.LSTM in a bare loop, same precision",
            work,
            goal=0.95,
            repetitions=repetitions,
        )
        yield result
        dropped, theirs = own(dls, preset, 1.0), Step(stock(tokenizer.vocab_size, preset, 1.0), Adam, low=False)
        yield compare(
            f"train {preset}, all dropouts",
            "M tokens/s",
            lambda: dropped(x, y),
            lambda: theirs(x, y),
            "fastai AWD_LSTM and Adam, float32",
            work,
            goal=1.4,
            repetitions=repetitions,
        )
        it = iter(dls.train)
        load = statistics.median(seconds(lambda: next(it)) for _ in range(20))
        yield measurement(
            f"train {preset}, the loader's share",
            load / (work / result["value"]),
            "of a step",
            goal="at most 0.03",
            repetitions=20,
        )
    mine, other = loss_after(20 if quick else 60, dls)
    yield measurement(
        "train tiny, loss without dropout",
        mine,
        "nats",
        "fastai AWD_LSTM, float32, same start and batches",
        other,
        mine / other,
        "0.99 to 1.01",
    )
