"""Measured phenotypes of sequences: a function a data set, a row a sequence.

Each returns a table with the columns `sequence`, its targets (NaN where nothing was measured), `split` (train, valid,
test) and `group`. Rows of a group overlap, are copies, or are of one gene or family: they stand on one side of every
split, and so does every sequence. `table.attrs` holds the names of the `targets`, their `kinds`, and how many rows were
`dropped` and why.
"""

import re

import numpy as np
import pandas as pd
from harness import overlap_groups, shared_data
from scipy import sparse

from genomic_ulmfit.seq.alphabet import DNA, decode_bases
from genomic_ulmfit.seq.records import read_sequences

# ---------------------------------------------------------------- groups and splits


def joined(*keys) -> np.ndarray:
    """Group numbers of rows that have one of the keys in common, directly or through others; NaN joins nothing."""
    codes = [pd.factorize(np.asarray(key, object))[0] for key in keys]
    pairs = []
    for code in codes:
        rows = pd.Series(np.arange(len(code)))[code >= 0]
        pairs.append(np.stack([rows, rows.groupby(code[code >= 0]).transform("first")]))
    pairs = np.concatenate(pairs, 1)
    graph = sparse.coo_matrix((np.ones(pairs.shape[1]), pairs), shape=(len(codes[0]),) * 2)
    return sparse.csgraph.connected_components(graph, directed=False)[1]


def overlapping(chromosome, start, end) -> np.ndarray:
    """Numbers of the stretches that intervals cover together: those that share a place, or a chain of them, are one."""
    table = pd.DataFrame({"chromosome": pd.factorize(np.asarray(chromosome))[0], "start": start, "end": end})
    table = table.sort_values(["chromosome", "start"])
    reached = table.groupby("chromosome")["end"].cummax().shift()
    new = (table["chromosome"] != table["chromosome"].shift()) | (table["start"] >= reached)
    return new.cumsum().sort_index().to_numpy()


def fingerprints(sequences, alphabet=DNA) -> list[str]:
    """The same text for a sequence and its other strand, where there is one."""
    return [alphabet.fingerprint(alphabet.encode(sequence)) for sequence in sequences]


def held_out(groups, share: float, seed: int, number: int = 0) -> np.ndarray:
    """Whether rows are of the groups, in random order, that begin within the first such share of rows, or a later."""
    codes, names = pd.factorize(np.asarray(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    size = np.bincount(codes)[order]
    begin = (size.cumsum() - size) / len(codes)
    return np.isin(codes, order[np.floor(begin / share) == number])


def with_valid(table: pd.DataFrame, share: float = 0.1, seed: int = 0) -> pd.DataFrame:
    """The table with a share of its training rows, whole groups, as the validation part."""
    train = table.index[table["split"] == "train"]
    chosen = train[held_out(table["group"][train], share, seed)]
    return table.assign(split=table["split"].mask(table.index.isin(chosen), "valid"))


def without_tested(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The table without the training rows of a group that has a test row, and how many those were."""
    tested = set(table["group"][table["split"] == "test"])
    shared = (table["split"] != "test") & table["group"].isin(tested)
    return table[~shared].reset_index(drop=True), int(shared.sum())


def described(table: pd.DataFrame, kinds: dict, alphabet=DNA, **dropped) -> pd.DataFrame:
    """The table with what a study has to know of it; no group and no sequence is on two sides."""
    table = table.reset_index(drop=True)
    table.attrs = {"targets": list(kinds), "kinds": kinds, "dropped": dropped}
    for sides in (table.groupby("group")["split"], table.groupby(fingerprints(table["sequence"], alphabet))["split"]):
        assert (sides.nunique() == 1).all(), "a group or a sequence is on two sides"
    return table


# ---------------------------------------------------------------- data sets

ACTIVE = 0.2457  # activity from which the authors call a fragment active


def log_activity(activity):
    """Promoter activity, heavy-tailed and often below 0, on a scale that a regression can take."""
    return np.log2(np.maximum(activity, 0) + 0.05)


def ecoli_tss() -> pd.DataFrame:
    """150 nt around E. coli transcription start sites: `activity` (log2) and `active`; split by genome position.

    Urtecho et al. 2020. The authors' split; training fragments of a group with a test fragment (repeats such as IS
    elements) are dropped. A group is a stretch of the genome, or stretches that share a fragment. `measured` is the
    activity as they give it, below 0 too: published rank correlations are with that.
    """
    folder = shared_data("expression/ecoli_tss")
    read = lambda name, columns: pd.read_csv(folder / name, sep="\t", names=columns)  # the files have no header
    columns = ["sequence", "measured"]
    parts = [read(f"{split}.tsv.gz", columns).assign(split=split) for split in ("train", "test")]
    table = pd.concat(parts, ignore_index=True)
    placed = read("all_with_coordinates.tsv.gz", [*columns, "start", "end", "name", "state"]).dropna(subset="start")
    stretch = overlapping(np.zeros(len(placed)), placed["start"], placed["end"])
    groups = pd.Series(joined(fingerprints(placed["sequence"]), stretch), placed["sequence"])
    table["group"] = table["sequence"].map(groups[~groups.index.duplicated()])
    table = table.assign(activity=log_activity(table["measured"]), active=(table["measured"] >= ACTIVE) * 1.0)
    table, repeated = without_tested(table)
    return described(with_valid(table), {"activity": "real", "active": "binary"}, repeats_of_test=repeated)


def lac_promoter() -> pd.DataFrame:
    """75 nt of the mutated lac promoter: `bin`, the mean of the fluorescence bins a variant was seen in.

    Kinney et al. 2010, as prepared for MAVE-NN; its random split, so that a test interpolates around one wild type.
    """
    table = pd.read_csv(shared_data("expression/lac_sortseq/sortseq_data.csv.gz"))
    seen = table.filter(like="ct_").to_numpy()
    table["bin"] = seen @ np.arange(seen.shape[1]) / seen.sum(1)
    table["split"] = table["set"].replace({"training": "train", "validation": "valid"})
    table["group"] = np.arange(len(table))
    return described(table.rename(columns={"x": "sequence"})[["sequence", "bin", "split", "group"]], {"bin": "real"})


def yeast(media: bool = False) -> pd.DataFrame:
    """110-nt yeast promoters (N before the shorter ones): expression in `complex` and `defined` medium.

    Vaishnav et al. 2022. Trained on random and drifted sequences, tested on native ones; the defined medium was
    measured of native sequences only, so that it has no training part. With `media` the native ones alone are split at
    random, and both media have all parts. Sequences that share 20 bases between the constant ends are a group.
    """
    read = lambda name: pd.read_csv(shared_data("expression/yeast") / f"{name}.csv.gz")[["sequence", MEASURED]]
    native = read("Native_complex").merge(read("Native_defined"), "outer", "sequence", suffixes=("_c", "_d"))
    native = native.set_axis(["sequence", "complex", "defined"], axis=1)
    inside = native["sequence"].str[17:-13]
    native["group"] = overlap_groups(inside)
    if media:
        native["split"] = np.where(held_out(native["group"], 0.2, 0), "test", "train")
        return described(with_valid(native), {"complex": "real", "defined": "real"})
    made = pd.concat([read("Random_complex"), read("Drift_complex")]).rename(columns={MEASURED: "complex"})
    table = pd.concat([made.assign(split="train"), native.assign(split="test")], ignore_index=True)
    table["group"] = overlap_groups(table["sequence"].str[17:-13])
    table, shared = without_tested(table)
    return described(with_valid(table), {"complex": "real", "defined": "real"}, shared_with_test=shared)


MEASURED = "Measured Expression"


def resfinder(split: str = "families", fold: int = 0, seed: int = 0) -> pd.DataFrame:
    """Acquired resistance genes and the drugs that they act against, a column of 0 and 1 a drug.

    ResFinder of April 2025. One of five folds is the test part: of genes at `random` (copies together), or of whole
    `families`, the name before the first `-`, `_` or `(`. Families differ so much that all five have to be judged.
    Genes without a drug are not annotated, and are dropped.
    """
    rows = [(*r.id.split("~~~"), decode_bases(r.codes)) for r in read_sequences(shared_data(RESFINDER))]
    table = pd.DataFrame(rows, columns=["source", "gene", "accession", "drugs", "sequence"])
    known = table["drugs"] != ""
    table = table[known].reset_index(drop=True)
    drugs = table["drugs"].str.get_dummies(";").astype(float)
    table = pd.concat([table[["sequence", "gene"]], drugs], axis=1)
    family = table["gene"].map(lambda gene: re.split(r"[-_(]", gene)[0])
    copies = fingerprints(table["sequence"])
    table["group"] = joined(copies, family) if split == "families" else joined(copies)
    table["split"] = np.where(held_out(table["group"], 0.2, seed, fold), "test", "train")
    table = with_valid(table, seed=seed)
    return described(table, dict.fromkeys(drugs.columns, "binary"), not_annotated=int((~known).sum()))


RESFINDER = "amr/resfinder/resfinder.fna.gz"
PROTEINS = {"IGF2BP123": "15_PARCLIP", "PUM2": "23_PARCLIP", "QKI": "24_PARCLIP", "TDP43": "27_ICLIP"}


WINDOW = re.compile(r"(chr\w+),([+-]),(\d+),(\d+);")  # its place in the human genome hg19


def rna_windows(protein: str) -> pd.DataFrame:
    """Windows of one experiment: sequence, place, `bound` or not, and the published split."""
    rows = []
    for part, split in (("training", "train"), ("test", "test")):
        file = shared_data("rna_binding") / f"{PROTEINS[protein]}_{protein}_hg19.{part}.fa.gz"
        for record in read_sequences(file):
            chromosome, strand, start, end = WINDOW.match(record.id).groups()
            bound = float(record.description.split(":")[1])
            rows.append((decode_bases(record.codes), chromosome + strand, int(start), int(end), bound, split))
    return pd.DataFrame(rows, columns=["sequence", "chromosome", "start", "end", "bound", "split"])


def rna_binding(proteins=tuple(PROTEINS)) -> pd.DataFrame:
    """Windows of 101 nt, bound by a protein or not, a column a protein; NaN in the experiments a window is not of.

    Stražar et al. 2016. The published split. Windows that overlap, of whatever experiment, are a group, and training
    windows of a group with a test window are dropped. A window of several experiments is one row.
    """
    table = pd.concat([rna_windows(protein).assign(protein=protein) for protein in proteins], ignore_index=True)
    stretch = overlapping(table["chromosome"], table["start"], table["end"])
    table["group"] = joined(fingerprints(table["sequence"]), stretch)
    table, shared = without_tested(table)
    place = ["sequence", "chromosome", "start", "end", "split", "group"]
    bound = table.pivot_table("bound", place, "protein", "max").reset_index().rename_axis(columns=None)
    return described(with_valid(bound), dict.fromkeys(proteins, "binary"), shared_with_test=shared)


def cas9(gene: str, seed: int = 0) -> pd.DataFrame:
    """30 nt around Cas9 cuts: `activity`, the rank of a guide within its gene and drug, 0 to 1; one gene is the test.

    Doench et al. 2016. A row a measurement, a group a gene; two other genes, drawn, are the validation part.
    """
    table = pd.read_csv(shared_data("crispr/FC_plus_RES_withPredictions.csv.gz"))
    names = {"30mer": "sequence", "Target gene": "group", "score_drug_gene_rank": "activity"}
    table = table.rename(columns=names)[[*names.values(), "drug"]]
    others = sorted(set(table["group"]) - {gene})
    valid = np.random.default_rng(seed).choice(others, 2, replace=False)
    table["split"] = np.select([table["group"] == gene, table["group"].isin(valid)], ["test", "valid"], "train")
    return described(table, {"activity": "real"})


def cas9_genes() -> list[str]:
    """The genes that are left out one by one."""
    return sorted(pd.read_csv(shared_data("crispr/FC_plus_RES_withPredictions.csv.gz"))["Target gene"].unique())
