"""Few labels: nothing leaks, what is planted is found, and what cannot be done is said."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from commands import fails, run

from genomic_ulmfit.all import DNA, PROTEIN, InputError, KmerTokenizer, LanguageModel, Preset, fit_few
from genomic_ulmfit.model.config import ModelConfig
from genomic_ulmfit.nets.awdlstm import language_model
from genomic_ulmfit.report.bootstrap import spearman
from genomic_ulmfit.tasks import few_fits
from genomic_ulmfit.tasks.few_features import Reader
from genomic_ulmfit.tasks.few_fits import NETWORK, FineTuned, LinearFit, SiteMeans, fold_numbers, possible_fits
from genomic_ulmfit.tasks.few_labels import divisions, joined_groups

LINEAR = ["mean", "likelihood", "site-independent", "one-hot", "BLOSUM62", "one-hot + likelihood"]
LINEAR.append("embedding + likelihood")


@pytest.fixture(scope="module")
def lm():
    torch.manual_seed(0)
    tokenizer, micro = KmerTokenizer(1, 1, PROTEIN), Preset(8, 12, 1)
    return LanguageModel(language_model(tokenizer, micro), ModelConfig(micro, tokenizer))


def landscape(n, noise=0.2, seed=0, places=8):
    """Variants of one protein whose letters add up."""
    rng = np.random.default_rng(seed)
    effects = np.random.default_rng(99).normal(size=(places, 20))
    codes = np.where(rng.random((n, places)) < 0.4, rng.integers(0, 20, (n, places)), 0)
    y = effects[np.arange(places), codes].sum(1) + rng.normal(0, noise, n)
    return pd.DataFrame({"sequence": [PROTEIN.decode(row.astype(np.uint8)) for row in codes], "kd": y})


def rank(y, predicted):
    return float(spearman(np.asarray(y, float), predicted, np.ones((1, len(y))))[0])


def test_a_planted_additive_landscape_is_found(lm):
    table = landscape(500)
    few = fit_few(lm, table, "kd", (24, 96, 384), methods=LINEAR[:-1], parts=2)
    curve = few.table.set_index(["n", "method"])["spearman"]
    assert curve[384, "one-hot"] > 0.95 and curve[96, "one-hot"] > curve[24, "one-hot"]
    assert few.best in ("one-hot", "one-hot + likelihood", "BLOSUM62")  # of many labels one as good as the other
    assert abs(curve[384, "likelihood"]) < 0.4 and np.isnan(curve[384, "mean"])
    new = landscape(200, 0, seed=5)
    assert rank(new["kd"], few.predictor.predict(new["sequence"])) > 0.95
    codes = [PROTEIN.encode(each) for each in new["sequence"][:5]]
    np.testing.assert_allclose(few.predictor.predict(codes), few.predictor.predict(new["sequence"][:5]))


def test_a_likelihood_that_knows_the_target_is_used(lm):
    table = landscape(300)
    table["kd"] = 3 * Reader(lm).likelihood(list(table["sequence"]))[:, 0] - 7
    few = fit_few(lm, table, "kd", (24, 96), methods=LINEAR, parts=2)
    curve = few.table.set_index(["n", "method"])
    assert curve.loc[(24, "likelihood"), "r2"] > 0.99
    assert curve.loc[(24, "one-hot + likelihood"), "r2"] > 0.9 > curve.loc[(24, "one-hot"), "r2"]


def test_what_more_changes_destroy_is_found_with_few_labels(lm):
    table = landscape(300, places=30)
    codes = np.stack([PROTEIN.encode(each) for each in table["sequence"]])
    table["kd"] = -((codes != 0).sum(1) ** 2.0)  # the usual letter of each place is the first of the alphabet
    few = fit_few(lm, table, "kd", (24,), methods=["one-hot", "changes", "one-hot + changes", "BLOSUM62 + changes"])
    curve = few.table.set_index("method")["spearman"]
    assert curve["changes"] > 0.95 and curve["one-hot"] < 0.8
    assert min(curve["one-hot + changes"], curve["BLOSUM62 + changes"]) > curve["one-hot"] + 0.1


@pytest.mark.parametrize("name", ["site-independent", "BLOSUM62 + changes", "embedding + likelihood"])
def test_labels_of_judged_rows_do_not_reach_the_fit(lm, name, monkeypatch):
    seen = []

    class Watched:
        def __init__(self, fit):
            self.inner = fit

        def fit(self, sequences, y, groups):
            self.fitted = list(sequences), y.copy()
            self.inner.fit(sequences, y, groups)
            return self

        def predict(self, sequences):
            found = self.inner.predict(sequences)
            seen.append((self.fitted, list(sequences), found))
            return found

    def watched(*args):
        return {key: lambda make=make: Watched(make()) for key, make in possible_fits(*args).items()}

    monkeypatch.setattr("genomic_ulmfit.tasks.few_labels.possible_fits", watched)
    table = landscape(120).drop_duplicates("sequence", ignore_index=True)
    fit_few(lm, table, "kd", (40,), methods=[name, "mean"], parts=2)
    runs = [run for run in seen if len(run[0][0]) == 40]
    assert len(runs) == 4 and all(not set(fitted[0]) & set(judged) for fitted, judged, _ in runs)
    first = [found for fitted, judged, found in runs]
    judged = table["sequence"].isin(runs[0][1]) & ~table["sequence"].isin(runs[2][0][0])
    assert judged.sum() > 20
    changed = table.assign(kd=table["kd"].where(~table["sequence"].isin(runs[0][1]), 1e3 - table["kd"]))
    seen.clear()
    fit_few(lm, changed, "kd", (40,), methods=[name, "mean"], parts=2)
    again = [run for run in seen if len(run[0][0]) == 40]
    assert again[0][1] == runs[0][1]
    np.testing.assert_array_equal(again[0][2], first[0])
    np.testing.assert_array_equal(again[1][2], first[1])


def test_equal_sequences_and_groups_stay_on_one_side():
    rng = np.random.default_rng(0)
    sequences = [f"M{letter}" for letter in rng.choice(list("ACDEFGHIKL"), 200)]
    names = rng.choice(60, 200)
    alone = joined_groups(sequences, None)
    assert len(set(alone)) == 10 and len(set(zip(alone, sequences))) == 10
    assert len(set(joined_groups([f"{i}" for i in range(200)], names))) == len(set(names))
    for groups in (alone, names):
        parts = [*divisions(groups, None, 5, 0), *divisions(groups, (50, 100), 3, 0)]
        for part in parts:
            assert not set(groups[part.fitted]) & set(groups[part.judged])
            assert len(part.fitted) and len(part.judged)
        assert sorted(np.concatenate([part.judged for part in parts[:5]])) == list(range(200))
        assert all(len(part.fitted) <= part.size for part in parts[5:])
    # two rows with one sequence and two groups tie the groups
    tied = joined_groups(["MA", "MA", "MC", "MD"], ["a", "b", "b", "c"])
    assert tied[0] == tied[1] == tied[2] != tied[3]


def test_inner_folds_keep_groups():
    groups = np.repeat(np.arange(20), 3)
    fold = fold_numbers(groups, 5, 0)
    assert len(set(zip(groups, fold))) == 20 and np.bincount(fold).tolist() == [12] * 5


def test_an_inner_cross_validation_by_groups_sees_through_copies():
    """Copies of noise look learnable, unless they are on one side."""
    rng = np.random.default_rng(0)
    table = landscape(30).drop_duplicates("sequence")
    sequences = list(np.repeat(table["sequence"].to_numpy(), 4))
    y = np.repeat(rng.normal(size=len(table)), 4)
    columns = possible_fits(Reader(small_lm()), sequences)["site-independent"].args[0]
    apart = SiteMeans(columns).fit(sequences, y, np.arange(len(y)))
    together = SiteMeans(columns).fit(sequences, y, np.repeat(np.arange(len(table)), 4))
    assert np.abs(together.effects).max() < np.abs(apart.effects).max() / 2


def small_lm():
    tokenizer, micro = KmerTokenizer(1, 1, PROTEIN), Preset(8, 12, 1)
    return LanguageModel(language_model(tokenizer, micro), ModelConfig(micro, tokenizer))


def test_a_yes_or_no(lm):
    table = landscape(300, 0)
    table["binds"] = (table["kd"] > 0).astype(int)
    few = fit_few(lm, table, "binds", methods=LINEAR[:4])
    curve = few.table.set_index("method")
    assert few.figure == "auroc" and curve.loc["one-hot", "auroc"] > 0.85 and curve.loc["mean", "auroc"] == 0.5
    answers = few.predictor.predict(table["sequence"])
    assert 0 <= answers.min() and answers.max() <= 1
    assert few.parts.query("method == 'mean'")["judged"].sum() == 300


def test_sequences_of_several_lengths_have_fewer_methods(lm):
    table = landscape(60)
    table.loc[::2, "sequence"] += "KK"
    few = fit_few(lm, table, "kd", methods=LINEAR[:2] + LINEAR[-1:], parts=5)
    assert set(few.table["method"]) == {"mean", "likelihood", "embedding + likelihood"}
    with pytest.raises(InputError, match="one-hot"):
        fit_few(lm, table, "kd", methods=["one-hot"])


def test_dna_has_no_blosum():
    torch.manual_seed(0)
    tokenizer, micro = KmerTokenizer(3, 3), Preset(8, 12, 1)
    dna = LanguageModel(language_model(tokenizer, micro), ModelConfig(micro, tokenizer))
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (80, 12)).astype(np.uint8)
    table = pd.DataFrame({"sequence": [DNA.decode(row) for row in codes], "kd": (codes[:, 3] == 1) + codes[:, 4] * 0.5})
    of_dna = possible_fits(Reader(dna), list(table["sequence"]))
    assert "one-hot + changes" in of_dna and not any("BLOSUM62" in method for method in of_dna)
    few = fit_few(dna, table, "kd", methods=["one-hot", "likelihood"])
    assert few.table.set_index("method").loc["one-hot", "spearman"] > 0.8


def test_the_network_is_tuned_and_leaves_the_random_state(lm, monkeypatch):
    monkeypatch.setattr(few_fits, "EPOCHS", 2)
    table = landscape(60).drop_duplicates("sequence")
    sequences, y = list(table["sequence"]), table["kd"].to_numpy()
    state = torch.get_rng_state()
    one = FineTuned(lm).fit(sequences, y, np.arange(len(y))).predict(sequences)
    assert torch.equal(torch.get_rng_state(), state) and one.shape == y.shape and np.ptp(one) > 0
    torch.rand(3)
    again = FineTuned(lm).fit(sequences, y, np.arange(len(y))).predict(sequences)
    np.testing.assert_allclose(one, again, rtol=1e-5)
    rare = np.zeros(len(y))
    rare[:2] = 1  # most folds leave both classes
    assert FineTuned(lm).fit(sequences, rare, np.arange(len(y))).predict(sequences).max() <= 1


def test_mutants_of_a_wild_type(lm):
    table = pd.DataFrame({"mutant": [f"A{i}{new}" for i in range(1, 9) for new in "CDEFGHIK"] + ["A1*", "WT"]})
    table["kd"] = [float(len(text) + ord(text[-1])) for text in table["mutant"]]
    few = fit_few(lm, table, "kd", sequence="mutant", wild_type="A" * 8, methods=["one-hot", "BLOSUM62"])
    assert few.rows.stops == 1 and len(few.rows.y) == 65 and few.rows.sequences[0] == "CAAAAAAA"
    with pytest.raises(InputError, match="row 1"):
        fit_few(lm, table, "kd", sequence="mutant", wild_type="C" * 8)


@pytest.mark.parametrize(
    "change, how, problem",
    [
        ({"kd": 1.0}, {}, "'kd' is 1 in all rows"),
        ({"kd": np.nan}, {}, "has no value of 'kd'"),
        ({"kd": "high"}, {}, "is 'high', no number"),
        ({"sequence": "MKVMKVMK"}, {}, "in 1 groups of different sequences, fewer than 5 folds"),
        ({}, {"sizes": (60,)}, "none is left to judge with 60 drawn"),
        ({}, {"sizes": (5,)}, "a size: is 5"),
        ({}, {"parts": 1}, "parts: is 1"),
        ({}, {"methods": ["magic"]}, "magic"),
        ({}, {"groups": "lot"}, "has no column 'lot'"),
        ({"sequence": "MK1"}, {}, "letter '1'"),
        ({"lot": ["a"] * 59 + ["b"]}, {"groups": "lot", "sizes": (20,)}, "groups are so large"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(lm, change, how, problem):
    with pytest.raises(InputError, match=problem):
        fit_few(lm, landscape(60).assign(**change), "kd", **how)


def test_fewer_rows_than_folds(lm):
    with pytest.raises(InputError, match="has 4 labelled rows in 4 groups of different sequences, fewer than 5 folds"):
        fit_few(lm, landscape(60).assign(kd=[1.0, 2, 3, 4] + [np.nan] * 56), "kd")


def test_the_command(lm, tmp_path, capsys):
    lm.save(tmp_path / "lm")
    table = landscape(100)
    table.loc[90:, "kd"] = np.nan
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    command = "few {tmp}/lm {tmp}/t.tsv --target kd --out {tmp}/out"
    run(f"{command} --sizes 20,60 --parts 2 --methods one-hot,mean --json {{tmp}}/x.json", tmp=tmp_path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "page.html", "parts.tsv", "predicted.tsv", "table.tsv"]
    predicted = pd.read_csv(tmp_path / "out/predicted.tsv", sep="\t")
    assert rank(landscape(100, 0)["kd"][90:], predicted["predicted"].to_numpy()) > 0.5
    figures = json.loads((tmp_path / "x.json").read_text())
    assert figures["best"] == "one-hot" and len(figures["table"]) == 4
    page = (tmp_path / "out/page.html").read_text()
    assert "With 20 labelled rows: one-hot" in page and "<script" not in page
    capsys.readouterr()
    fails(capsys, f"{command} --sizes 200", names=("t.tsv", "none is left to judge"), tmp=tmp_path)


def test_columns_beyond_rows_change_no_answer():
    """Ridge in the space of the rows is ridge."""
    table = landscape(25)
    make = possible_fits(Reader(small_lm()), list(table["sequence"]))["one-hot"]
    fit = make().fit(list(table["sequence"]), table["kd"].to_numpy(), np.arange(25))
    assert isinstance(fit, LinearFit) and NETWORK == "fine-tuned network"
    X = fit.fitted[0](list(table["sequence"]))
    n, p = X.shape
    y = table["kd"].to_numpy()
    weights = np.linalg.solve(X.T @ X + fit.penalty * np.eye(p), X.T @ (y - y.mean()))
    assert p > n
    np.testing.assert_allclose(fit.predict(list(table["sequence"])), X @ weights + y.mean(), atol=1e-6)
