from matplotlib.figure import Figure
from pathlib import Path
import json
import numpy as np
import pandas as pd

from genomic_ulmfit.report.figures import ACCENT, MUTED
from genomic_ulmfit.report.page import section, write_page
from genomic_ulmfit.taxa.screen import CONFIRMS, DETECTED, GENUS_ONLY
from genomic_ulmfit.text.kmers import UNKNOWN


def plot_agents(table: pd.DataFrame) -> Figure:
    "Reads of each agent beside what false assignment explains, a panel per sample."
    names = table["sample"].unique()
    fig = Figure(figsize=(8, (0.32 * table["agent"].nunique() + 0.9) * len(names)), layout="constrained")
    for ax, name in zip(np.atleast_1d(fig.subplots(len(names), 1, sharex=True)), names):
        rows = table[(table["sample"] == name) & (table["decision"] != UNKNOWN)].iloc[::-1]
        ax.barh(rows["agent"], rows["close_reads"], color=[ACCENT if d == DETECTED else MUTED for d in rows["decision"]])
        ax.plot(rows["expected_false"], rows["agent"], "|", color="#dc2626", ms=14, mew=2)
        ax.set_xscale("symlog", linthresh=1)
        ax.set(title=name, xlim=(0, 2 * max(table[["close_reads", "expected_false"]].max().max(), 5)))
        ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("close reads (bar; blue: detected), expected from false assignment (red)")
    return fig


def _percent(x) -> str: return f"{100 * x:.3g}"


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    "The columns for people, of the agents that were learned."
    learned = table[table["decision"] != UNKNOWN]
    shown = pd.DataFrame({
        "agent": learned["agent"], "decision": learned["decision"].str.split(",").str[0],
        "close / best / genus": [f"{int(a):,} / {int(b):,} / {int(c):,}" for a, b, c in zip(learned["close_reads"], learned["best_reads"], learned["genus_reads"])], "by chance": [f"{v:.1f}" for v in learned["expected_false"]],
        "% of reads (95 %)": [f"{_percent(f)} ({_percent(a)} to {_percent(b)})" if d == DETECTED else "" for f, a, b, d in zip(learned["fraction"], learned["fraction_low"], learned["fraction_high"], learned["decision"])],
        "limit, %": [_percent(v) if np.isfinite(v) else "none" for v in learned["limit_of_detection"]],
    })
    if "kraken2_reads" in table: shown["Kraken2"] = [f"{int(a):,} / {int(b):,}" for a, b in zip(learned["kraken2_reads"], learned["kraken2_genus_reads"])]
    return shown.assign(**({"> control": ["" if v is None else "yes" if v else "no" for v in learned["above_control"]]} if "above_control" in table else {}))


def _aside(row) -> str:
    "What is to be said beside the name of an agent that was found."
    said = [f"{row.unlearned_neighbours}, never learned, would look the same"] if row.unlearned_neighbours else []
    if row.decision == DETECTED and hasattr(row, "kraken2_reads"): said.append(f"{'' if row.kraken2_reads >= CONFIRMS else 'not '}confirmed by Kraken2: {int(row.kraken2_reads):,} reads")
    return f" ({'; '.join(said)})" if said else ""


def write_screen(
    folder,  # made if need be
    table: pd.DataFrame,  # from `compare`
    totals: dict[str, int],  # sample -> reads
    about: str,  # what the list of agents says of itself
    model: str,  # name or folder of the model
) -> Path:
    "Write report.html, screen.tsv and screen.json; returns the page."
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "screen.tsv", sep="\t", index=False)
    (folder / "screen.json").write_text(json.dumps({"model": str(model), "agents": about, "reads": totals, "rows": json.loads(table.to_json(orient="records"))}, indent=1))
    controls = set(table["sample"]) - set(table[table["above_control"].notna()]["sample"]) if "above_control" in table else set()
    titles, lead = {name: f"{name} (control)" if name in controls else name for name in totals}, []
    for name, rows in table.groupby("sample", sort=False):
        hits, kin = ([r.agent + _aside(r) for r in rows[rows["decision"] == d].itertuples()] for d in (DETECTED, GENUS_ONLY))
        lead.append(f"{titles[name]}: " + (f"{', '.join(hits)} detected." if hits else "no agent of the list detected.") + (f" The genus only, so that relatives can't be told apart: {', '.join(kin)}." if kin else ""))
    if strangers := table[table["decision"] == UNKNOWN]["agent"].unique().tolist(): lead.append(f"Not screened, since the model never learned them: {', '.join(strangers)}. Nothing is said of their presence.")
    sections = [section(titles[name], [f"{totals[name]:,} reads."], _shown(rows)) for name, rows in table.groupby("sample", sort=False)]
    sections.append(section("Reads and what explains them", figures={"Close reads of each agent, and the number that false assignment of everything else explains.": plot_agents(table)}))
    sections.append(section("How to read this", [
        "Genus: reads given to the agent's genus or below; best: those of them that fit the agent better than its learned relatives; close: those of these that fit it as its own strains do; by chance: the close reads that false assignment of everything else explains; limit: the share of reads that would be found 95 times in a hundred. Detected: neither reads of other genera and of learned relatives, nor a relative that was never learned, nor a stretch that travels between genera explain the reads. Genus only: the genus is there, but its reads could be those of a relative. Not detected: no more reads than chance explains, or too few to show that they don't come from one stretch; an amount below the limit may have been missed; none: no amount would tell it from its relatives." + (f" Kraken2: the reads that it gives to the agent and to its genus; {CONFIRMS} of the agent confirm a detection." if "kraken2_reads" in table else ""),
        *([f"The list: {about}"] if about else [])]))
    return write_page(folder / "report.html", "Screen for listed agents", lead, sections, ["A research tool, not a diagnosis. Confirm a detection by another method before acting on it."], f"Made by genomic-ulmfit screen with the model {model}.")
