"""Placed words end to end: what they add, kept and loaded, on the command line, in other alphabets; broken folders."""

import numpy as np
import pandas as pd
import pytest
import torch
from commands import run
from folders import changed_settings

from genomic_ulmfit.all import (
    PROTEIN,
    InputError,
    KmerTokenizer,
    Placed,
    Preset,
    ReadDataLoaders,
    genome_classifier_learner,
    load_model,
    set_seed,
)
from genomic_ulmfit.model.folder import WEIGHTS

PRESET = Preset(8, 12, 1)


@pytest.fixture(scope="module")
def table():
    """One box in every sequence, at the start of it or at its end: words alone don't tell the classes apart."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(240):
        letters = rng.choice(list("ACGT"), 40)
        label = "ab"[i % 2]
        place = rng.integers(4, 8) + 24 * (label == "b")
        letters[place : place + 6] = list("TATAAT")
        rows.append(("".join(letters), label, "train" if i < 160 else "valid"))
    return pd.DataFrame(rows, columns=["sequence", "label", "split"])


def learner(table, placed=True, tokenizer=KmerTokenizer(3, 2)):
    set_seed(0)
    loaders = ReadDataLoaders.from_df(table, tokenizer, bs=20, stranded=True, device="cpu")
    return genome_classifier_learner(loaders, preset=PRESET, placed=placed)


def fit(learn):
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(1e-2, epochs=2)
    return learn


def test_it_knows_places_that_the_network_has_not_learned_and_training_is_that_of_the_network_alone(table):
    both, alone = fit(learner(table)), fit(learner(table, placed=False))
    assert both.figures["accuracy"] > 0.9 > alone.figures["accuracy"] + 0.1
    for name, weights in alone.model.named_parameters():
        assert torch.equal(weights, both.model.get_parameter(name)), name


def test_kept_in_half_precision_and_loaded_with_equal_answers(table, tmp_path):
    model = learner(table).to_model()
    folder = model.save(tmp_path / "m")
    again = load_model(folder, "cpu")
    sequences = list(table["sequence"][:20]) + ["ACG", "N" * 40, "", "ACGT" * 100]
    assert np.array_equal(again.predict_proba(sequences), model.predict_proba(sequences))
    without = learner(table, placed=False).to_model().save(tmp_path / "n")
    more = (folder / WEIGHTS).stat().st_size - (without / WEIGHTS).stat().st_size
    assert again.config.placed == Placed(40, (2, 3, 4))
    assert 0 <= more - 2 * 2 * 40 * (16 + 64 + 256) < 400, "two bytes a number"


def test_the_command_learns_places_of_stranded_sequences(table, tmp_path):
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    command = "train {data} --preset nano --k 3 --epochs 1 --bs 20 --out {out}"
    run(command + " --stranded", data=tmp_path / "t.tsv", out=tmp_path / "m")
    run(command + " --stranded --no-placed", data=tmp_path / "t.tsv", out=tmp_path / "n")
    placed, plain = (load_model(tmp_path / name, "cpu") for name in "mn")
    assert placed.config.placed.places == 40 and plain.config.placed is None
    assert (placed.predict_proba(list(table["sequence"])).argmax(1) == (table["label"] == "b")).mean() > 0.9


def test_residues_have_places_too():
    rng = np.random.default_rng(0)
    sequences = np.array([rng.choice(list(PROTEIN.letters), 12) for _ in range(800)])
    label = np.where(np.isin(sequences[:, 5], list("ILVFMWAY")), "buried", "exposed")
    table = pd.DataFrame({"sequence": ["".join(row) for row in sequences], "label": label})
    learn = learner(table.assign(split=["train", "valid"] * 400), tokenizer=KmerTokenizer(1, 1, PROTEIN))
    branch = learn.model.placed.eval()
    right = torch.cat([branch(x).argmax(1) == y for x, y in learn.dls.valid]).float().mean()
    assert branch.placed == Placed(12, (1, 2)) and right > 0.8


def test_other_settings_than_the_weights_are_refused(table, tmp_path, monkeypatch):
    model = learner(table).to_model()
    with pytest.raises(InputError, match="does not fit config.json: placed.table"):
        load_model(changed_settings(model, tmp_path / "m", "placed", places=39))
    with pytest.raises(InputError, match="placed words of 7 letters are too many"):
        load_model(changed_settings(model, tmp_path / "n", "placed", lengths=[7]))
    monkeypatch.setattr("genomic_ulmfit.model.model.classifier", None)  # would be called to make the network
    with pytest.raises(InputError, match="asks for a network of at least 10,8"):
        load_model(changed_settings(model, tmp_path / "o", "placed", places=1000, lengths=[6, 5, 4, 3]))
