"""Variants: what is scored, what is not and why, and that a file comes out as it went in."""

import gzip
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from genomic_ulmfit.cli.main import main
from genomic_ulmfit.model.config import ModelConfig, PredictorConfig
from genomic_ulmfit.model.model import LanguageModel, Predictor
from genomic_ulmfit.nets.awdlstm import PRESETS, language_model
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.seq.alphabet import DNA
from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.tasks.annotate import annotate_variants
from genomic_ulmfit.tasks.variant_files import read_variants
from genomic_ulmfit.tasks.variants import score_variants
from genomic_ulmfit.text.kmers import KmerTokenizer
from genomic_ulmfit.text.task import Classes

pysam = pytest.importorskip("pysam")
RNG = np.random.default_rng(0)
CONTIG = RNG.integers(0, 4, 1_500, np.uint8)
CONTIG[700:724] = np.tile([1, 0], 12)  # a repeat
LETTERS = DNA.decode(CONTIG)
OTHER = dict(zip("ACGT", "CGTA"))
PAIR = str.maketrans("ACGT", "TGCA")


def random_weights(network):
    torch.manual_seed(1)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    return network


@pytest.fixture(scope="module")
def lm():
    tokenizer, nano = KmerTokenizer(3, 3), PRESETS["nano"]
    return LanguageModel(random_weights(language_model(tokenizer, nano)), ModelConfig(nano, tokenizer))


@pytest.fixture(scope="module")
def model():
    tokenizer, nano = KmerTokenizer(3, 3), PRESETS["nano"]
    config = PredictorConfig(nano, tokenizer, task=Classes(["no", "yes"]), read_length=40)
    return Predictor(random_weights(classifier(tokenizer, nano, 2)), config)


def table(*rows):
    """Variants from (pos, ref, alt)."""
    return pd.DataFrame([("one", *row) for row in rows], columns=["chrom", "pos", "ref", "alt"])


def single(pos):
    return pos, LETTERS[pos - 1], OTHER[LETTERS[pos - 1]]


def reverse_complement(letters):
    return letters.translate(PAIR)[::-1]


def both(model, lm, rows, contig=CONTIG, **how):
    """Ratios and differences of one target."""
    scores = score_variants(model, {"one": contig}, rows, lm=lm, **how)
    return np.stack([scores.llr, scores.diff[:, 1]], 1), scores


# ---------------------------------------------------------------- places


def test_first_and_last_base_are_scored(model, lm):
    found, scores = both(model, lm, table(single(1), single(1_500)))
    assert scores.counts() == {"ok": 2}
    assert not np.isnan(found).any()
    assert (np.abs(found) > 1e-4).all()


def test_a_circular_contig_reads_over_its_end(model, lm):
    rows = table(single(1), single(1_500))
    _, line = both(model, lm, rows)
    _, ring = both(model, lm, rows, circular=("one",))
    assert not np.allclose(line.llr, ring.llr)
    assert not np.allclose(line.diff, ring.diff)
    half = np.roll(CONTIG, 768)  # four windows of 192: the reading begins at the same letters
    moved = rows.assign(pos=[769, 768])
    scores = score_variants(lm, {"one": half}, moved, both_strands=False)
    again = score_variants(lm, {"one": CONTIG}, rows, both_strands=False, circular=("one",))
    assert np.allclose(scores.llr[0], again.llr[0], atol=1e-4)
    over = score_variants(lm, {"one": CONTIG}, table((1_500, LETTERS[-1] + LETTERS[0], LETTERS[-1])), circular=["one"])
    assert over.counts() == {"ok": 1}


def test_each_contig_has_its_own_letters(lm, tmp_path):
    other = DNA.reverse_complement(CONTIG)
    rows = pd.concat([table(single(600)), table(single(700)).assign(chrom="two"), table(single(800))])
    fasta = tmp_path / "two.fa"
    fasta.write_text(f">two\n{LETTERS}\n>one\n{DNA.decode(other)}\n")
    alone = score_variants(lm, {"two": CONTIG}, rows.query("chrom == 'two'")).llr[0]
    for _ in ("read whole", "indexed"):
        scores = score_variants(lm, fasta, rows.reset_index(drop=True))
        assert scores.table["status"].tolist() == ["ref_mismatch", "ok", "ref_mismatch"]
        assert scores.llr[1] == alone
        pysam.faidx(str(fasta))


def test_a_planted_base_is_found_at_its_position_and_not_beside_it(lm):
    contig = np.zeros(900, np.uint8)
    contig[450] = 2
    here = table((451, "G", "A"))
    assert score_variants(lm, {"one": contig}, here).counts() == {"ok": 1}
    for pos in (450, 452):
        assert score_variants(lm, {"one": contig}, here.assign(pos=pos)).counts() == {"ref_mismatch": 1}
    restored = score_variants(lm, {"one": contig}, here).llr[0]
    plain = score_variants(lm, {"one": np.zeros(900, np.uint8)}, table((451, "A", "G"))).llr[0]
    assert restored == pytest.approx(-plain, abs=1e-4)  # the change that makes the contig all A again, and no other


def test_the_same_letters_score_exactly_nothing(model, lm):
    found, scores = both(model, lm, table((100, LETTERS[99], LETTERS[99]), (100, LETTERS[99:102], LETTERS[99:102])))
    assert scores.counts() == {"ok": 2}
    assert (found == 0).all()


def test_to_swap_reference_and_alternative_turns_the_sign(model, lm):
    pos, ref, alt = single(600)
    found, _ = both(model, lm, table((pos, ref, alt)))
    changed = CONTIG.copy()
    changed[pos - 1] = DNA.encode(alt)[0]
    back, _ = both(model, lm, table((pos, alt, ref)), changed)
    assert np.allclose(found, -back, atol=1e-4)


def test_a_genome_and_its_reverse_complement_give_one_score(model, lm):
    rows = [single(p) for p in (1, 2, 333, 702, 1_200, 1_499, 1_500)]
    rows += [(900, LETTERS[899:902], "T"), (400, LETTERS[399], LETTERS[399] + "GATT"), (1_000, LETTERS[999:1003], "GG")]
    rows += [(699, LETTERS[698:703], LETTERS[698:701])]
    found, _ = both(model, lm, table(*rows))
    there = [(1_500 - pos - len(ref) + 2, reverse_complement(ref), reverse_complement(alt)) for pos, ref, alt in rows]
    other, scores = both(model, lm, table(*there), DNA.reverse_complement(CONTIG))
    assert scores.counts() == {"ok": len(rows)}
    assert np.allclose(found, other, atol=2e-5)


def test_multiallelic_records_are_their_alleles(lm, tmp_path):
    pos, ref, _ = single(500)
    others = sorted(set("ACGT") - {ref})
    write_vcf(tmp_path / "one.vcf", [(pos, ref, ",".join(others))])
    write_vcf(tmp_path / "split.vcf", [(pos, ref, alt) for alt in others])
    found = [score_variants(lm, {"one": CONTIG}, read_variants(tmp_path / name)) for name in ("one.vcf", "split.vcf")]
    assert np.array_equal(found[0].llr, found[1].llr)
    assert found[0].table["alt_index"].tolist() == [1, 2, 3]


def test_what_is_no_sequence_has_a_status_of_its_own(lm):
    ref = LETTERS[99]
    alts = ["*", "<DEL>", f"{ref}[one:7[", f".{ref}", ".", "A" * 65, "R", "n"]
    scores = score_variants(lm, {"one": CONTIG}, table(*((100, ref, alt) for alt in alts)))
    expected = [
        "spanning_deletion",
        "symbolic",
        "breakend",
        "breakend",
        "no_alt",
        "too_long",
        "n_in_window",
        "n_in_window",
    ]
    assert scores.table["status"].tolist() == expected
    assert np.isnan(scores.llr).all()
    others = pd.concat([table(single(100)).assign(chrom="two"), table((1_501, "A", "C"), (0, "A", "C"))])
    assert (
        score_variants(lm, {"one": CONTIG}, others).table["status"].tolist() == ["unknown_contig"] + ["off_contig"] * 2
    )
    longer = score_variants(lm, {"one": CONTIG}, table((100, ref, "A" * 65)), max_allele=65)
    assert longer.counts() == {"ok": 1}


def test_several_bases_at_once_are_not_the_sum_of_each(lm):
    first, second = single(800), single(801)
    together = (800, first[1] + second[1], first[2] + second[2])
    llr = score_variants(lm, {"one": CONTIG}, table(first, second, together)).llr
    assert llr[2] != pytest.approx(llr[0] + llr[1], abs=1e-3)
    padded = (799, LETTERS[798:802], LETTERS[798] + together[2] + LETTERS[801])
    assert score_variants(lm, {"one": CONTIG}, table(padded)).llr[0] == pytest.approx(llr[2], abs=1e-6)


def test_an_indel_of_a_repeat_has_one_score_however_it_is_written(model, lm):
    left = (700, LETTERS[699:702], LETTERS[699])
    forms = [
        left,
        *((p, LETTERS[p - 1 : p + 2], LETTERS[p - 1]) for p in range(701, 722)),
        (700, LETTERS[699:724], LETTERS[699:722]),
    ]
    found, scores = both(model, lm, table(*forms))
    assert scores.counts() == {"ok": len(forms)}
    assert np.ptp(found, 0).max() < 1e-5
    longer = [(p, LETTERS[p - 1], LETTERS[p - 1] + LETTERS[p : p + 2]) for p in range(700, 722)]
    found, _ = both(model, lm, table(*longer))
    assert np.ptp(found, 0).max() < 1e-5


def test_lower_case_and_unknown_letters_nearby(model, lm):
    pos, ref, alt = single(500)
    found, _ = both(model, lm, table((pos, ref, alt), (pos, ref.lower(), alt.lower())))
    assert np.array_equal(found[0], found[1])
    gaps = CONTIG.copy()
    gaps[520] = DNA.unknown
    assert score_variants(lm, {"one": gaps}, table(single(500))).counts() == {"n_in_window": 1}
    assert score_variants(lm, {"one": gaps}, table(single(1_000))).counts() == {"ok": 1}


def test_a_batch_is_what_each_is_alone_in_any_order(model, lm):
    rows = table(*(single(int(p)) for p in RNG.permutation(np.arange(20, 1_480, 61))), single(400), single(400))
    found, _ = both(model, lm, rows)
    alone = np.concatenate([both(model, lm, rows.iloc[[i]])[0] for i in range(len(rows))])
    assert np.allclose(found, alone, atol=1e-5)
    assert np.array_equal(found[-1], found[-2])


def test_a_reference_that_disagrees(lm):
    pos, ref, alt = single(300)
    rows = table((pos, alt, ref))
    assert score_variants(lm, {"one": CONTIG}, rows).counts() == {"ref_mismatch": 1}
    swapped = score_variants(lm, {"one": CONTIG}, rows, on_ref_mismatch="swap")
    assert swapped.counts() == {"swapped": 1}
    assert swapped.llr[0] == pytest.approx(-score_variants(lm, {"one": CONTIG}, table((pos, ref, alt))).llr[0])
    with pytest.raises(InputError, match="record 'one:300': REF is"):
        score_variants(lm, {"one": CONTIG}, rows, on_ref_mismatch="error")


# ---------------------------------------------------------------- files

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def write_vcf(path, rows, contigs=True, more=()):
    """A VCF of (pos, ref, alt) or (pos, ref, alt, INFO)."""
    lines = ["##fileformat=VCFv4.2", *more, *(["##contig=<ID=one,length=1500>"] if contigs else []), COLUMNS]
    for row in rows:
        pos, ref, alt, info = (*row, ".")[:4]
        lines.append(f"one\t{pos}\t.\t{ref}\t{alt}\t.\tPASS\t{info}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.fa"
    path.write_text(f">one a contig\n{LETTERS}\n>two\n{LETTERS[:300]}\n")
    return path


def records(path):
    """All columns of a file's records but what was added to INFO."""
    kept = []
    with pysam.VariantFile(str(path)) as file:
        for record in file:
            fields = str(record).rstrip("\n").split("\t")
            entries = [entry for entry in fields[7].split(";") if not entry.startswith("GU_") and entry != "."]
            kept.append([*fields[:7], ";".join(entries), *fields[8:]])
    return kept


def values(path, key):
    with pysam.VariantFile(str(path)) as file:
        return [record.info.get(key) for record in file]


ROWS = [
    single(900),
    (50, "A", "<DEL>"),
    single(20),
    single(20),
    (700, LETTERS[699:702], LETTERS[699] + ",*"),
    single(1_400),
]


@pytest.mark.parametrize("ending", [".vcf", ".vcf.gz", ".bcf"])
def test_records_come_out_as_they_went_in(lm, reference, tmp_path, ending):
    keys = (
        '##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="G">',
    )
    write_vcf(tmp_path / "in.vcf", [(*row, "AF=0.5" + ",0.25" * row[2].count(",")) for row in ROWS], more=keys)
    text = (tmp_path / "in.vcf").read_text().replace(COLUMNS, f"{COLUMNS}\tFORMAT\tS1\tS2")
    lines = [line if line.startswith("#") else f"{line}\tGT\t0/1\t./." for line in text.splitlines()]
    (tmp_path / "in.vcf").write_text("\n".join(lines) + "\n")
    done = annotate_variants(lm, reference, tmp_path / "in.vcf", tmp_path / f"out{ending}")
    assert records(tmp_path / f"out{ending}") == records(tmp_path / "in.vcf")
    assert done.records == len(ROWS)
    statuses = [("ok",), ("symbolic",), ("ok",), ("ok",), ("ok", "spanning_deletion"), ("ok",)]
    assert values(tmp_path / f"out{ending}", "GU_STATUS") == statuses
    llr = values(tmp_path / f"out{ending}", "GU_LLR")
    assert llr[1] in ((None,), None)
    assert llr[2] == llr[3] != llr[0]
    scores = score_variants(lm, {"one": CONTIG}, table(single(900)))
    assert llr[0][0] == pytest.approx(scores.llr[0], rel=1e-5)
    if ending == ".vcf.gz":
        assert pysam.libcbgzf.BGZFile(str(tmp_path / "out.vcf.gz")).read(2) == b"##"
        again = annotate_variants(lm, reference, tmp_path / "out.vcf.gz", tmp_path / "again.vcf.gz")
        assert again.statuses == done.statuses
        assert gzip.open(tmp_path / "again.vcf.gz").read() == gzip.open(tmp_path / "out.vcf.gz").read()
    if ending == ".bcf":
        annotate_variants(lm, reference, tmp_path / "out.bcf", tmp_path / "again.bcf")
        assert values(tmp_path / "again.bcf", "GU_LLR") == llr


def test_bcftools_reads_what_is_written(model, lm, reference, tmp_path):
    write_vcf(tmp_path / "in.vcf", ROWS)
    annotate_variants(model, reference, tmp_path / "in.vcf", tmp_path / "out.vcf.gz", lm=lm)
    bcftools = pytest.importorskip("pysam.bcftools")
    viewed = bcftools.view(str(tmp_path / "out.vcf.gz"))
    (tmp_path / "viewed.vcf").write_text(viewed)
    assert records(tmp_path / "viewed.vcf") == records(tmp_path / "out.vcf.gz")
    assert (
        bcftools.query("-f", "%GU_STATUS %GU_MAXTARGET\n", str(tmp_path / "out.vcf.gz"))
        .splitlines()[0]
        .startswith("ok ")
    )
    effects = values(tmp_path / "out.vcf.gz", "GU_EFF")
    assert effects[1] is None
    allele, target, before, after, difference, direction = effects[0][0].split("|")
    assert (allele, target) == (ROWS[0][2], "no")
    assert float(after) - float(before) == pytest.approx(float(difference), abs=1e-5)
    assert direction == ("increase" if float(difference) > 0 else "decrease")
    header = str(pysam.VariantFile(str(tmp_path / "out.vcf.gz")).header)
    assert "Format: ALLELE|TARGET|REF|ALT|DIFF|Consequence" in header
    assert '##genomic_ulmfit=<ID=scores,model="Predictor"' in header


def test_no_contig_lines_eight_columns_and_old_scores(lm, reference, tmp_path):
    old = '##INFO=<ID=GU_LLR,Number=1,Type=String,Description="of an earlier run">'
    write_vcf(tmp_path / "in.vcf", [(*ROWS[0], "GU_LLR=old;GU_MINE=3"), ROWS[2]], contigs=False, more=[old])
    annotate_variants(lm, reference, tmp_path / "in.vcf", tmp_path / "out.vcf")
    text = (tmp_path / "out.vcf").read_text()
    assert "old" not in text and "GU_MINE" not in text and "earlier" not in text
    assert text.count("##INFO=<ID=GU_LLR,") == 1
    assert records(tmp_path / "out.vcf") == records(tmp_path / "in.vcf")


def test_records_without_an_alternative_and_files_without_records(lm, reference, tmp_path):
    write_vcf(tmp_path / "in.vcf", [ROWS[0], (7, LETTERS[6], ".")])
    done = annotate_variants(lm, reference, tmp_path / "in.vcf", tmp_path / "out.vcf", table=tmp_path / "t.parquet")
    assert done.statuses == {"ok": 1, "no_alt": 1}
    assert "\tGU_STATUS=no_alt" in (tmp_path / "out.vcf").read_text()
    assert pd.read_parquet(tmp_path / "t.parquet")["status"].tolist() == ["ok", "no_alt"]
    write_vcf(tmp_path / "empty.vcf", [])
    done = annotate_variants(lm, reference, tmp_path / "empty.vcf", tmp_path / "e.vcf", table=tmp_path / "e.parquet")
    assert done.records == 0
    assert records(tmp_path / "e.vcf") == []
    assert len(pd.read_parquet(tmp_path / "e.parquet")) == 0


def test_plain_gzip_is_read_and_a_cut_one_refused(lm, reference, tmp_path):
    write_vcf(tmp_path / "in.vcf", ROWS)
    packed = gzip.compress((tmp_path / "in.vcf").read_bytes())
    (tmp_path / "in.vcf.gz").write_bytes(packed)
    annotate_variants(lm, reference, tmp_path / "in.vcf.gz", tmp_path / "out.vcf")
    assert records(tmp_path / "out.vcf") == records(tmp_path / "in.vcf")
    (tmp_path / "cut.vcf.gz").write_bytes(packed[:-9])
    with pytest.raises(InputError, match="cut.vcf.gz: ends too early"):
        annotate_variants(lm, reference, tmp_path / "cut.vcf.gz", tmp_path / "c.vcf")
    assert not (tmp_path / "c.vcf").exists()


def test_an_indexed_reference_gives_the_same(lm, reference, tmp_path):
    write_vcf(tmp_path / "in.vcf", ROWS)
    annotate_variants(lm, reference, tmp_path / "in.vcf", tmp_path / "out.vcf")
    pysam.faidx(str(reference))
    annotate_variants(lm, reference, tmp_path / "in.vcf", tmp_path / "indexed.vcf")
    assert (tmp_path / "indexed.vcf").read_bytes() == (tmp_path / "out.vcf").read_bytes()


def test_random_changes_are_taken_off(lm, reference, tmp_path):
    write_vcf(tmp_path / "in.vcf", ROWS)
    annotate_variants(lm, reference, tmp_path / "in.vcf", tmp_path / "out.vcf", neutral=200)
    calibrated = values(tmp_path / "out.vcf", "GU_LLR_CAL")
    scored = values(tmp_path / "out.vcf", "GU_LLR")
    assert calibrated[0][0] not in (None, scored[0][0])
    assert calibrated[2][0] - scored[2][0] == calibrated[3][0] - scored[3][0]  # one place, one mean
    assert calibrated[4] == (None, None)  # no single letters
    assert "random_changes" in (tmp_path / "out.vcf").read_text()


# ---------------------------------------------------------------- the command


@pytest.fixture
def saved(lm, model, tmp_path):
    lm.save(tmp_path / "lm")
    model.save(tmp_path / "model")
    return tmp_path


def test_the_command_its_summary_and_exit_status(saved, reference, capfd):
    write_vcf(saved / "in.vcf", ROWS)
    words = ["variants", str(saved / "model"), str(reference), str(saved / "in.vcf")]
    command = [
        *words,
        "--lm",
        str(saved / "lm"),
        "--out",
        str(saved / "out.vcf.gz"),
        "--table",
        str(saved / "t.parquet"),
    ]
    assert main(command) == 0
    said = capfd.readouterr().err
    assert "6 records, 7 alternative alleles: ok 5, symbolic 1, spanning_deletion 1" in said
    frame = pd.read_parquet(saved / "t.parquet")
    assert {"chrom", "pos", "status", "llr", "llr_flank", "max_diff", "ref_no", "alt_yes"} <= set(frame)
    write_vcf(saved / "wrong.vcf", [single(p) for p in range(100, 190)] + [(300, OTHER[LETTERS[299]], "N")] * 5)
    assert main([*words[:3], str(saved / "wrong.vcf"), "--out", str(saved / "w.vcf")]) == 2
    said = capfd.readouterr().err
    assert "5 of 95 reference alleles aren't what the reference has; first one:300: REF is" in said
    assert "wrong reference?" in said
    assert not (saved / "w.vcf").exists()
    write_vcf(saved / "none.vcf", [(50, "A", "<DEL>")])
    assert main([*words[:3], str(saved / "none.vcf"), "--out", str(saved / "w.vcf")]) == 2
    assert "no allele could be scored (symbolic 1)" in capfd.readouterr().err


def test_from_standard_input_to_standard_output(saved, reference):
    write_vcf(saved / "in.vcf", ROWS)
    command = [Path(sys.executable).with_name("genomic-ulmfit"), "variants", saved / "lm", reference, "-", "--out", "-"]
    done = subprocess.run(command, stdin=open(saved / "in.vcf"), capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    (saved / "out.vcf").write_text(done.stdout)
    assert records(saved / "out.vcf") == records(saved / "in.vcf")


def test_other_names_of_contigs_only_where_they_are_given(lm, reference, tmp_path):
    write_vcf(tmp_path / "in.vcf", ROWS)
    text = (tmp_path / "in.vcf").read_text().replace("\none\t", "\nchrone\t")
    (tmp_path / "chr.vcf").write_text(text)
    with pytest.raises(InputError, match=r"no allele could be scored \(unknown_contig"):
        annotate_variants(lm, reference, tmp_path / "chr.vcf", tmp_path / "out.vcf")
    names = tmp_path / "names.tsv"
    names.write_text("chrone one\n")
    annotate_variants(lm, reference, tmp_path / "chr.vcf", tmp_path / "out.vcf", rename=names)
    assert records(tmp_path / "out.vcf") == records(tmp_path / "chr.vcf")


# ---------------------------------------------------------------- what files get wrong


def warned(path):
    """What is said of a header, on reading a file."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        read_variants(path)
    return [str(warning.message) for warning in found]


def test_a_header_that_breaks_the_specification_is_warned_of(tmp_path):
    wrong = '##INFO=<ID=DP,Number=A,Type=Integer,Description="Depth">'
    write_vcf(tmp_path / "in.vcf", ROWS, more=[wrong])
    assert any("DP is reserved for 1 Integer" in text for text in warned(tmp_path / "in.vcf"))
    write_vcf(tmp_path / "in.vcf", ROWS)
    assert warned(tmp_path / "in.vcf") == []
    (tmp_path / "in.vcf").write_text((tmp_path / "in.vcf").read_text()[:-1])
    assert any("the last line has no end" in text for text in warned(tmp_path / "in.vcf"))


def said_on_reading(path, capfd) -> list[str]:
    """Warnings, the error, and the lines of htslib but those on contigs without a header line."""
    capfd.readouterr()
    try:
        said = warned(path)
    except InputError as error:
        return [str(error)]
    known = ("not defined in the header. (Quick", "Missing headers may")
    return said + [line for line in capfd.readouterr().err.splitlines() if not any(text in line for text in known)]


HEADER = "##fileformat=VCFv4.2\n##contig=<ID=one,length=1500>\n"
RECORD = "one\t100\t.\tA\tC\t50\tPASS\tDP=3\n"
DEPTH = '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
WHOLE = HEADER + DEPTH + COLUMNS + "\n"
WRONG = {
    "no version": WHOLE.partition("\n")[2] + RECORD,
    "no line of columns": HEADER + RECORD,
    "a column missing": WHOLE + RECORD.replace("\tPASS", ""),
    "blanks for tabs": WHOLE + RECORD.replace("\t", " "),
    "a position that is no number": WHOLE + RECORD.replace("100", "x"),
    "a quality that is no number": WHOLE + RECORD.replace("50", "good"),
    "a letter that is no base": WHOLE + RECORD.replace("\tA\t", "\tE\t"),
    "no reference allele": WHOLE + RECORD.replace("\tA\t", "\t\t"),
    "an allele that is not closed": WHOLE + RECORD.replace("\tC\t", "\t<DEL\t"),
    "a filter that is not described": WHOLE + RECORD.replace("PASS", "q10"),
    "a key that is not described": WHOLE + RECORD.replace("DP=3", "XX=3"),
    "a reserved key of another kind": WHOLE.replace("Number=1", "Number=A") + RECORD,
    "a line that is cut": WHOLE + RECORD[:-1],
    "many lines": WHOLE + 9 * RECORD.replace("50", "good"),
    "a header line that is cut": WHOLE.replace('Depth">', "Depth") + RECORD,
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_not_read_in_silence(text, tmp_path, capfd):
    (tmp_path / "in.vcf").write_text(text)
    assert said_on_reading(tmp_path / "in.vcf", capfd)


RIGHT = {
    "nothing but a header": WHOLE,
    "one record": WHOLE + RECORD,
    "no contig lines": WHOLE.replace("##contig=<ID=one,length=1500>\n", "") + RECORD,
    "symbols and breakends": WHOLE.replace(COLUMNS, '##ALT=<ID=DEL,Description="Deletion">\n' + COLUMNS)
    + RECORD.replace("\tC\t", "\t<DEL>\t") + RECORD.replace("\tC\t", "\tA[one:200[\t"),
    "several alleles, one of them lost": WHOLE + RECORD.replace("\tC\t", "\tC,G,*\t"),
    "an older version": WHOLE.replace("VCFv4.2", "VCFv4.1") + RECORD,
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT.keys())
def test_what_is_right_is_read_without_a_word(text, tmp_path, capfd):
    (tmp_path / "in.vcf").write_text(text)
    assert said_on_reading(tmp_path / "in.vcf", capfd) == []


CASES = Path(os.environ.get("GENOMIC_ULMFIT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
CASES = CASES / "variant_effect" / "vcf_cases" / "vcf_cases.tar.gz"


@pytest.mark.skipif(not CASES.exists(), reason="the test suite of the VCF specification is not here")
def test_all_files_of_the_specifications_suite(tmp_path, capfd):
    import tarfile

    with tarfile.open(CASES) as archive:
        archive.extractall(tmp_path, filter="data")
    files = {part: sorted(tmp_path.glob(f"**/hts-specs/{part}/*.vcf")) for part in ("passed", "failed")}
    assert len(files["passed"]) == 76 and len(files["failed"]) == 607
    for path in files["passed"]:
        read_variants(path)
        assert [text for text in warned(path) if "no end" not in text] == [], path.name  # one lacks it
    silent = [path.name for path in files["failed"] if not said_on_reading(path, capfd)]
    assert silent == [], silent
    for path in tmp_path.glob("**/bcftools/*.vcf"):
        try:
            read_variants(path)
        except InputError:
            continue
