#!/usr/bin/env python3
"""The Snakemake workflow takes two small samples to reports, a screen and one table; Snakemake has a place of its own.

It is run where it is, with a sheet and a configuration in another folder; names and folders hold spaces. The profile
for SLURM is read in a dry run. Where Python is older than Snakemake asks for, the last line says so.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import biom
import pandas as pd
from tools import BIN, install

from genomic_ulmfit.all import SAMPLE, decode_bases, read_sequences

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = ROOT / "workflows" / "snakemake"
TOOLS = BIN.parent / "workflow-tools"
PACKAGES = ["snakemake==9.27.1", "snakemake-executor-plugin-slurm==2.8.0"]
OLDEST = (3, 11)  # Python that this Snakemake runs on
READS = {"ward 3": 60, "blank": 20}


def snakemake(folder: Path, *arguments):
    """What Snakemake says in a folder, and whether all went well."""
    command = [TOOLS / "bin/snakemake", "--snakefile", WORKFLOW / "Snakefile", "--directory", folder, *arguments]
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"  # `genomic-ulmfit` is ours
    environment = os.environ | {"PATH": path, "XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout + done.stderr


def must(folder: Path, *arguments) -> str:
    """What Snakemake says; stop where it fails, with that and with what the commands said."""
    code, said = snakemake(folder, *arguments)
    if code:
        logs = "".join(f"\n{log}:\n{log.read_text()}" for log in folder.glob("results/logs/*"))
        sys.exit(f"snakemake {' '.join(map(str, arguments))} failed:\n{said}{logs}")
    return said


def simulate(file: Path, reads: int, mate: int):
    """Reads of a shipped genome, one base in a hundred another."""
    genome = next(read_sequences(SAMPLE / "Escherichia_coli_K-12-MG1655.fna.gz")).codes
    drawn = random.Random(mate)
    with open(file, "w") as stream:
        for number in range(reads):
            codes = genome[number * 400 + mate * 200 :][:150].copy()
            for place in drawn.sample(range(150), 2):
                codes[place] = (codes[place] + 1) % 4
            stream.write(f"@r{number}/{mate}\n{decode_bases(codes)}\n+\n{'I' * 150}\n")


def write_samples(folder: Path):
    """A sample of two files and one of one file, their sheet, and the configuration."""
    (folder / "my reads").mkdir(parents=True)
    rows = []
    for name, files in (("ward 3", ["ward 3_1.fq", "ward 3_2.fq"]), ("blank", ["blank.fq"])):
        for mate, file in enumerate(files, 1):
            simulate(folder / "my reads" / file, READS[name], mate)
        rows.append([name, *(f"my reads/{file}" for file in files)])
    pd.DataFrame(rows, columns=["sample", "first", "second"]).to_csv(folder / "my samples.tsv", sep="\t", index=False)
    (folder / "agents.tsv").write_text("agent\ttaxa\nthe plague\tYersinia pestis\n")
    options = {"classify": ["--fast"], "screen": ["--fast", "--agents", "agents.tsv"]}
    config = {"samples": "my samples.tsv", "model": "bacteria-taxa", "control": "blank", "options": options}
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML


def check_results(results: Path):
    """Each file is there, and counts the reads that were given."""
    for name, reads in READS.items():
        sample = results / "samples" / name
        assert json.loads(sample.with_suffix(".json").read_text())["reads"] == reads, name
        assert len(pd.read_parquet(sample.with_suffix(".parquet"))) == reads, name
        assert sample.with_suffix(".kreport").read_text().count("\n") > 1, name
    table = biom.load_table(str(results / "samples.biom"))
    assert dict(zip(table.ids("sample"), table.sum("sample"))) == READS, "the merged table has other counts"
    screen = pd.read_csv(results / "screen" / "screen.tsv", sep="\t", comment="#")
    assert set(screen["sample"]) == set(READS), f"the screen has {set(screen['sample'])}"
    assert "blank (control)" in (results / "screen" / "report.html").read_text()


def check_bad_sheet(folder: Path):
    """A sheet with a sample named twice is said in a line, and nothing is run."""
    sheet = folder / "my samples.tsv"
    sheet.write_text(sheet.read_text() + "blank\tx.fq\t\n")
    code, said = snakemake(folder, "--cores", "1", "--dry-run")
    assert code and "my samples.tsv, sample 'blank': is the name of two samples" in said, said


def main():
    if sys.version_info < OLDEST:
        print(f"left out: Snakemake needs Python {'.'.join(map(str, OLDEST))}")
        return
    install(TOOLS, PACKAGES)
    with tempfile.TemporaryDirectory(prefix="two samples ") as place:
        folder = Path(place) / "a run"
        write_samples(folder)
        must(folder, "--cores", "2")
        check_results(folder / "results")
        assert "Nothing to be done" in must(folder, "--cores", "2"), "a second run does it all again"
        planned = must(folder, "--profile", WORKFLOW / "profiles" / "slurm", "--dry-run", "--forceall", "--cores", "8")
        assert "slurm_account=your_account" in planned and "threads: 4" in planned, planned
        check_bad_sheet(folder)
    print(f"{len(READS)} samples: reports, tables, a screen, and {sum(READS.values())} reads in one table")


if __name__ == "__main__":
    main()
