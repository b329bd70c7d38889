#!/usr/bin/env python3
"""Other people's tools read the report of `genomic-ulmfit classify`: taxpasta and MultiQC, in their own environment."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from genomic_ulmfit.all import SAMPLE, decode_bases, read_sequences

BIN = Path(sys.executable).parent
TOOLS = BIN.parent / "report-tools"
PACKAGES = ["taxpasta==0.7.0", "pandera<0.20", "numpy<2", "multiqc==1.35"]


def run(*command, **kwargs):
    """Run a command; stop with what it said where it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **kwargs)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")


def install():
    """The tools, once."""
    if (TOOLS / "bin/multiqc").exists():
        return
    run(sys.executable, "-m", "venv", TOOLS)
    run(TOOLS / "bin/pip", "install", "--quiet", *PACKAGES)


def report(folder: Path) -> Path:
    """The report of the shipped model on pieces of two shipped genomes."""
    pieces = [
        decode_bases(next(read_sequences(SAMPLE / f"{name}.fna.gz")).codes[i * 1000 :][:150])
        for name in ("Escherichia_coli_K-12-MG1655", "Staphylococcus_aureus_N315")
        for i in range(100)
    ]
    (folder / "reads.fa").write_text("".join(f">{i}\n{p}\n" for i, p in enumerate(pieces)))
    run(
        BIN / "genomic-ulmfit",
        "classify",
        "bacteria-taxa",
        folder / "reads.fa",
        "--report",
        folder / "sample.kreport",
        "--fast",
    )
    return folder / "sample.kreport"


def main():
    install()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ours = pd.read_csv(report(folder), sep="\t", names=["percent", "clade", "own", "code", "taxid", "name"])
        run(
            TOOLS / "bin/taxpasta",
            "standardise",
            "-p",
            "kraken2",
            "-o",
            folder / "standard.tsv",
            folder / "sample.kreport",
        )
        theirs = pd.read_csv(folder / "standard.tsv", sep="\t").set_index("taxonomy_id")["count"]
        assert theirs[theirs > 0].to_dict() == ours[ours["own"] > 0].set_index("taxid")["own"].to_dict(), (
            "taxpasta counts other reads"
        )
        run(TOOLS / "bin/multiqc", "--quiet", "--outdir", folder / "multiqc", folder)
        found = json.loads((folder / "multiqc/multiqc_data/multiqc_data.json").read_text())
        assert "Kraken" in str(found["report_data_sources"]) and "sample" in str(found["report_data_sources"]), (
            "MultiQC knows no report of Kraken here"
        )
        print(f"taxpasta and MultiQC read a report of {ours['own'].sum()} reads, {len(theirs)} taxa")


if __name__ == "__main__":
    main()
