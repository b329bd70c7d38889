#!/usr/bin/env python3
"""Make docs/results.md, and the demonstration's table of other tasks, from the result files of the studies.

The files are docs/results/*.jsonl; `--check` only compares."""

import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results.md"
SHIPPED = ROOT / "genomic_ulmfit" / "demo" / "elsewhere.tsv"  # what the page of the demonstration says of other tasks
sys.path[:0] = [str(ROOT / "nbs" / "studies"), str(ROOT / "nbs" / "results")]

from harness import PUBLISHED, Results, by_method, summary  # noqa: E402
from tables import elsewhere, lines_of  # noqa: E402

HEAD = """<!-- Made from docs/results/*.jsonl by scripts/make_results.py: run `make results`. -->

# Results of the studies

Every figure is made by the command above its table, with the seeds 0, 1, …; the notebooks in `nbs/studies/` tell how,
and what it means. Mean ± standard deviation over seeds or folds, their number in brackets; minutes are those of all
cells of a row on one or two cores of an AMD EPYC, beside other work.
"""


def section(title, command, table):
    """A heading, the command, a table; nothing where there are no results yet."""
    if table is None:
        return ""
    return "\n".join(["", f"## {title}", "", f"`{command}`", "", *lines_of(table), ""])


def blanks(table):
    """Missing cells empty."""
    return table.astype(object).where(table.notna(), "")


def plain(name, *drop):
    """The cells of a result file without some columns."""
    rows = Results(name).rows()
    return blanks(rows.drop(columns=["seconds", *drop])) if len(rows) else None


def compared(name, by, figure, published=True):
    """A figure of a study: a row per `by`, a column per method, the published figures where there are some."""
    rows = Results(name).rows()
    if not len(rows):
        return None
    table = summary(rows, by, figure).reset_index()
    known = [PUBLISHED.get((name, *(str(row[c]) for c in by)), "") for _, row in table.iterrows()]
    if published and any(known):
        table.insert(len(table.columns) - 1, "published", known)
    return table


def tokens():
    """The study of tokens: a row per k, stride and whether there is a wide branch, a column per data set."""
    rows = Results("tokens").rows()
    if not len(rows):
        return None
    swept = rows[rows["epochs"].isin([4, 16])].drop_duplicates(["data", "k", "stride", "wide"])
    table = swept.pivot(index=["k", "stride", "wide"], columns="data", values="valid").reset_index()
    return blanks(table.round(3))


def ranks(name, by):
    """Accuracy at each rank of the 16S study, means over the splits, a row per method."""
    rows = Results(name).rows()
    if not len(rows):
        return None
    found = rows[rows["method"] != "exact match"].rename(columns={"accuracy": "genus"})
    return (
        found.groupby([*by, "method"], sort=False)[["genus", "family", "order", "class"]].mean().round(3).reset_index()
    )


def shortcuts():
    """A row per kind of sequence, a column per model."""
    rows = Results("promoter_shortcuts").rows()
    if not len(rows):
        return None
    counts = pd.Series(rows["sequences"].iloc[0], name="sequences")
    return (
        pd.concat([counts, rows.drop(columns=["seconds", "sequences"]).set_index("method").T], axis=1)
        .rename_axis("kind")
        .reset_index()
    )


def taxa(split):
    """Per-read figures of the taxa study on one split, a row per method and set of reads."""
    rows = Results("taxa").rows()
    return blanks(rows[rows["split"] == split].drop(columns=["split", "seconds"])) if len(rows) else None


def activity():
    """The study of promoter activity: a row per method."""
    rows = Results("activity").rows()
    return (
        by_method(
            rows, ["spearman", "auroc", "average_precision", "auroc_by_activity", "average_precision_by_activity"]
        ).reset_index()
        if len(rows)
        else None
    )


def aligned(data):
    """A data set of the study of sequences laid side by side: a row per method."""
    rows = Results("aligned").rows()
    if not len(rows):
        return None
    rows = rows[rows["data"] == data].dropna(axis=1, how="all")
    table = by_method(rows, [c for c in rows if c.endswith(("spearman", "pearson"))]).reset_index()
    return table.drop(columns="minutes")


def media():
    """Two media of yeast in one network and in one each: a row per method and media."""
    rows = Results("aligned").rows()
    rows = rows[rows["data"].str.startswith("yeast media")] if len(rows) else rows
    if not len(rows):
        return None
    rows = rows.assign(method=rows["method"] + ", " + rows["data"].str.removeprefix("yeast media, "))
    figures = [f"{medium} {figure}" for medium in ("complex", "defined") for figure in ("pearson", "spearman")]
    return by_method(rows, figures).drop(columns="minutes").reset_index()


PROTEINS = {  # the studies of proteins: result file, command, data sets
    "protein_functions": ("make study-protein_functions", ["peptides", "resistance"]),
    "antibodies": (
        "make study-antibodies",
        ["HER2", "affinity, random", "affinity, three substitutions", "coronaviruses"],
    ),
    "protein_variants": ("make study-protein_variants", ["GB1, two against the rest", "GB1, low against high", "GFP"]),
}


def of_proteins():
    """The studies of proteins: what was tried, and a table a data set."""
    found = []
    for name, (command, sets) in PROTEINS.items():
        found.append(section(f"Proteins, {name.split('_')[-1]}: tried (valid)", command, plain(f"{name}_tried", "n")))
        rows = Results(name).rows()
        for data in sets if len(rows) else []:
            part = rows[rows["data"] == data].dropna(axis=1, how="all")
            figures = [c for c in part if c not in ("data", "method", "seed", "n", "seconds")]
            title = f"Proteins, {data}: test part, {part['n'].iloc[0]:,} sequences"
            found.append(section(title, command, by_method(part, figures).drop(columns="minutes").reset_index()))
    few = Results("protein_few").rows()
    if len(few):
        few = few.assign(figure=few["spearman"].fillna(few["auroc"]))
        table = few.pivot_table(index=["data", "method"], columns="labels", values="figure", sort=False).reset_index()
        title = "Proteins, few labels: Spearman (HER2: AUROC), means of five draws"
        found.append(section(title, "make study-protein_variants", blanks(table)))
    return found


def rna_binding():
    """AUROC of the study of RNA binding and the mean average precision: a row per method."""
    rows = Results("rna_binding").rows()
    if not len(rows):
        return None
    figures = [c for c in rows if c not in ("method", "seed", "seconds") and (" AP" not in c or c == "mean AP")]
    return by_method(rows, figures).drop(columns="minutes").reset_index()


def page():
    """The whole page."""
    return HEAD + "".join(
        [
            section(
                "k and stride: tiny language models at equal minutes, and MCC of E. coli promoters (valid)",
                "make study-bacterial_lm",
                plain("kmer_choice"),
            ),
            section(
                "Tokens and a wide branch, from scratch, validation parts: accuracy (16S), MCC (promoters)",
                "make study-tokens",
                tokens(),
            ),
            section(
                "Tokens of drawn reads: genus of other strains, two minutes each, from scratch",
                "make study-tokens",
                plain("tokens_genomes"),
            ),
            section(
                "Tokens at equal minutes, from scratch, validation parts: accuracy (16S), MCC (promoters)",
                "make study-tokens",
                plain("tokens_minutes"),
            ),
            section(
                "Counted words beside the demonstration's network: genus of other strains than its own",
                "make study-counted_words",
                plain("counted_words"),
            ),
            section(
                "Counted words beside learned words: genus of 16S reads, validation parts",
                "make study-counted_words",
                plain("counted_words_16s"),
            ),
            section("Other changes to training: MCC, validation parts", "make study-tries", plain("tries")),
            section(
                "Counted words heard in training: genus of other strains (valid)",
                "make study-tries",
                plain("tries_counts"),
            ),
            section(
                "The language model bacteria-small: bits per base", "make study-bacterial_lm", plain("bacterial_lm")
            ),
            section(
                "Promoters: MCC on the test part",
                "make study-promoters",
                compared("promoters", ["organism", "protocol"], "mcc"),
            ),
            section(
                "Promoters: accuracy",
                "make study-promoters",
                compared("promoters", ["organism", "protocol"], "accuracy", published=False),
            ),
            section(
                "What the promoter models call a promoter: share of each kind of sequence",
                "make study-promoters",
                shortcuts(),
            ),
            section(
                "Fewer labels: MCC of E. coli promoters, the training part cut",
                "make study-fewer_labels",
                compared("fewer_labels", ["labels"], "mcc"),
            ),
            section(
                "Activity of E. coli promoters: configurations tried (valid)",
                "make study-activity",
                plain("activity_tried"),
            ),
            section(
                "Activity of E. coli promoters: the authors' test part (Spearman with the measured activity)",
                "make study-activity",
                activity(),
            ),
            section("Mutants of the lac promoter (data's random split)", "make study-aligned", aligned("lac promoter")),
            section(
                "Yeast promoters: random and drifted to native, complex medium", "make study-aligned", aligned("yeast")
            ),
            section("Native yeast promoters: two media in one network or one each", "make study-aligned", media()),
            section("Cas9 guides: mean over 17 genes left out", "make study-aligned", aligned("Cas9 guides")),
            section("Resistance genes: configurations (valid)", "make study-resistance", plain("resistance_tried")),
            section("Resistance genes, 88 drugs: test parts", "make study-resistance", plain("resistance")),
            section("Association with a prior, tuberculosis", "make study-association", plain("association")),
            section("The same with permuted phenotypes", "make study-association", plain("association_control")),
            section("Tuberculosis from its genes", "make study-tb_resistance", plain("tb_resistance")),
            section(
                "Scores of single-letter changes: tried (valid), AUROC",
                "make study-variant_kmers",
                plain("variant_kmers_tried"),
            ),
            section("Scores of single-letter changes: AUROC", "make study-variant_kmers", plain("variant_kmers")),
            section("Language models of equal minutes", "make study-variant_kmers", plain("variant_kmers_cost")),
            section(
                "The language model bacteria-proteins-small: bits per residue",
                "make study-protein_lm",
                plain("protein_lm"),
            ),
            *of_proteins(),
            section(
                "RNA binding: configurations tried (valid), AUROC", "make study-rna_binding", plain("rna_binding_tried")
            ),
            section("RNA binding: the published test part", "make study-rna_binding", rna_binding()),
            section(
                "Fewer measured promoters: Spearman (test)",
                "make study-fewer_measurements",
                compared("fewer_measurements", ["fragments"], "spearman", published=False),
            ),
            section(
                "Words of proteins, weighed as the library does: means over lengths (valid, train)",
                "make study-translated_words",
                plain("translated_calibrated"),
            ),
            section(
                "Screen with large words: limits, small amounts, false alarms",
                "make study-screen",
                plain("screen_large"),
            ),
            section(
                "Genus of 16S reads: accuracy",
                "make study-16s",
                compared("16s", ["reads", "split", "length"], "accuracy"),
            ),
            section(
                "16S reads rolled up to higher ranks: accuracy",
                "make study-16s",
                ranks("16s", ["reads", "split", "length"]),
            ),
            section(
                "Promoters and enhancers of eukaryotes: MCC",
                "make study-regulatory",
                compared("regulatory", ["data"], "mcc"),
            ),
            section(
                "Embeddings: the genus of the nearest neighbour, accuracy",
                "make study-embeddings",
                compared("embeddings", ["data"], "accuracy", published=False),
            ),
            section(
                "Words of translated reads: genus of species left out (train genomes only)",
                "make study-translated_words",
                plain("translated_words"),
            ),
            section(
                "Exact matches: which words and how many, on `valid` and on hidden species of the training genomes",
                "make study-taxa",
                plain("taxa_words"),
            ),
            section("Which taxon: reads of strains never seen (`test`)", "make study-taxa", taxa("test")),
            section(
                "Which taxon: reads of species never seen (`test_novel_species`)",
                "make study-taxa",
                taxa("test_novel_species"),
            ),
            section("Which taxon: real reads of one known organism a file", "make study-taxa", plain("taxa_real")),
            section(
                "Which taxon: error of how sure a model is of the most probable genus",
                "make study-taxa",
                plain("taxa_calibration"),
            ),
            section(
                "Which taxon: reads of people, mice, plants and repeats, share given to any taxon, a genus, a species",
                "make study-taxa",
                plain("taxa_strangers"),
            ),
            section("Which taxon: speed and memory, one thread", "make study-taxa", plain("taxa_speed")),
            section(
                "Screen: agents in 200,000 reads, shares of ten samples", "make study-screen", plain("screen_agents")
            ),
            section(
                "Screen: agents at the limit of detection that the report gives, thirty samples each",
                "make study-screen",
                plain("screen_limit"),
            ),
            section(
                "Screen: agents at small amounts, shares of ten samples with the near group found, and the agent",
                "make study-screen",
                plain("screen_small"),
            ),
            section(
                "Screen: false alarms on blanks and traps, shares of ten samples",
                "make study-screen",
                plain("screen_traps"),
            ),
            section(
                "Screen: area under the ROC curve, samples with an agent against blanks and traps",
                "make study-screen",
                plain("screen_roc"),
            ),
            section(
                "Screen: agents whose genus was hidden from the evidence, or left out of network and words, at 1 %",
                "make study-screen",
                plain("screen_masked"),
            ),
            section(
                "Beside other programs: the genus of a read, share right and wrong",
                "make study-alternatives",
                plain("alternatives_reads"),
            ),
            section(
                "Beside other programs: settings, chosen on samples of `valid`: least shares and the F1 they give",
                "make study-alternatives",
                plain("alternatives_chosen"),
            ),
            section(
                "Beside other programs: ten samples, F1 of what is called and overlap of shares; seconds, MB",
                "make study-alternatives",
                plain("alternatives_samples"),
            ),
            section(
                "Beside fastai's stock text: promoters of *E. coli*, random splits",
                "make study-alternatives",
                plain("alternatives_fastai"),
            ),
            section(
                "Beside transformers: promoters, folds",
                "make study-alternatives",
                plain("alternatives_promoters"),
            ),
        ]
    )


def main():
    for place, text in ((PAGE, page()), (SHIPPED, elsewhere().to_csv(sep="\t", index=False))):
        if "--check" not in sys.argv:
            place.write_text(text)
        elif not place.exists() or place.read_text() != text:
            sys.exit(f"{place.relative_to(ROOT)} is not what docs/results/*.jsonl make: run `make results` and commit.")


if __name__ == "__main__":
    main()
