"""The route of a stranger with genomes of his own: what he is told on the way, and what his model says of itself."""

import json

import numpy as np
import pandas as pd
import pytest
from commands import fails, run

from genomic_ulmfit.all import GenomeCorpus, KmerTokenizer, Preset, load_model
from genomic_ulmfit.model.config import PredictorConfig
from genomic_ulmfit.model.model import Predictor
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.text.task import Classes

SPECIES = {"Aa one": "Aa", "Ab one": "Ab", "Cc one": "Cc", "Dd one": "Dd"}
CALIBRATE = "calibrate {folder}/clf {folder}/corpus --lineages {folder}/genomes.tsv --words large --fast --out {out} "


def mutated(genome, rate, rng):
    return np.where(rng.random(len(genome)) < rate, (genome + 1) % 4, genome).astype(np.uint8)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Genomes of four species, each the only one of its genus; Aa and Ab differ as strains of one species do."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    ancestors = {name: rng.integers(0, 4, 20_000).astype(np.uint8) for name in SPECIES}
    ancestors["Ab one"] = mutated(ancestors["Aa one"], 0.002, rng)
    rows = []
    for name, ancestor in ancestors.items():
        for split in ("train", "valid"):
            if name == "Dd one" and split == "valid":
                continue
            file = f"{name}_{split}.fa"
            (folder / file).write_text(f">x\n{decode_bases(mutated(ancestor, 0.005, rng))}\n")
            family = "Only" if name[0] == "A" else name[:1]
            row = {"file": file, "species": name, "genus": SPECIES[name], "family": family, "split": split}
            rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "genomes.tsv", sep="\t", index=False)
    GenomeCorpus.build(folder / "genomes.tsv", folder / "corpus", labels=["species", "genus"])
    tokenizer, preset = KmerTokenizer(3, 3), Preset(8, 8, 1)
    network = Predictor(classifier(tokenizer, preset, 4), PredictorConfig(preset, tokenizer, Classes(sorted(SPECIES))))
    network.about = {"label": "species", "minutes": 2.0, "figures": {"accuracy": 0.123}, "made_by": "another study"}
    network.about["per_read_figures"] = [{"split": "test", "right": 0.456}]
    network.save(folder / "clf")  # untrained: the words do the work
    return folder


@pytest.fixture(scope="module")
def told(world):
    """What calibrating says, and the figures that it writes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        lines = []
        monkeypatch.setattr("builtins.print", lambda *text, **_: lines.append(" ".join(map(str, text))))
        run(CALIBRATE + "--json {folder}/c.json", folder=world, out=world / "taxa")
    return lines, json.loads((world / "c.json").read_text())


def test_genera_that_are_alike_are_offered_to_be_merged(world, told, tmp_path, capsys):
    lines, figures = told
    (alike,) = figures["alike"]
    assert alike["genera"] == ["Aa", "Ab"] and alike["gained"] > 0.3
    (line,) = [line for line in lines if "can't be told apart" in line]
    assert line.startswith("Aa and Ab can't") and "write Aa/Ab for all of them in the column genus" in line
    assert line.endswith("calibrate again (--overwrite)") and str(world / "genomes.tsv") in line
    table = pd.read_csv(world / "genomes.tsv", sep="\t").replace({"genus": {"Aa": "Aa/Ab", "Ab": "Aa/Ab"}})
    table.to_csv(tmp_path / "merged.tsv", sep="\t", index=False)
    again = CALIBRATE.replace("{folder}/genomes.tsv", "{tmp}/merged.tsv") + "--json {tmp}/c.json"
    run(again, folder=world, out=tmp_path / "taxa", tmp=tmp_path)
    assert json.loads((tmp_path / "c.json").read_text())["alike"] == []
    assert "told apart" not in capsys.readouterr().out


def test_classes_without_held_out_genomes_are_named(told):
    lines, figures = told
    assert figures["classes"] == 3 and figures["not_held_out"] == ["Dd one"]
    assert any("for want of a genome: Dd one (give another strain" in line for line in lines), lines


def test_calibrating_shows_how_far_it_is(told):
    lines, _ = told
    for what in ("words of genomes: 4 in", "reads:", "fits: 7 in", "reads for confusions: "):
        assert any(line.startswith(what) for line in lines), (what, lines)


def test_a_calibrated_folder_keeps_no_figures_of_an_earlier_state(world, told):
    before, after = (load_model(world / folder).about for folder in ("clf", "taxa"))
    assert {"figures", "per_read_figures", "made_by"} <= set(before)
    assert set(after) == {"label", "minutes", "calibrated"} and after["calibrated"]["classes"] == 3
    assert "0.456" in (world / "clf" / "README.md").read_text()
    card = (world / "taxa" / "README.md").read_text()
    assert "0.456" not in card and "another study" not in card and "- **minutes**: 2.0" in card


def test_the_label_of_the_classes_is_suggested(world, tmp_path, capsys):
    places = {"folder": world, "out": tmp_path / "m"}
    names = ["no class of the model in the column 'genus', but some in 'species'", "Give --label species."]
    fails(capsys, CALIBRATE + "--label genus", names=names, **places)
    fails(capsys, CALIBRATE + "--label colour", names=["'colour'", "Give --label species."], **places)
    assert not (tmp_path / "m").exists()


def test_evaluate_shows_how_far_it_is(models, corpus, capsys):
    for command in ("evaluate {models}/clf {corpus} --label genus --reads 50 --fast", "evaluate {models}/lm {corpus}"):
        run(command, models=models, corpus=corpus.path)
        said = capsys.readouterr().out.splitlines()
        assert any(line.startswith(("reads: ", "text: ")) and " in 0:" in line for line in said), said
        assert all("|" not in line for line in said)


@pytest.mark.parametrize("column", ["Split", "set", "partition"])
def test_splits_under_another_name(world, column, tmp_path, capsys):
    table = pd.read_csv(world / "genomes.tsv", sep="\t").rename(columns={"split": column})
    table.to_csv(tmp_path / "genomes.tsv", sep="\t", index=False)
    build = "corpus build {tmp}/genomes.tsv --base {folder} --labels species --out {tmp}/corpus"
    names = ["genomes.tsv: has no column 'split'", repr(column), "Rename it to split"]
    fails(capsys, build, names=names, tmp=tmp_path, folder=world)
    table.drop(columns=column).to_csv(tmp_path / "genomes.tsv", sep="\t", index=False)
    run(build, tmp=tmp_path, folder=world)
    assert set(GenomeCorpus(tmp_path / "corpus").splits) == {"train"}


def test_the_row_of_a_missing_genome_is_named(world, tmp_path, capsys):
    table = pd.read_csv(world / "genomes.tsv", sep="\t")
    table.loc[3, "file"] = "lost.fa"
    table.to_csv(tmp_path / "genomes.tsv", sep="\t", index=False)
    build = "corpus build {tmp}/genomes.tsv --base {folder} --labels species --out {tmp}/corpus"
    names = ["genomes.tsv, record 'line 5'", "'lost.fa'", str(world / "lost.fa"), "--base"]
    fails(capsys, build, names=names, tmp=tmp_path, folder=world)


def test_a_page_says_nothing_of_ranks_that_the_model_has_not(models, corpus, tmp_path):
    (tmp_path / "lineages.tsv").write_text("genus\tphylum\nAlpha\tOnly\nBeta\tOnly\n")
    places = {"models": models, "corpus": corpus.path, "tmp": tmp_path}
    run("calibrate {models}/clf {corpus} --lineages {tmp}/lineages.tsv --label genus --fast --out {tmp}/m", **places)
    (tmp_path / "a.fa").write_text(f">r\n{decode_bases(np.asarray(corpus.codes(0))[:300])}\n")
    run("classify {tmp}/m {tmp}/a.fa --fast --json {tmp}/a.json --page {tmp}/a.html", **places)
    assert json.loads((tmp_path / "a.json").read_text())["ranks"] == ["no rank", "phylum", "genus"]
    run("merge {tmp}/a.json --page {tmp}/merged.html", **places)
    for page in ("a.html", "merged.html"):
        text = (tmp_path / page).read_text()
        assert "species" not in text and "are given a genus" in text
