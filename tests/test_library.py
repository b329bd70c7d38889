"""Behaviour of the library as a whole: leakage, determinism, early stopping, resuming a classifier by the clock."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from fastai.torch_core import set_seed

from genomic_ulmfit.all import (
    SAMPLE,
    CorpusReads,
    EarlyStoppingCallback,
    GenomeCorpus,
    GenomeLMDataLoaders,
    InputError,
    KmerTokenizer,
    Preset,
    ReadDataLoaders,
    decode_bases,
    genome_classifier_learner,
    genome_lm_learner,
    load_model,
    reverse_complement,
)
from genomic_ulmfit.model import model as model_module
from genomic_ulmfit.text.kmers import NO_LOSS
from genomic_ulmfit.train.checkpoint import last_checkpoint

TOKENIZER, PRESET = KmerTokenizer(3, 2), Preset(16, 24, 2)


def quiet(learn, *args, **kwargs):
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(*args, **kwargs)
    return learn


# ---------------------------------------------------------------- leakage


def test_held_out_blocks_of_the_sample_do_not_overlap_training_blocks(tmp_path):
    corpus = GenomeCorpus.build(SAMPLE / "genomes.tsv", tmp_path / "c", labels=["genus"], hold_out=10)
    place = corpus.records["record"].str.extract(r"(?P<accession>.+):(?P<first>\d+)-(?P<last>\d+)")
    place = place.astype({"first": int, "last": int})
    for _, blocks in place.assign(split=corpus.records["split"]).groupby("accession"):
        blocks = blocks.sort_values("first")
        assert (blocks["first"].to_numpy()[1:] > blocks["last"].to_numpy()[:-1]).all()
        assert set(blocks["split"]) <= {"train", "valid"} or set(blocks["split"]) == {"test"}
    for splits in corpus.records.groupby("file")["split"].agg(set):
        assert splits in ({"train", "valid"}, {"train"}, {"test"})


def test_training_reads_come_from_training_genomes_only(corpus):
    text = {s: [decode_bases(corpus.codes(i)) for i in corpus.split(s).index] for s in ("train", "test")}
    for split, other in (("train", "test"), ("test", "train")):
        reads = CorpusReads(corpus, split, "genus", ["Alpha", "Beta"], TOKENIZER, length=60, reads=50, bs=50)
        for row in reads[0][0].numpy():
            strands = decode_bases(row), decode_bases(reverse_complement(row))
            assert any(s in t for s in strands for t in text[split])
            assert not any(s in t for s in strands for t in text[other])


# ---------------------------------------------------------------- loaders


@pytest.mark.parametrize("k, stride", [(1, 1), (5, 2), (3, 3), (2, 4)])
def test_a_pass_of_augmented_windows_covers_every_base_once_per_token(k, stride, corpus):
    """Each base of each record is in a window; every epoch sees other offsets."""
    dls = GenomeLMDataLoaders.from_corpus(corpus, tokenizer=KmerTokenizer(k, stride), bs=16, tokens=40)
    data = dls.train.dataset
    counts = []
    for epoch in range(2):
        data.epoch = epoch
        counts.append(sum(int((data.to_tokens(data[i])[1] != NO_LOSS).sum()) for i in range(len(data))))
    whole = 60_000 // stride
    assert all(abs(c - whole) < 0.02 * whole for c in counts)


def test_same_seed_same_batches_other_seed_others(corpus):
    loaders = partial(GenomeLMDataLoaders.from_corpus, corpus, tokenizer=TOKENIZER, bs=8, tokens=20)
    batch = lambda seed: loaders(seed=seed).one_batch()[0]
    assert torch.equal(batch(1), batch(1)) and not torch.equal(batch(1), batch(2))


# ---------------------------------------------------------------- learners


def test_pretraining_changes_the_start_of_the_classifier(corpus, models):
    dls = ReadDataLoaders.from_corpus(corpus, "genus", TOKENIZER, reads=400, valid_reads=100, bs=50)
    lm = load_model(models / "lm")
    clf = genome_classifier_learner(dls, pretrained=lm)
    for name, value in lm.model[0].state_dict().items():
        assert torch.equal(clf.model.encoder.state_dict()[name].cpu(), value.cpu()), name


def test_early_stopping_ends_before_the_budget(corpus):
    dls = ReadDataLoaders.from_corpus(corpus, "genus", TOKENIZER, reads=400, valid_reads=100, bs=50)
    learn = genome_classifier_learner(dls, preset=PRESET)
    quiet(learn, 1e-9, epochs=20, cbs=[EarlyStoppingCallback(monitor="accuracy", patience=2)])
    assert len(learn.recorder.values) < 10


def test_a_run_by_the_clock_resumes_with_the_time_that_is_left(corpus, tmp_path):
    from fastai.callback.core import Callback

    class Stop(Callback):
        order = 80

        def after_epoch(self):
            if self.epoch == 0:
                raise KeyboardInterrupt

    def run(**kwargs):
        set_seed(0)
        dls = GenomeLMDataLoaders.from_corpus(corpus, tokenizer=TOKENIZER, bs=16, tokens=32, valid_batches=2)
        return quiet(genome_lm_learner(dls, PRESET), 1e-2, minutes=0.05, parts=3, checkpoints=tmp_path / "ck", **kwargs)

    with pytest.raises(KeyboardInterrupt):
        run(cbs=[Stop()])
    assert last_checkpoint(tmp_path / "ck").name == "epoch-0001"
    spent = json.loads((last_checkpoint(tmp_path / "ck") / "state.json").read_text())["seconds"]
    learn = run(resume=True)
    assert len(learn.recorder.values) == 3 and learn.seconds > spent > 0
    assert np.isfinite(learn.figures["bits_per_base"])


def test_budget_must_be_one_of_three(corpus):
    learn = genome_lm_learner(GenomeLMDataLoaders.from_corpus(corpus, tokenizer=TOKENIZER, bs=16, tokens=32), PRESET)
    for budget in ({}, {"tokens": 1000, "minutes": 1}):
        with pytest.raises(ValueError, match="exactly|one of"):
            learn.fit_budget(**budget)


def test_pretrained_with_other_kmers_is_refused(corpus, models):
    dls = ReadDataLoaders.from_corpus(corpus, "genus", KmerTokenizer(4, 1), reads=100, valid_reads=50, bs=50)
    with pytest.raises(InputError, match=r"k=3, stride=2.*k=4, stride=1"):
        genome_classifier_learner(dls, pretrained=models / "lm")


def test_lower_case_rna_and_n_runs_predict_like_their_letters(models):
    model, dna = load_model(models / "clf"), "ACGTTGCATTAC" * 10
    a, b = model.predict_proba([dna, dna.replace("T", "U").lower()])
    np.testing.assert_allclose(a, b, atol=1e-6)
    assert np.isfinite(model.predict_proba(["N" * 50, "", dna[:30] + "N" * 40 + dna])).all()


def test_prediction_falls_back_to_float32_where_rounding_changes_classes(models, monkeypatch):
    model, reads = load_model(models / "clf"), ["ACGTTGCAAC" * 10, "GGGCCGCGCC" * 10]
    exact = model.predict_proba(reads, exact=True)
    assert (model.config.bfloat16_agreement or 1) >= 0.999, "found out when the model was saved"
    model.config = replace(model.config, bfloat16_agreement=None)
    honest = type(model)._to_average

    def swapped(self, codes, rounds):
        return honest(self, codes, False)[:, :: -1 if rounds else 1]

    monkeypatch.setattr(model_module, "has_bf16", lambda device: True)
    monkeypatch.setattr(type(model), "_to_average", swapped)
    with pytest.warns(UserWarning, match="predicting in float32"):
        p = model.predict_proba(reads)
    np.testing.assert_array_equal(p, exact)
    assert model.config.bfloat16_agreement < 0.5 and not model.may_round()


def test_a_corpus_without_valid_says_how_to_get_it(tmp_path):
    (tmp_path / "a.fa").write_text(">r\n" + "ACGTTGCA" * 50 + "\n")
    corpus = GenomeCorpus.build([tmp_path / "a.fa"], tmp_path / "c")
    with pytest.raises(InputError, match="It has: train; build it with .* --hold-out 10"):
        GenomeLMDataLoaders.from_corpus(corpus)


# ---------------------------------------------------------------- pretrained models


def test_a_tokenizer_that_does_not_fit_the_weights_is_named_with_theirs(corpus):
    windows = GenomeLMDataLoaders.from_corpus(corpus, tokenizer=TOKENIZER, bs=16, tokens=32, valid_batches=2)
    reads = ReadDataLoaders.from_corpus(corpus, "genus", TOKENIZER, reads=50, valid_reads=50, bs=50)
    for make, dls in ((genome_lm_learner, windows), (genome_classifier_learner, reads)):
        with pytest.raises(InputError, match="bacteria-small.*was trained with.*k=6, stride=6.*cut.*k=3, stride=2"):
            make(dls, pretrained="bacteria-small")
