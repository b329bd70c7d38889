"""The wide branch end to end: kept and loaded, resumed, thawed, read in strands, in other alphabets; broken folders."""

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from folders import changed_settings

from genomic_ulmfit.all import (
    DNA,
    PROTEIN,
    InputError,
    KmerTokenizer,
    Preset,
    ReadDataLoaders,
    Wide,
    genome_classifier_learner,
    load_model,
    set_seed,
)
from genomic_ulmfit.model.folder import WEIGHTS
from genomic_ulmfit.nets.wide import WideBranch

PRESET = Preset(8, 12, 1)
WIDE = Wide((4, 9), buckets=2**10, size=8)
TOKENIZER = KmerTokenizer(3, 2)
WORD = "ACGGTTACATGC"


@pytest.fixture(scope="module")
def table():
    """Random sequences, half of them with a word that the others haven't."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(360):
        letters = "".join(rng.choice(list("ACGT"), 60))
        place = rng.integers(0, 48)
        if i % 2:
            letters = letters[:place] + WORD + letters[place + len(WORD) :]
        rows.append((letters, ("without", "with")[i % 2], "train" if i < 240 else "valid"))
    return pd.DataFrame(rows, columns=["sequence", "label", "split"])


def learner(table, wide=WIDE, tokenizer=TOKENIZER, **kwargs):
    set_seed(0)
    loaders = ReadDataLoaders.from_df(table, tokenizer, bs=20, device="cpu", **kwargs)
    return genome_classifier_learner(loaders, preset=PRESET, wide=wide)


def fit(learn, epochs=6, lr=2e-2, **kwargs):
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(lr, epochs=epochs, **kwargs)
    return learn


@pytest.fixture(scope="module")
def trained(table):
    return fit(learner(table))


def test_it_knows_a_word_that_the_network_does_not(table, trained):
    without = fit(learner(table, wide=False))
    assert trained.figures["accuracy"] > 0.95 > without.figures["accuracy"] + 0.1


def test_kept_in_half_precision_and_loaded_with_equal_answers(table, trained, tmp_path):
    model = trained.to_model()
    again = load_model(model.save(tmp_path / "m"), "cpu")
    sequences = list(table["sequence"][240:])
    assert np.array_equal(again.predict_proba(sequences), model.predict_proba(sequences))
    assert again.config.wide == WIDE and again.save(tmp_path / "n").joinpath(WEIGHTS).stat().st_size < 150_000
    right = model.predict_proba(sequences).argmax(1) == np.array([name == "without" for name in table["label"][240:]])
    assert right.mean() > 0.95, "the classes are sorted: with, without"


def test_training_and_prediction_are_one_function(table, trained):
    outputs, _ = trained.get_preds()
    one_view = {"both_strands": False, "phases": 1, "exact": True}
    probs = trained.to_model().predict_proba(list(table["sequence"][240:]), **one_view)
    np.testing.assert_allclose(outputs.numpy(), probs, atol=0.03)


def test_unknown_letters_padding_and_short_sequences(table, trained):
    model = trained.to_model()
    sequence = table["sequence"][0]
    alone = model.predict_proba([sequence])[0]
    together = model.predict_proba([sequence, sequence * 2, "ACG", "N" * 30, ""])
    np.testing.assert_allclose(together[0], alone, atol=1e-5)
    assert np.isfinite(together).all()
    with_word = model.predict_proba([sequence[:20] + WORD + sequence[20:]])[0]
    broken = model.predict_proba([sequence[:20] + WORD[:5] + "N" + WORD[6:] + sequence[20:]])[0]
    assert with_word[0] > 0.8 > broken[0], "a word with an unknown letter is none"


@pytest.mark.parametrize("stranded", [False, True])
def test_both_strands_are_one_unless_the_sequences_have_a_direction(table, stranded):
    learn = learner(table, stranded=stranded, tokenizer=KmerTokenizer(3, 1))
    branch = learn.model.wide.eval()
    codes = np.stack([DNA.encode(sequence) for sequence in table["sequence"][:20]])
    answers = [
        branch(branch.tokenizer.batch(torch.from_numpy(strand.copy())))
        for strand in (codes, DNA.reverse_complement(codes))
    ]
    assert torch.allclose(*answers, atol=1e-5) != stranded and learn.to_model().stranded == stranded


class StopInThird(Callback):
    """Ends a run in its third epoch."""

    def before_epoch(self):
        if self.epoch == 2:
            raise KeyboardInterrupt("stopped")


def test_a_resumed_run_has_the_same_weights(table, tmp_path):
    whole = fit(learner(table), checkpoints=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(learner(table), checkpoints=tmp_path / "cut", cbs=StopInThird())
    resumed = fit(learner(table), checkpoints=tmp_path / "cut", resume=True)
    for (name, one), other in zip(whole.model.named_parameters(), resumed.model.parameters()):
        assert torch.equal(one, other), name


def test_frozen_encoder_and_learning_rates(table):
    learn = learner(table)
    encoder = [p.detach().clone() for p in learn.model.encoder.parameters()]
    words = learn.model.wide.words.weight.detach().clone()
    learn.freeze()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, slice(1e-4, 1e-2))
    assert all(torch.equal(a, b) for a, b in zip(encoder, learn.model.encoder.parameters()))
    assert not torch.equal(words, learn.model.wide.words.weight), "the wide branch learns with the head"
    last = {id(p) for p in learn.opt.param_lists[-1]}
    assert {id(p) for p in learn.model.wide.parameters()} <= last


def test_alone_in_a_plain_learner(table):
    loaders = ReadDataLoaders.from_df(table, TOKENIZER, bs=20, device="cpu")
    learn = Learner(loaders, WideBranch(TOKENIZER, WIDE, 2), loss_func=CrossEntropyLossFlat())
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(4, 2e-2)
    outputs, targets = learn.get_preds()
    assert (outputs.argmax(1) == targets).double().mean() > 0.95


def test_proteins_have_words_of_one_strand(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        ("".join(rng.choice(list(PROTEIN.letters), 30)) + motif, label, split)
        for split, n in (("train", 60), ("valid", 20))
        for label, motif in (("a", "WHCKMW"), ("b", "WMKCHW"))
        for _ in range(n)
    ]
    table = pd.DataFrame(rows, columns=["sequence", "label", "split"])
    learn = fit(learner(table, wide=True, tokenizer=KmerTokenizer(1, 1, PROTEIN)), epochs=3)
    assert learn.figures["accuracy"] > 0.95 and learn.model.wide.wide.lengths == (3, 4, 5, 6)
    model = load_model(learn.to_model().save(tmp_path / "m"), "cpu")
    assert not model.model.wide.both_strands


def test_a_table_larger_than_the_file_is_refused_before_memory_is_taken(trained, tmp_path, monkeypatch):
    folder = changed_settings(trained.to_model(), tmp_path / "m", "wide", buckets=2**24, size=2**16)
    monkeypatch.setattr("genomic_ulmfit.model.model.classifier", None)  # would be called to make the network
    with pytest.raises(InputError, match="asks for a network of at least 2,199,023"):
        load_model(folder)


def test_other_settings_than_the_weights_are_refused(trained, tmp_path):
    with pytest.raises(InputError, match="does not fit config.json: wide.words.weight"):
        load_model(changed_settings(trained.to_model(), tmp_path / "m", "wide", lengths=[9]))
    with pytest.raises(InputError, match="wide.lengths.0"):
        load_model(changed_settings(trained.to_model(), tmp_path / "n", "wide", lengths=[40]))
