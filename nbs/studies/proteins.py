"""What the studies of proteins share: models that stand beside the networks, networks, figures, a data set with both.

A method answers for each sequence and target, (n, targets): probabilities of labels and classes, or values.
"""

import re
from functools import lru_cache, partial

import numpy as np
import pandas as pd
from aligned import standardised
from Bio.Align import PairwiseAligner, substitution_matrices
from harness import network, target_network
from phenotypes import kept, label_network, together
from scipy.special import softmax
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, average_precision_score, matthews_corrcoef, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import PolynomialFeatures
from sklearn.svm import SVC

from genomic_ulmfit.model.model import load_model
from genomic_ulmfit.report.metrics import classification_metrics
from genomic_ulmfit.report.sequence_features import composition_features, kmer_features, one_hot_features
from genomic_ulmfit.report.target_baselines import LinearBaseline, MeanBaseline, NeighbourBaseline, Part
from genomic_ulmfit.seq.alphabet import PROTEIN
from genomic_ulmfit.text.kmers import KmerTokenizer

LANGUAGE_MODEL = "bacteria-proteins-small"
START = {"pretrained": lambda: load_model(LANGUAGE_MODEL), "from scratch": lambda: None}
SINGLE = {"tokenizer": KmerTokenizer(1, 1, PROTEIN), "phases": 1}


def codes(table: pd.DataFrame) -> list:
    """Codes of the proteins of a table."""
    return [PROTEIN.encode(sequence) for sequence in table["sequence"]]


# ---------------------------------------------------------------- models that stand beside the networks


def words(ks=(1, 2, 3), penalties=(1e3, 1e2, 10.0, 1.0)) -> LinearBaseline:
    """A linear model over words of some lengths."""
    return LinearBaseline(partial(kmer_features, ks=ks, stranded=True, alphabet=PROTEIN), penalties)


def composition() -> LinearBaseline:
    """A linear model over residues and length."""
    return LinearBaseline(partial(composition_features, stranded=True, alphabet=PROTEIN), (1e-3,))


def neighbours(ks=(3,), numbers=(1, 5)) -> NeighbourBaseline:
    """The mean over the nearest by words."""
    return NeighbourBaseline(ks, numbers, stranded=True, alphabet=PROTEIN)


def one_hot(reads) -> np.ndarray:
    """Residues at their places, (n, places x letters); a place where all are one says nothing and does no harm."""
    return one_hot_features(reads, PROTEIN)


def placed(penalties=(1e4, 1e3, 1e2, 10.0, 1.0)) -> LinearBaseline:
    """A linear model over residues at their places."""
    return LinearBaseline(one_hot, penalties)


def pair_features(reads):
    """Residues at their places and all pairs of them, for few places."""
    return PolynomialFeatures(2, interaction_only=True, include_bias=False).fit_transform(one_hot(reads))


def pairs(penalties=(100.0, 30.0, 10.0, 3.0)) -> LinearBaseline:
    """A linear model over residues at their places and pairs of them."""
    return LinearBaseline(pair_features, penalties)


def blosum_directions(n: int = 8) -> np.ndarray:
    """The main directions of BLOSUM62, (letters of the alphabet, n), of unit spread; of marks zeros."""
    matrix = substitution_matrices.load("BLOSUM62")
    residues = [letter for letter in PROTEIN.letters if letter.isalpha()]
    sizes, directions = np.linalg.eigh([[matrix[a][b] for b in residues] for a in residues])
    best = np.argsort(-sizes)[:n]
    found = directions[:, best] * np.sqrt(sizes[best])
    table = np.zeros((PROTEIN.padding + 1, n))
    table[[PROTEIN.letters.index(letter) for letter in residues]] = found / found.std()
    return table


class Kernel:
    """Ridge, or a support vector machine for a label, with an RBF kernel over residues at the places that vary.

    A residue is one-hot beside its directions in BLOSUM62. Width and penalty are chosen on the validation part; with
    `log`, values are learned as logarithms. One target.
    """

    def __init__(self, log: bool = False, widths=(0.01, 0.03, 0.1, 0.3), penalties=(0.01, 0.1, 1.0)):
        self.log = log
        self.options = [(width, penalty) for width in widths for penalty in penalties]

    def _features(self, reads) -> np.ndarray:
        letters = np.stack(reads)[:, self.places]
        hot = np.eye(PROTEIN.padding + 1)[letters]
        return np.concatenate([hot, 0.3 * blosum_directions()[letters]], 2).reshape(len(letters), -1)

    def fit(self, train: Part, valid: Part, kinds):
        self.places = np.flatnonzero(np.ptp(np.stack(train.reads), axis=0))
        X, y = self._features(train.reads), train.targets[:, 0]
        self.binary = kinds[0] == "binary"
        if self.log:
            y = np.log(np.maximum(y, 0) + 0.01)
        self.center = 0 if self.binary else y.mean()
        tried = [self._model(*option).fit(X, y - self.center) for option in self.options]
        figure = roc_auc_score if self.binary else lambda truth, answer: spearmanr(truth, answer).statistic
        asked = self._features(valid.reads)
        best = int(np.argmax([figure(valid.targets[:, 0], self._score(model, asked)) for model in tried]))
        self.model, self.chosen = tried[best], [str(self.options[best])]
        if self.binary:
            self.scale = LogisticRegression().fit(self._score(self.model, asked)[:, None], valid.targets[:, 0])
        return self

    def _model(self, width, penalty):
        return SVC(C=1 / penalty, gamma=width) if self.binary else KernelRidge(alpha=penalty, kernel="rbf", gamma=width)

    def _score(self, model, X):
        return model.decision_function(X) if self.binary else model.predict(X)

    def predict(self, reads) -> np.ndarray:
        score = self._score(self.model, self._features(reads))
        return self.scale.predict_proba(score[:, None])[:, 1:] if self.binary else score[:, None] + self.center


class Aligned:
    """Votes of the training proteins that align best: each weighs exp(score / temperature), chosen on the valid part.

    Scores of Smith and Waterman as BLAST has them (BLOSUM62, 11 for the first letter of a gap, 1 for each further one),
    of the training proteins that share most words.
    """

    MOST = 50  # training proteins that are aligned
    TEMPERATURES = (1.0, 3.0, 10.0, 20.0, 40.0, 80.0)  # to try

    def __init__(self, k: int = 4):
        self.k = k  # residues of a word
        matrix = substitution_matrices.load("BLOSUM62")
        gaps = {"open_gap_score": -11, "extend_gap_score": -1}
        self.aligner = PairwiseAligner(mode="local", substitution_matrix=matrix, **gaps)

    def _words(self, reads):
        return kmer_features(reads, (self.k,), stranded=True, alphabet=PROTEIN)

    def _letters(self, reads) -> list:
        return [re.sub("[^A-Z]", "X", PROTEIN.decode(read)) for read in reads]

    def fit(self, train: Part, valid: Part, kinds):
        self.proteins, self.targets = self._letters(train.reads), train.targets
        self.nearest = NearestNeighbors(n_neighbors=self.MOST, metric="cosine").fit(self._words(train.reads))
        asked = self._scores(valid.reads)
        losses = [np.square(self._votes(*asked, warm) - valid.targets).mean() for warm in self.TEMPERATURES]
        self.temperature = self.TEMPERATURES[int(np.argmin(losses))]
        self.chosen = [f"temperature {self.temperature:g}"] * len(kinds)
        return self

    def _scores(self, reads):
        """The nearest training proteins by words, and the scores of their alignments, (n, MOST)."""
        found = self.nearest.kneighbors(self._words(reads), return_distance=False)
        score = lambda one, rows: [self.aligner.score(one, self.proteins[row]) for row in rows]
        return found, np.array([score(*each) for each in zip(self._letters(reads), found)])

    def _votes(self, found, scores, temperature) -> np.ndarray:
        weights = softmax(scores / temperature, axis=1)
        return np.einsum("nm,nmt->nt", weights, self.targets[found])

    def predict(self, reads) -> np.ndarray:
        return self._votes(*self._scores(reads), self.temperature)


class OnRanks:
    """A model of the ranks of values, 0 to 1: what lies far from the others pulls no harder than they do."""

    def __init__(self, model):
        self.model = model

    def fit(self, train: Part, valid: Part, kinds):
        ranks = [part._replace(targets=rankdata(part.targets, axis=0) / len(part.targets)) for part in (train, valid)]
        self.model.fit(*ranks, kinds)
        return self

    def predict(self, reads) -> np.ndarray:
        return self.model.predict(reads)


# ---------------------------------------------------------------- figures


def class_figures(y, answers, names) -> dict:
    """Of classes: y has a 1 in the column of the class."""
    found = classification_metrics(y.argmax(1), answers / answers.sum(1, keepdims=True), names)
    return {name: round(found[name], 4) for name in ("accuracy", "macro_f1", "mcc")}


def set_figures(y, answers, names, threshold: float = 0.5) -> dict:
    """Of several labels at once, as Yan et al. 2022 define them: the mean over sequences of what both sets share.

    Called are labels from the threshold on, and the likeliest of a sequence in any case: in these data each has one.
    """
    called = (answers >= threshold) | (answers == answers.max(1, keepdims=True))
    shared, either = (called & (y > 0)).sum(1), (called | (y > 0)).sum(1)
    auroc = np.mean([roc_auc_score(*pair) for pair in zip(y.T, answers.T)])
    same = (called == (y > 0)).all(1)
    found = {"accuracy": np.where(either, shared / np.maximum(either, 1), 1), "absolute_true": same, "auroc": auroc}
    return {name: round(float(np.mean(figure)), 4) for name, figure in found.items()}


def label_figures(y, answers, names) -> dict:
    """Of one label."""
    y, p = y[:, 0], answers[:, 0]
    called = p >= 0.5
    found = {"auroc": roc_auc_score(y, p), "average_precision": average_precision_score(y, p)}
    found |= {"accuracy": accuracy_score(y, called), "mcc": matthews_corrcoef(y, called)}
    return {name: round(float(figure), 4) for name, figure in found.items()}


def value_figures(y, answers, names) -> dict:
    """Of one value; undefined for a constant answer."""
    y, p = y[:, 0], answers[:, 0]
    if np.ptp(p) < 1e-9:
        return {"spearman": None, "pearson": None}
    return {"spearman": round(spearmanr(y, p).statistic, 4), "pearson": round(pearsonr(y, p).statistic, 4)}


# ---------------------------------------------------------------- a data set and its methods


class Study:
    """Methods on one data set: answers are kept in `runs/`, figures are made of them."""

    def __init__(self, name: str, table: pd.DataFrame, figures, methods: dict, classes: bool = False, **how):
        self.name = name
        self.table = table
        self.targets = table.attrs["targets"]
        self.kinds = list(table.attrs["kinds"].values())
        self.figures = figures
        self.models = {"mean": MeanBaseline} | methods
        self.classes = classes  # one label of all: a softmax over them
        self.how = how  # of the networks
        self.answers = lru_cache(None)(self._answers)

    def part(self, split: str) -> pd.DataFrame:
        """The rows of a part."""
        return self.table[self.table["split"] == split]

    def _answers(self, method: str, seed: int) -> dict:
        """Of the validation and the test part."""
        make = self._by_network if method in START else self._by_model
        name = f"protein-{self.name}-{method}-{seed}".replace(",", "").replace(" ", "_")
        found = kept(name, lambda: make(method, seed))
        n = len(self.part("valid"))
        return {"valid": found[:n], "test": found[n:]}

    def _by_model(self, method, seed):
        parts = [Part(codes(part), part[self.targets].to_numpy()) for part in map(self.part, ("train", "valid"))]
        model = self.models[method]().fit(*parts, self.kinds)
        return model.predict(codes(pd.concat([self.part("valid"), self.part("test")])))

    def _by_network(self, method, seed):
        asked = pd.concat([self.part("valid"), self.part("test")])
        if self.classes:
            parts = {"train": self.part("train"), "valid": self.part("valid"), "test": asked}
            names = sorted(self.targets)
            found = network(parts, names, START[method](), tokenizer=SINGLE["tokenizer"], seed=seed, **self.how)
            return found[:, [names.index(target) for target in self.targets]]
        make = label_network if self.kinds[0] == "binary" else target_network
        goals = self.targets if make is label_network else self.table.attrs["kinds"]
        return make(self.table, goals, list(asked["sequence"]), START[method](), seed=seed, **SINGLE | self.how)

    def together(self, method: str, seeds, split: str) -> np.ndarray:
        """Of methods joined by +, and of several seeds of networks: means of log-odds or of standard values."""
        each = [self.answers(m, seed) for m in method.split(" + ") for seed in (seeds if m in START else [0])]
        if self.kinds[0] == "binary":
            return together([answers[split] for answers in each]) if len(each) > 1 else each[0][split]
        return np.mean([standardised(answers[split], answers["valid"]) for answers in each], 0)

    def judge(self, split: str, method: str, seeds=(0,)) -> dict:
        """The figures of a method on a part."""
        y = self.part(split)[self.targets].to_numpy()
        return {"n": len(y)} | self.figures(y, self.together(method, seeds, split), self.targets)

    def interval(self, method: str, figure: str, samples: int = 200) -> list:
        """95 % interval of a figure on the test part, seed 0: a bootstrap of groups."""
        part, answers = self.part("test"), self.together(method, (0,), "test")
        members = [rows.to_numpy() for _, rows in pd.Series(np.arange(len(part))).groupby(part["group"].to_numpy())]
        rng, found = np.random.default_rng(0), []
        for _ in range(samples):
            rows = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
            y = part[self.targets].to_numpy()[rows]
            try:
                found.append(self.figures(y, answers[rows], self.targets)[figure])
            except ValueError:  # a sample without one of the labels
                continue
        return [round(float(end), 4) for end in np.quantile(found, [0.025, 0.975])]
