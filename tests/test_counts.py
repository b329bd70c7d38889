"""Counted words end to end: kept and loaded, resumed, on the command line, in other alphabets; broken folders."""

import numpy as np
import pandas as pd
import pytest
import torch
from commands import run
from fastai.callback.core import Callback
from folders import changed_settings

from genomic_ulmfit.all import (
    PROTEIN,
    Counts,
    InputError,
    KmerTokenizer,
    Preset,
    ReadDataLoaders,
    genome_classifier_learner,
    load_model,
    set_seed,
)
from genomic_ulmfit.model.folder import WEIGHTS
from genomic_ulmfit.nets.counts import WEIGHT, WEIGHT_OF_READS

PRESET = Preset(8, 12, 1)
COUNTS = Counts(9, 2**12, weight=0.2)


@pytest.fixture(scope="module")
def table():
    """Pieces of one random genome a class: what was learned from and what is judged share words."""
    rng = np.random.default_rng(0)
    rows = []
    for label in ("a", "b", "c"):
        genome = "".join(rng.choice(list("ACGT"), 600))
        places = rng.integers(0, 540, 90)
        rows += [(genome[place : place + 60], label, "train" if i < 60 else "valid") for i, place in enumerate(places)]
    return pd.DataFrame(rows, columns=["sequence", "label", "split"])


def learner(table, counts=COUNTS, tokenizer=KmerTokenizer(3, 2)):
    set_seed(0)
    loaders = ReadDataLoaders.from_df(table, tokenizer, bs=20, device="cpu")
    return genome_classifier_learner(loaders, preset=PRESET, counts=counts)


def fit(learn, **kwargs):
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(1e-2, epochs=3, **kwargs)
    return learn


def test_it_knows_shared_words_that_the_network_does_not(table):
    assert fit(learner(table)).figures["accuracy"] > 0.95 > fit(learner(table, counts=False)).figures["accuracy"] + 0.1


def test_training_is_that_of_the_network_alone(table):
    both = fit(learner(table)).model
    alone = fit(learner(table, counts=False)).model
    for name, weights in alone.named_parameters():
        assert torch.equal(weights, both.get_parameter(name)), name


def test_kept_in_half_precision_and_loaded_with_equal_answers(table, tmp_path):
    model = learner(table).to_model()
    folder = model.save(tmp_path / "m")
    again = load_model(folder, "cpu")
    sequences = list(table["sequence"][:20]) + ["ACG", "N" * 30, ""]
    assert np.array_equal(again.predict_proba(sequences), model.predict_proba(sequences))
    without = learner(table, counts=False).to_model().save(tmp_path / "n")
    more = (folder / WEIGHTS).stat().st_size - (without / WEIGHTS).stat().st_size
    assert again.config.counts == COUNTS and 0 <= more - 2 * 3 * 2**12 < 200, "two bytes a number"


class StopInSecond(Callback):
    """Ends a run in its second epoch."""

    def before_epoch(self):
        if self.epoch == 1:
            raise KeyboardInterrupt("stopped")


def test_a_resumed_run_has_the_same_weights(table, tmp_path):
    whole = fit(learner(table))
    with pytest.raises(KeyboardInterrupt):
        fit(learner(table), checkpoints=tmp_path / "cut", cbs=StopInSecond())
    resumed = fit(learner(table), checkpoints=tmp_path / "cut", resume=True)
    for name, weights in whole.model.named_parameters():
        assert torch.equal(weights, resumed.model.get_parameter(name)), name


def test_reads_weigh_more_than_genomes(table, corpus):
    drawn = ReadDataLoaders.from_corpus(corpus, "genus", KmerTokenizer(3, 2), bs=20, device="cpu")
    of_genomes = genome_classifier_learner(drawn, preset=PRESET, counts=True).model.counts.counts
    of_reads = learner(table, counts=True).model.counts.counts
    assert (of_genomes.weight, of_reads.weight) == (WEIGHT, WEIGHT_OF_READS) and of_reads.length == 13


def test_the_command_counts_the_genomes_of_a_corpus(corpus, tmp_path, capsys):
    command = "train {corpus} --label genus --preset nano --k 3 --tokens 20k --bs 20 --out {out}"
    run(command, corpus=corpus.path, out=tmp_path / "m")
    run(command + " --no-wide", corpus=corpus.path, out=tmp_path / "n")
    counted, plain = (load_model(tmp_path / name, "cpu") for name in "mn")
    assert counted.config.counts.length == 13 and counted.config.wide is None and plain.config.counts is None
    assert counted.model.counts.table.std() > 0


def test_proteins_have_words_of_one_strand():
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list(PROTEIN.letters), 30)) for _ in range(40)]
    table = pd.DataFrame({"sequence": sequences, "label": list("ab") * 20, "split": ["train", "valid"] * 20})
    table["label"] = ["ab"[i % 4 // 2] for i in range(40)]
    branch = learner(table, counts=True, tokenizer=KmerTokenizer(1, 1, PROTEIN)).model.counts
    assert branch.counts.length == 6 and not branch.both_strands and branch.table.std() > 0


def test_a_table_larger_than_the_file_is_refused_before_memory_is_taken(table, tmp_path, monkeypatch):
    folder = changed_settings(learner(table).to_model(), tmp_path / "m", "counts", buckets=2**24)
    monkeypatch.setattr("genomic_ulmfit.model.model.classifier", None)  # would be called to make the network
    with pytest.raises(InputError, match="asks for a network of at least 50,3"):
        load_model(folder)


def test_other_settings_than_the_weights_are_refused(table, tmp_path):
    model = learner(table).to_model()
    with pytest.raises(InputError, match="does not fit config.json: counts.table"):
        load_model(changed_settings(model, tmp_path / "m", "counts", buckets=2**11))
    with pytest.raises(InputError, match="counts.length"):
        load_model(changed_settings(model, tmp_path / "n", "counts", length=40))
