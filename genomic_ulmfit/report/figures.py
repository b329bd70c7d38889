from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix
import numpy as np
import pandas as pd



INK, ACCENT, MUTED = "#1f2937", "#2563eb", "#9ca3af"


def _axes(width: float, height: float):
    fig = Figure(figsize=(width, height))
    ax = fig.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    return fig, ax


def plot_scores(
    scores: dict[str, float],  # method -> accuracy, 0 to 1
    highlight: str,  # the method to set off
) -> Figure:
    "Horizontal bars of accuracy, best on top."
    names = sorted(scores, key=scores.get)
    fig, ax = _axes(6.5, 0.38 * len(names) + 0.6)
    bars = ax.barh(names, [scores[n] for n in names], color=[ACCENT if n == highlight else MUTED for n in names])
    ax.bar_label(bars, fmt="%.3f", padding=4)
    ax.set(xlim=(0, 1.08), xlabel="accuracy")
    return fig


def plot_curves(
    curves: dict[str, pd.DataFrame],  # title -> columns `tokens` (millions), `train` and `valid`
    ylabel: str,
) -> Figure:
    "Loss while training, a panel per stage."
    fig = Figure(figsize=(3.4 * len(curves), 2.7))
    for ax, (title, c) in zip(np.atleast_1d(fig.subplots(1, len(curves))), curves.items()):
        ax.plot(c["tokens"], c["train"], color=MUTED, label="train, running mean")
        v = c.dropna(subset="valid")
        ax.plot(v["tokens"], v["valid"], "o-", color=ACCENT, label="held-out blocks")
        ax.spines[["top", "right"]].set_visible(False)
        ax.set(title=title, xlabel="million tokens", ylabel=ylabel if ax.get_subplotspec().is_first_col() else "")
        ax.set_ylim(*_focus(c["train"], v["valid"]))
    ax.legend(frameon=False, fontsize=8)
    fig.tight_layout()
    return fig


def _focus(train: pd.Series, valid: pd.Series) -> tuple[float, float]:
    "A range of y that leaves out the first plunge."
    both = np.concatenate([train.to_numpy()[len(train) // 10 :], valid])
    pad = 0.05 * (both.max() - both.min() or 1)
    return both.min() - pad, both.max() + pad


def plot_confusion(
    y: np.ndarray,  # true class numbers
    predicted: np.ndarray,  # predicted class numbers
    classes: list[str],
) -> Figure:
    "Share of the reads of each true class (rows) given to each class; only classes that occur."
    present = np.unique(np.concatenate([y, predicted]))
    share = confusion_matrix(y, predicted, labels=present, normalize="true")
    rows = np.isin(present, y)
    n = len(present)
    fig = Figure(figsize=(min(1.2 + 0.55 * n, 14), min(1.2 + 0.45 * rows.sum(), 12)))
    ax = fig.subplots()
    image = ax.imshow(share[rows], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    names = [classes[i] for i in present]
    ax.set_xticks(range(n), names, rotation=60, ha="right", style="italic")
    ax.set_yticks(range(rows.sum()), [c for c, r in zip(names, rows) if r], style="italic")
    ax.set(xlabel="predicted", ylabel="true")
    if n <= 20:
        for (i, j), v in np.ndenumerate(share[rows]):
            if v >= 0.005: ax.text(j, i, f"{v:.2f}", ha="center", va="center", fontsize=8, color="white" if v > 0.5 else INK)
    fig.colorbar(image, ax=ax, label="share of true class")
    return fig


def plot_reliability(
    table: pd.DataFrame,  # from `metrics.reliability`: confidence, accuracy, n per bin
) -> Figure:
    "Accuracy against confidence; on the diagonal a confidence means what it says."
    fig, ax = _axes(3.6, 3.4)
    t = table[table["n"] > 0]
    ax.plot([0, 1], [0, 1], "--", color=MUTED, label="calibrated")
    ax.plot(t["confidence"], t["accuracy"], color=ACCENT)
    ax.scatter(t["confidence"], t["accuracy"], s=200 * t["n"] / t["n"].max() + 5, color=ACCENT, label="reads (area: number)")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    ax.legend(frameon=False, fontsize=8)
    return fig
