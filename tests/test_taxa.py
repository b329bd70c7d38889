"""Taxa from the command line: calibrate, classify, formats that other tools read, and what bad input gets."""

import gzip
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from genomic_ulmfit.taxa.workflows import pair_name

from genomic_ulmfit.all import SAMPLE, GenomeCorpus, InputError, TaxonModel, WordTable, build_words, read_sequences
from genomic_ulmfit.cli.main import main
from genomic_ulmfit.model.folder import model_folder
from genomic_ulmfit.seq.alphabet import decode_bases

LINEAGES = "species\tgenus\tphylum\tdomain\n" + "".join(f"{g}\t{g}us\tOnly\tBacteria\n" for g in ("Alpha", "Beta"))


@pytest.fixture(scope="module")
def taxa(models, corpus, tmp_path_factory):
    """Folder of a calibrated model, without words."""
    folder = tmp_path_factory.mktemp("taxa")
    (folder / "lineages.tsv").write_text(
        LINEAGES.replace("species", "genus_").replace("genus\t", "family\t").replace("genus_", "genus")
    )
    assert (
        main(
            [
                "calibrate",
                str(models / "clf"),
                str(corpus.path),
                "--lineages",
                str(folder / "lineages.tsv"),
                "--label",
                "genus",
                "--out",
                str(folder / "m"),
                "--fast",
                "--json",
                str(folder / "c.json"),
            ]
        )
        == 0
    )
    return folder


def write_reads(path, reads, suffix=""):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt") as f:
        for i, r in enumerate(reads):
            f.write(f"@r{i}{suffix}\n{decode_bases(r)}\n+\n{'I' * len(r)}\n")
    return str(path)


@pytest.fixture(scope="module")
def reads(corpus):
    rows = corpus.split("test")
    return [np.asarray(corpus.codes(i)[a : a + 150]) for i in rows.index for a in range(0, 6000, 200)]


def fails(capsys, *argv, names=()):
    assert main([str(a) for a in argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("genomic-ulmfit: ") and err.count("\n") == 1, err
    for name in names:
        assert name in err, err


def test_calibrate_says_what_it_found(taxa):
    figures = json.loads((taxa / "c.json").read_text())
    assert figures["ece"] < 0.1 and sum(t["chosen"] for t in figures["thresholds"]) == 1
    shares = pd.DataFrame(figures["thresholds"])
    assert ((shares["right"] + shares["wrong"]).diff().dropna() <= 1e-9).all(), (
        "fewer reads are called at a higher threshold"
    )
    model = TaxonModel.load(taxa / "m")
    assert [model.tree.nodes["name"][r] for r in model.tree.rows] == ["Alpha", "Beta"] and model.threshold == next(
        t["threshold"] for t in figures["thresholds"] if t["chosen"]
    )


def test_formats(taxa, reads, tmp_path, capsys):
    file = write_reads(tmp_path / "a.fq.gz", reads)
    outputs = {k: str(tmp_path / f"x.{k}") for k in ("report", "output", "json", "table")}
    assert (
        main(
            [
                "classify",
                str(taxa / "m"),
                file,
                *(x for k, v in outputs.items() for x in (f"--{k}", v)),
                "--fast",
                "--threshold",
                "0.6",
            ]
        )
        == 0
    )
    assert f"of {len(reads)} reads classified" in capsys.readouterr().err
    report = pd.read_csv(outputs["report"], sep="\t", names=["percent", "clade", "own", "code", "taxid", "name"])
    lines = pd.read_csv(outputs["output"], sep="\t", names=["called", "read", "taxid", "length", "calls"])
    table, figures = pd.read_parquet(outputs["table"]), json.loads((tmp_path / "x.json").read_text())
    assert report["own"].sum() == len(lines) == len(table) == figures["reads"] == len(reads)
    for taxid, own in zip(report["taxid"], report["own"]):
        assert (lines["taxid"] == taxid).sum() == own
    root = report[report["taxid"] == 1].iloc[0]
    assert root["clade"] == (lines["called"] == "C").sum() == len(reads) - figures["unclassified"]
    depth = report["name"].str.len() - report["name"].str.lstrip().str.len()
    assert dict(zip(report["code"], depth)) == {"R": 0, "D": 2, "P": 4, "F": 6, "G": 8} | (
        {"U": 0} if "U" in set(report["code"]) else {}
    )
    truth = np.repeat(["Alpha", "Beta"], len(reads) // 2)
    called = table["rank"] == "genus"
    assert called.mean() > 0.5 and (table["genus"] == truth)[called].mean() > 0.9
    assert table["read"].tolist() == [f"r{i}" for i in range(len(reads))]


def test_samples_merge_into_one_table(taxa, reads, tmp_path, capsys):
    biom = pytest.importorskip("biom")
    for name, some in (("one", reads[:20]), ("two", reads[20:50])):
        assert (
            main(
                [
                    "classify",
                    str(taxa / "m"),
                    write_reads(tmp_path / f"{name}.fq", some),
                    "--fast",
                    "--json",
                    str(tmp_path / f"{name}.json"),
                ]
            )
            == 0
        )
    assert (
        main(["merge", str(tmp_path / "one.json"), str(tmp_path / "two.json"), "--out", str(tmp_path / "x.biom")]) == 0
    )
    table = biom.load_table(str(tmp_path / "x.biom"))
    assert dict(zip(table.ids("sample"), table.sum("sample"))) == {"one": 20, "two": 30}
    capsys.readouterr()
    fails(capsys, "merge", tmp_path / "one.json", tmp_path / "one.json", "--out", tmp_path / "y", names=["two samples"])
    fails(capsys, "merge", tmp_path / "none.json", "--out", tmp_path / "y", names=["none.json", "no such file"])


def test_report_on_standard_output_and_threshold(taxa, reads, tmp_path, capsys):
    file = write_reads(tmp_path / "a.fq", reads)
    assert main(["classify", str(taxa / "m"), file, "--fast", "--threshold", "0.5"]) == 0
    some = capsys.readouterr().out
    assert main(["classify", str(taxa / "m"), file, "--fast", "--threshold", "0.999"]) == 0
    own = lambda text: sum(int(x.split("\t")[2]) for x in text.splitlines() if x.split("\t")[3] == "G")
    assert own(capsys.readouterr().out) < own(some)


def test_pairs(taxa, reads, tmp_path, capsys):
    a, b = write_reads(tmp_path / "a.fq", reads[:20], "/1"), write_reads(tmp_path / "b.fq", reads[20:40], "/2")
    assert main(["classify", str(taxa / "m"), a, b, "--output", str(tmp_path / "x"), "--fast"]) == 0
    assert (tmp_path / "x").read_text().count("\t150|150\t") == 20 and "of 20 pairs" in capsys.readouterr().err
    short = write_reads(tmp_path / "c.fq", reads[20:30], "/2")
    fails(
        capsys,
        "classify",
        taxa / "m",
        a,
        short,
        "--output",
        tmp_path / "y",
        "--fast",
        names=["c.fq", "10 reads are paired"],
    )
    assert not list(tmp_path.glob("y*"))


@pytest.mark.parametrize(
    "content, names", [("", ["empty"]), ("hello\n", ["neither FASTA"]), (">p\nMKVLLQ\n", ["protein"])]
)
def test_bad_reads(taxa, tmp_path, capsys, content, names):
    (tmp_path / "bad.fa").write_text(content)
    fails(capsys, "classify", taxa / "m", tmp_path / "bad.fa", "--report", tmp_path / "r", names=["bad.fa", *names])
    assert not (tmp_path / "r").exists()


def test_reads_that_say_nothing_are_unclassified(taxa, tmp_path):
    write_reads(tmp_path / "n.fq", [np.full(150, 4), np.array([0, 1]), np.full(0, 4)])
    assert (
        main(
            [
                "classify",
                str(taxa / "m"),
                str(tmp_path / "n.fq"),
                "--output",
                str(tmp_path / "x"),
                "--report",
                str(tmp_path / "r"),
            ]
        )
        == 0
    )
    assert [line.split("\t")[0] for line in (tmp_path / "x").read_text().splitlines()] == ["U"] * 3
    assert (tmp_path / "r").read_text().split("\t")[:4] == ["100.00", "3", "3", "U"]


def test_bad_models_and_tables(taxa, models, corpus, genomes, tmp_path, capsys):
    reads = write_reads(tmp_path / "a.fq", [np.zeros(150, int)])
    fails(capsys, "classify", models / "clf", reads, names=["is not calibrated", "genomic-ulmfit calibrate"])
    fails(capsys, "classify", models / "lm", reads, names=["is a language model", "genomic-ulmfit train"])
    calibrate = [
        "calibrate",
        models / "clf",
        corpus.path,
        "--label",
        "genus",
        "--out",
        tmp_path / "m",
        "--fast",
        "--lineages",
    ]
    fails(capsys, "calibrate", models / "lm", *calibrate[2:], taxa / "lineages.tsv", names=["no classes"])
    (tmp_path / "few.tsv").write_text("genus\tfamily\nAlpha\tAlphae\n")
    fails(capsys, *calibrate, tmp_path / "few.tsv", names=["few.tsv", "'Beta'"])
    fails(capsys, *calibrate, tmp_path / "none.tsv", names=["none.tsv", "no such file"])
    fails(capsys, *calibrate, taxa / "lineages.tsv", "--split", "test_more", names=["test_more"])
    (tmp_path / "numbers.tsv").write_text("genus\ttaxid\nAlpha\t5\nBeta\t6\n")
    fails(capsys, *calibrate, tmp_path / "numbers.tsv", "--taxdump", tmp_path, names=["nodes.dmp", "taxdump.tar.gz"])


STUB = """#!{python}
import sys
fasta, output = sys.argv[-1], sys.argv[sys.argv.index("--output") + 1]
if "broken" in sys.argv[2]: sys.exit("no database there")
names = [line[1:].split()[0] for line in open(fasta) if line.startswith(">")]
letters = [line for line in open(fasta) if not line.startswith(">")]
taxon = lambda s: {alpha} if s.count("A") + s.count("T") > len(s) / 2 else {beta}
open(output, "w").writelines(f"C\\t{{n}}\\t{{taxon(s)}}\\t150\\t{{taxon(s)}}:9 0:20\\n" for n, s in zip(names, letters))
"""


def test_kraken2_as_a_second_opinion(taxa, models, corpus, reads, tmp_path, monkeypatch, capsys):
    """A stand-in for kraken2, which gives a read to a genus by its composition."""
    nodes = TaxonModel.load(taxa / "m").tree.nodes
    taxid = {t.name: t.taxid for t in nodes[nodes["rank"] == "genus"].itertuples()}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kraken2").write_text(
        STUB.format(python=sys.executable, alpha=taxid["Alpha"], beta=taxid["Beta"])
    )
    (tmp_path / "bin" / "kraken2").chmod(0o755)
    calibrate = [
        "calibrate",
        str(models / "clf"),
        str(corpus.path),
        "--lineages",
        str(taxa / "lineages.tsv"),
        "--label",
        "genus",
        "--fast",
        "--out",
        str(tmp_path / "m"),
        "--kraken2",
    ]
    monkeypatch.setenv("PATH", "/nowhere")
    fails(capsys, *calibrate, "db", names=["kraken2, which is not on the path"])
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    fails(capsys, *calibrate, "broken", names=["no database there"])
    assert main([*calibrate, "db"]) == 0
    file = write_reads(tmp_path / "a.fq", reads)
    fails(capsys, "classify", tmp_path / "m", file, "--fast", names=["was calibrated with Kraken2's output"])
    lines = [f"C\tr{i}\t{taxid['Beta']}\t150\t{taxid['Beta']}:90\n" for i in range(len(reads))]
    (tmp_path / "x.kraken").write_text("".join(lines))
    fails(
        capsys,
        "classify",
        taxa / "m",
        file,
        "--fast",
        "--kraken2",
        tmp_path / "x.kraken",
        names=["x.kraken", "was calibrated without Kraken2's output"],
    )
    assert (
        main(
            [
                "classify",
                str(tmp_path / "m"),
                file,
                "--fast",
                "--kraken2",
                str(tmp_path / "x.kraken"),
                "--json",
                str(tmp_path / "x.json"),
            ]
        )
        == 0
    )
    expected = {t["name"]: t["expected_reads"] for t in json.loads((tmp_path / "x.json").read_text())["taxa"]}
    assert expected["Beta"] > 0.6 * len(reads), "half of them are of Alpha, but Kraken2 says Beta of all"
    (tmp_path / "agents.tsv").write_text(AGENTS)
    for model in (taxa / "m", tmp_path / "m"):  # beside a model that can't weigh it, and in one that does
        out = tmp_path / f"out-{model.parent.name}"
        assert (
            main(
                [
                    "screen",
                    str(model),
                    file,
                    "--fast",
                    "--kraken2",
                    str(tmp_path / "x.kraken"),
                    "--agents",
                    str(tmp_path / "agents.tsv"),
                    "--out",
                    str(out),
                ]
            )
            == 0
        )
        table = pd.read_csv(out / "screen.tsv", sep="\t").set_index("agent")
        assert table.loc["the alpha", "kraken2_reads"] == 0 and ">Kraken2<" in (out / "report.html").read_text()
    capsys.readouterr()
    for wrong, names in (
        (lines[:-1], ["ends before the reads do"]),
        ([*lines, lines[0]], ["goes on with 'r0'"]),
        (lines[1:], ["'r1' where 'r0' is expected"]),
    ):
        (tmp_path / "x.kraken").write_text("".join(wrong))
        fails(
            capsys,
            "classify",
            tmp_path / "m",
            file,
            "--fast",
            "--kraken2",
            tmp_path / "x.kraken",
            names=["x.kraken", *names],
        )
    fails(
        capsys,
        "screen",
        tmp_path / "m",
        file,
        "--control",
        tmp_path / "b.fq",
        "--kraken2",
        tmp_path / "x.kraken",
        "--agents",
        tmp_path / "agents.tsv",
        "--out",
        tmp_path / "out",
        names=["1 files of Kraken2, for 2 samples"],
    )


def test_plants_and_people_are_unknown(taxa, tmp_path):
    """Reads like nothing that was learned: repeats, and text of another composition and order, like eukaryotes'."""
    rng = np.random.default_rng(0)
    repeats = [np.tile(rng.integers(0, 4, 7), 22)[:150] for _ in range(40)]  # satellites
    islands = [
        np.where(np.arange(150) % 2 == rng.integers(2), rng.choice([1, 2], 150), rng.choice([0, 3], 150))
        for _ in range(40)
    ]  # CpG never, as where it is methylated
    write_reads(tmp_path / "e.fq", repeats + islands)
    assert main(["classify", str(taxa / "m"), str(tmp_path / "e.fq"), "--report", str(tmp_path / "r"), "--fast"]) == 0
    report = pd.read_csv(tmp_path / "r", sep="\t", names=["percent", "clade", "own", "code", "taxid", "name"])
    assert report.loc[report["code"] == "G", "clade"].sum() < 0.2 * 80, report


def test_words_travel_with_the_model(models, corpus, taxa, reads, tmp_path, capsys):
    assert (
        main(
            [
                "calibrate",
                str(models / "clf"),
                str(corpus.path),
                "--lineages",
                str(taxa / "lineages.tsv"),
                "--label",
                "genus",
                "--out",
                str(tmp_path / "m"),
                "--fast",
                "--words",
                "small",
            ]
        )
        == 0
    )
    model = TaxonModel.load(tmp_path / "m")
    assert isinstance(model.words, WordTable) and model.words.classes == ["Alpha", "Beta"] and model.words.one_in == 64
    evidence = model.evidence([(r,) for r in reads])
    learned = model.evidence([(corpus.codes(i)[:5000],) for i in corpus.split("train").index])
    assert (
        1 < evidence.looked_up.mean() < 3
        and (learned.words.max(1) == learned.looked_up).all()
        and learned.looked_up.all()
    )
    paired = model.evidence([(reads[0], reads[1]), (reads[1], reads[0])])
    assert (paired.words == evidence.words[:2].sum(0)).all() and (
        paired.looked_up == evidence.looked_up[:2].sum()
    ).all()
    shutil.rmtree(tmp_path / "m" / "words")
    fails(
        capsys, "classify", tmp_path / "m", write_reads(tmp_path / "a.fq", reads[:2]), names=["words", "no such table"]
    )


AGENTS = "# mine, today\nagent\ttaxa\nthe alpha\tAlpha\nthe gamma\tGamma\n"


def test_screen(taxa, reads, tmp_path, capsys):
    rng, half = np.random.default_rng(0), len(reads) // 2
    write_reads(tmp_path / "patient.fq.gz", reads[:half])
    write_reads(tmp_path / "blank.fq", [rng.choice(4, 150, p=[0.15, 0.35, 0.35, 0.15]) for _ in range(60)])
    (tmp_path / "agents.tsv").write_text(AGENTS)
    assert (
        main(
            [
                "screen",
                str(taxa / "m"),
                str(tmp_path / "patient.fq.gz"),
                "--control",
                str(tmp_path / "blank.fq"),
                "--agents",
                str(tmp_path / "agents.tsv"),
                "--out",
                str(tmp_path / "out"),
                "--fast",
            ]
        )
        == 0
    )
    assert "not a diagnosis" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / "screen.tsv", sep="\t").set_index(["sample", "agent"])
    assert set(table.index) == {(s, a) for s in ("patient", "blank") for a in ("the alpha", "the gamma")}
    assert table.loc[("patient", "the gamma"), "decision"].startswith("cannot be screened")
    assert table.loc[("blank", "the alpha"), "decision"] != "detected"
    page = (tmp_path / "out" / "report.html").read_text()
    assert (
        "mine, today" in page
        and "blank (control)" in page
        and "patient (control)" not in page
        and (tmp_path / "out" / "patient.kreport").exists()
    )
    kept = json.loads((tmp_path / "out" / "screen.json").read_text())
    assert kept["reads"] == {"patient": half, "blank": 60} and len(kept["rows"]) == 4


def test_names_of_samples():
    names = {
        ("a/x_1.fq.gz", "a/x_2.fq.gz"): "x",
        ("s_R1_001.fastq", "s_R2_001.fastq"): "s",
        ("1.fq", "2.fq"): "1",
        ("x_1.fq",): "x_1",
    }
    assert {files: pair_name(files) for files in names} == names


def test_screen_bad_input(taxa, reads, tmp_path, capsys):
    a = write_reads(tmp_path / "a.fq", reads[:4])
    fails(
        capsys,
        "screen",
        taxa / "m",
        a,
        "--agents",
        tmp_path / "none.tsv",
        "--out",
        tmp_path / "o",
        names=["none.tsv", "no such file"],
    )
    fails(
        capsys,
        "screen",
        taxa / "m",
        a,
        "--out",
        tmp_path / "o",
        names=["nothing that the model learned", "Bacillus anthracis"],
    )
    (tmp_path / "agents.tsv").write_text(AGENTS)
    mine = ["--agents", tmp_path / "agents.tsv", "--out", tmp_path / "o"]
    fails(capsys, "screen", taxa / "m", a, a, *mine, names=["two samples"])
    fails(capsys, "screen", taxa / "m", f"{a},{a},{a}", *mine, names=["more than a pair"])
    fails(capsys, "screen", taxa / "m", tmp_path / "missing.fq", *mine, names=["missing.fq"])
    shutil.copytree(taxa / "m", tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    del config["about"]["confusion"]
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    fails(capsys, "screen", tmp_path / "m", a, *mine, "--fast", names=["no table of confusions", "calibrate"])


def test_classes_must_agree(taxa, corpus, tmp_path):
    model = TaxonModel.load(taxa / "m")
    other = build_words(corpus, "genus", tmp_path / "s", classes=["Beta", "Alpha"])
    with pytest.raises(ValueError, match="not the same"):
        TaxonModel(model.model, model.tree, other)
    with pytest.raises(InputError, match="exists already"):
        build_words(GenomeCorpus(corpus.path), "genus", tmp_path / "s")


def test_the_model_that_comes_with_the_package(tmp_path, capsys):
    """`bacteria-taxa` loads offline, is small, knows the genera of shipped genomes, and screens."""
    folder = model_folder("bacteria-taxa")
    assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) <= 12e6
    model = TaxonModel.load("bacteria-taxa")
    rng, reads, truth = np.random.default_rng(0), [], []
    for file, genus in (
        ("Vibrio_cholerae_O395.fna.gz", "Vibrio"),
        ("Staphylococcus_aureus_RF122.fna.gz", "Staphylococcus"),
        ("Helicobacter_pylori_Puno120.fna.gz", "Helicobacter"),
    ):
        text = max((r.codes for r in read_sequences(SAMPLE / file)), key=len)
        reads += [text[a : a + 150] for a in rng.integers(0, len(text) - 150, 60)]
        truth += [genus] * 60
    file = write_reads(tmp_path / "a.fq", reads)
    assert main(["classify", "bacteria-taxa", file, "--fast", "--table", str(tmp_path / "t")]) == 0
    table = pd.read_parquet(tmp_path / "t")
    assert (table["genus"] == truth).mean() > 0.5
    called = table["rank"].isin(["genus", "species"])
    assert (table["genus"] == truth)[called].mean() > 0.9 and called.any()
    assert main(["screen", "bacteria-taxa", file, "--out", str(tmp_path / "s"), "--fast"]) == 0
    assert "no agent of the list detected" in capsys.readouterr().out
    assert model.model.about["licence"] and model.model.about["training_files"]
