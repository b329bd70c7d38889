"""The alphabet end to end: a tiny protein language model and classifier; kinds of sequences that are mixed."""

import numpy as np
import pandas as pd
import pytest

from genomic_ulmfit.all import (
    DNA,
    PROTEIN,
    GenomeCorpus,
    GenomeLMDataLoaders,
    InputError,
    KmerTokenizer,
    Preset,
    ReadDataLoaders,
    Spans,
    genome_classifier_learner,
    genome_lm_learner,
    load_model,
    set_seed,
)

PRESET = Preset(16, 24, 2)
TOKENIZER = KmerTokenizer(1, 1, PROTEIN)


def simulate(seed, n, length=80):
    """Sequences with an order of their own: the letters of one half follow those of the other."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(len(PROTEIN)))
    return ["".join(rng.choice(list(PROTEIN.letters), length, p=weights)) for _ in range(n)]


@pytest.fixture(scope="module")
def table():
    """Two families, told apart by their composition."""
    parts = {"train": slice(0, 60), "valid": slice(60, 80), "test": slice(80, 100)}
    rows = [
        (sequence, family, split)
        for split, part in parts.items()
        for seed, family in enumerate(("kinase", "porin"))
        for sequence in simulate(seed, 100)[part]
    ]
    return pd.DataFrame(rows, columns=["sequence", "label", "split"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proteins")
    sequences = simulate(0, 90)
    for split, part in (("train", sequences[:60]), ("valid", sequences[60:])):
        records = (f">{split}{i} a protein\n{sequence}\n" for i, sequence in enumerate(part))
        (folder / f"{split}.faa").write_text("".join(records))
    files = pd.DataFrame({"file": ["train.faa", "valid.faa"], "split": ["train", "valid"]})
    return GenomeCorpus.build(files, folder / "corpus", base=folder, alphabet=PROTEIN)


@pytest.fixture(scope="module")
def language_model(corpus, tmp_path_factory):
    set_seed(0)
    dls = GenomeLMDataLoaders.from_corpus(corpus, tokenizer=TOKENIZER, bs=8, tokens=32, valid_batches=5)
    learn = genome_lm_learner(dls, PRESET)
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(2e-2, tokens=30_000, parts=1)
    return learn.to_model().save(tmp_path_factory.mktemp("models") / "lm")


def rows(seed, n):
    return simulate(seed, 300)[200 : 200 + n]


def test_corpus_knows_its_alphabet(corpus):
    again = GenomeCorpus(corpus.path)
    assert again.alphabet == PROTEIN and PROTEIN.decode(again.codes(0)) == simulate(0, 1)[0]


def test_language_model_learns_the_composition(corpus, language_model):
    model = load_model(language_model)
    assert model.tokenizer == TOKENIZER and model.alphabet == PROTEIN
    bits = model.bits_per_base(Spans.from_corpus(corpus, "valid"))
    frequencies = (
        np.bincount(np.concatenate([corpus.codes(i) for i in corpus.split("train").index]), minlength=20) / 4800
    )
    entropy = -(frequencies[frequencies > 0] * np.log2(frequencies[frequencies > 0])).sum()
    assert entropy - 0.3 < bits < np.log2(20) - 0.2, "near the entropy of the letters, which are independent"


def test_classifier_on_the_encoder(table, language_model, tmp_path):
    set_seed(0)
    dls = ReadDataLoaders.from_df(table, TOKENIZER, bs=20)
    learn = genome_classifier_learner(dls, pretrained=language_model)
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(1e-2, epochs=6)
    model = load_model(learn.to_model().save(tmp_path / "classifier"))
    assert model.stranded and model.classes == ["kinase", "porin"]
    probs = model.predict_proba([*rows(0, 30), *rows(1, 30)])
    assert (probs.argmax(1) == np.repeat([0, 1], 30)).mean() > 0.9
    low, other = model.predict_proba([rows(0, 1)[0].lower(), rows(0, 1)[0]])
    np.testing.assert_allclose(low, other, atol=1e-6)
    assert np.isfinite(model.predict_proba(["XXXXXX", "MKTBZJUO*", ""])).all()


def test_mixing_kinds_of_sequences_is_one_clear_error(corpus, language_model, table, tmp_path):
    with pytest.raises(InputError, match="holds proteins, but the tokenizer reads DNA"):
        GenomeLMDataLoaders.from_corpus(corpus, tokenizer=KmerTokenizer(3, 3))
    dna = pd.DataFrame({"sequence": ["ACGTACGT" * 5, "GGGTACGA" * 5], "label": ["a", "b"], "split": ["train", "valid"]})
    with pytest.raises(InputError, match="alphabet=PROTEIN"):
        dls = ReadDataLoaders.from_df(dna.assign(label="a"), KmerTokenizer(1, 1), bs=1)
        genome_classifier_learner(dls, pretrained=language_model)
    with pytest.raises(InputError, match="letter 'E'.*nucleotide"):
        ReadDataLoaders.from_df(table.assign(sequence="ME" + table["sequence"]), KmerTokenizer(3, 3))
    (tmp_path / "a.faa").write_text(">r1\nMKT1\n")
    with pytest.raises(InputError, match="amino-acid"):
        GenomeCorpus.build([tmp_path / "a.faa"], tmp_path / "c", alphabet=PROTEIN)


@pytest.mark.parametrize("alphabet, k, words", [(DNA, 8, 4**8), (PROTEIN, 3, 20**3)])
def test_the_vocabulary_is_the_limit(alphabet, k, words):
    assert KmerTokenizer(k, 1, alphabet).vocab_size == words + 3
    with pytest.raises(ValueError, match="words"):
        KmerTokenizer(k + 1, 1, alphabet)


def test_other_strand_is_asked_of_the_alphabet():
    assert DNA.decode(DNA.reverse_complement(DNA.encode("AACGTN"))) == "NACGTT"
    with pytest.raises(ValueError, match="strand"):
        PROTEIN.reverse_complement(PROTEIN.encode("MKT"))
