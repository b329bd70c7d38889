"""Reads judged by the workers of a Dask cluster: the same files, whoever dies meanwhile; clear errors."""

import os
import signal
import threading
import time
from functools import partial

import numpy as np
import pytest
from commands import fails, run
from distributed import WorkerPlugin

from genomic_ulmfit.all import TaxonModel, build_words
from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.taxa.cluster import cluster_client, in_order
from genomic_ulmfit.taxa.formats import classify_files
from genomic_ulmfit.taxa.workers import Workers, classify_files_on, entries_on

LINEAGES = "genus\tdomain\nAlpha\tBacteria\nBeta\tBacteria\n"
CALIBRATE = "calibrate {models}/clf {corpus} --lineages {taxa}/lineages.tsv --label genus --out {taxa}/m --fast"
FAST = {"both_strands": False, "phases": 1}
LOT = {"chunk": 50, **FAST}  # reads that are judged together
OUTPUTS = ("report", "output", "table")


@pytest.fixture(scope="module")
def taxa(models, corpus, tmp_path_factory):
    """Folder of a calibrated model (`m`), 2,000 reads (`a.fq`), what one process makes of them, a list of agents."""
    folder = tmp_path_factory.mktemp("taxa on a cluster")
    (folder / "lineages.tsv").write_text(LINEAGES)
    (folder / "agents.tsv").write_text("agent\ttaxa\nthe alpha\tAlpha\n")
    run(CALIBRATE, models=models, corpus=corpus.path, taxa=folder)
    genomes = [np.asarray(corpus.codes(row)) for row in corpus.split("test").index]
    reads = [decode_bases(codes[start : start + 150]) for start in range(0, 20_000, 20) for codes in genomes]
    (folder / "a.fq").write_text("".join(f"@r{i}\n{read}\n+\n{'I' * 150}\n" for i, read in enumerate(reads)))
    classify_files(TaxonModel.load(folder / "m"), folder / "a.fq", **outputs(folder), **LOT)
    return folder


@pytest.fixture(scope="module")
def client():
    """Two workers; one that is killed is started again."""
    with cluster_client("local:2") as client:
        yield client


def outputs(folder):
    return {name: folder / name for name in OUTPUTS}


def assert_same_files(folder, taxa):
    for name in OUTPUTS:
        assert (folder / name).read_bytes() == (taxa / name).read_bytes(), name


def classify_on(client, taxa, out, reads="a.fq"):
    workers = Workers(client, taxa / "m")
    return classify_files_on(workers, TaxonModel.load(taxa / "m"), taxa / reads, **outputs(out), **LOT)


def test_the_files_are_those_of_one_process(client, taxa, tmp_path):
    sample, summary = classify_on(client, taxa, tmp_path)
    assert sample.reads == summary.records == 2000
    assert_same_files(tmp_path, taxa)


class DiesOnce(WorkerPlugin):
    """Ends its process when the first task of a function runs, unless another worker has done so."""

    def __init__(self, mark, function="judged_part"):
        self.mark = str(mark)
        self.function = function

    def transition(self, key, start, finish, **kwargs):
        if finish == "executing" and self.function in str(key) and not os.path.exists(self.mark):
            open(self.mark, "x").close()
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_at_work_loses_nothing(client, taxa, tmp_path):
    client.register_plugin(DiesOnce(tmp_path / "died"), name="dies once")
    try:
        classify_on(client, taxa, tmp_path)
    finally:
        client.unregister_worker_plugin("dies once")
    assert (tmp_path / "died").exists()
    assert_same_files(tmp_path, taxa)


def test_a_worker_that_dies_with_answers_loses_nothing(client, taxa, tmp_path):
    """The reads come through a pipe that stops; a worker is killed that holds answers which nobody has fetched."""
    pipe = tmp_path / "pipe.fq"
    os.mkfifo(pipe)
    text = (taxa / "a.fq").read_text()
    ahead = 400_000  # letters: the reader takes some 131,000 at a time
    killed = []

    def write_and_kill():
        with open(pipe, "w") as stream:
            stream.write(text[:ahead])
            stream.flush()
            while not (holders := [worker for worker, keys in client.has_what().items() if keys]):
                time.sleep(0.05)
            killed.extend(client.run(os.getpid, workers=holders[:1]).values())
            os.kill(killed[0], signal.SIGKILL)
            stream.write(text[ahead:])

    client.wait_for_workers(2, 60)
    writer = threading.Thread(target=write_and_kill)
    writer.start()
    classify_on(client, taxa, tmp_path, reads=pipe)
    writer.join()
    assert killed and killed[0] not in client.run(os.getpid).values()
    assert_same_files(tmp_path, taxa)


def same_tables(one, other):
    """Whether two tables of words are the same, byte for byte."""
    files = sorted(file.name for file in one.iterdir())
    return files == sorted(file.name for file in other.iterdir()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in files
    )


def test_words_are_those_of_one_process_whoever_dies(client, corpus, tmp_path):
    build_words(corpus, "genus", tmp_path / "here", split="test")
    build_words(corpus, "genus", tmp_path / "other", split="train")
    assert not same_tables(tmp_path / "here", tmp_path / "other")
    client.wait_for_workers(2, 60)
    client.register_plugin(DiesOnce(tmp_path / "died", "record_entries"), name="dies once")
    try:
        build_words(corpus, "genus", tmp_path / "there", split="test", entries=partial(entries_on, client))
    finally:
        client.unregister_worker_plugin("dies once")
    assert (tmp_path / "died").exists()
    assert same_tables(tmp_path / "here", tmp_path / "there")


def test_calibrate_finds_words_on_a_cluster(client, models, corpus, taxa, tmp_path, capsys):
    places = {"models": models, "corpus": corpus.path, "taxa": taxa, "address": client.scheduler.address}
    calibrate = "calibrate {models}/clf {corpus} --lineages {taxa}/lineages.tsv --label genus --out {out} --fast"
    fails(capsys, calibrate + " --dask local:2", names=["--dask", "--words"], out=tmp_path / "m", **places)
    for size in ("small", "large"):
        run(f"{calibrate} --words {size}", out=tmp_path / size, **places)
        before = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
        run(f"{calibrate} --words {size} --dask {{address}}", out=tmp_path / f"{size} there", **places)
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter) > before
        assert same_tables(tmp_path / size / "words", tmp_path / f"{size} there" / "words")


def fails_twice(place):
    """Raise at the first two calls, which leave a mark."""
    done = len(os.listdir(place))
    open(os.path.join(place, str(done)), "x").close()
    if done < 2:
        raise OSError("the file system is busy")
    return done


def test_a_task_that_fails_is_tried_again(client, tmp_path):
    assert list(in_order(client, fails_twice, [("label", str(tmp_path))])) == [("label", 2)]


def test_commands_on_a_cluster(client, taxa, tmp_path):
    places = {"taxa": taxa, "tmp": tmp_path, "address": client.scheduler.address}
    commands = {
        "classify": "classify {taxa}/m {taxa}/a.fq --fast --json {tmp}/WHERE.json --table {tmp}/WHERE.table",
        "screen": "screen {taxa}/m {taxa}/a.fq --fast --agents {taxa}/agents.tsv --out {tmp}/WHERE",
    }
    work_done = lambda: client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
    for name, command in commands.items():
        run(command.replace("WHERE", "here"), **places)
        before = work_done()
        run(command.replace("WHERE", "there") + " --dask {address}", **places)
        assert work_done() > before, name
    for name in (".json", ".table", "/screen.tsv", "/screen.json", "/a.kreport"):
        there, here = (tmp_path / f"{where}{name}" for where in ("there", "here"))
        assert there.read_bytes() == here.read_bytes(), name


def test_bad_addresses_and_models(client, taxa, tmp_path, capsys):
    classify = "classify {taxa}/m {taxa}/a.fq --fast --report {tmp}/r --dask "
    places = {"taxa": taxa, "tmp": tmp_path}
    fails(capsys, classify + "node7", names=["node7: is no address", "local:4", "tcp://host:8786"], **places)
    with pytest.raises(InputError, match="no scheduler of Dask answers there"):
        with cluster_client("tcp://127.0.0.1:1", 0.5):
            pass
    workers = Workers(client, taxa / "m")
    model = TaxonModel.load(taxa / "m")
    (taxa / "m").rename(taxa / "gone")
    try:
        with pytest.raises(InputError, match="no such model folder"):
            classify_files_on(workers, model, taxa / "a.fq", report=tmp_path / "r")
    finally:
        (taxa / "gone").rename(taxa / "m")
    assert not list(tmp_path.iterdir())
