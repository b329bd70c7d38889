import numpy as np
import pandas as pd

from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.taxa.calibrate import drawn_reads
from genomic_ulmfit.taxa.kraken2 import run_kraken2
from genomic_ulmfit.taxa.model import TaxonModel, assign
from genomic_ulmfit.taxa.sample import Sample
from genomic_ulmfit.taxa.words import sketch
from genomic_ulmfit.text.corpus import GenomeCorpus


RELATIVE, CLOSE, _ENOUGH, _GENOME = 0.03, 0.5, 10, 1_000_000  # substitutions per base between an agent and a relative; share of the agent's own reads that are close to it; of fewer reads a share says nothing; bases of a small genome


def _share(similarity: np.ndarray, limit: float) -> float:
    "Share of reads that are close, never quite 0 or 1."
    return ((similarity >= limit).sum() + 0.5) / (len(similarity) + 1)


def _limit(own: np.ndarray, relatives: list[np.ndarray]) -> tuple[float, float, float]:
    "The similarity that half of a class's own reads reach, and the shares of close reads of its own and of any relative."
    if not len(own): return np.inf, 0.5, 0.5
    limit = float(np.quantile(own, 1 - CLOSE))
    return limit, _share(own, limit), max(_share(r, limit) for r in relatives)


def fit_confusion(
    model: TaxonModel,  # calibrated; the table goes into its `about`
    corpus: GenomeCorpus,  # that it was trained on
    label: str,  # label column that holds its classes
    reads: int = 600,  # of each class, on average
    length: int = 150,
    errors: float = 0.01,  # substitutions per base
    seed: int = 0,
    kraken2=None,  # folder of the database that the model was calibrated with
    **kwargs,  # of `TaxonModel.evidence`
) -> pd.DataFrame:  # a row per class: class, limit, own, near, sensitivity, genus_sensitivity, false, false_genus, spread
    "Measure what a model gives to its classes: their own reads, those of relatives, those of anything else."
    tree, classes, genus = model.tree, model.tree.classes, model.tree.at("genus")
    def seen(errors):
        x, y = drawn_reads(corpus, label, model.model, "train", {length: reads * len(classes)}, seed, errors)
        if missing := sorted(set(range(len(classes))) - set(y)): raise InputError(corpus.path, f"gave no read of {classes[missing[0]]!r} in the split 'train'", "Every class needs a genome there; or draw more reads")
        return x, model.evidence(x, run_kraken2(kraken2, x, tree) if kraken2 else None, **kwargs), y

    (x, evidence, y), (_, distant, of) = seen(errors), seen(errors + RELATIVE)
    one, n = np.eye(len(classes), dtype=bool), np.bincount(y)
    def given(evidence):  # genus, best class, similarity to it
        probs = model.node_probs(evidence)
        row = assign(tree, probs, model.threshold)
        best, _ = model.closest(evidence, probs, row)
        return tree.at("genus", row), best, evidence.similarity[np.arange(len(best)), best]

    (at, best, like), (_, far, far_like) = given(evidence), given(distant)
    (_, near, near_like), (strange, wrong, wrong_like) = given(evidence.hide(one[y])), given(evidence.hide(model.kin[y]))
    rows, sent, kept = [], [], Sample(tree)
    kept.keep(np.where(best == y, best, -1), np.zeros(len(y), bool), *sketch([r for r, in x]))
    for c, name in enumerate(classes):
        relatives = [near_like[m] for r in np.flatnonzero(model.kin[c] & ~one[c]) if (m := (near == c) & (y == r)).sum() >= _ENOUGH]
        limit, own, share = _limit(like[(best == c) & (y == c)], [far_like[(far == c) & (of == c)], *relatives])
        close, others = (best == c) & (like >= limit), ~model.kin[c, y]
        false = (((wrong == c) & (wrong_like >= limit) & others).sum() + 1) / others.sum()
        false_genus = (((strange == genus[c]) & others).sum() + 1) / others.sum() if genus[c] >= 0 else false
        pairs, at_once, _ = kept.overlaps([c])
        rows.append((name, limit, own, share, (close & (y == c)).sum() / n[c], ((best >= 0) & (at == genus[c]) & (y == c)).sum() / n[c], false, false_genus, min(at_once / pairs, _GENOME) if pairs else _GENOME))
        sent += [[int(r), c, round(float(k), 5)] for r in np.flatnonzero(model.kin[c] & ~one[c]) if (k := (close & (y == r)).sum() / n[r])]  # from, to, share
    table = pd.DataFrame(rows, columns=["class", "limit", "own", "near", "sensitivity", "genus_sensitivity", "false", "false_genus", "spread"])
    model.model.about["confusion"] = {"reads": reads, "length": length, "errors": errors, "threshold": model.threshold, "table": table.round(6).to_dict("list"), "kin": sent}
    return table
