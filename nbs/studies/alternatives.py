"""What a user would pick instead, for the study of alternatives: samples judged by other programs, promoters."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import fastai.text.all as fastai_text
import numpy as np
import pandas as pd
import torch
from harness import (
    COMMAND,
    figures,
    fold,
    labelled,
    leaked,
    logistic_regression,
    naive_bayes,
    network,
    numbers,
    overlap_groups,
    process_cost,
    shared_data,
    split_parts,
)
from sklearn.metrics import roc_auc_score
from taxa_data import KRAKEN2_DATABASE, RUNS
from torch import nn

from genomic_ulmfit.model.model import load_model
from genomic_ulmfit.seq.alphabet import DNA, decode_bases
from genomic_ulmfit.seq.records import read_sequences
from genomic_ulmfit.text.reads import substitute

# ---------------------------------------------------------------- samples

PLACE = RUNS / "alternatives"  # samples, sketches, reports; not in the repository
RANKS = {"G": "genus", "S": "species"}
READS = 200_000  # of a sample
LENGTH = 150  # bases of a read
ERRORS = 0.005  # substitutions per base


def mixed_sample(corpus, splits, number: int, genomes: int) -> tuple[Path, dict]:
    """A FASTA file of reads of some genomes with log-normal shares, and the share of each genus and species.

    A species that the training genomes don't have is in no share of species: there's no name to call it by.
    """
    rng = np.random.default_rng([number, genomes])
    rows = pd.concat([corpus.split(split) for split in splits])
    rows = rows[rows["length"] > LENGTH]
    chosen = rng.choice(sorted(rows["file"].unique()), genomes, replace=False)
    weight = rng.lognormal(0, 1, genomes)
    file = PLACE / f"{splits[0]}_{number}.fa"
    truth = {"genus": {}, "species": {}}
    known = set(corpus.split("train")["species"])
    reads = []
    for name, n in zip(chosen, rng.multinomial(READS, weight / weight.sum())):
        mine = rows[rows["file"] == name]
        picked = mine.iloc[rng.choice(len(mine), n, p=mine["length"] / mine["length"].sum())]
        at = picked["start"].to_numpy() + rng.integers(0, picked["length"].to_numpy() - LENGTH + 1)
        reads.append(substitute(corpus.bases[at[:, None] + np.arange(LENGTH)], ERRORS, rng, DNA))
        genus, species = mine[["genus", "species"]].iloc[0]
        truth["genus"][genus] = truth["genus"].get(genus, 0) + n / READS
        if species in known:
            truth["species"][species] = truth["species"].get(species, 0) + n / READS
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        order = rng.permutation(READS)
        file.write_text("".join(f">{i}\n{decode_bases(read)}\n" for i, read in enumerate(np.concatenate(reads)[order])))
    return file, {rank: pd.Series(share) for rank, share in truth.items()}


def shares_of_report(report: Path) -> dict[str, pd.Series]:
    """Shares of the reads of a sample at two ranks, of a report in Kraken's format."""
    columns = ["percent", "clade", "direct", "rank", "taxid", "name"]
    rows = pd.read_csv(report, sep="\t", header=None, names=columns)
    rows["name"] = rows["name"].str.strip()
    return {rank: rows[rows["rank"] == code].set_index("name")["clade"] / READS for code, rank in RANKS.items()}


def by_classify(sample: Path, *options) -> dict:
    """What `genomic-ulmfit classify` says of a sample: shares, seconds, MB."""
    report = PLACE / "ours.kreport"
    report.unlink(missing_ok=True)
    took, memory = process_cost(COMMAND, "classify", "bacteria-taxa", sample, "--report", report, *options)
    return {**shares_of_report(report), "seconds": took, "MB": memory}


def by_kraken2(sample: Path, confidence: float) -> dict:
    """What Kraken2 says of a sample: shares, seconds, MB."""
    report = PLACE / "kraken2.kreport"
    settings = "--threads", "1", "--confidence", confidence, "--report", report
    took, memory = process_cost("kraken2", "--db", KRAKEN2_DATABASE, *settings, sample)
    return {**shares_of_report(report), "seconds": took, "MB": memory}


def sourmash_database(corpus, k: int, scaled: int) -> Path:
    """Sketches of the training genomes, named after their species; made once."""
    database = PLACE / f"sourmash_{k}_{scaled}.zip"
    folder = PLACE / "genomes"
    rows = corpus.split("train")
    if not folder.exists():
        folder.mkdir(parents=True)
        for number, (_, mine) in enumerate(rows.groupby("file")):
            records = [f">{row['species']}\n{decode_bases(corpus.codes(i))}\n" for i, row in mine.iterrows()]
            (folder / f"{number}.fa").write_text("".join(records))
    if not database.exists():
        settings = "-p", f"k={k},scaled={scaled}", "--name-from-first", "-o", database
        process_cost("sourmash", "sketch", "dna", *settings, *sorted(folder.glob("*.fa")))
    return database


def by_sourmash(corpus, sample: Path, k: int, scaled: int) -> dict:
    """What `sourmash gather` says of a sample: shares of its k-mers by species and genus, seconds, MB."""
    database = sourmash_database(corpus, k, scaled)
    sketch, found = PLACE / "sample.sig.zip", PLACE / "gather.csv"
    for old in (sketch, found):
        old.unlink(missing_ok=True)
    settings = "-p", f"k={k},scaled={scaled},abund", "-o", sketch
    sketched = process_cost("sourmash", "sketch", "dna", *settings, sample)
    gathered = process_cost("sourmash", "gather", sketch, database, "-k", k, "--threshold-bp", 0, "-o", found)
    share = pd.read_csv(found).groupby("name")["f_unique_weighted"].sum()
    genus = corpus.split("train").drop_duplicates("species").set_index("species")["genus"]
    took, memory = zip(sketched, gathered)
    return {"species": share, "genus": share.groupby(genus).sum(), "seconds": sum(took), "MB": max(memory)}


def by_naive_bayes(fitted, genera: list, sample: Path) -> dict:
    """What naive Bayes over k-mers says of a sample, which gives every read to a genus: shares, seconds."""
    start = time.perf_counter()
    best = fitted.predict_proba([record.codes for record in read_sequences(sample)]).argmax(1)
    took = time.perf_counter() - start
    share = pd.Series(np.bincount(best, minlength=len(genera)) / len(best), genera)
    return {"genus": share[share > 0], "species": pd.Series(dtype=float), "seconds": took}


def f1_of(found: pd.Series, truth: pd.Series, least: float) -> float:
    """The harmonic mean of precision and recall of the taxa that have at least a share."""
    called = set(found.index[found >= least])
    return 2 * len(called & set(truth.index)) / max(len(called) + len(truth), 1)


LEAST = np.geomspace(1e-5, 1e-1, 41)  # shares to choose from


def least_share(found: list[pd.Series], truths: list[pd.Series]) -> float:
    """The share from which a taxon counts as there, the best one on some samples."""
    means = [np.mean([f1_of(f, t, least) for f, t in zip(found, truths)]) for least in LEAST]
    best = np.flatnonzero(np.isclose(means, max(means)))
    return float(LEAST[best[len(best) // 2]])


def overlap_of_shares(found: pd.Series, truth: pd.Series) -> float:
    """Of what was called at a rank, how much lies where it should: the sum of the lesser shares (1 - Bray-Curtis)."""
    both = pd.concat([found / found.sum(), truth / truth.sum()], axis=1).fillna(0)
    return float(both.min(axis=1).sum())


# ---------------------------------------------------------------- sizes


# Of a package and all that it requires, by the interpreter that has it.
_INSTALLED = """
import re, sys
from importlib.metadata import PackageNotFoundError, distribution
sizes, names = {}, [sys.argv[1]]
while names:
    name = re.split("[^A-Za-z0-9._-]", names.pop())[0].lower()
    try:
        found = None if name in sizes else distribution(name)
    except PackageNotFoundError:
        continue
    if found:
        files = {file.locate().resolve() for file in found.files or ()}
        sizes[name] = sum(file.stat().st_size for file in files if file.is_file())
        names += [needed for needed in found.requires or () if "extra ==" not in needed]
print(sum(sizes.values()) / 1e6)
"""


def installed_size(package: str, interpreter=sys.executable) -> float:
    """MB of a package of Python and of all that it requires."""
    return float(subprocess.check_output([interpreter, "-c", _INSTALLED, package], text=True))


def interpreter_of(program: str) -> str:
    """The Python that runs a program: the first line of its script names it."""
    return Path(shutil.which(program)).read_text().splitlines()[0].removeprefix("#!")


def debian_size(package: str) -> float:
    """MB of a package of Debian, without what it requires."""
    kilobytes = subprocess.check_output(["dpkg-query", "--show", "--showformat=${Installed-Size}", package], text=True)
    return int(kilobytes) / 1000


def size_of(*paths: Path) -> float:
    """MB of files and folders."""
    files = [f for path in paths for f in (path.rglob("*") if path.is_dir() else [path])]
    return sum(f.stat().st_size for f in files if f.is_file()) / 1e6


# ---------------------------------------------------------------- the shape of a transformer


class DnabertShape(nn.Module):
    """A network of the shape of DNABERT-2 (Zhou et al. 2024), with random weights: what its arithmetic costs.

    Twelve layers of 768 with twelve heads, 4,096 words; two matrices of 4,608 have as many weights as the gated
    feed-forward layer of the paper. 117 million weights, as published.
    """

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(4096, 768)
        layer = nn.TransformerEncoderLayer(768, 12, 4608, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)

    def forward(self, words):
        return self.layers(self.words(words)).mean(1)


# ---------------------------------------------------------------- promoters, beside transformers

CLASSES = ["other", "promoter"]
FASTA = {  # data: promoters, others; below `regulatory` of the studies' data
    "E. coli": ("ecoli_promoter_strength/promoter", "ecoli_promoter_strength/non_promoter"),
    "Arabidopsis, TATA": ("cnnprom/Arabidopsis_tata", "cnnprom/Arabidopsis_non_prom"),
    "Arabidopsis, no TATA": ("cnnprom/Arabidopsis_non_tata", "cnnprom/Arabidopsis_non_prom"),
}
EPOCHS = {"E. coli": 16, "Arabidopsis, TATA": 2, "Arabidopsis, no TATA": 1}  # those of the studies of promoters
METHODS = {
    "k-mer logistic regression": lambda parts, seed, epochs: logistic_regression(parts, CLASSES, stranded=True),
    "k-mer naive Bayes": lambda parts, seed, epochs: naive_bayes(parts, CLASSES, stranded=True),
    "from scratch": lambda parts, seed, epochs: network(parts, CLASSES, seed=seed, epochs=epochs),
    "pretrained": lambda parts, seed, epochs: network(
        parts, CLASSES, load_model("bacteria-small"), seed=seed, epochs=epochs
    ),
}


def promoter_tables() -> dict[str, pd.DataFrame]:
    """Promoters and other sequences, with the group of sequences that share 20 bases with each."""
    folder = shared_data("regulatory")
    tables = {}
    for data, (promoters, others) in FASTA.items():
        table = labelled({"other": folder / f"{others}.fa.gz", "promoter": folder / f"{promoters}.fa.gz"})
        tables[data] = table.assign(group=overlap_groups(table["sequence"]))
    return tables


def promoter_figures(table: pd.DataFrame, protocol: str, seed: int, method: str, epochs: int) -> dict:
    """Figures of one of ten folds, `folds` at random or `groups` that share no 20 bases."""
    groups = table["group"] if protocol == "groups" else None
    split = fold(table, seed, groups)
    assert groups is None or leaked(table, split, groups) == 0
    parts = split_parts(table, split)
    probs = METHODS[method](parts, seed, epochs)
    y = numbers(parts["test"], CLASSES)
    return figures(y, probs, CLASSES) | {"auroc": round(float(roc_auc_score(y, np.asarray(probs)[:, 1])), 4)}


def shape_of_dnabert() -> dict:
    """Reads a second of that arithmetic on one thread in two precisions, and the MB of its weights in float32."""
    words = torch.randint(4096, (64, LENGTH // 5))  # five bases a word, as its authors count
    shape = DnabertShape().eval()
    threads, rates = torch.get_num_threads(), {}
    try:
        torch.set_num_threads(1)
        for precision, lower in (("float32", False), ("bfloat16", True)):
            took = []
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=lower):
                for _ in range(6):
                    start = time.perf_counter()
                    shape(words)
                    took.append(time.perf_counter() - start)
            rates[f"reads/s, {precision}"] = round(len(words) / float(np.median(took[1:])), 1)
    finally:
        torch.set_num_threads(threads)
    return rates | {"MB of weights": round(sum(p.numel() for p in shape.parameters()) * 4e-6)}


# ---------------------------------------------------------------- fastai's stock text


def as_text(sequence: str, k: int = 6) -> str:
    """A sequence as words of k letters, one after the other; in small letters, which fastai doesn't mark."""
    return " ".join(sequence[i : i + k].lower() for i in range(0, len(sequence) - k + 1, k))


def stock_fastai(table: pd.DataFrame, split: pd.Series, seed: int, epochs: int, lr: float) -> dict:
    """fastai's text classifier as it comes, from scratch, on one thread: figures of the test part, seconds an epoch."""
    table = table.assign(text=table["sequence"].map(as_text), is_valid=split == "valid")
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        fastai_text.set_seed(seed)
        columns = {"text_col": "text", "label_col": "label", "valid_col": "is_valid"}
        words = fastai_text.BaseTokenizer(split_char=" ")
        dls = fastai_text.TextDataLoaders.from_df(table[split != "test"], **columns, tok_tfm=words, bs=64, seed=seed)
        learn = fastai_text.text_classifier_learner(dls, fastai_text.AWD_LSTM, pretrained=False)
        start = time.perf_counter()
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(epochs, lr)
        took = (time.perf_counter() - start) / epochs
        test = table[split == "test"]
        with learn.no_bar():
            probs = learn.get_preds(dl=dls.test_dl(test))[0].numpy()
    finally:
        torch.set_num_threads(threads)
    classes = list(dls.vocab[1])
    found = figures(numbers(test, classes), probs, classes)
    return {**found, "seconds an epoch": round(took, 1), "weights": sum(p.numel() for p in learn.model.parameters())}
