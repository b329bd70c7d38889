"""Training until it is done: budgets of tables, an early end with the best weights, resumed runs, usual recipes."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from commands import fails, run
from fastai.callback.core import Callback

from genomic_ulmfit.all import (
    PRESETS,
    KmerTokenizer,
    Preset,
    ReadDataLoaders,
    genome_classifier_learner,
    load_model,
    set_seed,
)
from genomic_ulmfit.text.reads import LabelledReads

PRESET = Preset(8, 12, 1)
TOKENIZER = KmerTokenizer(3, 2)


def random_table(labels):
    """Random sequences with labels."""
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), 40)) for _ in labels]
    split = np.where(np.arange(len(labels)) % 3, "train", "valid")
    return pd.DataFrame({"sequence": sequences, "label": labels, "split": split})


@pytest.fixture(scope="module")
def coins():
    """Sequences whose labels nobody can learn: the validation loss soon grows."""
    return random_table(np.random.default_rng(1).choice(["heads", "tails"], 180))


def learner(table, **kwargs):
    set_seed(0)
    loaders = ReadDataLoaders.from_df(table, TOKENIZER, bs=20, device="cpu", **kwargs)
    return genome_classifier_learner(loaders, preset=PRESET, drop_mult=0)


def fit(learn, lr=2e-2, **kwargs):
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(lr, **kwargs)
    return learn


def watched(learn):
    """Validation loss and accuracy of each epoch."""
    return [list(row)[1:] for row in learn.recorder.values]


@pytest.mark.parametrize("batches", [4, 9])
def test_a_table_is_trained_on_for_so_many_kmers(coins, batches):
    learn = learner(coins)
    tokens = learn.dls.train.one_batch()[0].numel()
    fit(learn, tokens=tokens * batches, parts=2)
    assert len(learn.recorder.losses) == batches // 2 * 2 and len(learn.dls.train) == 6, "epochs have their own length"


def test_a_table_is_trained_on_for_minutes(coins):
    learn = fit(learner(coins), minutes=0.03, parts=3)
    assert 1.8 <= learn.seconds < 10 and len(learn.recorder.values) == 3 and len(learn.dls.train) == 6


def test_passes_go_on_from_part_to_part(coins, monkeypatch):
    learn = learner(coins)
    drawn = []
    plain = LabelledReads.__getitem__

    def noting(self, i):
        if self.augment:
            drawn.append(self._place(i))
        return plain(self, i)

    tokens = learn.dls.train.one_batch()[0].numel()
    monkeypatch.setattr("genomic_ulmfit.train.processes.seconds_per_step", lambda learn: 0.1)
    monkeypatch.setattr(LabelledReads, "__getitem__", noting)
    fit(learn, tokens=tokens * 12, parts=3)
    assert drawn[-12:] == [(number, batch) for number in range(2) for batch in range(6)]


class StopIn(Callback):
    """Ends a run in an epoch."""

    def __init__(self, number):
        self.number = number

    def before_epoch(self):
        if self.epoch == self.number:
            raise KeyboardInterrupt("stopped")


def test_the_end_is_the_best_epoch(coins, tmp_path):
    learn = fit(learner(coins), epochs=60, patience=4)
    losses = [row[0] for row in watched(learn)]
    assert len(losses) == learn.best_epoch + 5 < 60 and learn.figures["valid_loss"] == min(losses) < losses[-1]
    with learn.no_bar():
        assert learn.validate()[0] == pytest.approx(min(losses))


@pytest.mark.parametrize("later", [0, 3])
def test_a_resumed_run_ends_where_the_whole_one_did(coins, tmp_path, later):
    whole = fit(learner(coins), epochs=60, patience=4)
    with pytest.raises(KeyboardInterrupt):
        fit(learner(coins), epochs=60, patience=4, checkpoints=tmp_path / "c", cbs=StopIn(whole.best_epoch + 1 + later))
    resumed = fit(learner(coins), epochs=60, patience=4, checkpoints=tmp_path / "c", resume=True)
    assert resumed.best_epoch == whole.best_epoch and watched(resumed) == watched(whole)
    for (name, one), other in zip(whole.model.named_parameters(), resumed.model.parameters()):
        assert torch.equal(one, other), name


def test_another_patience_is_another_training(coins, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(learner(coins), epochs=9, patience=4, checkpoints=tmp_path / "c", cbs=StopIn(2))
    with pytest.raises(ValueError, match="patience was 4, now None"):
        fit(learner(coins), epochs=9, checkpoints=tmp_path / "c", resume=True)


SMALL = " --k 3 --stride 2 --preset nano --bs 20"


@pytest.mark.parametrize("budget", ["", " --minutes 0.02", " --tokens 10k"])
def test_commands_for_tables_and_fasta(coins, tmp_path, budget, capsys):
    table = coins.assign(id=[f"s{row}" for row in range(len(coins))])
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    (tmp_path / "t.fa").write_text("".join(f">{row.id}\n{row.sequence}\n" for row in table.itertuples()))
    run("train {tmp}/t.tsv --out {tmp}/m" + SMALL + budget, tmp=tmp_path)
    run("train {tmp}/t.fa --labels {tmp}/t.tsv --out {tmp}/n --json {tmp}/n.json" + SMALL + budget, tmp=tmp_path)
    said = capsys.readouterr().out
    assert ("until it is done" in said) == (not budget)
    assert np.isfinite(json.loads((tmp_path / "n.json").read_text())["valid_loss"])


def test_other_stages_want_a_budget(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("pretrain {tmp}/c --out {tmp}/m", tmp=tmp_path)
    assert "one of the arguments --tokens --minutes is required" in capsys.readouterr().err
    (tmp_path / "t.tsv").write_text("sequence\tlabel\tsplit\n")
    fails(capsys, "train {tmp}/t.tsv --out {tmp}/m --epochs 0", names=["has no rows"], tmp=tmp_path)


def test_what_is_not_given_follows_the_data(coins, tmp_path, monkeypatch):
    coins.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    short = "train {tmp}/t.tsv --epochs 1 --bs 60 --out {tmp}/"
    run(short + "few", tmp=tmp_path)
    model = load_model(tmp_path / "few")
    assert (model.tokenizer, model.preset, model.config.wide) == (KmerTokenizer(6, 3), PRESETS["nano"], None)
    monkeypatch.setattr("genomic_ulmfit.train.runs.MANY", 100)
    run(short + "many --k 4", tmp=tmp_path)
    model = load_model(tmp_path / "many")
    assert model.tokenizer == KmerTokenizer(4, 3) and model.config.wide
    run(short + "not --no-wide", tmp=tmp_path)
    assert load_model(tmp_path / "not").config.wide is None
    run(short + "tuned --pretrained bacteria-small", tmp=tmp_path)
    assert load_model(tmp_path / "tuned").config.wide is None, "nobody studied it beside a pretrained model"
