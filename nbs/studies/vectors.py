"""Vectors of 16S genes and of pieces of genomes, by the language model and by what it stands beside."""

import tempfile
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from harness import shared_data
from sklearn.model_selection import StratifiedKFold

from genomic_ulmfit.model import embedding
from genomic_ulmfit.model.model import load_model
from genomic_ulmfit.seq.alphabet import DNA
from genomic_ulmfit.seq.numbers import kmer_numbers
from genomic_ulmfit.seq.records import read_sequences
from genomic_ulmfit.tasks.embedding_map import gc_correlation, principal_components

CACHE = Path(tempfile.gettempdir()) / "genomic_ulmfit_study_embeddings"  # a stopped run goes on from it
PIECES = {1_000: (5, 12, 6), 3_000: (3, 6, 3)}  # letters: pieces of each genome in train, valid, test
SPLITS = ("train", "valid", "test")
SEEDS = (0, 1, 2)

# ---------------------------------------------------------------- sequences


@cache
def genes() -> pd.DataFrame:
    """The 16S genes: codes and genus."""
    names = pd.read_csv(shared_data("16s/taxonomy.txt"), sep=r"\s+", names=["id", "class", "order", "family", "genus"])
    genus = dict(zip(names["id"].str.lstrip(">"), names["genus"]))
    records = list(read_sequences(shared_data("16s/1000seq.fasta")))
    return pd.DataFrame({"codes": [r.codes for r in records], "genus": [genus[r.id] for r in records]})


@cache
def pieces(length: int, seed: int) -> pd.DataFrame:
    """Pieces of genomes at random places, without unknown letters: codes, genus and split (by genome)."""
    table = pd.read_csv(shared_data("genomes.tsv"), sep="\t")
    rng = np.random.default_rng([seed, length])
    rows = []
    for split, number in zip(SPLITS, PIECES[length]):
        for file, genus in table.loc[table["split"] == split, ["file", "genus"]].itertuples(index=False):
            contigs = [r.codes for r in read_sequences(shared_data(file)) if len(r.codes) >= length]
            weights = np.array([len(codes) - length + 1 for codes in contigs], float)
            found = 0
            while found < number:
                codes = contigs[rng.choice(len(contigs), p=weights / weights.sum())]
                first = rng.integers(len(codes) - length + 1)
                piece = codes[first : first + length]
                if piece.max() >= len(DNA):
                    continue
                rows.append((piece.copy(), genus, split))
                found += 1
    return pd.DataFrame(rows, columns=["codes", "genus", "split"])


def sequences(data: str, seed: int) -> pd.DataFrame:
    """Codes, genus and split; genes are split by gene, six of a genus to train and two each to valid and test."""
    if data != "16S genes":
        return pieces(int(data.split()[-2]), seed)
    table = genes()
    folds = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(table, table["genus"]))
    split = np.full(len(table), "train", dtype=object)
    split[folds[0][1]], split[folds[1][1]] = "valid", "test"
    return table.assign(split=split)


# ---------------------------------------------------------------- vectors

POOLS = ("last", "max", "mean")


def _all_layers(encoder, ids, _):
    """The outputs of all layers side by side, in the place of one layer's."""
    outputs = [encoder.embed(ids)]
    for rnn in encoder.rnns:
        outputs.append(rnn(outputs[-1]))
    return torch.cat(outputs, 2)


def _network(codes: list, phases: int) -> dict[str, np.ndarray]:
    """Vectors of all layers and poolings in one pass, by `layer pool`; each as `model.embed` makes it."""
    model = load_model("bacteria-small", "cpu")
    units = [rnn.module.hidden_size for rnn in model.model[0].rnns]
    ends = np.cumsum([model.preset.emb, *units])
    one_layer = embedding.layer_output
    embedding.layer_output = _all_layers
    try:
        parts = np.split(model.embed(codes, pool="ulmfit", phases=phases).vectors, len(POOLS), axis=1)
    finally:
        embedding.layer_output = one_layer
    layers = {pool: np.split(part, ends[:-1], axis=1) for pool, part in zip(POOLS, parts)}
    return {f"{layer} {pool}": layers[pool][layer] for layer, pool in product(range(len(ends)), POOLS)}


@cache
def network_vectors(data: str, seed: int, phases: int) -> dict[str, np.ndarray]:
    """Vectors by the language model, by `layer pool`; genes are the same in all splits."""
    file = CACHE / f"{data.replace(' ', '_')}_{0 if data == '16S genes' else seed}_{phases}.npz"
    if not file.exists():
        CACHE.mkdir(exist_ok=True)
        np.savez(file, **_network(list(sequences(data, seed)["codes"]), phases))
    with np.load(file) as held:
        return dict(held)


def profiles(codes: list, k: int, both_strands: bool) -> np.ndarray:
    """Frequencies of all k-mers in each sequence."""
    rows = []
    for one in codes:
        strands = (one, DNA.reverse_complement(one)) if both_strands else (one,)
        words = np.concatenate([kmer_numbers(strand, k) for strand in strands])
        rows.append(np.bincount(words[words >= 0], minlength=len(DNA) ** k))
    counts = np.array(rows, np.float32)
    return counts / counts.sum(1, keepdims=True)


def gc(codes: list) -> np.ndarray:
    """GC content, a vector of one number."""
    return np.array([[DNA.gc_content(one)] for one in codes], np.float32)


def standardised(vectors: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Each unit with mean 0 and deviation 1 in the training part, all units together with length about 1."""
    spread = vectors[train].std(0) + 1e-9
    return (vectors - vectors[train].mean(0)) / spread / vectors.shape[1] ** 0.5


# ---------------------------------------------------------------- nearest neighbours

CHANGES = ("as it is", "centred", "standardised", "whitened 32", "whitened 64")
METRICS = ("Euclidean", "cosine")


def _whitened(centred, train, n):
    """The first principal components of the training part, each with deviation 1."""
    _, s, axes = np.linalg.svd(centred[train], full_matrices=False)
    n = min(n, int((s > 1e-5 * s[0]).sum()))
    return centred @ (axes[:n].T / s[:n])


def changed(vectors, train, change) -> np.ndarray:
    """Vectors after a change that is learned from the training part."""
    centred = vectors - vectors[train].mean(0)
    if change == "as it is":
        return vectors
    if change == "centred":
        return centred
    if change == "standardised":
        return standardised(vectors, train)
    return _whitened(centred, train, int(change.split()[1]))


def neighbour_accuracy(vectors, table, part, metric) -> float:
    """Share of sequences of a part whose nearest training sequence has their genus."""
    if metric == "cosine":
        vectors = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12)
    train = (table["split"] == "train").to_numpy()
    asked = (table["split"] == part).to_numpy()
    reference = vectors[train]
    distances = (reference**2).sum(1)[None] - 2 * vectors[asked] @ reference.T  # squared, without the query's own part
    genus = table["genus"].to_numpy()
    return float((genus[train][distances.argmin(1)] == genus[asked]).mean())


def candidates(method: str, data: str, seed: int, phases: int) -> dict[str, np.ndarray]:
    """The vectors among which the validation part chooses: one, or one for each layer."""
    table = sequences(data, seed)
    codes = list(table["codes"])
    train = (table["split"] == "train").to_numpy()
    if method == "GC alone":
        return {"": gc(codes)}
    if method[0].isdigit():
        return {"": profiles(codes, int(method[0]), "both" in method)}
    found = network_vectors(data, seed, phases)
    of = lambda *names: np.hstack([standardised(found[name], train) for name in names])
    if method == "network, layers 1 to 3, mean":
        return {"": of("1 mean", "2 mean", "3 mean")}
    if method == "network + 4-mers, both strands":
        both = standardised(profiles(codes, 4, True), train)
        return {f"share {w}": np.hstack([w * of("1 mean", "2 mean", "3 mean"), both]) for w in (0.25, 0.5, 1)}
    pool = method.split()[-1]
    if pool == "ulmfit":
        return {f"layer {n}": np.hstack([found[f"{n} {part}"] for part in POOLS]) for n in range(4)}
    return {f"layer {n}": found[f"{n} {pool}"] for n in range(4)}


def choose_and_judge(method: str, data: str, phases: int) -> list[dict]:
    """Figures of each seed on test, with the choice that is best on valid, all seeds together; what was tried."""
    valid: dict[tuple, list[float]] = {}
    for seed, change in product(SEEDS, CHANGES):
        table = sequences(data, seed)
        train = (table["split"] == "train").to_numpy()
        for name, vectors in candidates(method, data, seed, phases).items():
            for metric in METRICS:
                figure = neighbour_accuracy(changed(vectors, train, change), table, "valid", metric)
                valid.setdefault((name, change, metric), []).append(figure)
    best = max(valid, key=lambda choice: np.mean(valid[choice]))
    name, change, metric = best
    figures = []
    for number, seed in enumerate(SEEDS):
        table = sequences(data, seed)
        train = (table["split"] == "train").to_numpy()
        plain = candidates(method, data, seed, phases)[name]
        first = principal_components(plain)[0][:, 0] if plain.shape[1] > 1 else plain[:, 0]  # whitened, all are alike
        vectors = changed(plain, train, change)
        figures.append({
            "accuracy": round(neighbour_accuracy(vectors, table, "test", metric), 4),
            "valid": round(valid[best][number], 4),
            "gc_r": round(gc_correlation(first, gc(list(table["codes"]))[:, 0]) or 0.0, 3),
            "chosen": ", ".join(filter(None, (name, change, metric))), "tried": len(valid),
        })
    return figures
