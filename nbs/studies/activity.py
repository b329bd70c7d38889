"""What the study of promoter activity shares: networks, linear models and their mixtures, and what is kept of them.

A method gives the two answers of each sequence, (n, 2): log2 activity, and the probability of being active.
"""

import numpy as np
import pandas as pd
import torch
from harness import codes, target_network
from scipy import sparse
from scipy.special import logit
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from genomic_ulmfit.nets.heads import pool
from genomic_ulmfit.nets.placed import PlacedWords, default_placed, one_hot, phase_batches, spread
from genomic_ulmfit.report.target_baselines import LinearBaseline, Part, default_baselines
from genomic_ulmfit.report.target_metrics import target_metrics
from genomic_ulmfit.text.kmers import PAD, KmerTokenizer
from genomic_ulmfit.text.spans import Spans

TARGETS, KINDS = ["activity", "active"], ["real", "binary"]


def activity_figures(part: pd.DataFrame, answers: np.ndarray) -> dict:
    """Spearman with the measured activity, AUROC and average precision of the active; None where undefined."""
    constant = min(np.ptp(answers, axis=0)) == 0
    rank = np.nan if constant else spearmanr(answers[:, 0], part["measured"]).statistic
    label = part["active"] == 1
    found = {
        "spearman": rank,
        "pearson_log": np.nan if constant else np.corrcoef(answers[:, 0], part["activity"])[0, 1],
        "auroc": roc_auc_score(label, answers[:, 1]),
        "average_precision": average_precision_score(label, answers[:, 1]),
    }
    return {"n": len(part)} | {name: rounded(x) for name, x in found.items()}


def rounded(figure: float) -> float | None:
    """As it is kept; None for NaN, which JSON doesn't have."""
    return None if np.isnan(figure) else round(float(figure), 4)


def with_intervals(part: pd.DataFrame, answers: np.ndarray) -> dict:
    """The figures, and 95 % intervals of three of them: 200 bootstrap samples of the groups of the part.

    `by_activity`: where the active are ranked by the answer for the activity.
    """
    y = part[["measured", "active"]].to_numpy()
    table = target_metrics(y, answers, TARGETS, KINDS, samples=200, groups=part["group"])
    table = table.set_index(["target", "figure"])
    ends = lambda *key: [rounded(end) for end in table.loc[key, ["low", "high"]]]
    shown = (("activity", "spearman"), ("active", "auroc"), ("active", "average_precision"))
    by_activity = activity_figures(part, answers[:, [0, 0]])
    found = {f"{figure}_by_activity": by_activity[figure] for figure in ("auroc", "average_precision")}
    return activity_figures(part, answers) | found | {f"{figure}_95": ends(target, figure) for target, figure in shown}


def activity_network(table: pd.DataFrame, asked: list, pretrained=None, **how) -> np.ndarray:
    """Answers of one network with both targets, from scratch of the size of the pretrained one."""
    return target_network(table, dict(zip(TARGETS, KINDS)), asked, pretrained, **how)


class AttentionPooling(nn.Module):
    """A try: beside the last, largest and mean output a mean by weights that are learned (Yang et al. 2016).

    It begins as the mean with equal weights.
    """

    def __init__(self, network):  # a `ReadClassifier`, whose parts it takes
        super().__init__()
        self.encoder, self.composition, self.wide = network.encoder, network.composition, None
        _, first, *_ = answer = network.head
        size = first.in_features // 4  # last, largest, mean and composition
        answer[1] = nn.Linear(5 * size, first.out_features)
        scores = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))
        nn.init.zeros_(scores[-1].weight)
        self.head = nn.ModuleDict({"scores": scores, "answer": answer})

    def memories(self) -> list:
        return []

    def weights(self, encoded, ids):  # (batch, positions, emb), (batch, positions) -> (batch, positions, 1)
        scores = self.head["scores"](2 * encoded)  # a token's vector has a spread of about a half
        return scores.masked_fill((ids == PAD)[..., None], -torch.inf).softmax(1)

    def forward(self, ids):
        ids = ids.as_subclass(torch.Tensor)
        encoded = self.encoder(ids).float()
        weighed = 8 * (self.weights(encoded, ids) * encoded).sum(1)  # as the mean is scaled
        return self.head["answer"](torch.cat([pool(encoded, ids), weighed, self.composition(ids)], 1))


# ---------------------------------------------------------------- linear models


def placed_features(reads) -> sparse.csr_array:
    """Words of 2 to 4 bases at their places and near them: the features of `nets.placed`."""
    tokenizer = KmerTokenizer(1, 1)
    placed = default_placed(tokenizer.alphabet, len(reads[0]))
    words = PlacedWords(tokenizer, placed, 2)
    with torch.inference_mode():
        batches = phase_batches(Spans.from_sequences(list(reads)), tokenizer)
        found = sparse.vstack([one_hot(words.rows(ids), len(words.table)) for ids in batches], format="csr")
    return (found @ spread(placed, tokenizer.alphabet)).tocsr()


def linear_models(reads) -> dict:
    """The baselines beside every table of targets but the nearest neighbours, and placed words."""
    found = default_baselines(reads, stranded=True)
    found.pop("nearest neighbours", None)
    return found | {"placed words": LinearBaseline(placed_features, (1e5, 3e4, 1e4, 3e3, 1e3, 3e2))}


def part_of(table: pd.DataFrame, split: str) -> Part:
    """Sequences and targets of a part."""
    rows = table[table["split"] == split]
    return Part(codes(rows), rows[TARGETS].to_numpy())


def fitted(model, table: pd.DataFrame):
    """A linear model fitted to the training part, its penalty chosen on the validation part."""
    return model.fit(part_of(table, "train"), part_of(table, "valid"), KINDS)


# ---------------------------------------------------------------- several models in one


def scores(answers: list) -> np.ndarray:
    """What is weighed: the log2 activity and the log-odds of being active of each model, (n, 2 * models)."""
    odds = [logit(np.clip(each[:, 1], 1e-4, 1 - 1e-4)) for each in answers]
    return np.stack([*(each[:, 0] for each in answers), *odds], 1)


def weighed(part: pd.DataFrame, answers: list, asked: list) -> np.ndarray:
    """Answers of several models in one: a ridge and a logistic regression on their scores, fitted to a part."""
    X, X_asked = scores(answers), scores(asked)
    value = make_pipeline(StandardScaler(), Ridge(alpha=100)).fit(X, part["activity"])
    label = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(X, part["active"])
    return np.stack([value.predict(X_asked), label.predict_proba(X_asked)[:, 1]], 1)


def weighed_apart(part: pd.DataFrame, answers: list, folds: int = 5) -> np.ndarray:
    """The same for the part itself, each fold of its groups by weights from the others."""
    found = np.empty((len(part), 2))
    for known, rows in GroupKFold(folds).split(part, groups=part["group"]):
        found[rows] = weighed(part.iloc[known], [each[known] for each in answers], [each[rows] for each in answers])
    return found
