"""A classifier with words beside its network, learned and counted, beside the same network without them."""

import numpy as np
import pandas as pd
from common import compare, sample_codes
from torch import nn

from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.text.kmers import KmerTokenizer
from genomic_ulmfit.text.loaders import ReadDataLoaders
from genomic_ulmfit.train.learner import genome_classifier_learner

BS = 128
LENGTH = 150
CLASSES = 100
READS = 4_000
GOAL = 0.77  # at most 1.3 times as long


def reads(tokenizer: KmerTokenizer) -> ReadDataLoaders:
    "Labelled reads of the shipped genomes; the label is the place they come from."
    codes = sample_codes(2)
    starts = np.random.default_rng(0).integers(0, len(codes) - LENGTH, READS)
    rows = [(decode_bases(codes[start : start + LENGTH]), str(start * CLASSES // len(codes))) for start in starts]
    table = pd.DataFrame(rows, columns=["sequence", "label"])
    split = np.where(np.arange(READS) % 10, "train", "valid")
    return ReadDataLoaders.from_df(table.assign(split=split), tokenizer, bs=BS, device="cpu")


class Step:
    "A training step of a learner's model, with its loss and optimiser."

    def __init__(self, learn):
        self.model = learn.model.train()
        self.optimiser = learn.opt_func(learn.splitter(self.model), lr=1e-3)

    def __call__(self, x, y):
        nn.functional.cross_entropy(self.model(x), y).backward()
        self.optimiser.step()
        self.optimiser.zero_grad()


def measurements(quick: bool):
    "All measurements of this benchmark."
    repetitions = 5 if quick else 21
    for stride in (6, 3):
        dls = reads(KmerTokenizer(6, stride))
        x, y = dls.train.one_batch()
        plain = genome_classifier_learner(dls, preset="nano")
        some = [decode_bases(row) for row in np.random.default_rng(1).integers(0, 4, (512, LENGTH)).astype(np.uint8)]
        without = plain.to_model()
        for words in ({"counts": True}, {"wide": True, "counts": True}):
            with_words = genome_classifier_learner(dls, preset="nano", **words)
            kinds = " and ".join("learned" if w == "wide" else "counted" for w in words)
            name = f"nano, stride {stride}, {kinds} words"
            how = {"goal": GOAL, "repetitions": repetitions}
            own, other = Step(with_words), Step(plain)
            beside = "the network alone"
            yield compare(f"train {name}", "M reads/s", lambda: own(x, y), lambda: other(x, y), beside, BS / 1e6, **how)
            model = with_words.to_model()
            yield compare(
                f"predict {name}",
                "M reads/s",
                lambda: model.predict_proba(some),
                lambda: without.predict_proba(some),
                beside,
                len(some) / 1e6,
                **how,
            )
