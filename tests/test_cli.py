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

from genomic_ulmfit.all import load_model
from genomic_ulmfit.cli.main import main
from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.train.checkpoint import Checkpoint


def fails(capsys, *argv, names=()):
    """Run a command that must fail: exit code 2 and one line that holds all of `names`."""
    assert main([str(a) for a in argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("genomic-ulmfit: ") and err.count("\n") == 1, err
    for name in names:
        assert name in err, err
    return err


# ---------------------------------------------------------------- end to end


def test_stages_end_to_end(genomes, tmp_path, capsys):
    c, lm, tuned, clf = (str(tmp_path / n) for n in ("c", "lm", "tuned", "clf"))
    budget = ["--tokens", "30k", "--parts", "2", "--bs", "16"]
    assert (
        main(
            [
                "corpus",
                "build",
                str(genomes / "genomes.tsv"),
                "--labels",
                "genus",
                "--out",
                c,
                "--json",
                str(tmp_path / "c.json"),
            ]
        )
        == 0
    )
    assert main(["pretrain", c, "--out", lm, "--preset", "tiny", "--k", "3", "--window", "32", *budget]) == 0
    assert main(["finetune", lm, c, "--out", tuned, "--window", "32", *budget]) == 0
    assert (
        main(
            [
                "train",
                c,
                "--pretrained",
                tuned,
                "--label",
                "genus",
                "--out",
                clf,
                *budget,
                "--json",
                str(tmp_path / "train.json"),
            ]
        )
        == 0
    )
    assert re.search(r"about \d+\.\d min", capsys.readouterr().out), "an estimate is printed before training"
    assert main(["evaluate", lm, c, "--json", str(tmp_path / "lm.json")]) == 0
    assert main(["evaluate", clf, c, "--label", "genus", "--reads", "500", "--json", str(tmp_path / "clf.json")]) == 0
    read = lambda name: json.loads((tmp_path / name).read_text())
    assert read("c.json")["splits"] == {"train": 60_000, "valid": 60_000, "test": 60_000}
    assert 1.5 < read("lm.json")["bits_per_base"] < 2.1
    assert (
        read("clf.json")["accuracy"] > 0.8
        and read("clf.json")["n"] == 500
        and set(read("clf.json")["per_class"]) == {"Alpha", "Beta"}
    )
    assert not list(tmp_path.glob("*.checkpoints")), "checkpoints go when the model is saved"


def test_predict_keeps_order_and_streams(models, tmp_path, capsys):
    rng = np.random.default_rng(0)
    reads = tmp_path / "reads.fq.gz"
    sizes = rng.integers(1, 400, 300)
    with gzip.open(reads, "wt") as f:
        for i, n in enumerate(sizes):
            f.write(f"@r{i}\n{decode_bases(rng.integers(0, 4, n))}\n+\n{'I' * n}\n")
    assert main(["predict", str(models / "clf"), str(reads), "--out", str(tmp_path / "a.tsv"), "--probabilities"]) == 0
    table = pd.read_csv(tmp_path / "a.tsv", sep="\t")
    assert list(table["id"]) == [f"r{i}" for i in range(300)]
    np.testing.assert_allclose(table[["Alpha", "Beta"]].sum(axis=1), 1, atol=2e-4)
    assert (table["label"] == np.where(table["Alpha"] >= table["Beta"], "Alpha", "Beta")).mean() > 0.99
    assert f"{int((sizes < 3).sum())} records are shorter than a k-mer" in capsys.readouterr().err


def test_predict_reads_standard_input(models, genomes):
    fasta = (genomes / "Alpha_test.fa").read_bytes()
    run = [
        sys.executable,
        "-c",
        "import sys; from genomic_ulmfit.cli.main import main; sys.exit(main())",
        "predict",
        str(models / "clf"),
        "-",
    ]
    done = subprocess.run(run, input=fasta, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    head, row = done.stdout.decode().splitlines()
    assert head == "id\tlabel\tconfidence" and row.startswith("Alpha_test\tAlpha\t")


def test_train_and_evaluate_from_table_and_fasta(tmp_path, genomes):
    rng = np.random.default_rng(1)
    rows = []
    for i in range(240):
        genus = ("Alpha", "Beta")[i % 2]
        rows.append(
            {
                "id": f"s{i}",
                "sequence": decode_bases(rng.choice(4, 80, p=[0.4, 0.1, 0.1, 0.4] if i % 2 else [0.1, 0.4, 0.4, 0.1])),
                "label": genus,
                "split": "train" if i < 160 else "valid" if i < 200 else "test",
            }
        )
    table = pd.DataFrame(rows)
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    table.drop(columns="sequence").to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    (tmp_path / "t.fa").write_text("".join(f">{r.id}\n{r.sequence}\n" for r in table.itertuples()))
    common = ["--epochs", "2", "--bs", "16", "--preset", "tiny", "--k", "3"]
    assert main(["train", str(tmp_path / "t.tsv"), "--stranded", "--out", str(tmp_path / "m1"), *common]) == 0
    assert load_model(tmp_path / "m1").stranded
    assert (
        main(
            [
                "train",
                str(tmp_path / "t.fa"),
                "--labels",
                str(tmp_path / "labels.tsv"),
                "--out",
                str(tmp_path / "m2"),
                *common,
            ]
        )
        == 0
    )
    for data, more in (("t.tsv", []), ("t.fa", ["--labels", str(tmp_path / "labels.tsv")])):
        assert (
            main(
                [
                    "evaluate",
                    str(tmp_path / "m1"),
                    str(tmp_path / data),
                    *more,
                    "--json",
                    str(tmp_path / f"{data}.json"),
                ]
            )
            == 0
        )
    a, b = (json.loads((tmp_path / f"{d}.json").read_text()) for d in ("t.tsv", "t.fa"))
    assert a == b and a["n"] == 40 and a["accuracy"] > 0.9


# ---------------------------------------------------------------- stopped runs


def test_ctrl_c_keeps_a_checkpoint_and_resume_goes_on(corpus, tmp_path, capsys, monkeypatch):
    argv = [
        "pretrain",
        str(corpus.path),
        "--out",
        str(tmp_path / "lm"),
        "--preset",
        "tiny",
        "--k",
        "3",
        "--tokens",
        "40k",
        "--parts",
        "4",
        "--bs",
        "16",
        "--window",
        "32",
    ]
    written = Checkpoint.after_epoch

    def stop_after_two(self):
        written(self)
        if self.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "after_epoch", stop_after_two)
    assert main(argv) == 130
    assert "interrupted; go on with resume" in capsys.readouterr().out
    assert [p.name for p in (tmp_path / "lm.checkpoints").iterdir()] == ["epoch-0002"]
    monkeypatch.undo()
    fails(capsys, *argv, names=["lm.checkpoints", "--resume"])
    assert main([*argv, "--resume"]) == 0
    assert "going on after epoch 2 of 4" in capsys.readouterr().out
    assert (tmp_path / "lm" / "model.safetensors").exists() and not (tmp_path / "lm.checkpoints").exists()


def test_full_disk_while_checkpointing_keeps_the_one_before(corpus, tmp_path, capsys, monkeypatch):
    argv = [
        "pretrain",
        str(corpus.path),
        "--out",
        str(tmp_path / "lm"),
        "--preset",
        "tiny",
        "--k",
        "3",
        "--tokens",
        "40k",
        "--parts",
        "4",
        "--bs",
        "16",
        "--window",
        "32",
    ]
    write = Checkpoint.write

    def full(self, folder):
        if self.epoch == 2:
            raise OSError(28, "No space left on device")
        write(self, folder)

    monkeypatch.setattr(Checkpoint, "write", full)
    fails(capsys, *argv, names=["No space left", "resume"])
    assert [p.name for p in (tmp_path / "lm.checkpoints").iterdir()] == ["epoch-0002"]


def test_full_disk_while_building_leaves_nothing(genomes, tmp_path, capsys, monkeypatch):
    from genomic_ulmfit.text import corpus as module

    def full(self, *args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module._CorpusWriter, "add", full)
    fails(
        capsys,
        "corpus",
        "build",
        genomes / "genomes.tsv",
        "--out",
        tmp_path / "c",
        names=["No space left", "Free some space"],
    )
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- sequence files


def gz_half():
    data = gzip.compress(
        np.random.default_rng(0).choice(list(b"ACGT"), 9000).astype(np.uint8).tobytes().join([b">a\n", b"\n"])
    )
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
@pytest.mark.parametrize("command", ["predict", "build"])
def test_bad_sequence_files(name, command, models, tmp_path, capsys):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    argv = (
        ["predict", models / "clf", tmp_path / name]
        if command == "predict"
        else ["corpus", "build", tmp_path / name, "--out", tmp_path / "c"]
    )
    fails(capsys, *argv, names=[name, message])
    assert not (tmp_path / "c").exists()


def test_missing_file_and_directory(models, tmp_path, capsys):
    fails(capsys, "predict", models / "clf", tmp_path / "no.fa", names=["no.fa", "no such file"])
    fails(capsys, "predict", models / "clf", tmp_path, names=["is a directory"])
    fails(capsys, "corpus", "build", tmp_path / "no.fa", "--out", tmp_path / "c", names=["no.fa", "no such file"])


def test_unreadable_file(models, tmp_path, capsys, monkeypatch):
    (tmp_path / "a.fa").write_text(">a\nACGT\n")
    really = Path.open

    def denied(self, *args, **kwargs):
        if self.name == "a.fa":
            raise PermissionError(13, "Permission denied")
        return really(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", denied)  # the tests may run as root, whom no permission stops
    fails(capsys, "predict", models / "clf", tmp_path / "a.fa", names=["a.fa", "Permission denied"])


def test_duplicate_ids_only_n_and_header_only(tmp_path, capsys):
    twice, headers, some = tmp_path / "twice.fa", tmp_path / "headers.fa", tmp_path / "some.fa"
    twice.write_text(">a\nACGT\n>a\nTTTT\n")
    headers.write_text(">a\n>b\n")
    some.write_text(">a\nACGTRYacgu\n>empty\n>gap\nNNNN\n")
    fails(capsys, "corpus", "build", twice, "--out", tmp_path / "c", names=["twice.fa", "'a'", "twice"])
    fails(capsys, "corpus", "build", headers, "--out", tmp_path / "c", names=["headers.fa", "not a single base"])
    assert main(["corpus", "build", str(some), "--out", str(tmp_path / "c"), "--json", str(tmp_path / "c.json")]) == 0
    out, info = capsys.readouterr().out, json.loads((tmp_path / "c.json").read_text())
    assert (
        "6 ambiguous bases" in out
        and "1 empty records" in out
        and info["only_ambiguous_records"] == ["gap"]
        and info["bases"] == 14
    )


# ---------------------------------------------------------------- tables


def test_bad_tables(genomes, tmp_path, capsys):
    good = pd.read_csv(genomes / "genomes.tsv", sep="\t")

    def table(frame, **rename):
        frame.rename(columns=rename).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
        return ["corpus", "build", tmp_path / "t.tsv", "--base", genomes, "--out", tmp_path / "c", "--labels", "genus"]

    fails(capsys, *table(good, file="path"), names=["t.tsv", "'file'"])
    fails(capsys, *table(good, genus="taxon"), names=["'genus'"])
    fails(capsys, *table(good.assign(split="trian")), names=["'trian'"])
    fails(capsys, *table(pd.concat([good, good.assign(split="test")])), names=["more than one split"])
    fails(capsys, *table(good[:0]), names=["no rows"])
    (tmp_path / "t.tsv").write_text("")
    fails(capsys, "corpus", "build", tmp_path / "t.tsv", "--out", tmp_path / "c", names=["t.tsv", "is not a table"])


def test_label_that_only_occurs_in_test(genomes, tmp_path, capsys):
    table = pd.read_csv(genomes / "genomes.tsv", sep="\t")
    table = table[~((table["genus"] == "Beta") & (table["split"] == "train"))]
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    assert (
        main(
            [
                "corpus",
                "build",
                str(tmp_path / "t.tsv"),
                "--base",
                str(genomes),
                "--labels",
                "genus",
                "--out",
                str(tmp_path / "c"),
            ]
        )
        == 0
    )
    fails(
        capsys,
        "train",
        tmp_path / "c",
        "--label",
        "genus",
        "--tokens",
        "20k",
        "--out",
        tmp_path / "m",
        names=["'Beta'", "does not occur in the training split"],
    )
    rows = [("ACGT" * 20, "a", "train"), ("ACGG" * 20, "a", "valid"), ("AACC" * 20, "b", "test")]
    pd.DataFrame(rows, columns=["sequence", "label", "split"]).to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    fails(
        capsys,
        "train",
        tmp_path / "s.tsv",
        "--epochs",
        1,
        "--out",
        tmp_path / "m",
        names=["s.tsv", "'b'", "does not occur"],
    )


def test_missing_label_column_of_a_corpus(corpus, tmp_path, capsys):
    fails(
        capsys,
        "train",
        corpus.path,
        "--label",
        "phylum",
        "--tokens",
        "20k",
        "--out",
        tmp_path / "m",
        names=["'phylum'", "genus"],
    )


# ---------------------------------------------------------------- corpora and models


def test_changed_or_half_written_corpus(corpus, tmp_path, capsys):
    for change, message in (
        (lambda c: (c / "records.tsv").write_text("x"), "changed after"),
        (lambda c: (c / "corpus.json").unlink(), "not a corpus"),
        (lambda c: (c / "bases.bin").unlink(), "missing"),
    ):
        copy = tmp_path / "c"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(corpus.path, copy)
        change(copy)
        fails(capsys, "pretrain", copy, "--out", tmp_path / "m", "--tokens", "1k", names=[message])
    fails(capsys, "pretrain", tmp_path / "nothing", "--out", tmp_path / "m", "--tokens", "1k", names=["no such corpus"])


def test_bad_model_folders(models, genomes, tmp_path, capsys):
    reads = genomes / "Alpha_test.fa"
    edit = lambda old, new: lambda m: (m / "config.json").write_text((m / "config.json").read_text().replace(old, new))
    cases = {
        "model.safetensors is missing": lambda m: (m / "model.safetensors").unlink(),
        "config.json is missing": lambda m: (m / "config.json").unlink(),
        "vocabulary": edit("lexicographic-kmers/1", "bpe/1"),
        "may run code": lambda m: (m / "weights.pkl").write_bytes(b""),
        "format": edit("-model/1", "-model/9"),
        "not the file that was saved": lambda m: (m / "model.safetensors").write_bytes(b"no"),
        "is not JSON": lambda m: (m / "config.json").write_text("{"),
    }
    for message, change in cases.items():
        copy = tmp_path / "m"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(models / "clf", copy)
        change(copy)
        fails(capsys, "predict", copy, reads, names=[message])
    fails(capsys, "predict", models / "lm", reads, names=["language model", "no classes"])
    fails(capsys, "predict", tmp_path / "nothing", reads, names=["no such model folder"])


def test_classifier_is_not_a_language_model(models, corpus, tmp_path, capsys):
    fails(
        capsys,
        "finetune",
        models / "clf",
        corpus.path,
        "--out",
        tmp_path / "m",
        "--tokens",
        "10k",
        names=["classifier", "language-model"],
    )


@pytest.mark.parametrize(
    "budget, message",
    [
        (["--tokens", "10"], "smaller than one batch"),
        (["--tokens", "0"], "above zero"),
        (["--minutes", "-1"], "above zero"),
    ],
)
def test_bad_budgets(budget, message, corpus, tmp_path, capsys):
    fails(capsys, "pretrain", corpus.path, "--preset", "tiny", "--out", tmp_path / "m", *budget, names=[message])


def test_usage_errors_and_help(capsys):
    for argv in (["pretrain", "c", "--out", "m"], ["pretrain", "c", "--out", "m", "--tokens", "many"], ["nonsense"]):
        with pytest.raises(SystemExit) as e:
            main(argv)
        assert e.value.code == 2
    for command in (["demo"], ["corpus", "build"], ["pretrain"], ["finetune"], ["train"], ["predict"], ["evaluate"]):
        with pytest.raises(SystemExit) as e:
            main([*command, "--help"])
        text = capsys.readouterr().out
        assert (
            e.value.code == 0 and len(text) > 300 and "--seed" in text and ("--json" in text or command == ["predict"])
        )


def test_closed_pipe_is_quiet(models, genomes, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    assert main(["predict", str(models / "clf"), str(genomes / "Alpha_test.fa")]) == 0
