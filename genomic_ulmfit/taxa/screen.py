from scipy import stats
import numpy as np
import pandas as pd

from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.taxa.agents import _rows_of, agent_rows, read_agents
from genomic_ulmfit.taxa.confusion import _GENOME
from genomic_ulmfit.taxa.model import TaxonModel
from genomic_ulmfit.taxa.sample import Sample


DETECTED, GENUS_ONLY, ABSENT, UNKNOWN = "detected", "genus only, cannot tell apart", "not detected", "cannot be screened: never learned"


LEVEL, _SURENESS, STRETCH, _LENGTH = 0.01, 50, 50_000, 137  # the last: words of a read of 150 bases


_RARE = 0.05  # what is seen more rarely than this is not counted on, nor explained by chance


CONFIRMS = 5  # reads of an agent by Kraken2 that confirm a detection


def _reads_below(tree, clade: np.ndarray, nodes) -> int:
    "Reads given to some nodes or to what lies below them, each counted once."
    nodes = {int(r) for r in nodes if r >= 0}
    return int(sum(clade[r] for r in nodes if not nodes & set(tree.lineage(r)[:-1])))


def _agent(sample: Sample, noted: dict, rows: list[int], level: float) -> dict:
    "The judgement of one agent, whose nodes in the tree are `rows`."
    tree, clade, total, known = sample.tree, sample.clade, sample.reads, pd.DataFrame(noted["table"])
    classes = np.flatnonzero((tree.below[rows] > 0).any(0))
    genera = np.unique(tree.at("genus")[classes])
    whole, of = set(genera) <= set(rows), known.iloc[classes]  # the agent is a genus
    genus = _reads_below(tree, clade, [*rows, *genera])
    best, close = (genus, genus) if whole else (int(sample.best[classes].sum()), int(sample.close[classes].sum()))
    of_genus = np.flatnonzero(np.isin(tree.at("genus"), genera[genera >= 0]) | np.isin(np.arange(len(tree.classes)), classes))
    p_local, *piled = _local(sample, classes, of["spread"].min())
    apart, apart_close = _apart(best, close, piled[0], 1.0 if whole else piled[1])
    by_chance, from_kin = (of["false_genus"].max(), 0.0) if whole else (of["false"].sum(), _from_kin(sample, noted["kin"], classes))
    expected, expected_genus = (total - genus) * by_chance + from_kin, (total - genus) * of["false_genus"].max()
    near, own = (0.0, 1.0) if whole else (of["near"].max(), of["own"].mean())
    p_else, p_genus, p_near = float(stats.poisson.sf(apart_close - 1, expected)), stats.poisson.sf(genus - 1, expected_genus), float(_p_near(apart_close, apart, near))
    sensitivity = max(of["genus_sensitivity" if whole else "sensitivity"].mean(), 1e-6)
    needed = _needed(expected, near, own, level, of["spread"].min() if sample.sketches else None)
    found = {
        "genus_reads": genus, "best_reads": best, "close_reads": close, "piled_reads": best - apart, "expected_false": round(expected, 2), "close_of_relatives": round(near, 3), "p_else": p_else, "p_relative": p_near, "p_stretch": p_local,
        **_fraction(sample, apart_close, close, by_chance, from_kin, sensitivity, noted["reads"] * len(of)),
        "limit_of_detection": max(stats.chi2.ppf(1 - _RARE, 2 * needed) / 2 - expected / own, 0) / total * own / sensitivity,
        "decision": DETECTED if max(p_else, p_near, p_local) < level and np.isfinite(needed) else GENUS_ONLY if max(p_genus, _local(sample, of_genus)[0]) < level else ABSENT,
    }
    if sample.kraken2 is None: return found
    return found | {"kraken2_reads": _reads_below(tree, sample.kraken2_clade, rows), "kraken2_genus_reads": _reads_below(tree, sample.kraken2_clade, [*rows, *genera])}


def _from_kin(sample: Sample, kin: list, classes: np.ndarray) -> float:
    "Close reads that the learned relatives in a sample send to some classes."
    return float(sum(sample.best[r] * share for r, c, share in kin if c in classes and r not in classes))


def _apart(best: int, close: int, piled: float, of_piled: float) -> tuple[int, int]:
    "Best and close reads without a piled share of the best, of which a share is close."
    apart = best - round(best * piled)
    return apart, min(max(close - round(round(best * piled) * of_piled), 0), apart)


def _p_near(close, best, near: float):
    "Whether close reads among the best could all be a relative's; 0 for an agent without relatives."
    return stats.betabinom.sf(close - 1, best, near * _SURENESS, (1 - near) * _SURENESS) if near else np.zeros(np.shape(close))


def _local(sample: Sample, classes, spread: float = _GENOME) -> tuple[float, float, float]:
    "Whether reads of some classes could all come from one stretch: the chance of so few overlaps; the share of them that would make the overlaps that are too many for a genome which spreads its reads over so many bases; the share of close ones among those. All are 0 where no words were kept."
    pairs, at_once, close = sample.overlaps(classes)
    if not at_once: return float(bool(sample.sketches)), 0.0, 0.0
    of_genome = at_once / spread
    excess = pairs - of_genome if stats.poisson.sf(round(pairs) - 1, of_genome) < _RARE else 0.0
    return float(stats.poisson.cdf(round(pairs), at_once / STRETCH)), min(float(np.sqrt(max(excess, 0) * STRETCH / at_once)), 1.0), close


def _fraction(sample: Sample, apart: int, close: int, by_chance: float, from_kin: float, sensitivity: float, measured: int) -> dict:
    "The share of a sample's reads that are an agent's, by its close reads, of which some may lie piled; with an interval that covers chance, the false calls, and that the sensitivity was measured on so many reads."
    total, placed = sample.reads, int(sample.direct[sample.tree.at("genus", np.arange(len(sample.tree))) >= 0].sum())
    likely, most = ((total - n) * by_chance + from_kin for n in (placed, 0))  # false calls if reads of known genera are given to these, and if not
    low, high = (stats.binomtest(k, total).proportion_ci(method="wilson") for k in (min(apart, close), close))
    seen = stats.binomtest(round(sensitivity * measured), measured).proportion_ci(method="wilson")
    return {"fraction": max(close - likely, 0) / total / sensitivity, "fraction_low": max(low.low - most / total, 0) / max(seen.high, 1e-6), "fraction_high": high.high / max(seen.low, 1e-6)}


def _needed(expected: float, near: float, own: float, level: float, spread: float | None) -> float:
    "Reads of an agent, spread over so many bases, that make all explanations fail 95 times in a hundred; infinitely many where no number does."
    n = np.unique(np.logspace(0, 3.5, 80).astype(int))  # more reads are hardly more sure, since relatives differ
    close, pairs = stats.binom.ppf(_RARE, n, own), n**2 * _LENGTH
    fails = (stats.poisson.sf(close - 1, expected) < level) & (_p_near(close, n, near) < level)
    if spread: fails &= stats.poisson.cdf(stats.poisson.ppf(1 - _RARE, pairs / spread), pairs / STRETCH) < level
    enough = int(np.append(fails[::-1], False).argmin())  # the last so many, without a gap
    return float(n[-enough]) if enough else np.inf


def screen_sample(
    sample: Sample,  # counts of a sample, classified at the model's threshold
    model: TaxonModel,
    agents: pd.DataFrame | None = None,  # from `read_agents`; the list that comes with the package unless given
    level: float = LEVEL,  # chance of a false detection among all agents together
) -> pd.DataFrame:  # a row per agent
    "Judge each agent of a list in a sample. Raises `InputError` for a model whose confusions were never measured, and where it learned none of the agents."
    noted = model.model.about.get("confusion")
    if not noted or noted["threshold"] != model.threshold: raise InputError("the model", "has no table of confusions at its threshold", "Make it with `fit_confusion`, or with `genomic-ulmfit calibrate`")
    agents = read_agents()[0] if agents is None else agents
    places = agent_rows(model.tree, agents)
    level = level / max(sum(map(bool, places)), 1)
    kin = [_unknown_of(model.tree, n) for n in agents.get("neighbours", [""] * len(agents))]
    return pd.DataFrame([{"agent": a, **(_agent(sample, noted, rows, level) if rows else {"decision": UNKNOWN}), "unlearned_neighbours": n} for a, rows, n in zip(agents["agent"], places, kin)])


def _unknown_of(tree, taxa: str) -> str:
    "Those of some taxa that a tree doesn't have."
    return "; ".join(t.strip() for t in taxa.split(";") if t.strip() and not _rows_of(tree, t))


def compare(
    screens: dict[str, pd.DataFrame],  # sample -> `screen_sample`
    totals: dict[str, int],  # sample -> reads
    control: str | None = None,  # the sample that is the negative control
    level: float = LEVEL,
) -> pd.DataFrame:  # a row per sample and agent
    "The judgements of several samples in one table, held against a negative control. Raises `ValueError` for a control that isn't among them."
    if control is not None and control not in screens: raise ValueError(f"the control {control!r} is not among the samples: {', '.join(screens)}")
    table = pd.concat([t.assign(sample=name) for name, t in screens.items()], ignore_index=True)
    table = table[["sample", *(c for c in table if c != "sample")]]
    if control is None: return table
    base = screens[control].set_index("agent")
    n = max(int(base["close_reads"].notna().sum()), 1)

    def above(row):
        if row["sample"] == control or row["decision"] == UNKNOWN: return None
        column = "genus_reads" if row["decision"] == GENUS_ONLY else "close_reads"
        a, b = int(row[column]), int(base.loc[row["agent"], column])
        return bool(stats.fisher_exact([[a, totals[row["sample"]] - a], [b, totals[control] - b]], alternative="greater").pvalue < level / n)

    return table.assign(above_control=table.apply(above, axis=1))
