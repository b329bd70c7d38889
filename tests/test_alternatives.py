"""What the study of alternatives measures by: samples, shares, F1, costs; on simulated genomes and made-up reports."""

import sys
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "nbs" / "studies"))

import alternatives  # noqa: E402
import harness  # noqa: E402
import taxa_data  # noqa: E402

from genomic_ulmfit.seq.records import read_sequences  # noqa: E402


@pytest.fixture
def corpus():
    """Genomes of one letter each, so that a read tells where it is from; two species are in the test part only."""
    rows = pd.DataFrame(
        {
            "file": ["a.fa", "b.fa", "c.fa", "d.fa", "e.fa"],
            "species": ["A one", "B one", "B two", "A one", "A two"],
            "genus": ["A", "B", "B", "A", "A"],
            "split": ["test", "test", "test", "train", "train"],
            "start": [0, 1_000, 2_000, 3_000, 3_000],
            "length": 1_000,
        }
    )
    bases = np.repeat(np.arange(4, dtype=np.uint8), 1_000)
    return SimpleNamespace(bases=bases, split=lambda name: rows[rows["split"] == name])


def test_a_sample_holds_what_its_truth_says(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(alternatives, "PLACE", tmp_path)
    monkeypatch.setattr(alternatives, "READS", 2_000)
    file, truth = alternatives.mixed_sample(corpus, ("test",), 0, 3)
    reads = [np.bincount(record.codes, minlength=4).argmax() for record in read_sequences(file)]
    share = np.bincount(reads, minlength=4) / len(reads)
    assert len(reads) == 2_000 and share[3] == 0, "nothing of the training genome"
    assert truth["genus"]["A"] == pytest.approx(share[0])
    assert truth["genus"]["B"] == pytest.approx(share[1] + share[2])
    assert truth["species"].to_dict() == pytest.approx({"A one": share[0]}), "the others are in no training genome"
    again, same = alternatives.mixed_sample(corpus, ("test",), 0, 3)
    assert again == file and same["genus"].equals(truth["genus"])


def test_shares_of_a_report(tmp_path, monkeypatch):
    monkeypatch.setattr(alternatives, "READS", 200)
    rows = [(50, 100, 100, "U", 0, "unclassified"), (50, 100, 0, "R", 1, "root"), (50, 100, 10, "G", 5, "  Vibrio")]
    rows += [(45, 90, 90, "S", 6, "    Vibrio cholerae")]
    (tmp_path / "r.kreport").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    shares = alternatives.shares_of_report(tmp_path / "r.kreport")
    assert shares["genus"].to_dict() == {"Vibrio": 0.5} and shares["species"].to_dict() == {"Vibrio cholerae": 0.45}


def test_f1_and_the_least_share():
    truth = pd.Series({"a": 0.6, "b": 0.4})
    found = pd.Series({"a": 0.5, "b": 0.3, "c": 0.001})
    assert alternatives.f1_of(found, truth, 0.01) == 1
    assert alternatives.f1_of(found, truth, 1e-5) == pytest.approx(4 / 5), "c is called, too"
    assert alternatives.f1_of(found, truth, 0.4) == pytest.approx(2 / 3), "b is missed"
    assert alternatives.f1_of(found[:0], truth, 0.01) == 0
    assert 0.001 < alternatives.least_share([found], [truth]) < 0.3


def test_overlap_of_shares():
    truth = pd.Series({"a": 0.5, "b": 0.5})
    overlap = alternatives.overlap_of_shares
    assert overlap(truth / 3, truth) == pytest.approx(1), "of what is called"
    assert overlap(pd.Series({"a": 1.0}), truth) == 0.5 and overlap(pd.Series({"c": 1.0}), truth) == 0


def test_sourmash_is_asked_and_heard(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(alternatives, "PLACE", tmp_path)
    asked = []

    def process_cost(*command):
        asked.append([str(word) for word in command])
        if command[1] == "gather":
            gathered = pd.DataFrame({"name": ["A one", "A two", "A one"], "f_unique_weighted": [0.1, 0.4, 0.25]})
            gathered.to_csv(tmp_path / "gather.csv")
        return 2.0, 100.0

    monkeypatch.setattr(alternatives, "process_cost", process_cost)
    corpus.codes = lambda i: corpus.bases[3_000:]
    found = alternatives.by_sourmash(corpus, tmp_path / "x.fa", 21, 100)
    assert found["species"].to_dict() == {"A one": 0.35, "A two": 0.4} and found["genus"].to_dict() == {"A": 0.75}
    assert found["seconds"] == 4 and found["MB"] == 100
    assert [words[:2] for words in asked] == [["sourmash", "sketch"], ["sourmash", "sketch"], ["sourmash", "gather"]]
    assert "k=21,scaled=100,abund" in asked[1] and (tmp_path / "genomes/0.fa").read_text().startswith(">A one\nTTT")


def test_the_cost_of_a_process():
    took, memory = harness.process_cost(sys.executable, "-c", "x = bytearray(150_000_000)")
    assert 0 < took < 60 and 150 < memory < 400
    with pytest.raises(RuntimeError, match="no such thing"):
        harness.process_cost(sys.executable, "-c", "raise SystemExit('no such thing')")


def test_reads_of_genera_come_equally_often(corpus):
    reads, species, genus = taxa_data.genus_reads(corpus, "test", 50, 40)
    assert (genus == "A").sum() == 20 and set(species[genus == "B"]) == {"B one", "B two"}
    assert (reads == np.array([["A one", "B one", "B two"].index(name) for name in species])[:, None]).all()
    assert taxa_data.mean_over_genera([True, False, True, True, True], np.array([0, 0, 1, 1, 1])) == 0.75


def test_sizes(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a").write_bytes(bytes(2_000_000))
    (tmp_path / "b").write_bytes(bytes(500_000))
    assert alternatives.size_of(tmp_path / "folder", tmp_path / "b") == 2.5
    needed = ["xopen", "isal", "zlib-ng", *(["backports.zstd"] if sys.version_info < (3, 14) else [])]  # and no pytest
    files = [file.locate() for name in needed for file in distribution(name).files]
    whole = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    assert alternatives.installed_size("xopen") == pytest.approx(whole) and whole > 0.5


def test_fastai_reads_words_of_six_letters():
    assert alternatives.as_text("ACGTACGTACGTAC") == "acgtac gtacgt"
    rng = np.random.default_rng(0)
    sequence = lambda p: "".join(rng.choice(list("ACGT"), 24, p=p))
    rows = [(sequence([0.4, 0.1, 0.1, 0.4]), "promoter") for _ in range(70)]
    table = pd.DataFrame([*rows, *((sequence([0.25] * 4), "other") for _ in range(70))], columns=["sequence", "label"])
    found = alternatives.stock_fastai(table, harness.random_split(table, 0), 0, 1, 5e-3)
    assert found["n"] == 21 and 0 <= found["accuracy"] <= 1 and found["weights"] > 2e7


def test_the_shape_of_dnabert_has_its_weights():
    assert sum(p.numel() for p in alternatives.DnabertShape().parameters()) == pytest.approx(117e6, rel=0.01)
