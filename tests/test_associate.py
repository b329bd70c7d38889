"""Association with a prior: control is proved by simulation; files of three programs are read or refused."""

import gzip

import numpy as np
import pandas as pd
import pytest
from commands import fails, run
from scipy.stats import false_discovery_control, norm

from genomic_ulmfit.all import InputError, combine_association
from genomic_ulmfit.tasks.gwas_tables import PLACE, read_associations
from genomic_ulmfit.tasks.prior_weights import LEAST, MOST, cross_folds, prior_weights

ALPHA = 0.05


# ---------------------------------------------------------------- a simulated cohort


def genotypes(rng, isolates=300, variants=600, lineages=6, shared=0.4):
    """Isolates of a clonal species: some variants mark lineages, the others are spread; and the lineage of each."""
    lineage = rng.integers(0, lineages, isolates)
    marker = rng.random(variants) < shared
    carried = rng.random((lineages, variants)) < 0.35
    of_lineage = carried[lineage] ^ (rng.random((isolates, variants)) < 0.02)
    spread = rng.random((isolates, variants)) < rng.uniform(0.02, 0.5, variants)
    return np.where(marker, of_lineage, spread).astype(float), lineage, marker


def covariates(x, n=6):
    """The first principal components of the isolates, and a constant: orthonormal columns."""
    components = np.linalg.svd(x - x.mean(0), full_matrices=False)[0][:, :n]
    return np.linalg.qr(np.column_stack([np.ones(len(x)), components]))[0]


def p_values(x, y, known):
    """p-values of each variant in a linear regression beside covariates (Frisch, Waugh & Lovell)."""
    rest = lambda values: values - known @ (known.T @ values)
    x, y = rest(x), rest(y)
    spread = (x**2).sum(0)
    dof = len(y) - known.shape[1] - 1
    r2 = (x.T @ y) ** 2 / np.where(spread > 1e-6, spread, np.inf) / (y @ y)
    return 2 * norm.sf(np.sqrt(r2 * dof / (1 - r2)))


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(0)
    x, lineage, marker = genotypes(rng)
    fold = cross_folds(np.full(x.shape[1], "a"), np.arange(x.shape[1]) * 2_000 + 1)
    return x, lineage, marker, covariates(x), fold


def wrong_somewhere(cohort, draw, score, times=200):
    """How often a weighted Bonferroni test finds something where there is nothing, and its standard error."""
    x, _, _, known, fold = cohort
    found = 0
    for _ in range(times):
        p = p_values(x, draw(), known)
        found += (p / prior_weights(p, score, x.mean(0), fold) <= ALPHA / len(p)).any()
    return found / times, np.sqrt(ALPHA * (1 - ALPHA) / times)


# ---------------------------------------------------------------- control


def test_constant_scores_change_nothing():
    results, scores = tables(np.random.default_rng(1).random(500))
    for same in (0.0, -3.5):
        table = combine_association(results, scores.assign(llr=same), block=1_000).table
        assert (table["prior_weight"] == 1).all() and (table["weighted_p"] == table["p"]).all()
        assert np.array_equal(table["p"], results["lrt-pvalue"])
        assert np.array_equal(table["q_weighted"], false_discovery_control(results["lrt-pvalue"]))


@pytest.mark.parametrize("kind", ["by frequency", "by lineage", "noise"])
def test_permuted_phenotypes_keep_the_family_wise_error(cohort, kind):
    x, _, marker, _, _ = cohort
    rng = np.random.default_rng(2)
    score = {"by frequency": x.mean(0), "by lineage": marker * 1.0, "noise": rng.normal(size=x.shape[1])}[kind]
    y = (rng.random(len(x)) < 0.4) * 1.0
    rate, se = wrong_somewhere(cohort, lambda: rng.permutation(y), score)
    assert rate <= ALPHA + 2 * se, rate


def test_a_score_confounded_with_lineage_does_not_inflate(cohort):
    """The phenotype goes with the lineage, and so does the score; no variant matters beside it."""
    x, lineage, marker, _, _ = cohort
    rng = np.random.default_rng(3)
    liability = np.linspace(-1.5, 1.5, lineage.max() + 1)[lineage]
    draw = lambda: liability + rng.normal(size=len(x))
    score = marker + rng.normal(0, 0.1, x.shape[1])
    naive = p_values(x, draw(), np.full((len(x), 1), len(x) ** -0.5))
    assert (naive <= ALPHA / len(naive))[marker].mean() > 0.1, "without components the markers would be found"
    rate, se = wrong_somewhere(cohort, draw, score)
    assert rate <= ALPHA + 2 * se, rate


def planted(seed, n=3_000, share=0.02, effect=3.5, told=2.0):
    """p-values, a score that tells of those that matter, which matter, and folds."""
    rng = np.random.default_rng(seed)
    matters = rng.random(n) < share
    p = 2 * norm.sf(np.abs(rng.normal(size=n) + effect * matters))
    fold = cross_folds(np.full(n, "a"), np.arange(n) * 1_000 + 1)
    return p, rng.normal(size=n) + told * matters, matters, rng.uniform(0.001, 0.999, n), fold


def found(p, matters, weights):
    """Discoveries at 5 %: those that matter, and the share of the others among them."""
    called = false_discovery_control(np.minimum(p / weights, 1)) <= ALPHA
    return (called & matters).sum() / matters.sum(), (called & ~matters).sum() / max(called.sum(), 1)


def test_a_planted_set_gains_power_and_permuted_scores_gain_nothing():
    power = {"plain": [], "told": [], "permuted": []}
    wrong = {name: [] for name in power}
    for seed in range(40):
        p, score, matters, af, fold = planted(seed)
        shuffled = np.random.default_rng(seed).permutation(score)
        asked = {"plain": np.zeros(len(p)), "told": score, "permuted": shuffled}
        for name, each in asked.items():
            got, false = found(p, matters, prior_weights(p, each, af, fold))
            power[name].append(got)
            wrong[name].append(false)
    mean = {name: np.mean(values) for name, values in power.items()}
    gain = np.array(power["permuted"]) - power["plain"]
    assert mean["told"] > 1.2 * mean["plain"], mean
    assert gain.mean() <= 2 * gain.std() / np.sqrt(len(gain)) and mean["permuted"] > 0.93 * mean["plain"], mean
    for name, values in wrong.items():
        assert np.mean(values) <= ALPHA + 2 * np.std(values) / np.sqrt(len(values)), name


def test_weights_know_nothing_of_their_own_p_values():
    p, score, _, af, fold = planted(0)
    weights = prior_weights(p, score, af, fold)
    for one in np.unique(fold):
        mine = fold == one
        other = np.where(mine, np.random.default_rng(one).random(len(p)), p)
        assert np.array_equal(prior_weights(other, score, af, fold)[mine], weights[mine])
    assert np.ptp(weights) > 1


def test_weights_rise_with_the_score_and_keep_their_budget():
    p, score, _, af, fold = planted(5, told=6.0)
    weights = prior_weights(p, score, af, fold)
    assert LEAST <= weights.min() and 10 < weights.max() <= MOST and abs(weights.mean() - 1) < 1e-9
    rarer = np.minimum(af, 1 - af)
    for one in np.unique(fold):
        for low, high in ((0, 0.01), (0.01, 0.05), (0.05, 1)):
            rows = np.flatnonzero((fold == one) & (rarer >= low) & (rarer < high))
            assert abs(weights[rows].mean() - 1) < 1e-9, "no stratum lends to another"
            assert (np.diff(weights[rows][np.argsort(score[rows])]) >= -1e-12).all()


# ---------------------------------------------------------------- files


def tables(p, step=1_000):
    """Results as pyseer writes them, and their scores."""
    position = np.arange(len(p)) * step + 1
    results = pd.DataFrame({"variant": [f"NC_1.1_{at}_A_C" for at in position], "af": 0.2, "lrt-pvalue": p})
    scores = pd.DataFrame({"chrom": "NC_1.1", "pos": position, "ref": "A", "alt": "C", "status": "ok"})
    rng = np.random.default_rng(0)
    return results.assign(beta=0.1, **{"beta-std-err": 0.05}), scores.assign(llr=rng.normal(size=len(p)))


@pytest.fixture
def files(tmp_path):
    results, scores = tables(np.random.default_rng(4).random(60))
    results.to_csv(tmp_path / "r.tsv", sep="\t", index=False)
    scores.to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    return tmp_path


def as_plink2(table):
    names = {"contig": "#CHROM", "position": "POS", "ref": "REF", "alt": "ALT", "p": "P", "beta": "BETA", "se": "SE"}
    return table.rename(columns=names | {"af": "A1_FREQ"}).assign(A1=table["alt"], TEST="ADD", OBS_CT=300)


def as_gwas_ssf(table):
    names = {"contig": "chromosome", "position": "base_pair_location", "ref": "other_allele", "alt": "effect_allele"}
    more = {"p": "p_value", "se": "standard_error", "af": "effect_allele_frequency"}
    return table.rename(columns=names | more)


def test_the_formats_say_the_same(files):
    table = read_associations(files / "r.tsv", "pyseer").table
    for write, format in ((as_plink2, "plink2"), (as_gwas_ssf, "gwas-ssf")):
        with gzip.open(files / "x.tsv.gz", "wt") as stream:
            write(table).to_csv(stream, sep="\t", index=False)
        pd.testing.assert_frame_equal(read_associations(files / "x.tsv.gz", format).table, table)
        combined = combine_association(files / "x.tsv.gz", files / "s.tsv", format, block=1_000)
        plain = combine_association(files / "r.tsv", files / "s.tsv", block=1_000)
        pd.testing.assert_frame_equal(combined.table, plain.table)


def test_effects_of_the_reference_are_turned():
    table = read_associations(tables(np.array([0.5, 0.5]))[0], "pyseer").table
    turned = as_plink2(table).assign(A1="A")
    read = read_associations(turned, "plink2").table
    assert (read["beta"] == -0.1).all() and (read["af"] == 0.8).all() and (read[PLACE] == table[PLACE]).all(axis=None)
    ssf = as_gwas_ssf(table).assign(effect_allele="A", other_allele="C")
    scores = tables(np.array([0.5, 0.5]))[1]
    combined = combine_association(ssf, scores, "gwas-ssf").table
    assert (combined["status"] == "swapped").all() and combined["prior_score"].tolist() == (-scores["llr"]).tolist()
    combined = combine_association(ssf.assign(ref_allele="EA"), scores, "gwas-ssf").table
    assert (combined["status"] == "ok").all() and (combined["beta"] == -0.1).all()


def test_rows_keep_their_order_and_none_is_lost():
    results, scores = tables(np.linspace(0.01, 0.99, 40))
    results.loc[3, "lrt-pvalue"] = np.nan
    scores.loc[5, "status"] = "too_long"
    table = combine_association(results.sample(frac=1, random_state=0), scores.iloc[10:][::-1], block=1_000).table
    assert len(table) == 40 and table["position"].tolist() != sorted(table["position"])
    status = table.set_index("position")["status"]
    assert status[3_001] == "no_p" and status[5_001] == "not_joined" and (status == "ok").sum() == 30
    table = combine_association(results, scores, block=1_000).table
    assert table.loc[5, "status"] == "unscored" and table.loc[5, "prior_weight"] == 1
    assert np.isnan(table.loc[3, "weighted_p"]) and table["weighted_p"].notna().sum() == 39


def test_too_few_joined_names_both_sides(files, capsys):
    results, scores = tables(np.random.default_rng(4).random(60))
    scores.assign(chrom="Chromosome").to_parquet(files / "s.parquet")
    command = "associate combine {d}/r.tsv {d}/s.parquet --format pyseer --out {d}/out.tsv"
    named = ["r.tsv: 0 of 60 tests", "NC_1.1_1_A_C, NC_1.1_1001_A_C, NC_1.1_2001_A_C", "Chromosome_1_A_C, Chromosome_1"]
    fails(capsys, command, d=files, names=named)
    assert not (files / "out.tsv").exists()
    assert combine_association(results, scores.head(30)).table["status"].eq("ok").sum() == 30
    with pytest.raises(InputError, match="29 of 60 tests are among"):
        combine_association(results, scores.head(29))


def test_the_command_writes_what_others_read(files, capsys):
    command = "associate combine {d}/r.tsv {d}/s.tsv --format pyseer --out {d}/out.tsv.gz"
    run(command + " --block 1k --effect-sd 1 --share 0.01 --polyfun {d}/p.tsv --regions {d}/b.txt", d=files)
    err = capsys.readouterr().err
    assert "60 of 60 tests joined\n" in err and "weights" in err and "found at a false discovery rate" in err
    table = pd.read_csv(files / "out.tsv.gz", sep="\t")
    new = ["prior_score", "prior_weight", "weighted_p", "q_weighted", "log_abf", "posterior", "status"]
    assert table.columns.tolist() == [*PLACE, "p", "beta", "se", "af", *new]
    priors = pd.read_csv(files / "p.tsv", sep="\t")
    assert priors["SNP"][0] == "NC_1.1_1_A_C" and np.allclose(priors["SNPVAR"], table["prior_weight"])
    assert all(line.split("\t")[1].startswith("NC_1.1:") for line in (files / "b.txt").read_text().splitlines())


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda text: text.replace("_A_C", "_C", 1), ["r.tsv, record 'line 2'", "is no CONTIG_POSITION_REF_ALT"]),
        (lambda text: text.replace("lrt-pvalue", "p"), ["has no column 'lrt-pvalue'", "Is --format right"]),
        (lambda text: text.replace("0.05", "-1", 1), ["line 2", "'beta-std-err' is out of range: '-1'"]),
        (lambda text: text.splitlines()[0] + "\n", ["has no rows"]),
    ],
)
def test_wrong_results_are_one_line(files, capsys, change, named):
    (files / "r.tsv").write_text(change((files / "r.tsv").read_text()))
    command = "associate combine {d}/r.tsv {d}/s.tsv --format pyseer --out {d}/out.tsv"
    fails(capsys, command, d=files, names=["r.tsv", *named])
    assert not (files / "out.tsv").exists()


def test_wrong_scores_are_one_line(files, capsys):
    command = "associate combine {d}/r.tsv {d}/{s} --format pyseer --out {d}/out.tsv"
    fails(capsys, command, d=files, s="none.parquet", names=["none.parquet: no such file"])
    fails(capsys, command + " --score maxdiff", d=files, s="s.tsv", names=["s.tsv: has no column 'maxdiff'"])
    scores = pd.read_csv(files / "s.tsv", sep="\t")
    scores.assign(status="n_in_window").to_csv(files / "n.tsv", sep="\t", index=False)
    fails(capsys, command, d=files, s="n.tsv", names=["n.tsv: has no score in the column 'llr'"])
    pd.concat([scores, scores.tail(1).assign(llr=9)]).to_csv(files / "t.tsv", sep="\t", index=False)
    fails(capsys, command, d=files, s="t.tsv", names=["record 'NC_1.1_59001_A_C': has two scores of a variant"])
