#!/usr/bin/env python3
"""Make docs/results.md from the result files of the studies (docs/results/*.jsonl); `--check` only says whether it is up to date."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results.md"
sys.path.insert(0, str(ROOT / "nbs" / "studies"))

from harness import PUBLISHED, Results, summary  # noqa: E402

HEAD = """<!-- Made from docs/results/*.jsonl by scripts/make_results.py: run `make results`. -->

# Results of the studies

Every figure is made by the command above its table, with the seeds 0, 1, …; the notebooks in `nbs/studies/` tell how, and what it means.
Mean ± standard deviation over seeds or folds, their number in brackets; minutes are those of all cells of a row on one or two cores of an AMD EPYC, beside other work.
"""


def markdown(table):
    """A DataFrame as a Markdown table."""
    lines = [list(table.columns), ["---"] * len(table.columns), *table.astype(object).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(c) for c in line) + " |" for line in lines)


def section(title, command, table):
    """A heading, the command, a table; nothing where there are no results yet."""
    return "" if table is None else f"\n## {title}\n\n`{command}`\n\n{markdown(table)}\n"


def plain(name):
    """The cells of a result file as they are."""
    rows = Results(name).rows()
    return rows.drop(columns="seconds") if len(rows) else None


def promoters():
    """Promoters: a row per organism and protocol, with the published figures."""
    rows = Results("promoters").rows()
    if not len(rows): return None
    table = summary(rows, ["organism", "protocol"]).reset_index()
    table.insert(len(table.columns) - 1, "published", [PUBLISHED.get(("promoters", *key), "") for key in zip(table["organism"], table["protocol"])])
    return table


def page():
    """The whole page."""
    return HEAD + "".join([
        section("k and stride: tiny language models at equal minutes, and MCC of E. coli promoters (valid)", "make study-bacterial_lm", plain("kmer_choice")),
        section("The language model bacteria-small: bits per base", "make study-bacterial_lm", plain("bacterial_lm")),
        section("Promoters: MCC on the test part", "make study-promoters", promoters()),
    ])


def main():
    if "--check" not in sys.argv: PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page(): sys.exit("docs/results.md is not what docs/results/*.jsonl make: run `make results` and commit.")


if __name__ == "__main__":
    main()
