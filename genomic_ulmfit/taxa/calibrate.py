import numpy as np
import pandas as pd

from genomic_ulmfit.model.model import GenomeModel
from genomic_ulmfit.report.metrics import expected_calibration_error
from genomic_ulmfit.taxa.calibration import Calibration
from genomic_ulmfit.taxa.kraken2 import run_kraken2
from genomic_ulmfit.taxa.model import TaxonModel, assign
from genomic_ulmfit.taxa.taxonomy import Taxonomy
from genomic_ulmfit.text.corpus import GenomeCorpus
from genomic_ulmfit.text.reads import CorpusReads


CALIBRATION_READS = {75: 500, 150: 900, 300: 300, 1000: 300, 3000: 100, 10_000: 60}  # length: number


WRONG, FALSE_GENERA = 0.02, 0.05


def drawn_reads(
    corpus: GenomeCorpus,
    label: str,
    model: GenomeModel,  # its classes
    split: str,
    reads: dict,  # {length: number}
    seed: int,
    errors: float = 0.0,  # substitutions per base
) -> tuple[list, np.ndarray]:
    "Reads of several lengths, each class equally often, as (read,), and their class numbers."
    parts = [CorpusReads(corpus, split, label, model.classes, model.tokenizer, length, errors, reads=n, bs=n, augment=False, seed=seed + length)[0] for length, n in reads.items()]
    return [(row.numpy(),) for codes, _ in parts for row in codes], np.concatenate([y.numpy() for _, y in parts])


def choose_threshold(tree: Taxonomy, probs: np.ndarray, y: np.ndarray, hidden: np.ndarray) -> pd.DataFrame:
    "For thresholds from low to high, shares of reads that are given a right and a wrong lowest taxon, and of hidden reads that are given a genus; `chosen` marks the default."
    rows = []
    for threshold in np.round(np.arange(0.5, 0.999, 0.02), 2):
        at, strange = assign(tree, probs, threshold), assign(tree, hidden, threshold)
        called = at >= 0
        right = called & (tree.below[np.maximum(at, 0), y] > 0)
        rows.append((threshold, (right & (at > 0)).mean(), (called & ~right).mean(), (tree.at("genus", strange) >= 0).mean()))
    found = pd.DataFrame(rows, columns=["threshold", "right", "wrong", "hidden given a genus"])
    good = (found["wrong"] <= WRONG) & (found["hidden given a genus"] <= FALSE_GENERA)
    return found.assign(chosen=found.index == (good.idxmax() if good.any() else len(found) - 1))


def calibrate(
    model: TaxonModel,  # its calibration and threshold are replaced
    corpus: GenomeCorpus,
    label: str,  # label column that holds the model's classes
    split: str = "valid",  # genomes that nothing was trained on
    reads: dict | None = None,  # {length: number} to draw; `CALIBRATION_READS` unless given
    seed: int = 0,
    kraken2=None,  # folder of a database of Kraken2 with the taxids of the model; its matches are then needed to classify
    **kwargs,  # of `GenomeModel.window_log_probs`
) -> dict:  # calibration error before and after, and the table of thresholds, also kept in the model's `about`
    "Fit the calibration on held-out genomes and choose the threshold."
    def seen(split):
        sequences, y = drawn_reads(corpus, label, model.model, split, reads or CALIBRATION_READS, seed)
        return model.evidence(sequences, run_kraken2(kraken2, sequences, model.tree) if kraken2 else None, **kwargs), y

    (evidence, y), learned = seen(split), seen("train") if "train" in corpus.splits else None
    error = lambda c: expected_calibration_error(y, _known(np.exp(c.log_probs(evidence, model.genus)), len(model.genus)))
    before, model.calibration = error(Calibration()), Calibration.fit(evidence, y, model.genus, learned)
    known, of = learned or (evidence, y)
    table = choose_threshold(model.tree, model.node_probs(evidence), y, model.node_probs(known.hide(model.kin[of])))
    model.threshold = float(table["threshold"][table["chosen"]].iloc[0])
    figures = {"reads": len(y), "classes": len(np.unique(y)), "ece_before": before, "ece": error(model.calibration), "thresholds": table.round(4).to_dict("records")}
    model.model.about["calibrated"] = {**figures, "split": split, "corpus_sha256": corpus.info["files"]["bases.bin"]["sha256"]}
    return figures


def _known(probs: np.ndarray, n: int) -> np.ndarray:
    "Probabilities among the first n columns, the known classes."
    return probs[:, :n] / np.maximum(probs[:, :n].sum(1, keepdims=True), 1e-12)
