"""Damaged inputs of every format are handled or refused in one line; `scripts/fuzz.py` goes on as long as asked."""

import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import fuzz


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    fuzz.make_files(folder)
    return folder


@pytest.mark.filterwarnings("ignore")
def test_damaged_inputs_are_handled_or_refused_in_one_line(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts, bad = fuzz.fuzz(folder, seconds=120, seed=0, most=5_000)
    assert not bad, bad[:3]
    assert counts.total() > 1_000 and all(counts[name, "refused"] for name in fuzz.READERS), counts


def test_the_whole_files_are_read(folder):
    for name, reader in fuzz.READERS.items():
        assert fuzz.outcome(reader, folder / name) == "handled", name


def test_the_fuzzer_sees_a_traceback(folder, monkeypatch):
    def broken(path):
        raise KeyError("lost")

    monkeypatch.setitem(fuzz.READERS, "a.fa", broken)
    monkeypatch.setattr(fuzz, "READERS", {"a.fa": broken})
    _, bad = fuzz.fuzz(folder, seconds=5, seed=0, most=3)
    assert [ended for _, ended, _ in bad] == ["KeyError"] * 3
