"""What the studies share works, on simulated sequences; without their data they say so."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "nbs" / "studies"))

import harness  # noqa: E402

from genomic_ulmfit.model.config import ModelConfig  # noqa: E402
from genomic_ulmfit.model.model import LanguageModel  # noqa: E402
from genomic_ulmfit.nets.awdlstm import Preset, language_model  # noqa: E402
from genomic_ulmfit.text.kmers import KmerTokenizer  # noqa: E402

CLASSES = ["other", "promoter"]


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    draw = lambda p, n: ["".join(rng.choice(list("ACGT"), 60, p=p)) for _ in range(n)]
    sequences = draw([0.4, 0.1, 0.1, 0.4], 120) + draw([0.25] * 4, 80)
    return pd.DataFrame({"sequence": sequences, "label": ["promoter"] * 120 + ["other"] * 80})


def test_splits(table):
    for split in (
        harness.random_split(table, 0),
        harness.fold(table, 3),
        harness.fold(table, 3, np.arange(len(table)) // 2),
    ):
        assert set(split) == {"train", "valid", "test"} and split.index.equals(table.index)
    assert np.allclose(
        (harness.random_split(table, 0).value_counts(normalize=True))[["train", "valid", "test"]], [0.75, 0.1, 0.15]
    )
    tested = pd.concat([table.index[harness.fold(table, i) == "test"].to_series() for i in range(10)])
    assert sorted(tested) == list(table.index), "each sequence is tested once"


def test_overlaps_are_kept_apart(table):
    other = table["sequence"][0][30:] + "ACGTTGCA" * 4
    table.loc[len(table)] = harness._reverse_complement(other), "promoter"
    groups = harness.overlap_groups(table["sequence"])
    assert groups[0] == groups[-1] and len(set(groups)) == len(table) - 1
    split = pd.Series("train", table.index)
    split[0] = "test"
    assert harness.leaked(table, split, groups) == 1
    for i in range(10):
        assert harness.leaked(table, harness.fold(table, i, groups), groups) == 0


def test_dinucleotide_shuffle(table):
    rng, pairs = np.random.default_rng(0), lambda s: pd.Series(list(zip(s, s[1:]))).value_counts().to_dict()
    for s in table["sequence"]:
        other = harness.dinucleotide_shuffle(s, rng)
        assert other != s and pairs(other) == pairs(s) and other[0] == s[0] and other[-1] == s[-1]
    assert harness.dinucleotide_shuffle("AAAA", rng) == "AAAA"


def test_results_are_kept(tmp_path):
    made, results = [], harness.Results("x", tmp_path)

    def make():
        made.append(1)
        return {"mcc": 0.5}

    for seed in (0, 1, 0):
        results.cell(make, seed=seed, method="majority")
    assert len(made) == 2 == len(results.rows())
    rows = results.rows().assign(task="t")
    assert harness.summary(rows, ["task"]).loc["t", "majority"] == "0.500 ± 0.000 (2)"


def test_methods(table):
    parts = harness.split_parts(table, harness.random_split(table, 0))
    y, tokenizer, preset = harness.numbers(parts["test"], CLASSES), KmerTokenizer(2, 2), Preset(8, 16, 1)
    lm = LanguageModel(language_model(tokenizer, preset), ModelConfig(preset, tokenizer))
    accuracy = {
        "majority": harness.majority(parts, CLASSES),
        "logistic regression": harness.logistic_regression(parts, CLASSES, True),
        "naive Bayes": harness.naive_bayes(parts, CLASSES, True),
        "scratch": harness.network(parts, CLASSES, preset=preset, tokenizer=tokenizer, epochs=6, lr=2e-2, bs=16),
        "tuned": harness.network(parts, CLASSES, lm, tune=1, epochs=6, lr=2e-2, bs=16),
        "wide": harness.words_alone(parts, CLASSES, stranded=True, epochs=8, lr=2e-2, bs=16),
        "placed": harness.placed_words(parts, CLASSES),
    }
    assert all(np.allclose(p.sum(1), 1) and p.max() > 0.8 for p in accuracy.values()), "probabilities"
    accuracy = {k: harness.figures(y, p, CLASSES)["accuracy"] for k, p in accuracy.items()}
    assert accuracy.pop("majority") == 0.6 and all(a > 0.75 for a in accuracy.values()), accuracy


def test_no_notebook_keeps_a_path_of_a_machine(tmp_path):
    sys.path.insert(0, str(ROOT / "scripts"))
    from run_study import without_paths

    warned = f"{ROOT}/genomic_ulmfit/train/learner.py:6: W\n{tmp_path}/ipykernel_12/345.py:24: W"
    assert without_paths(warned) == "genomic_ulmfit/train/learner.py:6: W\ncell:24: W"
    of_a_machine = re.compile(r"/(tmp/ipykernel|tmp/tmp|home|root|work)\b|site-packages")
    assert all(of_a_machine.search(f"at {Path('/', *parts)}") for parts in (["home", "me"], ["tmp", "tmp"]))
    kept = [p.name for p in (ROOT / "nbs").rglob("*.ipynb") if of_a_machine.search(p.read_text(encoding="utf-8"))]
    assert not kept


def test_without_data_a_study_says_so(tmp_path):
    env = {"GENOMIC_ULMFIT_DATA": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/run_study.py", "promoters"], capture_output=True, text=True, env=env
    )
    assert done.returncode == 1 and "is skipped" in done.stderr and "nbs/studies/README.md" in done.stderr, done.stderr
    done = subprocess.run([sys.executable, ROOT / "scripts/run_study.py", "nothing"], capture_output=True, text=True)
    assert done.returncode == 1 and "bacterial_lm" in done.stderr


def test_models_of_activity_are_weighed(table):
    import activity

    rng = np.random.default_rng(0)
    value = rng.normal(size=len(table))
    group = np.arange(len(table)) // 2
    known = table.assign(activity=value, measured=2.0**value, active=(value > 1) * 1.0, group=group)
    answer = lambda noise: np.stack([value + noise, 1 / (1 + np.exp(1 - value - noise))], 1)
    good, bad = answer(rng.normal(size=len(table)) / 2), answer(rng.normal(size=len(table)) * 50)
    score = lambda answers: activity.activity_figures(known, answers)["spearman"]
    together = activity.weighed_apart(known, [good, bad])
    assert score(bad) < 0.3 < 0.7 < score(good) and abs(score(together) - score(good)) < 0.05
    assert activity.activity_figures(known, good)["auroc"] > 0.8 and score(good * [0, 1]) is None
    features = activity.placed_features(harness.codes(table))
    assert features.shape == (200, 60 * (16 + 64 + 256) * 2) and features.max() >= 4


def test_figures_by_method():
    rows = pd.DataFrame({"method": ["b", "a", "a"], "x": [0.5, 0.2, 0.4], "seconds": [60, 30, 30]})
    found = harness.by_method(rows, ["x"])
    assert list(found.index) == ["b", "a"] and list(found["x"]) == ["0.500", "0.300 ± 0.100"]
    assert list(found["seeds"]) == [1, 2] and list(found["minutes"]) == [1, 1]


def test_methods_of_aligned_sequences(monkeypatch):
    """Two sites that must both be strong: no sum over places, but one of two sums."""
    import aligned

    rng = np.random.default_rng(0)
    letters = rng.integers(0, 4, (3000, 12))
    strong = (letters == 0).reshape(-1, 2, 6).sum(2) > 1
    table = pd.DataFrame({"sequence": ["".join("ACGT"[i] for i in row) for row in letters], "y": strong.all(1) * 1.0})
    table["split"], table["group"] = np.repeat(["train", "valid", "test"], [2000, 500, 500]), np.arange(3000)
    table.attrs = {"targets": ["y"]}
    usual = aligned.linear_models
    energies = aligned.Energies(members=2, epochs=40)
    monkeypatch.setattr(aligned, "models_of", lambda name, reads: usual(reads) | {"energies": energies})
    study = aligned.Study("sites", {"": table})
    found = {m: study.judge("test", m)["y pearson"] for m in ("mean", "one-hot", "energies", "one-hot + energies")}
    assert found["mean"] is None and found["energies"] > found["one-hot"] + 0.1
    assert found["one-hot"] < found["one-hot + energies"]
    known = np.corrcoef(study.answers("", "energies", 0)["test"][:, 0], study.part("", "test")["y"])[0, 1]
    assert abs(found["energies"] - known) < 1e-4, "a mean of one is that one"
    folds = aligned.Study("sites", {0: table, 1: table.assign(y=-table["y"])}).judge("test", "one-hot")
    assert abs(folds["y pearson"] - found["one-hot"]) < 1e-3 and folds["y pearson_se"] < 1e-3, "the mean of two alike"


def test_a_cell_is_made_once_whatever_its_key(tmp_path):
    results = harness.Results("cells", tmp_path)
    keys = [{"proteins": None, "network": True}, {"proteins": 8, "network": True}, {"proteins": None, "network": False}]
    for key in [*keys, *keys]:
        results.cell(lambda: {"n": len(results.rows())}, **key)
    assert results.rows()["n"].tolist() == [0, 1, 2]


def test_attention_pooling_leaves_padding_out():
    import torch
    from activity import AttentionPooling

    from genomic_ulmfit.nets.heads import ReadClassifier, classifier_groups
    from genomic_ulmfit.text.kmers import PAD

    tokenizer = KmerTokenizer(2, 2)
    ids = torch.randint(PAD + 1, tokenizer.vocab_size, (3, 7))
    padded = torch.cat([ids, torch.full((3, 2), PAD)], 1)
    network = AttentionPooling(ReadClassifier(tokenizer, Preset(8, 16, 1), 2)).eval()
    grouped = sum(len(group) for group in classifier_groups(network))
    assert grouped == len(list(network.parameters())), "all of it is trained"
    torch.nn.init.normal_(network.head["scores"][-1].weight)
    encoded = network.encoder(padded)
    weights = network.weights(encoded, padded)[..., 0]
    assert (weights[:, 7:] == 0).all() and torch.allclose(weights.sum(1), torch.ones(3))
    assert weights[:, :7].std() > 0 and torch.allclose(network(ids), network(padded), atol=1e-5)


def test_the_card_of_the_protein_model_has_the_chains_beside_it():
    folder = ROOT / "genomic_ulmfit/pretrained/bacteria-proteins-small"
    shown = json.loads((folder / "config.json").read_text())["about"]["bits_per_residue"]
    lines = (ROOT / "docs/results/protein_lm.jsonl").read_text().splitlines()
    methods = ("language model", "residues", "order 2", "order 3", "order 4")
    measured = [{name: row[name] for name in methods} for row in map(json.loads, lines)]
    assert [{name: row[name] for name in methods} for row in shown] == measured
    card = (folder / "README.md").read_text()
    assert "| proteins | language model | residues | order 2 | order 3 | order 4 |" in card
    assert "near_duplicates" in card
