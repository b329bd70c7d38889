"""Models of targets from the command line: trained, asked, judged beside baselines, refused in a line."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from commands import fails, run, words

from genomic_ulmfit.all import choose_thresholds, load_model, target_metrics
from genomic_ulmfit.cli.main import main
from genomic_ulmfit.train import search

MOTIF = "GATTACA"
TARGETS = ["activity", "reads", "bound"]


def planted(rows=500, seed=0):
    """Sequences that begin with 0 to 3 motifs, which a value, a count and a label depend on; some cells are empty."""
    rng = np.random.default_rng(seed)
    copies = rng.integers(0, 4, rows)
    random = ["".join(rng.choice(list("ACGT"), 60)) for _ in copies]
    table = pd.DataFrame({"id": [f"s{i}" for i in range(rows)]})
    table["sequence"] = [MOTIF * n + letters[7 * n :] for n, letters in zip(copies, random)]
    table["activity"] = (1000 + 50 * copies + rng.normal(0, 10, rows)).round(1)
    table["reads"] = rng.poisson(2.0 * 2.0**copies)
    table["bound"] = np.where(rng.random(rows) < 0.2, "", (copies > 1).astype(int).astype(str))
    table["gene"] = [f"g{i // 5}" for i in range(rows)]
    table["split"] = np.resize([*["train"] * 12, *["valid"] * 4, *["test"] * 4], rows)
    return table


SMALL = "--k 4 --stride 1 --preset nano --epochs 5 --lr 1e-2 --bs 32 --stranded"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a table of measurements, its sequences as FASTA, and a model `m` of three targets."""
    folder = tmp_path_factory.mktemp("targets")
    table = planted()
    table.to_csv(folder / "measured.tsv", sep="\t", index=False)
    table.drop(columns="sequence").to_csv(folder / "labels.tsv", sep="\t", index=False)
    lines = [f">{name}\n{letters}\n" for name, letters in zip(table["id"], table["sequence"])]
    (folder / "all.fa").write_text("".join(lines))
    (folder / "new.fa").write_text("".join(lines[:30]))
    asked = f"train {{w}}/measured.tsv --targets activity,reads,bound --kinds reads=dispersed {SMALL}"
    run(f"{asked} --out {{w}}/m --json {{w}}/train.json", w=folder)
    return folder


def test_a_model_is_trained_on_the_columns_that_are_named(world, capsys):
    model = load_model(world / "m", "cpu")
    assert [(t.name, t.kind) for t in model.task.targets] == list(zip(TARGETS, ["real", "dispersed", "binary"]))
    figures = json.loads((world / "train.json").read_text())
    assert model.about["targets"] == TARGETS and figures["spearman"] > 0.6 and figures["auroc"] > 0.8
    table = planted()
    assert model.task.targets[0].center == pytest.approx(table["activity"][table["split"] == "train"].mean())
    again = f"train {{w}}/measured.tsv --targets activity,reads,bound {SMALL} --out {{w}}/m"
    run(f"{again} --resume", w=world)
    assert "is finished" in capsys.readouterr().out
    fails(capsys, again, names=["holds a model already"], w=world)


def test_recipes_are_tried_for_targets(world, capsys):
    given = "--targets activity,reads,bound --kinds reads=dispersed --k 4 --stride 1 --preset nano --wide --stranded"
    search = f"train {{w}}/measured.tsv --auto {given} --tokens 90k --parts 2 --bs 32 --out {{w}}/auto"
    run(search + " --json {w}/auto.json", w=world)
    figures = json.loads((world / "auto.json").read_text())
    assert len(figures["tried"]) == 2 and figures["tried"][0]["valid_loss"] != figures["tried"][1]["valid_loss"]
    assert figures["spearman"] > 0.3 and "accuracy" not in capsys.readouterr().out
    model = load_model(world / "auto", "cpu")
    assert [(t.name, t.kind) for t in model.task.targets] == list(zip(TARGETS, ["real", "dispersed", "binary"]))
    assert model.config.wide is not None and len(model.about["tried"]) == 2


def test_a_search_for_other_targets_is_another(world, capsys, monkeypatch):
    tries = iter([{"budget": "1 epochs", "valid_loss": 1.0, "accuracy": None, "passes": 1.0, "seconds": 1.0}])

    def one_try(*args, **kwargs):
        for figures in tries:
            return figures
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "try_recipe", one_try)
    table = planted()
    table.to_csv(world / "again.tsv", sep="\t", index=False)
    given = "--targets activity,bound --k 4 --stride 1 --preset nano --wide --tokens 90k --bs 32 --out {w}/found"
    assert main(words("train {w}/again.tsv --auto " + given, w=world)) == 130
    table.assign(activity=table["activity"] * 2).to_csv(world / "again.tsv", sep="\t", index=False)
    refused = "tries.json: belongs to another training: target_values was"
    fails(capsys, f"train {{w}}/again.tsv --auto --resume {given}", names=[refused], w=world)
    kinds = f"train {{w}}/again.tsv --auto --resume {given} --kinds activity=robust"
    fails(capsys, kinds, names=["belongs to another training: kinds was 'auto', now"], w=world)


def test_rows_to_watch_are_drawn_by_group(world, capsys):
    table = planted().drop(columns="split")
    table.to_csv(world / "whole.csv", index=False)
    drawn = "--valid-pct .25 --groups gene --wide --tokens 4k --parts 1 --k 4 --preset nano --bs 32"
    run(f"train {{w}}/whole.csv --targets activity {drawn} --out {{w}}/wide", w=world)
    model = load_model(world / "wide", "cpu")
    assert model.config.wide is not None and model.config.counts is None and model.config.placed is None
    assert (model.about["valid_pct"], model.about["groups"], model.stranded) == (0.25, "gene", False)
    exons = f"train {{w}}/whole.csv --targets activity {drawn.replace('gene', 'exon')} --out {{w}}/x"
    fails(capsys, exons, names=["has no column 'exon'. Its columns are: id, sequence, activity"], w=world)


def test_classes_are_drawn_too(world):
    drawn = "--label bound --valid-pct .2 --tokens 4k --parts 1 --k 4 --preset nano --bs 32"
    table = planted().drop(columns="split")
    table[table["bound"] != ""].to_csv(world / "classes.tsv", sep="\t", index=False)
    run(f"train {{w}}/classes.tsv {drawn} --out {{w}}/classes", w=world)
    assert load_model(world / "classes", "cpu").classes == ["0", "1"]


def test_answers_are_in_natural_units(world, capsys):
    run("predict {w}/m {w}/new.fa", w=world)
    said = capsys.readouterr().out
    lines = [line.split("\t") for line in said.splitlines()]
    assert lines[0] == ["id", *TARGETS] and [line[0] for line in lines[1:]] == [f"s{i}" for i in range(30)]
    answers = load_model(world / "m", "cpu").predict(list(planted()["sequence"][:30])).values
    np.testing.assert_allclose(np.array([line[1:] for line in lines[1:]], float), answers, rtol=1e-5)
    assert 1000 < answers[:, 0].mean() < 1150 and 0 <= answers[:, 2].min() <= answers[:, 2].max() <= 1
    run("predict {w}/m {w}/new.fa --probabilities", w=world)
    assert capsys.readouterr().out == said, "nothing is there twice"


def test_answers_of_a_classifier_stay_as_they_are(models, world, capsys):
    run("predict {m}/clf {w}/new.fa", m=models, w=world)
    head, first = capsys.readouterr().out.splitlines()[:2]
    assert head == "id\tlabel\tconfidence" and re.fullmatch(r"s0\t(Alpha|Beta)\t[01]\.\d{4}", first)


def test_figures_are_those_of_the_test_part(world, capsys):
    run("evaluate {w}/m {w}/measured.tsv --json -", w=world)
    known = json.loads(capsys.readouterr().out)
    table = planted()
    part = {name: rows for name, rows in table.groupby("split")}
    y = {name: rows[TARGETS].replace("", np.nan).astype(float).to_numpy() for name, rows in part.items()}
    model = load_model(world / "m", "cpu")
    p = {name: model.predict(list(rows["sequence"])).values for name, rows in part.items()}
    thresholds = choose_thresholds(y["valid"], p["valid"])
    by_hand = target_metrics(y["test"], p["test"], TARGETS, ["real", "count", "binary"], thresholds)
    for row in by_hand[by_hand["target"].isin(TARGETS)].itertuples():
        found = known["targets"][row.target][row.figure]
        assert [found["value"], found["low"], found["high"]] == pytest.approx([row.value, row.low, row.high], abs=1e-3)
    assert known["n"] == 100 and known["targets"]["bound"]["n"] == (~np.isnan(y["test"][:, 2])).sum()
    assert known["targets"]["bound"]["mcc"]["threshold"] == pytest.approx(thresholds[2], abs=1e-3) != 0.5
    assert "baselines" not in known and known["targets"]["activity"]["spearman"]["value"] > 0.6


def test_baselines_and_a_page(world, capsys):
    asked = "evaluate {w}/m {w}/all.fa --labels {w}/labels.tsv --baselines --json {w}/j.json --page {w}/p.html"
    run(asked, w=world)
    said = capsys.readouterr().out
    known = json.loads((world / "j.json").read_text())
    assert {"mean", "GC + length", "k-mers", "nearest neighbours"} <= set(known["baselines"])
    of_mean = known["baselines"]["mean"]["targets"]["activity"]
    assert of_mean["spearman"] == {"value": None, "low": None, "high": None, "undefined": "the prediction is constant"}
    assert known["baselines"]["k-mers"]["targets"]["activity"]["spearman"]["value"] > 0.5
    page = (world / "p.html").read_text()
    assert page.count("<svg") == 1 and page.count('<tr class="own">') == len(TARGETS) and "nearest neighbours" in page
    assert "src=" not in page and 'href="http' not in page and "<script" not in page
    own = f"{known['targets']['activity']['spearman']['value']:.3g} ("
    assert own in page and own in said


BAD = {
    "train {w}/measured.tsv --targets activity,acidity --out {w}/x": "has unknown names: acidity. Known are: id, seq",
    "train {w}/measured.tsv --targets activity,activity --out {w}/x": "targets: names 'activity' twice",
    "train {w}/measured.tsv --targets activity --kinds reads=count --out {w}/x": "kinds: has unknown names: reads",
    "train {w}/measured.tsv --targets activity --kinds activity=whole --out {w}/x": "Known are: real, robust, count",
    "train {w}/measured.tsv --kinds reads=count --out {w}/x": "--kinds: are kinds of targets. Give --targets, too.",
    "train {w}/measured.tsv --targets activity --valid-pct .1 --out {w}/x": "has rows of the split 'valid'",
    "train {w}/measured.tsv --targets activity --groups gene --out {w}/x": "stands in 2 splits",
    "train {w}/measured.tsv --targets activity --placed --stranded --out {w}/x": "--placed: is learned for classes",
    "train {w}/labels.tsv --targets activity --out {w}/x": "labels.tsv: has no column 'sequence'. Its columns are: id,",
    "train {w}/all.fa --targets activity --out {w}/x": "FASTA with --labels TABLE",
    "train {c} --targets activity --out {w}/x": "is a corpus, which has no targets",
    "train {c} --label genus --groups genus --out {w}/x": "is a corpus, which has no groups",
    "train {w}/measured.tsv --targets activity --pretrained {w}/m --out {w}/x": "/m: is a predictor, not a language",
    "train {w}/ids.tsv --targets activity,id --out {w}/x": "ids.tsv: a target is named 'id'. Rename it: that is",
    "train {w}/all.fa --labels {w}/whole.tsv --targets activity --out {w}/x": "whole.tsv: has no column 'split'",
    "finetune {w}/m {c} --out {w}/x --tokens 1k": "/m: is a predictor, not a language model",
    "classify {w}/m {w}/new.fa --report {w}/r": "/m: predicts targets, not classes. Give a classifier.",
    "screen {w}/m {w}/new.fa --out {w}/x": "/m: predicts targets, not classes. Give a classifier.",
    "screen {m}/lm {w}/new.fa --out {w}/x": "/lm: is a language model and has no classes",
    "predict {m}/lm {w}/new.fa": "/lm: is a language model and has no classes",
    "calibrate {w}/m {c} --lineages {w}/labels.tsv": "predicts targets, not classes. Give a classifier.",
    "evaluate {w}/m {c}": "is no table of measurements. Give a TSV or CSV",
    "evaluate {w}/m {w}/labels.tsv": "has no column 'sequence'",
    "evaluate {w}/m {w}/measured.tsv --split test_far": "has no rows of the split 'test_far'",
    "evaluate {w}/m {w}/measured.tsv --groups exon": "measured.tsv: has no column 'exon'",
    "evaluate {w}/m {w}/unknown.tsv": "no row of the split 'test' has a target (activity, reads, bound)",
    "evaluate {w}/m {w}/lacking.tsv": "lacking.tsv: has no column 'reads'. Its columns are: id, sequence, activity",
    "evaluate {w}/m {w}/all.fa --labels {w}/whole.tsv": "whole.tsv: has no column 'split'",
    "evaluate {m}/clf {w}/all.fa --labels {w}/labels.tsv --split far": "labels.tsv: has no rows of the split 'far'",
    "evaluate {m}/clf {w}/measured.tsv --label genus": "measured.tsv: has no column 'genus'",
    "evaluate {m}/clf {w}/measured.tsv --label gene --baselines": "is no model of targets, which --baselines is for",
    "evaluate {m}/lm {c} --baselines": "is no model of targets, which --baselines is for",
    "evaluate {m}/clf {c} --label genus --baselines": "is no model of targets, which --baselines is for",
    "evaluate {m}/lm {c} --page {w}/x.html": "is no model of targets, which --page is for",
}


@pytest.mark.parametrize("command", BAD)
def test_bad_input_is_one_line(command, world, models, corpus, capsys):
    table = planted()
    empty = table.assign(**{name: table[name].astype(str).where(table["split"] != "test", "") for name in TARGETS})
    empty.to_csv(world / "unknown.tsv", sep="\t", index=False)
    table.drop(columns="reads").to_csv(world / "lacking.tsv", sep="\t", index=False)
    table.assign(id=np.arange(len(table)) / 2).to_csv(world / "ids.tsv", sep="\t", index=False)
    table.drop(columns=["sequence", "split"]).to_csv(world / "whole.tsv", sep="\t", index=False)
    fails(capsys, command, names=[BAD[command]], w=world, c=corpus.path, m=models)
    assert not (world / "x").exists() and not (world / "x.html").exists()
