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
from safetensors.torch import load_file
from test_cli import fails

from genomic_ulmfit.all import GenomeLMDataLoaders, KmerTokenizer, Preset, genome_lm_learner
from genomic_ulmfit.seq.errors import InputError

CLI = [sys.executable, "-c", "import sys; from genomic_ulmfit.cli.main import main; sys.exit(main(sys.argv[1:]))"]
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}


def pretrain(corpus, out) -> list[str]:
    options = "--preset tiny --k 3 --stride 1 --bs 16 --window 32 --tokens 200k --parts 10 --seed 3"
    return ["pretrain", str(corpus.path), "--out", str(out), *options.split()]


def run(*command) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=ALONE, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_same_weights(a: Path, b: Path):
    a, b = (load_file(f / "model.safetensors") for f in (a, b))
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_killed_run_resumes_to_the_same_weights(corpus, tmp_path):
    run(*CLI, *pretrain(corpus, tmp_path / "whole"))
    child = subprocess.Popen(
        [*CLI, *pretrain(corpus, tmp_path / "cut")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ALONE
    )
    while child.poll() is None and not list((tmp_path / "cut.checkpoints").glob("epoch-*")):
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL and not (tmp_path / "cut").exists()
    assert "going on after epoch" in run(*CLI, *pretrain(corpus, tmp_path / "cut"), "--resume")
    assert "is finished" in run(*CLI, *pretrain(corpus, tmp_path / "cut"), "--resume")
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")


def test_two_processes_share_the_corpus(corpus, tmp_path):
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--no-python",
        *CLI,
        "--device",
        "cpu",
    ]
    for name in ("a", "b"):
        said = run(*torchrun, *pretrain(corpus, tmp_path / name))
        assert said.count("saved to") == said.count("in 2 processes") == 1, "one process speaks"
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    run(*CLI, "--device", "cpu", *pretrain(corpus, tmp_path / "alone"))
    one, two = (load_file(tmp_path / n / "model.safetensors") for n in ("alone", "a"))
    assert any(not torch.equal(one[k], two[k]) for k in one), "half as many steps of twice as many windows"


def learner(corpus, bs=16, **kwargs):
    return genome_lm_learner(
        GenomeLMDataLoaders.from_corpus(
            corpus, tokenizer=KmerTokenizer(3, 2), bs=bs, tokens=32, valid_batches=2, **kwargs
        ),
        Preset(16, 24, 2),
    )


def test_checkpoint_of_another_training_is_refused(corpus, tmp_path):
    fit = lambda learn: learn.fit_budget(tokens=20_000, parts=2, checkpoints=tmp_path / "kept", resume=True)
    with learner(corpus).no_bar():
        fit(learner(corpus))
    for changed, what in (
        (learner(corpus, train="test"), "text"),
        (learner(corpus, bs=8), "bs"),
        (learner(corpus, seed=1), "seed"),
    ):
        with pytest.raises(InputError, match=f"belongs to another training: {what} was"):
            fit(changed)


def test_too_little_memory_names_a_batch_that_fits(corpus, monkeypatch):
    learn = learner(corpus, bs=64)
    forward = learn.model.forward

    def hungry(ids):
        if len(ids) > 20:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: "
                "you tried to allocate 99 bytes"
            )
        return forward(ids)

    monkeypatch.setattr(learn.model, "forward", hungry)
    with pytest.raises(
        InputError, match="a batch of 64: is too large for the memory of [a-z0-9:]+. A batch of 16 fits"
    ):
        learn.fit_budget(tokens=100_000)
    monkeypatch.setattr(learn.model, "forward", lambda ids: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        learn.fit_budget(tokens=100_000)


def test_budget_batch_device_and_corpus_that_do_not_do(corpus, tmp_path, capsys):
    command = pretrain(corpus, tmp_path / "lm")
    fails(capsys, *command, "--bs", "5000", names=["windows of 32 k-mers, less than a batch of 5000", "smaller"])
    fails(capsys, *command, "--tokens", "100", names=["budget", "smaller than one batch of 512"])
    fails(capsys, *command, "--tokens", "0", names=["above zero"])
    if not torch.cuda.is_available():
        fails(capsys, "--device", "cuda", *command, names=["device cuda", "is not there", "Leave"])
    gone = shutil.copytree(corpus.path, tmp_path / "gone")
    (gone / "bases.bin").unlink()
    fails(capsys, "pretrain", gone, *command[2:], names=["bases.bin"])
    shutil.rmtree(gone)
    fails(capsys, "pretrain", gone, *command[2:], names=[str(gone)])
    assert not (tmp_path / "lm").exists()


def test_folder_that_cannot_be_written(corpus, tmp_path, capsys):
    (tmp_path / "file").touch()
    fails(capsys, *pretrain(corpus, tmp_path / "file" / "lm"), names=["file"])
    if os.geteuid() == 0:
        pytest.skip("root may write into a locked folder")
    (tmp_path / "locked").mkdir(mode=0o500)
    fails(capsys, *pretrain(corpus, tmp_path / "locked" / "lm"), names=["locked"])
