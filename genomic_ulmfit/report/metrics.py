from fastai.learner import Metric
from sklearn import metrics as sk
import math
import numpy as np
import pandas as pd
import torch



def _check(y, probs) -> tuple[np.ndarray, np.ndarray]:
    "Labels (n,) and probabilities (n, classes) as arrays; raises `ValueError` where they don't fit."
    y, probs = np.asarray(y), np.asarray(probs, np.float64)
    if probs.ndim != 2 or y.shape != (len(probs),): raise ValueError(f"labels of shape {y.shape} and probabilities of shape {probs.shape} don't fit: give (n,) and (n, classes)")
    if not len(y): raise ValueError("there is nothing to judge: no labels")
    if y.dtype.kind not in "iub": raise ValueError(f"labels must be class numbers, not {y.dtype}")
    if not np.isfinite(probs).all(): raise ValueError("the probabilities hold NaN or infinity")
    if probs.min() < -1e-6 or probs.max() > 1 + 1e-6: raise ValueError(f"probabilities must be 0 to 1, found {probs.min():g} to {probs.max():g}: are they logits?")
    if y.min() < 0 or y.max() >= probs.shape[1]: raise ValueError(f"labels must be 0 to {probs.shape[1] - 1}, found {y.min()} to {y.max()}")
    return y, probs


def classification_metrics(
    y,  # true class numbers, (n,)
    probs,  # class probabilities, (n, classes)
    classes: list[str],  # names of the classes
) -> dict:  # ready for JSON
    """Accuracy, macro precision, recall and F1, Matthews correlation (Gorodkin 2004), calibration error, and figures per class.

    The correlation is 0 where only one class occurs. Raises `ValueError` where labels, probabilities and names don't fit.
    """
    y, probs = _check(y, probs)
    if len(classes) != probs.shape[1]: raise ValueError(f"{len(classes)} class names for {probs.shape[1]} columns of probabilities")
    predicted, present = probs.argmax(1), np.unique(y)
    seen = np.unique(np.concatenate([y, predicted]))
    p, r, f, n = sk.precision_recall_fscore_support(y, predicted, labels=seen, zero_division=0)
    true = np.isin(seen, present)
    negatives = sk.multilabel_confusion_matrix(y, predicted, labels=seen)[:, 0]  # true negatives, false positives
    specificity = np.divide(negatives[:, 0], negatives.sum(1), out=np.ones(len(seen)), where=negatives.sum(1) > 0)
    return {
        "n": len(y), "accuracy": float(sk.accuracy_score(y, predicted)), "macro_precision": float(p[true].mean()), "macro_recall": float(r[true].mean()),
        "macro_f1": float(f[true].mean()), "mcc": float(sk.matthews_corrcoef(y, predicted)) if len(seen) > 1 else 0.0, "ece": expected_calibration_error(y, probs),
        "per_class": {classes[c]: {"n": int(n[i]), "precision": float(p[i]), "recall": float(r[i]), "f1": float(f[i]), "specificity": float(specificity[i])} for i, c in enumerate(seen)},
    }


def reliability(
    y,  # true class numbers, (n,)
    probs,  # class probabilities, (n, classes)
    n_bins: int = 10,  # bins of equal width
) -> pd.DataFrame:  # a row per bin: low, high, confidence, accuracy, n
    "Confidence and accuracy of the top label in bins of confidence."
    y, probs = _check(y, probs)
    confidence, right = probs.max(1), probs.argmax(1) == y
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.clip(np.digitize(confidence, edges[1:-1], right=True), 0, n_bins - 1)
    n, sums = np.bincount(bins, minlength=n_bins), [np.bincount(bins, w, n_bins) for w in (confidence, right)]
    mean = lambda s: np.divide(s, n, out=np.full(n_bins, np.nan), where=n > 0)
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "confidence": mean(sums[0]), "accuracy": mean(sums[1]), "n": n})


def expected_calibration_error(y, probs, n_bins: int = 10) -> float:
    "Expected calibration error of the top label."
    t = reliability(y, probs, n_bins)
    t = t[t["n"] > 0]
    return float((t["n"] * (t["confidence"] - t["accuracy"]).abs()).sum() / t["n"].sum())


def paired_difference(
    y,  # true class numbers, (n,)
    probs,  # class probabilities of one method, (n, classes)
    other,  # of another method, on the same reads
) -> dict:  # `accuracy`: how much better the first is; `standard_error` of that
    "Difference of two accuracies on the same reads, with its standard error from the paired reads."
    (y, probs), (_, other) = _check(y, probs), _check(y, other)
    better = (probs.argmax(1) == y).astype(float) - (other.argmax(1) == y)
    return {"accuracy": float(better.mean()), "standard_error": float(better.std() / math.sqrt(len(y)))}


def binary_metrics(
    y,  # truth, (n,): 1 positive, 0 negative
    p,  # probability of the positive class, (n,)
    threshold: float = 0.5,  # called positive from here
) -> dict:  # ready for JSON; ROC-AUC and average precision are None where only one class occurs
    "Accuracy, precision, recall, F1, specificity, MCC, ROC-AUC, average precision, calibration error and the counts."
    y, probs = _check(y, np.stack([1 - np.asarray(p, float), np.asarray(p, float)], 1))
    if probs.shape[1] != 2 or not np.isin(y, (0, 1)).all(): raise ValueError("labels must be 0 or 1")
    p = probs[:, 1]
    called, both = (p >= threshold).astype(int), len(np.unique(y)) == 2
    mcc = float(sk.matthews_corrcoef(y, called)) if len(np.union1d(y, called)) == 2 else 0.0
    tn, fp, fn, tp = (int(v) for v in sk.confusion_matrix(y, called, labels=[0, 1]).ravel())
    precision, recall, f1, _ = sk.precision_recall_fscore_support(y, called, average="binary", zero_division=0)
    return {
        "n": len(y), "accuracy": float(sk.accuracy_score(y, called)), "precision": float(precision), "recall": float(recall), "f1": float(f1),
        "specificity": tn / (tn + fp) if tn + fp else None, "mcc": mcc,
        "roc_auc": float(sk.roc_auc_score(y, p)) if both else None, "average_precision": float(sk.average_precision_score(y, p)) if both else None,
        "ece": expected_calibration_error(y, probs), "tn": tn, "fp": fp, "fn": fn, "tp": tp,
    }


def bits_per_base(
    nats: float,  # cross-entropy, summed over tokens
    n_tokens: int,  # tokens
    stride: int,  # new bases that a token adds
) -> float:
    "Bits per base from a sum of cross-entropies."
    return nats / n_tokens / math.log(2) / stride


class BitsPerBase(Metric):
    "Bits per base of a language model as a fastai metric: `pred` logits (rows, positions, vocabulary), or a tuple that starts with them; `y` ids, -100 without loss."

    def __init__(self, stride: int): self.stride = stride
    def reset(self): self.nats, self.n = 0.0, 0

    def accumulate(self, learn):
        pred = learn.pred[0] if isinstance(learn.pred, tuple) else learn.pred
        logits, y = pred[:, 1:], learn.y[:, 1:]
        self.nats += torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), y.flatten(), reduction="sum", ignore_index=-100).double()
        self.n += (y != -100).sum()

    @property
    def value(self): return bits_per_base(float(self.nats), int(self.n), self.stride) if self.n else None

    @property
    def name(self): return "bits_per_base"
