"""Network and words fused read by read: probabilities stay whole, folders keep it, and `classify` does without the
network where it adds little.
"""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from commands import fails, run
from scipy.special import log_softmax

from genomic_ulmfit.all import (
    Calibration,
    Fusion,
    KmerTokenizer,
    Preset,
    TaxonModel,
    build_words,
    calibrate,
    read_taxonomy,
)
from genomic_ulmfit.model.config import PredictorConfig
from genomic_ulmfit.model.folder import model_folder
from genomic_ulmfit.model.model import Predictor, load_predictor
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.taxa.calibrate import LabelledEvidence, threshold_table
from genomic_ulmfit.taxa.calibration import Evidence, genus_scores
from genomic_ulmfit.taxa.fitting import fit_calibration
from genomic_ulmfit.taxa.fusion import exact_only, fit_fusion, genus_of_outcomes, network_only, right_at_price
from genomic_ulmfit.text.task import Classes

GENUS = np.array([0, 0, 1, -1, 2])
LINEAGES = "genus\tfamily\nAlpha\tAlphaus\nBeta\tBetaus\n"
OFF = Fusion(Calibration(words=12, none=5), Calibration(), of_similarity=3, threshold=0.66, gain=0.01)


def some_evidence(seed, n=300):
    rng = np.random.default_rng(seed)
    looked_up = rng.integers(0, 40, n)
    words = rng.binomial(looked_up[:, None], rng.random((n, 5)) ** 2)
    network = log_softmax(rng.normal(0, 4, (n, 5)), 1)
    return Evidence(network, np.ones(n, int), words, looked_up, np.zeros((n, 5))), rng.integers(0, 5, n)


@pytest.mark.parametrize("numbers", [{}, {"intercept": -8}, {"intercept": 8}, {"of_exact": 5, "of_similarity": -30}])
def test_probabilities_stay_whole_and_genera_in_their_order(numbers):
    evidence, _ = some_evidence(0)
    both = Calibration(words=2, none=1, other=-1, other_share=0.7, runners_up=0.5).log_probs(evidence, GENUS)
    fused = Fusion(Calibration(words=3, none=2), Calibration(none=0), **numbers).log_probs(both, evidence, GENUS)
    assert np.allclose(np.exp(fused).sum(1), 1, atol=1e-6) and np.isfinite(fused).all()
    outcomes = genus_of_outcomes(GENUS)
    before, after = (genus_scores(log_probs, outcomes) for log_probs in (both, fused))
    assert (np.argsort(before, 1)[:, -1] == np.argsort(after, 1)[:, -1]).all()
    order = np.argsort(before, 1)
    assert (np.diff(np.take_along_axis(after, order, 1), axis=1) >= -1e-6).all()


def test_a_hidden_genus_stays_hidden():
    evidence, y = some_evidence(1)
    y = y[y != 3]
    hidden = evidence.take(np.arange(len(y))).hide(GENUS[y][:, None] == GENUS)
    calibration = Calibration(words=2, none=1)
    fused = OFF.log_probs(calibration.log_probs(hidden, GENUS), hidden, GENUS)
    assert np.isfinite(np.exp(fused)).all()
    assert np.exp(fused)[np.arange(len(y)), y].max() < 1e-6


def simulated(seed, n=3000, known=0, shared=1.0):
    """Words that are right as far as they are shared, beside a network that guesses, or knows the genus."""
    rng = np.random.default_rng(seed)
    genus, y = np.array([0, 0, 1, 1]), rng.integers(0, 4, n)
    network = log_softmax(rng.normal(0, 5, (n, 4)) + known * (genus[y][:, None] == genus), 1)
    words = rng.binomial(20, 0.05 + shared * (0.3 * (genus[y][:, None] == genus) + 0.4 * np.eye(4)[y]))
    return Evidence(network, np.ones(n, int), words // 3, np.full(n, 20), np.zeros((n, 4))), y, genus


def test_a_network_that_guesses_takes_nothing_from_the_words():
    evidence, y, genus = simulated(2)
    together = fit_calibration(evidence, y, genus)
    fusion = fit_fusion(together, evidence, y, genus, (evidence, y))
    assert fusion.exact.words > 0 and fusion.exact.temperature == 1, "the network's numbers aren't fitted without it"
    new, truth, _ = simulated(3)
    views = {
        "fusion": fusion.log_probs(together.log_probs(new, genus), new, genus),
        "words": fusion.exact.log_probs(exact_only(new), genus),
        "network": fusion.network.log_probs(network_only(new), genus),
    }
    called = {name: genus_scores(view, genus_of_outcomes(genus)) for name, view in views.items()}
    right = {name: right_at_price(p.max(1), p.argmax(1) == genus[truth], 0.02) for name, p in called.items()}
    assert right["fusion"] > right["words"] - 0.02 and right["words"] > 0.5 > right["network"], right


def test_the_price_counts_reads_of_one_sureness_together():
    assert right_at_price(np.array([0.9, 0.9, 0.8]), np.array([True, False, True]), 0.2) == 0
    assert right_at_price(np.array([0.9, 0.9, 0.8]), np.array([True, False, True]), 0.34) == pytest.approx(2 / 3)


@pytest.fixture(scope="module")
def fused(models, corpus, tmp_path_factory):
    """Folder of a model whose fusion leaves the network off, and reads."""
    folder = tmp_path_factory.mktemp("fused")
    (folder / "lineages.tsv").write_text(LINEAGES)
    network = load_predictor(models / "clf")
    tree = read_taxonomy(folder / "lineages.tsv", network.task.names, "genus")
    words = build_words(corpus, "genus", folder / "words", network.task.names)
    TaxonModel(network, tree, words, Calibration(words=3, none=5), 0.9, fusion=OFF).save(folder / "m")
    rows = corpus.split("train")
    reads = [np.asarray(corpus.codes(i)[a : a + 150]) for i in rows.index for a in range(0, 3000, 200)]
    text = "".join(f">r{i}\n{decode_bases(codes)}\n" for i, codes in enumerate(reads))
    (folder / "a.fa").write_text(text + ">n\n" + "N" * 90 + "\n")
    return folder


def test_the_folder_keeps_the_fusion(fused):
    by_default, with_network = TaxonModel.load(fused / "m"), TaxonModel.load(fused / "m", network=True)
    assert by_default.fusion == with_network.fusion == OFF
    assert (by_default.network, by_default.call_threshold) == (False, 0.66)
    assert (with_network.network, with_network.call_threshold) == (True, 0.9)
    assert by_default.config.to_dict() == with_network.config.to_dict(), "saved again, nothing is lost"
    assert "network off" in repr(by_default) and "network off" not in repr(with_network)


def test_classify_leaves_the_network_alone_unless_it_is_asked_for(fused, tmp_path, monkeypatch, capsys):
    places = {"fused": fused, "tmp": tmp_path}
    run("classify {fused}/m {fused}/a.fa --fast --network --output {tmp}/with --json {tmp}/with.json", **places)
    assert "confidence of 0.90" in capsys.readouterr().err

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(Predictor, "window_log_probs", refuse)
    run("classify {fused}/m {fused}/a.fa --output {tmp}/without --json {tmp}/without.json", **places)
    assert "confidence of 0.66, network off (--network turns it on)" in capsys.readouterr().err
    lines = [line.split("\t") for line in (tmp_path / "without").read_text().splitlines()]
    assert lines[-1][0] == "U" and len(lines[-1]) == 5 and lines[-1][4] == "", "no word, no call"
    counts = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("with", "without")]
    assert counts[0]["threshold"] == 0.9 and counts[1]["threshold"] == 0.66
    assert counts[1]["unclassified"] < counts[1]["reads"] == 31
    with pytest.raises(AssertionError, match="the network was asked"):
        TaxonModel.load(fused / "m", network=True).judge([(np.zeros(150, np.uint8),)])


def test_a_damaged_fusion_is_refused(fused, tmp_path, capsys):
    taxa = fused / "m" / "taxa.json"
    whole = taxa.read_text()
    try:
        for name, value in (("of_both", None), ("gain", "much"), ("exact", {"warmth": 1})):
            settings = json.loads(whole)
            settings["fusion"][name] = value
            taxa.write_text(json.dumps(settings))
            fails(capsys, "classify {fused}/m {fused}/a.fa", names=["taxa.json", "fusion"], fused=fused)
    finally:
        taxa.write_text(whole)


@pytest.mark.parametrize("size", ["small", "large"])
def test_calibrate_fuses_large_tables_only(models, corpus, fused, tmp_path, size):
    places = {"models": models, "corpus": corpus.path, "fused": fused, "tmp": tmp_path}
    calibrate = "calibrate {models}/clf {corpus} --lineages {fused}/lineages.tsv --label genus --out {tmp}/m --fast "
    run(calibrate + f"--words {size} --json {{tmp}}/c.json", **places)
    figures, model = json.loads((tmp_path / "c.json").read_text()), TaxonModel.load(tmp_path / "m")
    assert (model.fusion is None) == (figures["network_adds"] is None)
    assert model.network == figures["network"]
    chosen = [row["threshold"] for row in figures["thresholds"] if row["chosen"]]
    assert chosen == [model.call_threshold] and model.confusion.threshold == model.call_threshold
    if size == "small":
        assert model.fusion is None and model.network


@pytest.mark.parametrize("known", [0, 30])
def test_calibrate_judges_by_the_network_where_it_adds_something(known, tmp_path, monkeypatch):
    names, tokenizer, preset = ["a one", "a two", "b one", "b two"], KmerTokenizer(3, 3), Preset(8, 8, 1)
    (tmp_path / "tree.tsv").write_text("species\tgenus\na one\ta\na two\ta\nb one\tb\nb two\tb\n")
    network = Predictor(classifier(tokenizer, preset, 4), PredictorConfig(preset, tokenizer, Classes(names)))
    words = SimpleNamespace(classes=names, one_in=1)
    model = TaxonModel(network, read_taxonomy(tmp_path / "tree.tsv", names, "species"), words)
    how = {"known": known, "shared": 0.1 if known else 1}
    evidence = {split: simulated(seed, **how)[:2] for seed, split in enumerate(("valid", "train"), 5)}
    looked = lambda *args, split, **kwargs: LabelledEvidence(*evidence[split])
    monkeypatch.setattr("genomic_ulmfit.taxa.calibrate.labelled_evidence", looked)
    figures = calibrate(model, SimpleNamespace(splits=["train", "valid"], sha256=""), "species")
    assert model.fusion is not None and figures["network_adds"] == round(model.fusion.gain, 4)
    assert model.network == figures["network"] == (known > 0) == (model.fusion.gain >= 0.03)
    chosen = [row["threshold"] for row in figures["thresholds"] if row["chosen"]]
    assert chosen == [model.call_threshold] == [model.threshold if known else model.fusion.threshold]
    by_now = threshold_table(model, *(LabelledEvidence(*evidence[split]) for split in ("valid", "train")))
    assert figures["thresholds"] == by_now.round(4).to_dict("records"), "the table is that of the way it judges"


def test_the_shipped_model_has_no_fusion_and_its_network():
    settings = json.loads((model_folder("bacteria-taxa") / "taxa.json").read_text())
    model = TaxonModel.load("bacteria-taxa", "cpu", network=False)
    assert "fusion" not in settings and model.fusion is None
    assert model.network, "without a fusion nothing is known of its words alone"


def test_a_model_without_a_fusion_needs_its_network(fused, capsys):
    names = ["can't do without its network", "--words large"]
    fails(capsys, "classify bacteria-taxa {fused}/a.fa --no-network", names=names, fused=fused)
