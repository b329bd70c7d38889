"""Training that is killed, shared by several processes, or short of memory."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import CLI, fails, words
from safetensors.torch import load_file

from genomic_ulmfit.all import GenomeLMDataLoaders, KmerTokenizer, Preset, genome_lm_learner
from genomic_ulmfit.seq.errors import InputError

ALONE = os.environ | {"OMP_NUM_THREADS": "1"}
SIZES = "--preset tiny --k 3 --stride 1 --bs 16 --window 32"
PRETRAIN = "pretrain {corpus} --out {out} --tokens 200k --parts 10 --seed 3 " + SIZES
TORCHRUN = [sys.executable, *words("-m torch.distributed.run --standalone --nproc-per-node 2 --no-python")]


def start(command, program=CLI, **places) -> subprocess.Popen:
    """A command in a process of its own, which says nothing."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*program, *words(command, **places)], env=ALONE, **quiet)


def run(command, program=CLI, **places) -> str:
    """What a command prints that succeeds in a process of its own."""
    line = [*program, *words(command, **places)]
    done = subprocess.run(line, capture_output=True, text=True, env=ALONE, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_same_weights(a: Path, b: Path):
    a, b = (load_file(f / "model.safetensors") for f in (a, b))
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_killed_run_resumes_to_the_same_weights(corpus, tmp_path):
    run(PRETRAIN, corpus=corpus.path, out=tmp_path / "whole")
    cut = {"corpus": corpus.path, "out": tmp_path / "cut"}
    child = start(PRETRAIN, **cut)
    while child.poll() is None and not list((tmp_path / "cut.checkpoints").glob("epoch-*[0-9]")):
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL and not (tmp_path / "cut").exists()
    assert "going on after epoch" in run(PRETRAIN + " --resume", **cut)
    assert "is finished" in run(PRETRAIN + " --resume", **cut)
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")


def test_two_processes_share_the_corpus(corpus, tmp_path):
    pretrain = "--device cpu " + PRETRAIN
    for name in ("a", "b"):
        printed = run(pretrain, [*TORCHRUN, *CLI], corpus=corpus.path, out=tmp_path / name)
        assert printed.count("saved to") == printed.count("in 2 processes") == 1, "one process speaks"
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    run(pretrain, corpus=corpus.path, out=tmp_path / "alone")
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("alone", "a"))
    assert any(not torch.equal(one[k], two[k]) for k in one), "half as many steps of twice as many windows"


def learner(corpus, bs=16, **kwargs):
    sizes = {"tokenizer": KmerTokenizer(3, 2), "bs": bs, "tokens": 32, "valid_batches": 2}
    return genome_lm_learner(GenomeLMDataLoaders.from_corpus(corpus, **sizes, **kwargs), Preset(16, 24, 2))


def test_checkpoint_of_another_training_is_refused(corpus, tmp_path):
    fit = lambda learn: learn.fit_budget(tokens=20_000, parts=2, checkpoints=tmp_path / "kept", resume=True)
    with learner(corpus).no_bar():
        fit(learner(corpus))
    others = {"text": learner(corpus, train="test"), "bs": learner(corpus, bs=8), "seed": learner(corpus, seed=1)}
    for what, other in others.items():
        with pytest.raises(InputError, match=f"belongs to another training: {what} was"):
            fit(other)


NO_MEMORY = (
    "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"
)


def test_too_little_memory_names_a_batch_that_fits(corpus, monkeypatch):
    learn = learner(corpus, bs=64)
    forward = learn.model.forward

    def hungry(ids):
        if len(ids) > 20:
            raise RuntimeError(NO_MEMORY)
        return forward(ids)

    monkeypatch.setattr(learn.model, "forward", hungry)
    message = "a batch of 64: is too large for the memory of [a-z0-9:]+. A batch of 16 fits"
    with pytest.raises(InputError, match=message):
        learn.fit_budget(tokens=100_000)
    monkeypatch.setattr(learn.model, "forward", lambda ids: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        learn.fit_budget(tokens=100_000)


def test_budget_batch_device_and_corpus_that_do_not_do(corpus, tmp_path, capsys):
    places = {"corpus": corpus.path, "out": tmp_path / "lm"}
    names = ["windows of 32 k-mers, less than a batch of 5000", "smaller"]
    fails(capsys, PRETRAIN + " --bs 5000", names=names, **places)
    fails(capsys, PRETRAIN + " --tokens 100", names=["budget", "smaller than one batch of 512"], **places)
    fails(capsys, PRETRAIN + " --tokens 0", names=["above zero"], **places)
    if not torch.cuda.is_available():
        fails(capsys, "--device cuda " + PRETRAIN, names=["device cuda", "is not there", "Leave"], **places)
    gone = places | {"corpus": shutil.copytree(corpus.path, tmp_path / "gone")}
    (gone["corpus"] / "bases.bin").unlink()
    fails(capsys, PRETRAIN, names=["bases.bin"], **gone)
    shutil.rmtree(gone["corpus"])
    fails(capsys, PRETRAIN, names=[str(gone["corpus"])], **gone)
    assert not (tmp_path / "lm").exists()


def test_folder_that_cannot_be_written(corpus, tmp_path, capsys):
    (tmp_path / "file").touch()
    fails(capsys, PRETRAIN, names=["file"], corpus=corpus.path, out=tmp_path / "file" / "lm")
    if os.geteuid() == 0:
        pytest.skip("root may write into a locked folder")
    (tmp_path / "locked").mkdir(mode=0o500)
    fails(capsys, PRETRAIN, names=["locked"], corpus=corpus.path, out=tmp_path / "locked" / "lm")
