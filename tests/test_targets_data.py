"""Data sets of the studies of targets: no group and no sequence is on two sides, and what is dropped is counted."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from Bio.Seq import reverse_complement

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "nbs" / "studies"))

import targets_data as data  # noqa: E402
from harness import shared_data  # noqa: E402

from genomic_ulmfit.seq.errors import InputNotFoundError  # noqa: E402

SETS = {
    "ecoli_tss": (data.ecoli_tss, 13_118 + 4_549),
    "lac_promoter": (data.lac_promoter, 50_518),
    "yeast": (data.yeast, 2_954 + 2_983 + 3_733 + 3_782 - 3_727),
    "yeast, both media": (lambda: data.yeast(media=True), 3_733 + 3_782 - 3_727),
    "resfinder, random": (lambda: data.resfinder("random"), 3_206),
    "resfinder, families": (data.resfinder, 3_206),
    "RNA binding, QKI": (lambda: data.rna_binding(["QKI"]), 40_000),
    "Cas9": (lambda: data.cas9("CD5"), 5_310),
}


@pytest.fixture
def here():
    try:
        shared_data("expression")
    except InputNotFoundError as error:
        pytest.skip(str(error))


def test_rows_are_joined_through_others():
    groups = data.joined(["a", "b", "c", "d", np.nan, np.nan], [1, 1, 2, 3, 3, 4])
    assert pd.factorize(groups)[0].tolist() == [0, 0, 1, 2, 2, 3]


def test_overlaps_are_chained():
    found = data.overlapping([1, 1, 1, 2, 1], [100, 0, 50, 50, 200], [150, 60, 101, 90, 260])
    assert pd.factorize(found)[0].tolist() == [0, 0, 0, 1, 2], "0-60-101-150 is one, an end is no part"


def test_held_out_groups_are_whole():
    groups = np.random.default_rng(0).integers(0, 50, 1000)
    chosen = data.held_out(groups, 0.2, seed=0)
    assert not set(groups[chosen]) & set(groups[~chosen]) and 0.2 <= chosen.mean() < 0.25
    assert (data.held_out(groups, 0.2, seed=0) == chosen).all() and (data.held_out(groups, 0.2, 1) != chosen).any()
    folds = np.stack([data.held_out(groups, 0.2, 0, number) for number in range(5)])
    assert (folds.sum(0) == 1).all() and (folds[0] == chosen).all() and (folds.mean(1) > 0.1).all()


@pytest.mark.parametrize("column", ["group", "sequence"])
def test_a_leak_is_refused(column):
    table = pd.DataFrame({"sequence": ["AAC", "ACC", "AGC"], "group": [0, 1, 2], "split": ["train", "valid", "test"]})
    assert len(data.described(table.assign(y=0.0), {"y": "real"})) == 3
    table.loc[2, column] = {"group": 0, "sequence": reverse_complement("AAC")}[column]
    with pytest.raises(AssertionError, match="on two sides"):
        data.described(table.assign(y=0.0), {"y": "real"})
    if column == "group":
        kept, dropped = data.without_tested(table)
        assert (kept["split"].tolist(), dropped) == (["valid", "test"], 1)


@pytest.mark.parametrize("name", SETS)
def test_sides_are_apart(name, here):
    make, rows = SETS[name]
    table = make()
    assert len(table) + sum(table.attrs["dropped"].values()) == rows
    parts = {split: part for split, part in table.groupby("split")}
    assert set(parts) == {"train", "valid", "test"}
    for one, other in (("train", "test"), ("valid", "test"), ("train", "valid")):
        assert not set(parts[one]["group"]) & set(parts[other]["group"])
        learned = set(parts[one]["sequence"])
        assert not learned & {*parts[other]["sequence"], *map(reverse_complement, parts[other]["sequence"])}
    targets = table[table.attrs["targets"]]
    assert targets.notna().any(axis=1).all() and np.isfinite(targets.to_numpy(float)[targets.notna()]).all()
    binary = [target for target, kind in table.attrs["kinds"].items() if kind == "binary"]
    assert targets[binary].stack().isin([0, 1]).all()


def test_a_window_of_two_experiments_is_one_row(here):
    table = data.rna_binding(["PUM2", "QKI"])
    both = table[["PUM2", "QKI"]].notna().all(axis=1)
    assert both.sum() > 10 and not table.duplicated(["chromosome", "start"]).any()
    assert (table["split"] == "test").sum() == 20_000 - (both & (table["split"] == "test")).sum()
    place = table.sort_values(["chromosome", "start"])
    touching = (place["chromosome"] == place["chromosome"].shift()) & (place["start"] < place["end"].shift())
    assert touching.any() and (place["group"] == place["group"].shift())[touching].all(), "overlaps are a group"


def test_cas9_leaves_each_gene_out_once(here):
    genes = data.cas9_genes()
    assert len(genes) == 17 and all(set(data.cas9(g).query("split == 'test'")["group"]) == {g} for g in genes[:3])
