"""Nothing wrong in silence: outputs that are whole or not there, pipes, two runs at once, trainings that diverge."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commands import CLI, fails, run, words
from fastai.torch_core import set_seed

from genomic_ulmfit.all import (
    KmerTokenizer,
    Preset,
    ReadDataLoaders,
    decode_bases,
    genome_classifier_learner,
    load_model,
)

ALONE = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def reads(tmp_path):
    """60 reads of 100 bases."""
    rng = np.random.default_rng(0)
    path = tmp_path / "reads.fa"
    path.write_text("".join(f">r{i}\tch=1\n{decode_bases(rng.integers(0, 4, 100))}\n" for i in range(60)))
    return path


def shell(command, **places):
    """Run a line of bash in which `genomic-ulmfit` is the command of this checkout."""
    program = " ".join(subprocess.list2cmdline([part]) if part.startswith("/") else f"'{part}'" for part in CLI)
    line = command.format(**places).replace("genomic-ulmfit", program)
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=ALONE, timeout=300)


# ---------------------------------------------------------------- what training saw decides what prediction does


@pytest.mark.parametrize("length", [20, 150, 999, 1001, 2500, 5000])
def test_a_saved_model_judges_as_validation_did(tmp_path, length):
    """The signal stands at the start: a model that read pieces of the sequence would not see it."""
    rng = np.random.default_rng(length)
    rows = []
    for i in range(60):
        start = "AC" if i % 2 else "GT"
        head = "".join(rng.choice(list(start), min(300, length)))
        rows.append((head + "".join(rng.choice(list("ACGT"), length - len(head))), start))
    table = pd.DataFrame(rows, columns=["sequence", "label"]).assign(split=["train"] * 40 + ["valid"] * 20)
    set_seed(0)
    dls = ReadDataLoaders.from_df(table, KmerTokenizer(3, 3), bs=10, stranded=True, device="cpu")
    learn = genome_classifier_learner(dls, preset=Preset(8, 12, 2))
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-2)
        loss, accuracy = learn.validate()
    model = load_model(learn.to_model().save(tmp_path / "model"), "cpu")
    probs = model.predict_proba(list(table["sequence"][40:]), phases=1)
    targets = [model.classes.index(label) for label in table["label"][40:]]
    assert abs(-np.log(probs[range(20), targets]).mean() - loss) < 0.02
    assert (probs.argmax(1) == targets).mean() == pytest.approx(accuracy, abs=0.051)  # a tie may fall either way


# ---------------------------------------------------------------- trainings that diverge


@pytest.mark.parametrize("lr", ["nan", "inf", "0", "-1"])
def test_a_learning_rate_that_is_none(capsys, corpus, tmp_path, lr):
    command = "train {corpus} --label genus --preset nano --out {tmp}/m --epochs 1 --lr=" + lr
    fails(capsys, command, corpus=corpus.path, tmp=tmp_path, names=["learning rate: is", "not above zero"])


def test_a_training_that_diverges_is_not_saved(capsys, corpus, tmp_path):
    command = "train {corpus} --label genus --k 3 --preset nano --bs 16 --out {tmp}/m --tokens 200k --lr 1e12"
    fails(capsys, command, corpus=corpus.path, tmp=tmp_path, names=["training, record 'step", "Try a lower rate"])
    assert not (tmp_path / "m").exists()


def test_weights_that_are_no_numbers_are_neither_saved_nor_loaded(models, tmp_path):
    model = load_model(models / "clf", "cpu")
    folder = model.save(tmp_path / "m")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with torch.no_grad():
        next(model.model.parameters())[5, 0] = torch.nan
    with pytest.raises(ValueError, match="has weights that are no finite numbers"):
        model.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# ---------------------------------------------------------------- two runs at once


def test_two_runs_into_one_file(models, tmp_path):
    """Each is whole; the later one stays."""
    for name, length in (("a", 60), ("b", 90)):
        rng = np.random.default_rng(length)
        lines = (f">{name}{i}\n{decode_bases(rng.integers(0, 4, length))}\n" for i in range(2000))
        (tmp_path / f"{name}.fa").write_text("".join(lines))
    command = "predict {models}/clf {tmp}/{name}.fa --out {tmp}/out.tsv --fast"
    both = [
        subprocess.Popen([*CLI, *words(command, models=models, tmp=tmp_path, name=name)], env=ALONE, stderr=-3)
        for name in "ab"
    ]
    assert [process.wait() for process in both] == [0, 0]
    ids = [line.split("\t")[0] for line in (tmp_path / "out.tsv").read_text().splitlines()[1:]]
    assert ids in ([f"a{i}" for i in range(2000)], [f"b{i}" for i in range(2000)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.fa", "b.fa", "out.tsv"]


def test_two_trainings_into_one_folder(capsys, corpus, tmp_path):
    command = "pretrain {corpus} --out {tmp}/lm --k 3 --preset nano --bs 16 --window 32 --minutes 5"
    line = [*CLI, *words(command, corpus=corpus.path, tmp=tmp_path)]
    first = subprocess.Popen(line, env=ALONE, stdout=-3, stderr=-3)
    try:
        while not (tmp_path / ".lm.lock").exists():
            assert first.poll() is None
            time.sleep(0.05)
        time.sleep(0.2)
        fails(capsys, command, corpus=corpus.path, tmp=tmp_path, names=[f"is being written by process {first.pid} on"])
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=60) == 130, "SIGTERM ends a training as Ctrl-C does"
    assert not (tmp_path / ".lm.lock").exists() and not list(tmp_path.rglob("*.partial"))


def test_a_finished_model_is_replaced_only_when_asked(capsys, corpus, tmp_path):
    places = {"corpus": corpus.path, "tmp": tmp_path}
    command = "pretrain {corpus} --out {tmp}/lm --k 3 --preset nano --bs 16 --window 32 --tokens 2k --parts 1"
    run(command, **places)
    fails(capsys, command, names=["lm: holds a model already", "--overwrite"], **places)
    run(command + " --overwrite", **places)


def test_a_model_that_is_read_while_it_is_replaced(models, tmp_path):
    """Its weights are those of the new model already, its settings come a moment later."""
    old = load_model(models / "clf", "cpu")
    new = load_model(models / "clf", "cpu")
    with torch.no_grad():
        for weights in new.model.parameters():
            weights += 1
    new.save(tmp_path / "new")
    folder = old.save(tmp_path / "m")
    shutil.copy(tmp_path / "new" / "model.safetensors", folder)
    with pytest.raises(ValueError, match="model.safetensors: is not the file that was saved"):
        load_model(folder, "cpu")  # when nothing comes
    settings = threading.Timer(0.1, shutil.copy, (tmp_path / "new" / "config.json", folder))
    settings.start()
    read = load_model(folder, "cpu")
    settings.join()
    assert all(map(torch.equal, read.model.parameters(), new.model.parameters()))


# ---------------------------------------------------------------- records without end, damage


def test_a_bomb_is_refused_before_it_fills_the_memory(models, tmp_path):
    """One record of 350 million letters in 1.5 MB; one of 3 GB would be refused at the same place."""
    with gzip.open(tmp_path / "bomb.fa.gz", "wb", 1) as out:
        out.write(b">r\n")
        for _ in range(350):
            out.write(b"A" * 10**6)
    done = shell("genomic-ulmfit corpus build {tmp}/bomb.fa.gz --out {tmp}/c", tmp=tmp_path)
    assert done.returncode == 2 and "holds a record of more than 300,000,000 letters" in done.stderr, done.stderr
    assert "--longest" in done.stderr and done.stderr.count("genomic-ulmfit:") == 1 and not (tmp_path / "c").exists()


def test_a_corpus_is_checked(capsys, corpus, tmp_path):
    copy = Path(shutil.copytree(corpus.path, tmp_path / "copy"))
    run("corpus check {copy}", copy=copy)
    assert "is as it was built" in capsys.readouterr().out
    before = (copy / "bases.bin").stat()
    with open(copy / "bases.bin", "r+b") as stream:
        stream.seek(5)
        stream.write(bytes([3 - corpus.bases[5]]))
    os.utime(copy / "bases.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    fails(capsys, "corpus check {copy}", copy=copy, names=["bases.bin: is not the file that was built"])


def test_a_corpus_of_a_pipe(models, reads, tmp_path):
    done = shell("genomic-ulmfit corpus build <(cat {reads}) --out {tmp}/c", reads=reads, tmp=tmp_path)
    assert done.returncode == 0 and "60 records" in done.stdout, done.stderr


# ---------------------------------------------------------------- labels that are no texts


@pytest.mark.parametrize("labels", [[7, 12], [False, True], [0.5, 2.0], [Path("a"), Path("b")], [np.int64(3), 4]])
def test_labels_keep_their_kind(tmp_path, labels):
    rng = np.random.default_rng(0)
    rows = [("".join(rng.choice(list("ACGT"), 60)), labels[i % 2]) for i in range(60)]
    table = pd.DataFrame(rows, columns=["sequence", "label"], dtype=object)
    table["split"] = ["train"] * 40 + ["valid"] * 20
    dls = ReadDataLoaders.from_df(table, KmerTokenizer(3, 3), bs=10, device="cpu")
    learn = genome_classifier_learner(dls, preset=Preset(8, 12, 2))
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
        predicted = learn.predict("ACGTTGCATT" * 6)[0]
    kept = [str(label) if isinstance(label, Path) else label for label in labels]
    assert list(dls.vocab) == kept and predicted in kept
    model = load_model(learn.to_model().save(tmp_path / "m"), "cpu")
    assert model.classes == kept and {type(label) for label in model.classes} == {type(kept[1])}
    (tmp_path / "a.fa").write_text(">r\n" + "ACGTTGCATT" * 6 + "\n")
    run("predict {tmp}/m {tmp}/a.fa --fast --out {tmp}/x.tsv", tmp=tmp_path)
    assert (tmp_path / "x.tsv").read_text().splitlines()[1].split("\t")[1] in map(str, kept)


# ---------------------------------------------------------------- outputs


@pytest.mark.parametrize(
    "command",
    ["predict {models}/clf {reads} --out {reads}", "classify bacteria-taxa {reads} --output {reads}"],
)
def test_reads_are_not_replaced_by_their_answers(capsys, models, reads, command):
    before = reads.read_bytes()
    fails(capsys, command, models=models, reads=reads, names=["reads.fa: is read and written at once"])
    assert reads.read_bytes() == before


def test_an_output_is_looked_at_before_the_work(capsys, models, reads, tmp_path):
    places = {"models": models, "reads": reads, "tmp": tmp_path}
    fails(capsys, "predict {models}/clf {reads} --out {tmp}/no/x.tsv", names=["its folder isn't there"], **places)
    two = "classify bacteria-taxa {reads} --output {tmp}/x --report {tmp}/x"
    fails(capsys, two, names=["is named for two outputs"], **places)


def test_an_old_answer_survives_a_missing_input(capsys, models, tmp_path):
    (tmp_path / "old.tsv").write_text("old")
    command = "predict {models}/clf {tmp}/none.fa --out {tmp}/old.tsv"
    fails(capsys, command, models=models, tmp=tmp_path, names=["none.fa: no such file"])
    assert (tmp_path / "old.tsv").read_text() == "old"


def test_outputs_that_are_no_files(models, reads, tmp_path):
    places = {"models": models, "reads": reads, "tmp": tmp_path}
    run("predict {models}/clf {reads} --fast --out {tmp}/plain.tsv", **places)
    expected = (tmp_path / "plain.tsv").read_text()
    done = shell("genomic-ulmfit predict {models}/clf {reads} --fast --out -", **places)
    assert done.stdout == expected and not (tmp_path / "-").exists()
    done = shell("genomic-ulmfit predict {models}/clf {reads} --fast --out >(gzip > {tmp}/x.gz); sleep 1", **places)
    assert done.returncode == 0, done.stderr
    unpacked = subprocess.run(["gzip", "-dc", tmp_path / "x.gz"], capture_output=True, text=True).stdout
    assert unpacked == expected
    run("predict {models}/clf {reads} --fast --out /dev/null", **places)
    assert not os.path.isfile("/dev/null")
    (tmp_path / "link.tsv").symlink_to("plain.tsv")
    run("predict {models}/clf {reads} --out {tmp}/link.tsv --probabilities --fast", **places)
    assert (tmp_path / "link.tsv").is_symlink() and (tmp_path / "plain.tsv").read_text() != expected


def test_a_run_that_is_ended_leaves_nothing(models, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    command = words("predict {models}/clf {tmp}/pipe --out {tmp}/x.tsv", models=models, tmp=tmp_path)
    process = subprocess.Popen([*CLI, *command], env=ALONE, stderr=-3)
    with open(tmp_path / "pipe", "w") as pipe:
        pipe.write(">a\nACGT\n" * 100)
        pipe.flush()
        latest = time.monotonic() + 60
        while not list(tmp_path.glob("x.tsv.*.partial")):
            assert process.poll() is None and time.monotonic() < latest
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


# ---------------------------------------------------------------- inputs that can be read once


@pytest.mark.parametrize(
    "given",
    ["<(cat {reads})", "<(gzip -c {reads})", "/dev/stdin < {reads}", "- < {reads}", "<(sleep 0.1; cat {reads})"],
)
def test_no_read_of_a_pipe_is_lost(models, reads, given):
    done = shell("genomic-ulmfit predict {models}/clf " + given + " --fast", models=models, reads=reads)
    assert done.returncode == 0, done.stderr
    assert [line.split("\t")[0] for line in done.stdout.splitlines()[1:]] == [f"r{i}" for i in range(60)]


# ---------------------------------------------------------------- JSON for programs


def test_json_on_standard_output_is_nothing_else(models, corpus, reads, tmp_path):
    places = {"models": models, "corpus": corpus.path, "reads": reads, "tmp": tmp_path}
    for command in (
        "evaluate {models}/lm {corpus} --json -",
        "evaluate {models}/clf {corpus} --label genus --reads 50 --fast --json -",
        "classify bacteria-taxa {reads} --fast --json -",
        "screen bacteria-taxa {reads} --fast --out {tmp}/screened --json -",
        "corpus build {reads} --out {tmp}/corpus --json -",
        "pretrain {corpus} --out {tmp}/lm --k 3 --preset nano --bs 16 --window 32 --tokens 2k --parts 1 --json -",
    ):
        done = shell("genomic-ulmfit " + command, **places)
        assert done.returncode == 0, done.stderr
        assert isinstance(json.loads(done.stdout), dict), command


def test_a_log_holds_no_progress_bars(corpus, tmp_path):
    command = "genomic-ulmfit pretrain {corpus} --out {tmp}/lm --k 3 --preset nano --bs 16 --window 32 --tokens 20k"
    done = shell(command, corpus=corpus.path, tmp=tmp_path)
    assert done.returncode == 0 and len(done.stdout + done.stderr) < 2_000 and "█" not in done.stdout
    shutil.rmtree(tmp_path / "lm")
