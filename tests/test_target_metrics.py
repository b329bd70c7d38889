"""Figures per target, their intervals and baselines: against scipy and scikit-learn, and on planted signals."""

import warnings
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from genomic_ulmfit.report.bootstrap import bootstrap_weights
from genomic_ulmfit.report.sequence_features import gap_patterns, gapped_features, one_hot_features
from genomic_ulmfit.report.target_baselines import (
    LinearBaseline,
    MeanBaseline,
    NeighbourBaseline,
    Part,
    default_baselines,
    target_baselines,
)
from genomic_ulmfit.report.target_figures import plot_predicted
from genomic_ulmfit.report.target_metrics import choose_thresholds, label_metrics, spread_figures, target_metrics
from genomic_ulmfit.seq.alphabet import PROTEIN, decode_bases, encode_bases, reverse_complement
from genomic_ulmfit.seq.errors import InputError

NAMES, KINDS = ["expression", "depth", "bound"], ["real", "count", "binary"]


@pytest.fixture
def measured():
    """Targets of three kinds with gaps, and predictions of them with ties."""
    rng = np.random.default_rng(1)
    signal = rng.normal(size=250)
    noisy = signal + rng.normal(size=(2, 250))
    targets = np.stack([noisy[0], rng.poisson(np.exp(signal)), noisy[1] > 1], 1)
    targets[rng.random(targets.shape) < 0.3] = np.nan
    signal = signal.round(1)
    return targets, np.stack([2 * signal + 1, np.exp(signal), 1 / (1 + np.exp(1 - signal))], 1)


def by_target(table):
    return table.set_index(["target", "figure"])["value"]


def test_figures_are_those_of_scipy_and_scikit_learn(measured):
    targets, predictions = measured
    thresholds = np.array([0.5, 0.5, 0.3])
    found = by_target(target_metrics(targets, predictions, NAMES, KINDS, thresholds, samples=0))
    known = [(y[~np.isnan(y)], p[~np.isnan(y)]) for y, p in zip(targets.T, predictions.T)]
    for name, (y, p) in zip(NAMES[:2], known):
        assert np.isclose(found[name, "spearman"], stats.spearmanr(y, p)[0], rtol=1e-12)
        assert np.isclose(found[name, "pearson"], stats.pearsonr(y, p)[0], rtol=1e-12)
        assert np.isclose(found[name, "r2"], sk.r2_score(y, p))
        assert np.isclose(found[name, "rmse"] ** 2, sk.mean_squared_error(y, p))
    y, p = known[1]
    assert np.isclose(found["depth", "deviance"], sk.mean_poisson_deviance(y, p))
    y, p = known[2]
    wanted = {
        "auroc": sk.roc_auc_score(y, p),
        "average_precision": sk.average_precision_score(y, p),
        "prevalence": y.mean(),
        "mcc": sk.matthews_corrcoef(y, p >= 0.3),
        "deviance": 2 * sk.log_loss(y, p),
    }
    assert {figure: found["bound", figure] for figure in wanted} == pytest.approx(wanted, rel=1e-12)


def test_means_are_over_targets_of_a_kind():
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=(2, 80, 3))
    found = target_metrics(y, p, ["a", "b", "c"], ["real"] * 3, samples=0)
    value = by_target(found)
    assert np.isclose(value["mean of real", "r2"], np.mean([value[name, "r2"] for name in "abc"]))
    assert set(found["n"][found["target"] == "mean of real"]) == {3}


def test_the_order_of_rows_and_targets_does_not_matter(measured):
    targets, predictions = measured
    rows = np.random.default_rng(2).permutation(len(targets))
    plain = target_metrics(targets, predictions, NAMES, KINDS, samples=0)
    mixed = target_metrics(targets[rows], predictions[rows], NAMES, KINDS, samples=0)
    assert np.allclose(plain["value"], mixed["value"], rtol=1e-12)
    turned = target_metrics(targets[:, ::-1], predictions[:, ::-1], NAMES[::-1], dict(zip(NAMES, KINDS)), samples=0)
    assert by_target(turned).sort_index().equals(by_target(plain).sort_index())


def test_missing_rows_are_left_out(measured):
    targets, predictions = measured
    found = target_metrics(targets, predictions, NAMES, KINDS, samples=0)
    assert spread_figures(found)["n"][NAMES].tolist() == (~np.isnan(targets)).sum(0).tolist()
    other = np.where(np.isnan(targets), 0.77, predictions)  # whatever is predicted where nothing was measured
    assert target_metrics(targets, other, NAMES, KINDS, samples=0).equals(found)
    targets = np.concatenate([targets, targets * np.nan])
    more = target_metrics(targets, np.concatenate([predictions, predictions]), NAMES, KINDS, samples=0)
    assert more["n"].equals(found["n"]) and np.allclose(more["value"], found["value"], rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_a_constant_prediction_is_undefined_and_not_in_the_mean(constant):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 2))
    p = np.stack([y[:, 0] + rng.normal(size=60), np.full(60, constant)], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = target_metrics(y, p, ["a", "b"], ["real", "real"], samples=50).set_index(["target", "figure"])
    for figure in ("spearman", "pearson"):
        assert found.loc[("b", figure), ["value", "low", "high"]].isna().all()
        assert found.loc[("b", figure), "undefined"] == "the prediction is constant"
        assert np.isclose(found.loc[("mean of real", figure), "value"], found.loc[("a", figure), "value"])
        assert found.loc[("mean of real", figure), ["n", "undefined"]].tolist() == [1, "1 of 2 targets"]
    assert found.loc[("b", "rmse"), "undefined"] == "" and np.isfinite(found.loc[("b", "rmse"), "value"])


def test_every_reason_is_said():
    y = np.array([[2.0, 1, np.nan, 3, 1], [2.0, 1, np.nan, np.nan, 2], [2.0, 1, np.nan, np.nan, 5]])
    p = np.array([[1.0, 0.2, 1, 2, 0], [2.0, 0.4, 2, 3, 1], [3.0, 0.6, 3, 3, 2]])
    names = ["flat", "all bound", "nothing", "one", "zero rate"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = target_metrics(y, p, names, ["real", "binary", "real", "real", "count"], samples=20)
    undefined = spread_figures(found)["undefined"]
    assert undefined["flat"] == "; ".join(f"{name}: the target is constant" for name in ("spearman", "pearson", "r2"))
    assert undefined["all bound"].startswith("auroc: all known targets are 1; average_precision: all known")
    assert undefined["nothing"].count("no known target") == 5
    assert undefined["one"].startswith("spearman: one known target") and "rmse" not in undefined["one"]
    assert undefined["zero rate"] == "deviance: a prediction is not above 0"
    assert (found["value"].isna() == (found["undefined"] != "")).sum() >= len(found) - 4, "means of some remain"


def test_intervals_cover_the_truth():
    """Of many studies of one population, a target each, about 95 of 100 intervals hold its correlation."""
    truth = 0.6
    y, noise = np.random.default_rng(0).normal(size=(2, 150, 300))
    p = truth * y + np.sqrt(1 - truth**2) * noise
    names = [f"study {number}" for number in range(300)]
    found = target_metrics(y, p, names, ["real"] * 300, samples=300).query("figure == 'pearson'").iloc[:300]
    held = (found["low"] <= truth) & (truth <= found["high"])
    assert 0.9 <= held.mean() <= 0.98
    assert ((found["low"] < found["value"]) & (found["value"] < found["high"])).all()
    narrow = target_metrics(y, p, names, ["real"] * 300, samples=300, level=0.5).query("figure == 'pearson'")[:300]
    held = (narrow["low"] <= truth) & (truth <= narrow["high"])
    assert 0.4 <= held.mean() <= 0.6


def test_intervals_are_those_of_drawn_rows(measured):
    """The same rows drawn by hand and judged by scipy and scikit-learn give the same interval."""
    targets, predictions = measured
    found = target_metrics(targets, predictions, NAMES, KINDS, samples=40, seed=5).set_index(["target", "figure"])
    figures = {
        ("expression", "spearman"): (0, lambda y, p: stats.spearmanr(y, p)[0]),
        ("expression", "r2"): (0, sk.r2_score),
        ("bound", "auroc"): (2, sk.roc_auc_score),
        ("bound", "average_precision"): (2, sk.average_precision_score),
        ("bound", "mcc"): (2, lambda y, p: sk.matthews_corrcoef(y, p >= 0.5)),
    }
    times = np.concatenate(list(bootstrap_weights(np.arange(len(targets)), 40, seed=5))).astype(int)
    for key, (column, judge) in figures.items():
        known = ~np.isnan(targets[:, column])
        draws = [np.repeat(np.flatnonzero(known), row[known]) for row in times]
        values = [judge(targets[draw, column], predictions[draw, column]) for draw in draws]
        assert np.allclose(found.loc[key, ["low", "high"]].to_numpy(float), np.quantile(values, [0.025, 0.975]))
    again = target_metrics(targets, predictions, NAMES, KINDS, samples=40, seed=5).set_index(["target", "figure"])
    assert again.equals(found)
    other = target_metrics(targets, predictions, NAMES, KINDS, samples=40, seed=6).set_index(["target", "figure"])
    assert not other["low"].equals(found["low"]) and other["value"].equals(found["value"])


def test_rows_of_a_group_widen_intervals():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(40, 1))
    p = y + rng.normal(size=(40, 1))
    width = lambda table: (table["high"] - table["low"]).to_numpy()
    ten = [np.repeat(values, 10, 0) for values in (y, p)]
    alone = width(target_metrics(*ten, ["a"], ["real"], samples=400))
    together = width(target_metrics(*ten, ["a"], ["real"], samples=400, groups=np.repeat(np.arange(40), 10)))
    once = width(target_metrics(y, p, ["a"], ["real"], samples=400))
    assert (together > 2 * alone).all() and np.allclose(together, once, rtol=0.3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"names": ["a", "a", "b"]}, "two targets have one name"),
        ({"kinds": ["real", "count", "label"]}, "'label' is unknown"),
        ({"kinds": {"expression": "real"}}, "kinds must be one a target"),
        ({"names": ["a", "b"]}, "don't fit 2 names"),
        ({"kinds": ["real", "real", "count"], "targets": -1.0}, "a count is -1"),
        ({"targets": np.inf}, "holds infinity"),
        ({"predictions": np.nan}, "hold NaN"),
        ({"predictions": 7.0}, "are they logits"),
    ],
)
def test_what_cannot_be_judged_is_refused(measured, change, message):
    targets, predictions = measured
    given = {"targets": targets, "predictions": predictions, "names": NAMES, "kinds": KINDS}
    change = {key: np.full(targets.shape, value) if np.isscalar(value) else value for key, value in change.items()}
    with pytest.raises(ValueError, match=message):
        target_metrics(**given | change)


def test_the_threshold_of_the_validation_part_is_the_best_there():
    rng = np.random.default_rng(0)
    y = (rng.random((300, 4)) < [0.5, 0.1, 0.02, 0.3]) * 1.0
    p = np.clip(0.3 * y + rng.random((300, 4)) * 0.7, 0, 1).round(1)
    y[rng.random(y.shape) < 0.2] = np.nan
    for column, threshold in enumerate(choose_thresholds(y, p)):
        known = ~np.isnan(y[:, column])
        judge = lambda t, truth=y[known, column], score=p[known, column]: sk.matthews_corrcoef(truth, score >= t)
        scores = [judge(t) for t in np.arange(0, 1.1, 0.1) - 0.05]
        chosen = judge(threshold)
        assert np.isclose(chosen, max(scores)) and chosen > 0


def test_sets_of_labels():
    rng = np.random.default_rng(0)
    y = (rng.random((300, 88)) < 0.07) * 1.0
    p = np.where(rng.random(y.shape) < 0.05, 1 - y, y)
    found = label_metrics(y, p, samples=300).set_index("figure")
    assert np.isclose(found["value"]["micro_f1"], sk.f1_score(y, p, average="micro"))
    assert np.isclose(found["value"]["exact_match"], sk.accuracy_score(y, p))
    assert (found["low"] < found["value"]).all() and (found["value"] < found["high"]).all()
    shuffled = rng.permutation(300)
    assert np.allclose(label_metrics(y[shuffled], p[shuffled], samples=0)["value"], found["value"])
    per_label = label_metrics(y, p * 0.3, np.full(88, 0.2), samples=0)
    assert np.allclose(per_label["value"], found["value"]), "a threshold for each label"
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        label_metrics(y * 2, p)


# ---------------------------------------------------------------- baselines


def simulated(n, seed, plant):
    """Sequences of 60 random bases in which `plant(letters, rng)` puts something in half of the rows; y is 1 there."""
    rng = np.random.default_rng(seed)
    letters = rng.choice(list("ACGT"), (n, 60))
    y = rng.permutation(np.arange(n) % 2)
    for row in np.flatnonzero(y):
        plant(letters[row], rng)
    reads = ["".join(row) for row in letters]
    return Part(reads, np.stack([y + rng.normal(0, 0.2, n), rng.poisson(1 + 4 * y), y], 1).astype(float))


def plant_word(letters, rng):
    start = rng.integers(0, 54)
    letters[start : start + 6] = list("GATCCG")


def plant_gaps(letters, rng):
    start = rng.integers(0, 50)
    letters[start + np.array([0, 1, 2, 5, 6, 7])] = list("GATCCG")


def plant_place(letters, rng):
    letters[20] = "A"


def plant_composition(letters, rng):
    letters[rng.random(60) < 0.3] = "G"


PARENT = np.random.default_rng(9).choice(list("ACGT"), 60)


def plant_relative(letters, rng):
    keep = rng.random(60) < 0.1
    letters[~keep] = PARENT[~keep]


PLANTS = {
    "k-mers": plant_word,
    "gapped k-mers": plant_gaps,
    "one-hot": plant_place,
    "GC + length": plant_composition,
    "nearest neighbours": plant_relative,
}


@pytest.mark.parametrize("name", PLANTS)
def test_each_baseline_finds_its_signal_and_the_mean_does_not(name):
    train, valid, test = (simulated(n, seed, PLANTS[name]) for n, seed in ((1000, 0), (300, 1), (300, 2)))
    baselines = default_baselines(train.reads, stranded=True)
    found = target_baselines(
        train, valid, test, NAMES, KINDS, {key: baselines[key] for key in ("mean", "GC + length", name)}, samples=0
    )
    table = found.table
    assert table.loc[(name, "expression"), "pearson"] > 0.5 and table.loc[(name, "bound"), "auroc"] > 0.75
    assert table.loc[(name, "depth"), "pearson"] > 0.4
    assert table.loc[("mean", "bound"), "auroc"] == 0.5 and np.isnan(table.loc[("mean", "expression"), "pearson"])
    assert table.loc[("mean", "expression"), "r2"] <= 0.01 < table.loc[(name, "expression"), "r2"]
    if name in ("one-hot", "k-mers", "gapped k-mers"):
        assert table.loc[("GC + length", "bound"), "auroc"] < 0.7, "the composition doesn't give it away"


def test_noise_is_not_found():
    parts = [simulated(n, seed, lambda letters, rng: None) for n, seed in ((600, 0), (200, 1), (200, 2))]
    found = target_baselines(*parts, NAMES, KINDS, samples=0)
    assert len(found.predictions) == 6
    assert found.table["auroc"].dropna().between(0.38, 0.62).all() and (found.table["r2"].dropna() < 0.05).all()


def test_only_the_training_part_is_learned_and_only_the_validation_part_chooses():
    train, valid, test = (simulated(n, seed, plant_word) for n, seed in ((500, 0), (200, 1), (200, 2)))
    some = lambda: {name: default_baselines(train.reads)[name] for name in ("mean", "one-hot", "nearest neighbours")}
    run = lambda test: target_baselines(train, valid, test, NAMES, KINDS, some(), samples=0)
    plain, other = run(test), run(Part(test.reads, 1 - test.targets.round().clip(0, 1)))
    for name, predictions in plain.predictions.items():
        assert np.array_equal(predictions, other.predictions[name]), "the measurements of the test part change nothing"
    assert plain.table["chosen"].equals(other.table["chosen"])
    assert np.allclose(plain.predictions["mean"], train.targets.mean(0))


def test_masked_rows_change_nothing_for_other_targets():
    train, valid, test = (simulated(n, seed, plant_word) for n, seed in ((500, 0), (200, 1), (200, 2)))
    masked = np.where(np.arange(500)[:, None] % 2 & (np.arange(3) == 0), np.nan, train.targets)
    half = Part(train.reads[::2], train.targets[::2])
    for baseline in (default_baselines(train.reads)["k-mers"], MeanBaseline(), NeighbourBaseline((6,), (5,))):
        fit = lambda part, baseline=baseline: baseline.fit(part, valid, KINDS).predict(test.reads)
        found = fit(Part(train.reads, masked))
        assert np.allclose(found[:, 0], fit(half)[:, 0], atol=1e-6) and np.allclose(found[:, 1:], fit(train)[:, 1:])


def test_rare_labels_and_empty_validation():
    train, valid, test = (simulated(n, seed, plant_word) for n, seed in ((300, 0), (100, 1), (100, 2)))
    never = Part(train.reads, np.where([0, 0, 1], 0.0, train.targets))
    unseen = Part(valid.reads, np.where([1, 0, 0], np.nan, valid.targets))
    some = {name: default_baselines(train.reads)[name] for name in ("mean", "one-hot", "nearest neighbours")}
    found = target_baselines(never, unseen, test, NAMES, KINDS, some, samples=0)
    assert all((predictions[:, 2] == 0).all() for predictions in found.predictions.values())
    assert found.table.loc[("one-hot", "expression"), "chosen"] == "penalty 100000", "the highest: none can be chosen"


def test_both_strands_are_one_unless_they_have_a_direction():
    train, valid, _ = (simulated(n, seed, plant_word) for n, seed in ((100, 0), (50, 1), (1, 2)))
    turned = [decode_bases(reverse_complement(encode_bases(read))) for read in valid.reads]
    for stranded in (False, True):
        for name, baseline in default_baselines(train.reads, stranded).items():
            baseline.fit(train, valid, KINDS)
            same = np.allclose(baseline.predict(turned), baseline.predict(valid.reads), atol=1e-4)
            assert same == (name == "mean" or (name != "one-hot" and not stranded)), (name, stranded)


def test_proteins_and_mixed_lengths():
    rng = np.random.default_rng(0)
    reads = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), n)) for n in rng.integers(20, 60, 300)]
    y = np.array([[len(read) / 10] for read in reads])
    parts = [Part(reads[a:b], y[a:b]) for a, b in ((0, 200), (200, 250), (250, 300))]
    found = target_baselines(*parts, ["length"], ["real"], alphabet=PROTEIN, samples=0)
    assert "one-hot" not in found.predictions and "composition + length" in found.predictions
    assert found.table.loc[("composition + length", "length"), "spearman"] > 0.99
    with pytest.raises(ValueError, match="one length"):
        one_hot_features(reads, PROTEIN)


def test_gapped_words_are_those_of_a_plain_count():
    rng = np.random.default_rng(0)
    reads = ["".join(rng.choice(list("ACGTN"), n, p=[0.24] * 4 + [0.04])) for n in (30, 4, 0, 25)]
    patterns = gap_patterns(3, 5)
    table = gapped_features(reads, 3, 5, stranded=True).toarray()
    for row, read in zip(table, reads):
        count = {}
        for number, places in enumerate(patterns):
            for start in range(len(read) - places[-1]):
                word = "".join(read[start + place] for place in places)
                if "N" not in word:
                    column = number * 64 + sum("ACGT".index(c) * 4 ** (2 - i) for i, c in enumerate(word))
                    count[column] = count.get(column, 0) + 1
        wanted = np.zeros(len(patterns) * 64)
        wanted[list(count)] = np.log1p(list(count.values()))
        assert np.allclose(row, wanted, atol=1e-6)


def test_a_part_that_does_not_fit_is_refused():
    part = simulated(40, 0, plant_word)
    with pytest.raises(InputError, match=r"the valid part: 40 sequences have targets of shape \(39, 3\)"):
        target_baselines(part, Part(part.reads, part.targets[:39]), part, NAMES, KINDS)
    nothing = Part(part.reads, np.where([0, 1, 0], np.nan, part.targets))
    with pytest.raises(InputError, match="no entry of 'depth'"):
        target_baselines(nothing, part, part, NAMES, KINDS)


def test_a_linear_baseline_takes_the_best_penalty_of_the_validation_part():
    train, valid, _ = (simulated(n, seed, plant_place) for n, seed in ((400, 0), (200, 1), (1, 2)))
    chosen = LinearBaseline(one_hot_features).fit(train, valid, KINDS).chosen
    loss = {}
    for penalty in (1e5, 1e4, 1e3, 1e2, 10, 1):
        guess = LinearBaseline(one_hot_features, (penalty,)).fit(train, valid, KINDS).predict(valid.reads)
        loss[penalty] = ((guess - valid.targets)[:, 0] ** 2).mean()
    assert chosen[0] == f"penalty {min(loss, key=loss.get):g}"


# ---------------------------------------------------------------- pictures


def test_every_target_is_in_the_picture(measured, tmp_path):
    targets, predictions = measured
    figure = plot_predicted(targets, predictions, ["a $5", "b", "c"], KINDS)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert [title.split("\n")[0] for title in titles] == [r"a \$5", "b", "ROC", "precision and recall"]
    assert f"Spearman {stats.spearmanr(targets[:, 0], predictions[:, 0], nan_policy='omit')[0]:.3f}" in titles[0]
    figure.savefig(tmp_path / "all.png")
    assert (tmp_path / "all.png").stat().st_size > 10_000
    empty = plot_predicted(targets * np.nan, predictions, NAMES, KINDS)
    assert "Spearman –" in empty.axes[0].get_title()
    empty.savefig(tmp_path / "empty.png")


def test_figures_are_ready_for_json(measured):
    table = target_metrics(*measured, NAMES, KINDS, samples=10)
    again = pd.read_json(StringIO(table.to_json(orient="records")))
    assert np.allclose(again["value"], table["value"], atol=1e-9)
