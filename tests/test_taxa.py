"""Taxa from the command line: calibrate, classify, formats that other tools read, and what bad input gets."""

import gzip
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from commands import fails, run

from genomic_ulmfit.all import SAMPLE, GenomeCorpus, InputError, TaxonModel, WordTable, build_words, read_sequences
from genomic_ulmfit.model.folder import model_folder
from genomic_ulmfit.seq.alphabet import decode_bases
from genomic_ulmfit.taxa.sample import Sample
from genomic_ulmfit.taxa.sample_files import sample_name
from genomic_ulmfit.taxa.screen import screen_sample

LINEAGES = """genus\tfamily\tphylum\tdomain
Alpha\tAlphaus\tOnly\tBacteria
Beta\tBetaus\tOnly\tBacteria
"""
AGENTS = "# mine, today\nagent\ttaxa\nthe alpha\tAlpha\nthe gamma\tGamma\n"
CALIBRATE = "calibrate {models}/clf {corpus} --lineages {taxa}/lineages.tsv --label genus --out {out} --fast "


@pytest.fixture(scope="module")
def taxa(models, corpus, tmp_path_factory):
    """Folder of a calibrated model, without words."""
    folder = tmp_path_factory.mktemp("taxa")
    (folder / "lineages.tsv").write_text(LINEAGES)
    places = {"models": models, "corpus": corpus.path, "taxa": folder, "out": folder / "m"}
    run(CALIBRATE + "--json {taxa}/c.json", **places)
    return folder


def write_reads(path, reads, suffix=""):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt") as f:
        for i, r in enumerate(reads):
            f.write(f"@r{i}{suffix}\n{decode_bases(r)}\n+\n{'I' * len(r)}\n")


@pytest.fixture(scope="module")
def reads(corpus):
    rows = corpus.split("test")
    return [np.asarray(corpus.codes(i)[a : a + 150]) for i in rows.index for a in range(0, 6000, 200)]


def test_calibrate_says_what_it_found(taxa):
    figures = json.loads((taxa / "c.json").read_text())
    thresholds = pd.DataFrame(figures["thresholds"])
    assert figures["ece"] < 0.1 and thresholds["chosen"].sum() == 1
    called = thresholds["right"] + thresholds["wrong"]
    assert (called.diff().dropna() <= 1e-9).all(), "fewer reads are called at a higher threshold"
    model = TaxonModel.load(taxa / "m")
    assert [model.tree.nodes["name"][r] for r in model.tree.rows] == ["Alpha", "Beta"]
    assert model.threshold == thresholds.loc[thresholds["chosen"], "threshold"].item()


def test_formats(taxa, reads, tmp_path, capsys):
    write_reads(tmp_path / "a.fq.gz", reads)
    outputs = "--report {tmp}/x.report --output {tmp}/x.output --json {tmp}/x.json --table {tmp}/x.table"
    run("classify {taxa}/m {tmp}/a.fq.gz --fast --threshold 0.6 " + outputs, taxa=taxa, tmp=tmp_path)
    assert f"of {len(reads)} reads classified" in capsys.readouterr().err
    report = pd.read_csv(tmp_path / "x.report", sep="\t", names=["percent", "clade", "own", "code", "taxid", "name"])
    lines = pd.read_csv(tmp_path / "x.output", sep="\t", names=["called", "read", "taxid", "length", "calls"])
    table = pd.read_parquet(tmp_path / "x.table")
    figures = json.loads((tmp_path / "x.json").read_text())
    assert report["own"].sum() == len(lines) == len(table) == figures["reads"] == len(reads)
    for taxid, own in zip(report["taxid"], report["own"]):
        assert (lines["taxid"] == taxid).sum() == own
    root = report[report["taxid"] == 1].iloc[0]
    assert root["clade"] == (lines["called"] == "C").sum() == len(reads) - figures["unclassified"]
    depth = report["name"].str.len() - report["name"].str.lstrip().str.len()
    unclassified = {"U": 0} if "U" in set(report["code"]) else {}
    assert dict(zip(report["code"], depth)) == {"R": 0, "D": 2, "P": 4, "F": 6, "G": 8} | unclassified
    truth = np.repeat(["Alpha", "Beta"], len(reads) // 2)
    called = table["rank"] == "genus"
    assert called.mean() > 0.5 and (table["genus"] == truth)[called].mean() > 0.9
    assert table["read"].tolist() == [f"r{i}" for i in range(len(reads))]


def test_samples_merge_into_one_table(taxa, reads, tmp_path, capsys):
    biom = pytest.importorskip("biom")
    for name, some in (("one", reads[:20]), ("two", reads[20:50])):
        write_reads(tmp_path / f"{name}.fq", some)
        run("classify {taxa}/m {sample}.fq --fast --json {sample}.json", taxa=taxa, sample=tmp_path / name)
    run("merge {tmp}/one.json {tmp}/two.json --out {tmp}/x.biom", tmp=tmp_path)
    table = biom.load_table(str(tmp_path / "x.biom"))
    assert dict(zip(table.ids("sample"), table.sum("sample"))) == {"one": 20, "two": 30}
    capsys.readouterr()
    fails(capsys, "merge {tmp}/one.json {tmp}/one.json --out {tmp}/y", names=["two samples"], tmp=tmp_path)
    fails(capsys, "merge {tmp}/none.json --out {tmp}/y", names=["none.json", "no such file"], tmp=tmp_path)


def test_pages_of_one_sample_and_of_two(taxa, reads, tmp_path, capsys):
    unknown = [np.full(150, 4), np.zeros(2, int)]  # N, and shorter than a k-mer
    for name, some in (("one", reads[:20] + unknown), ("two", reads[20:50])):
        write_reads(tmp_path / f"{name}.fq", some)
        outputs = "--json {sample}.json --page {sample}.html"
        run("classify {taxa}/m {sample}.fq --fast " + outputs, taxa=taxa, sample=tmp_path / name)
    assert capsys.readouterr().out == "", "no report is printed beside a page"
    counts = json.loads((tmp_path / "one.json").read_text())
    assert counts["unknown"]["no_kmer"] == 2 and sum(counts["unknown"].values()) == counts["unclassified"]
    page = (tmp_path / "one.html").read_text()
    assert f'<h1>Reads by taxon: one</h1>\n<p class="lead">one: {len(reads[:20]) + 2} reads.' in page
    assert f"at a confidence of {TaxonModel.load(taxa / 'm').threshold:.2f}." in page
    run("merge {tmp}/one.json {tmp}/two.json --page {tmp}/both.html", tmp=tmp_path)
    both = (tmp_path / "both.html").read_text()
    assert both.count("<svg") == 2 and "two: 30 reads." in both and "<th>share, %: two</th>" in both
    fails(capsys, "merge {tmp}/one.json --page {tmp}/one.json", names=["one.json", "at once"], tmp=tmp_path)
    fails(capsys, "merge {tmp}/one.json", names=["--page"], tmp=tmp_path)
    fails(capsys, "classify {taxa}/m {tmp}/one.fq --page {tmp}/no/x", names=["no/x"], taxa=taxa, tmp=tmp_path)


def test_report_on_standard_output_and_threshold(taxa, reads, tmp_path, capsys):
    write_reads(tmp_path / "a.fq", reads)

    def given_to_a_genus(threshold):
        run(f"classify {{taxa}}/m {{tmp}}/a.fq --fast --threshold {threshold}", taxa=taxa, tmp=tmp_path)
        rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        return sum(int(row[2]) for row in rows if row[3] == "G")

    assert given_to_a_genus(0.999) < given_to_a_genus(0.5)


def test_pairs(taxa, reads, tmp_path, capsys):
    write_reads(tmp_path / "a.fq", reads[:20], "/1")
    write_reads(tmp_path / "b.fq", reads[20:40], "/2")
    run("classify {taxa}/m {tmp}/a.fq {tmp}/b.fq --output {tmp}/x --fast", taxa=taxa, tmp=tmp_path)
    assert (tmp_path / "x").read_text().count("\t150|150\t") == 20 and "of 20 pairs" in capsys.readouterr().err
    write_reads(tmp_path / "c.fq", reads[20:30], "/2")
    short = "classify {taxa}/m {tmp}/a.fq {tmp}/c.fq --output {tmp}/y --fast"
    fails(capsys, short, names=["c.fq", "10 reads are paired"], taxa=taxa, tmp=tmp_path)
    assert not list(tmp_path.glob("y*"))


@pytest.mark.parametrize("content, message", [("", "empty"), ("hello\n", "neither FASTA"), (">p\nMKVLLQ\n", "protein")])
def test_bad_reads(taxa, tmp_path, capsys, content, message):
    (tmp_path / "bad.fa").write_text(content)
    classify = "classify {taxa}/m {tmp}/bad.fa --report {tmp}/r"
    fails(capsys, classify, names=["bad.fa", message], taxa=taxa, tmp=tmp_path)
    assert not (tmp_path / "r").exists()


def test_reads_that_say_nothing_are_unclassified(taxa, tmp_path):
    write_reads(tmp_path / "n.fq", [np.full(150, 4), np.array([0, 1]), np.full(0, 4)])
    run("classify {taxa}/m {tmp}/n.fq --output {tmp}/x --report {tmp}/r", taxa=taxa, tmp=tmp_path)
    assert [line.split("\t")[0] for line in (tmp_path / "x").read_text().splitlines()] == ["U"] * 3
    assert (tmp_path / "r").read_text().split("\t")[:4] == ["100.00", "3", "3", "U"]


def test_bad_models_and_tables(taxa, models, corpus, tmp_path, capsys):
    places = {"taxa": taxa, "models": models, "corpus": corpus.path, "tmp": tmp_path}
    write_reads(tmp_path / "a.fq", [np.zeros(150, int)])
    (tmp_path / "few.tsv").write_text("genus\tfamily\nAlpha\tAlphae\n")
    (tmp_path / "numbers.tsv").write_text("genus\ttaxid\nAlpha\t5\nBeta\t6\n")
    calibrate = "calibrate {models}/clf {corpus} --label genus --out {tmp}/m --fast --lineages "
    of_language_model = calibrate.replace("/clf", "/lm") + "{taxa}/lineages.tsv"
    cases = {
        "classify {models}/clf {tmp}/a.fq": ["is not calibrated", "genomic-ulmfit calibrate"],
        "classify {models}/lm {tmp}/a.fq": ["is a language model", "genomic-ulmfit train"],
        of_language_model: ["no classes"],
        calibrate + "{tmp}/few.tsv": ["few.tsv", "'Beta'"],
        calibrate + "{tmp}/none.tsv": ["none.tsv", "no such file"],
        calibrate + "{taxa}/lineages.tsv --split test_more": ["test_more"],
        calibrate + "{tmp}/numbers.tsv --taxdump {tmp}": ["nodes.dmp", "taxdump.tar.gz"],
    }
    for command, names in cases.items():
        fails(capsys, command, names=names, **places)


STUB = """#!{python}
import sys
fasta, output = sys.argv[-1], sys.argv[sys.argv.index("--output") + 1]
if "broken" in sys.argv[2]: sys.exit("no database there")
names = [line[1:].split()[0] for line in open(fasta) if line.startswith(">")]
letters = [line for line in open(fasta) if not line.startswith(">")]
taxon = lambda s: {alpha} if s.count("A") + s.count("T") > len(s) / 2 else {beta}
open(output, "w").writelines(f"C\\t{{n}}\\t{{taxon(s)}}\\t150\\t{{taxon(s)}}:9 0:20\\n" for n, s in zip(names, letters))
"""


@pytest.fixture(scope="module")
def weighed(taxa, models, corpus, reads, tmp_path_factory):
    """Folder of a model that weighs Kraken2 (`m`), reads, and lines of Kraken2 that give all of them to Beta.

    Kraken2 is a stand-in (`bin/kraken2`), which gives a read to a genus by its composition.
    """
    folder = tmp_path_factory.mktemp("weighed")
    nodes = TaxonModel.load(taxa / "m").tree.nodes
    taxids = {t.name: t.taxid for t in nodes[nodes["rank"] == "genus"].itertuples()}
    (folder / "bin").mkdir()
    stub = folder / "bin" / "kraken2"
    stub.write_text(STUB.format(python=sys.executable, alpha=taxids["Alpha"], beta=taxids["Beta"]))
    stub.chmod(0o755)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
        places = {"taxa": taxa, "models": models, "corpus": corpus.path, "out": folder / "m"}
        run(CALIBRATE + "--kraken2 db", **places)
    write_reads(folder / "a.fq", reads)
    beta = taxids["Beta"]
    lines = [f"C\tr{i}\t{beta}\t150\t{beta}:90\n" for i in range(len(reads))]
    (folder / "x.kraken").write_text("".join(lines))
    (folder / "agents.tsv").write_text(AGENTS)
    return folder


def test_calibrating_with_a_kraken2_that_fails(weighed, taxa, models, corpus, tmp_path, monkeypatch, capsys):
    places = {"taxa": taxa, "models": models, "corpus": corpus.path, "out": tmp_path / "m"}
    monkeypatch.setenv("PATH", "/nowhere")
    fails(capsys, CALIBRATE + "--kraken2 db", names=["kraken2, which is not on the path"], **places)
    monkeypatch.setenv("PATH", f"{weighed / 'bin'}:/usr/bin:/bin")
    fails(capsys, CALIBRATE + "--kraken2 broken", names=["no database there"], **places)


def test_kraken2_is_a_second_opinion(weighed, taxa, reads, tmp_path, capsys):
    places = {"taxa": taxa, "weighed": weighed, "tmp": tmp_path}
    names = ["was calibrated with Kraken2's output"]
    fails(capsys, "classify {weighed}/m {weighed}/a.fq --fast", names=names, **places)
    names = ["x.kraken", "was calibrated without Kraken2's output"]
    fails(capsys, "classify {taxa}/m {weighed}/a.fq --fast --kraken2 {weighed}/x.kraken", names=names, **places)
    classify = "classify {weighed}/m {weighed}/a.fq --fast --kraken2 {weighed}/x.kraken --json {tmp}/x.json"
    run(classify, **places)
    rows = json.loads((tmp_path / "x.json").read_text())["taxa"]
    expected = {row["name"]: row["expected_reads"] for row in rows}
    assert expected["Beta"] > 0.6 * len(reads), "half of them are of Alpha, but Kraken2 says Beta of all"


@pytest.mark.parametrize("weighs", [False, True])
def test_kraken2_stands_beside_the_screen(weighs, taxa, weighed, tmp_path):
    """Beside a model that can't weigh it, and in one that does."""
    places = {"model": (weighed if weighs else taxa) / "m", "weighed": weighed, "tmp": tmp_path}
    options = " --kraken2 {weighed}/x.kraken --agents {weighed}/agents.tsv --out {tmp}/out"
    run("screen {model} {weighed}/a.fq --fast" + options, **places)
    table = pd.read_csv(tmp_path / "out" / "screen.tsv", sep="\t").set_index("agent")
    assert table.loc["the alpha", "kraken2_reads"] == 0
    assert ">Kraken2<" in (tmp_path / "out" / "report.html").read_text()


def test_kraken2_for_one_of_two_samples(weighed, tmp_path, capsys):
    two = "screen {weighed}/m {weighed}/a.fq --control {weighed}/b.fq --agents {weighed}/agents.tsv --out {tmp}/out"
    names = ["1 files of Kraken2, for 2 samples"]
    fails(capsys, two + " --kraken2 {weighed}/x.kraken", names=names, weighed=weighed, tmp=tmp_path)


def test_kraken2_of_other_reads(weighed, tmp_path, capsys):
    lines = (weighed / "x.kraken").read_text().splitlines(keepends=True)
    cases = {
        "ends before the reads do": lines[:-1],
        "goes on with 'r0'": [*lines, lines[0]],
        "'r1' where 'r0' is expected": lines[1:],
    }
    classify = "classify {weighed}/m {weighed}/a.fq --fast --kraken2 {tmp}/x.kraken"
    for message, wrong in cases.items():
        (tmp_path / "x.kraken").write_text("".join(wrong))
        fails(capsys, classify, names=["x.kraken", message], weighed=weighed, tmp=tmp_path)


def test_plants_and_people_are_unknown(taxa, tmp_path):
    """Reads like nothing that was learned: repeats, and text of another composition and order, like eukaryotes'."""
    rng = np.random.default_rng(0)
    satellites = [np.tile(rng.integers(0, 4, 7), 22)[:150] for _ in range(40)]
    turns = np.arange(150) % 2
    without_cpg = [  # as where CpG is methylated
        np.where(turns == rng.integers(2), rng.choice([1, 2], 150), rng.choice([0, 3], 150)) for _ in range(40)
    ]
    write_reads(tmp_path / "e.fq", satellites + without_cpg)
    run("classify {taxa}/m {tmp}/e.fq --report {tmp}/r --fast", taxa=taxa, tmp=tmp_path)
    report = pd.read_csv(tmp_path / "r", sep="\t", names=["percent", "clade", "own", "code", "taxid", "name"])
    assert report.loc[report["code"] == "G", "clade"].sum() < 0.2 * 80, report


def test_words_travel_with_the_model(models, corpus, taxa, reads, tmp_path, capsys):
    places = {"taxa": taxa, "models": models, "corpus": corpus.path, "out": tmp_path / "m"}
    run(CALIBRATE + "--words small", **places)
    model = TaxonModel.load(tmp_path / "m")
    assert isinstance(model.words, WordTable)
    assert model.words.classes == ["Alpha", "Beta"] and model.words.one_in == 16
    evidence = model.evidence([(r,) for r in reads])
    learned = model.evidence([(corpus.codes(i)[:5000],) for i in corpus.split("train").index])
    assert 6 < evidence.looked_up.mean() < 9
    assert (learned.words.max(1) >= 0.85 * learned.looked_up).all() and learned.looked_up.all()
    paired = model.evidence([(reads[0], reads[1]), (reads[1], reads[0])])
    assert (paired.words == evidence.words[:2].sum(0)).all()
    assert (paired.looked_up == evidence.looked_up[:2].sum()).all()
    shutil.rmtree(tmp_path / "m" / "words")
    write_reads(tmp_path / "a.fq", reads[:2])
    fails(capsys, "classify {tmp}/m {tmp}/a.fq", names=["words", "no such table"], tmp=tmp_path)


def test_screen(taxa, reads, tmp_path, capsys):
    rng = np.random.default_rng(0)
    half = len(reads) // 2
    write_reads(tmp_path / "patient.fq.gz", reads[:half])
    write_reads(tmp_path / "blank.fq", [rng.choice(4, 150, p=[0.15, 0.35, 0.35, 0.15]) for _ in range(60)])
    (tmp_path / "agents.tsv").write_text(AGENTS)
    screen = "screen {taxa}/m {tmp}/patient.fq.gz --control {tmp}/blank.fq --agents {tmp}/agents.tsv --out {tmp}/out"
    run(screen + " --fast", taxa=taxa, tmp=tmp_path)
    assert "not a diagnosis" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / "screen.tsv", sep="\t").set_index(["sample", "agent"])
    assert set(table.index) == {(s, a) for s in ("patient", "blank") for a in ("the alpha", "the gamma")}
    assert table.loc[("patient", "the gamma"), "decision"].startswith("cannot be screened")
    assert table.loc[("blank", "the alpha"), "decision"] != "detected"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "mine, today" in page and "blank (control)" in page and "patient (control)" not in page
    assert (tmp_path / "out" / "patient.kreport").exists()
    kept = json.loads((tmp_path / "out" / "screen.json").read_text())
    assert kept["reads"] == {"patient": half, "blank": 60} and len(kept["rows"]) == 4


def test_names_of_samples():
    names = {
        ("a/x_1.fq.gz", "a/x_2.fq.gz"): "x",
        ("s_R1_001.fastq", "s_R2_001.fastq"): "s",
        ("1.fq", "2.fq"): "1",
        ("x_1.fq",): "x_1",
    }
    assert {files: sample_name(*files) for files in names} == names


def test_screen_bad_input(taxa, reads, tmp_path, capsys):
    places = {"taxa": taxa, "tmp": tmp_path}
    write_reads(tmp_path / "a.fq", reads[:4])
    (tmp_path / "agents.tsv").write_text(AGENTS)
    mine = " --agents {tmp}/agents.tsv --out {tmp}/o"
    cases = {
        "{tmp}/a.fq --agents {tmp}/none.tsv --out {tmp}/o": ["none.tsv", "no such file"],
        "{tmp}/a.fq --out {tmp}/o": ["nothing that the model learned", "Bacillus anthracis"],
        "{tmp}/a.fq {tmp}/a.fq" + mine: ["two samples"],
        "{tmp}/a.fq,{tmp}/a.fq,{tmp}/a.fq" + mine: ["more than a pair"],
        "{tmp}/missing.fq" + mine: ["missing.fq"],
    }
    for command, names in cases.items():
        fails(capsys, "screen {taxa}/m " + command, names=names, **places)


def test_screen_needs_confusions(taxa, reads, tmp_path, capsys):
    write_reads(tmp_path / "a.fq", reads[:4])
    (tmp_path / "agents.tsv").write_text(AGENTS)
    shutil.copytree(taxa / "m", tmp_path / "m")
    settings = json.loads((tmp_path / "m" / "taxa.json").read_text())
    del settings["confusion"]
    (tmp_path / "m" / "taxa.json").write_text(json.dumps(settings))
    screen = "screen {tmp}/m {tmp}/a.fq --agents {tmp}/agents.tsv --out {tmp}/o --fast"
    fails(capsys, screen, names=["no table of confusions", "calibrate"], tmp=tmp_path)


@pytest.fixture(scope="module")
def shipped():
    return TaxonModel.load("bacteria-taxa", "cpu")


def counted(model, given, close=0.5):
    """A sample of 200,000 reads, so many of them given to each species; a share of these is close to it."""
    sample = Sample(model.tree)
    sample.reads = 200_000
    for species, reads in given.items():
        number = model.tree.classes.index(species)
        sample.direct[model.tree.rows[number]] = sample.best[number] = reads
        sample.close[number] = round(close * reads)
    return sample


@pytest.mark.parametrize(
    ("given", "agent", "decision"),
    [
        ({"Bacillus subtilis": 20_000}, "Bacillus anthracis", "not detected"),
        ({"Bacillus subtilis": 2_000, "Bacillus cereus": 3}, "Bacillus anthracis", "not detected"),
        ({"Bacillus cereus": 2_000}, "Bacillus anthracis", "Bacillus cereus group only, cannot tell apart"),
        (
            {"Bacillus cereus": 200, "Bacillus subtilis": 20_000},
            "Bacillus anthracis",
            "Bacillus cereus group only, cannot tell apart",
        ),
        ({"Bacillus anthracis": 200}, "Bacillus anthracis", "detected"),
        ({"Yersinia enterocolitica": 2_000}, "Yersinia pestis", "not detected"),
        ({"Mycoplasma gallisepticum": 2_000}, "Mycoplasma mycoides", "not detected"),
        ({"Brucella ovis": 200}, "Brucella suis", "Brucella only, cannot tell apart"),
        ({"Brucella ovis": 200}, "Brucella, any species", "detected"),
    ],
)
def test_the_near_group_takes_the_place_of_the_genus(shipped, given, agent, decision):
    found = screen_sample(counted(shipped, given), shipped).set_index("agent")
    assert found.loc[agent, "decision"] == decision


def test_a_relative_outside_of_the_group_is_not_the_group(shipped):
    """Reads of a species of the genus that was never learned: they fit the group best, and are not close to it."""
    far = screen_sample(counted(shipped, {"Yersinia pestis": 500}, close=0.03), shipped).set_index("agent")
    near = screen_sample(counted(shipped, {"Yersinia pestis": 500}, close=0.2), shipped).set_index("agent")
    assert far.loc["Yersinia pestis", "decision"] == "not detected"
    assert near.loc["Yersinia pestis", "decision"].startswith("Yersinia pseudotuberculosis complex only")


@pytest.mark.parametrize("close", [0.1, 0.5, 1.0])
def test_a_part_is_no_more_than_the_whole(shipped, close):
    """Reads without errors are all close, twice as many as those that the sensitivity was measured on."""
    sample = counted(shipped, {"Brucella abortus": 50_000, "Brucella suis": 900}, close)
    found = screen_sample(sample, shipped).set_index("agent")
    for bound in ("fraction", "fraction_low", "fraction_high"):
        whole = found.loc["Brucella, any species", bound]
        parts = found.loc[["Brucella abortus", "Brucella melitensis", "Brucella suis"], bound]
        assert (parts <= whole).all()
    assert 0.25 < found.loc["Brucella, any species", "fraction"] < 0.26


def test_classes_must_agree(taxa, corpus, tmp_path):
    model = TaxonModel.load(taxa / "m")
    other = build_words(corpus, "genus", tmp_path / "s", classes=["Beta", "Alpha"])
    with pytest.raises(ValueError, match="not the same"):
        TaxonModel(model.model, model.tree, other)
    with pytest.raises(InputError, match="exists already"):
        build_words(GenomeCorpus(corpus.path), "genus", tmp_path / "s")


SHIPPED = {  # some of the shipped genomes and their genera
    "Vibrio_cholerae_O395.fna.gz": "Vibrio",
    "Staphylococcus_aureus_RF122.fna.gz": "Staphylococcus",
    "Helicobacter_pylori_Puno120.fna.gz": "Helicobacter",
}


def shipped_reads(each):
    """So many reads of each of these genomes, and the genus of each read."""
    rng = np.random.default_rng(0)
    reads = []
    for file in SHIPPED:
        text = max((r.codes for r in read_sequences(SAMPLE / file)), key=len)
        reads += [text[a : a + 150] for a in rng.integers(0, len(text) - 150, each)]
    return reads, np.repeat(list(SHIPPED.values()), each)


def test_the_model_that_comes_with_the_package(tmp_path, capsys):
    """`bacteria-taxa` loads offline, is small, knows the genera of shipped genomes, and screens."""
    folder = model_folder("bacteria-taxa")
    assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) <= 40e6
    model = TaxonModel.load("bacteria-taxa")
    assert model.model.about["license"] and model.model.about["training_files"]
    reads, truth = shipped_reads(60)
    write_reads(tmp_path / "a.fq", reads)
    run("classify bacteria-taxa {tmp}/a.fq --fast --table {tmp}/t", tmp=tmp_path)
    table = pd.read_parquet(tmp_path / "t")
    assert (table["genus"] == truth).mean() > 0.5
    called = table["rank"].isin(["genus", "species"])
    assert (table["genus"] == truth)[called].mean() > 0.9 and called.any()
    run("screen bacteria-taxa {tmp}/a.fq --out {tmp}/s --fast", tmp=tmp_path)
    assert "no agent of the list detected" in capsys.readouterr().out
