"""What the study of sequences laid side by side shares: models of what stands where, networks, and means of several.

A method answers for each sequence and target, (n, targets); what is measured once a fold is a mean over the folds.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from activity import linear_models, rounded
from fastai.torch_core import set_seed
from harness import codes, target_network
from scipy.stats import pearsonr, spearmanr
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import nn

from genomic_ulmfit.report.sequence_features import kmer_features, one_hot_features
from genomic_ulmfit.report.target_baselines import LinearBaseline, Part
from genomic_ulmfit.report.target_metrics import target_metrics

START = {"pretrained": "bacteria-small", "from scratch": None}


# ---------------------------------------------------------------- models of what stands where


def dense(features) -> torch.Tensor:
    """Sparse features as a tensor."""
    return torch.from_numpy(features.toarray())


class Energies:
    """Sums over letters at their places, a few of them, and a small network that makes an answer of them.

    An additive model has one sum and no bend. A protein that binds has an energy, a sum over places, and what comes of
    two or three of them isn't a sum any more (Kinney et al. 2010). The mean of several networks; one target.
    """

    def __init__(
        self,
        sums: int = 8,
        members: int = 5,
        epochs: int = 12,
        lr: float = 1e-2,
        bs: int = 256,
        features=one_hot_features,  # reads -> (n, features), sparse
    ):
        self.features = features
        self.sums = sums
        self.members = members
        self.epochs = epochs
        self.lr = lr
        self.bs = bs

    def fit(self, train: Part, valid: Part, kinds):
        X = self.features(train.reads)
        self.mean, self.spread = train.targets.mean(), train.targets.std()
        y = torch.from_numpy((train.targets[:, 0] - self.mean) / self.spread).float()
        self.networks = [self._trained(X, y, seed) for seed in range(self.members)]
        return self

    def _trained(self, X, y, seed):
        set_seed(seed)
        bend = nn.Sequential(nn.Tanh(), nn.Linear(self.sums, 16), nn.Tanh(), nn.Linear(16, 1))
        network = nn.Sequential(nn.Linear(X.shape[1], self.sums), *bend)
        opt = torch.optim.AdamW(network.parameters(), lr=self.lr, weight_decay=0.1)
        steps = len(y) // self.bs
        rates = torch.optim.lr_scheduler.OneCycleLR(opt, self.lr, total_steps=self.epochs * steps)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(y))[: steps * self.bs].reshape(steps, self.bs):
                opt.zero_grad()
                (network(dense(X[rows.numpy()]))[:, 0] - y[rows]).square().mean().backward()
                opt.step()
                rates.step()
        return network

    def predict(self, reads) -> np.ndarray:
        X = dense(self.features(reads))
        with torch.inference_mode():
            answer = torch.stack([network(X)[:, 0] for network in self.networks]).mean(0)
        return self.mean + self.spread * answer.numpy()[:, None]


def guide_features(reads) -> np.ndarray:
    """Letters and pairs of neighbours at their places, and counts of both wherever they stand."""
    read_codes = np.stack(reads)
    pairs = np.eye(16, dtype=np.float32)[read_codes[:, :-1] * 4 + read_codes[:, 1:]].reshape(len(reads), -1)
    counts = np.expm1(kmer_features(reads, (1, 2), stranded=True).toarray())
    return np.hstack([one_hot_features(reads).toarray(), pairs, counts])


class Boosted:
    """Boosted trees on features; one target."""

    def __init__(self, features):  # reads -> (n, features), dense
        self.features = features

    def fit(self, train: Part, valid: Part, kinds):
        sizes = {"max_iter": 200, "learning_rate": 0.08, "max_leaf_nodes": 8, "l2_regularization": 10}
        self.trees = HistGradientBoostingRegressor(max_features=0.3, random_state=0, **sizes)
        self.trees.fit(self.features(train.reads), train.targets[:, 0])
        return self

    def predict(self, reads) -> np.ndarray:
        return self.trees.predict(self.features(reads))[:, None]


def word_counts(reads) -> np.ndarray:
    """log(1 + count) of words of one to four bases."""
    return kmer_features(reads, (1, 2, 3, 4), stranded=True).toarray()


def models_of(name: str, reads) -> dict:
    """The models beside the networks of a data set, name -> not fitted."""
    found = linear_models(reads)
    found.pop("gapped k-mers", None)  # slow, and behind k-mers where they were tried
    if name == "lac promoter":
        return found | {"energies": Energies()}
    if name == "yeast":
        return found | {"boosted trees": Boosted(word_counts)}
    if name == "Cas9 guides":
        pairs = LinearBaseline(guide_features, (1e3, 3e2, 1e2, 30.0))
        return found | {"letters, pairs, counts": pairs}
    return found


# ---------------------------------------------------------------- networks


def network(table: pd.DataFrame, targets: list, asked: list, start: str, seed: int, rows: int | None = None, **how):
    """Answers of one network; it learns from so many drawn `rows`."""
    train = table[table["split"] == "train"]
    parts = [train.sample(rows, random_state=seed) if rows else train, table[table["split"] == "valid"]]
    return target_network(pd.concat(parts), dict.fromkeys(targets, "real"), asked, START[start], seed=seed, **how)


# ---------------------------------------------------------------- a data set and its methods


def standardised(answers, beside):
    """Answers in units of the spread of those beside them, around their mean."""
    return (answers - beside.mean(0)) / np.maximum(beside.std(0), 1e-9)


class Study:
    """Methods on one data set of one or several folds."""

    def __init__(self, name: str, tables: dict, **how):  # fold -> table; settings of the networks
        self.name = name
        self.tables = tables
        self.how = how
        first = next(iter(tables.values()))
        known = first[first["split"] == "train"].notna().any()
        self.targets = [target for target in first.attrs["targets"] if known[target]]
        self.answers = lru_cache(None)(self._answers)
        self.methods = [*models_of(name, codes(first[first["split"] == "train"])), *START]

    def part(self, fold, split) -> pd.DataFrame:
        """Rows of a part that were measured."""
        table = self.tables[fold]
        return table[(table["split"] == split) & table[self.targets].notna().any(axis=1)]

    def _answers(self, fold, method, seed) -> dict:
        """Of the validation and the test part."""
        valid, test = self.part(fold, "valid"), self.part(fold, "test")
        if method in START:
            asked = [*valid["sequence"], *test["sequence"]]
            found = network(self.tables[fold], self.targets, asked, method, seed, **self.how)
        else:
            train = self.part(fold, "train")
            model = models_of(self.name, codes(train))[method]
            parts = (Part(codes(part), part[self.targets].to_numpy()) for part in (train, valid))
            found = model.fit(*parts, ["real"] * len(self.targets)).predict(codes(pd.concat([valid, test])))
        return {"valid": found[: len(valid)], "test": found[len(valid) :]}

    def together(self, fold, method, seeds, split):
        """Of several methods, joined by +, and seeds the mean, each standardised by its answers for the valid part."""
        methods = [method] if method in self.methods else method.split(" + ")
        each = [self.answers(fold, m, seed) for m in methods for seed in (seeds if m in START else [0])]
        return np.mean([standardised(answers[split], answers["valid"]) for answers in each], 0)

    def judge(self, split, method, seeds=(0,)) -> dict:
        """Correlations of one method or of several in one: the mean over folds and its standard error, or intervals."""
        found = [self._figures(fold, split, self.together(fold, method, seeds, split)) for fold in self.tables]
        table = pd.DataFrame(found)
        mean = {name: rounded(figure) for name, figure in table.mean(skipna=False).items()}
        if len(found) > 1:
            return mean | {f"{name}_se": rounded(figure) for name, figure in (table.std() / len(found) ** 0.5).items()}
        return mean | self._intervals(split, self.together(next(iter(self.tables)), method, seeds, split))

    def _figures(self, fold, split, answers) -> dict:
        part = self.part(fold, split)
        found = {}
        for target, answer in zip(self.targets, answers.T):
            known = part[target].notna().to_numpy()
            pair = answer[known], part.loc[known, target]
            varies = np.ptp(pair[0]) > 1e-9
            found[f"{target} spearman"] = spearmanr(*pair).statistic if varies else np.nan
            found[f"{target} pearson"] = pearsonr(*pair).statistic if varies else np.nan
        return found

    def _intervals(self, split, answers) -> dict:
        """95 % intervals by 200 bootstrap samples of groups."""
        part = self.part(next(iter(self.tables)), split)
        y = part[self.targets].to_numpy()
        kinds = ["real"] * len(self.targets)
        table = target_metrics(y, answers, self.targets, kinds, samples=200, groups=part["group"])
        table = table[table["figure"].isin(["spearman", "pearson"]) & table["target"].isin(self.targets)]
        ends = table.set_index(["target", "figure"])[["low", "high"]]
        return {f"{' '.join(key)}_95": [rounded(end) for end in row] for key, row in zip(ends.index, ends.to_numpy())}
