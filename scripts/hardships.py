#!/usr/bin/env python3
"""Runs that are killed, disks that are full, two runs at once: outputs are whole or not there.

    python scripts/hardships.py kills --times 50 --seed 0     # kill -9 at random moments
    python scripts/hardships.py disks                         # each output on a full disk; needs root, for a mount
    python scripts/hardships.py pairs                         # each output by two runs at once

Each prints a table, and ends with status 1 where an output is neither whole nor absent.
"""

import argparse
import json
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from genomic_ulmfit.all import SAMPLE, GenomeCorpus, InputError, decode_bases, load_model, read_sequences

PROGRAM = [sys.executable, "-c", "import sys; from genomic_ulmfit.cli.main import main; sys.exit(main())"]
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}

SMALL = "--preset nano --k 3 --stride 1 --bs 16 --window 32 --tokens 100k --parts 5"
TRAIN = "--label genus --preset nano --k 3 --bs 16 --tokens 20k --parts 1"
# What each command writes: its name -> the command, with {out} for the output and {reads} for its input.
COMMANDS = {
    "corpus build --out": "corpus build {reads} --out {out}",
    "pretrain --out": f"pretrain {{corpus}} --out {{out}} {SMALL}",
    "finetune --out": "finetune {lm} {corpus} --out {out} --tokens 20k --parts 1 --bs 16",
    "train --out": f"train {{corpus}} --out {{out}} {TRAIN}",
    "calibrate --out": "calibrate {clf} {corpus} --lineages {lineages} --label genus --out {out} --fast --words small",
    "predict --out": "predict {clf} {reads} --fast --out {out}",
    "classify --report": "classify bacteria-taxa {reads} --fast --report {out}",
    "classify --output": "classify bacteria-taxa {reads} --fast --output {out}",
    "classify --table": "classify bacteria-taxa {reads} --fast --table {out}",
    "classify --json": "classify bacteria-taxa {reads} --fast --json {out}",
    "classify --page": "classify bacteria-taxa {reads} --fast --page {out}",
    "merge --out": "merge {samples}/a.json {samples}/b.json --out {out}",
    "screen --out": "screen bacteria-taxa {reads} --fast --out {out}",
    "evaluate --json": "evaluate {clf} {corpus} --label genus --split valid --reads 100 --fast --json {out}",
}


def start(command, **places):
    """A command in a process of its own."""
    line = [word.format(**places) for word in shlex.split(command)]
    return subprocess.Popen([*PROGRAM, *line], env=ALONE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(command, **places):
    """Status and standard error of a command."""
    process = start(command, **places)
    _, said = process.communicate(timeout=600)
    return process.returncode, said


def run(command, **places):
    """Run a command that must succeed."""
    status, said = finish(command, **places)
    assert status == 0, f"{command}: {said}"


def write_reads(path, seed):
    """Reads of the sample genomes."""
    rng = random.Random(seed)
    genome = next(read_sequences(SAMPLE / "Helicobacter_pylori_Puno120.fna.gz")).codes
    starts = [rng.randrange(len(genome) - 150) for _ in range(3000)]
    path.write_text("".join(f">{seed}.{i}\n{decode_bases(genome[s : s + 150])}\n" for i, s in enumerate(starts)))


def make_inputs(folder):
    """What the commands read, by the names that they have for it."""
    genomes = [line.split("\t") for line in (SAMPLE / "genomes.tsv").read_text().splitlines()]
    genus, split = genomes[0].index("genus"), genomes[0].index("split")
    chosen = [row for row in genomes[1:] if row[genus] in ("Vibrio", "Helicobacter")]
    splits = {"train": "train", "test": "valid"}
    rows = [f"{SAMPLE / row[0]}\t{row[genus]}\t{splits[row[split]]}\n" for row in chosen]
    (folder / "genomes.tsv").write_text("file\tgenus\tsplit\n" + "".join(rows))
    (folder / "lineages.tsv").write_text("phylum\tgenus\nPseudomonadota\tVibrio\nCampylobacterota\tHelicobacter\n")
    places = {name: folder / name for name in ("corpus", "lm", "clf", "samples")}
    places |= {"lineages": folder / "lineages.tsv", "reads": folder / "reads.fa", "other": folder / "other.fa"}
    write_reads(places["reads"], 1)
    write_reads(places["other"], 2)
    run("corpus build {table} --labels genus --out {corpus}", table=folder / "genomes.tsv", **places)
    run(COMMANDS["pretrain --out"], out=places["lm"], **places)
    run(COMMANDS["train --out"], out=places["clf"], **places)
    places["samples"].mkdir()
    for name, reads in (("a", "reads"), ("b", "other")):
        out = places["samples"] / f"{name}.json"
        run("classify bacteria-taxa {input} --fast --json {out}", input=places[reads], out=out)
    return places


def check_whole(name, out):
    """Raise an error where an output that is there is not whole."""
    if name.startswith("corpus"):
        GenomeCorpus(out).check()
    elif name.split()[0] in ("pretrain", "finetune", "train", "calibrate"):
        load_model(out, "cpu")
    elif name.endswith("json"):
        json.loads(out.read_text())
    elif name == "classify --output":
        assert len(out.read_text().splitlines()) == 3000
    elif name == "predict --out":
        assert len(out.read_text().splitlines()) == 3001
    elif name == "screen --out":
        assert {"report.html", "screen.json", "screen.tsv"} <= {file.name for file in out.iterdir()}
    else:
        assert out.stat().st_size


def state(name, out):
    """`absent`, `whole`, or what is wrong."""
    if not out.exists():
        return "absent"
    try:
        check_whole(name, out)
    except (InputError, AssertionError, ValueError, OSError) as error:
        return f"NOT WHOLE: {error}"
    return "whole"


def seconds_of(command, **places):
    """How long a command takes, and its output."""
    begin = time.monotonic()
    run(command, **places)
    return time.monotonic() - begin


def same_weights(one, other):
    """Whether two model folders hold the same weights."""
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


AGAIN = {"pretrain --out": " --resume", "corpus build --out": " --overwrite", "classify --output": ""}


def wait_for_traces(process, out):
    """Until a process has begun to write an output, beside its place or there, or has ended."""
    while process.poll() is None and not any(path.suffix != ".lock" for path in out.parent.glob(f"*{out.name}*")):
        time.sleep(0.001)


def kills(places, folder, times, seed, names=tuple(AGAIN)):
    """Kill runs at random moments, every second one while it writes; what is there then, and after the next run."""
    rng = random.Random(seed)
    counts = Counter()
    references = {name: folder / f"ref{i}" for i, name in enumerate(names)}
    long = {name: seconds_of(COMMANDS[name], out=references[name], **places) for name in names}
    for turn in range(times):
        name = names[turn % len(names)]
        out = folder / f"killed{turn}"
        process = start(COMMANDS[name], out=out, **places)
        if turn % 2:
            wait_for_traces(process, out)
            time.sleep(rng.uniform(0, 0.1))
        else:
            time.sleep(rng.uniform(0.3, 1) * long[name])
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        left = state(name, out)
        status, said = finish(COMMANDS[name] + AGAIN[name], out=out, **places)
        after = state(name, out) if status == 0 else f"NOT WHOLE: {said}"
        if name == "pretrain --out" and after == "whole" and not same_weights(out, references[name]):
            after = "NOT WHOLE: other weights than those of a run that nobody killed"
        counts[name, "killed" if killed else "had ended", left, after] += 1
        for path in folder.glob(f"*killed{turn}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return counts


@contextmanager
def full_disk(place):
    """A disk without a free byte."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", place], check=True)
    (place / "filler").write_bytes(bytes(16 * 1024))
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@contextmanager
def no_room(place):
    """A folder whose files cannot grow, for any user: what is written by processes that start meanwhile fails."""
    place.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield place
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def disks(places, folder, names=COMMANDS, full=full_disk):
    """Each output on a disk that is full."""
    counts = Counter()
    for number, name in enumerate(names):
        with full(folder / f"disk{number}") as disk:
            status, said = finish(COMMANDS[name], out=disk / "x", **places)
            lines = [line for line in said.splitlines() if line.startswith(("genomic-ulmfit:", "Traceback"))]
            spoken = len(lines) == 1 and "cannot be written" in lines[0]
            said = "one line" if status == 2 and spoken else f"NOT WHOLE: status {status}, {said[-300:]}"
            left = sorted(path.name for path in disk.iterdir() if path.name != "filler")
            counts[name, said, f"left: {left or 'nothing'}"] += 1
    return counts


def pairs(places, folder, names=COMMANDS):
    """Each output by two runs at once, of different reads where there are any."""
    counts = Counter()
    for number, name in enumerate(names):
        out = folder / f"pair{number}"
        both = [start(COMMANDS[name], out=out, **places | {"reads": places[reads]}) for reads in ("reads", "other")]
        said = [process.communicate(timeout=600)[1] for process in both]
        ends = []
        for process, text in zip(both, said):
            refused = process.returncode == 2 and ("is being written by" in text or "already" in text)
            ends.append("done" if process.returncode == 0 else "refused" if refused else f"NOT WHOLE: {text[-300:]}")
        left = [path.name for path in folder.glob(f"*pair{number}*") if path != out]
        counts[(name, *sorted(ends), state(name, out), f"left: {left or 'nothing'}")] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kills", "disks", "pairs"])
    parser.add_argument("--times", type=int, default=50, help="kills")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        places = make_inputs(folder)
        what = {"disks": lambda: disks(places, folder), "pairs": lambda: pairs(places, folder)}
        counts = what.get(args.what, lambda: kills(places, folder, args.times, args.seed))()
    for row, number in sorted(counts.items()):
        print(number, *row, sep="\t")
    sys.exit(any("NOT WHOLE" in cell for row in counts for cell in row))


if __name__ == "__main__":
    main()
