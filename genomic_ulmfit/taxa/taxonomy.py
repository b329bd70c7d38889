from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from taxonomy import Taxonomy as _Dump
from taxonomy import TaxonomyError
import numpy as np
import pandas as pd

from genomic_ulmfit.seq.errors import InputError, InputNotFoundError
from genomic_ulmfit.seq.tables import read_table


RANKS = ["domain", "kingdom", "phylum", "class", "order", "family", "genus", "species"]  # from the root down


_LETTERS = {r: r[0].upper() for r in RANKS} | {"superkingdom": "D"}  # NCBI's name of the domain until 2025


CUSTOM_TAXID = 2_000_000_000  # taxa without a number get numbers from here on, far above those of NCBI, within 32 bits


class Taxonomy:
    "A tree of taxa; the classes of a model are some of its nodes."

    def __init__(
        self,
        nodes: pd.DataFrame,  # columns taxid, parent (row number; of the root -1), rank, name; a parent before its children
        classes: Sequence[str],  # names of the classes
        rows: Sequence[int],  # the node of each class
    ):
        self.nodes, self.classes, self.rows = nodes, list(classes), np.asarray(rows, np.int64)

    def __len__(self): return len(self.nodes)

    def __repr__(self):
        counts = self.nodes["rank"].value_counts()
        return f"Taxonomy({len(self.classes)} classes; " + ", ".join(f"{counts[r]} × {r}" for r in RANKS if r in counts) + ")"

    @cached_property
    def below(self) -> np.ndarray:
        "Which classes lie below a node or are it: (nodes, classes), 0 or 1."
        inside = np.zeros((len(self.nodes), len(self.classes)), np.float32)
        inside[self.rows, np.arange(len(self.classes))] = 1
        parents = self.nodes["parent"].to_numpy()
        for row in range(len(parents) - 1, 0, -1): inside[parents[row]] += inside[row]
        return inside

    def sum_up(
        self,
        probs: np.ndarray,  # (reads, classes), or more columns, for `more`
        more: Sequence[int] = (),  # further nodes that have probability of their own, beside the classes
    ) -> np.ndarray:  # (reads, nodes)
        "The probability of each node: the sum over the classes, and the nodes `more`, below it."
        total = probs[:, : len(self.classes)] @ self.below.T
        for column, row in enumerate(more, len(self.classes)): total[:, self.lineage(row)] += probs[:, [column]]
        return total

    @cached_property
    def depth(self) -> np.ndarray:
        "Steps from the root to each node."
        depth = np.zeros(len(self.nodes), np.int64)
        for row, parent in enumerate(self.nodes["parent"]): depth[row] = depth[parent] + 1 if parent >= 0 else 0
        return depth

    @cached_property
    def codes(self) -> list[str]:
        "Kraken's letter for the rank of each node."
        codes = []
        for rank, parent in zip(self.nodes["rank"], self.nodes["parent"]):
            above = codes[parent] if parent >= 0 else "R"
            codes.append("R" if parent < 0 else _LETTERS.get(rank) or above[0] + str(int(above[1:] or 0) + 1))
        return codes

    @cached_property
    def above(self) -> np.ndarray:
        "For each node the row of its taxon at each of `RANKS`, itself included, -1 where its lineage has none: (nodes, ranks)."
        above = np.full((len(self.nodes), len(RANKS)), -1, np.int64)
        for row, (rank, parent) in enumerate(zip(self.nodes["rank"].replace("superkingdom", "domain"), self.nodes["parent"])):
            if parent >= 0: above[row] = above[parent]
            if rank in RANKS: above[row, RANKS.index(rank)] = row
        return above

    def at(self, rank: str, rows=None) -> np.ndarray:
        "For each class, or each of some `rows`, the node at that rank; -1 where its lineage has none, and for a row of -1."
        rows = self.rows if rows is None else np.asarray(rows)
        return np.where(rows >= 0, self.above[np.maximum(rows, 0), RANKS.index(rank)], -1)

    def lineage(self, row: int) -> list[int]:
        "Rows from the root down to a node."
        found = []
        while row >= 0:
            found.append(row)
            row = int(self.nodes["parent"].iat[row])
        return found[::-1]

    def find(self, taxon) -> int:
        "The row of a taxid or a name. Raises `KeyError` where there is none, or several of that name."
        rows = np.flatnonzero((self.nodes["taxid"].astype(str) == str(taxon)) | (self.nodes["name"] == taxon))
        if len(rows) == 1: return int(rows[0])
        raise KeyError(f"{'several taxa are' if len(rows) else 'no taxon is'} called {taxon!r}")


def _tree(
    lineages: dict,  # class -> [(rank, name, taxid or None), …] from the top to the class itself
    where,  # named in errors
) -> Taxonomy:
    "The tree of some lineages, in depth-first order."
    children, about = {(): []}, {(): ("root", "no rank", 1)}
    for label, steps in lineages.items():
        if not steps: raise InputError(where, f"has no taxon for the class {label!r}", "Give at least one rank")
        path = ()
        for rank, name, taxid in steps:
            above, path = path, (*path, (rank, name))
            if path not in about:
                about[path] = name, rank, taxid
                children[path] = []
                children[above].append(path)
    order, stack = [], [()]
    while stack:
        path = stack.pop()
        order.append(path)
        stack += sorted(children[path], reverse=True)
    row = {path: i for i, path in enumerate(order)}
    numbered = {t for _, _, t in about.values() if t is not None}
    if len(numbered) < sum(t is not None for _, _, t in about.values()):
        raise InputError(where, "gives one taxid to several taxa", "A taxid stands for one taxon with one lineage")
    free = (t for t in range(CUSTOM_TAXID, CUSTOM_TAXID + len(order) * 2) if t not in numbered)
    nodes = [(next(free) if about[p][2] is None else about[p][2], row[p[:-1]] if p else -1, about[p][1], about[p][0]) for p in order]
    ends = [row[tuple((rank, name) for rank, name, _ in steps)] for steps in lineages.values()]
    return Taxonomy(pd.DataFrame(nodes, columns=["taxid", "parent", "rank", "name"]), list(lineages), ends)


def taxonomy_from_table(
    table,  # TSV, CSV or DataFrame: a column per rank (domain … species), perhaps the number in `taxid` or, say, `species_taxid`
    classes: Sequence[str],  # the classes of the model
    label: str = "species",  # the column that holds them: the lowest rank of the tree
) -> Taxonomy:
    "A tree from a table of lineages. Raises `InputError` for a class that is missing, or that has two lineages or two numbers."
    rows, where = read_table(table, [label]).fillna(""), "the table" if isinstance(table, pd.DataFrame) else table
    ranks = [r for r in (RANKS[: RANKS.index(label)] if label in RANKS else RANKS) if r in rows]
    number = next((c for c in ("taxid", f"{label}_taxid") if c in rows), None)
    rows, lineages = rows[rows[label].isin(classes)], {}
    for name, found in rows.groupby(label):
        lines, numbers = found[ranks].drop_duplicates(), [t for t in found[number].unique() if t] if number else []
        if len(lines) > 1: raise InputError(where, f"has {len(lines)} lineages for {name!r}: {lines.agg(' > '.join, axis=1).tolist()}", "Give it one")
        if len(numbers) > 1: raise InputError(where, f"has {len(numbers)} numbers for {name!r}: {', '.join(numbers)}", "Give it one", record=number)
        lineages[name] = [(r, lines.iloc[0][r], None) for r in ranks if lines.iloc[0][r]] + [(label if label in RANKS else "no rank", name, int(float(numbers[0])) if numbers else None)]
    if missing := sorted(set(classes) - set(lineages)): raise InputError(where, f"has no lineage for {', '.join(map(repr, missing[:5]))}", f"Every class needs a row with its name in the column {label!r}")
    return _tree({c: lineages[c] for c in classes}, where)


def taxonomy_from_gtdb(
    lineages: dict,  # class -> lineage
) -> Taxonomy:
    "A tree from GTDB's lineage strings. Raises `InputError` for a string that isn't one."
    letters = {r[0]: r for r in RANKS if r != "kingdom"}
    found = {}
    for label, text in lineages.items():
        steps = [s.strip().split("__", 1) for s in text.strip().strip(";").split(";")]
        if any(len(s) != 2 or s[0] not in letters for s in steps): raise InputError(f"the lineage of {label!r}", f"is not one of GTDB: {text!r}", "Write it as d__Bacteria;p__…;c__…;o__…;f__…;g__…;s__…")
        found[label] = [(letters[a], name, None) for a, name in steps if name]
    return _tree(found, "the GTDB lineages")


def taxonomy_from_ncbi(
    folder,  # of nodes.dmp and names.dmp
    taxids: dict,  # class -> taxid
) -> Taxonomy:
    "A tree from NCBI's taxdump. Raises `InputError` for an unreadable dump and for numbers that it doesn't know."
    folder = Path(folder)
    for name in ("nodes.dmp", "names.dmp"):
        if not (folder / name).is_file(): raise InputNotFoundError(folder / name, "no such file", "Unpack taxdump.tar.gz of NCBI there")
    try: dump = _Dump.from_ncbi(str(folder))
    except TaxonomyError as e: raise InputError(folder, f"is not a taxdump ({e})", "Unpack taxdump.tar.gz of NCBI again") from e
    merged, found = _merged(folder / "merged.dmp"), {}
    for label, taxid in taxids.items():
        now = merged.get(str(taxid), str(taxid))
        if now != str(taxid): print(f"{label}: taxid {taxid} was merged into {now}")
        if dump.node(now) is None: raise InputError(folder, f"does not know the taxid {taxid} of {label!r}", "Take a newer taxdump, or another taxid")
        found[label] = [(n.rank, n.name, int(n.id)) for n in dump.lineage(now)[::-1][1:]]
    return _tree(found, folder)


def _merged(file: Path) -> dict:
    "Old numbers and what they are now."
    if not file.is_file(): return {}
    rows = pd.read_csv(file, sep="|", header=None, usecols=[0, 1], dtype=str)
    return dict(zip(rows[0].str.strip(), rows[1].str.strip()))


def read_taxonomy(
    table,  # TSV, CSV or DataFrame with the classes in the column `label`
    classes: Sequence[str],  # the classes of the model
    label: str = "species",
    taxdump=None,  # folder of NCBI's dump; the table has the numbers in `taxid` or, say, `species_taxid`
) -> Taxonomy:
    "A tree from a table of ranks, of GTDB lineages, or of taxids with NCBI's dump."
    rows = read_table(table, [label]).fillna("")
    number = next((c for c in ("taxid", f"{label}_taxid") if c in rows), None)
    column = number if taxdump else "lineage" if "lineage" in rows else None
    if not column:
        if taxdump: raise InputError(table, "has no column 'taxid'", f"Its columns are: {', '.join(rows.columns)}")
        return taxonomy_from_table(table, classes, label)
    known = dict(zip(rows[label], rows[column]))
    if missing := [c for c in classes if not known.get(c)]: raise InputError(table, f"has no {column} for {', '.join(map(repr, missing[:5]))}", f"Every class needs one, in a row with its name in the column {label!r}")
    found = {c: known[c] for c in classes}
    return taxonomy_from_ncbi(taxdump, found) if taxdump else taxonomy_from_gtdb(found)


def taxonomy_to_dict(tree: Taxonomy) -> dict:
    "The tree as lists, for JSON."
    return {"nodes": tree.nodes.to_dict("list"), "classes": tree.classes, "rows": tree.rows.tolist()}


def taxonomy_from_dict(known: dict) -> Taxonomy:
    "The tree of such lists."
    return Taxonomy(pd.DataFrame(known["nodes"]), known["classes"], known["rows"])
