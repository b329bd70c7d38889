"""FASTA and FASTQ, plain and gzipped, into base codes, beside Biopython's fast parsers on the same file."""

import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from Bio.SeqIO.FastaIO import SimpleFastaParser
from Bio.SeqIO.QualityIO import FastqGeneralIterator
from common import compare, measurement, sample_codes

from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.seq.records import read_sequences

PEAK = """import sys
from common import peak_memory
from genomic_ulmfit.seq.records import read_sequences
for record in read_sequences(sys.argv[1]): pass
print(peak_memory())
"""


def write(folder: Path, mbp: float) -> dict[str, Path]:
    "The four files: contigs of 100 kbp, reads of 150 bases."
    text = decode_bases(sample_codes(mbp))
    contigs = "".join(
        f">contig{i}\n" + "\n".join(text[i + j : i + j + 80] for j in range(0, min(100_000, len(text) - i), 80)) + "\n"
        for i in range(0, len(text), 100_000)
    )
    quality = "".join(
        map(chr, np.random.default_rng(0).integers(38, 74, 150))
    )  # as in real reads, not one letter repeated
    reads = "".join(f"@read{i}\n{text[i : i + 150]}\n+\n{quality}\n" for i in range(0, len(text) - 150, 150))
    files = {}
    for name, content in (("FASTA", contigs), ("FASTQ", reads)):
        files[name], files[f"{name}.gz"] = folder / f"{name}.txt", folder / f"{name}.txt.gz"
        files[name].write_text(content)
        with gzip.open(files[f"{name}.gz"], "wt", compresslevel=6) as f:
            f.write(content)
    return files


def biopython(path: Path) -> int:
    "Bases in a file by Biopython's parser that makes no objects; the letters are left as they are."
    parser = SimpleFastaParser if path.name.startswith("FASTA") else FastqGeneralIterator
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as f:
        return sum(len(r[1]) for r in parser(f))


def own(path: Path) -> int:
    "Bases in a file, as codes."
    return sum(len(r.codes) for r in read_sequences(path))


def peak_memory(path: Path) -> float:
    "MB that a fresh process holds at most while it reads the file."
    return float(
        subprocess.run(
            [sys.executable, "-c", PEAK, str(path)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        ).stdout
    )


def measurements(quick: bool):
    "All measurements of this benchmark."
    mbp = 4 if quick else 20
    with tempfile.TemporaryDirectory() as tmp:
        files = write(Path(tmp), mbp)
        for name, path in files.items():
            assert biopython(path) == own(path)
            yield compare(
                f"read {name}",
                "Mbp/s",
                lambda: own(path),
                lambda: biopython(path),
                "Biopython " + ("SimpleFastaParser" if "FASTA" in name else "FastqGeneralIterator"),
                work=mbp,
                goal=1.5 if name.endswith("gz") else None,
            )
        small = peak_memory(files["FASTQ.gz"])
        (Path(tmp) / "four").mkdir()
        large = peak_memory(write(Path(tmp) / "four", 4 * mbp)["FASTQ.gz"])
        yield measurement(
            "read FASTQ.gz, peak memory",
            large,
            "MB",
            f"a file of {mbp} Mbp instead of {4 * mbp}",
            small,
            large / small,
            "at most 1.1",
        )
