"""Values, counts and labels: learned, saved, asked on both strands, refused in a line where nothing can be learned."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.block import DataBlock, MultiCategoryBlock, RegressionBlock
from fastai.data.transforms import ColReader, RandomSplitter
from fastai.interpret import Interpretation
from fastai.torch_core import set_seed

from genomic_ulmfit.all import (
    DNA,
    GenomeLMDataLoaders,
    InputError,
    KmerTokenizer,
    Preset,
    ReadDataLoaders,
    SequenceBlock,
    TargetDataLoaders,
    Targets,
    TaxonModel,
    calibrate_taxa,
    evaluate,
    genome_classifier_learner,
    genome_lm_learner,
    genome_predictor_learner,
    load_model,
    predict_file,
    reverse_complement,
)

PRESET = Preset(8, 12, 2)
TOKENIZER = KmerTokenizer(4, 1)
MOTIF = "GATTACA"
NAMES = ["activity", "reads", "bound"]
KINDS = {"activity": "real", "reads": "count", "bound": "binary"}


def planted(rows, seed=0):
    """Sequences with 0 to 3 planted motifs, on which a value, a count and a label depend; some cells are empty."""
    rng = np.random.default_rng(seed)
    sequences = []
    copies = rng.integers(0, 4, rows)
    for n in copies:
        pieces = ["".join(rng.choice(list("ACGT"), 10)) for _ in range(4)]
        sequences.append(
            pieces[0]
            + "".join(
                (MOTIF if i < n else "".join(rng.permutation(list(MOTIF)))) + piece
                for i, piece in enumerate(pieces[1:])
            )
        )
    table = pd.DataFrame(
        {
            "sequence": sequences,
            "activity": 1000 + 50 * copies + rng.normal(0, 10, rows),
            "reads": rng.poisson(2.0 * 3.0**copies),
            "bound": (copies >= 2).astype(int),
        }
    )
    return table.mask(np.column_stack([np.zeros(rows, bool), rng.random((rows, 3)) < 0.1]))


@pytest.fixture(scope="module")
def table():
    return planted(900).assign(split=["train"] * 600 + ["valid"] * 150 + ["test"] * 150)


@pytest.fixture(scope="module")
def dls(table):
    return TargetDataLoaders.from_df(table, NAMES, KINDS, tokenizer=TOKENIZER, bs=50, device="cpu", stranded=True)


@pytest.fixture(scope="module")
def learn(dls):
    set_seed(0)
    learn = genome_predictor_learner(dls, preset=PRESET)
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(2e-2, epochs=8)
    return learn


@pytest.fixture
def exact(monkeypatch):
    """Single precision throughout, whatever this processor can do."""
    for module in ("genomic_ulmfit.nets.precision", "genomic_ulmfit.model.model"):
        monkeypatch.setattr(f"{module}.has_bf16", lambda device: False)


@pytest.fixture(autouse=True)
def quiet(learn):
    with learn.no_bar(), learn.no_logging():
        yield


# ---------------------------------------------------------------- learned


class StopInThird(Callback):
    """Ends a run in its third epoch."""

    def before_epoch(self):
        if self.epoch == 2:
            raise KeyboardInterrupt("stopped")


def trained(table, kinds=None, weight=None, **budget):
    """A learner of a few rows after three epochs."""
    set_seed(0)
    read = {"tokenizer": TOKENIZER, "bs": 50, "device": "cpu", "stranded": True}
    dls = TargetDataLoaders.from_df(table, NAMES, KINDS | (kinds or {}), weight, **read)
    learn = genome_predictor_learner(dls, preset=PRESET)
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(2e-2, epochs=3, **budget)
    return learn


@pytest.fixture(scope="module")
def few(table):
    return table.groupby("split").head(100)


def test_a_run_that_was_killed_goes_on_to_the_same_weights(few, tmp_path):
    how = {"kinds": {"reads": "dispersed"}, "weight": {"bound": 3}}
    whole = trained(few, **how)
    with pytest.raises(KeyboardInterrupt):
        trained(few, **how, checkpoints=tmp_path / "cut", cbs=StopInThird())
    again = trained(few, **how, checkpoints=tmp_path / "cut", resume=True)
    for (name, one), other in zip(whole.model.named_parameters(), again.model.parameters()):
        assert torch.equal(one, other), name
    watched = ("valid_loss", "spearman", "auroc")  # the training loss is a mean over the batches of a process
    assert [again.figures[name] for name in watched] == [whole.figures[name] for name in watched]
    assert again.to_model().task == whole.to_model().task


OTHER_TARGETS = {
    "task was 'Targets: activity .real., reads .count., bound .binary.', now '.*activity .robust.": {
        "kinds": {"activity": "robust"}
    },
    "target_values was '[0-9a-f]{8}', now": {"weight": {"bound": 3}},
    "target_values was '[0-9a-f]{8}', now '": {"values": 1},
    "target_values was '[0-9a-f]{8}', now '[0-9a-f]{8}'": {"turned": "bound"},  # as many of each kind
}


@pytest.mark.parametrize("message", OTHER_TARGETS)
def test_other_targets_are_another_training(few, tmp_path, message):
    with pytest.raises(KeyboardInterrupt):
        trained(few, checkpoints=tmp_path / "cut", cbs=StopInThird())
    now = dict(OTHER_TARGETS[message])
    changed = few.assign(activity=few["activity"] + now.pop("values", 0))
    if turned := now.pop("turned", None):
        changed[turned] = few.groupby("split")[turned].transform(lambda values: values[::-1].to_numpy())
    with pytest.raises(InputError, match=f"epoch-0002: belongs to another training: {message}"):
        trained(changed, **now, checkpoints=tmp_path / "cut", resume=True)


def test_values_counts_and_labels_are_learned_together(learn, table):
    test = table[table["split"] == "test"]
    answers = learn.to_model().predict(test["sequence"].tolist())
    train = table[table["split"] == "train"]
    assert answers.names == NAMES and answers.values.shape == (150, 3) and answers.values.dtype == np.float32
    for values, name in zip(answers.values.T, NAMES):
        known = test[name].notna().to_numpy()
        error = ((values - test[name]) ** 2)[known].mean()
        constant = ((train[name].mean() - test[name]) ** 2)[known].mean()
        assert error < constant / 2, name
    bound = answers.values[:, 2]
    assert 0 <= bound.min() < 0.3 and 0.7 < bound.max() <= 1


@pytest.mark.parametrize("kind", ["robust", "dispersed"])
def test_the_other_kinds_are_learned(table, kind):
    set_seed(0)
    name = {"robust": "activity", "dispersed": "reads"}[kind]
    dls = TargetDataLoaders.from_df(
        table, [name], {name: kind}, tokenizer=TOKENIZER, bs=50, device="cpu", stranded=True
    )
    learn = genome_predictor_learner(dls, preset=PRESET)
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(2e-2, epochs=8)
    assert learn.figures["spearman"] > 0.7 and dls.c == (2 if kind == "dispersed" else 1)
    assert learn.to_model().predict(["ACGTACGTAC"]).values.shape == (1, 1)


def test_all_steps_of_ulmfit_on_both_strands(table, tmp_path):
    set_seed(0)
    text = GenomeLMDataLoaders.from_df(table, tokenizer=TOKENIZER, bs=8, tokens=20, device="cpu")
    lm = genome_lm_learner(text, PRESET)
    with lm.no_bar(), lm.no_logging():
        lm.fit_budget(1e-2, tokens=10_000, parts=1)
    dls = TargetDataLoaders.from_df(table, NAMES, KINDS, tokenizer=TOKENIZER, bs=50, device="cpu")
    learn = genome_predictor_learner(dls, pretrained=lm.to_model(), wide=True)
    given = lm.model[0].state_dict()
    assert all(torch.equal(given[name], weights) for name, weights in learn.model.encoder.state_dict().items())
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(1e-2, epochs=3, lr_div=4, gradual=True, checkpoints=tmp_path / "checkpoints", patience=3)
    assert {"spearman", "auroc", "valid_loss"} < set(learn.figures) and learn.figures["auroc"] > 0.6
    model = learn.to_model()
    sequences = table["sequence"][:5].tolist()
    turned = [DNA.decode(reverse_complement(DNA.encode(s))) for s in sequences]
    np.testing.assert_allclose(
        model.predict(turned, phases=1).values, model.predict(sequences, phases=1).values, rtol=0.01
    )


# ---------------------------------------------------------------- masks


def test_a_missing_target_has_no_gradient(dls):
    set_seed(1)
    learn = genome_predictor_learner(dls, preset=PRESET)
    ids, y = dls.train.one_batch()
    y[:, 1] = torch.nan
    learn.loss_func(learn.model(ids), y).backward()
    last = learn.model.head[-1]
    assert (last.weight.grad[1] == 0).all() and last.bias.grad[1] == 0
    assert all((last.weight.grad[i] != 0).any() for i in (0, 2))
    learn.model.zero_grad()
    loss = learn.loss_func(learn.model(ids), torch.full_like(y, torch.nan))
    loss.backward()
    assert loss == 0 and all((p.grad == 0).all() for p in learn.model.parameters() if p.grad is not None)


def test_what_is_missing_changes_nothing(dls):
    """The loss of the rest is that of the rest alone."""
    task = dls.task
    _, y = dls.valid.one_batch()
    outputs = torch.randn(len(y), 3)
    row = int((~y.isnan()).all(1).nonzero()[0])
    known = y[row : row + 1]
    gap = torch.cat([known, torch.full_like(known, torch.nan)])
    both = task.loss_func()(torch.cat([outputs[row : row + 1], outputs[:1]]), gap)
    torch.testing.assert_close(both, task.loss_func()(outputs[row : row + 1], known))


def test_rows_without_targets_are_counted(table):
    gone = table.assign(activity=table["activity"].where(table.index % 10 > 0), split=table["split"])
    gone = gone.assign(activity=gone["activity"].fillna(np.nan))
    n = int((gone["activity"].isna() & gone["split"].isin(["train", "valid"])).sum())
    with pytest.warns(UserWarning, match=f"^{n} of 750 rows have no target and are left out$"):
        dls = TargetDataLoaders.from_df(gone, ["activity"], tokenizer=TOKENIZER, device="cpu")
    assert len(dls.train.items) + len(dls.valid.items) == 750 - n


# ---------------------------------------------------------------- kept


def test_a_saved_model_answers_the_same(learn, table, tmp_path):
    model = learn.to_model()
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model", "cpu")
    sequences = table["sequence"][:20].tolist()
    assert again.task == model.task == learn.task and again.predict(sequences).names == NAMES
    assert np.array_equal(again.predict(sequences).values, model.predict(sequences).values)
    kept = json.loads((tmp_path / "model" / "config.json").read_text())["settings"]["task"]
    assert [target["name"] for target in kept["targets"]] == NAMES
    assert np.isclose(kept["targets"][0]["center"], table["activity"][:600].mean())
    assert "activity (real), reads (count), bound (binary)" in (tmp_path / "model" / "README.md").read_text()


def test_the_order_of_targets_survives(table, tmp_path):
    """Not the order of the alphabet, and labels of a list between the others."""
    mixed = table.assign(z=["b;a", "a", "-"] * 300, a0=table["activity"])
    dls = TargetDataLoaders.from_df(mixed, ["reads", "z", "a0"], tokenizer=TOKENIZER, device="cpu")
    model = genome_predictor_learner(dls, preset=PRESET).to_model()
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.task.names == ["reads", "a", "b", "a0"] == dls.task.names
    y = again.task.encode_table(mixed[:3], "label", "table")
    assert y[:, 1].tolist() == [1, 1, 0] and y[:, 2].tolist() == [1, 0, 0]
    np.testing.assert_array_equal(y[:, 3], np.float32(mixed["a0"][:3]))
    predict_file(again, write_fasta(tmp_path, mixed["sequence"][:3]), tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text().split("\n")[0] == "id\treads\ta\tb\ta0"


def write_fasta(folder, sequences):
    path = folder / "some.fa"
    path.write_text("".join(f">s{i}\n{s}\n" for i, s in enumerate(sequences)))
    return path


def test_the_scaler_is_undone_once(dls):
    """A network that answers 0 to everything predicts the training means, in natural units."""
    learn = genome_predictor_learner(dls, preset=PRESET)
    torch.nn.init.zeros_(learn.model.head[-1].weight)
    torch.nn.init.constant_(learn.model.head[-1].bias, 0)
    train = dls.train.items[NAMES]
    np.testing.assert_allclose(learn.to_model().predict(["ACGTACGT"]).values[0], train.mean(), rtol=1e-5)
    with learn.no_bar():
        np.testing.assert_allclose(learn.get_preds()[0][0], train.mean(), rtol=1e-5)
    torch.nn.init.constant_(learn.model.head[-1].bias, 2)
    values = learn.to_model().predict(["ACGTACGT"]).values[0]
    np.testing.assert_allclose(values[0], train["activity"].mean() + 2 * train["activity"].std(ddof=0), rtol=1e-5)
    np.testing.assert_allclose(values[1], train["reads"].mean() * np.exp(2), rtol=1e-5)


# ---------------------------------------------------------------- strands


def test_partners_swap_with_the_strand(table):
    set_seed(0)
    pair = table.assign(plus=table["activity"].fillna(1000.0), minus=table["reads"].fillna(0.0) * 1.5)
    kinds = {"plus": "real", "minus": "real"}
    dls = TargetDataLoaders.from_df(
        pair, ["plus", "minus"], kinds, partners=[("plus", "minus")], tokenizer=TOKENIZER, bs=50, device="cpu"
    )
    model = genome_predictor_learner(dls, preset=PRESET).to_model()
    sequences = table["sequence"][:6].tolist()
    turned = [DNA.decode(reverse_complement(DNA.encode(s))) for s in sequences]
    forward, reverse = (model.predict(s, both_strands=True, phases=1, exact=True).values for s in (sequences, turned))
    np.testing.assert_allclose(forward, reverse[:, ::-1], rtol=1e-4)
    assert not np.allclose(forward, reverse, rtol=1e-4)
    one, other = (model.predict(s, both_strands=False, phases=1, exact=True).values for s in (sequences, turned))
    np.testing.assert_allclose(forward, (one + other[:, ::-1]) / 2, rtol=1e-4)


def test_averages_are_taken_before_the_inverse_link(learn, table):
    model = learn.to_model()
    s = table["sequence"][0]
    views = model.predict([s, s[1:]], both_strands=False, phases=1, exact=True).values.astype(float)
    wider = genome_predictor_learner(
        TargetDataLoaders.from_df(table, NAMES, KINDS, tokenizer=KmerTokenizer(4, 2), device="cpu", stranded=True),
        preset=PRESET,
    ).to_model()
    views = wider.predict([s, s[1:]], phases=1, exact=True).values.astype(float)
    both = wider.predict([s], exact=True).values[0]
    np.testing.assert_allclose(both[1], np.sqrt(views[0, 1] * views[1, 1]), rtol=1e-4)
    odds = views[:, 2] / (1 - views[:, 2])
    np.testing.assert_allclose(both[2] / (1 - both[2]), np.sqrt(odds[0] * odds[1]), rtol=1e-4)
    np.testing.assert_allclose(both[0], views[:, 0].mean(), rtol=1e-6)


# ---------------------------------------------------------------- fastai


def test_get_preds_is_what_the_model_predicts(learn, table, exact):
    valid = table[table["split"] == "valid"]
    answers, y = learn.get_preds()
    np.testing.assert_array_equal(y, np.float32(valid[NAMES]))
    values = learn.to_model().predict(valid["sequence"].tolist(), both_strands=False, phases=1).values
    np.testing.assert_allclose(answers, values, rtol=1e-5, atol=1e-5)


def test_predict_and_a_test_loader(learn, table, exact):
    sequences = table["sequence"][-3:].tolist()
    values = learn.to_model().predict(sequences, both_strands=False, phases=1).values
    text, decided, answer = learn.predict(sequences[0])
    np.testing.assert_allclose(answer, values[0], rtol=1e-5)
    assert text.startswith(f"activity {values[0, 0]:.4g}, ") and decided[2] in (0, 1)
    answers, y = learn.get_preds(dl=learn.dls.test_dl(sequences))
    assert y is None
    np.testing.assert_allclose(answers, values, rtol=1e-5)
    with pytest.raises(ValueError, match="no pickle is written"):
        learn.export()


def test_what_is_shown(learn, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    learn.dls.show_batch(max_n=3)
    learn.show_results(max_n=4)
    assert list(shown[0])[2:] == NAMES and len(shown[0]) == 3
    assert list(shown[1])[1:] == [*NAMES, *(f"predicted {name}" for name in NAMES)] and len(shown[1]) == 4
    tops = []
    monkeypatch.setattr("genomic_ulmfit.train.interpret.display_df", tops.append)
    interpretation = Interpretation.from_learner(learn)
    interpretation.plot_top_losses(4)
    assert list(tops[0]) == ["sequence", *NAMES, *(f"predicted {name}" for name in NAMES), "loss"]
    assert (tops[0]["loss"].diff()[1:] <= 0).all()


def test_evaluate_has_the_figures_of_the_task(learn, table):
    figures = evaluate(learn.to_model(), table, split="test")
    assert figures["n"] == 150 and figures["spearman"] > 0.7 and figures["auroc"] > 0.9


# ---------------------------------------------------------------- refused


def test_blocks_of_fastai_without_classes_are_refused(table):
    rows = table.dropna()
    for block, column in ((RegressionBlock, "activity"), (MultiCategoryBlock, "labels")):
        rows = rows.assign(labels=[["x", "y"], ["x"]] * (len(rows) // 2) + [["x"]] * (len(rows) % 2))
        data = DataBlock(
            (SequenceBlock(TOKENIZER), block),
            get_x=ColReader("sequence"),
            get_y=ColReader(column),
            splitter=RandomSplitter(seed=0),
        )
        with pytest.raises(ValueError, match="give values and labels to TargetDataLoaders"):
            genome_classifier_learner(data.dataloaders(rows, bs=8, device="cpu"), preset=PRESET)


def test_models_of_another_task_are_refused(learn, table, tmp_path):
    learn.to_model().save(tmp_path / "targets")
    with pytest.raises(InputError, match="predicts targets, not classes"):
        TaxonModel.load(tmp_path / "targets")
    with pytest.raises(InputError, match="predicts targets, not classes"):
        calibrate_taxa(tmp_path / "targets", tmp_path / "corpus", tmp_path / "lineages.tsv", tmp_path / "out")
    with pytest.raises(InputError, match="not a language model"):
        genome_predictor_learner(learn.dls, pretrained=tmp_path / "targets")
    with pytest.raises(ValueError, match="words are counted for the classes"):
        genome_predictor_learner(learn.dls, preset=PRESET, counts=True)
    with pytest.raises(ValueError, match="places are learned for the classes"):
        genome_predictor_learner(learn.dls, preset=PRESET, placed=True)
    with pytest.raises(InputError, match="has no column 'activity'"):
        evaluate(tmp_path / "targets", table.drop(columns="activity"), split="test")


def values_of(table, **cells):
    """The table with the activity of some splits replaced."""
    activity = table["activity"].fillna(1000.0).to_numpy(object)
    for split, value in cells.items():
        activity[table["split"] == split] = value
    return table.assign(activity=activity)


BAD = {
    "the target 'activity' is always 3 in the training split": {"train": 3},
    "the target 'activity' has no value in the training split": {"train": None},
    "no row of the split 'valid' has a target": {"valid": None},
    "record 'row 0': the target 'activity' is 'inf', not finite": {"train": np.inf},
    "record 'row 0': the target 'activity' is 'high', no number": {"train": "high"},
}


@pytest.mark.parametrize("message", BAD)
def test_cells_of_which_nothing_can_be_learned(table, message):
    with pytest.raises(InputError, match=message) as caught:
        TargetDataLoaders.from_df(values_of(table, **BAD[message]), ["activity"], {"activity": "real"})
    assert "\n" not in str(caught.value)


def test_kinds_refuse_values_that_they_cannot_have(table):
    for kind, value, message in (
        ("count", -1, "is -1, which is below 0"),
        ("binary", 2, "is 2, which is neither 0 nor 1"),
    ):
        cells = table.assign(bound=table["bound"].where(table.index != 5, value))
        with pytest.raises(InputError, match=f"record 'row 5': the target 'bound' {message}"):
            TargetDataLoaders.from_df(cells, ["bound"], {"bound": kind})
    with pytest.raises(InputError, match="'bound' is always 1 in the training split"):
        TargetDataLoaders.from_df(table.assign(bound=1), ["bound"])


def test_names_that_are_unknown_are_listed(table):
    from_df = TargetDataLoaders.from_df
    with pytest.raises(InputError, match="has unknown names: x, y. Known are: sequence, activity, reads, bound, split"):
        from_df(table, ["x", "reads", "y"])
    with pytest.raises(InputError, match="kinds: has unknown names: active. Known are: activity"):
        from_df(table, ["activity"], {"active": "real"})
    with pytest.raises(InputError, match="kinds: has unknown names: float"):
        from_df(table, ["activity"], {"activity": "float"})
    with pytest.raises(InputError, match="weight: has unknown names: read"):
        from_df(table, ["reads"], weight={"read": 1})
    with pytest.raises(InputError, match="partners: has unknown names: minus"):
        from_df(table, ["reads"], partners=[("reads", "minus")])
    with pytest.raises(InputError, match="targets: names 'reads' twice"):
        from_df(table, ["reads", "reads"])
    twice = pd.concat([table, table[["reads"]]], axis=1)
    with pytest.raises(InputError, match="has two columns 'reads'"):
        from_df(twice, ["reads"])


def test_a_label_that_is_only_tested_is_refused(table):
    lists = np.where(table["split"] == "test", "a;rare", np.where(table.index % 2, "a;", "b"))
    with pytest.raises(InputError, match="record 'row 750': the label 'rare' does not occur in the training split"):
        TargetDataLoaders.from_df(table.assign(drugs=lists), ["drugs"])


def test_tables_of_other_sequences_are_refused(table, tmp_path):
    fasta = write_fasta(tmp_path, table["sequence"])
    others = table.drop(columns="sequence").assign(id=[f"t{i}" for i in range(len(table))])
    with pytest.raises(InputError, match="record 't0': this id is not in"):
        TargetDataLoaders.from_fasta(fasta, others, NAMES)


# ---------------------------------------------------------------- divided


def test_groups_stay_on_one_side(table):
    grouped = table.drop(columns="split").assign(family=np.arange(900) // 9)
    dls = TargetDataLoaders.from_df(
        grouped, ["activity"], valid_pct=0.2, groups="family", tokenizer=TOKENIZER, device="cpu"
    )
    sides = [set(grouped["family"][grouped["sequence"].isin(dl.items["sequence"])]) for dl in (dls.train, dls.valid)]
    assert not sides[0] & sides[1] and len(sides[1]) == 20
    with pytest.raises(InputError, match="the group 'x' stands in 3 splits"):
        TargetDataLoaders.from_df(table.assign(family="x"), ["activity"], groups="family")


def test_leakage_is_warned_of(table):
    leaky = table.copy()
    leaky.loc[600, "sequence"] = DNA.decode(reverse_complement(DNA.encode(table["sequence"][0])))
    leaky[NAMES] = leaky[NAMES].fillna({"activity": 1000, "reads": 1, "bound": 0})
    with pytest.warns(UserWarning, match="1 of 150 held-out sequences"):
        TargetDataLoaders.from_df(leaky, NAMES, KINDS, tokenizer=TOKENIZER)


def test_classes_have_valid_pct_too(table):
    labelled = table.drop(columns="split").assign(label=["rare"] * 90 + ["common"] * 810)
    dls = ReadDataLoaders.from_df(labelled, TOKENIZER, valid_pct=0.1, device="cpu")
    assert dls.valid.items["label"].value_counts().to_dict() == {"common": 81, "rare": 9}


def test_a_rare_label_may_weigh_more_and_stays_a_probability():
    """Two sorts of sequences, of which one in 10 and one in 3 are bound: told apart, and as often, with any weight."""
    rng = np.random.default_rng(0)
    rich = rng.random(2000) < 0.5
    draw = lambda shares: "".join(rng.choice(list("ACGT"), 30, p=shares))
    table = pd.DataFrame({"sequence": [draw([0.4, 0.1, 0.1, 0.4]) if r else draw([0.1, 0.4, 0.4, 0.1]) for r in rich]})
    table["bound"] = (rng.random(2000) < np.where(rich, 0.33, 0.1)).astype(int)
    table["split"] = np.resize(["train"] * 4 + ["valid"], 2000)
    for weight in (1, (1, 8), "balanced"):
        set_seed(0)
        read = {"tokenizer": KmerTokenizer(2, 2), "bs": 50, "device": "cpu"}
        learn = genome_predictor_learner(
            TargetDataLoaders.from_df(table, ["bound"], weight={"bound": weight}, **read), preset=PRESET
        )
        with learn.no_bar(), learn.no_logging():
            learn.fit_budget(1e-2, epochs=2)
        answers = learn.to_model().predict(list(table["sequence"][:400]), phases=1).values[:, 0]
        shares = [answers[rich[:400] == r].mean() for r in (False, True)]
        assert np.allclose(shares, [0.1, 0.33], atol=0.12) and shares[1] > shares[0] + 0.1, (weight, shares)
        assert learn.to_model().task.targets[0].scale == pytest.approx({1: 1, (1, 8): 8}.get(weight, 3.6), abs=0.6)


def test_the_kinds_are_guessed(table):
    task = TargetDataLoaders.from_df(table, NAMES, tokenizer=TOKENIZER).task
    assert isinstance(task, Targets) and {target.name: target.kind for target in task.targets} == KINDS
