#!/usr/bin/env python3
"""Other people's tools read the report of `genomic-ulmfit classify`: taxpasta, MultiQC and Krona, in a place of theirs.

Krona is Debian's package radiant, its name for it; where there is no apt-get it is left out, and the last line says so.
"""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pandas as pd
from tools import BIN, install, run

from genomic_ulmfit.all import SAMPLE, TaxonModel, decode_bases, read_sequences

TOOLS = BIN.parent / "report-tools"
PACKAGES = ["taxpasta==0.7.0", "pandera<0.20", "numpy<2", "multiqc==1.35"]


def install_krona() -> Path | None:
    """Krona's folder of programs, unpacked from Debian's package once; None where that can't be had."""
    place = TOOLS / "krona"
    if not place.exists() and shutil.which("apt-get") and shutil.which("perl"):
        with tempfile.TemporaryDirectory() as folder:
            got = subprocess.run(["apt-get", "download", "radiant"], cwd=folder, capture_output=True)
            if got.returncode == 0:
                run("dpkg", "-x", *Path(folder).glob("*.deb"), place)
    return place / "usr" if place.exists() else None


def check_krona(krona: Path, folder: Path, ours: pd.DataFrame):
    """Krona counts the reads of a taxon and of all below it, by NCBI's numbers."""
    nodes = TaxonModel.load("bacteria-taxa").tree.nodes
    numbers = dict(enumerate(nodes["taxid"]))
    ncbi = nodes[nodes["taxid"] < 2_000_000_000]
    parents = nodes["parent"].to_list()

    def parent_of(row):
        """The next taxon above that has a number of NCBI; Krona would make an array as long as the largest number."""
        row = parents[row]
        return row if row < 0 or row in ncbi.index else parent_of(row)

    above = [numbers.get(parent_of(row), 0) for row in ncbi.index]
    lines = zip(ncbi["taxid"], above, ncbi["rank"], ncbi["name"])
    (folder / "taxonomy.tab").write_text("".join(f"{t}\t0\t{p}\t{rank}\t{name}\n" for t, p, rank, name in lines))
    lib = krona / "share/perl5/KronaTools/lib"
    command = ["perl", f"-I{lib}", krona / "bin/ktImportTaxonomy", "-tax", folder, "-m", "3", "-t", "5"]
    run(*command, "-o", folder / "krona.html", folder / "sample.kreport")
    page = (folder / "krona.html").read_text(encoding="utf-8", errors="replace")
    facts = page.split('<node name="Bacillota">')[-1].split("<node")[0]  # those of its own, in no order
    counts = re.findall(r"<magnitude><val>(\d+)</val>", facts)
    assert counts == [str(ours.set_index("name")["clade"]["Bacillota"])], f"Krona counts {counts} reads of Bacillota"


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
    install(TOOLS, PACKAGES)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ours = pd.read_csv(report(folder), sep="\t", names=["percent", "clade", "own", "code", "taxid", "name"])
        ours["name"] = ours["name"].str.strip()
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
        krona = install_krona()
        if krona:
            check_krona(krona, folder, ours)
        tools = "taxpasta, MultiQC and Krona" if krona else "taxpasta and MultiQC (no Krona: no apt-get here)"
        print(f"{tools} read a report of {ours['own'].sum()} reads, {len(theirs)} taxa")


if __name__ == "__main__":
    main()
