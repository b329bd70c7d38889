from dataclasses import dataclass
from dataclasses import field
from scipy.optimize import minimize
from scipy.special import log_softmax
import numpy as np



@dataclass
class Evidence:
    "What the windows and words of some reads say."

    network: np.ndarray  # sums of log-probabilities over windows, (reads, classes)
    windows: np.ndarray  # their number, (reads,)
    words: np.ndarray  # words that stand in the genomes of each class, (reads, classes); zeros without a table
    looked_up: np.ndarray  # number of words, (reads,); zeros without a table
    kraken2: np.ndarray  # Kraken2's k-mers on the path to each class, (reads, classes); zeros without its output
    calls: list = field(default_factory=list)  # of each read a list with the most probable class of each window, for the read and its mate

    def take(self, rows: np.ndarray):
        "Some of the reads."
        return Evidence(self.network[rows], self.windows[rows], self.words[rows], self.looked_up[rows], self.kraken2[rows])

    @property
    def similarity(self) -> np.ndarray:
        "The share of a read's words that match, which mismatches lower: how similar the reads are to the genomes of each class, (reads, classes); zeros without words."
        return self.words / np.maximum(self.looked_up, 1)[:, None]

    def hide(self, classes: np.ndarray):
        "The evidence as if the classes marked in (reads, classes) had never been learned."
        network = np.where(classes, -np.inf, self.network)
        network = log_softmax(network / self.windows[:, None], 1) * self.windows[:, None]
        return Evidence(np.maximum(network, _NEVER), self.windows, np.where(classes, 0, self.words), self.looked_up, np.where(classes, 0, self.kraken2))


_START = {"temperature": 1.0, "dependence": 0.5, "words": 4.0, "kraken2": 1.0, "other_share": 0.8, "other": 0.0, "other_rate": 0.0, "none": -3.0, "none_rate": 0.0, "runners_up": 0.5}


_BOUNDS = {"temperature": (-3, 4), "dependence": (0, 1), "words": (0, 40), "kraken2": (0, 40), "other_share": (0, 1), "other": (-40, 40), "other_rate": (-10, 10), "none": (-40, 40), "none_rate": (-10, 10), "runners_up": (0, 1.5)}


_NEVER, _HIDDEN = -1e15, -1e6  # evidence of a hidden class; below this it is one, whatever it was divided by


@dataclass
class Calibration:
    "How evidence becomes probabilities."

    temperature: float = 1.0  # T
    dependence: float = 1.0  # a
    words: float = 0.0  # q
    kraken2: float = 0.0  # r
    other_share: float = 0.0  # alpha
    other: float = -60.0  # kappa; so low that no species is unknown, unless fitted
    other_rate: float = 0.0  # lambda
    none: float = -60.0  # u; so low that nothing is unknown, unless fitted
    none_rate: float = 0.0  # v
    runners_up: float = 0.0  # rho

    def log_probs(
        self,
        evidence: Evidence,
        genus: np.ndarray,  # the number of each class's genus, (classes,); -1 without one
    ) -> np.ndarray:  # (reads, classes + genera + 1): classes, another species of each genus, none of them
        "Calibrated log-probabilities."
        n, m = np.maximum(evidence.windows, 1)[:, None], np.log1p(evidence.looked_up)[:, None]
        z = evidence.network / (self.temperature * n**self.dependence) + self.words * np.log1p(evidence.words) + self.kraken2 * np.log1p(evidence.kraken2)
        of_genus = _sums(z, genus)
        other = self.other_share * of_genus + self.other + self.other_rate * m
        none = self.none + self.none_rate * m + self.runners_up * _runners_up(of_genus)
        return log_softmax(np.column_stack([z, other, none]), 1)

    @classmethod
    def fit(
        cls,
        evidence: Evidence,  # of reads of known classes
        y: np.ndarray,  # their class numbers
        genus: np.ndarray,  # the number of each class's genus; -1 without one
        learned: tuple | None = None,  # evidence and class numbers of reads to hide classes from, learned or not; the same reads unless given
        unknown: tuple[float, float] = (0.15, 0.15),  # shares of reads of unknown species and of unknown genera to expect
    ):
        "The calibration with the highest likelihood; without genera, nothing is unknown."
        kin, (known, of) = _kin(genus), learned or (evidence, y)
        related = kin[of].sum(1) > 1
        lost, strange = known.take(related).hide(np.eye(len(genus), dtype=bool)[of[related]]), known.hide(kin[of])
        targets = y, len(genus) + genus[of[related]], np.full(len(of), -1)
        weights = (1 - sum(unknown), *unknown) if genus.max() >= 0 else (1, 0, 0)
        parts = [(w, e, t) for w, e, t in zip(weights, (evidence, lost, strange), targets) if w and len(t)]
        names = [k for k in _START if _matters(k, evidence, len(parts) > 1, genus.max() > 1)]

        def made(at): return cls(**{k: float(np.exp(v)) if "temperature" in k else float(v) for k, v in zip(names, at)})
        start = np.array([np.log(_START[k]) if "temperature" in k else _START[k] for k in names])

        def loss(at):  # a weak pull to the start keeps the numbers finite where the reads are told apart without fail
            return 1e-4 * ((at - start) ** 2).sum() - sum(w * made(at).log_probs(e, genus)[np.arange(len(t)), t].mean() for w, e, t in parts)

        return made(minimize(loss, start, bounds=[_BOUNDS[k] for k in names], method="L-BFGS-B").x)


def _sums(z: np.ndarray, genus: np.ndarray) -> np.ndarray:
    "Log of the sum of exp(z) over the classes of each genus, (reads, genera)."
    genera = np.arange(genus.max() + 1)
    if len(genera) == 0: return np.empty((len(z), 0))
    top = np.stack([z[:, genus == g].max(1) for g in genera], 1)
    return top + np.log(np.exp(z[:, genus >= 0] - top[:, genus[genus >= 0]]) @ (genus[genus >= 0][:, None] == genera))


def _runners_up(of_genus: np.ndarray, n: int = 5) -> np.ndarray:
    "Mean of the n genera after the best one, of those that aren't hidden, (reads, 1); 0 where there is none."
    after = -np.sort(-of_genus, 1)[:, 1 : n + 1]
    there = after > _HIDDEN
    return np.where(there, after, 0).sum(1, keepdims=True) / np.maximum(there.sum(1, keepdims=True), 1)


def _kin(genus: np.ndarray) -> np.ndarray:
    "Which classes are of one genus, (classes, classes); those without a genus only with themselves."
    return (genus[:, None] == genus) & (genus >= 0) | np.eye(len(genus), dtype=bool)


def _matters(name: str, evidence: Evidence, unknown: bool, several: bool) -> bool:
    "Whether a number of the calibration can be found out from this evidence."
    if name == "dependence": return evidence.windows.max() > 1
    if name in ("words", "kraken2"): return getattr(evidence, name).any()
    if name == "runners_up": return several  # more than two genera: one is hidden, one the best
    return (unknown or not name.startswith(("other", "none"))) and (evidence.looked_up.any() or not name.endswith("_rate"))
