"""What the studies of tuberculosis share: rules, thresholds that keep a specificity, rebuilt genes."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "nbs" / "studies"))

import tb  # noqa: E402
from harness import shared_data  # noqa: E402

from genomic_ulmfit.seq.errors import InputNotFoundError  # noqa: E402


@pytest.fixture
def here():
    try:
        shared_data("gwas/tb_who")
    except InputNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def small(monkeypatch):
    """A genome of 20 bases with a few variants."""
    rows = [("sub", 3, "G", "A"), ("del", 5, "ACG", "A"), ("ins", 10, "C", "CTT"), ("in del", 6, "C", "T")]
    table = pd.DataFrame(rows, columns=["name", "pos", "ref", "alt"]).set_index("name")
    monkeypatch.setattr(tb, "genome", lambda: "ACGTACGTACGTACGTACGT"[:4] + "ACGTACGTACGTACGT")
    monkeypatch.setattr(tb, "places", lambda: table)


def test_genes_are_rebuilt(small):
    assert tb.rebuilt([], 1, 8) == "ACGTACGT"
    assert tb.rebuilt(["sub"], 1, 8) == "ACATACGT" and tb.rebuilt(["sub"], 3, 4) == "AT"
    assert tb.rebuilt(["ins", "del", "sub"], 2, 12) == "CATA" + "TA" + "CTTGT", "in the order of places, not of names"
    assert tb.rebuilt(["del", "in del"], 1, 8) == "ACGTAT", "what lies in a deletion is gone"
    assert tb.rebuilt(["sub", "unknown"], 5, 8) == "ACGT", "outside, and without a place"
    assert tb.rebuilt(["del"], 1, 6) == "ACGTAC", "half outside"


def test_folds_are_of_a_size():
    isolates = np.r_[np.full(300, 10), np.ones(100)]
    fold = tb.in_folds(isolates, 4)
    held = np.bincount(fold, isolates)
    assert held.max() - held.min() <= 10 and (fold == tb.in_folds(isolates, 4)).all()
    assert (fold != tb.in_folds(isolates, 4, seed=1)).any()


def test_a_threshold_keeps_the_specificity():
    rng = np.random.default_rng(0)
    isolates = rng.integers(1, 50, 400)
    resistant = rng.binomial(isolates, rng.choice([0.02, 0.97], 400))
    answers = (resistant / isolates + rng.normal(0, 0.3, 400)).round(1)  # many are equal
    for wanted in (0.5, 0.9, 0.98, 1.0):
        threshold = tb.threshold_for(isolates, resistant, answers, wanted)
        sensitivity, specificity = tb.sensitivity_specificity(isolates, resistant, answers >= threshold)
        lower = answers[answers < threshold].max()
        assert specificity >= wanted
        assert tb.sensitivity_specificity(isolates, resistant, answers >= lower)[1] < wanted, "no lower one would do"
    by_hand = resistant[answers >= threshold].sum() / resistant.sum()
    assert sensitivity == by_hand
    assert tb.threshold_for(np.array([2]), np.array([0]), np.array([1.0]), 0.9) == np.inf


def test_rows_have_the_ratio_of_their_isolates():
    table = pd.DataFrame({"sequence": ["A", "C", "G"], "isolates": [100, 2, 1], "resistant": [25, 1, 1]})
    rows = tb.copies(table, 4).groupby("sequence")["label"].agg(["size", "sum"])
    assert rows["size"].tolist() == [4, 2, 1] and rows["sum"].tolist() == [1, 1, 1]


def test_changes_of_residues():
    assert tb.blosum("katG_p.Ser315Thr", "missense_variant") == 1 and tb.blosum("x_c.3T>C", "synonymous_variant") == 4
    assert tb.blosum("x_p.Trp5*", "stop_gained") == -8 and np.isnan(tb.blosum("rrs_n.1401A>G", "non_coding"))
    assert tb.rule("rifampicin", ["rpoB_p.Ser450Leu"]) and tb.rule("rifampicin", ["rpoB_p.Gln432_Phe433del"])
    assert not tb.rule("rifampicin", ["rpoB_p.Val170Phe", "rpoB_c.1350C>T"]) and not tb.rule("isoniazid", [])
    assert tb.rule("isoniazid", ["ahpC_c.1A>C", "inhA_c.-777C>T"])


def test_what_a_variant_changes_is_a_feature(monkeypatch):
    effects = {"katG_p.Ser315Thr": "missense_variant", "katG_p.Val1fs": "frameshift"}
    effects |= {"katG_p.Ala5=": "synonymous_variant"}
    monkeypatch.setattr(tb, "effects", lambda drug: effects)
    assert set(tb.features("isoniazid", list(effects), False)) == set(effects)
    found = set(tb.features("isoniazid", list(effects), True)) - set(effects)
    assert found == {"katG changed", "katG 315", "katG around 310", "katG broken"}


def test_names_of_both_editions(here):
    graded = tb.graded("rifampicin")
    assert "rpoB_p.Ser450Leu" in graded and "rpoB_c.3225T>C" not in graded
    assert {"katG_p.Ser315Thr", "inhA_c.-777C>T", "inhA_c.-770T>C"} <= tb.graded("isoniazid")
    assert {"rrs_n.1401A>G", "eis_c.-12C>T", "eis_c.-37G>T"} <= tb.graded("kanamycin")
    for drug in tb.DRUGS:
        assert np.mean([name in tb.places().index for name in tb.graded(drug)]) > 0.8, drug


def test_the_rules_have_their_known_figures(here):
    """Those of the data's README: the same isolates and variants."""
    for drug, known in {"rifampicin": (0.920, 0.980), "isoniazid": (0.869, 0.988)}.items():
        table = tb.genotypes(drug)
        called = np.array([tb.rule(drug, names) for names in table["names"]])
        found = tb.sensitivity_specificity(table["isolates"].to_numpy(), table["resistant"].to_numpy(), called)
        assert np.abs(np.array(found) - known).max() < 0.0006, found
    row = tb.places().loc["rpoB_p.Ser450Leu"]
    assert (row["pos"], row["ref"], row["alt"]) == (761_155, "C", "T")
    wild, mutant = (tb.sequence("rifampicin", names) for names in ([], ["rpoB_p.Ser450Leu"]))
    assert len(wild) == 27 + 111 + 27, "codon 450 is the 31st of the second window"
    assert [i for i in range(len(wild)) if wild[i] != mutant[i]] == [27 + 30 * 3 + 1]
    assert wild[27 + 90 : 27 + 93] == "TCG", "a serine"
    wild, mutant = (tb.sequence("isoniazid", names) for names in ([], ["katG_p.Ser315Thr", "inhA_c.-777C>T"]))
    assert len(wild) == 31 + 21 + 75 and wild[52 + 36 : 52 + 39] == "AGC" and mutant[52 + 36 : 52 + 39] == "ACC"
    assert [i for i in range(len(wild)) if wild[i] != mutant[i]] == [10, 52 + 37]
    assert tb.sequence("isoniazid", ["katG_deletion"]) == wild[:52]
