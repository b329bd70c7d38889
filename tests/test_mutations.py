"""Mutants of one protein: how they are read, and what a language model says of them."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from commands import fails, run

from genomic_ulmfit.all import (
    DNA,
    PROTEIN,
    InputError,
    KmerTokenizer,
    LanguageModel,
    Preset,
    letter_log_probs,
    log_likelihoods,
    mutant_sequences,
    score_mutations,
)
from genomic_ulmfit.model.config import ModelConfig
from genomic_ulmfit.nets.awdlstm import language_model

WILD = "MKVLAAGWYTRDE"


def untrained(k=1, stride=1, alphabet=PROTEIN):
    torch.manual_seed(0)
    tokenizer, micro = KmerTokenizer(k, stride, alphabet), Preset(8, 12, 2)
    return LanguageModel(language_model(tokenizer, micro), ModelConfig(micro, tokenizer))


@pytest.fixture(scope="module")
def lm():
    return untrained()


def mutants(*texts):
    return pd.DataFrame({"mutant": texts})


def llr(lm, *texts, wild_type=WILD, **how):
    return score_mutations(lm, wild_type, mutants(*texts), **how).table["llr"].to_numpy()


def drawn(seed, n, wild_type=WILD, letters=PROTEIN.letters[: PROTEIN.n_parts]):
    """Mutants of one to four changes."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        places = rng.choice(len(wild_type), rng.integers(1, 5), replace=False)
        rows.append(":".join(f"{wild_type[place]}{place + 1}{rng.choice(list(letters))}" for place in places))
    return rows


def test_what_changes_nothing_is_exactly_zero(lm):
    assert llr(lm, "", "WT", "wt", "K2K", "A5A:V3V", None).tolist() == [0.0] * 6


def test_order_case_and_separators_do_not_matter(lm):
    found = llr(lm, "K2R:W8A", "W8A:K2R", "k2r,w8a", "W8A K2R", " K2R; W8A ", "K2R:W8A:V3V")
    assert len(set(found)) == 1 and found[0] != 0


def test_whole_sequences_say_the_same(lm):
    rows = drawn(0, 60)
    whole = log_likelihoods(lm, mutant_sequences(WILD, mutants(*rows)))
    np.testing.assert_allclose(llr(lm, *rows), whole - log_likelihoods(lm, [WILD])[0], atol=1e-4)
    by_hand = [letter_log_probs(lm, PROTEIN.encode(row)[None]).sum() for row in mutant_sequences(WILD, mutants(*rows))]
    np.testing.assert_allclose(whole, by_hand, rtol=1e-5)


def test_a_batch_is_as_one_by_one(lm):
    rows = drawn(1, 300)
    together = llr(lm, *rows)
    alone = [llr(lm, row)[0] for row in rows[:25]]
    np.testing.assert_allclose(together[:25], alone, atol=1e-4)


@pytest.mark.parametrize("k, stride", [(3, 3), (3, 1), (2, 1)])
def test_dna_is_read_on_both_strands_and_in_all_phases(k, stride):
    model = untrained(k, stride, DNA)
    wild_type = DNA.decode(np.random.default_rng(0).integers(0, 4, 1_600).astype(np.uint8))  # more than a window
    rows = drawn(2, 12, wild_type, "ACGT")
    sequences = mutant_sequences(wild_type, mutants(*rows), alphabet=DNA)
    whole = log_likelihoods(model, [*sequences, wild_type])
    np.testing.assert_allclose(llr(model, *rows, wild_type=wild_type), whole[:-1] - whole[-1], atol=2e-3)
    other = log_likelihoods(model, [DNA.decode(DNA.reverse_complement(DNA.encode(row))) for row in sequences])
    np.testing.assert_allclose(other, whole[:-1], rtol=1e-6)


def test_places_are_counted_from_the_offset(lm):
    expected = llr(lm, "K2R", "E13D")
    assert (llr(lm, "K1R", "E12D", offset=-1) == expected).all()
    assert (llr(lm, "K102R", "E113D", offset=100) == expected).all()
    with pytest.raises(InputError, match="places 101 to 113"):
        llr(lm, "K2R", offset=100)


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ("R2K", "'R2K' changes R, but the wild type has K there"),
        ("E14D", "'E14D' lies outside the wild type, which has the places 1 to 13"),
        ("M0K", "lies outside"),
        ("K2X", "changes into X, which is none of ACDEF"),
        ("K2B", "changes into B"),
        ("K2R:K2A", "changes the place 2 twice"),
        ("Lys2Arg", "is no change such as A42G"),
        ("K2", "is no change such as A42G"),
        ("K2del", "is no change"),
    ],
)
def test_a_wrong_change_names_its_row(lm, wrong, problem):
    with pytest.raises(InputError, match=problem) as error:
        score_mutations(lm, WILD, mutants("K2R", "WT", f"K2R:{wrong}" if wrong == "R2K" else wrong, "K2A"))
    assert error.value.record == "row 3"


def test_a_stop_has_no_score(lm):
    scores = score_mutations(lm, WILD + "*", mutants("K2*", "K2R:W8*", "K2R"))
    assert scores.counts() == {"stop": 2, "ok": 1}
    assert scores.table["llr"].isna().tolist() == [True, True, False]
    assert mutant_sequences(WILD, mutants("K2*")) == ["M*" + WILD[2:]]
    with pytest.raises(InputError, match="none of ACGT|is not a nucleotide"):
        score_mutations(untrained(3, 3, DNA), "ACGTACGT", mutants("A1*"))


def test_an_unknown_letter_of_the_wild_type_cannot_be_changed(lm):
    with pytest.raises(InputError, match="the wild type has X there"):
        score_mutations(lm, "MKX", mutants("X3A"))
    assert np.isfinite(llr(lm, "K2A", wild_type="MKXAA")).all()


def test_the_table_keeps_its_rows_and_columns(lm):
    table = mutants("K2R", "", "K2R").assign(score=[3, 1, 2]).set_index(pd.Index([5, 7, 9]))
    found = score_mutations(lm, WILD, table).table
    assert found.index.tolist() == [5, 7, 9] and found["score"].tolist() == [3, 1, 2]
    assert found["changes"].tolist() == [1, 0, 1] and found["llr"].iloc[0] == found["llr"].iloc[2]
    with pytest.raises(InputError, match="has a column 'changes' already"):
        score_mutations(lm, WILD, found)
    with pytest.raises(InputError, match="has no column 'mutant'"):
        score_mutations(lm, WILD, table.rename(columns={"mutant": "variant"}))


def test_a_predictor_has_no_likelihood(models):
    with pytest.raises(InputError, match="is a predictor"):
        score_mutations(models / "clf", "ACGTACGT", mutants("A1C"))


def test_a_wild_type_of_other_letters_is_one_clear_error(lm):
    with pytest.raises(InputError, match="the wild type: letter '1'"):
        score_mutations(lm, "MK1", mutants("K2R"))
    with pytest.raises(InputError, match="has no residues"):
        score_mutations(lm, "", mutants("K2R"))


def test_the_command(lm, tmp_path, capsys):
    lm.save(tmp_path / "lm")
    (tmp_path / "wt.fa").write_text(f">wt\n{WILD}\n")
    pd.DataFrame({"variant": ["K1R", "K1R,V2A", "K1*"], "id": [1, 2, 3]}).to_csv(tmp_path / "t.csv", index=False)
    command = "mutations {tmp}/lm {tmp}/wt.fa {tmp}/t.csv --column variant"
    run(f"{command} --offset -1 --out {{tmp}}/x.tsv --json {{tmp}}/x.json", tmp=tmp_path)
    found = pd.read_csv(tmp_path / "x.tsv", sep="\t")
    assert list(found) == ["variant", "id", "changes", "llr", "status"]
    np.testing.assert_allclose(found["llr"][:2], llr(lm, "K2R", "K2R:V3A"), atol=1e-4)
    assert json.loads((tmp_path / "x.json").read_text())["rows"] == {"ok": 2, "stop": 1}
    capsys.readouterr()
    said = ("row 1", "the wild type has M there", "t.csv")
    fails(capsys, f"{command} --out {{tmp}}/y.tsv", names=said, tmp=tmp_path)
    assert not (tmp_path / "y.tsv").exists()
