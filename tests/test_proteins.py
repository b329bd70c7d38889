"""Proteins end to end: a corpus from files and genomes, the three steps, and what makes no sense for them."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from commands import fails, run

from genomic_ulmfit.all import (
    DNA,
    PROTEIN,
    GenomeCorpus,
    GenomeLMDataLoaders,
    InputError,
    KmerTokenizer,
    MarkovChain,
    Preset,
    ReadDataLoaders,
    Spans,
    embed_file,
    genome_classifier_learner,
    genome_lm_learner,
    load_model,
    saturation,
    set_seed,
)
from genomic_ulmfit.seq.near import NearDuplicates
from genomic_ulmfit.text.corpus import SAMPLE

PRESET = Preset(16, 24, 2)
TOKENIZER = KmerTokenizer(1, 1, PROTEIN)
RESIDUES = PROTEIN.letters[: PROTEIN.n_parts]


def simulate(seed, n, length=80):
    """Sequences with an order of their own: the letters of one half follow those of the other."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(len(RESIDUES)))
    return ["".join(rng.choice(list(RESIDUES), length, p=weights)) for _ in range(n)]


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


def write_fasta(path, sequences, name="p"):
    path.write_text("".join(f">{name}{i} a protein\n{sequence}\n" for i, sequence in enumerate(sequences)))
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proteins")
    sequences = simulate(0, 90)
    write_fasta(folder / "train.faa", sequences[:60], "train")
    write_fasta(folder / "valid.faa", sequences[60:], "valid")
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


@pytest.fixture(scope="module")
def data(table, tmp_path_factory):
    """A folder: proteins with classes, labels and values, as a table, as FASTA with a table, and DNA beside them."""
    folder = tmp_path_factory.mktemp("data")
    helix = table["sequence"].map(lambda text: sum(map(text.count, "AELM")) / len(text))
    wide = table.assign(id=[f"p{row}" for row in range(len(table))], helix=helix, many="-")
    wide.loc[wide["label"] == "kinase", "many"] = "kinase;cytosol"
    wide.to_csv(folder / "t.tsv", sep="\t", index=False)
    wide.drop(columns="sequence").to_csv(folder / "labels.tsv", sep="\t", index=False)
    write_fasta(folder / "p.faa", table["sequence"])
    dna = ["".join(np.random.default_rng(seed).choice(list("ACGT"), 90)) for seed in range(240)]
    write_fasta(folder / "dna.fa", dna)
    labels = (["a", "b"] * 120)[:200]
    wide.assign(sequence=dna[:200], label=labels).to_csv(folder / "dna.tsv", sep="\t", index=False)
    return folder


@pytest.fixture(scope="module")
def classifier(data, language_model, tmp_path_factory):
    """Trained through the command line, on the language model's encoder."""
    out = tmp_path_factory.mktemp("classifier") / "clf"
    set_seed(0)
    run("train {d}/t.tsv --pretrained {m} --bs 20 --epochs 6 --lr 1e-2 --out {o}", d=data, m=language_model, o=out)
    return out


def rows(seed, n):
    return simulate(seed, 300)[200 : 200 + n]


# ---------------------------------------------------------------- letters


def test_letters_that_are_no_residue():
    codes = PROTEIN.encode("evq|DIq*BZJUOx")
    assert PROTEIN.decode(codes) == "EVQ|DIQ*XXXXXX" and PROTEIN.n_parts == 20
    assert TOKENIZER.decode(TOKENIZER.encode("EVQ|DIQ*X")) == "EVQ|DIQ*X"
    for gap in "-.":
        with pytest.raises(ValueError, match="a gap of an alignment: remove the gaps"):
            PROTEIN.encode(f"EV{gap}Q")


@pytest.mark.parametrize("alphabet, k, words", [(DNA, 8, 4**8), (PROTEIN, 3, 22**3)])
def test_the_vocabulary_is_the_limit(alphabet, k, words):
    assert KmerTokenizer(k, 1, alphabet).vocab_size == words + 3
    with pytest.raises(ValueError, match="words"):
        KmerTokenizer(k + 1, 1, alphabet)


def test_chains_are_told_apart_from_one_long_one(language_model):
    """The separator is a token of its own: what follows is read in another state."""
    heavy, light = simulate(0, 2)
    found = load_model(language_model).embed([f"{heavy}|{light}", heavy + light, f"{heavy}X{light}"]).vectors
    assert not any(np.allclose(found[0], other, atol=1e-4) for other in found[1:])


def test_other_strand_is_asked_of_the_alphabet():
    assert DNA.decode(DNA.reverse_complement(DNA.encode("AACGTN"))) == "NACGTT"
    with pytest.raises(ValueError, match="strand"):
        PROTEIN.reverse_complement(PROTEIN.encode("MKT"))


# ---------------------------------------------------------------- corpus


def test_corpus_knows_its_alphabet(corpus):
    again = GenomeCorpus(corpus.path)
    assert again.alphabet == PROTEIN and PROTEIN.decode(again.codes(0)) == simulate(0, 1)[0]


@pytest.fixture(scope="module")
def strains(tmp_path_factory):
    """Some blocks of the genomes of two strains, and a table of them; the one to learn from stands last."""
    folder = tmp_path_factory.mktemp("strains")
    names = {"train": "Helicobacter_pylori_G27", "test": "Helicobacter_pylori_Puno120"}
    for split, name in names.items():
        text = gzip.decompress((SAMPLE / f"{name}.fna.gz").read_bytes()).decode()
        (folder / f"{split}.fna").write_text("".join(f">{record}" for record in text.split(">")[1:4]))
    tables = [{"file": "test.fna", "split": "test", "species": "pylori"}]
    tables += [{"file": "train.fna", "split": "train", "species": "pylori"}]
    pd.DataFrame(tables).to_csv(folder / "genomes.tsv", sep="\t", index=False)
    return folder


def test_proteins_of_genomes(strains, tmp_path, capsys):
    run("corpus build {s}/genomes.tsv --proteins --labels species --out {t}/c --json {t}/c.json", s=strains, t=tmp_path)
    out = capsys.readouterr().out
    assert "2 genomes, whose genes were called" in out and "genes left out that a contig's end cuts off" in out
    corpus = GenomeCorpus(tmp_path / "c")
    records = corpus.records
    assert corpus.alphabet == PROTEIN and set(records["species"]) == {"pylori"}
    assert list(records["split"].drop_duplicates()) == ["train", "test"], "what is learned from is read first"
    proteins = [PROTEIN.decode(corpus.codes(i)) for i in range(len(corpus))]
    assert {text[0] for text in proteins} == {"M"} and {text[-1] for text in proteins} == {"*"}
    assert not any("*" in text[:-1] for text in proteins), "in frame, in the right genetic code"
    assert records["record"].str.contains(r"_\d+$").all() and not records["record"].duplicated().any()
    known = corpus.info["proteins"]
    assert known["genomes"] == 2 and known["genes"] == len(corpus) > 300 and known["cut_off"] > 4
    near = records["near_train"] == "yes"
    held_out = near[records["split"] == "test"]
    assert held_out.mean() > 0.3 and known["near_train"] == held_out.sum()
    facts = json.loads((tmp_path / "c.json").read_text())
    assert facts["alphabet"] == "protein" and facts["proteins"] == known


def test_the_same_proteins_from_fasta_and_from_genomes(strains, tmp_path):
    run("corpus build {s}/train.fna --proteins --out {t}/of_genome", s=strains, t=tmp_path)
    called = GenomeCorpus(tmp_path / "of_genome")
    proteins = [PROTEIN.decode(called.codes(i)).lower() for i in range(len(called))]
    write_fasta(tmp_path / "p.faa", proteins)
    run("corpus build {t}/p.faa --proteins --out {t}/of_fasta", t=tmp_path)
    read = GenomeCorpus(tmp_path / "of_fasta")
    assert (read.bases == called.bases).all() and read.info["proteins"]["genomes"] == 0


def test_near_duplicates_are_thinned_and_counted(tmp_path, capsys):
    """A copy, one with few changes and one with many; in other splits nothing is left out, but marked."""
    rng = np.random.default_rng(0)
    first = simulate(3, 20, 300)

    def changed(text, share):
        return "".join(rng.choice(list(RESIDUES)) if rng.random() < share else letter for letter in text)

    train = first + [changed(text, 0.02) for text in first] + [changed(text, 0.3) for text in first] + [first[0]]
    write_fasta(tmp_path / "train.faa", train, "a")
    write_fasta(tmp_path / "test.faa", [*first[:5], first[0], *simulate(4, 5, 300)], "b")
    files = pd.DataFrame({"file": ["test.faa", "train.faa"], "split": ["test", "train"]})
    files.to_csv(tmp_path / "files.tsv", sep="\t", index=False)
    run("corpus build {t}/files.tsv --proteins --thin --out {t}/c", t=tmp_path)
    out = capsys.readouterr().out
    corpus = GenomeCorpus(tmp_path / "c")
    left_out = corpus.info["proteins"]["left_out"]
    assert 19 <= left_out <= 21 and f"{left_out} of the repeated records left out" in out
    assert len(corpus.split("train")) == len(train) - left_out and corpus.info["repeated_records"] == left_out
    assert corpus.split("test")["near_train"].tolist() == ["yes"] * 6 + ["no"] * 5
    assert "6 records of other splits that nearly repeat one of the split train" in out
    assert corpus.info["bases"] == len(corpus.bases) == corpus.records["length"].sum()
    run("corpus build {t}/files.tsv --proteins --out {t}/all", t=tmp_path)
    whole = GenomeCorpus(tmp_path / "all")
    assert len(whole) == len(train) + 11 and whole.info["repeated_records"] == left_out


def test_memory_of_near_duplicates_does_not_grow():
    near = NearDuplicates()
    size = near.bits.nbytes
    for codes in np.random.default_rng(0).integers(0, 20, (200, 300)).astype(np.uint8):
        near.add(codes)
    assert near.bits.nbytes == size == 2**26 and not near.bits.base and near.set > 10_000


def test_kinds_of_files_that_are_mixed_up(data, strains, tmp_path, capsys):
    fails(capsys, "corpus build {d}/p.faa --out {t}/x", names=["p.faa", "is not a nucleotide", "a protein?"],
          d=data, t=tmp_path)
    fails(capsys, "corpus build {d}/p.faa --thin --out {t}/x", names=["--thin", "--proteins"], d=data, t=tmp_path)
    write_fasta(tmp_path / "aligned.faa", ["MKV--LAE"])
    fails(capsys, "corpus build {t}/aligned.faa --proteins --out {t}/x",
          names=["aligned.faa, record 'p0'", "letter '-' at position 4", "remove the gaps"], t=tmp_path)
    (tmp_path / "a.faa").write_text(">r1\nMKT1\n")
    with pytest.raises(InputError, match="amino-acid"):
        GenomeCorpus.build([tmp_path / "a.faa"], tmp_path / "c", alphabet=PROTEIN)


# ---------------------------------------------------------------- the three steps


def test_language_model_learns_the_composition(corpus, language_model):
    model = load_model(language_model)
    assert model.tokenizer == TOKENIZER and model.alphabet == PROTEIN
    bits = model.bits_per_base(Spans.from_corpus(corpus, "valid"))
    codes = [corpus.codes(i) for i in corpus.split("train").index]
    frequencies = np.bincount(np.concatenate(codes), minlength=20) / 4800
    entropy = -(frequencies[frequencies > 0] * np.log2(frequencies[frequencies > 0])).sum()
    assert entropy - 0.3 < bits < np.log2(20) - 0.2, "near the entropy of the letters, which are independent"
    held_out = [corpus.codes(i) for i in corpus.split("valid").index]
    chain = MarkovChain(0, alphabet=PROTEIN).fit(codes).bits_per_base(held_out)
    assert abs(chain - entropy) < 0.15 and bits < chain + 0.3


@pytest.mark.parametrize("k, stride", [(1, 1), (2, 1), (3, 3)])
def test_pretrain_and_finetune(corpus, data, tmp_path, capsys, k, stride):
    kmers = "" if k == 1 else f"--k {k} --stride {stride}"  # a residue is a token unless somebody says otherwise
    run("pretrain {c} {k} --preset nano --window 16 --bs 8 --tokens 1k --parts 1 --out {t}/lm --json {t}/lm.json"
        .replace("{k}", kmers), c=corpus.path, t=tmp_path)
    model = load_model(tmp_path / "lm")
    assert model.tokenizer == KmerTokenizer(k, stride, PROTEIN)
    assert "bits_per_residue" in json.loads((tmp_path / "lm.json").read_text())
    card = (tmp_path / "lm" / "README.md").read_text()
    assert "proteins" in card and f"k-mers of {k} residues" in card and "base" not in card.split("##")[0]
    tuned = "finetune {t}/lm {c} --window 16 --bs 8 --tokens 1k --parts 1 --out {t}/tuned"
    run(tuned, c=corpus.path, t=tmp_path)
    capsys.readouterr()
    run("evaluate {t}/tuned {c} --split valid --json {t}/e.json", c=corpus.path, t=tmp_path)
    assert list(json.loads((tmp_path / "e.json").read_text())) == ["bits_per_residue"]
    assert "bits_per_residue" in capsys.readouterr().out


def test_classifier_on_the_encoder(classifier, data, tmp_path, capsys):
    model = load_model(classifier)
    assert model.stranded and model.classes == ["kinase", "porin"] and model.tokenizer == TOKENIZER
    probs = model.predict_proba([*rows(0, 30), *rows(1, 30)])
    assert (probs.argmax(1) == np.repeat([0, 1], 30)).mean() > 0.9
    low, other = model.predict_proba([rows(0, 1)[0].lower(), rows(0, 1)[0]])
    np.testing.assert_allclose(low, other, atol=1e-6)
    assert np.isfinite(model.predict_proba(["XXXXXX", "MKTBZJUO*", "EVQ|DIQ", ""])).all()
    run("predict {m} {d}/p.faa --out {t}/p.tsv", m=classifier, d=data, t=tmp_path)
    assert "residues" in capsys.readouterr().err
    assert len(pd.read_csv(tmp_path / "p.tsv", sep="\t")) == 200
    run("evaluate {m} {d}/t.tsv --json {t}/e.json", m=classifier, d=data, t=tmp_path)
    run("evaluate {m} {d}/p.faa --labels {d}/labels.tsv --json {t}/f.json", m=classifier, d=data, t=tmp_path)
    figures = json.loads((tmp_path / "e.json").read_text())
    assert figures["accuracy"] > 0.9 and figures == json.loads((tmp_path / "f.json").read_text())


@pytest.mark.parametrize("how", [
    "--proteins --preset nano", "--proteins --k 2 --stride 1 --preset nano --wide", "--pretrained {m}",
    "--proteins --targets helix --preset nano", "--targets many --pretrained {m}",
])
def test_classes_labels_and_values(how, data, language_model, tmp_path):
    places = {"d": data, "m": language_model, "t": tmp_path}
    run(f"train {{d}}/t.tsv {how} --bs 20 --epochs 1 --out {{t}}/model", **places)
    model = load_model(tmp_path / "model")
    assert model.alphabet == PROTEIN and model.stranded
    assert model.tokenizer == KmerTokenizer(2 if "--k 2" in how else 1, 1, PROTEIN)
    judged = "--baselines --page {t}/page.html" if "--targets" in how else ""
    run(f"evaluate {{t}}/model {{d}}/t.tsv {judged} --json {{t}}/e.json", **places)
    if not judged: return
    figures = json.loads((tmp_path / "e.json").read_text())
    text = json.dumps(figures)
    assert "composition + length" in text and "k-mers" in text and "GC + length" not in text
    run("predict {t}/model {d}/p.faa --out {t}/p.tsv", **places)
    assert len(pd.read_csv(tmp_path / "p.tsv", sep="\t")) == 200


def test_a_search_tries_recipes_of_proteins(data, tmp_path):
    run("train {d}/t.tsv --proteins --auto --epochs 12 --preset nano --bs 60 --lr 4e-3 --k 1 --wide --out {t}/model "
        "--json {t}/s.json", d=data, t=tmp_path)
    assert load_model(tmp_path / "model").alphabet == PROTEIN


def test_reads_of_a_corpus_of_proteins(corpus, tmp_path):
    labelled = pd.DataFrame({"file": ["a.faa", "b.faa"] * 2, "kind": ["a", "b"] * 2})
    labelled["split"] = ["train", "train", "valid", "valid"]
    labelled["file"] = labelled["split"] + labelled["file"]
    for seed, row in labelled.iterrows():
        write_fasta(tmp_path / row["file"], simulate(seed % 2, 40)[20 * (seed // 2) :][:20], str(seed))
    labelled.to_csv(tmp_path / "files.tsv", sep="\t", index=False)
    run("corpus build {t}/files.tsv --proteins --labels kind --out {t}/c", t=tmp_path)
    run("train {t}/c --label kind --length 40 --preset nano --bs 32 --tokens 20k --parts 1 --out {t}/m", t=tmp_path)
    assert load_model(tmp_path / "m").tokenizer == TOKENIZER


def test_embedding_has_no_gc_and_no_strand(language_model, data, tmp_path):
    done = embed_file(language_model, data / "p.faa", tmp_path / "e.parquet", page=tmp_path / "e.html")
    found = pd.read_parquet(tmp_path / "e.parquet")
    assert list(found.columns) == ["id", "start", "end", "length", "vector"] and len(found) == 200
    assert done.gc_correlation is None and "GC content" not in (tmp_path / "e.html").read_text().split("<body")[1]
    run("embed {m} {d}/t.tsv --label label --out {t}/t.parquet", m=language_model, d=data, t=tmp_path)
    assert set(pd.read_parquet(tmp_path / "t.parquet")["label"]) == {"kinase", "porin"}


def test_saturation_changes_residues_into_residues(language_model, classifier):
    """Nineteen others at each place of a residue; stops, breaks between chains and unknown letters stay."""
    letters = "MKV|AE*XL"
    for folder in (language_model, classifier):
        delta = saturation(load_model(folder), letters).delta
        assert delta.shape[:2] == (len(letters), 20)
        changed = (~np.isnan(delta[..., 0])).sum(1)
        assert changed.tolist() == [0 if letter in "|*X" else 19 for letter in letters]


def test_interpret(classifier, tmp_path):
    write_fasta(tmp_path / "two.faa", [rows(0, 1)[0][:30], rows(1, 1)[0][:25] + "*"])
    run("interpret {m} {t}/two.faa --out {t}/out", m=classifier, t=tmp_path)
    changes = pd.read_parquet(tmp_path / "out" / "changes.parquet")
    assert set(changes["alt"]) == set(RESIDUES) and len(changes) == 19 * (30 + 25) * 2


# ---------------------------------------------------------------- what makes no sense


@pytest.mark.parametrize("command, names", [
    ("predict {clf} {d}/dna.fa", ["dna.fa", "holds DNA or RNA where proteins are needed", "100% of the letters"]),
    ("predict {clf} -", ["holds DNA or RNA where proteins are needed"]),
    ("evaluate {clf} {d}/dna.tsv", ["dna.tsv", "holds DNA or RNA where proteins are needed"]),
    ("evaluate {lm} {d}/dna.fa", ["dna.fa", "holds DNA or RNA where proteins are needed"]),
    ("embed {lm} {d}/dna.fa --out {t}/e.parquet", ["dna.fa", "holds DNA or RNA where proteins are needed"]),
    ("embed {lm} {d}/dna.tsv --out {t}/e.parquet", ["dna.tsv", "holds DNA or RNA where proteins are needed"]),
    ("interpret {lm} {d}/dna.fa --out {t}/o", ["dna.fa", "holds DNA or RNA where proteins are needed"]),
    ("tracks {lm} {d}/dna.fa --out {t}/o.bedgraph", ["dna.fa", "holds DNA or RNA where proteins are needed"]),
    ("train {d}/dna.tsv --pretrained {lm} --epochs 1 --out {t}/m", ["dna.tsv", "holds DNA or RNA where proteins are"]),
    ("train {d}/dna.tsv --proteins --epochs 1 --out {t}/m", ["dna.tsv", "holds DNA or RNA where proteins are needed"]),
    ("train {d}/t.tsv --epochs 1 --out {t}/m", ["t.tsv", "is not a nucleotide code (a protein?)"]),
    ("train {d}/t.tsv --pretrained bacteria-small --epochs 1 --out {t}/m", ["t.tsv", "is not a nucleotide code"]),
    ("train {d}/t.tsv --pretrained bacteria-small --proteins --epochs 1 --out {t}/m",
     ["bacteria-small: is of DNA or RNA", "Leave --proteins away"]),
    ("train {d}/t.tsv --proteins --stranded --epochs 1 --out {t}/m",
     ["--stranded: is asked of proteins, which have one direction"]),
    ("train {dna_corpus} --proteins --label genus --tokens 1k --out {t}/m",
     ["is of DNA or RNA", "Leave --proteins away"]),
    ("finetune {lm} {dna_corpus} --tokens 1k --out {t}/m", ["holds DNA or RNA, but the tokenizer reads proteins"]),
    ("finetune bacteria-small {c} --tokens 1k --out {t}/m", ["holds proteins, but the tokenizer reads DNA or RNA"]),
    ("evaluate bacteria-small {c} --split valid", ["reads DNA or RNA"]),
    ("evaluate {lm} {dna_corpus}", ["reads proteins"]),
    ("predict bacteria-taxa {d}/p.faa", ["p.faa", "is not a nucleotide code (a protein?)"]),
    ("embed bacteria-small {d}/p.faa --out {t}/e.parquet", ["p.faa", "is not a nucleotide code (a protein?)"]),
    ("classify {clf} {d}/p.faa", ["reads proteins, but taxa are told from DNA or RNA"]),
    ("screen {clf} {d}/dna.fa --out {t}/s", ["reads proteins, but taxa are told from DNA or RNA"]),
    ("calibrate {clf} {c} --lineages {t}/l.tsv --label kind --out {t}/taxa",
     ["reads proteins, but taxa are told from DNA or RNA"]),
    ("tracks {clf} {d}/p.faa --track kinase --strand=- --out {t}/o.bedgraph", ["protein has no other strand"]),
    ("variants {lm} {d}/dna.fa {t}/v.vcf --out {t}/o.vcf", ["reads proteins, and variants are changes of DNA"]),
    ("interpret {lm} {d}/p.faa --motifs {t}/m.meme --out {t}/o",
     ["are motifs of DNA or RNA, the model reads proteins"]),
])
def test_one_clear_error(
    command, names, data, language_model, classifier, corpus, request, tmp_path, capsys, monkeypatch
):
    places = {"d": data, "lm": language_model, "clf": classifier, "c": corpus.path, "t": tmp_path}
    if "{dna_corpus}" in command: places["dna_corpus"] = request.getfixturevalue("dna_corpus")
    if command.endswith(" -"): monkeypatch.setattr("sys.stdin", open(data / "dna.fa"))
    (tmp_path / "l.tsv").write_text("kind\tgenus\nkinase\tA\nporin\tB\n")
    header = "##fileformat=VCFv4.2\n##contig=<ID=p0>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (tmp_path / "v.vcf").write_text(header + "p0\t5\t.\tA\tC\t.\t.\t.\n")
    (tmp_path / "m.meme").write_text("MEME version 4\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    fails(capsys, command, names=names, **places)
    left = [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert sorted(left) == before, "nothing half-written is left"


@pytest.fixture(scope="module")
def dna_corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dna")
    for split, seed in (("train", 0), ("valid", 1), ("test", 2)):
        write_fasta(folder / f"{split}.fa", ["".join(np.random.default_rng(seed).choice(list("ACGT"), 500))], split)
    splits = ["train", "valid", "test"]
    files = pd.DataFrame({"file": [f"{split}.fa" for split in splits], "split": splits, "genus": "x"})
    return GenomeCorpus.build(files, folder / "c", ["genus"], base=folder).path


def test_mixing_kinds_of_sequences_is_one_clear_error(corpus, language_model, table):
    with pytest.raises(InputError, match="holds proteins, but the tokenizer reads DNA"):
        GenomeLMDataLoaders.from_corpus(corpus, tokenizer=KmerTokenizer(3, 3))
    dna = pd.DataFrame({"sequence": ["ACGTACGT" * 5, "GGGTACGA" * 5], "label": ["a", "b"], "split": ["train", "valid"]})
    with pytest.raises(InputError, match="alphabet=PROTEIN"):
        dls = ReadDataLoaders.from_df(dna.assign(label="a"), KmerTokenizer(1, 1), bs=1)
        genome_classifier_learner(dls, pretrained=language_model)
    with pytest.raises(InputError, match="letter 'E'.*nucleotide"):
        ReadDataLoaders.from_df(table.assign(sequence="ME" + table["sequence"]), KmerTokenizer(3, 3))


def test_few_letters_are_not_judged(classifier, tmp_path):
    """Peptides of A, C, G, N and T there are; only a text of 50 letters says that it is DNA."""
    write_fasta(tmp_path / "short.faa", ["GAGA", "CATG"])
    run("predict {m} {t}/short.faa --out {t}/p.tsv", m=classifier, t=tmp_path)
    write_fasta(tmp_path / "silk.faa", ["GAGAGSGAGAGSGAGAGY" * 20])
    run("predict {m} {t}/silk.faa --out {t}/q.tsv", m=classifier, t=tmp_path)
