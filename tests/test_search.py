"""`train --auto`: what is tried, that it survives a kill, that nothing but training and validation rows is read."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from commands import fails, run

from genomic_ulmfit.all import load_model, search_to_folder
from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.train import search, tries
from genomic_ulmfit.train.budget import Pace
from genomic_ulmfit.train.checkpoint import Checkpoint
from genomic_ulmfit.train.recipes import recipe_name, recipes_for, rung_sizes, successive_halving
from genomic_ulmfit.train.runs import Recipe, checkpoints_of

RECIPES = [Recipe(k, stride, "nano", False) for k, stride in ((2, 2), (3, 3), (4, 2))]
READING = {"bs": 20, "device": "cpu"}


@pytest.fixture(scope="module")
def table():
    """Two kinds of sequences, not easy to tell apart."""
    rng = np.random.default_rng(0)
    shares = {"low": [0.3, 0.2, 0.2, 0.3], "high": [0.2, 0.3, 0.3, 0.2]}
    rows = [("".join(rng.choice(list("ACGT"), 40, p=p)), name) for name, p in shares.items() for _ in range(60)]
    return pd.DataFrame(rows, columns=["sequence", "label"]).assign(split=(["train"] * 5 + ["valid"]) * 20)


@pytest.fixture(scope="module")
def reads(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("search") / "reads.tsv"
    table.to_csv(path, sep="\t", index=False)
    return path


def searched(data, out, recipes=RECIPES, **kwargs):
    return search_to_folder(data, out, {"epochs": 24}, recipes, parts=3, **READING, **kwargs)


@pytest.fixture(scope="module")
def whole(reads, tmp_path_factory):
    """A search that nobody interrupted, and its folder."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    return searched(reads, folder), folder


def without_times(found):
    return [{name: value for name, value in tried.items() if name != "seconds"} for tried in found.tries]


def same_weights(folder, other):
    pairs = [load_model(place, "cpu").model.state_dict() for place in (folder, other)]
    return pairs[0].keys() == pairs[1].keys() and all(torch.equal(pairs[0][name], pairs[1][name]) for name in pairs[0])


# ---------------------------------------------------------------- halving


@pytest.mark.parametrize("n", range(1, 18))
def test_every_rung_costs_the_same_and_the_best_is_left(n):
    quality = np.random.default_rng(n).permutation(n)
    spent = {}

    def loss_of(candidate, rung, budget):
        spent.setdefault(rung, []).append((candidate, budget))
        return quality[candidate]

    assert quality[successive_halving(range(n), loss_of, 6.0)] == 0
    assert [len(spent[rung]) for rung in sorted(spent)] == rung_sizes(n)
    for tried in spent.values():
        assert np.isclose(sum(budget for _, budget in tried), 6 / len(spent))
        assert {c for c, _ in tried} == set(np.argsort(quality)[: len(tried)]), "the better half went on"


def test_lists_are_short_and_what_is_given_stays():
    for data in ("t.tsv", "t.fa", "."):
        recipes = recipes_for(data)
        assert 2 <= len(recipes) == len(set(map(recipe_name, recipes))) <= 8
        assert any(recipe.pretrained for recipe in recipes) and not all(recipe.pretrained for recipe in recipes)
        for name, value in {"k": 4, "stride": 2, "preset": "tiny", "wide": True, "lr": 2e-3}.items():
            assert {getattr(recipe, name) for recipe in recipes_for(data, **{name: value})} == {value}
    assert len(recipes_for("t.tsv", k=4, stride=2, preset="tiny", wide=True, lr=2e-3)) == 1
    assert {recipe.pretrained for recipe in recipes_for(".", pretrained="bacteria-small")} == {"bacteria-small"}


# ---------------------------------------------------------------- the search


def test_the_best_is_kept(whole):
    found, folder = whole
    rows = pd.DataFrame(found.tries)
    assert list(rows["rung"]) == [1, 1, 1, 2, 2]
    first = rows[rows["rung"] == 1].sort_values("valid_loss").head(2)
    last = rows[rows["rung"] == 2].sort_values("valid_loss")
    fields = list(Recipe._fields)
    assert set(first[fields].itertuples(index=False)) == set(last[fields].itertuples(index=False))
    assert tuple(last.iloc[0][["k", "stride"]]) == found.recipe[:2]
    model = load_model(folder, "cpu")
    assert (model.tokenizer.k, model.tokenizer.stride) == found.recipe[:2]
    assert model.about["figures"] == found.figures and len(model.about["tried"]) == 5


def test_rows_of_the_test_split_are_not_read(table, whole, tmp_path):
    broken = table.head(9).assign(sequence="!!!", label="nobody knows", split="test")
    leaking = table[table["split"] == "valid"].assign(split="test")
    pd.concat([broken, table, leaking]).to_csv(tmp_path / "more.tsv", sep="\t", index=False)
    again = searched(tmp_path / "more.tsv", tmp_path / "m")
    assert again.recipe == whole[0].recipe and again.figures == whole[0].figures
    assert without_times(again) == without_times(whole[0])
    assert same_weights(tmp_path / "m", whole[1])


def test_a_recipe_that_diverges_is_dropped(reads, tmp_path):
    recipes = [RECIPES[1]._replace(lr=1e12), RECIPES[1]]
    found = searched(reads, tmp_path / "m", recipes)
    assert found.recipe == RECIPES[1] and found.tries[0]["valid_loss"] is None
    text = (tmp_path / "m" / "config.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["about"]["tried"][0]["valid_loss"] is None


def test_reads_of_a_corpus(corpus, tmp_path):
    reading = {**READING, "label": "genus", "valid_reads": 200}
    found = search_to_folder(corpus.path, tmp_path / "m", {"tokens": 60_000}, RECIPES[1:], **reading)
    assert len(found.tries) == 2 and found.figures["accuracy"] > 0.8


def test_minutes_are_a_limit(reads, tmp_path, monkeypatch):
    monkeypatch.setattr(tries, "FEWEST_BATCHES", 0)
    monkeypatch.setattr(tries, "measure_pace", lambda learn: Pace(1.0, 800, 5))  # so slow that no pass is too much
    found = search_to_folder(reads, tmp_path / "m", {"minutes": 0.06}, RECIPES[1:], **READING)
    budget = load_model(tmp_path / "m", "cpu").about["budget"]
    assert [tried["budget"] for tried in found.tries] == ["0.015 minutes"] * 2 and 0.03 <= budget["minutes"] < 0.045
    with pytest.raises(InputError, match="one process"):
        monkeypatch.setattr(search, "n_processes", lambda: 2)
        searched(reads, tmp_path / "n")


# ---------------------------------------------------------------- killed


def stopping(function, calls):
    """The function, until so many calls are done."""
    left = iter(range(calls))

    def stops(*args, **kwargs):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return stops


def forbidden(*args, **kwargs):
    raise AssertionError("this is done already")


def test_tries_that_are_done_are_not_repeated(reads, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(search, "try_recipe", stopping(tries.try_recipe, 4))
        searched(reads, tmp_path / "m")
    with pytest.raises(InputError, match="did not end. Add --resume"):
        searched(reads, tmp_path / "m")
    with pytest.raises(InputError, match="belongs to another training: recipes was 3, now 2"):
        searched(reads, tmp_path / "m", RECIPES[:2], resume=True)
    with pytest.raises(InputError, match="belongs to another training: seed was '0', now '1'"):
        searched(reads, tmp_path / "m", resume=True, seed=1)
    calls = []
    again_tried = lambda *args, **kwargs: calls.append(args) or tries.try_recipe(*args, **kwargs)
    monkeypatch.setattr(search, "try_recipe", again_tried)
    again = searched(reads, tmp_path / "m", resume=True)
    assert without_times(again) == without_times(whole[0])
    assert len(calls) == 1 and same_weights(tmp_path / "m", whole[1]) and not checkpoints_of(tmp_path / "m").exists()


def test_the_training_of_the_best_goes_on(reads, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(search, "train_to_folder", stopping(forbidden, 0))
        searched(reads, tmp_path / "m")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoint, "write", stopping(Checkpoint.write, 2))
        searched(reads, tmp_path / "m", resume=True)
    assert {path.name for path in checkpoints_of(tmp_path / "m").iterdir()} == {"tries.json", "epoch-0002"}
    monkeypatch.setattr(search, "try_recipe", forbidden)
    monkeypatch.setattr(search, "share_of", forbidden)  # measured anew it would be another budget
    searched(reads, tmp_path / "m", resume=True)
    assert same_weights(tmp_path / "m", whole[1])
    assert searched(reads, tmp_path / "m", resume=True) is None, "it is finished"


# ---------------------------------------------------------------- the command


def test_the_command(reads, models, tmp_path, capsys):
    command = "train {reads} --auto --pretrained {lm} --wide --epochs 10 --bs 20 --out {tmp}/m --json {tmp}/m.json"
    run(command, reads=reads, lm=models / "lm", tmp=tmp_path)
    said = capsys.readouterr().out
    known = json.loads((tmp_path / "m.json").read_text(), parse_constant=pytest.fail)
    assert [tried["lr"] for tried in known["tried"]] == [4e-3, 1e-2] and known["recipe"]["lr"] in (4e-3, 1e-2)
    assert {tried["pretrained"] for tried in known["tried"]} == {str(models / "lm")}
    assert "rung 1, k 3 stride 2" in said and "valid_loss" in said and f"{known['valid_loss']:.4f}" in said
    assert "## tried" in (tmp_path / "m" / "README.md").read_text()


def test_what_cannot_be_searched_is_one_line(reads, table, tmp_path, capsys):
    places = {"reads": reads, "tmp": tmp_path}
    search_for = "train {reads} --auto --bs 20 --out {tmp}/m"
    fails(capsys, search_for + " --tokens 20k", names=["budget", "too small to try 6 recipes"], **places)
    fails(capsys, search_for + " --minutes 0", names=["budget: is 0.0, not above zero"], **places)
    table[table["split"] == "train"].to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    fails(capsys, "train {tmp}/t.tsv --auto --out {tmp}/m", names=["has no rows of the split 'valid'"], **places)
    fails(capsys, search_for + " --pretrained nothing", names=["no such model folder"], **places)
    assert not checkpoints_of(tmp_path / "m").exists() and not (tmp_path / "m").exists()


def test_a_search_and_a_run_without_are_not_mixed(reads, tmp_path, capsys):
    places = {"reads": reads, "tmp": tmp_path}
    (tmp_path / "m.checkpoints").mkdir()
    (tmp_path / "m.checkpoints" / "tries.json").write_text("{")
    resume = "train {reads} --out {tmp}/m --epochs 99 --resume"
    fails(capsys, resume, names=["belongs to a search. Resume with --auto"], **places)
    fails(capsys, resume + " --auto", names=["tries.json: cannot be read"], **places)
    (tmp_path / "m.checkpoints" / "tries.json").rename(tmp_path / "m.checkpoints" / "epoch-0001")
    fails(capsys, resume + " --auto", names=["belongs to a run without a search"], **places)
