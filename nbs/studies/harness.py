"""What the studies of labelled sequences share: data, splits, the methods that are the columns of their tables.

Results are kept in a file that a stopped run goes on from.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.callback import schedule  # noqa: F401  adds fit_one_cycle
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat, LabelSmoothingCrossEntropyFlat
from fastai.torch_core import set_seed
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from genomic_ulmfit.nets.counts import WEIGHT_OF_READS, CountedWords, default_counts
from genomic_ulmfit.nets.placed import PlacedWords, default_placed
from genomic_ulmfit.nets.wide import Wide, WideBranch
from genomic_ulmfit.report.baselines import fit_kmer_logreg, fit_kmer_nb
from genomic_ulmfit.report.metrics import classification_metrics
from genomic_ulmfit.seq.alphabet import decode_bases, encode_bases, reverse_complement
from genomic_ulmfit.seq.errors import InputNotFoundError
from genomic_ulmfit.seq.records import read_sequences
from genomic_ulmfit.text.kmers import KmerTokenizer
from genomic_ulmfit.text.loaders import GenomeLMDataLoaders, ReadDataLoaders
from genomic_ulmfit.text.spans import Spans
from genomic_ulmfit.text.target_loaders import TargetDataLoaders
from genomic_ulmfit.train.learner import (
    fused_adamw,
    genome_classifier_learner,
    genome_lm_learner,
    genome_predictor_learner,
)

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
COMMAND = Path(sys.executable).with_name("genomic-ulmfit")


# ---------------------------------------------------------------- data


def shared_data(name: str) -> Path:
    """A file or folder of the studies' data: in ../shared/data beside the repository, or in $GENOMIC_ULMFIT_DATA."""
    path = Path(os.environ.get("GENOMIC_ULMFIT_DATA", ROOT.parent / "shared" / "data")) / name
    if path.exists():
        return path
    raise InputNotFoundError(
        path,
        "this study's data are not here",
        "nbs/studies/README.md says what they are; set GENOMIC_ULMFIT_DATA to the folder that holds them",
    )


def with_ncbi_taxids(genomes: pd.DataFrame, taxids: Path) -> pd.DataFrame:
    """The genomes with NCBI's cellular root, domain and kingdom, and a number for each taxon that has one.

    The kingdom of a phylum stands in the note of its row; of one whose kingdom is called unsettled none is taken.
    """
    known = pd.read_csv(taxids, sep="\t", dtype=str, keep_default_na=False)
    number = {(row["rank"], row["name"]): row["taxid"] for row in known.to_dict("records")}
    settled = known[(known["rank"] == "phylum") & ~known["note"].str.contains("kingdom unsettled")]
    kingdom = dict(zip(settled["name"], settled["note"].str.extract(r"kingdom \(.*?\): (\w+)")[0].fillna("")))
    of_ncbi = {"cellular root": "cellular organisms", "domain": "Bacteria"}
    table = genomes.assign(**of_ncbi, kingdom=genomes["phylum"].map(kingdom).fillna(""))
    ranks = [*of_ncbi, "kingdom", "phylum", "class", "order", "family", "genus", "species"]
    numbers = {f"{rank}_taxid": [number.get((rank, name), "") for name in table[rank]] for rank in ranks}
    return table.assign(**numbers)


def labelled(files: dict) -> pd.DataFrame:
    """A row per sequence with the columns sequence and label, from {label: FASTA file}."""
    rows = [(decode_bases(r.codes), label) for label, file in files.items() for r in read_sequences(file)]
    return pd.DataFrame(rows, columns=["sequence", "label"])


def overlap_groups(sequences, k: int = 20) -> np.ndarray:
    """Group numbers: sequences that share a k-mer on either strand, directly or through others, have the same.

    Random k-mers of 20 bases meet by chance with probability 1e-5 in a few thousand short sequences, so sharing one
    means a common origin: windows of neighbouring sites that overlap, copies, repeats.
    """
    words = {}
    for row, s in enumerate(sequences):
        other = _reverse_complement(s)
        for i in range(len(s) - k + 1):
            words.setdefault(min(s[i : i + k], other[len(s) - k - i : len(s) - i]), []).append(row)
    pairs = np.array([(rows[0], r) for rows in words.values() for r in rows[1:]], np.int64).reshape(-1, 2)
    graph = sparse.coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(sequences),) * 2)
    return sparse.csgraph.connected_components(graph, directed=False)[1]


def dinucleotide_shuffle(sequence: str, rng: np.random.Generator) -> str:
    """The sequence in another order with the same counts of each pair of neighbours (Altschul & Erickson 1985)."""
    after = {}
    for a, b in zip(sequence, sequence[1:]):
        after.setdefault(a, []).append(b)
    final = sequence[-1]

    def leads(a, exits, seen=()):
        return a == final or (a not in seen and leads(after[a][exits[a]], exits, (*seen, a)))

    while True:  # the last exits from all letters have to lead to the final letter
        exits = {a: rng.integers(len(b)) for a, b in after.items() if a != final}
        if all(leads(a, exits) for a in exits):
            break
    order = {}
    for a, b in after.items():
        last = [b.pop(exits[a])] if a in exits else []
        order[a] = iter([*rng.permutation(b), *last]) if b else iter(last)
    out = [sequence[0]]
    while len(out) < len(sequence):
        out.append(next(order[out[-1]]))
    return "".join(out)


def kraken2_rows(x, tree, database: Path, confidence: float) -> np.ndarray:
    """The taxon that Kraken2 gives each read to, rows of the tree, -1 for none."""
    with tempfile.NamedTemporaryFile("w", suffix=".fa") as file:
        file.writelines(f">{i}\n{decode_bases(r)}\n" for i, r in enumerate(x))
        file.flush()
        done = subprocess.run(
            ["kraken2", "--db", str(database), "--confidence", str(confidence), file.name],
            check=True,
            capture_output=True,
            text=True,
        )
    row = {str(t): i for i, t in enumerate(tree.nodes["taxid"])} | {"0": -1}
    return np.array([row[line.split("\t")[2]] for line in done.stdout.splitlines()], np.int16)


# ---------------------------------------------------------------- splits


def random_split(table: pd.DataFrame, seed: int) -> pd.Series:
    """train, valid and test at random, 0.75 : 0.10 : 0.15, the same share of each label (as published)."""
    _, rest = train_test_split(table.index, test_size=0.25, stratify=table["label"], random_state=seed)
    valid, test = train_test_split(rest, test_size=0.6, stratify=table["label"][rest], random_state=seed)
    return _marked(table, valid, test)


def fold(table: pd.DataFrame, number: int, groups=None, folds: int = 10) -> pd.Series:
    """One fold of a stratified cross-validation as test, a tenth of the rest as valid; with groups, none is cut."""
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    parts = [test for _, test in kind(folds, shuffle=True, random_state=0).split(table, table["label"], groups)]
    return _marked(table, table.index[parts[(number + 1) % folds]], table.index[parts[number]])


def split_parts(table: pd.DataFrame, split: pd.Series) -> dict:
    """The table cut into train, valid and test."""
    return {s: table[split == s] for s in ("train", "valid", "test")}


def _marked(table, valid, test) -> pd.Series:
    split = pd.Series("train", table.index)
    split[valid], split[test] = "valid", "test"
    return split


def leaked(table: pd.DataFrame, split: pd.Series, groups: np.ndarray) -> float:
    """Share of the test sequences that share 20 bases with a training sequence."""
    return float(np.isin(groups[split == "test"], groups[split == "train"]).mean())


# ---------------------------------------------------------------- results


class Results:
    """One JSON line a cell of the tables, kept in docs/results; cells that are there are not made again."""

    def __init__(self, name: str, folder=RESULTS):
        self.file = Path(folder) / f"{name}.jsonl"
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def rows(self) -> pd.DataFrame:
        """All cells so far."""
        return pd.DataFrame(
            [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []
        )

    def cell(self, make, **key):
        """Make a cell unless it is there: `make()` gives its figures as a dict; the seconds are noted."""
        rows = self.rows().reindex(columns=list(key))
        same = (rows == pd.Series(key)) | (rows.isna() & pd.Series(key).isna())
        if same.all(axis=1).any():
            return
        start = time.monotonic()
        figures = make()
        line = json.dumps({**key, **figures, "seconds": round(time.monotonic() - start, 1)})
        with open(self.file, "a") as f:
            f.write(line + "\n")
        print(line, flush=True)


def figures(y, probs, classes) -> dict:
    """What is kept of a cell."""
    m = classification_metrics(y, probs, classes)
    return {"n": m["n"], **{k: round(m[k], 4) for k in ("accuracy", "mcc", "macro_f1")}}


# (study, row of its table): published figures, MCC but for 16s (accuracy). CNNProm: Umarov & Solovyev 2017, table 2.
# ULMFiT 2019: K. Heyer, github.com/kheyer/Genomic-ULMFiT, one random split. CNN and DBN: Fiannaca et al. 2018.
# Enhancers: PMC10339552, table 4. Alternatives: as they say, of Le et al. 2022, msBERT-Promoter 2024 (accuracy in
# cross-validation), Feng et al. 2025, table 2 (AUROC of classifiers on frozen embeddings).
PUBLISHED = {
    ("promoters", "E. coli", "random"): "CNNProm .84; ULMFiT 2019 .871",
    ("promoters", "B. subtilis", "random"): "CNNProm .86; ULMFiT 2019 .759",
    ("16s", "amplicon", "reads", "150"): "Fiannaca .9137; ULMFiT 2019 .9239",
    ("16s", "shotgun", "reads", "150"): "Fiannaca .8550; ULMFiT 2019 .8797",
    ("regulatory", "human enhancers"): "iEnhancer-2L .460; iEnhancer-EL .496; BERT-Enhancer .514; iEnhancer-ECNN .537",
    ("regulatory", "Arabidopsis, TATA"): "CNNProm .91; iPTT(2 L)-CNN .94",
    ("regulatory", "Arabidopsis, no TATA"): "CNNProm .86; iPTT(2 L)-CNN .91",
    ("regulatory", "mouse, TATA"): "CNNProm .93; iPTT(2 L)-CNN .93",
    ("alternatives_promoters", "E. coli"): "accuracy: BERT-Promoter .855, msBERT-Promoter .962",
    ("alternatives_promoters", "Arabidopsis, TATA"): "AUROC: DNABERT-2 .951, NT-v2 .950, HyenaDNA .961, "
    "Caduceus .937, GROVER .949",
    ("alternatives_promoters", "Arabidopsis, no TATA"): "AUROC: DNABERT-2 .946, NT-v2 .940, HyenaDNA .955, "
    "Caduceus .944, GROVER .949",
}
COLUMNS = [
    "majority",
    "k-mer logistic regression",
    "k-mer naive Bayes",
    "from scratch",
    "pretrained",
    "pretrained, LM tuned",
    "pretrained + k-mer models",
    "network, k 6 stride 3",
    "network + wide",
    "wide alone",
    "network + wide (2**14)",
    "wide alone (2**14)",
    "network + words",
    "words alone",
]


def summary(rows: pd.DataFrame, by: list, figure: str = "mcc") -> pd.DataFrame:
    """Mean ± standard deviation of a figure over the seeds (their number), a row per `by`, a column per method."""
    text = lambda v: f"{v.mean():.3f} ± {v.std(ddof=0):.3f} ({len(v)})"
    found = rows.groupby([*by, "method"], sort=False)[figure].agg(text).unstack("method")
    found = found[[c for c in COLUMNS if c in found] + [c for c in found if c not in COLUMNS]].fillna("")
    found["minutes"] = (rows.groupby(by, sort=False)["seconds"].sum() / 60).round(1)
    return found


def by_method(rows: pd.DataFrame, figures: list) -> pd.DataFrame:
    """Mean ± standard deviation of some figures over the seeds, a row per method, in the order they were made."""

    def text(values):
        spread = f" ± {values.std(ddof=0):.3f}" if len(values) > 1 else ""
        return "" if values.isna().any() else f"{values.mean():.3f}{spread}"

    found = rows.groupby("method", sort=False)
    table = found[figures].agg(text)
    table.insert(0, "seeds", found.size())
    return table.assign(minutes=(found["seconds"].sum() / 60).round(1))


# ---------------------------------------------------------------- cost

# Of a small process: the figure of a child begins with that of its parent.
_CHILD = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
)


def process_cost(*command) -> tuple[float, float]:
    """Seconds and largest MB of a command in a process of its own with one thread, start and loading included."""
    child = [sys.executable, "-c", _CHILD, *map(str, command)]
    start = time.perf_counter()
    done = subprocess.run(child, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    took = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(done.stderr)
    return took, float(done.stdout)


# ---------------------------------------------------------------- methods


FIRST_WIDE = Wide(buckets=2**14)  # the default of `train --wide` before it was 2**16


def codes(table: pd.DataFrame) -> list:
    """Base codes of the sequences of a table."""
    return [encode_bases(s) for s in table["sequence"]]


def numbers(table: pd.DataFrame, classes) -> np.ndarray:
    """Class numbers of the labels of a table."""
    return pd.Index(classes).get_indexer(table["label"])


def majority(parts, classes):
    """Every sequence gets the most frequent training label."""
    probs = np.zeros((len(parts["test"]), len(classes)))
    probs[:, np.bincount(numbers(parts["train"], classes)).argmax()] = 1
    return probs


def logistic_regression(parts, classes, stranded, ks=(3, 4, 5, 6), Cs=(1e-3, 1e-2, 1e-1, 1)):
    """On k-mer counts; k and the penalty chosen on valid."""
    valid = codes(parts["valid"]), numbers(parts["valid"], classes)
    model = fit_kmer_logreg(
        codes(parts["train"]), numbers(parts["train"], classes), valid, ks=ks, Cs=Cs, stranded=stranded
    )
    return model.predict_proba(codes(parts["test"]))


def naive_bayes(parts, classes, stranded, ks=(3, 4, 5, 6, 7, 8, 12)):
    """On k-mers; k chosen on valid."""
    models = [fit_kmer_nb(codes(parts["train"]), numbers(parts["train"], classes), k, stranded=stranded) for k in ks]
    right = lambda m: (m.predict_proba(codes(parts["valid"])).argmax(1) == numbers(parts["valid"], classes)).mean()
    return max(models, key=right).predict_proba(codes(parts["test"]))


def network(
    parts,
    classes,
    pretrained=None,  # a language model, or None to begin from scratch
    preset="small",  # sizes and k-mers of a network from scratch: those of the pretrained one it stands beside
    tokenizer=KmerTokenizer(6, 6),
    tune: int = 0,  # epochs in which the language model is tuned on the training sequences first
    stranded: bool = True,  # sequences have a direction
    epochs: int = 16,
    lr: float = 5e-3,
    drop_mult: float = 1.0,
    bs: int = 64,
    seed: int = 0,
    wide: bool | Wide = False,  # learned words beside the encoder
    counts: bool = False,  # counted words beside it
    smoothing: float = 0.0,  # of the labels
    placed: bool = False,  # placed words beside it
):
    """Class probabilities of the test part by an AWD-LSTM classifier."""
    learned = pd.concat([parts[s].assign(split=s) for s in ("train", "valid")])
    set_seed(seed)
    start = tuned(pretrained, learned, tune, seed) if tune else pretrained
    dls = ReadDataLoaders.from_df(
        learned, pretrained.tokenizer if pretrained else tokenizer, bs=bs, seed=seed, stranded=stranded
    )
    smooth = {"loss_func": LabelSmoothingCrossEntropyFlat(eps=smoothing)} if smoothing else {}
    learn = genome_classifier_learner(
        dls, pretrained=start, preset=preset, drop_mult=drop_mult, wide=wide, counts=counts, placed=placed, **smooth
    )
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(lr, epochs=epochs)
    assert dls.classes == list(classes)
    return learn.to_model().predict_proba(parts["test"]["sequence"].tolist())


class WordsAlone(torch.nn.Module):
    """What a network has of learned and counted words, without its encoder."""

    def __init__(self, tokenizer, n_classes: int, both_strands: bool, wide: Wide, counts: bool):
        super().__init__()
        self.learned = WideBranch(tokenizer, wide, n_classes, both_strands)
        usual = default_counts(tokenizer.alphabet, n_classes, WEIGHT_OF_READS)
        self.counted = CountedWords(tokenizer, usual, n_classes, both_strands) if counts else None

    def forward(self, ids):
        return self.learned(ids) if self.counted is None else self.learned(ids) + self.counted(ids)


def words_learner(parts, stranded: bool, epochs, lr, bs, seed=0, wide=Wide(), counts=True) -> Learner:
    """Words without a network, learned and counted in the training part; its loaders watch the validation part."""
    learned = pd.concat([parts[s].assign(split=s) for s in ("train", "valid")])
    set_seed(seed)
    tokenizer = KmerTokenizer(1, 1)  # the words have numbers of their own
    dls = ReadDataLoaders.from_df(learned, tokenizer, bs=bs, seed=seed, stranded=stranded)
    words = WordsAlone(tokenizer, dls.c, not stranded, wide, counts)
    if counts:
        words.counted.count(dls.train.dataset.spans, dls.train.dataset.y)
    weights = lambda model: [list(model.learned.parameters())]
    learn = Learner(dls, words, loss_func=CrossEntropyLossFlat(), opt_func=fused_adamw, splitter=weights)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs, lr)
    return learn


def words_alone(parts, classes, **how):
    """Class probabilities of the test part by the words of a classifier, without its network."""
    learn = words_learner(parts, **how)
    with learn.no_bar():
        probs, _ = learn.get_preds(dl=learn.dls.test_dl(parts["test"]["sequence"].tolist()))
    assert learn.dls.classes == list(classes)
    return probs.numpy()


def placed_words(parts, classes):
    """Class probabilities by the placed words of a classifier, without its network, in its phases."""
    tokenizer = KmerTokenizer(6, 6)
    test = np.stack(codes(parts["test"]))
    words = PlacedWords(tokenizer, default_placed(tokenizer.alphabet, test.shape[1]), len(classes))
    words.fit(Spans.from_sequences(list(parts["train"]["sequence"])), numbers(parts["train"], classes))
    with torch.inference_mode():
        phases = (tokenizer.batch(torch.from_numpy(test[:, phase:])) for phase in range(tokenizer.stride))
        return sum((words.eval()(ids) / words.placed.weight).log_softmax(1) for ids in phases).softmax(1).numpy()


def stacked(valid: list, y, test: list):
    """Class probabilities of several methods in one: a logistic regression on their log-odds of the valid part."""
    odds = lambda probs: np.stack([np.log(np.clip(p[:, 1], 1e-3, 1) / np.clip(p[:, 0], 1e-3, 1)) for p in probs], 1)
    return LogisticRegression(C=0.1).fit(odds(valid), y).predict_proba(odds(test))


def tuned(model, table, epochs: int, seed: int):
    """The language model after some epochs on the training sequences."""
    dls = GenomeLMDataLoaders.from_df(
        table,
        tokenizer=model.tokenizer,
        tokens=model.tokenizer.n_tokens(int(table["sequence"].str.len().max())) - 1,
        seed=seed,
    )
    learn = genome_lm_learner(dls, pretrained=model)
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(2e-3, epochs=epochs, lr_div=2)
    return learn.to_model()


def target_network(
    table: pd.DataFrame,  # with its splits
    kinds: dict,  # target -> kind
    asked: list,  # sequences
    pretrained=None,  # a language model, or None to begin from scratch
    preset: str = "small",  # sizes of a network from scratch: those of the pretrained one it stands beside
    tune: int = 0,  # epochs in which the language model is tuned on the training sequences first
    tokenizer=KmerTokenizer(6, 6),
    wide: bool = False,  # learned words beside it
    epochs: int = 4,
    lr: float = 7e-3,
    drop_mult: float = 0.5,
    bs: int = 128,
    seed: int = 0,
    phases: int | None = None,  # in which the sequences asked are read: all six take three times as long as two
    change=None,  # makes another network of the untrained one
) -> np.ndarray:
    """Answers of one network with all targets, (n, targets); sequences have a direction, and it sees no test part."""
    set_seed(seed)
    learned = table[table["split"] != "test"]
    start = tuned(pretrained, learned, tune, seed) if tune else pretrained
    how = {"tokenizer": tokenizer, "stranded": True, "bs": bs, "seed": seed}
    dls = TargetDataLoaders.from_df(learned, [*kinds], kinds, **how)
    learn = genome_predictor_learner(dls, pretrained=start, preset=preset, drop_mult=drop_mult, wide=wide)
    if change:
        learn.model = change(learn.model)
    with learn.no_bar(), learn.no_logging():
        learn.fit_budget(lr, epochs=epochs)
    return learn.to_model().predict(asked, phases=phases).values


def taxa_network(folder: Path, corpus: Path, preset: str, lr: float, *more: str) -> bool:
    """A classifier of species for the studies of taxa, trained on a GPU unless it is there; whether it is there now."""
    size = f"--preset {preset} --k 6 --stride 6"
    reads = "--length 75-300 --errors 0.005"
    budget = f"--minutes 8.3 --parts 8 --lr {lr} --bs 2048"
    options = f"--label species {size} {reads} {budget}".split()
    command = ["train", corpus, "--out", folder, *options, *more]
    print("genomic-ulmfit", *(str(c).replace(f"{ROOT}/", "") for c in command))
    there = (folder / "config.json").exists
    if not there() and torch.cuda.is_available():
        subprocess.run([COMMAND, *map(str, command), "--resume"], check=True, capture_output=True)
    return there()


def _reverse_complement(letters: str) -> str:
    return decode_bases(reverse_complement(encode_bases(letters)))
