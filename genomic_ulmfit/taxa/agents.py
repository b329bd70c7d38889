from importlib.resources import files
from pathlib import Path
import pandas as pd

from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.seq.tables import read_table


AGENTS = Path(str(files("genomic_ulmfit"))) / "agents.tsv"


def read_agents(
    path=None,  # TSV; the list that comes with the package unless given
) -> tuple[pd.DataFrame, str]:  # the table; what its head says of source, date and version
    "A list of agents. Raises `InputError` for one without its columns or without a row."
    path = Path(path or AGENTS)
    if not path.is_file(): read_table(path)  # says what is wrong
    lines = path.read_text(encoding="utf-8").splitlines()
    about = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    body = [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
    table = pd.DataFrame([row + [""] * (len(body[0]) - len(row)) for row in body[1:]], columns=body[0]) if body else pd.DataFrame()
    for column in ("agent", "taxa"):
        if column not in table: raise InputError(path, f"has no column {column!r}", "A list of agents is a TSV with the columns agent and taxa")
    if not len(table): raise InputError(path, "names no agent", "Give at least one row")
    return table, about


def _rows_of(tree, taxa: str) -> list[int]:
    "Rows of the tree for names or taxids; those that it doesn't know are left out."
    found = []
    for taxon in taxa.split(";"):
        try: found.append(tree.find(taxon.strip()))
        except KeyError: continue
    return found


def agent_rows(tree, agents: pd.DataFrame) -> list[list[int]]:
    "The nodes of each agent in a tree, none for one that was never learned. Raises `InputError` where none of them was."
    found = [_rows_of(tree, taxa) for taxa in agents["taxa"]]
    if not any(found): raise InputError("the list of agents", f"names nothing that the model learned ({len(agents)} agents, the first is {agents['agent'].iloc[0]!r})", "Use a model of those taxa, such as bacteria-taxa, or give another list with --agents")
    return found
