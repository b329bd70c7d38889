"""fastai's contract: what works on its Learner works on ours, in the order of the table, or is refused in a line."""

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import ColReader, RandomSplitter
from fastai.interpret import ClassificationInterpretation
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import set_seed

from genomic_ulmfit.all import (
    SAMPLE,
    GenomeCorpus,
    GenomeLMDataLoaders,
    KmerTokenizer,
    Preset,
    ReadDataLoaders,
    SequenceBlock,
    genome_classifier_learner,
    genome_lm_learner,
)
from genomic_ulmfit.nets.heads import classifier

PRESET = Preset(8, 12, 2)
TOKENIZER = KmerTokenizer(3, 1)
ROWS = 65  # to watch: a batch of 32, another, and one of a single row


def table_of(rows, seed=0):
    """Sequences of many lengths; their label is whether they begin with A, so that answers can be told apart."""
    rng = np.random.default_rng(seed)
    letters = ["".join(rng.choice(list("ACGT"), n)) for n in rng.integers(20, 90, rows)]
    return pd.DataFrame({"sequence": letters, "label": ["begins" if s[0] in "AC" else "other" for s in letters]})


@pytest.fixture(scope="module")
def table():
    return table_of(130 + ROWS).assign(split=["train"] * 130 + ["valid"] * ROWS)


@pytest.fixture(scope="module")
def learn(table):
    set_seed(0)
    dls = ReadDataLoaders.from_df(table, TOKENIZER, bs=32, device="cpu")
    learn = genome_classifier_learner(dls, preset=PRESET)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-2)
    return learn


@pytest.fixture(autouse=True)
def quiet(learn):
    with learn.no_bar(), learn.no_logging():
        yield


def answers_of(learn, sequences):
    """Each sequence by itself, as it is: what its row has to be."""
    model = learn.to_model()
    single = [model.predict_proba([s], both_strands=False, phases=1, exact=True) for s in sequences]
    return np.concatenate(single)


def classes_of(table, learn):
    return [list(learn.dls.vocab).index(label) for label in table["label"]]


# ---------------------------------------------------------------- predictions


def test_get_preds_has_the_rows_of_the_table_in_their_order(learn, table):
    valid = table[table["split"] == "valid"]
    probs, targets = learn.get_preds()
    assert probs.shape == (ROWS, 2) and targets.tolist() == classes_of(valid, learn)
    np.testing.assert_allclose(probs, answers_of(learn, valid["sequence"]), atol=0.02)


@pytest.mark.parametrize("way", ["ds_idx", "dl"])
def test_get_preds_of_the_training_rows_are_as_they_are(learn, table, way):
    train = table[table["split"] == "train"]
    probs, targets = learn.get_preds(**({"ds_idx": 0} if way == "ds_idx" else {"dl": learn.dls.train}))
    assert targets.tolist() == classes_of(train, learn)
    np.testing.assert_allclose(probs, answers_of(learn, train["sequence"]), atol=0.02)


def test_get_preds_with_everything(learn, table):
    valid = table[table["split"] == "valid"]
    inputs, probs, targets, decoded, losses = learn.get_preds(with_input=True, with_decoded=True, with_loss=True)
    assert [TOKENIZER.decode(row) for row in inputs] == valid["sequence"].tolist()
    assert decoded.tolist() == probs.argmax(1).tolist() and losses.shape == (ROWS,)
    np.testing.assert_allclose(losses, -probs.log()[range(ROWS), targets], atol=0.02)


def test_get_preds_leaves_training_as_it_was(table):
    def trained(look):
        set_seed(1)
        learn = genome_classifier_learner(ReadDataLoaders.from_df(table, TOKENIZER, bs=32, device="cpu"), preset=PRESET)
        with learn.no_bar(), learn.no_logging():
            learn.fit(1, 1e-2)
            if look:
                learn.get_preds(ds_idx=0)
            torch.manual_seed(2)
            learn.fit(1, 1e-2)
        return torch.cat([p.flatten() for p in learn.model.parameters()])

    assert torch.equal(trained(False), trained(True))


def test_a_plain_learner_gets_the_same_order(table):
    dls = ReadDataLoaders.from_df(table, TOKENIZER, bs=32, device="cpu")
    plain = Learner(dls, classifier(TOKENIZER, PRESET, 2), loss_func=CrossEntropyLossFlat())
    with plain.no_bar():
        probs, targets = plain.get_preds()
    assert targets.tolist() == classes_of(table[table["split"] == "valid"], plain) and len(probs) == ROWS


def test_reads_of_a_corpus(tmp_path):
    corpus = GenomeCorpus.build(SAMPLE / "genomes.tsv", tmp_path / "corpus", labels=["genus"], hold_out=10)
    dls = ReadDataLoaders.from_corpus(
        corpus, "genus", TOKENIZER, length=(40, 90), reads=70, valid_reads=45, bs=32, device="cpu"
    )
    learn = genome_classifier_learner(dls, preset=PRESET)
    with learn.no_bar():
        probs, targets = learn.get_preds()
    assert probs.shape == (45, 9) and [dls.vocab[int(i)] for i in targets] == dls.valid.items["label"].tolist()
    np.testing.assert_allclose(probs, answers_of(learn, dls.valid.items["sequence"]), atol=0.02)


def test_predict_of_a_sequence(learn, table):
    for sequence in table["sequence"][-3:]:
        label, number, probs = learn.predict(sequence)
        assert label == learn.dls.vocab[int(number)] and int(number) == int(probs.argmax())
        np.testing.assert_allclose(probs, answers_of(learn, [sequence])[0], atol=0.02)
    assert learn.predict(sequence, with_input=True)[0] == sequence


def test_a_test_loader(learn, table):
    sequences = table["sequence"][-40:].tolist()
    probs, targets = learn.get_preds(dl=learn.dls.test_dl(sequences, bs=7))
    assert targets is None and probs.shape == (40, 2)
    np.testing.assert_allclose(probs, answers_of(learn, sequences), atol=0.02)


# ---------------------------------------------------------------- interpretation


def test_interpretation(learn, table):
    interp = ClassificationInterpretation.from_learner(learn)
    matrix = interp.confusion_matrix()
    probs, targets = learn.get_preds()
    expected = np.zeros((2, 2), int)
    np.add.at(expected, (targets.numpy(), probs.argmax(1).numpy()), 1)
    assert matrix.tolist() == expected.tolist() and matrix.sum() == ROWS
    losses, rows = interp.top_losses(5)
    worst = probs[rows, targets[rows]]
    assert (worst <= probs[range(ROWS), targets].sort().values[4] + 1e-6).all() and (losses.diff() <= 0).all()
    assert interp.top_losses(5, items=True)[2]["sequence"].tolist() == [
        table[table["split"] == "valid"]["sequence"].iloc[int(row)] for row in rows
    ]


def test_top_losses_are_shown(learn, monkeypatch):
    shown = []
    monkeypatch.setattr("genomic_ulmfit.train.interpret.display_df", shown.append)
    ClassificationInterpretation.from_learner(learn).plot_top_losses(3)
    valid = learn.dls.valid.items
    assert list(shown[0]["loss"]) == sorted(shown[0]["loss"], reverse=True) and len(shown[0]) == 3
    for row in shown[0].itertuples():
        letters = row.sequence.rstrip("…")
        target = valid[valid["sequence"].str.startswith(letters)]["label"]
        assert row.target in set(target) and row.predicted in learn.dls.vocab


# ---------------------------------------------------------------- what is shown


def test_a_summary(learn):
    assert "Total params" in str(learn.summary())


def test_export_writes_no_pickle(learn, tmp_path):
    learn.path = tmp_path
    with pytest.raises(ValueError, match=r"no pickle is written: save with learn.to_model\(\).save"):
        learn.export("model.pkl")
    assert not list(tmp_path.iterdir())


def test_a_single_callback(table):
    class Count(Callback):
        def before_fit(self):
            self.learn.counted = True

    dls = ReadDataLoaders.from_df(table, TOKENIZER, bs=32, device="cpu")
    learn = genome_classifier_learner(dls, preset=PRESET, cbs=Count())
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(1e-2, epochs=1, cbs=Callback())
    assert learn.counted


def test_a_data_block_is_shown(table):
    columns = {"get_x": ColReader("sequence"), "get_y": ColReader("label"), "splitter": RandomSplitter(seed=0)}
    dls = DataBlock((SequenceBlock(TOKENIZER), CategoryBlock), **columns).dataloaders(table, bs=16, device="cpu")
    dls.show_batch(max_n=3)
    learn = genome_classifier_learner(dls, preset=PRESET)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-2)
        probs, targets = learn.get_preds()
        assert len(probs) == len(targets) == len(dls.valid_ds)
        label, number, probs = learn.predict(table["sequence"][0])
        assert label == dls.vocab[int(number)]
        assert ClassificationInterpretation.from_learner(learn).confusion_matrix().sum() == len(dls.valid_ds)
        learn.show_results(max_n=2)


# ---------------------------------------------------------------- language models


def test_language_models(table, monkeypatch):
    dls = GenomeLMDataLoaders.from_df(table, tokenizer=TOKENIZER, bs=16, tokens=30, device="cpu")
    learn = genome_lm_learner(dls, PRESET)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-2)
        probs, targets, losses = learn.get_preds(with_loss=True)
        windows = len(dls.valid.dataset.layout)
        assert probs.shape == (windows, 30, TOKENIZER.vocab_size) and targets.shape == (windows, 30)
        first = table[table["split"] == "valid"]["sequence"].iloc[0]
        assert targets[0, : len(first) - 2].tolist() == TOKENIZER.encode(first)[:30].tolist()
        assert losses.shape == (windows,)
        learn.show_results(max_n=2)
        assert "Total params" in str(learn.summary())
        with pytest.raises(ValueError, match="no classes to predict"):
            learn.predict("ACGT")
        monkeypatch.setattr("genomic_ulmfit.train.learner.MOST_GB", 1e-6)
        with pytest.raises(ValueError, match=r"the predictions of \d+ windows take .* GB. Use to_model\(\).bits_per"):
            learn.get_preds()
