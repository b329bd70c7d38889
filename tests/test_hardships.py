"""Kills, full disks and two runs at once, a few of each; `scripts/hardships.py` tries every command, many times."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import hardships


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return hardships.make_inputs(tmp_path_factory.mktemp("hardships"))


def whole(counts):
    return not any("NOT WHOLE" in cell for row in counts for cell in row)


def test_killed_runs_leave_whole_outputs_or_none(places, tmp_path):
    counts = hardships.kills(places, tmp_path, times=2, seed=1, names=["corpus build --out"])
    assert counts.total() == 2 and whole(counts), counts


def test_two_runs_at_once_leave_one_whole_output(places, tmp_path):
    counts = hardships.pairs(places, tmp_path, ["train --out", "predict --out"])
    assert counts.total() == 2 and whole(counts), counts
    assert any("refused" in row for row in counts), "a folder has one writer"


def test_a_disk_without_room_is_said_in_a_line(places, tmp_path):
    counts = hardships.disks(places, tmp_path, ["train --out", "merge --out"], hardships.no_room)
    assert counts.total() == 2 and whole(counts), counts


def test_what_is_not_whole_is_seen(places, tmp_path):
    cut = tmp_path / "cut.tsv"
    cut.write_text("id\tlabel\tconfidence\n")
    assert hardships.state("predict --out", cut).startswith("NOT WHOLE")
    assert hardships.state("corpus build --out", tmp_path).startswith("NOT WHOLE: ")
    assert hardships.state("predict --out", tmp_path / "none") == "absent"
