"""Interpretation: changes beside the long way, tangermeme and captum on our models, tracks, sites, commands."""

import copy
import subprocess
import sys
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch
from commands import fails, run
from conftest import simulate

from genomic_ulmfit.all import (
    DNA,
    PROTEIN,
    GenomeLMDataLoaders,
    InputError,
    KmerTokenizer,
    Placed,
    Preset,
    Wide,
    as_onehot,
    dependency_map,
    genome_lm_learner,
    integrated_gradients,
    interpret_file,
    load_model,
    plot_region,
    saturation,
    score_variants,
    set_seed,
    write_track,
)
from genomic_ulmfit.model.config import ModelConfig, PredictorConfig
from genomic_ulmfit.model.likelihood import letter_log_probs
from genomic_ulmfit.model.model import LanguageModel, Predictor
from genomic_ulmfit.nets.awdlstm import AWDLSTM, language_model
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.tasks import tracks
from genomic_ulmfit.tasks.motifs import find_seqlets, read_motifs
from genomic_ulmfit.tasks.onehot import one_hot
from genomic_ulmfit.text.kmers import SPECIALS
from genomic_ulmfit.text.targets import Targets
from genomic_ulmfit.text.task import Classes

MICRO = Preset(8, 12, 2)


@pytest.fixture(scope="module")
def loaded(models):
    return {name: load_model(models / name, "cpu") for name in ("lm", "clf")}


def edited(codes, place, letter):
    other = codes.copy()
    other[place] = letter
    return other


def likelihood(lm, codes) -> float:
    """The mean over strands and phases, of one window."""
    strands = (codes, DNA.reverse_complement(codes))
    rows = [strand[None, phase:] for strand in strands for phase in range(lm.tokenizer.stride)]
    return float(np.mean([np.nansum(letter_log_probs(lm, row), dtype=np.float64) for row in rows]))


def answers(model, sequences) -> np.ndarray:
    if isinstance(model, LanguageModel):
        return np.array([[likelihood(model, codes)] for codes in sequences])
    return model.predict(sequences, exact=True).values


# ---------------------------------------------------------------- saturation


@pytest.mark.parametrize("name", ["lm", "clf"])
@pytest.mark.parametrize("length", [9, 50, 77])
def test_each_cell_is_the_answer_for_the_edited_sequence(loaded, name, length):
    model, codes = loaded[name], simulate("Alpha", length, length)
    found = saturation(model, codes)
    rows = [edited(codes, place, letter) for place in range(length) for letter in range(4)]
    expected = answers(model, rows).reshape(length, 4, -1) - answers(model, [codes])
    same = np.arange(4) == codes[:, None]
    assert np.isnan(found.delta[same]).all() and np.abs(found.delta - expected)[~same].max() < 1e-5
    assert np.abs(found.ref - answers(model, [codes])[0]).max() < 1e-4
    by_hand = -np.where(same[..., None], 0, expected).sum(1) / 3
    assert np.abs(found.importance() - by_hand).max() < 1e-5


@pytest.mark.parametrize("name", ["lm", "clf"])
def test_the_part_before_an_edit_is_not_read_again(loaded, name, monkeypatch):
    """Tokens that go through the encoder, beside those of all edited sequences in all views: little more than half."""
    model, codes, read = loaded[name], simulate("Beta", 1, 120), []
    embed = AWDLSTM.embed
    monkeypatch.setattr(AWDLSTM, "embed", lambda self, ids: (read.append(ids.numel()), embed(self, ids))[1])
    saturation(model, codes)
    of_all = 3 * len(codes) * 2 * 2 * (1 + model.tokenizer.n_tokens(len(codes)))
    assert 0.45 * of_all < sum(read) < 0.6 * of_all


def test_windows_strands_and_phases(loaded):
    """A sequence of several windows; one strand, one phase; a stretch only; unknown letters."""
    model, codes = loaded["clf"], simulate("Alpha", 3, 2 * loaded["clf"].read_length + 60)
    codes[5] = DNA.unknown
    how = {"both_strands": False, "phases": 1}
    found = saturation(model, codes, 3, 8, **how)
    asked = ~np.isnan(found.delta[..., 0])
    assert asked.any(1).nonzero()[0].tolist() == [3, 4, 6, 7]
    for place, letter in np.argwhere(asked):
        expected = model.predict([edited(codes, place, letter), codes], exact=True, **how).values
        assert np.abs(found.delta[place, letter] - expected[0] + expected[1]).max() < 1e-6


@pytest.mark.parametrize("memory", [{"wide": Wide((3, 4), 64, 4)}, {"placed": Placed(40, (2, 3))}])
def test_words_beside_the_encoder(memory):
    torch.manual_seed(0)
    tokenizer = KmerTokenizer(4, 3)
    config = PredictorConfig(MICRO, tokenizer, Classes(["a", "b"]), read_length=40, **memory)
    model = Predictor(Predictor.network(config), config)
    for branch in model.model.memories():
        branch.table.data.normal_()
    codes = simulate("Alpha", 4, 40)
    found = saturation(model, codes)
    expected = model.predict([edited(codes, 20, 1), codes], exact=True).values
    if codes[20] != 1:
        assert np.abs(found.delta[20, 1] - expected[0] + expected[1]).max() < 1e-6
    x = one_hot(codes[None], DNA)
    assert np.abs(as_onehot(model)(x).detach().numpy() - expected[1]).max() < 1e-6
    with pytest.raises(InputError, match="remembers words beside its encoder"):
        as_onehot(model)(x.requires_grad_())
    with pytest.raises(InputError, match="remembers words beside its encoder"):
        integrated_gradients(model, codes)


@pytest.mark.parametrize("k, stride", [(1, 1), (2, 1), (3, 3)])
def test_proteins(k, stride):
    torch.manual_seed(0)
    tokenizer = KmerTokenizer(k, stride, PROTEIN)
    network = classifier(tokenizer, MICRO, 2)
    model = Predictor(network, PredictorConfig(MICRO, tokenizer, Classes(["a", "b"])))
    text = "MKVLAXWRSTMKV"
    found = saturation(model, text)
    expected = model.predict(["MKVLCXWRSTMKV", text], exact=True).values
    assert found.delta.shape == (13, 20, 2) and np.isnan(found.delta[5]).all()
    assert np.abs(found.delta[4, 1] - expected[0] + expected[1]).max() < 1e-6
    with pytest.raises(ValueError, match="is not an amino-acid code"):
        saturation(model, "MK1")


@pytest.mark.parametrize(
    "how, problem",
    [
        ({"sequence": "AC"}, "has 2 bases, fewer than a word of 3"),
        ({"sequence": "ACGTACGT", "start": -1}, "is -1 to 8 of 8 bases"),
        ({"sequence": "ACGTACGT", "end": 9}, "is 0 to 9 of 8 bases"),
        ({"sequence": "ACGTACGT", "targets": ["x"]}, "unknown names: x"),
    ],
)
def test_what_cannot_be_changed_is_said(loaded, how, problem):
    for model in loaded.values():
        with pytest.raises(InputError, match=problem):
            saturation(model, **how)


def test_a_cell_is_the_score_of_the_variant(loaded):
    """In the middle of a contig, where all views see the letter, with all that follows counted."""
    codes = simulate("Beta", 5, 90)
    rows = [(place, letter) for place in (20, 33, 60) for letter in range(4) if letter != codes[place]]
    columns = {"chrom": "c", "pos": [p + 1 for p, _ in rows], "ref": [DNA.letters[codes[p]] for p, _ in rows]}
    table = pd.DataFrame({**columns, "alt": [DNA.letters[letter] for _, letter in rows]})
    place, letter = np.array(rows).T
    ratios = score_variants(loaded["lm"], {"c": codes}, table, window=5 * 90).llr
    assert np.abs(saturation(loaded["lm"], codes).delta[place, letter, 0] - ratios).max() < 1e-5
    scores = score_variants(loaded["clf"], {"c": codes}, table, window=90)
    assert np.abs(saturation(loaded["clf"], codes).delta[place, letter] - (scores.alt - scores.ref)).max() < 1e-5


# ---------------------------------------------------------------- tangermeme and captum

tangermeme = pytest.importorskip("tangermeme")


@pytest.fixture(scope="module")
def sequences():
    return np.stack([simulate("Alpha" if i % 2 else "Beta", i, 60) for i in range(3)])


@pytest.mark.parametrize("name", ["lm", "clf"])
def test_tangermeme_saturates_as_we_do(loaded, name, sequences):
    """Theirs is a difference of two float32 sums of up to 100 nats, each true to 8e-6 at best."""
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    x = one_hot(sequences, DNA)
    y0, y_hat = saturation_mutagenesis(as_onehot(loaded[name]), x, raw_outputs=True, device="cpu")
    for codes, before, after in zip(sequences, y0, y_hat):
        ours = saturation(loaded[name], codes)
        theirs = (after - before).permute(1, 0, 2).numpy()
        asked = ~np.isnan(ours.delta)
        assert np.abs(ours.ref - before.numpy()).max() < 1e-4
        assert np.abs(ours.delta - theirs)[asked].max() < 1e-4


@pytest.mark.parametrize("name", ["lm", "clf"])
def test_tangermeme_asks_our_models(loaded, name, sequences):
    """marginalize, ablate, space and substitution_effect answer what our model says of the sequences they make."""
    from tangermeme.ablate import ablate
    from tangermeme.ersatz import shuffle
    from tangermeme.marginalize import marginalize
    from tangermeme.space import space
    from tangermeme.variant_effect import substitution_effect

    model, x = loaded[name], one_hot(sequences, DNA)
    module = as_onehot(model)
    before, after = marginalize(module, x, "TATAAT", start=20, device="cpu")
    put = sequences.copy()
    put[:, 20:26] = DNA.encode("TATAAT")
    np.testing.assert_allclose(before, answers(model, sequences), atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(after, answers(model, put), atol=1e-5, rtol=1e-5)

    changes = torch.tensor([[0, 7, 2], [1, 9, 0], [2, 11, 3]])
    _, substituted = substitution_effect(module, x, changes, device="cpu")
    rows = [edited(codes, place, letter) for codes, (_, place, letter) in zip(sequences, changes.tolist())]
    np.testing.assert_allclose(substituted, answers(model, rows), atol=1e-5, rtol=1e-5)

    spaced = space(module, x, ["TTGACA", "TATAAT"], torch.tensor([[3], [5]]), start=10, device="cpu")
    for number, gap in enumerate((3, 5)):
        rows = sequences.copy()
        rows[:, 10:16] = DNA.encode("TTGACA")
        rows[:, 16 + gap : 22 + gap] = DNA.encode("TATAAT")
        found = spaced[1][:, number] if spaced[1].shape[0] == len(x) else spaced[1][number]
        np.testing.assert_allclose(found, answers(model, rows), atol=1e-5, rtol=1e-5)

    made = []

    def kept(*args, **kwargs):
        made.append(shuffle(*args, **kwargs))
        return made[-1]

    y, shuffled = ablate(module, x, 20, 30, n=4, random_state=0, device="cpu", shuffle_fn=kept)
    rows = torch.cat(made).reshape(-1, 4, 60).argmax(1).numpy().astype(np.uint8)
    np.testing.assert_allclose(y, answers(model, sequences), atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(shuffled.flatten(0, 1), answers(model, rows), atol=1e-5, rtol=1e-5)


def test_captum_on_letters_is_complete(loaded, sequences):
    """Integrated gradients of the module itself: the sum over letters is the answer less that for unknown letters."""
    captum = pytest.importorskip("captum.attr")
    x = one_hot(sequences[:1], DNA)
    module = as_onehot(loaded["clf"])
    found = captum.IntegratedGradients(module).attribute(x, torch.zeros_like(x), target=1, n_steps=200)
    with torch.no_grad():
        difference = (module(x) - module(torch.zeros_like(x)))[0, 1]
    assert abs(found.sum() - difference) < 0.02 * found.abs().sum() + 1e-3


def test_integrated_gradients_are_complete(loaded, sequences):
    found = integrated_gradients(loaded["clf"], sequences[0], steps=100)
    missed = found.ref - found.baseline - found.values.sum(0)
    assert np.abs(missed - found.error).max() < 1e-4
    assert np.abs(found.error).max() < 0.02 * np.abs(found.values).sum(0).max()
    assert found.values.shape == (60, 2) and found.names == loaded["clf"].task.names
    with pytest.raises(InputError, match="is a language model"):
        integrated_gradients(loaded["lm"], sequences[0])


@pytest.fixture(scope="module")
def paired():
    """Two targets that are each other's on the other strand; of single letters."""
    torch.manual_seed(0)
    table = pd.DataFrame({"forward": [0.0, 1.0, 3.0], "backward": [2.0, 1.0, 5.0]})
    task = Targets.from_targets(table, dict.fromkeys(table, "real")).paired([("forward", "backward")])
    config = PredictorConfig(MICRO, KmerTokenizer(1, 1), task, read_length=40)
    return Predictor(Predictor.network(config), config)


def test_partners_swap_with_the_strand(paired):
    codes = simulate("Alpha", 3, 40)
    other = DNA.reverse_complement(codes)
    expected = paired.predict([codes, other], exact=True).values
    assert np.abs(expected[0] - expected[1, ::-1]).max() < 1e-5 and np.abs(expected[0] - expected[1]).max() > 1e-3
    found = as_onehot(paired)(one_hot(np.stack([codes, other]), DNA)).detach().numpy()
    assert np.abs(found - expected).max() < 1e-5
    found, turned = (integrated_gradients(paired, sequence, steps=8).values for sequence in (codes, other))
    assert np.abs(found - turned[::-1, ::-1]).max() < 1e-5 and np.abs(found - turned[::-1]).max() > 1e-4


def test_letters_that_are_the_baseline_get_nothing(paired):
    """C and G have the mean of all embeddings, A and T don't, in both tables."""
    model = Predictor(copy.deepcopy(paired.model), paired.config)
    for table in (model.model.encoder.encoder.weight, model.model.composition.words.weight):
        first = table.data[len(SPECIALS)].clone()
        for letter, row in zip("ACGT", (first, 0 * first, 0 * first, -first)):
            table.data[len(SPECIALS) + "ACGT".index(letter)] = row
    codes = DNA.encode("AACGTTACCCCGGGGTCCCCGGGGCCCC")
    values = integrated_gradients(model, codes, steps=8).values
    assert ((values[:, 0] != 0) == np.isin(codes, DNA.encode("AT"))).all()


# ---------------------------------------------------------------- dependencies


def test_a_planted_dependency_is_found():
    """A model of single letters that learned from three random letters, written twice."""
    set_seed(0)
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), 3)) * 2 for _ in range(2_100)]
    table = pd.DataFrame({"sequence": texts, "split": ["train"] * 2_000 + ["valid"] * 100})
    dls = GenomeLMDataLoaders.from_df(table, tokenizer=KmerTokenizer(1, 1), tokens=6, bs=32)
    learn = genome_lm_learner(dls, Preset(16, 48, 1), drop_mult=0.0)
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(2e-2, epochs=20)
    strength = dependency_map(learn.to_model(), "ACGACG").strength
    place = np.arange(6)
    apart = np.abs(place[:, None] - place)
    assert strength[apart == 3].mean() > 2 * strength[(apart > 0) & (apart != 3)].mean()


def test_a_predictor_has_no_dependencies(loaded):
    with pytest.raises(InputError, match="is a predictor, which has no odds"):
        dependency_map(loaded["clf"], "ACGTACGT")


# ---------------------------------------------------------------- tracks


@pytest.fixture
def genome(tmp_path):
    one, two = simulate("Alpha", 1, 3_000), simulate("Beta", 2, 700)
    one[1_000:1_040] = DNA.unknown
    path = tmp_path / "g.fa"
    path.write_text(f">one\n{DNA.decode(one)}\n>two\n{DNA.decode(two)}\n>short\nAC\n")
    return path


def values(path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", names=["contig", "start", "end", "value"])


def test_stretches_change_little(loaded, genome, tmp_path, monkeypatch):
    """However small the stretches that are held, each letter has its context."""
    whole = write_track(loaded["lm"], genome, tmp_path / "whole.bedgraph")
    monkeypatch.setattr(tracks, "_STRETCH", 500)
    parts = write_track(loaded["lm"], genome, tmp_path / "parts.bedgraph")
    one, other = values(tmp_path / "whole.bedgraph"), values(tmp_path / "parts.bedgraph")
    assert whole.values == parts.values == 3_000 - 40 + 700 + 2 and whole.left_out == []
    assert (one[["contig", "start"]] == other[["contig", "start"]]).all(None)
    assert np.abs(one["value"] - other["value"]).max() < 0.02 and abs(whole.mean - parts.mean) < 1e-3


def test_windows_of_a_predictor_in_stretches(loaded, genome, tmp_path, monkeypatch):
    monkeypatch.setattr(tracks, "_STRETCH", 500)
    how = {"track": "Beta", "window": 100, "step": 20, "exact": True}
    done = write_track(loaded["clf"], genome, tmp_path / "b.bedgraph", **how)
    table = values(tmp_path / "b.bedgraph").set_index(["contig", "start"])["value"]
    assert done.left_out == ["short"] and len(table) == done.values
    codes = simulate("Beta", 2, 700)
    expected = loaded["clf"].predict_proba([codes[start : start + 100] for start in (0, 200, 600)], exact=True)[:, 1]
    np.testing.assert_allclose(table[[("two", 40), ("two", 240), ("two", 640)]], expected, atol=1e-5)


def test_a_bigwig_has_what_the_bedgraph_has(loaded, genome, tmp_path):
    pybigtools = pytest.importorskip("pybigtools")
    for name in ("t.bw", "t.bedgraph"):
        write_track(loaded["lm"], genome, tmp_path / name, step=10)
    reader = pybigtools.open(str(tmp_path / "t.bw"))
    table = values(tmp_path / "t.bedgraph")
    rows = [(contig, *row) for contig in ("one", "two") for row in reader.records(contig)]
    found = pd.DataFrame(rows, columns=list(table))
    assert (found.iloc[:, :3].to_numpy() == table[table["contig"] != "short"].iloc[:, :3].to_numpy()).all()
    np.testing.assert_allclose(found["value"], table["value"][: len(found)], rtol=1e-4)
    figure = plot_region({"surprise": tmp_path / "t.bw"}, "one", 0, 2_000, [])
    assert len(figure.axes) == 2


def test_the_command_tracks(models, genome, tmp_path, capsys):
    pytest.importorskip("pybigtools")
    (tmp_path / "g.gff").write_text("one\tx\tCDS\t101\t400\t.\t+\t0\tgene=abcA\n")
    places = {"m": models, "g": genome, "t": tmp_path}
    drawn = "--picture {t}/x.svg --region one:1-1,500 --genes {t}/g.gff"
    run("tracks {m}/lm {g} --out {t}/x.bw --fast " + drawn, **places)
    assert "abcA" in (tmp_path / "x.svg").read_text()
    run("tracks {m}/clf {g} --out {t}/y.bedgraph --track Beta --window 200 --strand=- --fast", **places)
    assert set(values(tmp_path / "y.bedgraph")["contig"]) == {"one", "two"}
    capsys.readouterr()
    fails(capsys, "tracks {m}/clf {g} --out {t}/z.bw", names=["Name one of Alpha, Beta"], **places)
    fails(capsys, "tracks {m}/lm {g} --out {t}/z.txt", names=["z.txt: ends with '.txt'"], **places)
    fails(capsys, "tracks {m}/lm {g} --out {t}/z.bw --picture {t}/z.jpg", names=["is no kind of picture"], **places)
    (tmp_path / "protein.fa").write_text(">p\nMKVLEEIRFQ\n")
    fails(capsys, "tracks {m}/lm {t}/protein.fa --out {t}/z.bw", names=["protein.fa, record 'p'"], **places)
    assert not list(tmp_path.glob("z*"))


# ---------------------------------------------------------------- interpret

MEME = """MEME version 4

ALPHABET= ACGT

MOTIF box
letter-probability matrix: alength= 4 w= 4
0.97 0.01 0.01 0.01
0.01 0.97 0.01 0.01
0.01 0.01 0.97 0.01
0.01 0.01 0.01 0.97
"""


def test_the_command_interpret(models, tmp_path, capsys):
    texts = [DNA.decode(simulate("Alpha", i, 40)) for i in range(3)]
    (tmp_path / "s.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate([*texts, "AC"])))
    (tmp_path / "m.meme").write_text(MEME)
    places = {"m": models, "t": tmp_path}
    run("interpret {m}/clf {t}/s.fa --out {t}/o --targets Beta --motifs {t}/m.meme", **places)
    table = pd.read_parquet(tmp_path / "o/changes.parquet")
    ours = saturation(load_model(models / "clf", "cpu"), texts[2], targets=["Beta"])
    rows = table[table["id"] == "s2"]
    letters = [DNA.letters.index(letter) for letter in rows["alt"]]
    assert len(table) == 3 * 40 * 3 and np.allclose(rows["delta"], ours.delta[rows["place"], letters, 0], atol=1e-6)
    page = (tmp_path / "o/page.html").read_text()
    assert page.count("<svg") == 6 and "shorter than a word: s3" in page and "<script" not in page
    assert {"motif", "letters"} <= set(pd.read_csv(tmp_path / "o/sites.tsv", sep="\t").columns)
    capsys.readouterr()
    fails(capsys, "interpret {m}/clf {t}/s.fa --out {t}/p --targets X", names=["unknown names: X"], **places)
    fails(capsys, "interpret {m}/clf {t}/s.fa --out {t}/p --motifs {t}/s.fa", names=["s.fa"], **places)
    fails(capsys, "interpret {m}/clf {t}/none.fa --out {t}/p", names=["none.fa"], **places)
    assert not (tmp_path / "p").exists()


def test_what_is_missing_is_said(models, tmp_path, monkeypatch):
    (tmp_path / "s.fa").write_text(">s\nACGTACGTACGT\n")
    monkeypatch.setattr(import_module("genomic_ulmfit.tasks.motifs"), "find_spec", lambda name: None)
    said = r"tangermeme: is not installed. Run pip install 'genomic_ulmfit\[interpret\]'"
    with pytest.raises(InputError, match=said):
        interpret_file(models / "lm", tmp_path / "s.fa", tmp_path / "o")
    monkeypatch.setattr(import_module("genomic_ulmfit.tasks.tracks"), "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs pybigtools"):
        write_track(models / "lm", tmp_path / "s.fa", tmp_path / "o.bw")


def test_proteins_have_maps_and_no_motifs(tmp_path):
    tokenizer = KmerTokenizer(1, 1, PROTEIN)
    LanguageModel(language_model(tokenizer, MICRO), ModelConfig(MICRO, tokenizer)).save(tmp_path / "lm")
    (tmp_path / "p.faa").write_text(">p\nMKVLAEIRWQMKVLAEIRWQ\n")
    (tmp_path / "m.meme").write_text(MEME)
    done = interpret_file(tmp_path / "lm", tmp_path / "p.faa", tmp_path / "o")
    assert done.changes == 20 * 19 and (tmp_path / "o/page.html").read_text().count("<svg") == 1
    with pytest.raises(InputError, match="are motifs of DNA or RNA, the model reads proteins"):
        interpret_file(tmp_path / "lm", tmp_path / "p.faa", tmp_path / "o2", motifs=tmp_path / "m.meme")


def test_motifs_of_other_letters_are_refused(tmp_path):
    rows = "\n".join(["0.05 " * 20] * 4)
    header = "MEME version 4\n\nALPHABET= ACDEFGHIKLMNPQRSTVWY\n\nMOTIF site\n"
    (tmp_path / "m.meme").write_text(f"{header}letter-probability matrix: alength= 20 w= 4\n{rows}\n")
    with pytest.raises(InputError, match="cannot be read as motifs"):
        read_motifs(tmp_path / "m.meme")


@pytest.mark.parametrize("importance", [np.arange(12.0), np.zeros(60)], ids=["too short", "nothing matters"])
def test_sequences_without_seqlets(importance):
    codes = simulate("Alpha", 1, len(importance))
    assert not len(find_seqlets([importance], [codes]))
    peak = np.full(60, 0.01) + np.random.default_rng(0).normal(0, 0.01, 60)
    peak[20:26] += 3
    both = find_seqlets([importance, peak], [codes, simulate("Beta", 1, 60)])
    assert set(both["sequence"]) == {1} and both["start"][0] <= 20 < both["end"][0]


def test_nothing_heavy_is_imported_for_a_prediction():
    """The extras are asked for when they are used."""
    heavy = {"tangermeme", "captum", "memelite", "pybigtools", "numba"}
    code = f"import genomic_ulmfit.all, sys; print(sorted(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
