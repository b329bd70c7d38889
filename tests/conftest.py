"""Two simulated genera, a corpus of them, and models that are small but real."""

import numpy as np
import pandas as pd
import pytest
from fastai.torch_core import set_seed

from genomic_ulmfit.all import (
    GenomeCorpus,
    GenomeLMDataLoaders,
    KmerTokenizer,
    Preset,
    ReadDataLoaders,
    genome_classifier_learner,
    genome_lm_learner,
)
from genomic_ulmfit.seq.alphabet import decode_bases

COMPOSITION = {"Alpha": [0.35, 0.15, 0.15, 0.35], "Beta": [0.15, 0.35, 0.35, 0.15]}


def simulate(genus, seed, n=30_000):
    return np.random.default_rng(seed).choice(4, n, p=COMPOSITION[genus]).astype(np.uint8)


@pytest.fixture(scope="session")
def genomes(tmp_path_factory):
    """Folder with a FASTA per genus and split, and `genomes.tsv`."""
    folder, rows = tmp_path_factory.mktemp("genomes"), []
    for s, split in enumerate(("train", "valid", "test")):
        for g, genus in enumerate(COMPOSITION):
            name = f"{genus}_{split}.fa"
            (folder / name).write_text(f">{genus}_{split}\n{decode_bases(simulate(genus, 10 * s + g))}\n")
            rows.append({"file": name, "genus": genus, "split": split})
    pd.DataFrame(rows).to_csv(folder / "genomes.tsv", sep="\t", index=False)
    return folder


@pytest.fixture(scope="session")
def corpus(genomes, tmp_path_factory):
    return GenomeCorpus.build(genomes / "genomes.tsv", tmp_path_factory.mktemp("corpus") / "c", labels=["genus"])


@pytest.fixture(scope="session")
def models(corpus, tmp_path_factory):
    """Folders of a language model (`lm`) and a classifier (`clf`)."""
    folder, tokenizer, preset = tmp_path_factory.mktemp("models"), KmerTokenizer(3, 2), Preset(16, 24, 2)
    set_seed(0)
    lm = genome_lm_learner(
        GenomeLMDataLoaders.from_corpus(corpus, tokenizer=tokenizer, bs=16, tokens=32, valid_batches=5), preset
    )
    with lm.no_bar(), lm.no_logging():
        lm.fit_budget(1e-2, tokens=50_000, parts=1)
    lm.to_model().save(folder / "lm")
    clf = genome_classifier_learner(
        ReadDataLoaders.from_corpus(corpus, "genus", tokenizer, reads=2000, valid_reads=200, bs=50),
        pretrained=lm.to_model(),
    )
    with clf.no_bar(), clf.no_logging():
        clf.fit_budget(2e-2, epochs=2)
    clf.to_model(label="genus").save(folder / "clf")
    return folder
