"""The command line: the stages end to end, streams, resuming, and one clear line for everything that is wrong."""

import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import CLI, fails, run, words

from genomic_ulmfit.all import load_model
from genomic_ulmfit.cli.main import COMMANDS, main
from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.train.checkpoint import Checkpoint

# ---------------------------------------------------------------- end to end


def test_stages_end_to_end(genomes, tmp_path, capsys):
    places = {"genomes": genomes, "tmp": tmp_path}
    budget = " --tokens 30k --parts 2 --bs 16"
    run("corpus build {genomes}/genomes.tsv --labels genus --out {tmp}/c --json {tmp}/c.json", **places)
    run("pretrain {tmp}/c --out {tmp}/lm --preset tiny --k 3 --window 32" + budget, **places)
    run("finetune {tmp}/lm {tmp}/c --out {tmp}/tuned --window 32" + budget, **places)
    train = "train {tmp}/c --pretrained {tmp}/tuned --label genus --out {tmp}/clf --json {tmp}/train.json"
    run(train + budget, **places)
    assert re.search(r"about \d+\.\d min", capsys.readouterr().out), "an estimate is printed before training"
    run("evaluate {tmp}/lm {tmp}/c --json {tmp}/lm.json", **places)
    run("evaluate {tmp}/clf {tmp}/c --label genus --reads 500 --json {tmp}/clf.json", **places)
    built, lm, clf = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("c", "lm", "clf"))
    assert built["splits"] == {"train": 60_000, "valid": 60_000, "test": 60_000}
    assert 1.5 < lm["bits_per_base"] < 2.1
    assert clf["accuracy"] > 0.8 and clf["n"] == 500 and set(clf["per_class"]) == {"Alpha", "Beta"}
    assert not list(tmp_path.glob("*.checkpoints")), "checkpoints go when the model is saved"


def test_predict_keeps_order_and_streams(models, tmp_path, capsys):
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 400, 300)
    with gzip.open(tmp_path / "reads.fq.gz", "wt") as f:
        for i, n in enumerate(sizes):
            f.write(f"@r{i}\n{decode_bases(rng.integers(0, 4, n))}\n+\n{'I' * n}\n")
    run("predict {models}/clf {tmp}/reads.fq.gz --out {tmp}/a.tsv --probabilities", models=models, tmp=tmp_path)
    table = pd.read_csv(tmp_path / "a.tsv", sep="\t")
    assert list(table["id"]) == [f"r{i}" for i in range(300)]
    np.testing.assert_allclose(table[["Alpha", "Beta"]].sum(axis=1), 1, atol=2e-4)
    assert (table["label"] == np.where(table["Alpha"] >= table["Beta"], "Alpha", "Beta")).mean() > 0.99
    assert f"{int((sizes < 3).sum())} records are shorter than a k-mer" in capsys.readouterr().err


def test_predict_of_a_table_is_that_of_its_sequences(models, tmp_path, capsys):
    write_labelled_sequences(tmp_path)
    table = pd.read_csv(tmp_path / "t.tsv", sep="\t")
    (tmp_path / "t.fa").write_text("".join(f">{row.id}\n{row.sequence}\n" for row in table.itertuples()))
    for name in ("t.tsv", "t.fa"):
        run("predict {models}/clf {tmp}/{name} --out {tmp}/{name}.out", models=models, tmp=tmp_path, name=name)
    assert (tmp_path / "t.tsv.out").read_text() == (tmp_path / "t.fa.out").read_text()
    assert capsys.readouterr().err.count("240 records, 19,200 bases") == 2


def test_predict_prints_nothing_of_a_table_that_has_no_sequences(models, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("id,seq\na,ACGT\n")
    assert main(["predict", str(models / "clf"), str(tmp_path / "t.csv")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "t.csv: has no column 'sequence'. Its columns are: id, seq" in err


@pytest.mark.parametrize(
    "line, said",
    [
        ("clasify bacteria-taxa a.fa", "Did you mean classify?"),
        ("models inf bacteria-taxa", "Did you mean info?"),
        ("predict bacteria-taxa a.fa --threads 2", "Put --threads before the command"),
    ],
)
def test_a_slip_is_told_what_was_meant(line, said, capsys):
    with pytest.raises(SystemExit) as end:
        main(line.split())
    assert end.value.code == 2 and capsys.readouterr().err.rstrip().endswith(said)


def test_predict_reads_standard_input(models, genomes):
    fasta = (genomes / "Alpha_test.fa").read_bytes()
    done = subprocess.run([*CLI, "predict", str(models / "clf"), "-"], input=fasta, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    head, row = done.stdout.decode().splitlines()
    assert head == "id\tlabel\tconfidence" and row.startswith("Alpha_test\tAlpha\t")


def write_labelled_sequences(folder):
    """Sequences of two compositions as a table, `t.tsv`, and as FASTA with the rest of the table, `labels.tsv`."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(240):
        composition = [0.4, 0.1, 0.1, 0.4] if i % 2 else [0.1, 0.4, 0.4, 0.1]
        sequence = decode_bases(rng.choice(4, 80, p=composition))
        split = "train" if i < 160 else "valid" if i < 200 else "test"
        rows.append({"id": f"s{i}", "sequence": sequence, "label": ("Alpha", "Beta")[i % 2], "split": split})
    table = pd.DataFrame(rows)
    table.to_csv(folder / "t.tsv", sep="\t", index=False)
    table.drop(columns="sequence").to_csv(folder / "labels.tsv", sep="\t", index=False)
    (folder / "t.fa").write_text("".join(f">{r.id}\n{r.sequence}\n" for r in table.itertuples()))


def test_train_and_evaluate_from_table_and_fasta(tmp_path):
    write_labelled_sequences(tmp_path)
    common = " --epochs 2 --bs 16 --preset tiny --k 3"
    run("train {tmp}/t.tsv --stranded --out {tmp}/m1" + common, tmp=tmp_path)
    assert load_model(tmp_path / "m1").stranded
    run("train {tmp}/t.fa --labels {tmp}/labels.tsv --out {tmp}/m2" + common, tmp=tmp_path)
    run("evaluate {tmp}/m1 {tmp}/t.tsv --json {tmp}/table.json", tmp=tmp_path)
    run("evaluate {tmp}/m1 {tmp}/t.fa --labels {tmp}/labels.tsv --json {tmp}/fasta.json", tmp=tmp_path)
    table, fasta = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("table", "fasta"))
    assert table == fasta and table["n"] == 40 and table["accuracy"] > 0.9


# ---------------------------------------------------------------- stopped runs

FOUR_PARTS = "pretrain {corpus} --out {tmp}/lm --preset tiny --k 3 --tokens 40k --parts 4 --bs 16 --window 32"


def test_ctrl_c_keeps_a_checkpoint_and_resume_goes_on(corpus, tmp_path, capsys, monkeypatch):
    places = {"corpus": corpus.path, "tmp": tmp_path}
    after_epoch = Checkpoint.after_epoch

    def stop_after_two(self):
        after_epoch(self)
        if self.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "after_epoch", stop_after_two)
    assert main(words(FOUR_PARTS, **places)) == 130
    assert "interrupted; go on with resume" in capsys.readouterr().out
    assert [p.name for p in (tmp_path / "lm.checkpoints").iterdir()] == ["epoch-0002"]
    monkeypatch.undo()
    fails(capsys, FOUR_PARTS, names=["lm.checkpoints", "--resume"], **places)
    run(FOUR_PARTS + " --resume", **places)
    assert "going on after epoch 2 of 4" in capsys.readouterr().out
    assert (tmp_path / "lm" / "model.safetensors").exists() and not (tmp_path / "lm.checkpoints").exists()


def test_full_disk_while_checkpointing_keeps_the_one_before(corpus, tmp_path, capsys, monkeypatch):
    write = Checkpoint.write

    def full(self, folder):
        if self.epoch == 2:
            raise OSError(28, "No space left on device")
        write(self, folder)

    monkeypatch.setattr(Checkpoint, "write", full)
    fails(capsys, FOUR_PARTS, names=["No space left", "resume"], corpus=corpus.path, tmp=tmp_path)
    assert [p.name for p in (tmp_path / "lm.checkpoints").iterdir()] == ["epoch-0002"]


def test_full_disk_while_building_leaves_nothing(genomes, tmp_path, capsys, monkeypatch):
    from genomic_ulmfit.text import writing as module

    def full(self, *args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.CorpusWriter, "add", full)
    names = ["No space left", "Free some space"]
    fails(capsys, "corpus build {genomes}/genomes.tsv --out {tmp}/c", names=names, genomes=genomes, tmp=tmp_path)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- sequence files


def gz_half():
    bases = np.random.default_rng(0).choice(list(b"ACGT"), 9000).astype(np.uint8)
    data = gzip.compress(bases.tobytes().join([b">a\n", b"\n"]))
    return data[: len(data) // 2]


BAD_FILES = {
    "empty.fa": (b"", "is empty"),
    "cut.fa.gz": (gz_half(), "too early"),
    "plain.fa.gz": (b">a\nACGT\n", "not gzip"),
    "binary.fa": (bytes(range(256)) * 9, "neither FASTA"),
    "protein.fa": (b">ok\nACGT\n>sp|P1\nMKVLAEIRWQ\n", "'sp|P1'"),
    "quality.fq": (b"@r1\nACGT\n+\nIII\n", "Length of sequence and qualities differ"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("command", ["predict {models}/clf {file}", "corpus build {file} --out {tmp}/c"])
def test_bad_sequence_files(name, command, models, tmp_path, capsys):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    fails(capsys, command, names=[name, message], models=models, tmp=tmp_path, file=tmp_path / name)
    assert not (tmp_path / "c").exists()


def test_missing_file_and_directory(models, tmp_path, capsys):
    places = {"models": models, "tmp": tmp_path}
    fails(capsys, "predict {models}/clf {tmp}/no.fa", names=["no.fa", "no such file"], **places)
    fails(capsys, "predict {models}/clf {tmp}", names=["is a directory"], **places)
    fails(capsys, "corpus build {tmp}/no.fa --out {tmp}/c", names=["no.fa", "no such file"], **places)


def test_unreadable_file(models, tmp_path, capsys, monkeypatch):
    (tmp_path / "a.fa").write_text(">a\nACGT\n")
    really = Path.open

    def denied(self, *args, **kwargs):
        if self.name == "a.fa":
            raise PermissionError(13, "Permission denied")
        return really(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", denied)  # the tests may run as root, whom no permission stops
    names = ["a.fa", "Permission denied"]
    fails(capsys, "predict {models}/clf {tmp}/a.fa", names=names, models=models, tmp=tmp_path)


def test_duplicate_ids_only_n_and_header_only(tmp_path, capsys):
    (tmp_path / "twice.fa").write_text(">a\nACGT\n>a\nTTTT\n")
    (tmp_path / "headers.fa").write_text(">a\n>b\n")
    (tmp_path / "some.fa").write_text(">a\nACGTRYacgu\n>empty\n>gap\nNNNN\n")
    build = "corpus build {tmp}/twice.fa --out {tmp}/c"
    fails(capsys, build, names=["twice.fa", "'a'", "twice"], tmp=tmp_path)
    build = "corpus build {tmp}/headers.fa --out {tmp}/c"
    fails(capsys, build, names=["headers.fa", "not a single known base"], tmp=tmp_path)
    run("corpus build {tmp}/some.fa --out {tmp}/c --json {tmp}/c.json", tmp=tmp_path)
    out = capsys.readouterr().out
    info = json.loads((tmp_path / "c.json").read_text())
    assert "6 ambiguous bases" in out and "1 empty records" in out
    assert info["only_ambiguous_records"] == ["gap"] and info["bases"] == 14


# ---------------------------------------------------------------- tables


def test_bad_tables(genomes, tmp_path, capsys):
    good = pd.read_csv(genomes / "genomes.tsv", sep="\t")

    def build_fails(frame, *names):
        frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
        build = "corpus build {tmp}/t.tsv --base {genomes} --out {tmp}/c --labels genus"
        fails(capsys, build, names=names, genomes=genomes, tmp=tmp_path)

    build_fails(good.rename(columns={"file": "path"}), "t.tsv", "'file'")
    build_fails(good.rename(columns={"genus": "taxon"}), "'genus'")
    build_fails(good.assign(split="trian"), "'trian'")
    build_fails(pd.concat([good, good.assign(split="test")]), "more than one split")
    build_fails(good[:0], "no rows")
    (tmp_path / "t.tsv").write_text("")
    fails(capsys, "corpus build {tmp}/t.tsv --out {tmp}/c", names=["t.tsv", "is not a table"], tmp=tmp_path)


def test_label_that_only_occurs_in_test(genomes, tmp_path, capsys):
    table = pd.read_csv(genomes / "genomes.tsv", sep="\t")
    table = table[~((table["genus"] == "Beta") & (table["split"] == "train"))]
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    run("corpus build {tmp}/t.tsv --base {genomes} --labels genus --out {tmp}/c", genomes=genomes, tmp=tmp_path)
    names = ["'Beta'", "does not occur in the training split"]
    fails(capsys, "train {tmp}/c --label genus --tokens 20k --out {tmp}/m", names=names, tmp=tmp_path)
    rows = [("ACGT" * 20, "a", "train"), ("ACGG" * 20, "a", "valid"), ("AACC" * 20, "b", "test")]
    pd.DataFrame(rows, columns=["sequence", "label", "split"]).to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    run("train {tmp}/s.tsv --epochs 1 --preset nano --out {tmp}/m", tmp=tmp_path)  # rows of the split test don't count


def test_missing_label_column_of_a_corpus(corpus, tmp_path, capsys):
    train = "train {corpus} --label phylum --tokens 20k --out {tmp}/m"
    fails(capsys, train, names=["'phylum'", "genus"], corpus=corpus.path, tmp=tmp_path)


# ---------------------------------------------------------------- corpora and models


def test_changed_or_half_written_corpus(corpus, tmp_path, capsys):
    cases = {
        "changed after": lambda folder: (folder / "records.tsv").write_text("x"),
        "not a corpus": lambda folder: (folder / "corpus.json").unlink(),
        "missing": lambda folder: (folder / "bases.bin").unlink(),
    }
    pretrain = "pretrain {tmp}/c --out {tmp}/m --tokens 1k"
    for message, change in cases.items():
        shutil.rmtree(tmp_path / "c", ignore_errors=True)
        shutil.copytree(corpus.path, tmp_path / "c")
        change(tmp_path / "c")
        fails(capsys, pretrain, names=[message], tmp=tmp_path)
    pretrain = "pretrain {tmp}/nothing --out {tmp}/m --tokens 1k"
    fails(capsys, pretrain, names=["no such corpus"], tmp=tmp_path)


def edit_config(old, new):
    """What replaces a text in the settings of a model folder; it must be there."""

    def edit(folder):
        config = (folder / "config.json").read_text()
        assert old in config
        (folder / "config.json").write_text(config.replace(old, new))

    return edit


BAD_FOLDERS = {
    "model.safetensors is missing": lambda folder: (folder / "model.safetensors").unlink(),
    "config.json is missing": lambda folder: (folder / "config.json").unlink(),
    "vocabulary": edit_config("lexicographic-kmers/1", "bpe/1"),
    "may run code": lambda folder: (folder / "weights.pkl").write_bytes(b""),
    "format": edit_config("-model/2", "-model/9"),
    "not the file that was saved": lambda folder: (folder / "model.safetensors").write_bytes(b"no"),
    "is not JSON": lambda folder: (folder / "config.json").write_text("{"),
}


def test_bad_model_folders(models, genomes, tmp_path, capsys):
    places = {"models": models, "genomes": genomes, "tmp": tmp_path}
    for message, change in BAD_FOLDERS.items():
        shutil.rmtree(tmp_path / "m", ignore_errors=True)
        shutil.copytree(models / "clf", tmp_path / "m")
        change(tmp_path / "m")
        fails(capsys, "predict {tmp}/m {genomes}/Alpha_test.fa", names=[message], **places)
    names = ["language model", "no classes"]
    fails(capsys, "predict {models}/lm {genomes}/Alpha_test.fa", names=names, **places)
    names = ["no such model folder"]
    fails(capsys, "predict {tmp}/nothing {genomes}/Alpha_test.fa", names=names, **places)


def test_classifier_is_not_a_language_model(models, corpus, tmp_path, capsys):
    names = ["predictor", "language model"]
    places = {"models": models, "corpus": corpus.path, "tmp": tmp_path}
    fails(capsys, "finetune {models}/clf {corpus} --out {tmp}/m --tokens 10k", names=names, **places)


BAD_BUDGETS = {
    "--tokens 10": "smaller than one batch",
    "--tokens 0": "above zero",
    "--minutes -1": "above zero",
}


@pytest.mark.parametrize("budget", BAD_BUDGETS)
def test_bad_budgets(budget, corpus, tmp_path, capsys):
    pretrain = "pretrain {corpus} --preset tiny --out {tmp}/m " + budget
    fails(capsys, pretrain, names=[BAD_BUDGETS[budget]], corpus=corpus.path, tmp=tmp_path)


@pytest.mark.parametrize("command", ["pretrain c --out m", "pretrain c --out m --tokens many", "nonsense"])
def test_usage_errors(command):
    with pytest.raises(SystemExit) as stop:
        main(words(command))
    assert stop.value.code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words(command + " --help"))
    text = capsys.readouterr().out
    assert stop.value.code == 0 and len(text) > 300 and "--seed" in text
    without_figures = ("predict", "embed", "merge", "interpret", "tracks", "associate combine", "completion")
    assert "--json" in text or command in without_figures


def test_closed_pipe_is_quiet(models, genomes, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    run("predict {models}/clf {genomes}/Alpha_test.fa", models=models, genomes=genomes)
