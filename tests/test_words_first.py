"""Words judge first: what they settle the network never sees, folders keep it, and `classify` does without the network
where it adds little. Calibrations go by the length of a read.
"""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from commands import fails, run
from scipy.special import log_softmax

from genomic_ulmfit.all import (
    Calibration,
    KmerTokenizer,
    LengthCalibration,
    Preset,
    TaxonModel,
    WordsFirst,
    build_words,
    calibrate,
    read_taxonomy,
)
from genomic_ulmfit.model.config import PredictorConfig
from genomic_ulmfit.model.folder import model_folder
from genomic_ulmfit.model.model import Predictor, load_predictor
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.seq.alphabet import decode_bases, encode_bases
from genomic_ulmfit.taxa.calibrate import LabelledEvidence, threshold_table
from genomic_ulmfit.taxa.calibration import Evidence
from genomic_ulmfit.taxa.calls import assign
from genomic_ulmfit.taxa.fitting import hidden_genera
from genomic_ulmfit.taxa.lengths import one_for_all
from genomic_ulmfit.taxa.words_first import MOST_LOST, best_genera, right_at_price
from genomic_ulmfit.text.task import Classes

GENUS = np.array([0, 0, 1, -1, 2])
LINEAGES = "genus\tfamily\nAlpha\tAlphaus\nBeta\tBetaus\n"
ALONE = one_for_all(Calibration(words=12, none=5))
OFF = WordsFirst(ALONE, threshold=0.66, low=0.1, high=0.9, gain=0.01)


def some_evidence(seed, n=300, length=150):
    rng = np.random.default_rng(seed)
    looked_up = rng.integers(0, 40, n)
    words = rng.binomial(looked_up[:, None], rng.random((n, 5)) ** 2)
    network = log_softmax(rng.normal(0, 4, (n, 5)), 1)
    return Evidence(network, np.ones(n, int), words, looked_up, np.zeros((n, 5)), length=np.full(n, length))


def test_between_two_lengths_probabilities_are_whole_and_lie_between():
    short, long = Calibration(words=8, none=2, other=-1), Calibration(words=1, none=0, other=-1, temperature=3)
    by_length = LengthCalibration((100, 10_000), (short, long))
    shares = []
    for length in (50, 100, 500, 1000, 5000, 10_000, 90_000):
        log_probs = by_length.log_probs(some_evidence(0, length=length), GENUS)
        assert np.allclose(np.exp(log_probs).sum(1), 1) and np.isfinite(log_probs).all()
        shares.append(best_genera(log_probs, GENUS).sure.mean())
    ends = [known.log_probs(some_evidence(0), GENUS) for known in (short, long)]
    assert shares[0] == shares[1] == pytest.approx(best_genera(ends[0], GENUS).sure.mean())
    assert shares[5] == shares[6] == pytest.approx(best_genera(ends[1], GENUS).sure.mean())
    assert (np.diff(shares[1:6]) < 0).all(), "ever less sure on the way from one to the other"


def test_a_hidden_genus_stays_hidden_and_its_length_is_kept():
    evidence = some_evidence(1)
    y = np.random.default_rng(1).choice([0, 1, 2, 4], 300)
    hidden = evidence.hide(GENUS[y][:, None] == GENUS)
    probs = np.exp(OFF.log_probs(hidden, GENUS))
    assert np.isfinite(probs).all() and probs[np.arange(300), y].max() < np.exp(-5)
    assert (hidden.length == 150).all() and (hidden.take(np.arange(3)).length == 150).all()


def test_the_price_counts_reads_of_one_sureness_together():
    assert right_at_price(np.array([0.9, 0.9, 0.8]), np.array([True, False, True]), 0.2) == 0
    assert right_at_price(np.array([0.9, 0.9, 0.8]), np.array([True, False, True]), 0.34) == pytest.approx(2 / 3)


@pytest.fixture(scope="module")
def worded(models, corpus, tmp_path_factory):
    """Folder of a model whose words leave the network off, and reads."""
    folder = tmp_path_factory.mktemp("worded")
    (folder / "lineages.tsv").write_text(LINEAGES)
    network = load_predictor(models / "clf")
    tree = read_taxonomy(folder / "lineages.tsv", network.task.names, "genus")
    words = build_words(corpus, "genus", folder / "words", network.task.names)
    TaxonModel(network, tree, words, Calibration(words=3, none=5), 0.9, words_first=OFF).save(folder / "m")
    rows = corpus.split("train")
    reads = [np.asarray(corpus.codes(i)[a : a + 150]) for i in rows.index for a in range(0, 3000, 200)]
    text = "".join(f">r{i}\n{decode_bases(codes)}\n" for i, codes in enumerate(reads))
    (folder / "a.fa").write_text(text + ">n\n" + "N" * 90 + "\n")
    return folder


def test_the_folder_keeps_what_the_words_settle(worded):
    by_default, with_network = TaxonModel.load(worded / "m"), TaxonModel.load(worded / "m", network=True)
    assert by_default.words_first == with_network.words_first == OFF
    assert (by_default.network, by_default.call_threshold) == (False, 0.66)
    assert (with_network.network, with_network.call_threshold) == (True, 0.9)
    assert by_default.config.to_dict() == with_network.config.to_dict(), "saved again, nothing is lost"
    assert "network off" in repr(by_default) and "network off" not in repr(with_network)


def test_the_network_sees_what_the_words_leave_open_and_nothing_else(worded, corpus, monkeypatch):
    model = TaxonModel.load(worded / "m", "cpu", network=True)
    known = [(np.asarray(corpus.codes(corpus.split("train").index[0])[a : a + 150]),) for a in (0, 500, 900)]
    rng = np.random.default_rng(0)
    reads = [*known, (rng.integers(0, 4, 150).astype(np.uint8),), (encode_bases("AC" * 75),)]
    exact = model.words_first.log_probs(model.exact_evidence(reads), model.genus)
    sure = best_genera(exact, model.genus).sure
    assert (sure[:3] > 0.9).all() and (sure[3:] < 0.1).all(), "the words are sure of all of them"
    model.words_first = WordsFirst(ALONE, low=0, high=0.9)  # and leave those open that they know nothing of
    seen = []
    ask = Predictor.window_log_probs
    watched = lambda self, sequences, **views: seen.append((sequences, views)) or ask(self, sequences, **views)
    monkeypatch.setattr(Predictor, "window_log_probs", watched)
    model.views = {"phases": 1}
    judged = model.judge(reads)
    ((sequences, views),) = seen
    assert [len(codes) for codes in sequences] == [150, 150] and views == {"phases": 1}
    assert (sequences[0] == reads[3][0]).all() and (sequences[1] == 4).all(), "low complexity is masked"
    assert (judged.row[:3] >= 0).all() and judged.row[4] == -1 and not judged.probs[4].any()
    full = model.node_probs(model.evidence(reads))
    assert np.allclose(judged.probs[:4], full[:4], atol=1e-5), "no answer depends on who is asked in one go"
    assert model.judge(known).row.tolist() == judged.row[:3].tolist() and len(seen) == 2, "nothing open, nothing asked"


def test_classify_leaves_the_network_alone_unless_it_is_asked_for(worded, tmp_path, monkeypatch, capsys):
    places = {"worded": worded, "tmp": tmp_path}
    run("classify {worded}/m {worded}/a.fa --fast --network --output {tmp}/with --json {tmp}/with.json", **places)
    assert "confidence of 0.90" in capsys.readouterr().err

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(Predictor, "window_log_probs", refuse)
    run("classify {worded}/m {worded}/a.fa --output {tmp}/without --json {tmp}/without.json", **places)
    assert "confidence of 0.66, network off (--network turns it on)" in capsys.readouterr().err
    lines = [line.split("\t") for line in (tmp_path / "without").read_text().splitlines()]
    assert lines[-1][0] == "U" and len(lines[-1]) == 5 and lines[-1][4] == "", "no word, no call"
    counts = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("with", "without")]
    assert counts[0]["threshold"] == 0.9 and counts[1]["threshold"] == 0.66
    assert counts[1]["unclassified"] < counts[1]["reads"] == 31
    unsettled = TaxonModel.load(worded / "m", network=True)
    unsettled.words_first = WordsFirst(ALONE)
    with pytest.raises(AssertionError, match="the network was asked"):
        unsettled.judge([(np.random.default_rng(0).integers(0, 4, 150).astype(np.uint8),)])


def test_damaged_settings_are_refused(worded, tmp_path, capsys):
    taxa = worded / "m" / "taxa.json"
    whole = taxa.read_text()
    try:
        for name, value in (("low", None), ("gain", "much"), ("calibration", {"lengths": [9, 8], "each": [{}, {}]})):
            settings = json.loads(whole)
            settings["words_first"][name] = value
            taxa.write_text(json.dumps(settings))
            fails(capsys, "classify {worded}/m {worded}/a.fa", names=["taxa.json"], worded=worded)
        taxa.write_text(json.dumps(json.loads(whole) | {"fusion": {}}))
        names = ["taxa.json", "in a way that is no more", "calibrate"]
        fails(capsys, "classify {worded}/m {worded}/a.fa", names=names, worded=worded)
    finally:
        taxa.write_text(whole)


@pytest.mark.parametrize("size", ["small", "large", None])
def test_calibrate_lets_the_words_judge_first(models, corpus, worded, tmp_path, size, capsys):
    places = {"models": models, "corpus": corpus.path, "worded": worded, "tmp": tmp_path}
    command = "calibrate {models}/clf {corpus} --lineages {worded}/lineages.tsv --label genus --out {tmp}/m --fast "
    run(command + (f"--words {size} " if size else "") + "--json {tmp}/c.json", **places)
    said = capsys.readouterr().out
    figures, model = json.loads((tmp_path / "c.json").read_text()), TaxonModel.load(tmp_path / "m")
    assert (model.words_first is None) == (figures["network_adds"] is None) == (size is None)
    assert model.network == figures["network"] and model.views == {"both_strands": False, "phases": 1}
    assert model.calibration.lengths == (75, 150, 300, 1000, 3000, 10_000)
    chosen = [row["threshold"] for row in figures["thresholds"] if row["chosen"]]
    assert chosen == [model.call_threshold] and model.confusion.threshold == model.call_threshold
    if size is None:
        assert figures["settled"] is None and "settle" not in said and model.network
    else:
        assert 0 <= figures["settled"] <= 1 and f"the words settle {figures['settled']:.1%} of the reads" in said


def simulated(seed, n=3000, known=0, shared=1.0):
    """Words that are right as far as they are shared, beside a network that guesses, or knows the genus."""
    rng = np.random.default_rng(seed)
    genus, y = np.array([0, 0, 1, 1]), rng.integers(0, 4, n)
    network = log_softmax(rng.normal(0, 5, (n, 4)) + known * (genus[y][:, None] == genus), 1)
    words = rng.binomial(20, 0.05 + shared * (0.3 * (genus[y][:, None] == genus) + 0.4 * np.eye(4)[y])) // 3
    full = np.full(n, 20)
    evidence = Evidence(network, np.ones(n, int), words, full, np.zeros((n, 4)), length=np.full(n, 150))
    return LabelledEvidence(evidence, y)


def of_two_genera(folder):
    """A model of four species with an untrained network; evidence comes from elsewhere."""
    names, tokenizer, preset = ["a one", "a two", "b one", "b two"], KmerTokenizer(3, 3), Preset(8, 8, 1)
    (folder / "tree.tsv").write_text("species\tgenus\na one\ta\na two\ta\nb one\tb\nb two\tb\n")
    network = Predictor(classifier(tokenizer, preset, 4), PredictorConfig(preset, tokenizer, Classes(names)))
    words = SimpleNamespace(classes=names, one_in=1)
    return TaxonModel(network, read_taxonomy(folder / "tree.tsv", names, "species"), words)


def calibrate_by(model, evidence, reads, monkeypatch):
    """Calibrate on evidence that is there."""
    looked = lambda *args, split, **kwargs: evidence[split]
    monkeypatch.setattr("genomic_ulmfit.taxa.calibrate.labelled_evidence", looked)
    return calibrate(model, SimpleNamespace(splits=["train", "valid"], sha256=""), "species", reads=reads)


@pytest.mark.parametrize("known", [0, 30])
def test_calibrate_judges_by_the_network_where_it_adds_something(known, tmp_path, monkeypatch):
    model = of_two_genera(tmp_path)
    how = {"known": known, "shared": 0.1 if known else 1}
    evidence = {split: simulated(seed, **how) for seed, split in enumerate(("valid", "train"), 5)}
    figures = calibrate_by(model, evidence, {150: 3000}, monkeypatch)
    first = model.words_first
    assert figures["network_adds"] == round(first.gain, 4) and model.views == {"phases": 1}
    assert model.network == figures["network"] == (known > 0) == (first.gain >= 0.03)
    chosen = [row["threshold"] for row in figures["thresholds"] if row["chosen"]]
    assert chosen == [model.threshold if known else first.threshold]
    unseen, _ = hidden_genera(*evidence["train"], model.genus)
    by_now = threshold_table(model, evidence["valid"], unseen).drop(columns="chosen")
    table = pd.DataFrame(figures["thresholds"]).drop(columns="chosen")
    pd.testing.assert_frame_equal(table, by_now.round(4)), "the table is that of the way it judges"
    full = TaxonModel(model.model, model.tree, model.words, model.calibration)  # the network for all
    model.network = True
    right = [
        ((best.sure >= model.threshold) & (best.best == model.genus[evidence["valid"].y])).mean()
        for best in (best_genera(way.log_probs(evidence["valid"].evidence), model.genus) for way in (full, model))
    ]
    assert right[1] >= right[0] - MOST_LOST


def of_two_lengths(seed):
    """Short reads of which the words tell something, and long ones that a network gives to a genus in any case."""
    short, long = simulated(seed, 2600), simulated(seed + 100, 400, known=40, shared=0.1)
    columns = ("network", "windows", "words", "looked_up", "kraken2", "length")
    long.evidence.length[:] = 1000
    both = {name: np.concatenate([getattr(part.evidence, name) for part in (short, long)]) for name in columns}
    return LabelledEvidence(Evidence(**both), np.concatenate([short.y, long.y]))


def test_reads_of_no_length_are_given_a_hidden_genus_too_often(tmp_path, monkeypatch):
    model = of_two_genera(tmp_path)
    evidence = {split: of_two_lengths(seed) for seed, split in enumerate(("valid", "train"), 7)}
    reads = {150: 2600, 1000: 400}
    figures = calibrate_by(model, evidence, reads, monkeypatch)
    assert figures["settled"] > 0.2
    unseen, _ = hidden_genera(*evidence["train"], model.genus)
    for model.network in (True, False):
        rows = assign(model.tree, model.node_probs(unseen), model.call_threshold)
        called = model.tree.at("genus", rows) >= 0
        shares = [called[unseen.length == length].mean() for length in reads]
        assert max(shares) <= 0.051, (model.network, shares)


def test_the_shipped_model_has_both_ways_and_its_network():
    model = TaxonModel.load("bacteria-taxa", "cpu", network=False)
    assert not model.network and model.words_first.needs_network
    assert TaxonModel.load("bacteria-taxa", "cpu").network
    size = sum(file.stat().st_size for file in model_folder("bacteria-taxa").rglob("*") if file.is_file())
    assert size < 40e6, "it travels with the package"


def test_a_model_without_words_needs_its_network(models, worded, tmp_path, capsys):
    network = load_predictor(models / "clf")
    tree = read_taxonomy(worded / "lineages.tsv", network.task.names, "genus")
    TaxonModel(network, tree).save(tmp_path / "m")
    names = ["can't do without its network", "--words small"]
    fails(capsys, "classify {tmp}/m {worded}/a.fa --no-network", names=names, tmp=tmp_path, worded=worded)
