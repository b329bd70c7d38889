from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
import numpy as np
import shutil
import subprocess

from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.seq.errors import InputError, InputNotFoundError
from genomic_ulmfit.taxa.pairs import _name, _short
from genomic_ulmfit.taxa.taxonomy import Taxonomy


def read_kraken2(
    path,  # from `kraken2 --output`
    tree: Taxonomy,  # its taxids are those of the database
) -> Iterator[tuple[str, int, np.ndarray]]:  # name of the read; row of the taxon that it is given to, -1 for none that the tree has; k-mers on the path to each class, (classes,)
    "What Kraken2 says of each read. Raises `InputError` for a file that isn't Kraken2's, and for one that names no taxon of the tree."
    row, onto, named = {str(t): i for i, t in enumerate(tree.nodes["taxid"])}, tree.below.copy(), [False, False]
    onto[0] = 0
    if not Path(path).is_file(): raise InputNotFoundError(path, "no such file", "Give the file that `kraken2 --output` wrote")
    with open(path, encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            cells = line.rstrip("\n").split("\t")
            if len(cells) != 5 or cells[0] not in ("C", "U"): raise InputError(path, f"line {number:,} is not one of Kraken2's output", "Give the file that `kraken2 --output` wrote, not its report")
            parts = [p.split(":") for p in cells[4].split() if p[0].isdigit() and p[:2] != "0:"]
            for taxid, _ in parts: named[taxid in row] = True
            yield _short(cells[1]), row.get(cells[2], -1), sum((int(n) * onto[row[t]] for t, n in parts if t in row), np.zeros(len(tree.classes)))
    if named == [True, False]: raise InputError(path, "names no taxon of the model's tree", "Build Kraken2's database with the taxids of the model, or the model's tree with those of the database (--taxdump)")


def _matches(found: Iterator, pairs: Sequence[tuple], path) -> tuple[np.ndarray, np.ndarray]:
    "The next calls and exact matches, of the reads that are expected: (reads,) and (reads, classes)."
    rows = []
    for mates in pairs:
        name, *said = next(found, (None,))
        if name != _name(mates[0]): raise InputError(path, f"ends before the reads do, at {_name(mates[0])!r}" if name is None else f"has the read {name!r} where {_name(mates[0])!r} is expected", "Give Kraken2's output for the same reads, in the same order")
        rows.append(said)
    calls, matches = zip(*rows)
    return np.array(calls), np.array(matches)


def run_kraken2(
    database,  # folder
    reads: Sequence[tuple],  # of base codes: (read,)
    tree: Taxonomy,
) -> np.ndarray:  # k-mers on the path to each class, (reads, classes)
    "Run `kraken2` on reads. Raises `InputError` where it isn't there, and with its own last words where it fails."
    if not shutil.which("kraken2"): raise InputError(database, "needs the program kraken2, which is not on the path", "Install it (Debian and Bioconda: kraken2)")
    with TemporaryDirectory() as folder:
        fasta, output = Path(folder) / "reads.fa", Path(folder) / "reads.kraken"
        fasta.write_text("".join(f">{i}\n{decode_bases(r)}\n" for i, (r,) in enumerate(reads)))
        done = subprocess.run(["kraken2", "--db", str(database), "--output", str(output), str(fasta)], capture_output=True, text=True)
        if done.returncode: raise InputError(database, f"kraken2 failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", "Check the database with kraken2-inspect")
        return np.array([matches for *_, matches in read_kraken2(output, tree)])
