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
        counts, bad = fuzz.fuzz(folder, seconds=60, seed=0, most=5_000)
    assert not bad, bad[:3]
    assert counts.total() > 500 and all(counts[name, "refused"] for name in fuzz.READERS), counts


def test_the_whole_files_are_read(folder):
    for name, reader in (fuzz.READERS | fuzz.COMMANDS).items():
        assert fuzz.outcome(reader, folder / fuzz.file_of(name)) == "handled", name


def broken(path):
    raise KeyError("lost")


def hungry(path):
    return (len(bytearray(2 * fuzz.MEMORY)),)


def forgetful(path):
    records, letters = fuzz.read_records(path)
    return records - 1, letters


def wordy(path):
    raise fuzz.InputError(path, "is\nwrong", "Mend it")


@pytest.mark.parametrize(
    "reader, ended",
    [(broken, "KeyError"), (hungry, "more than 1 GB"), (forgetful, "lost in silence"), (wordy, "more than a line")],
)
def test_the_fuzzer_sees_what_is_wrong(folder, monkeypatch, reader, ended):
    monkeypatch.setattr(fuzz, "READERS", {"a.fa": reader})
    monkeypatch.setattr(fuzz, "COMMANDS", {"a.fa": reader})
    counts, bad = fuzz.fuzz(folder, seconds=60, seed=0, most=20)
    assert {end for _, end, _ in bad} == {ended}
    whole = fuzz.table_of(counts).loc["all"]
    assert whole["tried"] == 20 and whole["handled"] == 0


def test_a_slow_reader_hangs(folder, monkeypatch):
    monkeypatch.setattr(fuzz, "SLOW", -1)
    assert fuzz.outcome(fuzz.read_records, folder / "a.fa") == "hang"
