"""Trimming: planted adapters and bad ends are cut off where they begin, clean reads stay, no read is lost."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from commands import fails, run

from genomic_ulmfit.seq.alphabet import DNA
from genomic_ulmfit.taxa.pairs import read_pairs
from genomic_ulmfit.taxa.trim import Trimmer

pytest.importorskip("cutadapt")

ADAPTERS = {  # as Illumina writes them
    "TruSeq": "AGATCGGAAGAGCACACGTCTGAACTCCAGTCA",
    "TruSeq, mates": "AGATCGGAAGAGCGTCGTGTAGGGAAAGAGTGT",
    "Nextera": "CTGTCTCTTATACACATCT",
}
READS, LENGTH = 300, 150
RNG = np.random.default_rng(0)


def letters(n):
    return "".join(RNG.choice(list("ACGT"), n))


def changed(text, places):
    """A sequence with wrong letters at some places."""
    return "".join({"A": "C", "C": "G", "G": "T", "T": "A"}[c] if i in places else c for i, c in enumerate(text))


def fastq(path, reads):
    path.write_text("".join(f"@{name}\n{text}\n+\n{quality}\n" for name, text, quality in reads))
    return path


def trimmed(path, **settings):
    """Names and letters of the reads of a file after trimming, and what was counted."""
    trimmer = Trimmer(**settings)
    records = [(record.id, DNA.decode(record.codes)) for (record,) in read_pairs(path, edit=trimmer)]
    return records, trimmer.counts


def read_through(fragment, adapter, errors=()):
    """A read of a fragment that goes on into the adapter."""
    return (fragment + changed(adapter, errors) + letters(LENGTH))[:LENGTH]


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
@pytest.mark.parametrize("errors", [(), (5,)], ids=["whole", "one error"])
def test_planted_adapters_are_cut_off_where_they_begin(adapter, errors, tmp_path):
    """Fragments of all lengths of which 12 bases of the adapter at least are in the read."""
    sizes = RNG.integers(0, LENGTH - 12, READS)
    fragments = [letters(n) for n in sizes]
    reads = [(f"r{i}", read_through(f, adapter, errors), "I" * LENGTH) for i, f in enumerate(fragments)]
    records, counts = trimmed(fastq(tmp_path / "a.fq", reads))
    assert [name for name, _ in records] == [f"r{i}" for i in range(READS)], "none is lost"
    found = np.array([text == fragment for (_, text), fragment in zip(records, fragments)])
    assert found.mean() > 0.99, "but for a fragment that ends like the adapter"
    assert counts.trimmed == READS and counts.adapters == sum(LENGTH - len(text) for _, text in records)


def test_ends_of_low_quality_are_cut_off_where_they_begin(tmp_path):
    sizes = RNG.integers(0, LENGTH + 1, READS)
    sequences = [letters(LENGTH) for _ in sizes]
    reads = [(f"r{i}", s, "I" * n + "#" * (LENGTH - n)) for i, (s, n) in enumerate(zip(sequences, sizes))]
    records, counts = trimmed(fastq(tmp_path / "a.fq", reads))
    kept = [sequence[:n] for sequence, n in zip(sequences, sizes)]
    assert np.mean([text == expected for (_, text), expected in zip(records, kept)]) > 0.99
    assert counts.low_quality == (LENGTH - sizes).sum() and counts.emptied == (sizes == 0).sum()


def test_clean_reads_are_left_as_they_are(tmp_path):
    sequences = [letters(LENGTH) for _ in range(2000)]
    reads = [(f"r{i}", sequence, "I" * LENGTH) for i, sequence in enumerate(sequences)]
    records, counts = trimmed(fastq(tmp_path / "a.fq", reads), min_quality=20)
    assert sum(text != sequence for (_, text), sequence in zip(records, sequences)) <= 2
    assert counts.trimmed <= 2 and counts.masked == counts.low_quality == 0


def test_single_bases_become_unknown(tmp_path):
    qualities = RNG.integers(0, 41, (50, LENGTH))
    sequences = [letters(LENGTH) for _ in qualities]
    reads = [(f"r{i}", s, "".join(map(chr, 33 + q))) for i, (s, q) in enumerate(zip(sequences, qualities))]
    records, counts = trimmed(fastq(tmp_path / "a.fq", reads), ends=False, min_quality=15)
    expected = ["".join("N" if low else c for c, low in zip(s, q < 15)) for s, q in zip(sequences, qualities)]
    assert [text for _, text in records] == expected
    assert counts.masked == (qualities < 15).sum() and counts.trimmed == 0


def test_a_fasta_has_adapters_only(tmp_path):
    fragment = letters(60)
    (tmp_path / "a.fa").write_text(f">r0\n{read_through(fragment, ADAPTERS['TruSeq'])}\n>r1\n{fragment}\n")
    records, counts = trimmed(tmp_path / "a.fa", min_quality=20)
    assert [text for _, text in records] == [fragment] * 2
    assert counts.no_qualities == 2 and "2 reads have no qualities (FASTA): only adapters can be cut off" in str(counts)


def raw_pairs(folder, genome):
    """Mates of a genome: every second reads on into an adapter, one is an adapter alone, one of bad bases."""
    fragments = [genome[i : i + 150] for i in range(0, 6000, 300)]
    sizes = [90 if i % 2 else 150 for i in range(len(fragments))]
    for mate, adapter in ((1, ADAPTERS["TruSeq"]), (2, ADAPTERS["TruSeq, mates"])):
        reads = [
            (f"r{i}/{mate}", read_through(f[:n], adapter), "I" * 150) for i, (f, n) in enumerate(zip(fragments, sizes))
        ]
        reads += [(f"dimer/{mate}", read_through("", adapter), "I" * 150), (f"bad/{mate}", letters(150), "#" * 150)]
        fastq(folder / f"raw_{mate}.fq", reads)
    return len(fragments) + 2


@pytest.fixture(scope="module")
def genome():
    from genomic_ulmfit.all import SAMPLE, read_sequences

    return DNA.decode(next(read_sequences(SAMPLE / "Helicobacter_pylori_Puno120.fna.gz")).codes[:10_000])


def test_classify_keeps_every_pair(genome, tmp_path, capsys):
    pairs = raw_pairs(tmp_path, genome)
    command = (
        "classify bacteria-taxa {tmp}/raw_1.fq {tmp}/raw_2.fq --fast --table {tmp}/t --output {tmp}/o --json {tmp}/j"
    )
    run(command + " --trim --min-quality 10", tmp=tmp_path)
    said = capsys.readouterr().err
    assert f"24 of {2 * pairs} reads trimmed, 300 bases of low quality and 1,500 of adapters removed" in said
    assert "4 reads to nothing, 0 bases below a quality of 10 read as N" in said
    table = pd.read_parquet(tmp_path / "t")
    assert table["read"].tolist() == [f"r{i}" for i in range(pairs - 2)] + ["dimer", "bad"]
    assert table["length"].tolist() == [180 if i % 2 else 300 for i in range(pairs - 2)] + [0, 0]
    assert table["name"].isna().tolist()[-2:] == [True, True]
    assert len((tmp_path / "o").read_text().splitlines()) == pairs
    figures = json.loads((tmp_path / "j").read_text())
    assert figures["reads"] == pairs and figures["unknown"]["no_kmer"] == 2
    assert figures["trimming"]["trimmed"] == 24 and figures["trimming"]["emptied"] == 4


def test_screen_counts_each_sample(genome, tmp_path, capsys):
    pairs = raw_pairs(tmp_path, genome)
    samples = "a={tmp}/raw_1.fq b={tmp}/raw_2.fq"
    run("screen bacteria-taxa " + samples + " --fast --trim --out {tmp}/out", tmp=tmp_path)
    said = [line for line in capsys.readouterr().err.splitlines() if "trimmed" in line]
    assert [line[:2] for line in said] == ["a:", "b:"]
    assert all(f"12 of {pairs} reads trimmed" in line for line in said)


def test_what_is_missing_or_wrong_is_said(genome, tmp_path, capsys, monkeypatch):
    raw_pairs(tmp_path, genome)
    command = "classify bacteria-taxa {tmp}/raw_1.fq --fast "
    fails(capsys, command + "--min-quality 100", names=["quality 100", "0 to 93"], tmp=tmp_path)
    for module in ("cutadapt.adapters", "cutadapt.qualtrim"):
        monkeypatch.setitem(sys.modules, module, None)
    fails(capsys, command + "--trim", names=["cutadapt", "pip install 'genomic_ulmfit[trim]'"], tmp=tmp_path)
    run(command + "--min-quality 10", tmp=tmp_path)
    assert "bases below a quality of 10 read as N" in capsys.readouterr().err


def test_reads_that_are_trimmed_to_nothing_are_not_of_illumina(tmp_path, capsys):
    text = letters(1000)
    commands = "classify bacteria-taxa {tmp}/a.fq --report {tmp}/r", "screen bacteria-taxa {tmp}/a.fq --out {tmp}/"
    for quality in ("+", "I"):  # 10, as of an old nanopore, and 40
        (tmp_path / "a.fq").write_text("".join(f"@r{i}\n{text}\n+\n{quality * 1000}\n" for i in range(3)))
        for command in commands:
            run(command + quality * command.startswith("screen") + " --fast --trim", tmp=tmp_path)
            said = capsys.readouterr().err
            assert ("leave it away for nanopore's" in said) == (quality == "+"), said
